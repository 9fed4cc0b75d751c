"""A client of the people's API, for the commands that decide."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from ..config import environment, load_config_partly
from ..core.errors import InterlockError, InvalidDocument
from ..keyfiles import OPERATOR_FILE, read_private
from ..settings import Config

DEFAULT_URL = "http://127.0.0.1:8081"
PATIENCE = aiohttp.ClientTimeout(total=30)
_QUIET = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=45)  #: of a stream


class Refused(InterlockError):
    """Interlock refused; `members` is its problem document."""

    def __init__(self, status: int, members: Mapping[str, Any], help: str = "") -> None:
        self.members = members
        detail = str(members.get("detail") or members.get("title") or f"HTTP status {status}")
        super().__init__(detail, help=help or str(members.get("help") or ""))
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Where the people's API is, and the key to it."""

    url: str
    key: str = field(repr=False)
    place: str  #: where the key was found, for people

    def page(self, call: str) -> str:
        """Return the address of a call's page."""
        return f"{self.url.rstrip('/')}/review/{call}"


def access(url: str | None, key_file: Path | None, file: Path) -> Access:
    """Find the API and a key: options, `INTERLOCK_URL` and `INTERLOCK_KEY`, the configuration.

    Raises:
        InterlockError: there is no key.
        InvalidDocument: the configuration was needed, and is not valid.
    """
    env = environment()
    url = url or env.get("INTERLOCK_URL")
    if key_file is None and env.get("INTERLOCK_KEY"):
        found = Access(url=url or "", key=env["INTERLOCK_KEY"].strip(), place="INTERLOCK_KEY")
    else:
        path = key_file or _configured(file, env).data / OPERATOR_FILE
        found = Access(url=url or "", key=_key(path, asked=key_file is not None), place=str(path))
    if found.url:
        return found
    known = _configured(file, env).people_url if file.exists() else DEFAULT_URL
    return Access(url=known, key=found.key, place=found.place)


def _configured(file: Path, env: Mapping[str, str]) -> Config:
    try:
        return load_config_partly(file, env)
    except InvalidDocument:
        if file.exists():
            raise
        raise InterlockError(
            f"There is no key: neither --key-file nor INTERLOCK_KEY is given, and there is no "
            f"{file} here that says where the operator's key is.",
            help="Run this beside interlock.yaml, or give a key.",
        ) from None


def _key(path: Path, *, asked: bool) -> str:
    if not asked and not path.exists():
        raise InterlockError(
            f"There is no key: {path} does not exist.",
            help="Make one with `interlock keys create admin NAME` (`approver NAME` decides calls),"
            " keep it in a private file and give that with --key-file. `interlock serve` writes one"
            " by itself where somebody is in `people.local`.",
        )
    return read_private(path)


class People:
    """The people's API at *access*. Raises Refused and InterlockError."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        headers = {"Authorization": f"Bearer {self._access.key}"}
        self._session = aiohttp.ClientSession(headers=headers, timeout=PATIENCE)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return the JSON at *path*."""
        return await self._ask("GET", path, params=dict(query or {}))

    async def post(
        self, path: str, body: Mapping[str, Any], version: int | None = None
    ) -> dict[str, Any]:
        """Send *body*, for the *version* that was seen, and return the answer."""
        headers = {} if version is None else {"If-Match": f'"{version}"'}
        return await self._ask("POST", path, json=body, headers=headers)

    async def put(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Put *body* at *path* and return the answer."""
        return await self._ask("PUT", path, json=body)

    async def events(self, seen: str = "") -> AsyncIterator[str]:
        """Yield the lines of the live queue, from after the event named *seen*."""
        assert self._session is not None, "use `async with`"  # noqa: S101
        headers = {"Last-Event-ID": seen} if seen else {}
        try:
            async with self._session.get(
                self._access.url + "/v1/events", headers=headers, timeout=_QUIET
            ) as answer:
                if answer.status != 200:
                    await self._read(answer)
                async for line in answer.content:
                    yield line.decode("utf-8", "replace").rstrip("\r\n")
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise self._silent(error) from None

    async def delete(self, path: str) -> dict[str, Any]:
        """End what is at *path* and return what it was."""
        return await self._ask("DELETE", path)

    async def reveal(self, path: str) -> dict[str, Any]:
        """Return the call at *path* with what policy hides of it; that is recorded."""
        return await self._ask("POST", f"{path}/reveal")

    async def _ask(self, method: str, path: str, **how: Any) -> dict[str, Any]:
        assert self._session is not None, "use `async with`"  # noqa: S101
        try:
            async with self._session.request(
                method, self._access.url + path, allow_redirects=False, **how
            ) as answer:
                return await self._read(answer)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._silent(error) from None

    def _silent(self, error: Exception) -> InterlockError:
        return InterlockError(
            f"Interlock does not answer at {self._access.url} ({_reason(error)}).",
            help="Start it with `interlock serve`, or say where it is with --url.",
        )

    async def _read(self, answer: aiohttp.ClientResponse) -> dict[str, Any]:
        try:
            told = await answer.json(content_type=None)
        except ValueError:
            told = None
        if not isinstance(told, dict):
            raise InterlockError(
                f"What answers at {self._access.url} is not Interlock's people's side.",
                help="Give its URL with --url, such as http://127.0.0.1:8081.",
            )
        if answer.status == 401:
            help = "Make another: `interlock keys create approver NAME`."
            raise Refused(401, {"detail": f"The key in {self._access.place} is not valid."}, help)
        if answer.status >= 300:
            raise Refused(answer.status, told)
        return told


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or "no connection"
    return "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
