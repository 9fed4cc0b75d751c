"""An MCP server over HTTP+SSE: what it says comes on a stream, what it is told is POSTed beside it.

Each client has a stream of its own, by a name that Interlock made (`mcp.session`). Where the server
wants its messages, and the session that this names, never leaves this file. Ids stay those of the
client: other messages name them. Source: MCP 2024-11-05, "Transports".
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import SplitResult, urljoin, urlsplit

from aiohttp.abc import AbstractResolver

from ..core.actions import ToolCall
from ..core.errors import UpstreamLost, UpstreamUnreachable
from ..core.sse import LARGEST_EVENT, Event, Reader
from ..tasks import Tasks, stopped
from .credentials import Headers
from .http import HttpExchange, HttpSettings, HttpUpstream
from .mcp_outstanding import WholeAnswer
from .mcp_stream import Deliver, SseStream

OPEN_SECONDS = 15.0  #: in which a server has to say where it wants its messages
CLOSE_SECONDS = 2.0  #: in which those who wait for answers are told that none will come
_EVENTS = "text/event-stream"
_TARGET = re.compile(r"/[!-~]{0,4096}", re.ASCII)
_FRAMING = frozenset({"accept", "content-type", "cache-control", "last-event-id", "mcp-session-id"})
_GONE = frozenset({404, 410})  # the server does not know the stream any more
_UNTAKEN = frozenset({307, 308, 400, 401, 403, 405, 406, 411, 413, 414, 415, 421, 422, 429, 431})
"""Statuses that say that a message was not taken."""


class McpSseUpstream:
    """ports.McpServer at `settings.url`, which is that of the stream. `longest`: bytes of an event.

    A stream is in one process: `serves` is true there alone, and only while it is open.
    """

    def __init__(
        self,
        name: str,
        settings: HttpSettings,
        *,
        longest: int = LARGEST_EVENT,
        resolver: AbstractResolver | None = None,
    ) -> None:
        parts = urlsplit(settings.url)
        self._name = name
        self._url = settings.url
        self._path = parts.path or "/"
        self._patience = settings.read_s
        self._longest = longest
        here = replace(settings, url=f"{parts.scheme}://{parts.netloc}")
        self._posts = HttpUpstream(here, resolver=resolver)
        self._gets = HttpUpstream(replace(here, read_s=0), resolver=resolver)  # 0: any silence
        self._streams: dict[str, SseStream] = {}
        self._tasks = Tasks()

    def serves(self, call: ToolCall) -> bool:
        """Say whether the stream of *call* is open here."""
        stream = self._streams.get(_session(call))
        return stream is not None and not stream.gone

    async def send(self, call: ToolCall) -> WholeAnswer:
        """POST the message of *call* once, and wait for its answer on the stream.

        Raises:
            UpstreamUnreachable: the stream has ended, or the server did not take the message.
            UpstreamLost: something may have been executed; the outcome is unknown.
        """
        return await self._stream(call).call(call.body, call.headers)

    async def pass_on(self, call: ToolCall) -> WholeAnswer:
        """POST what runs no tool; a request is waited for. Raises as `send`."""
        return await self._stream(call).passed(call.body)

    def _stream(self, call: ToolCall) -> SseStream:
        stream = self._streams.get(_session(call))
        if stream is None:
            raise UpstreamUnreachable(
                "The client's stream has ended, so nothing was sent. The same call on a new stream"
                " is sent there."
            )
        return stream

    async def open(self, call: ToolCall, deliver: Deliver) -> SseStream:
        """Open the stream `call.mcp.session`. `call.headers` go with all that passes on it.

        *deliver* gets what is no answer: the server's requests and notifications.

        Raises:
            UpstreamUnreachable: there is no such stream at the server.
        """
        session, headers = _session(call), _without(call.headers, _FRAMING)
        asked = (*headers, ("Accept", _EVENTS), ("Cache-Control", "no-store"))
        get = replace(call, method="GET", target=self._path, headers=asked, body=b"")
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                exchange = await self._gets.send(get)
                events = _events(exchange, Reader(self._longest))
                try:
                    target = await self._endpoint(exchange, events)
                except BaseException:
                    await exchange.close()
                    raise
        except TimeoutError:
            raise self._refused("did not say in time where it wants messages") from None
        except UpstreamLost as error:
            raise UpstreamUnreachable(error.detail) from error

        async def post(body: bytes, more: Headers) -> None:
            sent = replace(call, method="POST", target=target, headers=_posted(more), body=body)
            await self._taken(await self._posts.send(sent), session)

        stream = SseStream(
            self._name, post, _messages(events), deliver, headers=headers, patience=self._patience
        )
        self._streams[session] = stream
        stream.pump = self._tasks.spawn(stream.run(), "mcp-sse")
        stream.pump.add_done_callback(lambda _: self._ended(session, stream, exchange))
        return stream

    def _ended(self, session: str, stream: SseStream, exchange: HttpExchange) -> None:
        del self._streams[session]
        self._tasks.spawn(_end(stream, exchange), "mcp-sse-end")

    async def close(self) -> None:
        """End every stream. Calls that wait on one end as UpstreamLost."""
        await stopped([stream.pump for stream in self._streams.values()])
        await self._tasks.drain(CLOSE_SECONDS)
        await self._posts.close()
        await self._gets.close()

    async def _endpoint(self, exchange: HttpExchange, events: AsyncIterator[Event]) -> str:
        """Return where the server wants the messages of this stream.

        Raises:
            UpstreamUnreachable: it is no such stream, or it names another host.
        """
        kind = next((v for name, v in exchange.headers if name.lower() == "content-type"), "")
        if exchange.status != 200 or kind.partition(";")[0].strip().lower() != _EVENTS:
            raise self._refused(
                f"answered with HTTP {exchange.status} ({kind[:80] or 'no media type'}) instead of"
                " a stream of events"
            )
        async for event in events:
            if event.name == b"endpoint":
                return self._same_origin((event.data or b"").decode("utf-8", "replace"))
        raise self._refused("ended its stream before it said where it wants messages")

    def _same_origin(self, said: str) -> str:
        try:
            there = urlsplit(urljoin(self._url, said))
            own = bool(said) and _origin(there) == _origin(urlsplit(self._url))
        except ValueError:
            own = False
        if not own:
            raise self._refused(f"wants messages at another host: {said[:200]!r}")
        target = (there.path or "/") + (f"?{there.query}" if there.query else "")
        if not _TARGET.fullmatch(target):
            raise self._refused(f"wants messages at what is no address: {said[:200]!r}")
        return target

    def _refused(self, what: str) -> UpstreamUnreachable:
        return UpstreamUnreachable(
            f"The MCP server at {self._url} {what}. Check its `url` and `transport`; nothing was"
            " sent."
        )

    async def _taken(self, exchange: HttpExchange, session: str) -> None:
        """Return where the server has taken a message. Raises as `send`."""
        status = exchange.status
        await exchange.close()
        if 200 <= status <= 299:
            return
        if status in _GONE and (stream := self._streams.get(session)) is not None:
            stream.lost(f"The server `{self._name}` does not know this stream any more.")
        said = f"The server `{self._name}` answered the message with HTTP {status}"
        if status in _GONE | _UNTAKEN:
            raise UpstreamUnreachable(f"{said}: it was not taken.")
        raise UpstreamLost(f"{said}: what became of it is not known.")


async def _end(stream: SseStream, exchange: HttpExchange) -> None:
    await exchange.close()
    await stream.end()


async def _events(exchange: HttpExchange, reader: Reader) -> AsyncIterator[Event]:
    async for chunk in exchange.chunks():
        for event in reader.feed(chunk):
            yield event


async def _messages(events: AsyncIterator[Event]) -> AsyncIterator[bytes]:
    async for event in events:
        if event.name == b"message" and event.data:
            yield event.data


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None, bool]:
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, port, parts.username is None


def _posted(headers: Headers) -> Headers:
    return (*_without(headers, _FRAMING), ("Content-Type", "application/json"))


def _without(headers: Headers, names: frozenset[str]) -> Headers:
    return tuple([pair for pair in headers if pair[0].lower() not in names])


def _session(call: ToolCall) -> str:
    return call.mcp.session if call.mcp is not None else ""
