"""A gated tool of an MCP server is not reached by what HTTP can say beside the message."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio

from interlock.ingress.mcp import headers
from interlock.ingress.mcp.session import MODERN
from interlock.ports import Limits
from interlock.store.redis import RedisStore
from tests.promises import mcp_upstream
from tests.promises.mcp_clients import HttpLine, Reply, StreamLine, said_in
from tests.promises.mcp_world import ERAS, GATED, Shop
from tests.support.faults import noticed
from tests.support.stores import Server, fresh_prefix

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    limits = Limits(held_per_agent=10**6, held_in_all=10**6, kept_per_agent=2**40)
    store = RedisStore(server.url, fresh_prefix(), limits)
    made = Shop(store, tmp_path_factory.mktemp("shop"))
    await made.start()
    yield made
    await made.stop()
    await store.close()


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=[(transport, era) for transport in ("session", "free", "sse") for era in ERAS],
    ids=lambda each: "-".join(each),
)
async def line(shop: Shop, request: pytest.FixtureRequest) -> HttpLine:
    transport, era = request.param
    made = await shop.line(transport, era)
    assert isinstance(made, HttpLine)
    return made


def place(line: HttpLine) -> str:
    return line.endpoint if isinstance(line, StreamLine) else f"/mcp/{line.transport}"


Sent = tuple[str, bytes]
Way = Callable[[HttpLine, str], Iterator[bytes]]


def raw(line: HttpLine, body: bytes, *more: str, document: Any = None, start: str = "") -> bytes:
    """Return a request; *more* are header lines, and one without a length gets that of *body*."""
    start = start or f"POST {place(line)} HTTP/1.1"
    usual = line.headers(document)
    given = {each.partition(":")[0].strip().lower() for each in more}
    told = [f"{name}: {text}" for name, text in usual.items() if name.lower() not in given]
    if not {"content-length", "transfer-encoding"} & given:
        told.append(f"Content-Length: {len(body)}")
    head = "\r\n".join([start, "Host: 127.0.0.1", *told, *[each for each in more if each]])
    return head.encode("latin-1") + b"\r\n\r\n" + body


def dumped(line: HttpLine, tool: str) -> tuple[dict[str, Any], bytes]:
    call = line.call(tool)
    return call, json.dumps(call).encode()


def framings(line: HttpLine, tool: str) -> Iterator[bytes]:
    call, body = dumped(line, tool)
    _, harmless = dumped(line, "look")
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    both = b"0\r\n\r\n" + raw(line, body, document=call)
    length = f"Content-Length: {len(body)}"
    for lines, said in (
        ((length, "Transfer-Encoding: chunked"), chunked),
        (("Transfer-Encoding: chunked", "Content-Length: 4"), both),
        (("Transfer-Encoding: chunked", "Transfer-Encoding: identity"), chunked),
        (("Transfer-Encoding: xchunked",), chunked),
        (("Transfer-Encoding: identity, chunked",), chunked),
        (("Transfer-Encoding : chunked", length), chunked),
        (("Transfer-Encoding:\x0bchunked", length), chunked),
        (("Transfer-Encoding: gzip, chunked",), chunked),
        ((length, "Content-Length: 0"), body),
        ((f"Content-Length: +{len(body)}",), body),
        ((f"Content-Length: {len(body)}, {len(body)}",), body),
        ((f"{length}\r\n x",), body),
        ((f"X-Folded: a\r\n {length}",), body),
        ((f"X-Bare: a\n{length}",), body),
        (("X-Nul: a\0b", length), body),
        (("Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", length), body),
        (("Expect: 100-continue", length), body),
        (
            ("Trailer: Mcp-Name", "Transfer-Encoding: chunked"),
            chunked[:-2] + b"Mcp-Name: x\r\n\r\n",
        ),
    ):
        yield raw(line, said, *lines, document=call)
    yield raw(line, harmless) + raw(line, body, document=call)
    yield raw(line, body, document=call, start=f"POST {place(line)} HTTP/1.0")
    yield raw(line, body, document=call, start=f"POST {place(line)}\tHTTP/1.1")


def methods(line: HttpLine, tool: str) -> Iterator[bytes]:
    call, body = dumped(line, tool)
    for method in "GET DELETE PUT PATCH OPTIONS HEAD TRACE QUERY post POSTX".split():
        if method == "GET" and isinstance(line, StreamLine):
            continue  # it opens another stream
        for more in ("", "X-HTTP-Method-Override: POST", "Last-Event-ID: 1"):
            start = f"{method} {place(line)} HTTP/1.1"
            yield raw(line, body, more, document=call, start=start)


def targets(line: HttpLine, tool: str) -> Iterator[bytes]:
    call, body = dumped(line, tool)
    name = line.transport
    for path in (
        *(f"/mcp/{name}/", f"//mcp/{name}", f"/mcp//{name}", f"/mcp/%2e/{name}", f"/mcp/./{name}"),
        *(f"/mcp/{name}/../free", f"/mcp/{name}%2f", f"/mcp/{name}?x=1", f"/mcp/{name}/messages"),
        *(f"/mcp/{name}/sse", f"http://127.0.0.1/mcp/{name}", f"/t/{name}/mcp", f"/t/{name}"),
        *(f"/mcp/{name};x=1", "*", f"/MCP/{name}", f"/mcp/{name}#x", f"/mcp/{name}\\", "/mcp/"),
        *(f"/mcp/{name}/messages?stream={'0' * 32}", f"/mcp/{name}/messages?stream=", "/free"),
    ):
        yield raw(line, body, document=call, start=f"POST {path} HTTP/1.1")


def mismatches(line: HttpLine, tool: str) -> Iterator[bytes]:
    call, body = dumped(line, tool)
    harmless, free = dumped(line, "look")
    ping = line.request("ping", {})
    hidden = f"=?base64?{base64.b64encode(tool.encode()).decode()}?="
    for name in (tool, hidden, f" {tool}", tool.upper()):
        yield raw(line, free, f"Mcp-Name: {name}", document=harmless)
        yield raw(line, free, "Mcp-Name: look", f"mcp-name: {name}", document=harmless)
        said = ("Mcp-Method: tools/call", f"Mcp-Name: {name}")
        yield raw(line, json.dumps(ping).encode(), *said, document=ping)
    for version in (*ERAS, "9999-01-01", "x", "", f"{MODERN}, {ERAS[0]}", "2026-07-28\t"):
        for document in (call, harmless):
            names = ("Mcp-Method: tools/call", f"Mcp-Name: {tool}")
            told = f"MCP-Protocol-Version: {version}"
            yield raw(line, json.dumps(document).encode(), told, *names, document=document)
            twice = (told, f"MCP-Protocol-Version: {line.era}", *names)
            yield raw(line, json.dumps(document).encode(), *twice, document=document)
    answer = {"jsonrpc": "2.0", "id": 1, "result": {}}
    for document in (answer, {"jsonrpc": "2.0", "method": "notifications/x"}):
        names = ("Mcp-Method: tools/call", f"Mcp-Name: {tool}")
        for version in (MODERN, line.era):
            told = f"MCP-Protocol-Version: {version}"
            yield raw(line, json.dumps(document).encode(), told, *names)
    yield raw(line, free, f"Mcp-Param-Name: {tool}", "Mcp-Param-Method: x", document=harmless)
    yield raw(line, body, "Mcp-Name: look", document=call)


def contents(line: HttpLine, tool: str) -> Iterator[bytes]:
    call, body = dumped(line, tool)
    wide, packed = body.decode().encode("utf-16"), gzip.compress(body)
    for kind in (
        *("text/plain", "", "application/json; charset=utf-16", "application/json-rpc"),
        *("application/x-ndjson", "multipart/form-data; boundary=x", "application/json, text/html"),
        *("application/json; x=y; charset=utf-16", "application/x-www-form-urlencoded"),
    ):
        for said in (body, wide, packed):
            yield raw(line, said, f"Content-Type: {kind}", document=call)
    for encoding in ("gzip", "deflate", "identity", "x-gzip", "br", ""):
        yield raw(line, packed, f"Content-Encoding: {encoding}", document=call)
        yield raw(line, body, f"Content-Encoding: {encoding}", document=call)
    yield raw(line, body, "Content-Type: text/plain", "content-type: application/json")


WAYS: dict[str, Way] = {
    way.__name__: way for way in (framings, methods, targets, mismatches, contents)
}


@pytest.mark.parametrize("way", WAYS)
async def test_promise_30_no_gated_tool_is_reached_by_headers_or_framing(
    line: HttpLine, way: str
) -> None:
    await nothing_runs(line, way)


async def nothing_runs(line: HttpLine, way: str) -> None:
    line.shop.forget()
    await line.works()
    for tool in GATED:
        for sent in WAYS[way](line, tool):
            reply = await line.raw(sent)
            await drained(line)
            ran = line.shop.ran()
            assert not ran, f"{ran} by {sent[:600]!r}"
            assert is_clear(reply), f"{reply} to {sent[:600]!r}"
    await line.works()


async def drained(line: HttpLine) -> None:
    """Leave nothing of the last request on a connection, nor on a stream."""
    line.hang_up()
    if isinstance(line, StreamLine):
        await line.heard()
        line.hang_up()


def is_clear(reply: Reply) -> bool:
    """Say whether it was answered; by an end of the connection too, if it was no request."""
    return reply.status in range(200, 600)


async def test_promise_30_headers_that_nobody_compares_would_be_noticed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = await shop.line("free", MODERN)
    assert isinstance(line, HttpLine)
    monkeypatch.setattr(headers, "check", lambda *_: None)

    with noticed():
        await nothing_runs(line, "mismatches")


async def test_promise_30_a_server_that_agrees_on_a_version_makes_no_header_pass_unchecked(
    shop: Shop,
) -> None:
    """There are no sessions of 2026-07-28, whatever a server says: headers mean nothing in them."""
    line = HttpLine(shop, "session", "2025-03-26")
    hello = {"protocolVersion": MODERN, "capabilities": {}, "clientInfo": {}}
    shop.up.agreed = MODERN
    await line.ask(line.request("initialize", hello))
    shop.up.agreed, line.session = "", mcp_upstream.SESSION
    shop.forget()
    call = line.call("look")
    reply = await line.ask(call, Mcp_Method="tools/call", Mcp_Name="wipe_all")

    line.hang_up()

    assert not shop.ran()
    assert said_in(reply) == ["It ran."]


@pytest.mark.parametrize("transport", ["session", "free", "sse"])
async def test_promise_31_a_call_follows_no_redirect(shop: Shop, transport: str) -> None:
    line = await shop.line(transport, "2025-11-25", agent="moved")
    shop.forget()
    shop.up.moved = "/elsewhere"
    try:
        reply = await line.ask(line.call("look"))
    finally:
        shop.up.moved = ""

    assert said_in(reply)[0].startswith("NOT EXECUTED")
    assert not [each for each in shop.up.heard if "elsewhere" in each.line]
    await line.works()
