"""The store on a real server: what it takes, what it refuses, what it remembers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from interlock.core.actions import Action, Answer, State, Verdict
from interlock.core.decisions import Level
from interlock.core.errors import StoreUnavailable
from interlock.core.events import (
    Answered,
    Cancelled,
    Claimed,
    Decided,
    Event,
    Lost,
    NotSent,
    Reviewed,
)
from interlock.core.lifecycle import step
from interlock.ports import Change, Limits, Put, Stored
from interlock.store.redis import RedisStore
from tests.support.builders import ANN, BOB, a_call, a_decision, a_review, an_action, edited
from tests.support.stores import Server, fresh_prefix


async def write(
    store: RedisStore, before: Action, event: Event, nonce: str = "n1"
) -> tuple[Action, Stored]:
    after, _ = step(before, event)
    stored = await store.put(Change(before=before, event=event, after=after, nonce=nonce))
    return after, stored


async def hold(store: RedisStore, action: Action | None = None, **decision: object) -> Action:
    proposed = action or replace(an_action(), fingerprint="f1")
    event = Decided(at=await store.now(), decision=a_decision(**decision))  # type: ignore[arg-type]
    _, stored = await write(store, proposed, event, nonce=f"hold-{proposed.id}")
    assert stored.outcome is Put.OK
    return await read(store, proposed.id)


async def read(store: RedisStore, action_id: str = "a1") -> Action:
    action = await store.get(action_id)
    assert action is not None
    return action


async def approve(store: RedisStore, action: Action, nonce: str = "n-approve") -> Stored:
    review = a_review(action)
    event = Reviewed(at=await store.now(), review=review, decision=a_decision())
    return (await write(store, action, event, nonce))[1]


async def claim(store: RedisStore, nonce: str = "w1") -> tuple[Action, Stored]:
    event = Claimed(at=await store.now(), nonce=nonce, lease_ms=60_000)
    return await write(store, await read(store), event, nonce)


async def test_a_held_call_reads_back_as_it_was_written(store: RedisStore) -> None:
    held = await hold(store)

    assert held.state is State.HELD and held.version == 1
    assert held.call == an_action().call
    assert held.decision == a_decision()
    assert held.deadline > held.created > 0


async def test_a_call_is_approved_claimed_and_answered(store: RedisStore) -> None:
    assert (await approve(store, await hold(store))).outcome is Put.OK
    claimed, stored = await claim(store)
    assert stored.outcome is Put.OK
    answer = Answer(status=201, headers=(("X", "y"),), body=b"\x00\xff", size=2)
    _, stored = await write(store, claimed, Answered(at=1, answer=answer), "w1")
    assert stored.outcome is Put.OK

    done = await read(store)
    assert done.state is State.ANSWERED and done.answer == answer and done.fence == 1
    rows = await store.history("a1")
    assert [(row["from"], row["to"]) for row in rows] == [
        ("proposed", "held"),
        ("held", "approved"),
        ("approved", "forwarding"),
        ("forwarding", "answered"),
    ]
    assert [row["version"] for row in rows] == ["1", "2", "3", "4"]


async def test_a_repeated_write_answers_as_the_first_and_changes_nothing(store: RedisStore) -> None:
    held = await hold(store)
    first = await approve(store, held)
    again = await approve(store, held)

    assert (first.outcome, again.outcome) == (Put.OK, Put.OK)
    assert (await read(store)).version == 2


async def test_a_write_based_on_an_old_version_is_stale(store: RedisStore) -> None:
    held = await hold(store, level=Level.APPROVE_DUAL)
    dual = a_decision(Level.APPROVE_DUAL)
    first = Reviewed(at=held.created, review=a_review(held, ANN), decision=dual)
    second = Reviewed(at=held.created, review=a_review(held, BOB), decision=dual)
    assert (await write(store, held, first, "n1"))[1].outcome is Put.OK

    assert (await write(store, held, second, "n2"))[1].outcome is Put.STALE


async def test_two_claims_have_one_winner(store: RedisStore) -> None:
    await approve(store, await hold(store))
    approved = await read(store)
    event = Claimed(at=approved.changed, nonce="w1", lease_ms=1000)
    other = Claimed(at=approved.changed, nonce="w2", lease_ms=1000)

    outcomes = [
        (await write(store, approved, event, "w1"))[1].outcome,
        (await write(store, approved, other, "w2"))[1].outcome,
    ]

    assert outcomes == [Put.OK, Put.ILLEGAL]


async def test_only_the_owner_of_a_send_may_report_it(store: RedisStore) -> None:
    await approve(store, await hold(store))
    claimed, _ = await claim(store, "w1")

    _, stored = await write(store, claimed, Lost(at=1, cause="cut"), "stranger")

    assert stored.outcome is Put.NONCE
    assert (await read(store)).state is State.FORWARDING


async def test_a_call_that_was_provably_not_sent_may_be_claimed_again(store: RedisStore) -> None:
    await approve(store, await hold(store))
    claimed, _ = await claim(store, "w1")
    await write(store, claimed, NotSent(at=1, cause="refused"), "w1")

    assert (await read(store)).cause == "refused"
    assert (await claim(store, "w2"))[1].outcome is Put.OK
    assert (await read(store)).fence == 2


async def test_an_edit_voids_votes_and_keeps_what_the_agent_asked_for(store: RedisStore) -> None:
    dual = a_decision(Level.APPROVE_DUAL)
    held = await hold(store, level=Level.APPROVE_DUAL)
    vote = Reviewed(at=held.created, review=a_review(held, ANN), decision=dual)
    await write(store, held, vote, "n1")
    voted = await read(store)
    review = a_review(voted, BOB, Verdict.EDIT, call=edited(voted))
    _, stored = await write(
        store, voted, Reviewed(at=held.created, review=review, decision=dual), "n2"
    )
    assert stored.outcome is Put.OK

    after = await read(store)
    assert after.state is State.HELD
    assert [v.reviewer.id for v in after.votes] == ["bob"]
    assert after.call.body == b'{"amount": 90}' and after.original == held.call


async def test_a_hold_expires_by_the_stores_clock_with_nobody_sweeping(store: RedisStore) -> None:
    held = await hold(store, hold_ms=200)
    while await store.now() <= held.deadline:
        pass

    ended = await read(store)

    assert ended.state is State.EXPIRED
    assert (await store.history("a1"))[-1]["to"] == "expired"


async def test_an_approval_after_the_deadline_is_refused(store: RedisStore) -> None:
    held = await hold(store, hold_ms=200)
    while await store.now() <= held.deadline:
        pass
    late = Reviewed(at=held.created, review=a_review(held), decision=a_decision())

    _, stored = await write(store, held, late)

    assert stored.outcome is Put.LAPSED and stored.lapsed == "held"


async def test_an_identical_call_joins_the_one_that_is_held(store: RedisStore) -> None:
    await hold(store)
    twin = replace(an_action(action_id="a2"), fingerprint="f1")
    _, stored = await write(store, twin, Decided(at=1, decision=a_decision()))

    assert (stored.outcome, stored.id) == (Put.JOIN, "a1")
    assert await store.get("a2") is None


async def test_after_an_expiry_or_a_cancellation_the_same_call_asks_again(
    store: RedisStore,
) -> None:
    held = await hold(store)
    await write(store, held, Cancelled(at=1, by="bot"))
    twin = replace(an_action(action_id="a2"), fingerprint="f1")

    _, stored = await write(store, twin, Decided(at=1, decision=a_decision()), "n2")

    assert stored.outcome is Put.OK


async def test_after_a_refusal_the_same_call_gets_the_same_refusal(store: RedisStore) -> None:
    held = await hold(store)
    no = Reviewed(at=1, review=a_review(held, verdict=Verdict.REJECT), decision=a_decision())
    await write(store, held, no)
    twin = replace(an_action(action_id="a2"), fingerprint="f1")

    _, stored = await write(store, twin, Decided(at=1, decision=a_decision()), "n2")

    assert (stored.outcome, stored.id) == (Put.JOIN, "a1")


async def test_an_idempotency_key_names_one_call(store: RedisStore) -> None:
    first = replace(an_action(), key="k1", fingerprint="f1")
    await write(store, first, Decided(at=1, decision=a_decision()))
    same = replace(an_action(action_id="a2"), key="k1", fingerprint="f1")
    other = replace(an_action(a_call(body=b"{}"), "a3"), key="k1", fingerprint="f2")

    joined = (await write(store, same, Decided(at=1, decision=a_decision()), "n2"))[1]
    reused = (await write(store, other, Decided(at=1, decision=a_decision()), "n3"))[1]

    assert (joined.outcome, joined.id) == (Put.JOIN, "a1")
    assert reused.outcome is Put.REUSED


async def test_one_agent_can_hold_only_so_many_calls(server: Server) -> None:
    store = RedisStore(server.url, fresh_prefix(), Limits(held_per_agent=2))
    for name in ("a1", "a2"):
        await hold(store, an_action(action_id=name))
    stranger = an_action(a_call(agent="other"), "b1")

    _, full = await write(store, an_action(action_id="a3"), Decided(at=1, decision=a_decision()))
    _, fine = await write(store, stranger, Decided(at=1, decision=a_decision()))

    assert (full.outcome, fine.outcome) == (Put.FULL, Put.OK)
    await store.close()


async def test_the_queue_lists_the_gravest_first_and_then_the_oldest(store: RedisStore) -> None:
    from interlock.core.decisions import Stake

    for name, stake in (("low", Stake.LOW), ("old", Stake.HIGH), ("new", Stake.HIGH)):
        await hold(store, an_action(action_id=name), stake=stake)
        now = await store.now()
        while await store.now() == now:
            pass

    first = await store.held(None, 2)
    rest = await store.held(first.next, 2)

    assert [a.id for a in first.actions + rest.actions] == ["old", "new", "low"]
    assert first.total == 3


async def test_a_waiter_wakes_when_its_action_moves(store: RedisStore) -> None:
    import asyncio

    held = await hold(store)
    waiter = asyncio.ensure_future(store.changed("a1", held.version, 30))
    await asyncio.sleep(0)
    await approve(store, held)

    await asyncio.wait_for(waiter, 10)
    assert (await read(store)).state is State.APPROVED


async def test_holds_survive_kill_9_of_the_store(own_server: Server) -> None:
    store = RedisStore(own_server.url)
    held = await hold(store)
    own_server.kill()
    with pytest.raises(StoreUnavailable, match="Nothing was sent"):
        await store.get("a1")
    own_server.start()

    assert await read(store) == held
    await store.close()


async def test_a_full_store_refuses_and_says_so(own_server: Server) -> None:
    store = RedisStore(own_server.url)
    assert not (await store.durability()).full
    own_server.ask("CONFIG", "SET", "maxmemory", 1)

    with pytest.raises(StoreUnavailable, match="full"):
        await write(store, an_action(), Decided(at=1, decision=a_decision()))
    assert (await store.durability()).full
    await store.close()


async def test_durability_is_told(store: RedisStore) -> None:
    durability = await store.durability()

    assert (durability.grade, durability.eviction) == ("process", "noeviction")
    assert durability.writable


async def test_the_oldest_hold_is_found_whatever_its_stake(store: RedisStore) -> None:
    from interlock.core.decisions import Stake

    assert await store.oldest() == 0
    first = await hold(store, an_action(action_id="first"), stake=Stake.LOW)
    while await store.now() == first.created:
        pass
    await hold(store, an_action(action_id="second"), stake=Stake.CRITICAL)

    assert await store.oldest() == first.created


async def test_a_flood_of_grave_calls_of_one_agent_hides_no_call_of_another(
    store: RedisStore,
) -> None:
    from interlock.core.decisions import Stake

    for n in range(200):
        await hold(store, an_action(action_id=f"flood{n:03}"), stake=Stake.CRITICAL)
    meek = an_action(a_call(agent="meek"), "meek")
    await hold(store, meek, stake=Stake.LOW)

    page, seen = await store.held(None, 50), []
    seen += page.actions
    assert "meek" in [action.id for action in seen]
    while page.next:
        page = await store.held(page.next, 50)
        seen += page.actions
    names = [action.id for action in seen]
    assert names.index("meek") == 20, "behind the first calls of the other, before all the rest"
    assert sorted(names) == sorted({*names}) and len(names) == 201
    assert [name for name in names if name != "meek"] == sorted(set(names) - {"meek"})


async def test_the_oldest_hold_is_found_in_whatever_turn_it_stands(store: RedisStore) -> None:
    for n in range(25):
        await hold(store, an_action(action_id=f"a{n}"))
    last = await read(store, "a24")
    while await store.now() <= last.created:
        pass
    await hold(store, an_action(a_call(agent="other"), "late"))
    for n in range(24):
        await write(store, await read(store, f"a{n}"), Cancelled(at=1, by="bot"), f"c{n}")

    assert await store.oldest() == last.created
    await write(store, last, Cancelled(at=1, by="bot"), "c24")
    assert await store.oldest() == (await read(store, "late")).created


async def test_a_flood_of_refusals_is_kept_for_a_short_time_only(store: RedisStore) -> None:
    await write(store, an_action(), Decided(at=1, decision=a_decision(Level.DENY)))

    left = await store.client.pttl(f"{store._prefix}:c:a1")

    assert 0 < left <= Limits().keep_ms


async def test_a_refused_call_leaves_little_behind_however_large_it_was(store: RedisStore) -> None:
    body = b'{"memo": "' + b"x" * 100_000 + b'"}'
    decision = a_decision(Level.DENY, arguments={"memo": "x" * 100_000})
    await write(store, an_action(a_call(body=body)), Decided(at=1, decision=decision))

    assert await store.client.memory_usage(f"{store._prefix}:c:a1") < 8_000  # type: ignore[misc]
    assert (await read(store)).decision is not None
