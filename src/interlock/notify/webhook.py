"""Post each notice to a URL, signed as Standard Webhooks says, as a CloudEvent in JSON.

Sources: standardwebhooks.com (specification 1.0.0), CloudEvents 1.0.2 (HTTP structured mode).
The same `webhook-id` is sent on every retry, so that a receiver can drop what it has seen.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from ..ports import Clock, Notice
from ..reach import CheckedResolver, ForbiddenAddress, check_host, reach_of
from .channel import ALL, Undelivered
from .telling import Digest, Told

KIND = "webhook"
TYPE = "dev.interlock.approval"  #: begins the type of every event
TEST = "dev.interlock.test"  #: the type of a sample: no call waits
READ = 2048  #: bytes of an answer that are read; none of them are kept
_LATER = frozenset({408, 425, 429})  #: besides 5xx: what may work later


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Where notices are posted to, and what they are signed with; seconds."""

    name: str
    url: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)  #: `whsec_` and base64 each, the newest first
    source: str  #: where people reach Interlock: it names the origin of the events
    wants: frozenset[Notice] = ALL
    arguments: bool = False
    allow_private: bool = False
    timeout: float = 15.0


class Webhook:
    """channel.Channel."""

    def __init__(self, receiver: Receiver, clock: Clock) -> None:
        self.name = f"{KIND}.{receiver.name}"
        self.wants = receiver.wants
        self.arguments = receiver.arguments
        self._receiver = receiver
        self._clock = clock
        self._keys = tuple(map(_key, receiver.secrets))
        self._session: aiohttp.ClientSession | None = None

    async def send(self, said: Told) -> None:
        kind = TEST if said.sample else f"{TYPE}.{said.why.value}"
        event = {"type": kind, "subject": said.id, "data": data(said)}
        await self._post(said.key, event)

    async def send_digest(self, digest: Digest) -> None:
        several = {
            "title": digest.title,
            "since": _time(digest.since),
            "until": _time(digest.until),
            "more": digest.more,
            "calls": [data(said) for said in digest.told],
        }
        await self._post(digest.key, {"type": f"{TYPE}.digest", "data": several})

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _post(self, key: str, event: dict[str, Any]) -> None:
        now = self._clock.now_ms()
        body = written(key, now, self._receiver.source, event)
        headers = {
            "Content-Type": "application/cloudevents+json; charset=UTF-8",
            "User-Agent": "Interlock",
        } | signed(key, now // 1000, body, self._keys)
        try:
            async with self._open().post(
                self._receiver.url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                await answer.content.read(READ)
                _judge(answer.status, answer.headers.get("Retry-After", ""), now)
        except ForbiddenAddress as error:
            raise Undelivered(str(error), retry=True) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Undelivered(_failure(error), retry=True) from error

    def _open(self) -> aiohttp.ClientSession:
        """Return the session; it is made where the loop runs."""
        if self._session is None:
            receiver = self._receiver
            host = urlsplit(receiver.url).hostname or ""
            reach = reach_of(host, allow_private=receiver.allow_private)
            check_host(host, reach)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    resolver=CheckedResolver(reach), use_dns_cache=False, limit=8
                ),
                timeout=aiohttp.ClientTimeout(total=receiver.timeout),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session


def written(key: str, now: int, source: str, event: dict[str, Any]) -> bytes:
    """Return a CloudEvent in JSON; *now* in ms."""
    envelope = {
        "specversion": "1.0",
        "id": key,
        "source": source,
        "time": _time(now),
        "datacontenttype": "application/json",
    }
    return json.dumps(envelope | event, ensure_ascii=True, separators=(",", ":")).encode()


def signed(key: str, at: int, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """Return the headers of Standard Webhooks: one signature for each of *keys*; *at* in s."""
    content = f"{key}.{at}.".encode() + body
    macs = (hmac.new(each, content, hashlib.sha256).digest() for each in keys)
    return {
        "webhook-id": key,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(f"v1,{base64.b64encode(mac).decode()}" for mac in macs),
    }


def data(said: Told) -> dict[str, Any]:
    """Return what an event says of one call. Times as RFC 3339, or null."""
    return {
        "notice": said.why.value,
        "id": said.id,
        "version": said.version,
        "digest": said.digest,
        "title": said.title,
        "text": list(said.lines),
        "link": said.link,
        "tool": said.tool,
        "description": said.description,
        "agent": said.agent,
        "destination": said.destination,
        "level": said.level,
        "stake": said.stake,
        "reversibility": said.reversibility,
        "consequence": said.consequence,
        "quorum": said.quorum,
        "votes": said.votes,
        "groups": list(said.groups),
        "asked": list(said.asked),
        "created": _time(said.created),
        "deadline": _time(said.deadline),
        "state": said.state,
        "outcome": said.outcome,
        "arguments": [{"name": name, "value": value} for name, value in said.arguments],
    }


def _time(at: int) -> str | None:
    if not at:
        return None
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds")


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix("whsec_"), validate=True)


def _judge(status: int, retry_after: str, now: int) -> None:
    """Return where the receiver took it. Raises Undelivered."""
    if 200 <= status <= 299:
        return
    if status == 410:
        raise Undelivered("the receiver answered 410: it wants no more of these", retry=False)
    if 300 <= status <= 399:
        raise Undelivered(f"the receiver answered {status}, and is not followed", retry=True)
    later = status in _LATER or status >= 500
    after = seconds_of(retry_after, now) if later else None
    raise Undelivered(f"the receiver answered {status}", retry=True, after=after)


def seconds_of(retry_after: str, now: int) -> float | None:
    """Return the seconds that `Retry-After` asks for (RFC 9110, 10.2.3); None where it is none."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, at.replace(tzinfo=at.tzinfo or UTC).timestamp() - now / 1000)


def _failure(error: Exception) -> str:
    """Say what went wrong, without the URL: it may be a secret."""
    if isinstance(error, TimeoutError):
        return "the receiver did not answer in time"
    if isinstance(error, aiohttp.ClientConnectorError):
        inner = error.os_error
        if isinstance(inner, ForbiddenAddress):
            return str(inner)
        return f"the receiver cannot be reached ({inner.strerror or type(inner).__name__})"
    return f"the receiver did not answer as HTTP says ({type(error).__name__})"
