"""Callers join, follow and take back calls on record; nobody else's, and nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from interlock.callers import Callers
from interlock.core.actions import State, Verdict
from interlock.core.decisions import Level
from interlock.core.errors import IllegalTransition, NotFound, StateUnavailable
from interlock.store.redis import RedisStore
from interlock.tasks import Tasks
from tests.support.fakes import NoonClock, World


@pytest.fixture
async def world(store: RedisStore) -> AsyncIterator[World]:
    world = World(store)
    yield world
    await world.gate.close(10)


@pytest.fixture
def closing() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
async def callers(world: World, closing: asyncio.Event) -> AsyncIterator[Callers]:
    tasks = Tasks()
    yield Callers(
        store=world.store,
        recorder=world.gate.recorder,
        sender=world.gate.sender,
        clock=NoonClock(),
        tasks=tasks,
        closing=closing,
    )
    assert await tasks.drain(10) == 0


async def test_an_agent_reads_its_own_calls_and_hears_of_no_other(
    world: World, callers: Callers
) -> None:
    held = await world.held()
    assert await callers.of_agent(held.id, "bot") == held
    assert await callers.of_agent(held.id, "other") is None
    assert await callers.of_agent("nothing", "bot") is None


# joining ------------------------------------------------------------------------------------


async def test_whoever_repeats_a_held_call_joins_it_and_sends_nothing(
    world: World, callers: Callers
) -> None:
    held = await world.held()
    joined = await callers.join(held.id, held.call)
    assert (joined.action, joined.joined, joined.relay) == (held, True, None)
    assert world.tool.sent == []


async def test_a_call_that_has_just_gone_may_have_been_sent_so_nobody_sends_it_again(
    world: World, callers: Callers
) -> None:
    with pytest.raises(StateUnavailable):
        await callers.join("nothing", world.call())
    assert world.tool.sent == []


# waiting ------------------------------------------------------------------------------------


async def test_who_waits_gets_what_people_decide(world: World, callers: Callers) -> None:
    held = await world.held()
    waiting = asyncio.ensure_future(callers.wait(held, 60))
    await asyncio.sleep(0)
    assert not waiting.done()

    await world.says(held)

    assert (await waiting).state is State.ANSWERED
    assert len(world.tool.sent) == 1


async def test_who_waits_no_longer_gets_it_as_it_stands(world: World, callers: Callers) -> None:
    held = await world.held()
    assert await callers.wait(held, 0) == held


async def test_nobody_waits_for_a_call_that_is_settled(world: World, callers: Callers) -> None:
    held = await world.held()
    rejected = await world.says(held, verdict=Verdict.REJECT)
    assert await callers.wait(rejected, 3600) == rejected


async def test_nobody_waits_in_a_process_that_is_about_to_stop(
    world: World, callers: Callers, closing: asyncio.Event
) -> None:
    held = await world.held()
    closing.set()
    assert await callers.wait(held, 3600) == held


# following ----------------------------------------------------------------------------------


async def test_who_follows_gets_the_answer_as_it_comes(world: World, callers: Callers) -> None:
    held = await world.held()
    following = asyncio.ensure_future(callers.follow(held, 60))
    await asyncio.sleep(0)
    await world.says(held)

    followed = await following

    assert followed.relay is not None
    await followed.relay.drain()
    assert (await world.now(held)).state is State.ANSWERED


async def test_who_follows_a_call_that_is_rejected_hears_of_it_without_an_answer(
    world: World, callers: Callers
) -> None:
    held = await world.held()
    following = asyncio.ensure_future(callers.follow(held, 60))
    await asyncio.sleep(0)
    await world.says(held, verdict=Verdict.REJECT)

    followed = await following

    assert followed.action.state is State.REJECTED and followed.relay is None
    assert world.tool.sent == []


# taking back --------------------------------------------------------------------------------


async def test_a_call_that_is_taken_back_is_never_sent(world: World, callers: Callers) -> None:
    held = await world.held(Level.APPROVE_DUAL)
    assert (await callers.cancel(held.id, "bot")).state is State.CANCELLED
    assert (await callers.cancel(held.id, "bot")).state is State.CANCELLED
    with pytest.raises(IllegalTransition):
        await world.says(held)
    assert world.tool.sent == []


@pytest.mark.parametrize("agent", ["other", ""])
async def test_nobody_takes_back_the_call_of_another(
    world: World, callers: Callers, agent: str
) -> None:
    held = await world.held()
    with pytest.raises(NotFound, match=held.id):
        await callers.cancel(held.id, agent)
    assert (await world.now(held)).state is State.HELD


async def test_a_call_that_was_answered_cannot_be_taken_back(
    world: World, callers: Callers
) -> None:
    held = await world.held()
    await world.says(held)
    await world.quiet()
    with pytest.raises(IllegalTransition):
        await callers.cancel(held.id, "bot")
    assert (await world.now(held)).state is State.ANSWERED
