"""A stopped agent says nothing to servers: not by calls, nor by what passes unjudged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from interlock.core.desk import Suspension
from interlock.core.errors import StoreUnavailable, Suspended
from interlock.core.messages import message_of
from interlock.ingress.mcp.session import Holding
from interlock.ingress.mcp.stops import AGENTS, Stops
from interlock.store.desk import RedisDesk
from interlock.store.redis import RedisStore
from tests.ingress.mcp.front import LEGACY, Front, call, event, modern, request, result, stream
from tests.ingress.mcp.legacy_front import KEY, LegacyFront
from tests.ingress.mcp.test_stdio import piped
from tests.support.sse_server import Scripted

SESSION = {"Mcp-Session-Id": "s-1", "MCP-Protocol-Version": LEGACY}
UNJUDGED = (
    "resources/read",
    "prompts/get",
    "resources/subscribe",
    "completion/complete",
    "logging/setLevel",
    "tools/list",
    "tasks/get",
    "tasks/cancel",
    "x/delete-everything",
)
STOPPED = "NOT EXECUTED. This agent was stopped by a person."


async def stop(store: RedisStore, agent: str = "-") -> None:
    desk = RedisDesk(store.client, key=b"k" * 32, prefix=store._prefix.strip("{}"))
    await desk.suspend(Suspension(agent=agent, by="ann", reason="it loops", at=0))


@pytest.fixture
async def front(store: RedisStore) -> AsyncIterator[Front]:
    made = Front(store, holding=Holding(seconds=0))
    await made.start()
    yield made
    await made.stop()


# streamable HTTP -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", UNJUDGED)
@pytest.mark.parametrize("agent", ["-", "bot"])
async def test_nothing_of_a_stopped_agent_passes_unjudged(
    front: Front, store: RedisStore, method: str, agent: str
) -> None:
    await stop(store, agent)
    status, _, answer = await front.post(request(method, 1, uri="x"), headers=SESSION)
    assert status == 200  # a client that is refused with 403 would look for another key
    assert answer["error"]["message"].startswith(STOPPED)
    assert answer["error"]["data"]["dev.interlock/call"]["state"] == "agent-suspended"
    assert front.sent == []
    assert front.refused == ["agent-suspended"]


@pytest.mark.parametrize("method", ["resources/read", "x/look"])
async def test_nothing_passes_in_the_new_version_either(
    front: Front, store: RedisStore, method: str
) -> None:
    await stop(store)
    document, headers = modern(request(method, 1, uri="x"))
    _, _, answer = await front.post(document, headers=headers | {"Mcp-Name": "x"})
    assert answer["error"]["message"].startswith(STOPPED)
    assert front.sent == []


async def test_a_call_of_a_stopped_agent_is_answered_with_an_ordinary_result(
    front: Front, store: RedisStore
) -> None:
    await stop(store)
    _, _, answer = await front.post(call("look"), headers=SESSION)
    assert answer["result"]["content"][0]["text"].startswith(STOPPED)
    assert front.sent == []


@pytest.mark.parametrize("method", ["initialize", "ping"])
async def test_a_client_of_a_stopped_agent_still_connects(
    front: Front, store: RedisStore, method: str
) -> None:
    await stop(store)
    _, _, answer = await front.post(request(method))
    assert answer["result"]["did"] == method


async def test_what_is_under_way_can_be_taken_back_and_answered(
    front: Front, store: RedisStore
) -> None:
    await stop(store)
    taken = await front.post(request("notifications/cancelled", None, requestId=7), headers=SESSION)
    said = await front.post({"jsonrpc": "2.0", "id": 3, "result": {}}, headers=SESSION)
    assert (taken[0], said[0]) == (202, 202)
    assert len(front.asked) == 2


async def test_a_notification_of_a_stopped_agent_is_refused(
    front: Front, store: RedisStore
) -> None:
    await stop(store)
    status, _, answer = await front.post(
        request("notifications/roots/list_changed", None), headers=SESSION
    )
    assert status == 403
    assert answer["error"]["message"].startswith(STOPPED)
    assert front.asked == []


async def test_a_stopped_agent_opens_no_stream_and_can_end_its_session(
    front: Front, store: RedisStore
) -> None:
    await stop(store)
    opened = await front.ask("GET", headers=SESSION)
    assert (opened[0], front.asked) == (403, [])
    await front.ask("DELETE", headers=SESSION)
    assert [each.method for each in front.asked] == ["DELETE"]


async def test_an_open_stream_ends_once_its_agent_is_stopped(
    front: Front, store: RedisStore
) -> None:
    gone = asyncio.Event()

    async def speaking(http: web.Request, message: Any) -> web.StreamResponse:
        try:
            opened = await stream(http, event(request("notifications/x", None)), end=False)
            await asyncio.Event().wait()
            return opened
        finally:
            gone.set()

    front.script = speaking
    async with asyncio.timeout(20), front.open("GET", headers=SESSION) as answer:
        assert b"notifications/x" in await answer.content.readany()
        await stop(store)
        assert await answer.read() == b""
        await gone.wait()


async def test_a_request_under_way_is_answered_once_its_agent_is_stopped(
    front: Front, store: RedisStore
) -> None:
    async def silent(http: web.Request, message: Any) -> web.StreamResponse:
        await stop(store)
        await asyncio.Event().wait()
        return web.Response()

    front.script = silent
    async with asyncio.timeout(20):
        _, _, answer = await front.post(request("resources/read"), headers=SESSION)
    assert answer["error"]["message"].startswith(STOPPED)


async def test_others_go_on(front: Front, store: RedisStore) -> None:
    await stop(store, "other")
    _, _, answer = await front.post(request("resources/read"), headers=SESSION)
    assert answer == result({"id": 1}, did="resources/read")


# HTTP+SSE ------------------------------------------------------------------------------------


@pytest.fixture
async def legacy(store: RedisStore, scripted: Scripted) -> AsyncIterator[LegacyFront]:
    made = LegacyFront(store, scripted.url)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def scripted() -> AsyncIterator[Scripted]:
    made = Scripted()
    await made.start()
    yield made
    await made.stop()


async def test_a_stopped_agent_opens_no_stream_of_the_old_transport(
    legacy: LegacyFront, store: RedisStore
) -> None:
    await stop(store)
    async with legacy.session.get(f"{legacy.base}/mcp/shop", headers=KEY) as answer:
        assert answer.status == 403
        assert STOPPED in await answer.text()


async def test_an_open_stream_of_the_old_transport_ends_once_its_agent_is_stopped(
    legacy: LegacyFront, store: RedisStore
) -> None:
    async with (
        asyncio.timeout(20),
        legacy.session.get(f"{legacy.base}/mcp/shop", headers=KEY) as answer,
    ):
        await answer.content.readany()
        await stop(store)
        await answer.read()
    assert len(legacy.legacy) == 0


# pipes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", UNJUDGED)
async def test_nothing_of_a_stopped_agent_passes_on_pipes(
    store: RedisStore, tmp_path: Path, method: str
) -> None:
    async with piped(store, tmp_path) as pipes:
        pipes.up()
        await stop(store)
        await pipes.says(id=1, method=method, params={"uri": "x"})
        answer = await pipes.hears()
        assert answer["id"] == 1
        assert answer["error"]["message"].startswith(STOPPED)
        await pipes.says(id=2, method="ping")
        assert (await pipes.hears())["id"] == 2  # the server itself has answered nothing before


async def test_what_is_asked_before_the_gate_is_up_waits_for_who_is_stopped(
    store: RedisStore, tmp_path: Path
) -> None:
    await stop(store)
    async with piped(store, tmp_path) as pipes:
        await pipes.says(id=1, method="resources/read", params={"uri": "x"})
        await pipes.says(id=2, method="ping")
        assert (await pipes.hears())["id"] == 2
        pipes.up()
        assert (await pipes.hears())["error"]["message"].startswith(STOPPED)


async def test_what_was_cancelled_before_the_gate_was_up_is_not_sent(
    store: RedisStore, tmp_path: Path
) -> None:
    async with piped(store, tmp_path) as pipes:
        await pipes.says(id=1, method="tools/list")
        await pipes.cancel(1)
        pipes.up()
        await pipes.says(id=2, method="tools/list")
        heard = [await pipes.hears()]
        while heard[-1].get("id") != 2:
            heard.append(await pipes.hears())
        assert all(each.get("id") != 1 for each in heard)


async def test_a_notification_of_a_stopped_agent_is_dropped_on_pipes(
    store: RedisStore, tmp_path: Path
) -> None:
    async with piped(store, tmp_path) as pipes:
        pipes.up()
        await stop(store)
        await pipes.says(method="notifications/roots/list_changed")
        assert pipes.told[0].startswith(
            "`notifications/roots/list_changed` was dropped: This agent"
        )


# asking the store ----------------------------------------------------------------------------


@dataclass
class Told:
    """Says who is stopped, and counts who was asked for."""

    stopped_ones: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    down: bool = False

    async def stopped(self, agent: str) -> Suspension | None:
        if self.down:
            raise StoreUnavailable
        self.asked.append(agent)
        if agent not in self.stopped_ones:
            return None
        return Suspension(agent=agent, by="ann", reason="it loops", at=0)


@dataclass
class Hand:
    """A clock that a test puts forward."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


READ = message_of(request("resources/read"))


async def test_the_store_is_asked_at_most_twice_a_second() -> None:
    told, hand = Told(), Hand()
    stops = Stops(told, clock=hand)
    for _ in range(100):
        await stops.check("bot", READ)
    assert told.asked == ["bot"]
    told.stopped_ones.add("bot")
    hand.now += 0.5
    with pytest.raises(Suspended):
        await stops.check("bot", READ)
    assert told.asked == ["bot"] * 2


async def test_a_handshake_asks_nobody() -> None:
    told = Told(down=True)
    await Stops(told).check("bot", message_of(request("initialize")))
    assert told.asked == []


async def test_nothing_passes_while_nobody_can_tell() -> None:
    with pytest.raises(StoreUnavailable):
        await Stops(Told(down=True)).check("bot", READ)


async def test_what_is_open_outlives_a_store_that_is_away() -> None:
    told = Told(down=True)
    stops = Stops(told, fresh=0.0, watch=0.001)
    with pytest.raises(Suspended):
        async with asyncio.timeout(20), stops.ending("bot"):
            await asyncio.sleep(0.01)
            told.down, told.stopped_ones = False, {"bot"}
            await asyncio.Event().wait()
    assert told.asked == ["bot"]


async def test_a_time_that_is_over_within_is_not_taken_for_a_stop() -> None:
    with pytest.raises(TimeoutError):
        async with Stops(Told()).ending("bot"):
            raise TimeoutError


async def test_answers_about_many_agents_are_forgotten() -> None:
    told, hand = Told(), Hand()
    stops = Stops(told, clock=hand)
    for number in range(AGENTS + 1):
        await stops.check(f"bot-{number}", READ)
    await stops.check("bot-0", READ)
    assert told.asked[-1] == "bot-0"
