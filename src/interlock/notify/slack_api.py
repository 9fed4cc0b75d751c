"""Speaks with Slack's Web API: one POST of JSON at a time, no redirect, no host but Slack's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from .channel import Undelivered

SECONDS = 10.0  #: that one request may take
_MOST = 1 << 20  #: bytes of an answer that are read
_LATER = frozenset(
    "ratelimited rate_limited internal_error fatal_error service_unavailable request_timeout"
    " team_added_to_org".split()
)
"""Slack's errors that may pass by themselves; every other one has to be mended by somebody."""


class SlackError(Undelivered):
    """Slack said no: `error` is its word for why."""

    def __init__(self, method: str, error: str) -> None:
        super().__init__(f"Slack answered {method} with `{error}`", retry=error in _LATER)
        self.error = error


class SlackApi:
    """A bot's way to Slack. *url*: of the Web API, such as `https://slack.com/api`."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._session: aiohttp.ClientSession | None = None
        parts = urlsplit(self._url)
        hooks = f"https://hooks.{(parts.hostname or '').removeprefix('www.')}"
        self._origins = frozenset({_origin(self._url), hooks})

    async def call(self, method: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Call a method, such as `chat.postMessage`, and return its answer.

        Raises:
            Undelivered: it did not answer, or with an error (SlackError).
        """
        headers = {"Authorization": f"Bearer {self._token}"}
        answer = await self._post(f"{self._url}/{method}", body, headers, method)
        try:
            said = json.loads(answer)
        except ValueError:
            raise Undelivered(f"Slack answered {method} with no JSON", retry=True) from None
        if not isinstance(said, dict) or said.get("ok") is not True:
            error = said.get("error") if isinstance(said, dict) else ""
            raise SlackError(method, _word(error))
        return said

    async def respond(self, url: str, body: Mapping[str, Any]) -> None:
        """Answer who pressed a button, at the `response_url` that Slack gave with it.

        Raises:
            Undelivered: it is not an address of Slack's, or Slack did not take it.
        """
        if _origin(url) not in self._origins:
            raise Undelivered("the response_url is not Slack's; nothing was sent", retry=False)
        await self._post(url, body, {}, "a response_url")

    async def _post(
        self, url: str, body: Mapping[str, Any], headers: Mapping[str, str], what: str
    ) -> bytes:
        session = self._opened()
        try:
            async with session.post(
                url, json=body, headers=headers, allow_redirects=False
            ) as response:
                content = await _read(response)
                if response.status == 429:
                    raise Undelivered(
                        f"Slack takes no more of {what} for now",
                        retry=True,
                        after=_seconds(response.headers.get("Retry-After")),
                    )
                if response.status != 200:
                    raise Undelivered(
                        f"Slack answered {what} with HTTP {response.status}",
                        retry=response.status >= 500,
                    )
                return content
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            why = type(error).__name__  # their texts name the URL, which may be a secret
            raise Undelivered(f"Slack did not answer {what}: {why}", retry=True) from None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=SECONDS), cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


async def _read(response: aiohttp.ClientResponse) -> bytes:
    content = b""
    async for piece in response.content.iter_chunked(1 << 16):
        content += piece
        if len(content) > _MOST:
            raise ValueError("too long")
    return content


def _seconds(given: str | None) -> float | None:
    return float(given) if given and given.isascii() and given.isdigit() else None


def _word(error: object) -> str:
    """Return Slack's word for an error, which is all of it that is logged."""
    text = error if isinstance(error, str) else ""
    return "".join(
        each for each in text[:60] if each.isascii() and (each.isalnum() or each in "_-")
    )


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    if parts.username or parts.password or not parts.hostname:
        return ""
    return f"{parts.scheme}://{parts.hostname}{port}"
