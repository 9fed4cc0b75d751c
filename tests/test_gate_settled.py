"""People who were told of a held call hear exactly once that it waits for them no more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from interlock.core.actions import Action, State, Verdict
from interlock.core.decisions import Level
from interlock.ports import Notice
from interlock.store.redis import RedisStore
from tests.support.builders import ANN, BOB
from tests.support.fakes import World

BOTH = [Notice.HELD, Notice.SETTLED]


@pytest.fixture
async def world(store: RedisStore) -> AsyncIterator[World]:
    world = World(store)
    store.on_lapsed = world.gate.recorder.lapsed
    yield world
    await world.gate.close(10)


async def lapse(world: World, action: Action) -> None:
    await world.forge(action, deadline=1)
    await world.store.client.zadd(f"{world.store._prefix}:due", {action.id: 1})


@pytest.mark.parametrize("verdict", [Verdict.APPROVE, Verdict.REJECT, Verdict.RESPOND])
async def test_a_decision_settles_it(world: World, verdict: Verdict) -> None:
    held = await world.held()
    after = await world.says(held, verdict=verdict)
    await world.quiet()

    assert world.seen.why == BOTH
    assert world.seen.told[1].state is after.state and world.seen.told[1].reviews == after.reviews


async def test_a_vote_that_is_not_enough_settles_nothing(world: World) -> None:
    held = await world.held(Level.APPROVE_DUAL)
    await world.says(held, ANN)
    assert world.seen.why == [Notice.HELD]

    await world.says(held, BOB)
    await world.quiet()

    assert world.seen.why == BOTH


async def test_its_caller_settles_it_by_taking_it_back(world: World) -> None:
    held = await world.held()
    await world.gate.cancel(held.id, "bot")
    await world.quiet()

    assert world.seen.why == BOTH and world.seen.told[1].state is State.CANCELLED


async def test_its_end_settles_it_once_whoever_looks(world: World) -> None:
    held = await world.held()
    await lapse(world, held)
    await asyncio.gather(world.gate.sweep(), world.store.get(held.id), world.gate.sweep())
    await world.quiet()

    assert world.seen.why == BOTH and world.seen.told[1].state is State.EXPIRED


async def test_an_end_that_a_retry_finds_is_told_too(world: World) -> None:
    """Fault caught: a retry ends the hold on its way, and nobody hears of it."""
    first = await world.held()
    await world.forge(first, deadline=1)

    again = await world.held()
    await world.quiet()

    assert again.id != first.id
    assert sorted(why.value for why in world.seen.why) == ["held", "held", "settled"]
    assert [each.id for each in world.seen.told].count(first.id) == 2


async def test_an_end_that_a_waiter_finds_is_told_too(world: World) -> None:
    held = await world.held()
    await world.forge(held, deadline=1)

    await world.store._versions([held.id])
    await world.quiet()

    assert world.seen.why == BOTH


async def test_an_end_that_falls_on_a_reminder_is_told_too(world: World) -> None:
    held = await world.held()
    await lapse(world, held)
    await world.forge(held, remind="60000")
    await world.store.client.zadd(f"{world.store._prefix}:remind", {held.id: 1})

    assert await world.store.remind(10) == ()
    await world.gate.sweep()
    await world.quiet()

    assert world.seen.why == BOTH


async def test_what_was_never_held_settles_nothing(world: World) -> None:
    await world.ask(Level.ALLOW)
    await world.ask(Level.NOTIFY)
    await world.ask(Level.DENY)
    await world.quiet()

    assert world.seen.why == [Notice.SENT]
