"""Interlock before an MCP server over real sockets: a scripted server, and one line per request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from interlock.core.messages import Message
from interlock.ingress.http import AgentsListener, server
from interlock.ingress.mcp.amending import Listings
from interlock.ingress.mcp.calls import Calls
from interlock.ingress.mcp.endpoint import McpEndpoint
from interlock.ingress.mcp.session import Caller, Document, Holding, Server
from interlock.ingress.mcp.stops import Stops
from interlock.mcp_ports import Definition
from interlock.policies.load import read_policies
from interlock.store.redis import RedisStore
from interlock.system import RandomIds
from interlock.upstream.http import HttpSettings
from interlock.upstream.mcp_http import McpHttpUpstream
from tests.ingress.test_http import Keys
from tests.support.fakes import NoonClock, World

MODERN, LEGACY = "2026-07-28", "2025-06-18"
POLICY = """
apiVersion: interlock/v1
kind: Policy
metadata: {name: shop, version: 1, owner: ann@example.com, description: One tool of each kind.}
matrix: standard
stake: {data: {public: low, internal: medium}}
tools:
  - id: shop.look
    description: Looks.
    mcp: {server: shop, tool: look}
    args_schema: {type: object}
    reversibility: read_only
    facets: {data: public}
  - id: shop.buy
    description: Buys.
    mcp: {server: shop, tool: buy}
    args_schema: {type: object}
    reversibility: irreversible
    facets: {data: internal}
  - id: shop.tests
    description: What the conformance fixture serves.
    mcp: {server: shop, tool: "test_*"}
    args_schema: {type: object}
    reversibility: read_only
    facets: {data: public}
  - id: shop.held
    description: One of them waits.
    mcp: {server: shop, tool: test_simple_text}
    args_schema: {type: object}
    reversibility: irreversible
    facets: {data: internal}
"""
LOOK_SCHEMA = {
    "type": "object",
    "properties": {"shelf": {"type": "string", "x-mcp-header": "Shelf"}},
}
TOOLS = (
    {"name": "look", "inputSchema": LOOK_SCHEMA},
    {"name": "buy", "inputSchema": {"type": "object"}},
)


class Known:
    """ports.Definitions: everything that is listed is accepted."""

    def __init__(self) -> None:
        self.tools: dict[tuple[str, str], Definition] = {}
        self.whole: list[str] = []

    def current(self, server: str, tool: str) -> Definition | None:
        return self.tools.get((server, tool))

    def known(self, server: str) -> bool:
        return server in self.whole

    async def listed(self, server: str, tools: Sequence[Mapping[str, Any]], *, whole: bool) -> None:
        self.whole += [server] * whole
        for tool in tools:
            self.tools[server, tool["name"]] = Definition(
                server=server,
                tool=tool["name"],
                hash=f"sha256:{tool['name']}",
                document=tool,
                accepted=True,
                invalid=lambda _: "",
            )


@dataclass
class Marked:
    """Amends visibly, and remembers what it was given."""

    seen: list[tuple[str, Document]] = field(default_factory=list)

    async def amend(self, message: Message, answer: Document, caller: Caller) -> Document:
        self.seen.append((message.method, answer))
        return {**answer, "amended": True}


@dataclass
class Asked:
    """One request as the server got it."""

    method: str
    path: str
    headers: Mapping[str, str]
    message: Any


Script = Callable[[web.Request, Any], Awaitable[web.StreamResponse]]


def said(document: Any, status: int = 200, **headers: str) -> web.Response:
    return web.json_response(document, status=status, headers=headers)


def result(message: Any, **members: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": message["id"], "result": members}


def request(method: str, given: str | int | None = 1, **params: Any) -> dict[str, Any]:
    document = {"jsonrpc": "2.0", "method": method, "params": params}
    return document if given is None else {**document, "id": given}


def call(tool: str, given: str | int = 1, **arguments: Any) -> dict[str, Any]:
    return request("tools/call", given, name=tool, arguments=arguments)


async def usual(http: web.Request, message: Any) -> web.StreamResponse:
    """A server that answers every request, with what it is."""
    if not message or "id" not in message or "method" not in message:
        return web.Response(status=202)
    return said(result(message, did=message["method"]))


async def stream(http: web.Request, *pieces: bytes, end: bool = True) -> web.StreamResponse:
    """Answer with events, as they are given."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(http)
    for piece in pieces:
        await response.write(piece)
    if end:
        await response.write_eof()
    return response


def event(document: Any, before: bytes = b"") -> bytes:
    return before + b"event: message\ndata: " + json.dumps(document).encode() + b"\n\n"


class Front:
    """A scripted MCP server, Interlock before it, and a client."""

    def __init__(self, store: RedisStore, **settings: Any) -> None:
        self.script: Script = usual
        self.asked: list[Asked] = []
        self.refused: list[str] = []
        self.definitions = Known()
        self.listing = Marked()
        self.holding = settings.pop("holding", Holding(seconds=0))
        self._store, self._settings = store, settings
        self._listener = settings.pop("listener", {})
        self._real = settings.pop("real", "")  #: the URL of a server that is no script

    @property
    def sent(self) -> list[str]:
        """The methods of the messages that reached the server."""
        return [each.message["method"] for each in self.asked if each.message]

    async def start(self) -> None:
        self._up = web.Server(self._play, handler_cancellation=True)  # type: ignore[arg-type]
        self._up_site = await _listen(self._up)
        self.url = self._real or f"http://127.0.0.1:{_port(self._up_site)}/mcp"
        self.upstream = McpHttpUpstream(HttpSettings(url=self.url, allow_private=True, read_s=5))
        self.world = World(
            self._store,
            policy=read_policies([("shop.yaml", POLICY)]),
            upstreams={"shop": self.upstream},
            definitions=self.definitions,
            ids=RandomIds(),
        )
        if not self._real:
            await self.definitions.listed("shop", TOOLS, whole=True)
        self.calls = Calls(self.world.gate, self.definitions, b"k" * 32, NoonClock())
        self.shop = Server(name="shop", upstream=self.upstream, **self._settings)
        self.endpoint = McpEndpoint(
            servers={"shop": self.shop},
            calls=self.calls,
            definitions=self.definitions,
            listing=Listings(self.world.gate, self.definitions, self.calls.learner)
            if self._real
            else self.listing,
            holding=lambda agent: self.holding,
            read_on=self.world.gate.read_on,
            refused=self.refused.append,
            stops=Stops(self._store, fresh=0.0, watch=0.05),
        )
        listener: dict[str, Any] = {"anonymous": None, "hosts": frozenset({"127.0.0.1"})}
        made = AgentsListener(
            self.world.gate,
            Keys(),
            {},
            **(listener | self._listener),
            refused=self.refused.append,
            mcp=self.endpoint,
        )
        self._own = server(made)
        self._site = await _listen(self._own)
        self.port = _port(self._site)
        self._session = aiohttp.ClientSession(auto_decompress=False)

    async def stop(self) -> None:
        await self._session.close()
        self._site.close()
        await self._own.shutdown(0.1)
        await self.world.quiet()
        await self.upstream.close()
        self._up_site.close()
        await self._up.shutdown(0.1)

    async def _play(self, http: web.BaseRequest) -> web.StreamResponse:
        body = await http.read()
        message = json.loads(body) if body else None
        if http.method == "OPTIONS":
            return web.Response(status=405)
        self.asked.append(Asked(http.method, http.path, http.headers, message))
        return await self.script(http, message)  # type: ignore[arg-type]

    @asynccontextmanager
    async def open(
        self, method: str, document: Any = None, key: str | None = "ilk_agent_bot", **more: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {"Accept": "application/json, text/event-stream"} | more.pop("headers", {})
        if key:
            headers["Interlock-Key"] = key
        if document is not None:
            more["data"] = json.dumps(document)
            headers.setdefault("Content-Type", "application/json")
        url = f"http://127.0.0.1:{self.port}{more.pop('path', '/mcp/shop')}"
        async with self._session.request(method, url, headers=headers, **more) as answer:
            yield answer

    async def post(self, document: Any, **more: Any) -> tuple[int, Mapping[str, str], Any]:
        """Send a message; return status, headers and what the answer says."""
        return await self.ask("POST", document, **more)

    async def ask(
        self, method: str, document: Any = None, **more: Any
    ) -> tuple[int, Mapping[str, str], Any]:
        async with self.open(method, document, **more) as answer:
            body = await answer.read()
            kind = answer.headers.get("Content-Type", "")
            if kind.startswith("text/event-stream"):
                return answer.status, answer.headers, events_in(body)
            return answer.status, answer.headers, json.loads(body) if body else None

    async def approve(self) -> None:
        """Let a person approve the call that waits."""
        (action,) = (await self._store.held(None, 10)).actions
        await self.world.says(action)


def events_in(body: bytes) -> list[Any]:
    """The messages of a stream."""
    lines = body.replace(b"\r\n", b"\n").split(b"\n")
    return [json.loads(line[5:]) for line in lines if line.startswith(b"data:")]


def modern(document: dict[str, Any], **capabilities: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """*document* as a client of 2026-07-28 sends it, and its headers."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": capabilities,
    }
    params = {**document.get("params", {}), "_meta": meta}
    headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": document["method"]}
    if "name" in params:
        headers["Mcp-Name"] = params["name"]
    return {**document, "params": params}, headers


async def _listen(made: Any) -> asyncio.Server:
    return await asyncio.get_running_loop().create_server(made, "127.0.0.1", 0)


def _port(site: asyncio.Server) -> int:
    port: int = site.sockets[0].getsockname()[1]
    return port
