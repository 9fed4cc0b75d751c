"""The one HTTP response to a client's message: as JSON, or as a stream once it has begun."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Protocol

from aiohttp import HttpVersion11, web

from ...core.messages import JSON_TYPE, write_message
from ...core.sse import COMMENT, message_event
from .headers import EVENTS
from .session import Document

_STREAM = {"Content-Type": EVENTS, "Cache-Control": "no-cache, no-transform"}
_UNBUFFERED = ("X-Accel-Buffering", "no")


class Coming(Protocol):
    """An answer on its way: `ports.Exchange` and `relay.Relay` alike."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> tuple[tuple[str, str], ...]: ...

    def chunks(self) -> AsyncIterator[bytes]: ...


class Reply:
    """A response that has not begun. Also the `Channel` of a held request."""

    def __init__(self, request: web.BaseRequest, *, streams: bool) -> None:
        self._request = request
        self._response: web.StreamResponse | None = None
        self.streams = streams
        self.piped = False  #: whether bytes of the server are part of it

    @property
    def began(self) -> bool:
        """Whether the client sees a stream already: its status is out."""
        return self._response is not None

    async def keep(self, progress: Document | None) -> None:
        """Send a sign of life to a client that reads streams; the first one begins the stream."""
        if self.streams:
            await self.write(
                COMMENT if progress is None else message_event(write_message(progress))
            )

    async def begin(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        """Begin a stream with this status and these headers."""
        response = web.StreamResponse(status=status)
        add(response, headers)
        if response.headers.get("Content-Type", "").startswith(EVENTS):
            response.headers.setdefault(*_UNBUFFERED)
        sized = "Content-Length" in response.headers or status in (204, 304)
        if not sized and self._request.version >= HttpVersion11:
            response.enable_chunked_encoding()
        await response.prepare(self._request)
        self._response = response

    async def write(self, data: bytes) -> None:
        """Write a piece of the stream; without `begin`, a stream of our own begins."""
        if self._response is None:
            await self.begin(200, _STREAM.items())
        assert self._response is not None  # noqa: S101 -- begun above
        await self._response.write(data)

    async def pipe(self, data: bytes) -> None:
        """Write bytes of the server: from now on the stream is its own."""
        self.piped = True
        await self.write(data)

    async def end(self) -> web.StreamResponse:
        """End the stream."""
        assert self._response is not None  # noqa: S101 -- only a stream is ended
        await self._response.write_eof()
        return self._response

    def cut(self) -> web.StreamResponse:
        """Break the connection off, as the server broke off: nothing else is true any more."""
        if self._request.transport is not None:
            self._request.transport.abort()
        return self._response or web.Response(status=502)

    async def say(
        self, document: Document, status: int = 200, headers: Iterable[tuple[str, str]] = ()
    ) -> web.StreamResponse:
        """Give the response: the whole of it, or the last event of the stream."""
        if self._response is not None:
            await self.write(message_event(write_message(document)))
            return await self.end()
        return whole(status, ((*headers, ("Content-Type", JSON_TYPE))), write_message(document))


def whole(status: int, headers: Iterable[tuple[str, str]], body: bytes) -> web.Response:
    """Return a response in one piece, with the length that its body has."""
    response = web.Response(status=status, body=body)
    add(response, (pair for pair in headers if pair[0].lower() != "content-length"))
    return response


def add(response: web.StreamResponse, headers: Iterable[tuple[str, str]]) -> None:
    """Add headers; a Content-Type takes the place of the one that is supposed."""
    for name, value in headers:
        if name.lower() in ("content-type", "server", "date"):
            response.headers[name] = value
        else:
            response.headers.add(name, value)


def value(headers: Iterable[tuple[str, str]], name: str) -> str:
    """Return the first value of a header; empty where there is none."""
    return next((said for key, said in headers if key.lower() == name), "")


def media(headers: Iterable[tuple[str, str]]) -> str:
    """Return the media type of an answer, without its parameters."""
    return value(headers, "content-type").partition(";")[0].strip().lower()


def charset(headers: Iterable[tuple[str, str]]) -> str:
    """Return the charset that an answer claims, in lower case; all, where it claims more."""
    parameters = value(headers, "content-type").lower().split(";")[1:]
    parted = (each.partition("=") for each in parameters)
    return " ".join(said.strip(' "') for name, _, said in parted if name.strip() == "charset")
