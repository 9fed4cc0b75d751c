"""Interlock before the most careless servers, over every transport.

Gated are: `wipe_all`, which policy denies, `buy_all`, which waits for people who never decide,
`mystery`, which policy does not know, and `shift_all`, whose definition has changed since it was
accepted. Any other name that ends like theirs is allowed.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from interlock.core.actions import Action, Agent, ToolCall
from interlock.core.identity import Kind, Principal
from interlock.core.messages import MODERN
from interlock.ingress.http import AgentsListener, server
from interlock.ingress.mcp.amending import Listings
from interlock.ingress.mcp.calls import Calls
from interlock.ingress.mcp.endpoint import McpEndpoint
from interlock.ingress.mcp.legacy import LegacyStreams
from interlock.ingress.mcp.session import Holding, Server
from interlock.ingress.mcp.stdio import Conversation, Judging
from interlock.ingress.mcp.stops import Stops
from interlock.ingress.mcp.tasks import ServedTasks
from interlock.lines import lines
from interlock.policies.load import read_policies
from interlock.store.definitions import StoredDefinitions
from interlock.store.redis import RedisStore
from interlock.store.task_notes import RedisTaskNotes
from interlock.system import RandomIds, SystemClock
from interlock.tasks import Tasks, stopped
from interlock.upstream.child import Child
from interlock.upstream.http import HttpSettings
from interlock.upstream.mcp_http import McpHttpUpstream
from interlock.upstream.mcp_sse import McpSseUpstream
from interlock.upstream.mcp_stdio import PipedServer
from tests.ingress.test_http import Keys
from tests.promises import mcp_upstream
from tests.promises.mcp_clients import (
    PATIENCE,
    HttpLine,
    Line,
    PipeLine,
    Reply,
    StreamLine,
    Streams,
)
from tests.promises.mcp_lenient import plain, tools_run
from tests.promises.mcp_upstream import Upstream, listing
from tests.support.fakes import World

GATED = ("wipe_all", "buy_all", "mystery", "shift_all")
ERAS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", MODERN)
TRANSPORTS = ("session", "free", "sse", "pipe")
LARGEST = 100_000  #: bytes of a message
KEY = b"k" * 32
_TOOL = """
  - id: {server}.{name}
    description: One kind of tool.
    mcp: {{server: {server}, tool: "{tool}"}}
    args_schema: {{type: object}}
    reversibility: {reversibility}
    facets: {{data: {data}}}
"""
_KINDS = (
    ("any", "*_all*", "read_only", "public"),
    ("look", "look", "read_only", "public"),
    ("wipe", "wipe_all", "read_only", "public"),
    ("buy", "buy_all", "irreversible", "internal"),
    ("shift", "shift_all", "read_only", "public"),
)


_GATED = {plain(name) for name in GATED}


def policy() -> str:
    """Return the same policy for each of the servers."""
    tools = "".join(
        _TOOL.format(server=server, name=name, tool=tool, reversibility=how, data=data)
        for server in TRANSPORTS
        for name, tool, how, data in _KINDS
    )
    denied = ", ".join(f"{server}.wipe" for server in TRANSPORTS)
    return (
        "apiVersion: interlock/v1\nkind: Policy\n"
        "metadata: {name: all, version: 1, owner: ann@example.com, description: Gates.}\n"
        "matrix: standard\nstake: {data: {public: low, internal: medium}}\n"
        f"tools:{tools}rules:\n"
        "  - {id: never, description: Nobody wipes., "
        f"tools: [{denied}], deny: Nothing is wiped.}}\n"
    )


class AnyAgent(Keys):
    """A key ring in which everybody has a key that names them."""

    async def verify(self, key: str) -> Principal | None:
        name = key.removeprefix("ilk_agent_")
        return Principal(kind=Kind.AGENT, id=name) if name != key else None


@dataclass
class Sides:
    """ports.Upstream: the servers on pipes, each for the calls of its own session."""

    servers: dict[str, PipedServer] = field(default_factory=dict)

    def serves(self, call: ToolCall) -> bool:
        return call.mcp is not None and call.mcp.session in self.servers

    async def send(self, call: ToolCall) -> Any:
        assert call.mcp is not None
        return await self.servers[call.mcp.session].send(call)


class Shop:
    """All the servers and all that is between them and their clients."""

    def __init__(self, store: RedisStore, folder: Path, hold: float = 0.005) -> None:
        self.store, self.folder = store, folder
        self.up = Upstream()
        self.pipes: list[Path] = []
        self.holdings = {"rounds": Holding(seconds=0.005, rounds=8, round_seconds=0.005)}
        self.holding = Holding(seconds=hold)
        self.ids = itertools.count(1)
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        await self.up.start()
        self.servers: dict[str, Any] = {
            "session": McpHttpUpstream(self._settings("/mcp")),
            "free": McpHttpUpstream(self._settings("/free")),
            "sse": McpSseUpstream("sse", self._settings("/sse")),
        }
        prefix = self.store._prefix[1:-1]
        self.definitions = StoredDefinitions(
            self.store.client,
            key=KEY,
            first_use=frozenset(TRANSPORTS),
            compile_schema=lambda schema: lambda _: "",
            prefix=prefix,
        )
        for each in TRANSPORTS:
            await self.definitions.listed(each, listing(changed=""), whole=True)
            await self.definitions.listed(each, listing(), whole=True)
        self.sides = Sides()
        ids, clock = RandomIds(), SystemClock()
        self.world = World(
            self.store,
            policy=read_policies([("all.yaml", policy())]),
            upstreams={**self.servers, "pipe": self.sides},
            definitions=self.definitions,
            ids=ids,
            clock=clock,
        )
        gate = self.world.gate
        notes = RedisTaskNotes(self.store.client, key=KEY, prefix=prefix)
        self.tasks = ServedTasks(gate, notes, self.definitions, ids, after=lambda caller: 0)
        self.calls = Calls(gate, self.definitions, KEY, clock, tasks=self.tasks)
        self.listings = Listings(gate, self.definitions, self.calls.learner, tasks=True)
        self.stops = Stops(self.store)
        self.legacy = LegacyStreams(
            openers={"sse": self.servers["sse"]},
            calls=self.calls,
            listing=self.listings,
            holding=self._holding,
            named=ids.nonce,
            stops=self.stops,
        )
        await self._listen()

    def _settings(self, path: str) -> HttpSettings:
        return HttpSettings(url=self.up.url + path, allow_private=True, read_s=PATIENCE)

    def _holding(self, agent: str) -> Holding:
        return self.holdings.get(agent, self.holding)

    async def _listen(self) -> None:
        endpoint = McpEndpoint(
            servers={
                name: Server(name=name, upstream=upstream, max_body=LARGEST)
                for name, upstream in self.servers.items()
            },
            calls=self.calls,
            definitions=self.definitions,
            listing=self.listings,
            holding=self._holding,
            read_on=self.world.gate.read_on,
            refused=lambda kind: None,
            stops=self.stops,
            tasks=self.tasks,
            legacy=self.legacy,
        )
        made = AgentsListener(
            self.world.gate,
            AnyAgent(),
            {},
            anonymous=None,
            hosts=frozenset({"127.0.0.1"}),
            refused=lambda kind: None,
            mcp=endpoint,
        )
        self._own = server(made)
        self._site = await asyncio.get_running_loop().create_server(self._own, "127.0.0.1", 0)
        self.port = self._site.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        await self._stack.aclose()
        self._site.close()
        await self._own.shutdown(0.1)
        await self.calls.close(5)
        await self.tasks.close(5)
        await self.world.gate.close(5)
        for each in self.servers.values():
            await each.close()
        await self.up.stop()

    # what ran ------------------------------------------------------------------------------

    def ran(self) -> set[str]:
        """Return the gated tools that anything that reached a server could be taken to call."""
        heard, self.up.heard = self.up.heard, []
        found = {name for each in heard for name in tools_run(each.body, each.headers)}
        for path in self.pipes:
            if path.stat().st_size:
                found |= tools_run(path.read_bytes())
                os.truncate(path, 0)
        return found & _GATED

    def times(self, tool: str) -> int:
        """Return how many messages that reached a server could be taken to call *tool*."""
        bodies = [each.body for each in self.up.heard]
        bodies += [line for path in self.pipes for line in path.read_bytes().splitlines()]
        return sum(plain(tool) in tools_run(body) for body in bodies)

    def forget(self) -> None:
        self.up.heard.clear()
        self.up.raw.clear()
        for path in self.pipes:
            path.write_bytes(b"")

    # people --------------------------------------------------------------------------------

    async def action(self, reply: Reply) -> Action:
        """Return the call that an answer is about."""
        meta = reply.documents[-1]["result"]["_meta"]
        found = await self.store.get(meta["dev.interlock/call"]["id"])
        assert found is not None
        return found

    def conversation(self, stream: str) -> Conversation:
        return self.legacy._open[stream].conversation

    # clients -------------------------------------------------------------------------------

    async def line(self, transport: str, era: str, agent: str = "bot") -> Line:
        """Return a client, whose handshake is done; it is ended with the shop."""
        made: Line
        if transport == "pipe":
            made = await self._stack.enter_async_context(self._piped(era, agent))
        elif transport == "sse":
            made = StreamLine(self, transport, era, agent)
        else:
            made = HttpLine(self, transport, era, agent)
        self._stack.push_async_callback(made.close)
        await made.greet()
        return made

    @asynccontextmanager
    async def _piped(self, era: str, agent: str) -> AsyncIterator[Line]:
        session, heard = f"stdio-{next(self.ids)}", self.folder / f"heard-{next(self.ids)}"
        heard.touch()
        child = await Child.start(
            [sys.executable, mcp_upstream.__file__], mcp_upstream.environment(heard)
        )
        judging: asyncio.Future[Judging] = asyncio.get_running_loop().create_future()
        mine, theirs = await _pair()
        sides: list[Conversation] = []

        async def deliver(document: Any) -> None:
            await sides[0].deliver(document)

        async def write(line: bytes) -> None:
            theirs[1].write(line + b"\n")

        piped = PipedServer(
            name="pipe",
            session=session,
            child=child,
            patience=PATIENCE,
            longest=2**20,
            deliver=deliver,
            tell=lambda text: None,
        )
        sides.append(
            Conversation(
                server=Server(name="pipe", upstream=piped, max_body=LARGEST),
                session=session,
                pipe=piped,
                write=write,
                judging=judging,
                tell=lambda text: None,
            )
        )
        self.sides.servers[session] = piped
        judging.set_result(
            Judging(
                agent=Agent(id=agent),
                holding=self._holding(agent),
                calls=self.calls,
                listing=self.listings,
                stops=self.stops,
            )
        )
        self.pipes.append(heard)

        async def listen() -> None:
            async for line in lines(theirs[0].read, LARGEST):
                await sides[0].hear(line)

        tasks = Tasks()
        running = [tasks.spawn(piped.run(), "server"), tasks.spawn(listen(), "client")]
        try:
            yield PipeLine(self, era, agent, sides[0], *mine)
        finally:
            mine[1].close()
            theirs[1].close()
            await child.stop((0.0, 5.0))
            await stopped(running)
            await sides[0].settle(5.0)


async def _pair() -> tuple[Streams, Streams]:
    """Return both ends of a connection."""
    other: asyncio.Future[Streams] = asyncio.get_running_loop().create_future()

    async def came(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other.set_result((reader, writer))

    site = await asyncio.start_server(came, "127.0.0.1", 0)
    one = await asyncio.open_connection("127.0.0.1", site.sockets[0].getsockname()[1])
    ends = one, await other
    site.close()
    return ends
