"""Practice calls, as the gate has them: held like any, and never anything else than that."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from interlock.core import lifecycle
from interlock.core.actions import Action, State, Verdict
from interlock.core.clearance import Seals
from interlock.core.commands import Command
from interlock.core.decisions import Level
from interlock.core.errors import Forbidden, IllegalTransition, NotFound, Suspended
from interlock.core.events import Claimed, ClearanceFailed, Decided, Event, Reviewed
from interlock.core.lifecycle import step
from interlock.granting import GrantAsked
from interlock.ports import Change, Limits, Notice, Put
from interlock.store.redis import RedisStore
from tests.support.builders import ANN, a_call, a_decision, a_review, edited
from tests.support.fakes import SEAL_KEY, World, a_policy
from tests.support.stores import Server, fresh_prefix

CALL = a_call()


def reviewed(verdict: Verdict) -> Callable[[Action], Change]:
    def change(action: Action) -> Change:
        call = edited(action) if verdict is Verdict.EDIT else None
        review = a_review(action, verdict=verdict, call=call)
        event = Reviewed(at=action.created, review=review, decision=a_decision())
        return changed(action, event)

    return change


def changed(action: Action, event: Event) -> Change:
    after, _ = step(action, event)
    return Change(before=action, event=event, after=after, nonce="late")


def claimed(action: Action) -> Change:
    approved = replace(action, state=State.APPROVED)
    return changed(approved, Claimed(at=action.created, nonce="late", lease_ms=1000))


def denied(action: Action) -> Change:
    approved = replace(action, state=State.APPROVED)
    return changed(approved, ClearanceFailed(at=action.created, cause="x"))


CHANGES = {verdict.value: reviewed(verdict) for verdict in Verdict}
CHANGES |= {"claim": claimed, "deny": denied}


@pytest.fixture
async def world(store: RedisStore) -> AsyncIterator[World]:
    world = World(store)
    yield world
    await world.gate.close(10)


async def planted(world: World, level: Level = Level.APPROVE) -> Action:
    call = world.call(level)
    return await world.gate.plant(call, await world.gate.judge(call), "a0")


async def test_people_are_told_of_it_and_see_it_among_the_held_ones(world: World) -> None:
    decoy = await planted(world)
    await world.quiet()

    listed = await world.store.held(None, 10)
    assert [each.id for each in listed.actions] == [decoy.id]
    assert (await world.store.counts())["held"] == listed.total == 1
    assert world.seen.told == [decoy] and world.seen.why == [Notice.HELD]
    assert world.gate.genuine(await world.now(decoy))


@pytest.mark.parametrize("level", [Level.APPROVE, Level.APPROVE_DUAL])
@pytest.mark.parametrize("verdict", Verdict)
async def test_every_verdict_ends_it_and_nothing_is_sent(
    world: World, verdict: Verdict, level: Level
) -> None:
    decoy = await planted(world, level)
    call = edited(decoy) if verdict is Verdict.EDIT else None

    after = await world.says(decoy, verdict=verdict, call=call)

    assert after.state is State.CANCELLED
    assert after.cause == f"A practice call; ann said {verdict.value}."
    kept = await world.now(decoy)
    assert [review.verdict for review in kept.reviews] == [verdict]
    assert world.tool.sent == [] and kept.votes == ()
    assert await world.path(decoy) == ["held", "cancelled"]
    assert world.seen.why == [Notice.HELD, Notice.SETTLED]


async def test_observers_hear_nothing_of_it(world: World) -> None:
    decoy = await planted(world)
    await world.says(decoy)
    lapsing = await planted(world)
    world.store.on_lapsed = world.gate.recorder.lapsed
    await world.forge(lapsing, deadline=1)

    assert (await world.now(lapsing)).state is State.EXPIRED
    assert world.seen.moves == []


async def test_its_owner_may_not_decide_it_either(world: World) -> None:
    decoy = await planted(world)

    with pytest.raises(Forbidden):
        await world.says(decoy, replace(ANN, id="olga"))


async def test_a_grant_asked_for_with_it_is_not_given(store: RedisStore) -> None:
    grants = "approvals: {grants: {tools: [bank.pay], at_most: notify, longest: 1h, uses: 3}}"
    world = World(store, policy=a_policy(grants))
    decoy = await planted(world)
    asked = GrantAsked(uses=3, seconds=600)

    await world.gate.review(decoy.id, a_review(decoy, message="fine"), grant=asked)

    assert await world.gate.grants() == ()


async def test_no_agent_sees_it_takes_it_back_or_joins_it(world: World) -> None:
    decoy = await planted(world)

    assert await world.gate.of_agent(decoy.id, "bot") is None
    with pytest.raises(NotFound):
        await world.gate.cancel(decoy.id, "bot")
    real = await world.held()
    assert real.id != decoy.id
    assert await world.gate.of_agent(real.id, "bot") == real
    assert [each.id for each in await world.store.session(real, 10)] == []


async def test_it_takes_no_place_of_its_agents_calls(server: Server) -> None:
    store = RedisStore(server.url, fresh_prefix(), Limits(held_per_agent=1))
    world = World(store)
    await planted(world)
    await world.held()
    await planted(world)

    assert (await store.held(None, 10)).total == 3
    await world.gate.close(10)
    await store.close()


async def test_it_is_kept_as_long_as_any_call_that_people_decided(world: World) -> None:
    decoy = await planted(world)
    await world.says(decoy)

    left = await world.store.client.pttl(f"{world.store._prefix}:c:{decoy.id}")
    assert left > Limits().keep_reviewed_ms - 60_000


async def test_none_is_planted_for_a_stopped_agent(world: World) -> None:
    await world.store.client.hset(f"{world.store._prefix}:stopped", "bot", "{}")

    with pytest.raises(Suspended):
        await planted(world)


@pytest.mark.parametrize(("level", "of"), [(Level.ALLOW, "a0"), (Level.APPROVE, "")])
async def test_what_is_not_held_or_like_nothing_is_no_practice_call(
    world: World, level: Level, of: str
) -> None:
    with pytest.raises(ValueError, match="practice"):
        await world.gate.plant(world.call(), a_decision(level), of)


def test_a_clearance_refuses_it_whatever_the_store_says() -> None:
    """Fault caught: a record that was pushed on to approved, with a genuine vote."""
    seals = Seals(SEAL_KEY)
    decided = Decided(at=1, decision=a_decision())
    held, _ = step(Action(id="a1", call=CALL, digest=CALL.digest), decided)
    review = seals.signed(held, a_review(held), held.call, a_decision(), 2)
    cleared = replace(held, state=State.APPROVED, votes=(review,))
    assert seals.refusal(seals.sealed(cleared), a_decision(), 3) is None

    refused = seals.refusal(seals.sealed(replace(cleared, decoy_of="a0")), a_decision(), 3)

    assert isinstance(refused, ClearanceFailed) and "practice" in refused.cause


@pytest.mark.parametrize("op", ["approve", "edit", "claim", "reject", "respond", "deny"])
async def test_the_store_lets_nothing_but_an_end_happen_to_it(world: World, op: str) -> None:
    """Fault caught: a process that takes it for a call."""
    decoy = await planted(world)
    taken = replace(decoy, decoy_of="")
    change = CHANGES[op](taken)

    stored = await world.store.put(change)

    assert stored.outcome is Put.ILLEGAL
    assert (await world.now(decoy)).state is State.HELD


async def test_the_store_lets_none_in_that_is_not_held(world: World) -> None:
    proposed = Action(id="d1", call=CALL, digest=CALL.digest, decoy_of="a0")
    event = Decided(at=await world.store.now(), decision=a_decision(Level.ALLOW))
    approved, _ = step(proposed, event)
    sent = replace(approved, state=State.FORWARDING)

    stored = await world.store.put(Change(before=proposed, event=event, after=sent, nonce="n"))

    assert stored.outcome is Put.ILLEGAL


def _taken_for_a_call(action: Action, event: Reviewed) -> tuple[Action, tuple[Command, ...]]:
    return lifecycle._approved(action, event)


async def test_a_state_machine_that_clears_it_is_stopped_by_the_store(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault planted: approving a practice call approves it."""
    decoy = await planted(world)
    monkeypatch.setattr(lifecycle, "_practised", _taken_for_a_call)

    with pytest.raises(IllegalTransition):
        await world.says(decoy)
    await world.gate.sweep()

    assert (await world.now(decoy)).state is State.HELD
    assert world.tool.sent == []


async def test_and_by_the_clearance_where_the_store_fails_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault planted: the same, in a store that has lost its own mark of practice."""
    decoy = await planted(world)
    monkeypatch.setattr(lifecycle, "_practised", _taken_for_a_call)
    name = f"{world.store._prefix}:c:{decoy.id}"
    await world.store.client.hdel(name, "decoy")

    await world.says(decoy)
    after = await world.now(decoy)

    assert (after.state, after.cause) == (State.DENIED, "A practice call; it is never sent.")
    assert world.tool.sent == []
