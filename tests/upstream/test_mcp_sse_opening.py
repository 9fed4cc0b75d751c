"""Opening the stream of a server of HTTP+SSE: what is taken for one, and what is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from interlock.core.actions import Agent, McpTool, ToolCall
from interlock.core.errors import UpstreamUnreachable
from interlock.core.messages import write_message
from interlock.upstream import mcp_sse
from interlock.upstream.http import HttpSettings
from interlock.upstream.mcp_sse import McpSseUpstream
from interlock.upstream.mcp_stream import SseStream
from tests.support.sse_server import Scripted

Start = Callable[..., McpSseUpstream]
SEND = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "pay"}}


@pytest.fixture
async def server() -> AsyncIterator[Scripted]:
    made = Scripted()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def to() -> AsyncIterator[Start]:
    opened: list[McpSseUpstream] = []

    def open_one(url: str, **more: Any) -> McpSseUpstream:
        settings = HttpSettings(url=url, allow_private=True, **({"read_s": 20.0} | more))
        opened.append(McpSseUpstream("bank", settings))
        return opened[-1]

    yield open_one
    for upstream in opened:
        await upstream.close()


def a_call(document: Any = SEND, session: str = "s1", **more: Any) -> ToolCall:
    return ToolCall(
        agent=Agent(id="bot"),
        upstream="bank",
        method="tools/call",
        target="/",
        body=write_message(document),
        mcp=McpTool(name="pay", session=session),
        **more,
    )


async def opened(upstream: McpSseUpstream, session: str = "s1", **more: Any) -> SseStream:
    async def deliver(document: Any) -> None:
        assert "method" in document

    return await upstream.open(replace(a_call(session=session), **more), deliver)


@pytest.mark.parametrize("endpoint", ["said?session=secret0", "{base}/said?session=secret0"])
async def test_an_endpoint_may_be_relative_or_whole(
    to: Start, server: Scripted, endpoint: str
) -> None:
    base = server.url.removesuffix("/sse")
    server.first = f": hello\n\nevent: endpoint\ndata: {endpoint.format(base=base)}\n\n".encode()
    upstream = to(server.url)
    await opened(upstream)
    await upstream.send(a_call())

    assert server.posts[0].raw_path == "/said?session=secret0"


@pytest.mark.parametrize(
    ("first", "words"),
    [
        (b"event: endpoint\ndata: http://127.0.0.1:1/x\n\n", "another host"),
        (b"event: endpoint\ndata: http://user@127.0.0.1/x\n\n", "another host"),
        (b"event: endpoint\ndata:\n\n", "another host"),
        (b"event: endpoint\ndata: /a b\n\n", "no address"),
        (b"event: endpoint\ndata: /\xff\n\n", "no address"),
        (b"event: endpoint\ndata: /" + b"a" * 5000 + b"\n\n", "no address"),
        (b"data: /said\n\n", "in time"),
        (b"event: endpoint\ndata: /said", "in time"),
    ],
)
async def test_a_stream_that_does_not_say_where_messages_go_is_refused(
    to: Start, server: Scripted, monkeypatch: pytest.MonkeyPatch, first: bytes, words: str
) -> None:
    monkeypatch.setattr(mcp_sse, "OPEN_SECONDS", 0.2)
    server.first = first
    upstream = to(server.url)
    with pytest.raises(UpstreamUnreachable, match=words):
        await opened(upstream)
    await server.ended[0].wait()
    assert not upstream.serves(a_call())


async def test_what_is_no_stream_is_refused(to: Start, server: Scripted) -> None:
    upstream = to(server.url.replace("/sse", "/nothing"))
    server.kind = "text/html"
    with pytest.raises(UpstreamUnreachable, match=r"HTTP 200 \(text/html\)"):
        await opened(upstream)


async def test_a_client_that_gives_up_while_a_stream_opens_leaves_none(
    to: Start, server: Scripted
) -> None:
    server.first = b": not yet\n\n"
    opening = asyncio.ensure_future(opened(to(server.url)))
    while not server.ended:
        await asyncio.sleep(0)
    opening.cancel()
    with suppress(asyncio.CancelledError):
        await opening
    await server.ended[0].wait()
    assert opening.cancelled()
