"""Escalating a held call: policy's next deciders may decide at once, and everybody hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from interlock.core.actions import Action, Reviewer, State, Verdict
from interlock.core.decisions import Escalation, Level
from interlock.core.errors import Forbidden, IllegalTransition, Lapsed, NotFound
from interlock.ports import Notice
from interlock.store.redis import RedisStore
from tests.support.builders import ANN, BOB
from tests.support.fakes import World, a_policy

LEVELS = """
levels:
  approve: {approvers: [clerks], remind_after: 5m, escalate: [{after: 15m, to: [chiefs]}]}
  approve_dual: {approvers: [clerks], escalate: [{after: 15m, to: [chiefs]}]}
"""
CLERK = replace(ANN, groups=frozenset({"clerks"}))
OTHER = replace(BOB, groups=frozenset({"clerks"}))
CHIEF = Reviewer(id="cleo", groups=frozenset({"chiefs"}))


@pytest.fixture
async def world(store: RedisStore) -> AsyncIterator[World]:
    world = World(store, policy=a_policy(LEVELS))
    yield world
    await world.gate.close(10)


async def due_at(world: World, action: Action) -> float | None:
    return await world.store.client.zscore(f"{world.store._prefix}:remind", action.id)


async def test_those_whom_policy_names_next_may_decide_at_once(world: World) -> None:
    held = await world.held()
    with pytest.raises(Forbidden, match="clerks"):
        await world.says(held, CHIEF)

    raised = await world.gate.escalate(held.id, "ann", "The clerks are out.")
    await world.quiet()

    assert raised == await world.now(held)
    assert [(each.by, each.message) for each in raised.raised] == [("ann", "The clerks are out.")]
    assert raised.state is State.HELD and raised.deadline == held.deadline
    assert world.seen.why == [Notice.HELD, Notice.ESCALATED]
    approved = await world.says(await world.now(held), CHIEF)
    assert approved.state is State.APPROVED
    assert (await world.now(held)).state is State.ANSWERED


async def test_what_was_seen_before_may_still_be_approved(world: World) -> None:
    held = await world.held()
    await world.gate.escalate(held.id, "ann", "")

    assert (await world.says(held, CLERK)).state is State.APPROVED


async def test_votes_survive_and_nobody_counts_twice(world: World) -> None:
    held = await world.held(Level.APPROVE_DUAL)
    await world.says(held, CLERK)
    await world.gate.escalate(held.id, "ann", "")

    with pytest.raises(IllegalTransition, match="already approved"):
        await world.says(await world.now(held), CLERK)
    assert (await world.says(held, CHIEF)).state is State.APPROVED


async def test_reminders_go_on_and_the_step_is_not_told_again(world: World) -> None:
    held = await world.held()
    raised = await world.gate.escalate(held.id, "ann", "")
    assert raised.decision is not None

    (step,) = raised.decision.escalate
    assert step == Escalation(after_ms=raised.raised[0].at - raised.created, to=("chiefs",))
    assert await due_at(world, held) == raised.created + 5 * 60_000


async def test_without_a_step_left_it_is_refused(world: World) -> None:
    held = await world.held()
    await world.gate.escalate(held.id, "ann", "")

    with pytest.raises(IllegalTransition, match="nobody else"):
        await world.gate.escalate(held.id, "bob", "")


async def test_what_is_unknown_decided_or_lapsed_is_not_escalated(world: World) -> None:
    with pytest.raises(NotFound):
        await world.gate.escalate("nope", "ann", "")
    held = await world.held()
    await world.says(held, CLERK, Verdict.REJECT)
    with pytest.raises(IllegalTransition, match="rejected"):
        await world.gate.escalate(held.id, "ann", "")
    late = await world.held(body=b'{"amount": 1}')
    await world.forge(late, deadline=1)
    with pytest.raises((Lapsed, IllegalTransition)):
        await world.gate.escalate(late.id, "ann", "")


async def test_a_record_that_was_changed_outside_is_not_sealed_anew(world: World) -> None:
    """Fault caught: escalating blesses what somebody wrote into the store."""
    held = await world.held()
    raw = await world.raw(held)
    await world.forge(held, rec=raw[b"rec"].replace(b'"clerks"', b'"crooks"'))

    with pytest.raises(IllegalTransition, match="changed outside"):
        await world.gate.escalate(held.id, "ann", "")


async def test_escalating_while_others_vote_loses_neither(world: World) -> None:
    held = await world.held(Level.APPROVE_DUAL)

    await asyncio.gather(world.says(held, CLERK), world.gate.escalate(held.id, "bob", ""))

    after = await world.now(held)
    assert len(after.votes) == 1 and len(after.raised) == 1
    assert (await world.says(held, OTHER)).state is State.APPROVED


async def test_the_record_says_who_asked(world: World) -> None:
    held = await world.held()
    await world.gate.escalate(held.id, "ann", "The clerks are out.")

    last = (await world.store.history(held.id))[-1]
    assert (last["from"], last["to"]) == ("held", "held")
    assert '"by":"ann"' in last["event"] and "The clerks are out." in last["event"]
