"""A stopped agent, as the gate has it: nothing is sent, people are told why, it goes on."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest

from interlock.core.actions import State, Verdict
from interlock.core.decisions import Level
from interlock.core.desk import EVERYBODY
from interlock.core.errors import IllegalTransition, Suspended, UpstreamUnreachable
from interlock.store.redis import RedisStore
from tests.support.builders import edited
from tests.support.fakes import World, approved_and_crashed

SAID = '{"by": "olga", "reason": "It pays twice.", "at": 1790000000000}'
PEOPLE = pytest.mark.parametrize("who", ["bot", EVERYBODY])


@pytest.fixture
async def world(store: RedisStore) -> AsyncIterator[World]:
    world = World(store)
    yield world
    await world.gate.close(10)


async def stop(world: World, who: str = "bot") -> None:
    await world.store.client.hset(f"{world.store._prefix}:stopped", who, SAID)


async def resume(world: World, who: str = "bot") -> None:
    await world.store.client.hdel(f"{world.store._prefix}:stopped", who)


@PEOPLE
@pytest.mark.parametrize("level", [Level.ALLOW, Level.NOTIFY, Level.APPROVE])
async def test_a_stopped_agent_is_refused_and_nothing_is_recorded(
    world: World, level: Level, who: str
) -> None:
    await stop(world, who)

    with pytest.raises(Suspended, match="stopped by a person"):
        await world.ask(level)
    assert world.tool.sent == [] and world.seen.moves == [] and world.seen.told == []


async def test_a_resumed_agent_goes_on(world: World) -> None:
    await stop(world)
    with pytest.raises(Suspended):
        await world.ask(Level.ALLOW)
    await resume(world)

    await world.ask(Level.ALLOW)

    assert len(world.tool.sent) == 1


async def test_a_retry_joins_what_waits_though_its_agent_is_stopped(world: World) -> None:
    held = await world.held()
    await stop(world)

    again = await world.ask()

    assert again.joined and again.action.id == held.id


@PEOPLE
@pytest.mark.parametrize("verdict", [Verdict.APPROVE, Verdict.EDIT])
async def test_nobody_clears_a_call_of_a_stopped_agent_and_hears_who_stopped_it(
    world: World, verdict: Verdict, who: str
) -> None:
    held = await world.held()
    await stop(world, who)

    with pytest.raises(IllegalTransition) as refused:
        call = edited(held) if verdict is Verdict.EDIT else None
        await world.says(held, verdict=verdict, call=call)
    for part in ("olga", "It pays twice.", "2026-09-21 14:13 UTC", "can be rejected", "resume"):
        assert part in refused.value.detail
    assert (await world.now(held)).state is State.HELD


@pytest.mark.parametrize("verdict", [Verdict.REJECT, Verdict.RESPOND])
async def test_a_call_of_a_stopped_agent_can_be_rejected_and_answered(
    world: World, verdict: Verdict
) -> None:
    held = await world.held()
    await stop(world)

    after = await world.says(held, verdict=verdict)

    assert after.state in (State.REJECTED, State.RESPONDED)


async def test_an_approved_call_waits_is_logged_once_and_is_sent_once_its_agent_is_resumed(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    action = await approved_and_crashed(world)
    await stop(world)

    with caplog.at_level(logging.WARNING, "interlock"):
        for _ in range(3):
            await world.gate.sweep()
            await world.quiet()
    assert [line for line in caplog.messages if "its agent is stopped" in line] == [
        f"call {action.id} is approved and waits: its agent is stopped"
    ]
    assert (await world.now(action)).state is State.APPROVED and world.tool.sent == []
    await resume(world)
    await world.gate.sweep()

    assert (await world.now(action)).state is State.ANSWERED
    assert world.tool.sent == [action.call]


async def test_an_approval_of_a_stopped_agent_lapses(world: World) -> None:
    action = await approved_and_crashed(world)
    await stop(world)
    await world.forge(action, deadline=1)
    await world.store.client.zadd(f"{world.store._prefix}:due", {action.id: 1})

    await world.gate.sweep()

    assert (await world.now(action)).state is State.EXPIRED


async def test_what_could_not_be_sent_is_not_tried_again_for_a_stopped_agent(world: World) -> None:
    world.tool.fails.append(UpstreamUnreachable("refused"))
    held = await world.held()
    await world.says(held)
    assert (await world.now(held)).fence == 1
    await stop(world)

    again = await world.ask()
    await world.quiet()

    assert again.action.state is State.APPROVED and world.tool.sent == []
