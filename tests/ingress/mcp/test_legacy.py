"""HTTP+SSE through Interlock: real clients and servers of it, and ones that misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from mcp import types

from interlock.core.actions import State
from interlock.ingress.mcp import legacy
from interlock.ingress.mcp.session import Holding
from interlock.store.redis import RedisStore
from tests.ingress.mcp.front import call, request
from tests.ingress.mcp.legacy_front import KEY, LegacyFront, Shop, a_shop
from tests.support.sse_server import Scripted, done

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


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with a_shop() as running:
        yield running


def text(result: Any) -> str:
    (block,) = result.content
    return str(block.text)


def said(answer: Any) -> str:
    return str(answer["result"]["content"][0]["text"])


# a real client and a real server -------------------------------------------------------------


@pytest.mark.parametrize("path", ["/mcp/shop", "/mcp/shop/", "/mcp/shop/sse"])
async def test_a_client_calls_what_policy_allows(fronts: Fronts, shop: Shop, path: str) -> None:
    front = await fronts(shop.url)
    heard: list[float] = []

    async def progress(value: float, total: float | None, message: str | None) -> None:
        heard.append(value)

    async with front.client(path) as client:
        listed = await client.list_tools()
        answer = await client.call_tool("look", {"shelf": "top"}, progress_callback=progress)
        await client.send_ping()

    assert text(answer) == "nothing on top" and shop.ran == ["look"] and heard == [1.0]
    assert {tool.name for tool in listed.tools} >= {"look", "buy", "interlock_wait"}


async def test_a_gated_tool_never_reaches_the_server_before_a_person_approves(
    fronts: Fronts, shop: Shop
) -> None:
    front = await fronts(shop.url)

    async with front.client() as client:
        first = await client.call_tool("buy", {"what": "tea"})
        again = await client.call_tool("buy", {"what": "tea"})
        assert text(first).startswith("NOT EXECUTED YET.") and text(again) == text(first)
        assert shop.ran == [] and "tools/call" not in shop.got

        action = await front.approve()
        await front.settled(action)
        late = await client.call_tool("buy", {"what": "tea"})
        waited = await client.call_tool("interlock_wait", {"call": action.id})

    assert text(late) == text(waited) == "bought tea"
    assert shop.ran == ["buy"] and shop.got.count("tools/call") == 1


async def test_a_call_that_is_approved_while_it_waits_is_answered_on_its_request(
    fronts: Fronts, shop: Shop
) -> None:
    front = await fronts(shop.url, holding=A_MINUTE)

    async with front.client() as client, asyncio.TaskGroup() as group:
        asked = group.create_task(client.call_tool("buy", {"what": "tea"}))
        action = await front.approve()
        assert text(await asked) == "bought tea"

    assert (await front.settled(action)).state is State.ANSWERED and shop.ran == ["buy"]


async def test_other_messages_flow_while_a_call_is_held(fronts: Fronts, shop: Shop) -> None:
    front = await fronts(shop.url, holding=A_MINUTE)

    async with front.client() as client, asyncio.TaskGroup() as group:
        asked = group.create_task(client.call_tool("buy", {"what": "tea"}))
        action = await front.held()
        await client.send_ping()
        assert text(await client.call_tool("look", {"shelf": "top"})) == "nothing on top"
        assert not asked.done()
        await front.world.gate.cancel(action.id, "bot")
        assert text(await asked).startswith("NOT EXECUTED.")

    assert shop.ran == ["look"]


async def test_a_server_asks_its_client_while_a_call_runs(fronts: Fronts, shop: Shop) -> None:
    front = await fronts(shop.url)

    async def answer(context: Any, asked: Any) -> types.ElicitResult:
        return types.ElicitResult(action="accept", content={"name": "Olga"})

    async with front.client(elicitation_callback=answer) as client:
        assert text(await client.call_tool("look_up")) == "hello Olga"


async def test_a_client_that_leaves_a_held_call_finds_it_on_a_new_stream(
    fronts: Fronts, shop: Shop
) -> None:
    front = await fronts(shop.url)
    async with front.client() as client:
        await client.call_tool("buy", {"what": "tea"})
    await shop.left.wait()
    action = await front.approve()
    await front.world.quiet()
    assert (await front.world.now(action)).state is State.APPROVED, "nobody is there to send it"

    async with front.client() as client:
        await client.call_tool("buy", {"what": "tea"})
        await front.settled(action)
        assert text(await client.call_tool("buy", {"what": "tea"})) == "bought tea"

    assert shop.ran == ["buy"]


async def test_an_answer_is_recorded_although_its_client_has_gone(
    fronts: Fronts, shop: Shop
) -> None:
    front = await fronts(shop.url)
    async with front.stream() as leaving:
        await leaving.greet()
        await leaving.post(call("look_long"))
        await shop.working.wait()
    await front.nobody()
    assert not shop.left.is_set(), "the tool is still at work"
    shop.free.set()
    await front.world.quiet()
    await shop.left.wait()

    (*_, last) = (after for *_, after in front.world.seen.moves)
    assert (last.call.mcp.name, last.state) == ("look_long", State.ANSWERED)


async def test_a_client_that_goes_away_leaves_no_stream_at_the_server(
    fronts: Fronts, shop: Shop
) -> None:
    front = await fronts(shop.url)
    async with front.stream() as leaving:
        await leaving.greet()
    await shop.left.wait()
    await front.nobody()


# whose stream it is --------------------------------------------------------------------------


async def test_the_servers_own_endpoint_stays_here(fronts: Fronts, scripted: Scripted) -> None:
    front = await fronts(scripted.url)
    async with front.stream() as client:
        path, _, given = client.endpoint.partition("?stream=")
        assert path == "/mcp/shop/messages" and len(given) == 32
        assert (await client.ask(request("ping", 3)))["id"] == 3

    (posted,) = scripted.posts
    assert posted.raw_path == "/said?session=secret0"


@pytest.mark.parametrize("query", ["", "?stream=", "?session=secret0", "?stream=" + "0" * 32])
async def test_a_message_for_no_stream_says_what_to_do(
    fronts: Fronts, scripted: Scripted, query: str
) -> None:
    front = await fronts(scripted.url)
    async with front.stream():
        status, answer = await front.post(f"/mcp/shop/messages{query}", call("look"))

    assert status == 404 and answer["error"]["code"] == 31404
    assert "Open a new one with `GET /mcp/shop`" in answer["error"]["message"]
    assert "Nothing was sent" in answer["error"]["message"] and scripted.got == []


async def test_a_stream_is_that_of_one_agent(fronts: Fronts, scripted: Scripted) -> None:
    front = await fronts(scripted.url)
    async with front.stream() as client:
        status, _ = await front.post(client.endpoint, call("look"), key="ilk_agent_eve")
        assert status == 404 and scripted.got == []
        status, _ = await front.post(client.endpoint, call("look"), key="ilk_agent_none")
        assert status == 401 and scripted.got == []


async def test_a_stream_that_has_ended_takes_no_message(fronts: Fronts, scripted: Scripted) -> None:
    front = await fronts(scripted.url)
    async with front.stream() as client:
        endpoint = client.endpoint
    await front.nobody()

    assert (await front.post(endpoint, call("look")))[0] == 404


async def test_a_stream_is_in_one_process(fronts: Fronts, scripted: Scripted) -> None:
    here, elsewhere = await fronts(scripted.url), await fronts(scripted.url, name="b")
    async with here.stream() as client:
        status, answer = await elsewhere.post(client.endpoint, call("look"))

    assert status == 404 and "another process" in answer["error"]["message"]


async def test_an_agent_has_a_bounded_number_of_streams(
    fronts: Fronts, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(legacy, "PER_AGENT", 1)
    front = await fronts(scripted.url)
    async with front.stream():
        async with front.session.get(f"{front.base}/mcp/shop", headers=KEY) as refused:
            assert refused.status == 429
        async with front.stream("ilk_agent_eve"):
            assert len(front.legacy) == 2
    await front.nobody()
    async with front.stream():
        assert len(front.legacy) == 1


# what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'[{"jsonrpc":"2.0","id":1,"method":"tools/call"}]',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"Name":"buy"}}',
    ],
)
async def test_a_message_that_could_be_read_in_two_ways_is_refused(
    fronts: Fronts, scripted: Scripted, body: bytes
) -> None:
    front = await fronts(scripted.url)
    async with front.stream() as client:
        status, answer = await client.post(body)

    assert status == 400 and answer["error"]["code"] in (-32700, -32600, -32602)
    assert scripted.got == []


async def test_other_media_and_methods_are_refused(fronts: Fronts, scripted: Scripted) -> None:
    front = await fronts(scripted.url)
    async with front.stream() as client:
        assert (await client.post(call("look"), **{"Content-Type": "text/plain"}))[0] == 415
        assert (await front.post("/mcp/shop", call("look")))[0] == 405
        async with front.session.get(front.base + client.endpoint, headers=KEY) as answer:
            assert answer.status == 405
    assert scripted.got == []


async def test_a_call_without_an_id_is_dropped(fronts: Fronts, scripted: Scripted) -> None:
    front = await fronts(scripted.url)
    async with front.stream() as client:
        await client.post(request("tools/call", None, name="look", arguments={}))
        await client.ask(request("ping", 1))

    assert [message["method"] for message in scripted.got] == ["ping"]


@pytest.mark.parametrize(
    "document",
    [
        call("buy", 1, what="tea"),
        {**call("buy", 1), "params": {"name": "buy", "arguments": {}, "task": {"ttl": 1}}},
        {**call("buy", 1), "params": {"name": "buy", "_meta": {"progressToken": 1}}},
        request("resources/read", 1, uri="file:///x"),
        request("prompts/get", 1, name="x"),
    ],
)
async def test_what_is_gated_never_reaches_the_server(
    fronts: Fronts, scripted: Scripted, document: Any
) -> None:
    front = await fronts(scripted.url, gates=frozenset({"resources/read", "prompts/get"}))
    async with front.stream() as client:
        await client.ask(request("tools/list", 0))
        for _ in range(3):
            answer = await client.ask(document)
            words = answer["error"]["message"] if "error" in answer else said(answer)
            assert answer["id"] == 1 and words.startswith("NOT EXECUTED")

    assert [message["method"] for message in scripted.got] == ["tools/list"]


async def test_a_call_before_any_listing_is_judged_by_what_the_server_lists_now(
    fronts: Fronts, scripted: Scripted
) -> None:
    front = await fronts(scripted.url)
    async with front.stream() as client:
        answer = await client.ask(call("look", 1))

    assert answer["result"] == {"did": "tools/call"} and front.definitions.known("shop")
    assert [message["method"] for message in scripted.got] == ["tools/list", "tools/call"]


async def test_a_cancelled_call_that_is_held_is_taken_back(
    fronts: Fronts, scripted: Scripted
) -> None:
    front = await fronts(scripted.url, holding=A_MINUTE)
    async with front.stream() as client:
        await client.post(call("buy", 7))
        action = await front.held()
        await client.post(request("notifications/cancelled", None, requestId=7))
        assert (await front.settled(action)).state is State.CANCELLED
        assert (await client.ask(request("ping", 8)))["id"] == 8, "no answer to what was cancelled"

    assert [m["method"] for m in scripted.got] == ["tools/list", "ping"]


# what the client says goes with it ------------------------------------------------------------


async def test_headers_that_may_pass_go_with_the_stream_and_its_messages(
    fronts: Fronts, scripted: Scripted
) -> None:
    front = await fronts(scripted.url, forward=frozenset({"x-tenant"}))
    headers = {"X-Tenant": "t", "Cookie": "a=b", "Interlock-Reason": "to look"}
    async with front.stream(**headers) as client:
        await client.ask(request("ping", 1))
        await client.ask(call("look", 2))

    for each in (*scripted.gets, *scripted.posts):
        assert each.headers.get("X-Tenant") == "t" and "Cookie" not in each.headers
        assert not any(name.lower().startswith("interlock-") for name in each.headers)
    assert front.world.seen.moves[-1][2].call.context.reason == "to look"


# several processes, and the end -----------------------------------------------------------------


async def test_a_call_that_is_approved_in_another_process_is_sent_on_its_own_stream(
    fronts: Fronts, scripted: Scripted
) -> None:
    here, elsewhere = await fronts(scripted.url), await fronts(scripted.url, name="b")
    async with here.stream() as client, elsewhere.stream():
        assert said(await client.ask(call("buy", 1))).startswith("NOT EXECUTED YET.")
        action = await elsewhere.approve()
        await elsewhere.world.quiet()
        assert (await elsewhere.world.now(action)).state is State.APPROVED
        here.holding = A_MINUTE
        async with here.stream() as other:
            answer = await other.ask(call("buy", 5))

    assert answer == done({"id": 5}, did="tools/call")
    assert [m["method"] for m in scripted.got].count("tools/call") == 1


async def test_at_the_end_calls_under_way_are_answered_and_streams_end(
    fronts: Fronts, shop: Shop
) -> None:
    front = await fronts(shop.url)
    async with front.stream() as quiet, front.stream() as busy:
        await busy.greet()
        await busy.post(call("look_long", 1))
        await shop.working.wait()
        front.legacy.close()
        assert await quiet.answer.content.read() == b""
        async with front.session.get(f"{front.base}/mcp/shop", headers=KEY) as refused:
            assert refused.status == 503
        shop.free.set()
        assert said(await busy.message()) == "a long look"
        assert await busy.answer.content.read() == b""
