"""Interlock before a server of HTTP+SSE, a real one of mcp 2, and clients: real, and by hand."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import uvicorn
from mcp import ClientSession
from mcp.client.sse import sse_client
from mcp.server.mcpserver import Context, MCPServer
from pydantic import BaseModel

from interlock.core.actions import Action, Reviewer, State
from interlock.ingress.http import AgentsListener, server
from interlock.ingress.mcp.amending import Listings
from interlock.ingress.mcp.calls import Calls
from interlock.ingress.mcp.endpoint import McpEndpoint
from interlock.ingress.mcp.learning import Learner
from interlock.ingress.mcp.legacy import LegacyStreams
from interlock.ingress.mcp.session import Holding, Server
from interlock.ingress.mcp.stops import Stops
from interlock.policies.load import read_policies
from interlock.store.redis import RedisStore
from interlock.system import RandomIds
from interlock.tasks import Tasks
from interlock.upstream.http import HttpSettings
from interlock.upstream.mcp_sse import McpSseUpstream
from tests.ingress.mcp.front import POLICY, Known
from tests.ingress.test_http import Keys
from tests.support.builders import ANN
from tests.support.fakes import NoonClock, World
from tests.support.sse_server import port_of

KEY = {"Interlock-Key": "ilk_agent_bot"}


class Name(BaseModel):
    name: str


@dataclass(kw_only=True)
class Shop:
    """A real server. `ran`: the calls that its tools saw; `got`: methods of the messages."""

    url: str = ""
    ran: list[str] = field(default_factory=list)
    got: list[str] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)  #: a stream has been closed
    working: asyncio.Event = field(default_factory=asyncio.Event)
    free: asyncio.Event = field(default_factory=asyncio.Event)


def _tools(shop: Shop) -> MCPServer[Any]:
    made: MCPServer[Any] = MCPServer("shop")

    @made.tool(structured_output=False)
    async def look(shelf: str, context: Context[Any, Any]) -> str:
        shop.ran.append("look")
        await context.report_progress(1, 2, "looking")
        return f"nothing on {shelf}"

    @made.tool(structured_output=False)
    async def buy(what: str) -> str:
        shop.ran.append("buy")
        return f"bought {what}"

    @made.tool(structured_output=False)
    async def look_long() -> str:
        shop.ran.append("look_long")
        shop.working.set()
        await shop.free.wait()
        return "a long look"

    @made.tool(structured_output=False)
    async def look_up(context: Context[Any, Any]) -> str:
        shop.ran.append("look_up")
        said = await context.elicit("Who are you?", Name)
        return f"hello {said.data.name}" if said.action == "accept" else said.action

    return made


@asynccontextmanager
async def a_shop() -> AsyncIterator[Shop]:
    """A real server on a port of its own, until the end of the block."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        shop = Shop(url=f"http://127.0.0.1:{listening.getsockname()[1]}/sse")
        app = _tools(shop).sse_app()

        async def noting(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http" or scope["method"] != "POST":
                await app(scope, receive, send)
                if scope["type"] == "http":
                    shop.left.set()
                return
            first = await receive()
            shop.got.append(json.loads(first["body"]).get("method", "response"))
            waiting = [first]

            async def again() -> Any:
                return waiting.pop() if waiting else await receive()

            await app(scope, again, send)

        config = uvicorn.Config(noting, log_level="critical", ws="none", lifespan="on")
        running = _Server(config)
        async with asyncio.TaskGroup() as group:
            group.create_task(running.serve([listening]), name="mcp-server")
            try:
                yield shop
            finally:
                shop.free.set()
                running.should_exit = running.force_exit = True


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to pytest."""
        yield


class LegacyFront:
    """Interlock before one server `shop`, and its clients: real ones, and ones by hand."""

    def __init__(self, store: RedisStore, url: str, **settings: Any) -> None:
        self.store = store
        self.refused: list[str] = []
        self.definitions = Known()
        self.holding = settings.pop("holding", Holding(seconds=0))
        http = HttpSettings(url=url, allow_private=True, read_s=settings.pop("read_s", 20))
        self.upstream = McpSseUpstream("shop", http, longest=settings.pop("longest", 2**20))
        self.world = World(
            store,
            policy=read_policies([("shop.yaml", POLICY.replace("look}", "'look*'}"))]),
            upstreams={"shop": self.upstream},
            definitions=self.definitions,
            ids=RandomIds(),
            name=settings.pop("name", "a"),
        )
        calls = Calls(self.world.gate, self.definitions, b"k" * 32, NoonClock())
        listing = Listings(
            self.world.gate, self.definitions, Learner(self.definitions, Tasks()), tasks=False
        )
        self.legacy = LegacyStreams(
            openers={"shop": self.upstream},
            calls=calls,
            listing=listing,
            holding=lambda agent: self.holding,
            named=RandomIds().nonce,
            stops=(stops := Stops(store, fresh=0.0, watch=0.05)),
        )
        endpoint = McpEndpoint(
            servers={"shop": Server(name="shop", upstream=self.upstream, **settings)},
            calls=calls,
            definitions=self.definitions,
            listing=listing,
            holding=lambda agent: self.holding,
            read_on=self.world.gate.read_on,
            refused=self.refused.append,
            stops=stops,
            legacy=self.legacy,
        )
        self._own = server(
            AgentsListener(
                self.world.gate,
                Keys(),
                {},
                anonymous=None,
                hosts=frozenset({"127.0.0.1"}),
                refused=self.refused.append,
                mcp=endpoint,
            )
        )

    async def start(self) -> None:
        self._site = await asyncio.get_running_loop().create_server(self._own, "127.0.0.1", 0)
        self.base = f"http://127.0.0.1:{port_of(self._site)}"
        self.session = aiohttp.ClientSession()

    async def stop(self) -> None:
        await self.session.close()
        self._site.close()
        await self._own.shutdown(0.1)
        await self.upstream.close()
        await self.world.quiet()

    # a real client -------------------------------------------------------------------------

    @asynccontextmanager
    async def client(self, path: str = "/mcp/shop", **more: Any) -> AsyncIterator[ClientSession]:
        async with (
            sse_client(self.base + path, headers=KEY) as (read, write),
            ClientSession(read, write, **more) as session,
        ):
            await session.initialize()
            yield session

    # a client by hand ----------------------------------------------------------------------

    @asynccontextmanager
    async def stream(self, key: str = "ilk_agent_bot", **headers: str) -> AsyncIterator[ByHand]:
        async with AsyncExitStack() as stack:
            answer = await stack.enter_async_context(
                self.session.get(f"{self.base}/mcp/shop", headers={"Interlock-Key": key, **headers})
            )
            assert answer.status == 200, await answer.text()
            made = ByHand(self, answer, key)
            name, data = await made.event()
            assert name == "endpoint"
            made.endpoint = data
            yield made
            answer.close()

    async def post(
        self, path: str, document: Any, key: str = "ilk_agent_bot", **more: Any
    ) -> tuple[int, Any]:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        headers = {"Content-Type": "application/json", "Interlock-Key": key} | more
        async with self.session.post(self.base + path, data=body, headers=headers) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text.startswith("{") else text

    async def nobody(self) -> None:
        """Wait until no stream is open any more."""
        while len(self.legacy):
            await asyncio.sleep(0)

    # people --------------------------------------------------------------------------------

    async def held(self) -> Action:
        """Return the call that waits for people, once there is one."""
        while not (found := (await self.store.held(None, 10)).actions):
            await asyncio.sleep(0)
        (action,) = found
        return action

    async def approve(self, who: Reviewer = ANN) -> Action:
        return await self.world.says(await self.held(), who)

    async def settled(self, action: Action) -> Action:
        """Return *action* once nothing becomes of it any more."""
        while True:
            found = await self.store.get(action.id)
            assert found is not None
            if found.state not in (State.HELD, State.APPROVED, State.FORWARDING):
                return found
            await asyncio.sleep(0)


HELLO = {
    "protocolVersion": "2024-11-05",
    "capabilities": {},
    "clientInfo": {"name": "by hand", "version": "1"},
}


class ByHand:
    """A client that says what it is told to, and reads event by event."""

    endpoint: str

    def __init__(self, front: LegacyFront, answer: aiohttp.ClientResponse, key: str) -> None:
        self._front, self.answer, self._key = front, answer, key

    async def event(self) -> tuple[str, str]:
        """Return name and data of the next event that says something."""
        while True:
            block = (await self.answer.content.readuntil(b"\n\n")).decode()
            fields = dict(line.split(": ", 1) for line in block.split("\n") if line > ":~")
            if "data" in fields:
                return fields.get("event", "message"), fields["data"]

    async def message(self) -> Any:
        name, data = await self.event()
        assert name == "message"
        return json.loads(data)

    async def post(self, document: Any, **more: Any) -> tuple[int, Any]:
        return await self._front.post(self.endpoint, document, self._key, **more)

    async def greet(self) -> None:
        """Initialize, as a client of 2024-11-05."""
        hello = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": HELLO}
        assert (await self.ask(hello))["id"] == 0
        await self.post({"jsonrpc": "2.0", "method": "notifications/initialized"})

    async def ask(self, document: Any) -> Any:
        """Send a request, and return the next message of the stream."""
        assert (await self.post(document))[0] == 202
        return await self.message()
