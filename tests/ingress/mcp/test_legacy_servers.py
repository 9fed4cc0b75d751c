"""Servers of HTTP+SSE on bad days: what their clients are told, and what never passes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest

from interlock.ingress.mcp import legacy_client
from interlock.ingress.mcp.session import Holding
from interlock.store.redis import RedisStore
from tests.ingress.mcp.front import call, request
from tests.ingress.mcp.legacy_front import KEY, LegacyFront
from tests.support.sse_server import Scripted, done, say

A_MINUTE = Holding(seconds=60.0)
Fronts = Callable[..., Any]


@pytest.fixture
async def fronts(store: RedisStore) -> AsyncIterator[Fronts]:
    """Start Interlock before the server at a URL; all are stopped after the test."""
    made: list[LegacyFront] = []

    async def start(url: str, **settings: Any) -> LegacyFront:
        made.append(LegacyFront(store, url, **settings))
        await made[-1].start()
        return made[-1]

    yield start
    for each in made:
        await each.stop()


@pytest.fixture
async def scripted() -> AsyncIterator[Scripted]:
    made = Scripted()
    await made.start()
    yield made
    await made.stop()


def said(answer: Any) -> str:
    return str(answer["result"]["content"][0]["text"])


async def test_answers_that_nobody_asked_for_do_not_pass(
    fronts: Fronts, scripted: Scripted
) -> None:
    async def play(stream: Any, message: Any) -> None:
        for wrong in (None, 8, "1", 1.0, True, [1]):
            await say(stream, done({"id": wrong}, wrong=True))
        await say(stream, done(message, right=True))
        await say(stream, done(message, twice=True))

    front = await fronts(scripted.url)
    scripted.play = play
    async with front.stream() as client:
        assert (await client.ask(request("ping", 1)))["result"] == {"right": True}
        assert (await client.ask(request("ping", 2)))["result"] == {"right": True}


async def test_a_server_cannot_answer_a_call_that_is_held(
    fronts: Fronts, scripted: Scripted
) -> None:
    front = await fronts(scripted.url, holding=A_MINUTE)
    async with front.stream() as client:
        await client.post(call("buy", 7))
        await front.held()
        await say(scripted.streams[0], done({"id": 7}, forged=True))
        await client.ask(request("ping", 8))
        await front.approve()
        assert (await client.message()) == done({"id": 7}, did="tools/call")


async def test_an_id_that_is_in_use_is_not_used_twice(fronts: Fronts, scripted: Scripted) -> None:
    front = await fronts(scripted.url, holding=A_MINUTE)
    async with front.stream() as client:
        await client.post(call("buy", 7))
        await front.held()
        answer = await client.ask(request("ping", 7))
        assert answer["id"] is None and "under way" in answer["error"]["message"]
    assert [m["method"] for m in scripted.got] == ["tools/list"]


@pytest.mark.parametrize("junk", [b"nonsense", b"[]", b'{"jsonrpc":"1.0"}', b"NaN", b"{" * 5000])
async def test_messages_that_are_not_json_rpc_do_not_pass(
    fronts: Fronts, scripted: Scripted, junk: bytes
) -> None:
    front = await fronts(scripted.url)
    async with front.stream() as client:
        await scripted.streams[0].write(b"data: " + junk + b"\n\nevent: other\ndata: 1\n\n:\n\n")
        assert (await client.ask(request("ping", 1)))["id"] == 1


async def test_text_that_is_no_unicode_passes_replaced(fronts: Fronts, scripted: Scripted) -> None:
    front = await fronts(scripted.url)
    async with front.stream() as client:
        note = b'{"jsonrpc":"2.0","method":"notifications/message","params":{"a":"\\ud800"}}'
        await scripted.streams[0].write(b"data: " + note + b"\n\n")
        assert (await client.message())["params"] == {"a": "\N{REPLACEMENT CHARACTER}"}


async def test_an_event_that_is_too_large_ends_the_stream(
    fronts: Fronts, scripted: Scripted
) -> None:
    async def flood(stream: Any, message: Any) -> None:
        await stream.write(b"data: " + b"x" * 200_000)

    front = await fronts(scripted.url, longest=100_000)
    async with front.stream() as client:
        await client.ask(request("tools/list", 0))
        scripted.play = flood
        answer = await client.ask(call("look", 1))
        assert said(answer).startswith("OUTCOME UNKNOWN.") and "100000 bytes" in said(answer)
        assert await client.answer.content.read() == b""


async def test_a_flood_waits_for_its_client_and_loses_nothing(
    fronts: Fronts, scripted: Scripted
) -> None:
    async def flood(stream: Any, message: Any) -> None:
        for number in range(2000):
            await say(stream, {"jsonrpc": "2.0", "method": "n", "params": {"at": number}})
        await say(stream, done(message))

    front = await fronts(scripted.url)
    scripted.play = flood
    async with front.stream() as client, asyncio.TaskGroup() as group:
        group.create_task(client.post(request("ping", 1)))
        for number in range(2000):
            assert (await client.message())["params"]["at"] == number
        assert (await client.message())["id"] == 1


async def test_a_server_that_ends_its_stream_ends_that_of_its_client(
    fronts: Fronts, scripted: Scripted
) -> None:
    async def silence(stream: Any, message: Any) -> None:
        scripted.ended[0].set()

    front = await fronts(scripted.url)
    async with front.stream() as client:
        await client.ask(request("tools/list", 0))
        scripted.play = silence
        lost = await client.ask(call("look", 1))
        assert said(lost).startswith("OUTCOME UNKNOWN.")
        assert await client.answer.content.read() == b""
    await front.nobody()


async def test_a_server_that_forgot_the_stream_is_told_and_the_stream_ends(
    fronts: Fronts, scripted: Scripted
) -> None:
    front = await fronts(scripted.url)
    async with front.stream() as client:
        await client.ask(request("tools/list", 0))
        scripted.status = 404
        answer = await client.ask(call("look", 1))
        assert said(answer).startswith("NOT EXECUTED.") and "404" in said(answer)
        assert await client.answer.content.read() == b""


@pytest.mark.parametrize(
    ("status", "words"), [(400, "NOT EXECUTED."), (429, "NOT EXECUTED."), (500, "OUTCOME UNKNOWN.")]
)
async def test_a_message_that_the_server_refuses_is_answered_on_the_stream(
    fronts: Fronts, scripted: Scripted, status: int, words: str
) -> None:
    front = await fronts(scripted.url)
    async with front.stream() as client:
        await client.ask(request("tools/list", 0))
        scripted.status = status
        assert said(await client.ask(call("look", 1))).startswith(words)
        answer = await client.ask(request("ping", 2))
        assert answer["id"] == 2 and str(status) in answer["error"]["message"]


@pytest.mark.parametrize(
    "endpoint",
    ["http://127.0.0.1:1/said", "//evil.example/said", "https://127.0.0.1/said", "http://[", ""],
)
async def test_an_endpoint_at_another_host_is_refused(
    fronts: Fronts, scripted: Scripted, endpoint: str
) -> None:
    scripted.first = b"event: endpoint\ndata: " + endpoint.encode() + b"\n\n"
    front = await fronts(scripted.url)
    async with front.session.get(f"{front.base}/mcp/shop", headers=KEY) as answer:
        assert answer.status == 502
        assert "messages at another host" in (await answer.json())["error"]["message"]
    assert len(front.legacy) == 0


async def test_a_server_that_cannot_be_reached_is_a_502(fronts: Fronts) -> None:
    front = await fronts("http://127.0.0.1:1/sse")
    async with front.session.get(f"{front.base}/mcp/shop", headers=KEY) as answer:
        assert answer.status == 502 and "error" in await answer.json()


async def test_sampling_is_refused_in_the_clients_place(fronts: Fronts, scripted: Scripted) -> None:
    async def play(stream: Any, message: Any) -> None:
        if "method" in message:
            asked = {"jsonrpc": "2.0", "id": 5, "method": "sampling/createMessage", "params": {}}
            await say(stream, asked)
            await say(stream, done(message))

    front = await fronts(scripted.url, sampling=False)
    scripted.play = play
    async with front.stream() as client:
        hello = {"protocolVersion": "2024-11-05", "capabilities": {"sampling": {}, "roots": {}}}
        assert (await client.ask(request("initialize", 0, **hello)))["id"] == 0

    declared, refusal = scripted.got
    assert declared["params"]["capabilities"] == {"roots": {}}
    assert refusal["id"] == 5 and "sampling: refuse" in refusal["error"]["message"]


async def test_a_quiet_stream_carries_signs_of_life(
    fronts: Fronts, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(legacy_client, "KEEP", 0.01)
    front = await fronts(scripted.url)
    async with front.stream() as client:
        assert await client.answer.content.readuntil(b"\n\n") == b": waiting\n\n"


async def test_a_client_that_does_not_read_loses_its_stream(
    fronts: Fronts, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def flood(stream: Any, message: Any) -> None:
        with suppress(ConnectionError):
            while True:
                await say(stream, {"jsonrpc": "2.0", "method": "n", "params": {"a": "x" * 50_000}})

    monkeypatch.setattr(legacy_client, "PATIENCE", 0.05)
    front = await fronts(scripted.url)
    scripted.play = flood
    async with front.stream() as client:
        await client.post(request("ping", 1))
        await scripted.ended[0].wait()
    await front.nobody()
