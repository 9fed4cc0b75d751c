"""Calls on the streams of a server of HTTP+SSE: each once, and each answer to whom it belongs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from interlock.core.actions import Agent, McpTool, ToolCall
from interlock.core.errors import UpstreamError, UpstreamLost, UpstreamUnreachable
from interlock.core.messages import write_message
from interlock.upstream import mcp_outstanding
from interlock.upstream.credentials import BearerCredential, Secret
from interlock.upstream.http import HttpSettings
from interlock.upstream.mcp_sse import McpSseUpstream
from interlock.upstream.mcp_stream import SseStream
from tests.support.sse_server import Scripted, done, say

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


async def body_of(exchange: Any) -> bytes:
    assert (exchange.status, exchange.headers) == (200, (("Content-Type", "application/json"),))
    return b"".join([chunk async for chunk in exchange.chunks()])


async def test_a_call_is_posted_once_and_its_answer_is_taken_from_the_stream(
    to: Start, server: Scripted
) -> None:
    upstream = to(server.url)
    await opened(upstream)

    answer = await upstream.send(a_call())

    assert await body_of(answer) == write_message(done(SEND, did="tools/call"))
    assert server.got == [SEND] and server.posts[0].headers["Content-Type"] == "application/json"


async def test_a_stream_is_served_while_it_is_open(to: Start, server: Scripted) -> None:
    upstream = to(server.url)
    assert not upstream.serves(a_call())
    stream = await opened(upstream)
    assert upstream.serves(a_call()) and not upstream.serves(a_call(session="s2"))

    server.ended[0].set()
    await stream.ended.wait()

    assert not upstream.serves(a_call())
    with pytest.raises(UpstreamUnreachable, match="stream has ended, so nothing was sent"):
        await upstream.send(a_call())


@pytest.mark.parametrize(
    "said",
    [
        b'{"jsonrpc":"2.0","method":"x","result":{},"id":1}',
        b'{"jsonrpc":"2.0","method":"x","error":{},"id":1}',
        b'{"jsonrpc":"2.0","id":1,"result":{"a":"\xff"}}',
    ],
)
async def test_what_clients_could_take_for_an_answer_ends_its_call_and_reaches_nobody(
    to: Start, server: Scripted, said: bytes
) -> None:
    """Fault caught: a `method` beside a `result` carries an unread answer past the gate."""
    delivered: list[Any] = []

    async def deliver(document: Any) -> None:
        delivered.append(document)

    async def play(stream: Any, message: Any) -> None:
        await stream.write(b"event: message\ndata: " + said + b"\n\n")

    server.play = play
    upstream = to(server.url)
    await upstream.open(a_call(), deliver)

    with pytest.raises(UpstreamLost, match="no readable answer"):
        await upstream.send(a_call())

    assert delivered == []


async def test_a_call_goes_to_the_stream_that_it_names(to: Start, server: Scripted) -> None:
    upstream = to(server.url)
    await opened(upstream)
    await opened(upstream, "s2")

    await upstream.send(a_call(session="s2"))

    assert server.posts[0].query_string == "session=secret1"


async def test_an_answer_may_come_before_the_post_is_answered(to: Start, server: Scripted) -> None:
    free = asyncio.Event()

    async def play(stream: Any, message: Any) -> None:
        await say(stream, done(message))
        await free.wait()

    server.play = play
    upstream = to(server.url)
    await opened(upstream)
    assert (await upstream.send(a_call())).status == 200
    free.set()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, UpstreamUnreachable),
        (401, UpstreamUnreachable),
        (404, UpstreamUnreachable),
        (413, UpstreamUnreachable),
        (307, UpstreamUnreachable),
        (302, UpstreamLost),
        (409, UpstreamLost),
        (500, UpstreamLost),
        (504, UpstreamLost),
    ],
)
async def test_a_post_that_is_refused_says_whether_anything_ran(
    to: Start, server: Scripted, status: int, error: type[UpstreamError]
) -> None:
    server.status = status
    upstream = to(server.url)
    await opened(upstream)

    with pytest.raises(error, match=str(status)):
        await upstream.send(a_call())

    assert len(server.posts) == 1 and upstream.serves(a_call()) == (status != 404)


async def test_a_stream_that_ends_before_the_answer_leaves_the_outcome_unknown(
    to: Start, server: Scripted
) -> None:
    async def play(stream: Any, message: Any) -> None:
        server.ended[0].set()

    server.play = play
    upstream = to(server.url)
    await opened(upstream)

    with pytest.raises(UpstreamLost, match="It was sent"):
        await upstream.send(a_call())


async def test_silence_ends_a_call(to: Start, server: Scripted) -> None:
    async def play(stream: Any, message: Any) -> None:
        await say(stream, {"jsonrpc": "2.0", "method": "notifications/message"})

    server.play = play
    upstream = to(server.url, read_s=0.05)
    stream = await opened(upstream)
    with pytest.raises(UpstreamLost, match="did not answer in time"):
        await upstream.send(a_call())
    assert not stream.busy(1)


@pytest.mark.parametrize(
    "sign",
    [
        {"method": "notifications/progress", "params": {"progressToken": "p", "progress": 1}},
        {"method": "elicitation/create", "id": 5, "params": {}},
    ],
)
async def test_a_call_whose_server_reports_or_asks_is_not_silent(sign: Any) -> None:
    said: asyncio.Queue[bytes] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    async def post(body: bytes, headers: Any) -> None:
        loop.call_later(0.2, said.put_nowait, write_message({"jsonrpc": "2.0", **sign}))
        loop.call_later(0.4, said.put_nowait, write_message(done(SEND)))

    async def messages() -> AsyncIterator[bytes]:
        while True:
            yield await said.get()

    async def deliver(document: Any) -> None:
        assert document["method"] == sign["method"]

    stream = SseStream("bank", post, messages(), deliver, headers=(), patience=0.3)
    stream.pump = asyncio.ensure_future(stream.run())
    document = {**SEND, "params": {"name": "pay", "_meta": {"progressToken": "p"}}}

    assert (await stream.call(write_message(document), ())).status == 200
    stream.leave()
    await asyncio.wait([stream.pump])


async def test_a_call_that_was_cancelled_is_not_sent(to: Start, server: Scripted) -> None:
    upstream = to(server.url)
    stream = await opened(upstream)
    stream.withdraw(1)
    with pytest.raises(UpstreamUnreachable, match="cancelled"):
        await upstream.send(a_call())
    stream.settled(1)
    assert (await upstream.send(a_call())).status == 200 and len(server.got) == 1


async def test_a_call_that_is_cancelled_while_it_runs_has_a_moment_to_answer(
    to: Start, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_outstanding, "CANCELLED_SECONDS", 0.01)
    arrived = asyncio.Event()

    async def play(stream: Any, message: Any) -> None:
        arrived.set()

    server.play = play
    upstream = to(server.url)
    stream = await opened(upstream)
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(_error(upstream.send(a_call())))
        await arrived.wait()
        stream.withdraw(1)
    assert isinstance(sending.result(), UpstreamLost)


async def _error(sending: Any) -> UpstreamError:
    with pytest.raises(UpstreamError) as raised:
        await sending
    return raised.value


async def test_two_requests_with_one_id_are_never_under_way_together(
    to: Start, server: Scripted
) -> None:
    seen: list[str] = []
    arrived, free = asyncio.Event(), asyncio.Event()

    async def play(stream: Any, message: Any) -> None:
        seen.append(message["method"])
        arrived.set()
        await free.wait()
        await say(stream, done(message, did=message["method"]))

    async def answered(document: Any) -> None:
        assert document["result"] == {"did": "ping"}

    server.play = play
    upstream = to(server.url)
    stream = await opened(upstream)
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    async with asyncio.TaskGroup() as group:
        group.create_task(stream.ask(ping, answered))
        await arrived.wait()
        sending = group.create_task(upstream.send(a_call()))
        with pytest.raises(UpstreamUnreachable, match="same id"):
            await stream.ask(ping, answered)
        assert seen == ["ping"]
        free.set()
    assert b'"did":"tools/call"' in await body_of(sending.result())


async def test_a_call_whose_id_stays_in_use_is_not_sent(
    to: Start, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_outstanding, "BUSY_SECONDS", 0.01)

    async def play(stream: Any, message: Any) -> None:
        """Say nothing."""

    async def answered(document: Any) -> None:
        assert document is None

    server.play = play
    upstream = to(server.url)
    stream = await opened(upstream)
    await stream.ask({"jsonrpc": "2.0", "id": 1, "method": "ping"}, answered)
    with pytest.raises(UpstreamUnreachable, match="same id"):
        await upstream.send(a_call())
    assert [message["method"] for message in server.got] == ["ping"]


async def test_at_the_end_calls_under_way_are_lost_and_streams_closed(
    to: Start, server: Scripted
) -> None:
    arrived = asyncio.Event()

    async def play(stream: Any, message: Any) -> None:
        arrived.set()

    server.play = play
    upstream = to(server.url)
    await opened(upstream)
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(_error(upstream.send(a_call())))
        await arrived.wait()
        await upstream.close()
    assert isinstance(sending.result(), UpstreamLost)
    await server.ended[0].wait()


async def test_a_client_that_leaves_at_once_leaves_nothing_open(
    to: Start, server: Scripted
) -> None:
    stream = await opened(to(server.url))
    stream.leave()
    await server.ended[0].wait()
    await stream.ended.wait()


async def test_a_stream_without_its_client_stays_for_the_call_under_way_alone(
    to: Start, server: Scripted
) -> None:
    arrived, free = asyncio.Event(), asyncio.Event()

    async def play(stream: Any, message: Any) -> None:
        arrived.set()
        await free.wait()
        await say(stream, done(message))

    server.play = play
    upstream = to(server.url)
    stream = await opened(upstream)
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(upstream.send(a_call()))
        await arrived.wait()
        stream.leave()
        assert not upstream.serves(a_call())
        with pytest.raises(UpstreamUnreachable, match="closed its stream"):
            await upstream.send(a_call({**SEND, "id": 2}))
        assert not server.ended[0].is_set()
        free.set()
    assert sending.result().status == 200
    await server.ended[0].wait()


async def test_a_listing_of_our_own_is_waited_for_and_a_notification_is_not(
    to: Start, server: Scripted
) -> None:
    upstream = to(server.url)
    await opened(upstream)

    listed = await upstream.pass_on(a_call({"jsonrpc": "2.0", "id": "l", "method": "tools/list"}))
    noted = await upstream.pass_on(a_call({"jsonrpc": "2.0", "method": "n"}))

    assert b'"name":"look"' in await body_of(listed)
    assert noted.status == 202 and len(server.got) == 2


async def test_every_request_carries_the_credential(to: Start, server: Scripted) -> None:
    upstream = to(server.url, credential=BearerCredential(token=Secret("top")))
    await opened(upstream)
    await upstream.send(a_call())

    requests = (*server.gets, *server.posts)
    assert [each.headers["Authorization"] for each in requests] == ["Bearer top", "Bearer top"]
