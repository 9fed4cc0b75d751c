"""Clients of MCP that say anything, over every transport, and read what comes of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from interlock.ingress.mcp.session import MODERN
from interlock.ingress.mcp.stdio import Conversation
from tests.promises import mcp_upstream

PATIENCE = 20.0  #: seconds; a client that waits longer counts as one that hangs


class Place(Protocol):
    """What clients have to know of where they are: see mcp_world.Shop."""

    ids: Iterator[int]
    port: int

    def forget(self) -> None:
        """Start the next test with nothing recorded."""

    def conversation(self, stream: str) -> Conversation:
        """Return what Interlock keeps of an open stream of HTTP+SSE."""


@dataclass
class Reply:
    """What came back. `status`: of HTTP, or 0 on pipes."""

    status: int
    documents: list[Any]
    raw: bytes = b""


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Line:
    """A client of one transport and era."""

    shop: Place
    transport: str
    era: str
    agent: str = "bot"
    session: str = field(default="", init=False)

    # what is said --------------------------------------------------------------------------

    def request(self, method: str, params: Mapping[str, Any], given: Any = None) -> dict[str, Any]:
        said = dict(params)
        if self.era >= MODERN:
            said["_meta"] = {
                "io.modelcontextprotocol/protocolVersion": self.era,
                "io.modelcontextprotocol/clientCapabilities": {},
            } | said.get("_meta", {})
        given = next(self.shop.ids) if given is None else given
        return {"jsonrpc": "2.0", "id": given, "method": method, "params": said}

    def call(self, tool: str, given: Any = None, **params: Any) -> dict[str, Any]:
        """Return a call that no other call is the same as."""
        arguments = {"marker": next(self.shop.ids)}
        said = {"name": tool, "arguments": arguments} | params
        return self.request("tools/call", said, given)

    def headers(self, document: Any) -> dict[str, str]:
        """Return the headers that go with a message in this era."""
        told = {"Content-Type": "application/json", "Interlock-Key": f"ilk_agent_{self.agent}"}
        if self.transport != "sse":
            told["Accept"] = "application/json, text/event-stream"
            if self.era >= "2025-06-18":
                told["MCP-Protocol-Version"] = self.era
            if self.session:
                told["Mcp-Session-Id"] = self.session
        if self.era < MODERN or not isinstance(document, dict):
            return told
        method, params = document.get("method"), document.get("params")
        name = params.get("name") if isinstance(params, dict) else None
        for header, value in (("Mcp-Method", method), ("Mcp-Name", name)):
            if isinstance(value, str) and value.isprintable() and value.isascii():
                told[header] = value
        return told

    async def greet(self) -> None:
        """Shake hands, as clients of this era do."""
        if self.era >= MODERN:
            return
        info = {"name": "adversary", "version": "1"}
        hello = {"protocolVersion": self.era, "capabilities": {}, "clientInfo": info}
        reply = await self.ask(self.request("initialize", hello))
        assert reply.documents[0]["result"]["protocolVersion"] == self.era
        if self.transport == "session":
            self.session = mcp_upstream.SESSION
        await self.ask({"jsonrpc": "2.0", "method": "notifications/initialized"})

    async def ask(self, document: Any, **headers: str) -> Reply:
        async with asyncio.timeout(PATIENCE):
            return await self.say(
                json.dumps(document).encode(), self.headers(document) | _named(headers)
            )

    async def say(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send a body, and return all that comes of it."""
        raise NotImplementedError

    async def works(self) -> None:
        """Call a tool that is allowed, which must be answered."""
        reply = await self.ask(self.call("look"))
        assert said_in(reply) == ["It ran."], reply

    async def close(self) -> None:
        """End it."""


@dataclass
class HttpLine(Line):
    """One connection of HTTP/1.1 after the other."""

    streams: Streams | None = None

    async def say(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        return await self.http("POST", f"/mcp/{self.transport}", body, headers)

    async def http(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> Reply:
        told = {"Host": "127.0.0.1"} | dict(self.headers(None) if headers is None else headers)
        told.setdefault("Content-Length", str(len(body)))
        head = f"{method} {path} HTTP/1.1\r\n"
        head += "".join(f"{name}: {text}\r\n" for name, text in told.items())
        return await self.raw(head.encode("utf-8", "surrogateescape") + b"\r\n" + body)

    async def raw(self, sent: bytes) -> Reply:
        """Send these bytes, and read one answer."""
        async with asyncio.timeout(PATIENCE):
            if self.streams is None:
                self.streams = await asyncio.open_connection("127.0.0.1", self.shop.port)
            reader, writer = self.streams
            writer.write(sent)
            try:
                reply, stays = await _response(reader, bodiless=sent.startswith(b"HEAD"))
            except (asyncio.IncompleteReadError, ConnectionError):
                reply, stays = Reply(0, []), False
            if not stays:
                self.hang_up()
            return reply

    async def close(self) -> None:
        self.hang_up()

    def hang_up(self) -> None:
        """End the connection: the next request opens another one."""
        if self.streams is not None:
            self.streams[1].close()
            self.streams = None


@dataclass
class StreamLine(HttpLine):
    """HTTP+SSE: a stream, and messages beside it."""

    endpoint: str = ""
    stream: Streams | None = None

    async def greet(self) -> None:
        self.stream = await asyncio.open_connection("127.0.0.1", self.shop.port)
        head = f"GET /mcp/sse HTTP/1.1\r\nHost: 127.0.0.1\r\nInterlock-Key: ilk_agent_{self.agent}"
        self.stream[1].write(head.encode() + b"\r\n\r\n")
        await self.stream[0].readuntil(b"data: /mcp/")
        self.endpoint = f"/mcp/{(await self.stream[0].readline()).decode().strip()}"
        await super().greet()

    async def say(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        reply = await self.http("POST", self.endpoint, body, headers)
        reply.documents += await self.heard()
        return reply

    async def heard(self) -> list[Any]:
        """Return what the stream says until all is answered that was asked."""
        conversation = self.shop.conversation(self.endpoint.split("stream=")[1])
        while conversation.waiting or conversation._open:
            await asyncio.sleep(0)
        ping = self.request("ping", {})
        await self.http("POST", self.endpoint, json.dumps(ping).encode(), self.headers(ping))
        assert self.stream is not None
        return await _until(self.stream[0], ping["id"], b"data:")

    async def close(self) -> None:
        await super().close()
        if self.stream is not None:
            self.stream[1].close()


class PipeLine(Line):
    """One line after the other."""

    def __init__(
        self,
        shop: Place,
        era: str,
        agent: str,
        conversation: Conversation,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        super().__init__(shop, "pipe", era, agent)
        self.conversation = conversation
        self.reader, self.writer = reader, writer

    async def say(self, body: bytes, headers: Mapping[str, str] | None = None) -> Reply:
        self.writer.write(body + b"\n")
        return Reply(0, await self.heard())

    async def heard(self) -> list[Any]:
        """Return what it says until all is answered that was asked."""
        first, second = (self.request("ping", {}) for _ in range(2))
        self.writer.write(json.dumps(first).encode() + b"\n")
        said = await _until(self.reader, first["id"])
        while self.conversation.waiting or self.conversation._open:
            await asyncio.sleep(0)
        self.writer.write(json.dumps(second).encode() + b"\n")
        return said + await _until(self.reader, second["id"])


async def _until(reader: asyncio.StreamReader, given: Any, before: bytes = b"") -> list[Any]:
    said: list[Any] = []
    while True:
        line = await reader.readuntil(b"\n")
        if not line.startswith(before or b"{"):
            continue
        document = json.loads(line.removeprefix(before))
        if document.get("id") == given:
            return said
        said.append(document)


async def _response(reader: asyncio.StreamReader, *, bodiless: bool = False) -> tuple[Reply, bool]:
    """Read one response; say whether the connection stays."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *rest = head.rstrip("\r\n").split("\r\n")
    fields = {name.lower(): text.strip() for name, _, text in (r.partition(":") for r in rest)}
    status, body = int(first.split(" ")[1]), b""
    if status == 100:
        return await _response(reader)
    if bodiless:
        return Reply(status, []), False
    if fields.get("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    else:
        body = await reader.readexactly(int(fields.get("content-length", "0")))
    return Reply(status, documents_in(body), body), fields.get("connection") != "close"


def documents_in(body: bytes) -> list[Any]:
    """Return the messages of an answer, of JSON or of events."""
    if body.startswith(b"{"):
        return [json.loads(body)]
    return [json.loads(each[5:]) for each in body.split(b"\n") if each.startswith(b"data:")]


def said_in(reply: Reply) -> list[str]:
    """Return what the model, or the client, reads of each response."""
    return list(_said(reply.documents))


def _said(documents: Iterable[Any]) -> Iterable[str]:
    for each in documents:
        if "error" in each:
            yield each["error"]["message"]
        elif "result" in each:
            result = each["result"]
            told = result["content"][0]["text"] if "content" in result else json.dumps(result)
            yield str(told)


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers whose names were written as Python allows."""
    return {name.replace("_", "-"): text for name, text in headers.items()}
