"""MCP over HTTP+SSE: a stream for what the server says, and POSTs beside it for the client.

`GET /mcp/NAME` (or `/mcp/NAME/sse`) opens a stream, whose first event says where messages go:
`/mcp/NAME/messages?stream=...`. Answers come on the stream, those of Interlock among them. A stream
is in one process: another one answers 404, as it does once the stream has ended. Source: MCP
2024-11-05, "Transports".
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from aiohttp import web

from ...core.actions import Agent, ToolCall
from ...core.errors import CallRefused, NotFound, Suspended
from ...core.messages import Message, read_message, write_message
from ...tasks import Tasks
from ..reading import body_of, headers_of
from . import headers as of
from . import sampling
from .exchanging import carrier
from .legacy_client import LegacyClient
from .session import (
    Amending,
    Answering,
    Caller,
    Channel,
    Document,
    Holding,
    Live,
    Server,
)
from .stdio import Conversation, Judging, Pipe
from .stops import Stops

log = logging.getLogger("interlock.mcp")

MOST, PER_AGENT = 1000, 100  #: streams that are open at once; a server has as many connections
SETTLE_SECONDS = 1.0  #: in which those who wait are told, once the server has ended the stream

_PATH = re.compile(
    r"/mcp/([A-Za-z0-9][A-Za-z0-9_.-]{0,63})(/sse|/messages)?/?(?:\?(.*))?\Z", re.DOTALL
)
_STREAM = re.compile(r"stream=([0-9a-f]{32,64})\Z")


class Stream(Pipe, Protocol):
    """The server's side: see upstream.mcp_stream.SseStream."""

    gone: str  #: why nothing can be sent any more
    ended: asyncio.Event

    def leave(self) -> None:
        """The client has gone: end once the calls under way are answered."""


class Opener(Protocol):
    """Opens streams of one server: see upstream.mcp_sse.McpSseUpstream."""

    async def open(
        self, call: ToolCall, deliver: Callable[[Document], Awaitable[None]]
    ) -> Stream: ...


class WrongWay(CallRefused):
    """Open a stream with GET; POST messages to the address that its first event names."""

    status, kind = 405, "method-not-allowed"


class NotJson(CallRefused):
    """Send the message as `Content-Type: application/json`, uncompressed."""

    status, kind = 415, "media-type"


class TooManyStreams(CallRefused):
    """Too many streams are open; close some of them."""

    status, kind = 429, "too-many-streams"


class Closing(CallRefused):
    """Interlock is shutting down; open the stream again in a moment."""

    status, kind = 503, "shutting-down"


class _Calls:
    """Judges what is called on one stream, until its client goes: then nobody waits any more."""

    def __init__(self, calls: Answering, headers: of.Headers) -> None:
        self._calls = calls
        self._headers = headers
        self._waiting: set[asyncio.Task[object]] = set()

    async def answer(self, message: Message, caller: Caller, channel: Channel) -> Document | Live:
        waits = asyncio.current_task()
        assert waits is not None  # noqa: S101 -- this is a coroutine
        self._waiting.add(waits)
        try:
            caller = replace(caller, headers=self._headers)
            return await self._calls.answer(message, caller, channel)
        finally:
            self._waiting.discard(waits)

    async def cancelled(self, message: Message, caller: Caller) -> bool:
        return await self._calls.cancelled(message, caller)

    def leave(self) -> None:
        """End the waiting. What is held stays held, what is sent is recorded."""
        for each in tuple(self._waiting):
            each.cancel()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    """A stream that a client has."""

    agent: str
    server: str
    stream: Stream
    conversation: Conversation


class LegacyStreams:
    """Answers every request to the servers in *openers*. Raises InterlockError to refuse one.

    *holding* says how an agent's client is answered. *named* makes names of streams, which nobody
    can guess. *stops* knows who is stopped.
    """

    def __init__(
        self,
        *,
        openers: Mapping[str, Opener],
        calls: Answering,
        listing: Amending,
        holding: Callable[[str], Holding],
        named: Callable[[], str],
        stops: Stops,
    ) -> None:
        self._openers = openers
        self._calls = calls
        self._listing = listing
        self._holding = holding
        self._named = named
        self._stops = stops
        self._open: dict[str, _Open] = {}
        self._counted: Counter[str] = Counter()
        self._tasks = Tasks()
        self._closing = False

    def __len__(self) -> int:
        """How many streams are open."""
        return len(self._open)

    def serves(self, server: Server) -> bool:
        """Say whether *server* speaks this transport."""
        return server.name in self._openers

    def named(self, path: str) -> re.Match[str] | None:
        """Return the parts of *path*, the name of the server first; None: it is none of ours."""
        found = _PATH.match(path)
        return found if found and found[1] in self._openers else None

    def close(self) -> None:
        """End every stream, once the calls under way on it are answered; open no more."""
        self._closing = True
        for each in tuple(self._open.values()):
            each.stream.leave()

    async def handle(
        self, request: web.BaseRequest, server: Server, agent: Agent, headers: of.Headers
    ) -> web.StreamResponse:
        """Answer one request of *agent* to *server*."""
        named = self.named(request.raw_path)
        messages = named is not None and named[2] == "/messages"
        if named is not None and messages and request.method == "POST":
            return await self._message(request, self._found(named[3] or "", server, agent), server)
        if not messages and request.method == "GET":
            return await self._counting(request, server, agent, headers)
        raise WrongWay

    # messages ------------------------------------------------------------------------------

    def _found(self, query: str, server: Server, agent: Agent) -> _Open:
        given = _STREAM.match(query)
        found = self._open.get(given[1]) if given else None
        mine = found is not None and (found.agent, found.server) == (agent.id, server.name)
        if found is None or not mine or found.stream.gone:
            raise NotFound(
                f"There is no such stream here: it has ended, or belongs to another process or"
                f" agent. Nothing was sent. Open a new one with `GET /mcp/{server.name}`,"
                " initialize, and send the message again; a call that waits for people is joined."
            )
        return found

    async def _message(
        self, request: web.BaseRequest, to: _Open, server: Server
    ) -> web.StreamResponse:
        """Take one message. What comes of it is said on the stream."""
        if not of.is_json(of.fields_of(headers_of(request))):
            raise NotJson
        body = await body_of(request, server.max_body)
        message = read_message(body)
        if not server.sampling:
            body = write_message(sampling.undeclared(message).document)
        await to.conversation.hear(body)
        return web.Response(status=202, text="Accepted", headers={"Server": "interlock"})

    # streams -------------------------------------------------------------------------------

    async def _counting(
        self, request: web.BaseRequest, server: Server, agent: Agent, headers: of.Headers
    ) -> web.StreamResponse:
        if self._closing:
            raise Closing
        await self._stops.check(agent.id)
        if self._counted.total() >= MOST or self._counted[agent.id] >= PER_AGENT:
            raise TooManyStreams
        self._counted[agent.id] += 1
        try:
            return await self._streamed(request, server, agent, headers)
        finally:
            self._counted[agent.id] -= 1
            if not self._counted[agent.id]:
                del self._counted[agent.id]

    async def _streamed(
        self, request: web.BaseRequest, server: Server, agent: Agent, headers: of.Headers
    ) -> web.StreamResponse:
        caller = Caller(
            agent=agent,
            server=server,
            holding=self._holding(agent.id),
            session=self._named(),
            headers=of.relevant(headers, modern=False),
        )
        client = LegacyClient(request)
        heard: asyncio.Future[Conversation] = asyncio.get_running_loop().create_future()

        async def deliver(document: Document) -> None:
            await (await heard).deliver(document)

        opener = self._openers[server.name]
        stream = await opener.open(carrier(caller, "GET", None), deliver)
        calls = _Calls(self._calls, caller.headers)
        conversation = self._conversation(caller, calls, stream, client)
        heard.set_result(conversation)
        self._open[caller.session] = _Open(
            agent=agent.id, server=server.name, stream=stream, conversation=conversation
        )
        keeping = self._tasks.spawn(client.keep(), "mcp-keep")
        try:
            await client.begin(f"/mcp/{server.name}/messages?stream={caller.session}")
            with suppress(Suspended):
                async with self._stops.ending(agent.id):
                    await stream.ended.wait()
            await conversation.settle(SETTLE_SECONDS)
            return await client.end()
        finally:
            del self._open[caller.session]
            keeping.cancel()
            client.leave()
            calls.leave()
            stream.leave()

    def _conversation(
        self, caller: Caller, calls: _Calls, stream: Stream, client: LegacyClient
    ) -> Conversation:
        judging: asyncio.Future[Judging] = asyncio.get_running_loop().create_future()
        judging.set_result(
            Judging(
                agent=caller.agent,
                holding=caller.holding,
                calls=calls,
                listing=self._listing,
                stops=self._stops,
            )
        )

        def tell(sentence: str) -> None:
            log.info("%s at `%s`: %s", caller.agent.id, caller.server.name, sentence)

        return Conversation(
            server=caller.server,
            session=caller.session,
            pipe=stream,
            write=client.write,
            judging=judging,
            tell=tell,
        )
