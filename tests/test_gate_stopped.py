"""A stopped agent, as the gate has it: nothing is sent, people are told why, it goes on."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest

from interlock.core.actions import State, Verdict
from interlock.core.decisions import Level
from interlock.core.desk import EVERYBODY
from interlock.core.errors import IllegalTransition, Suspended, UpstreamUnreachable
from interlock.store.desk import RedisDesk
from interlock.store.redis import RedisStore
from tests.support.builders import edited
from tests.support.fakes import SEAL_KEY, World, approved_and_crashed
from tests.support.faults import noticed

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


# somebody who can write to the store -------------------------------------------------------------


@pytest.fixture
async def desk(world: World) -> RedisDesk:
    """What people stop agents with, in the process of *world*, which knows of it."""
    made = RedisDesk(world.store.client, key=SEAL_KEY, prefix=world.store._prefix[1:-1])
    world.store.stops_known = made.stops_known
    return made


async def lifted(world: World, who: str) -> None:
    """Have a process see a stop that somebody then takes out of the store."""
    await stop(world, who)
    await world.gate.sweep()
    await world.store.client.delete(f"{world.store._prefix}:stopped")


async def nothing_is_sent_though_the_stop_is_gone(world: World, who: str) -> None:
    action = await approved_and_crashed(world)
    held = await world.held(body=b'{"amount": 2}')
    await lifted(world, who)

    for _ in range(2):
        await world.gate.sweep()
        assert (await world.now(action)).state is State.APPROVED and world.tool.sent == []
        await world.store.client.delete(f"{world.store._prefix}:stopped")
    with pytest.raises(Suspended):
        await world.ask(Level.ALLOW)
    with pytest.raises(Suspended):
        await world.ask(Level.APPROVE, body=b'{"amount": 3}')
    with pytest.raises(IllegalTransition, match="stopped by olga"):
        await world.says(held)
    assert world.tool.sent == []


@PEOPLE
async def test_promise_43_a_stop_that_is_deleted_in_the_store_is_not_lifted(
    world: World, desk: RedisDesk, who: str
) -> None:
    await nothing_is_sent_though_the_stop_is_gone(world, who)


async def test_promise_43_a_process_that_believes_the_store_would_be_noticed(world: World) -> None:
    with noticed():
        await nothing_is_sent_though_the_stop_is_gone(world, "bot")


@PEOPLE
async def test_after_a_resumption_the_agent_goes_on_where_its_stop_had_vanished(
    world: World, desk: RedisDesk, who: str
) -> None:
    action = await approved_and_crashed(world)
    await lifted(world, who)
    with pytest.raises(Suspended):
        await world.ask(Level.ALLOW)

    assert await desk.resume(who)
    await world.gate.sweep()

    assert (await world.now(action)).state is State.ANSWERED
    await world.ask(Level.ALLOW)
    assert len(world.tool.sent) == 2


async def test_a_retry_joins_what_waits_though_the_stop_of_its_agent_vanished(
    world: World, desk: RedisDesk
) -> None:
    held = await world.held()
    await lifted(world, "bot")

    again = await world.ask()

    assert again.joined and again.action.id == held.id
