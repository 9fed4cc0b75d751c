"""The driver on a real store: decide, persist, then act; whatever happens, at most once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from interlock.core.actions import Action, Reviewer, State, ToolCall, Verdict
from interlock.core.decisions import Level
from interlock.core.digest import fingerprint
from interlock.core.errors import (
    Forbidden,
    IllegalTransition,
    InvalidEdit,
    KeyReused,
    NotFound,
    QueueFull,
    ReviewRefused,
    StaleVersion,
    StateUnavailable,
    StoreUnavailable,
    UpstreamLost,
    UpstreamUnreachable,
)
from interlock.ports import Limits
from interlock.sending import Timing
from interlock.store.redis import RedisStore
from tests.support.builders import ANN, BOB, CAT, edited
from tests.support.fakes import World, a_policy, approved_and_crashed, both, freeze
from tests.support.proxy import proxy
from tests.support.stores import Server, fresh_prefix

LOST = UpstreamLost("cut")
REFUSED = UpstreamUnreachable("refused")


@pytest.fixture
async def world(store: RedisStore) -> AsyncIterator[World]:
    world = World(store)
    yield world
    await world.gate.close(10)


# without people ----------------------------------------------------------------------------


async def test_an_allowed_call_is_recorded_sent_once_and_answered(world: World) -> None:
    submission = await world.gate.submit(world.call(Level.ALLOW))
    assert submission.relay is not None

    chunks = [chunk async for chunk in submission.relay.chunks()]

    assert chunks == [b"pa", b"id"] and world.tool.sent == [world.call(Level.ALLOW)]
    done = await world.now(submission.action)
    assert done.state is State.ANSWERED and done.answer is not None and done.answer.status == 200
    assert await world.path(done) == ["approved", "forwarding", "answered"]


async def test_people_are_told_of_a_notify_call_that_is_sent_at_once(world: World) -> None:
    submission = await world.ask(Level.NOTIFY)
    await world.quiet()

    assert len(world.tool.sent) == 1
    assert [action.id for action in world.seen.told] == [submission.action.id]


async def test_a_denied_call_is_recorded_and_never_sent(world: World) -> None:
    action = (await world.ask(Level.DENY)).action

    assert action.state is State.DENIED and world.tool.sent == []
    assert await world.path(action) == ["denied"]


async def test_the_send_is_written_down_before_its_first_byte(world: World) -> None:
    states: list[State] = []

    async def look(call: ToolCall) -> None:
        found = await world.store.get("a2")
        states.append(found.state if found else State.PROPOSED)

    world.tool.check = look
    await world.ask(Level.ALLOW)

    assert states == [State.FORWARDING]


@pytest.mark.parametrize("level", [Level.ALLOW, Level.NOTIFY, Level.APPROVE])
async def test_what_cannot_be_recorded_is_not_sent(own_server: Server, level: Level) -> None:
    store = RedisStore(own_server.url)
    world = World(store)
    own_server.kill()

    with pytest.raises(StoreUnavailable, match="Nothing was sent"):
        await world.ask(level)

    assert world.tool.sent == [] and world.seen.moves == []
    await store.close()


async def test_an_idempotency_key_keeps_the_answer_for_the_retry(world: World) -> None:
    first = await world.ask(Level.ALLOW, key="k1")
    await world.quiet()
    again = await world.ask(Level.ALLOW, key="k1")

    assert again.joined and again.action.id == first.action.id
    assert again.action.answer is not None and again.action.answer.body == b"paid"
    assert len(world.tool.sent) == 1


async def test_an_idempotency_key_of_another_call_is_refused(world: World) -> None:
    await world.ask(Level.ALLOW, key="k1")

    with pytest.raises(KeyReused):
        await world.ask(Level.ALLOW, key="k1", body=b'{"amount": 1}')
    assert len(world.tool.sent) == 1


async def test_fifty_submissions_with_one_key_are_one_call(world: World) -> None:
    asked = [world.gate.submit(world.call(Level.ALLOW), key="k1") for _ in range(50)]
    submissions = await asyncio.gather(*asked)
    for submission in submissions:
        if submission.relay is not None:
            await submission.relay.drain()

    assert len({submission.action.id for submission in submissions}) == 1
    assert sum(submission.joined for submission in submissions) == 49
    assert len(world.tool.sent) == 1


async def test_a_full_queue_says_so_and_sends_nothing(server: Server) -> None:
    store = RedisStore(server.url, fresh_prefix(), Limits(held_per_agent=1))
    world = World(store)
    await world.held()

    with pytest.raises(QueueFull, match="Nothing was sent"):
        await world.ask(body=b'{"amount": 1}')
    await store.close()


# held --------------------------------------------------------------------------------------


async def test_a_held_call_is_sent_once_when_it_is_approved(world: World) -> None:
    held = await world.held()
    assert world.tool.sent == []

    approved = await world.says(held)

    assert approved.state is State.APPROVED
    done = await world.now(held)
    assert done.state is State.ANSWERED and done.answer is not None and done.answer.body == b"paid"
    assert world.tool.sent == [held.call]
    assert await world.path(done) == ["held", "approved", "forwarding", "answered"]


async def test_a_rejected_call_is_never_sent(world: World) -> None:
    held = await world.held()

    rejected = await world.says(held, verdict=Verdict.REJECT)

    assert rejected.state is State.REJECTED and rejected.cause == "looked at it"
    await world.quiet()
    assert world.tool.sent == []


async def test_a_waiting_caller_gets_what_becomes_of_its_call(world: World) -> None:
    held = await world.held()
    waiter = asyncio.ensure_future(world.gate.wait(held, 30))
    await world.says(held)

    done = await asyncio.wait_for(waiter, 10)

    assert done.state is State.ANSWERED


async def test_a_repeat_of_a_held_call_joins_it(world: World) -> None:
    held = await world.held()
    again = await world.ask()

    assert again.joined and again.action == held


async def test_two_reviewers_at_once_cause_one_send(world: World) -> None:
    held = await world.held()

    results = await asyncio.gather(
        world.says(held, ANN), world.says(held, BOB), return_exceptions=True
    )

    await world.quiet()
    assert sum(isinstance(result, Action) for result in results) == 1
    assert sum(isinstance(result, ReviewRefused) for result in results) == 1
    assert len(world.tool.sent) == 1


async def test_both_of_two_simultaneous_votes_count(world: World) -> None:
    held = await world.held(Level.APPROVE_DUAL)

    await asyncio.gather(world.says(held, ANN), world.says(held, BOB))

    done = await world.now(held)
    assert done.state is State.ANSWERED and len(world.tool.sent) == 1
    assert sorted(vote.reviewer.id for vote in done.votes) == ["ann", "bob"]


async def test_the_same_click_twice_is_one_vote(world: World) -> None:
    held = await world.held(Level.APPROVE_DUAL)
    once = await world.says(held)
    twice = await world.says(held)

    assert once == await world.now(held) and twice.version == once.version


async def test_approve_against_cancel_has_one_winner(world: World) -> None:
    held = await world.held()

    await asyncio.gather(
        world.says(held), world.gate.cancel(held.id, "bot"), return_exceptions=True
    )

    done = await world.now(held)
    assert (done.state, len(world.tool.sent)) in [(State.CANCELLED, 0), (State.ANSWERED, 1)]


async def test_a_vote_in_between_does_not_stop_a_cancellation(world: World) -> None:
    held = await world.held(Level.APPROVE_DUAL)

    _, cancelled = await asyncio.gather(
        world.says(held), world.gate.cancel(held.id, "bot"), return_exceptions=True
    )

    assert isinstance(cancelled, Action) and cancelled.state is State.CANCELLED


async def test_only_its_own_agent_can_cancel_a_call(world: World) -> None:
    held = await world.held()

    with pytest.raises(NotFound):
        await world.gate.cancel(held.id, "other")
    assert (await world.gate.cancel(held.id, "bot")).state is State.CANCELLED
    assert (await world.gate.cancel(held.id, "bot")).state is State.CANCELLED


async def test_a_call_that_is_being_sent_cannot_be_cancelled_any_more(world: World) -> None:
    world.tool.free = asyncio.Event()
    held = await world.held()
    await world.says(held)
    await world.tool.busy.wait()

    with pytest.raises(IllegalTransition, match="forwarding"):
        await world.gate.cancel(held.id, "bot")
    world.tool.free.set()
    assert (await world.now(held)).state is State.ANSWERED


# edits and policy --------------------------------------------------------------------------


async def test_an_edit_is_sent_in_place_of_the_call_and_judged_again(world: World) -> None:
    held = await world.held()
    call, decision = await world.gate.preview(held, {"amount": 5, "to": "bob"})
    assert decision.level is Level.APPROVE

    await world.says(held, verdict=Verdict.EDIT, call=call)

    done = await world.now(held)
    assert [json.loads(sent.body) for sent in world.tool.sent] == [{"amount": 5}]
    assert done.original == held.call and done.edited


async def test_an_edit_into_what_policy_denies_is_refused(world: World) -> None:
    held = await world.held()
    when = "\n    when: args.amount == 5"
    world.gate.policy = a_policy(freeze("pay").rstrip() + when)

    with pytest.raises(InvalidEdit, match="frozen"):
        await world.gate.preview(held, {"amount": 5, "to": "bob"})
    call = edited(held, b'{"amount": 5}')
    with pytest.raises(InvalidEdit, match="deny"):
        await world.says(held, verdict=Verdict.EDIT, call=call)
    assert world.tool.sent == []


async def test_policy_that_denies_now_beats_the_approval(world: World) -> None:
    held = await world.held()
    world.gate.policy = a_policy(freeze("pay"))

    denied = await world.says(held)

    assert denied.state is State.DENIED and denied.cause == "Payments are frozen."
    await world.quiet()
    assert world.tool.sent == []


async def test_policy_that_tightens_between_approval_and_send_stops_it(world: World) -> None:
    approved = await approved_and_crashed(world)
    world.gate.policy = a_policy(freeze("pay"))

    await world.gate.sweep()

    denied = await world.now(approved)
    assert denied.state is State.DENIED and denied.cause == "Payments are frozen."
    assert world.tool.sent == []


async def test_policy_that_wants_two_people_now_does_not_send_on_one_vote(world: World) -> None:
    approved = await approved_and_crashed(world)
    world.gate.policy = a_policy(both("pay"))

    await world.gate.sweep()

    assert (await world.now(approved)).state is State.DENIED and world.tool.sent == []


async def test_a_looser_policy_changes_nothing_for_a_call_that_waits(world: World) -> None:
    world.gate.policy = a_policy(both("pay"))
    held = await world.held()
    world.gate.policy = a_policy()

    assert (await world.says(held)).state is State.HELD
    assert (await world.says(held, BOB)).state is State.APPROVED


async def test_an_approved_call_that_nobody_claimed_is_found_and_sent(world: World) -> None:
    approved = await approved_and_crashed(world)

    await world.gate.sweep()

    assert (await world.now(approved)).state is State.ANSWERED
    assert world.tool.sent == [approved.call]


async def test_many_sweepers_send_it_once(world: World) -> None:
    approved = await approved_and_crashed(world)
    others = [World(world.store, f"b{n}", tool=world.tool) for n in range(5)]

    await asyncio.gather(*(other.gate.sweep() for other in others))
    for other in others:
        await other.quiet()

    assert (await world.now(approved)).state is State.ANSWERED
    assert len(world.tool.sent) == 1


async def test_a_caller_that_has_gone_away_can_be_required(store: RedisStore) -> None:
    world = World(store, policy=a_policy(orphans="refuse"))
    held = await world.held()

    await world.says(held)
    await world.gate.sweep()
    assert (await world.now(held)).state is State.APPROVED and world.tool.sent == []

    again = await world.ask()  # its caller comes back
    await store.attend(held.id, 60)
    done = await world.gate.wait(again.action, 60)

    assert done.state is State.ANSWERED and len(world.tool.sent) == 1
    await world.quiet()


async def test_an_approved_call_whose_caller_stays_away_lapses_unsent(store: RedisStore) -> None:
    world = World(store, policy=a_policy(orphans="refuse"))
    held = await world.held()
    await world.says(held)
    await world.forge(held, deadline=1)

    await world.gate.sweep()

    assert (await world.now(held)).state is State.EXPIRED and world.tool.sent == []


async def test_a_call_without_its_caller_can_still_be_rejected(store: RedisStore) -> None:
    world = World(store, policy=a_policy(orphans="refuse"))
    held = await world.held()

    assert (await world.says(held, verdict=Verdict.REJECT)).state is State.REJECTED


# sends that fail ---------------------------------------------------------------------------


async def test_an_allowed_call_that_was_not_sent_is_over_and_may_be_asked_again(
    world: World,
) -> None:
    world.tool.fails = [REFUSED]

    submission = await world.ask(Level.ALLOW)

    assert submission.failure is REFUSED
    assert (await world.now(submission.action)).state is State.CANCELLED
    path = await world.path(submission.action)
    assert path == ["approved", "forwarding", "approved", "cancelled"]


async def test_an_approved_call_that_was_not_sent_is_sent_when_its_agent_asks_again(
    world: World,
) -> None:
    world.tool.fails = [REFUSED]
    held = await world.held()
    await world.says(held)
    waiting = await world.now(held)
    assert waiting.state is State.APPROVED and waiting.cause == "refused"
    assert (await world.gate.wait(waiting, 30)) == waiting, "waiting longer changes nothing"

    again = await world.ask()

    assert again.joined
    assert (await world.now(held)).state is State.ANSWERED and len(world.tool.sent) == 1


async def test_a_call_whose_answer_was_lost_is_unknown_and_never_sent_again(world: World) -> None:
    world.tool.fails = [LOST]
    held = await world.held()
    await world.says(held)
    lost = await world.now(held)
    assert lost.state is State.UNKNOWN and lost.cause == "cut"

    again = await world.ask()
    await world.gate.sweep()
    await world.gate.sender.dispatch(lost)
    await world.quiet()

    assert again.joined and again.action.state is State.UNKNOWN
    assert world.tool.sent == []


async def test_an_unknown_outcome_is_settled_by_a_person(world: World) -> None:
    world.tool.fails = [LOST]
    held = await world.held()
    await world.says(held)
    await world.quiet()

    resolved = await world.gate.resolve(held.id, "ann", True, "it is on the account")

    assert resolved.state is State.RESOLVED and "it is on the account" in resolved.cause
    with pytest.raises(IllegalTransition):
        await world.gate.resolve(held.id, "ann", False, "no")


async def test_an_answer_that_breaks_off_is_an_answer_and_says_so(world: World) -> None:
    world.tool.breaks = LOST
    held = await world.held()
    await world.says(held)

    done = await world.now(held)

    assert done.state is State.ANSWERED and done.answer is not None
    assert not done.answer.complete and not done.answer.kept


async def test_an_upstream_that_is_configured_no_more_is_never_guessed(world: World) -> None:
    held = await world.held()
    world.gate.sender.upstreams = {}

    await world.says(held)

    waiting = await world.now(held)
    assert waiting.state is State.APPROVED and "no upstream `bank`" in waiting.cause


async def test_a_send_that_comes_too_late_for_its_lease_is_not_made(store: RedisStore) -> None:
    world = World(store, timing=Timing(lease_ms=0))

    submission = await world.ask(Level.ALLOW)

    assert "ran out" in str(submission.failure) and world.tool.sent == []


# callers that go away, processes that stop -------------------------------------------------


async def test_a_caller_that_leaves_in_mid_send_does_not_stop_the_record(world: World) -> None:
    world.tool.free = asyncio.Event()
    caller = asyncio.ensure_future(world.gate.submit(world.call(Level.ALLOW), key="k1"))
    await world.tool.busy.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    world.tool.free.set()
    await world.quiet()

    retry = await world.ask(Level.ALLOW, key="k1")

    assert retry.joined and retry.action.state is State.ANSWERED
    assert retry.action.answer is not None and retry.action.answer.body == b"paid"
    assert len(world.tool.sent) == 1


async def test_a_caller_that_leaves_before_the_send_leaves_no_unknown_outcome(
    server: Server, tmp_path: Path
) -> None:
    async with proxy(server.url, tmp_path) as lossy:
        store = RedisStore(lossy.url, fresh_prefix())
        world = World(store)
        await store.now()
        lossy.delay = asyncio.Event()  # the claim is written; its reply is on the way
        caller = asyncio.ensure_future(world.gate.submit(world.call(Level.ALLOW)))
        while not len(store._batch._travelling):
            await asyncio.sleep(0)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        lossy.delay.set()
        await world.quiet()

        found = await store.get("a2")
        assert found is not None and found.state is State.CANCELLED
        assert world.tool.sent == []
        await store.close()


async def test_closing_finishes_what_is_under_way_and_starts_no_send(world: World) -> None:
    world.tool.free = asyncio.Event()
    first = await world.held()
    second = await world.held(body=b'{"amount": 1}')
    await world.says(first)
    await world.tool.busy.wait()
    closing = asyncio.ensure_future(world.gate.close(30))
    await asyncio.sleep(0)

    with pytest.raises(StoreUnavailable, match="shutting down"):
        await world.says(second)
    with pytest.raises(StoreUnavailable, match="shutting down"):
        await world.ask(Level.ALLOW)
    await world.gate.sweep()
    world.tool.free.set()

    assert await closing == 0, "the record of the answer belongs to the send"
    done = await world.store.get(first.id)
    assert done is not None and done.state is State.ANSWERED
    assert len(world.tool.sent) == 1


async def test_waiters_are_let_go_when_the_gate_closes(world: World) -> None:
    held = await world.held()
    waiter = asyncio.ensure_future(world.gate.wait(held, 3600))
    await world.gate.close(1)

    assert (await asyncio.wait_for(waiter, 10)).state is State.HELD


async def test_closing_tells_how_many_sends_did_not_finish(world: World) -> None:
    world.tool.free = asyncio.Event()
    held = await world.held()
    await world.says(held)
    await world.tool.busy.wait()

    assert await world.gate.close(0.01) > 0
    world.tool.free.set()


# what intruders write into the store -------------------------------------------------------


async def test_every_transition_is_told_to_observers_once(world: World) -> None:
    held = await world.held()
    await world.says(held)
    await world.quiet()

    moves = [(before.state.value, after.state.value) for before, _, after in world.seen.moves]
    assert moves == [
        ("proposed", "held"),
        ("held", "approved"),
        ("approved", "forwarding"),
        ("forwarding", "answered"),
    ]


async def test_nobody_can_decide_for_the_agent_or_its_owner(world: World) -> None:
    held = await world.held()

    for who in (Reviewer(id="bot"), Reviewer(id="olga")):
        with pytest.raises(Forbidden):
            await world.says(held, who)


async def test_a_decision_on_what_was_edited_meanwhile_is_stale(world: World) -> None:
    held = await world.held(Level.APPROVE_DUAL)
    call = edited(held, b'{"amount": 5}')
    await world.says(held, ANN, Verdict.EDIT, call=call)

    with pytest.raises(StaleVersion):
        await world.says(held, BOB)
    assert world.tool.sent == []


async def test_a_third_vote_finds_the_call_sent_already(world: World) -> None:
    held = await world.held(Level.APPROVE_DUAL)
    await world.says(held, ANN)
    await world.says(held, BOB)
    await world.quiet()

    with pytest.raises(ReviewRefused):
        await world.says(held, CAT)
    assert len(world.tool.sent) == 1


async def test_one_damaged_record_does_not_stop_the_sweep_of_others(world: World) -> None:
    damaged = await approved_and_crashed(world)
    sound = await approved_and_crashed(world, body=b'{"amount": 1}')
    await world.forge(damaged, rec=b"[]")

    await world.gate.sweep()
    await world.quiet()

    assert world.tool.sent == [sound.call]


async def test_a_call_of_another_agent_that_the_store_names_is_never_joined(world: World) -> None:
    """Fault caught: who can write to the store has one agent read what another one was told."""
    first = await world.ask(Level.ALLOW, key="k1")
    index = f"{world.store._prefix}:i:k2"
    theirs = world.call(Level.ALLOW, agent="eve")
    marked = f"{first.action.id} {fingerprint(theirs)}"
    await world.store.client.set(index, marked)

    with pytest.raises(StateUnavailable):
        await world.gate.submit(theirs, key="k2")
    assert world.tool.sent == [first.action.call]
