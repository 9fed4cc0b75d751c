"""Budgets and caps on a real server: who gets a share, and when it is given back."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from interlock.core.actions import State
from interlock.core.decisions import Level
from interlock.core.errors import StoreUnavailable
from interlock.core.facts import (
    MILLION,
    NO_EFFECTS,
    NO_FACTS,
    Counter,
    Counting,
    Effects,
    Needs,
    Reservation,
)
from interlock.ports import Put
from interlock.store.effects import HEAVIEST
from interlock.store.redis import RedisStore
from tests.store.calls import ALL, BUDGET, DAY, HOLDS, Calls, share


@pytest.fixture
def calls(store: RedisStore) -> Calls:
    return Calls(store)


async def test_nothing_is_asked_of_the_store_where_policy_needs_nothing() -> None:
    store = RedisStore("unix:///nowhere")

    assert await store.facts(Needs()) is NO_FACTS
    await store.close()


async def test_a_held_call_has_its_share_and_does_not_count_against_itself(calls: Calls) -> None:
    await calls.proposed("a1", ALL)

    assert await calls.used() == {"budget": 1, "open": 1, "holds": 1}
    assert await calls.used(own="a1") == {"budget": 0, "open": 0, "holds": 0}
    assert await calls.used(own="a2") == {"budget": 1, "open": 1, "holds": 1}


WAYS_TO_END: dict[str, list[str]] = {
    "rejected": ["rejected"],
    "responded": ["responded"],
    "expired": ["expired"],
    "cancelled": ["cancelled"],
    "approved and rejected": ["approved", "rejected"],
    "approved and cancelled": ["approved", "cancelled"],
    "approved and expired": ["approved", "expired"],
    "approved and denied": ["approved", "tightened"],
    "not sent and cancelled": ["approved", "claimed", "not_sent", "cancelled"],
    "not sent and expired": ["approved", "claimed", "not_sent", "expired"],
}


@pytest.mark.parametrize("way", WAYS_TO_END)
async def test_a_call_that_was_never_sent_gives_its_share_back(calls: Calls, way: str) -> None:
    await calls.proposed("other", ALL)
    await calls.proposed("a1", ALL)
    for happens in WAYS_TO_END[way]:
        assert await getattr(calls, happens)("a1") is Put.OK

    assert await calls.used() == {"budget": 1, "open": 1, "holds": 2}
    assert "eff" not in await calls.fields("c:a1")


@pytest.mark.parametrize("way", ["answered", "lost", "expired"])
async def test_a_call_that_may_have_been_sent_keeps_its_share(calls: Calls, way: str) -> None:
    await calls.proposed("a1", ALL)
    for happens in ("approved", "claimed", way):
        assert await getattr(calls, happens)("a1") is Put.OK

    assert await calls.used() == {"budget": 1, "open": 0, "holds": 1}
    assert "p" not in await calls.fields("b:budget")
    assert "eff" not in await calls.fields("c:a1")


async def test_an_open_call_stops_waiting_once_it_is_approved(calls: Calls) -> None:
    await calls.proposed("a1", ALL)
    await calls.approved("a1")

    assert await calls.used() == {"budget": 1, "open": 0, "holds": 1}
    assert await calls.used(own="a1") == {"budget": 0, "open": 0, "holds": 0}


async def test_a_share_waits_again_where_nothing_was_sent(calls: Calls) -> None:
    await calls.proposed("a1", share())
    for happens in ("approved", "claimed", "not_sent"):
        await getattr(calls, happens)("a1")
    assert await calls.fields("b:budget") == {"p": str(MILLION)}
    assert await calls.used(own="a1") == {"budget": 0, "open": 0, "holds": 0}
    await calls.claimed("a1")

    assert list((await calls.fields("b:budget")).values()) == [str(MILLION)]
    assert (await calls.used())["budget"] == 1


async def test_an_allowed_call_is_counted_at_once(calls: Calls) -> None:
    assert await calls.proposed("a1", ALL, Level.ALLOW) is Put.OK

    assert await calls.used() == {"budget": 1, "open": 0, "holds": 0}
    assert "p" not in await calls.fields("b:budget")


async def test_a_denied_call_reserves_nothing(calls: Calls) -> None:
    assert await calls.proposed("a1", ALL, Level.DENY) is Put.OK

    assert await calls.used() == {"budget": 0, "open": 0, "holds": 0}


@pytest.mark.parametrize("level", [Level.APPROVE, Level.ALLOW])
async def test_of_two_decisions_on_the_last_share_one_holds(calls: Calls, level: Level) -> None:
    room = share(room=MILLION)
    outcomes = await asyncio.gather(*(calls.proposed(n, room, level) for n in ("a1", "a2")))

    assert sorted(one.value for one in outcomes) == ["FACTS", "OK"]
    assert (await calls.used())["budget"] == 1


async def test_what_is_refused_for_lack_of_room_leaves_nothing_behind(calls: Calls) -> None:
    await calls.proposed("a1", share())
    first = Reservation(counter=HOLDS, weight=MILLION, room=None)
    both = replace(share(room=MILLION), session="s", session_ms=DAY, grant="")
    both = replace(both, reservations=(first, *both.reservations))
    before = sorted(await calls.store.client.keys(f"{calls.store._prefix}:*"))

    assert await calls.proposed("a2", both) is Put.FACTS

    assert await calls.store.get("a2") is None
    assert sorted(await calls.store.client.keys(f"{calls.store._prefix}:*")) == before
    assert await calls.used() == {"budget": 1, "open": 0, "holds": 0}


async def test_two_shares_of_one_counter_have_to_fit_together(calls: Calls) -> None:
    twice = Effects(reservations=share(room=MILLION).reservations * 2)

    assert await calls.proposed("a1", twice) is Put.FACTS


async def test_an_edit_takes_another_share_in_place_of_the_old_one(calls: Calls) -> None:
    await calls.proposed("other", share())
    await calls.proposed("a1", share(weight=3 * MILLION))

    assert await calls.edited("a1", share(weight=2 * MILLION, room=3 * MILLION)) is Put.OK

    assert (await calls.used())["budget"] == 3
    assert (await calls.used(own="a1"))["budget"] == 1


async def test_an_edit_that_has_no_room_changes_nothing(calls: Calls) -> None:
    await calls.proposed("a1", ALL)
    before = await calls.fields("c:a1")

    assert await calls.edited("a1", share(weight=3 * MILLION, room=2 * MILLION)) is Put.FACTS

    assert await calls.fields("c:a1") == before
    assert await calls.used() == {"budget": 1, "open": 1, "holds": 1}


async def test_an_edited_call_is_still_one_hold(calls: Calls) -> None:
    await calls.proposed("a1", ALL, Level.APPROVE_DUAL)

    assert await calls.edited("a1", ALL, level=Level.APPROVE_DUAL) is Put.OK
    assert await calls.used() == {"budget": 1, "open": 1, "holds": 1}
    await calls.rejected("a1")

    assert await calls.used() == {"budget": 0, "open": 0, "holds": 1}


async def test_an_edit_without_effects_keeps_the_hold_and_drops_the_budget(calls: Calls) -> None:
    await calls.proposed("a1", ALL, Level.APPROVE_DUAL)

    assert await calls.edited("a1", NO_EFFECTS, level=Level.APPROVE_DUAL) is Put.OK

    assert await calls.used() == {"budget": 0, "open": 1, "holds": 1}


async def test_what_was_sent_leaves_the_window_with_its_bucket(calls: Calls) -> None:
    store, window = calls.store, 240
    short = Counter(key="short", counting=Counting.SPENT, window_ms=window)
    start = await store.now()
    await calls.proposed("a1", share(short), Level.ALLOW)
    end, counted = await store.now() + window + window // 60, 0
    while await store.now() <= end:
        if (await store.facts(Needs(counters=(short,)))).used["short"]:
            counted += 1
        else:
            assert await store.now() >= start + window

    assert counted > 0
    assert (await store.facts(Needs(counters=(short,)))).used["short"] == 0


async def test_a_counter_has_few_fields_and_is_forgotten_after_its_window(calls: Calls) -> None:
    window = 120
    short = Counter(key="short", counting=Counting.SPENT, window_ms=window)
    end, sizes = await calls.store.now() + 2 * window, []
    while (now := await calls.store.now()) <= end:
        await calls.proposed(f"a{now}", share(short), Level.ALLOW)
        sizes.append(len(await calls.fields("b:short")))

    assert 5 < max(sizes) <= 62
    assert 0 < await calls.store.client.pttl(f"{calls.store._prefix}:b:short") <= window + 2


async def test_a_counter_is_kept_as_long_as_a_call_waits(calls: Calls) -> None:
    key = f"{calls.store._prefix}:b:budget"
    await calls.proposed("a1", share(), Level.ALLOW)
    assert 0 < await calls.store.client.pttl(key) <= DAY + DAY // 60
    await calls.proposed("a2", share())
    assert await calls.store.client.pttl(key) == -1
    await calls.rejected("a2")

    assert 0 < await calls.store.client.pttl(key) <= DAY + DAY // 60


async def test_large_sums_are_exact(calls: Calls) -> None:
    await calls.proposed("a1", share(weight=HEAVIEST - 7))
    await calls.proposed("a2", share(weight=3))
    facts = await calls.store.facts(Needs(counters=(BUDGET,)))
    assert facts.used["budget"] == HEAVIEST - 4
    assert await calls.proposed("a3", share(weight=5, room=HEAVIEST)) is Put.FACTS
    assert await calls.proposed("a4", share(weight=4, room=HEAVIEST)) is Put.OK


async def test_a_counter_that_is_full_refuses_nobody_who_asks_for_no_room(calls: Calls) -> None:
    key = f"{calls.store._prefix}:b:budget"
    await calls.store.client.hset(key, "p", 2**62 - 5 * MILLION)
    assert await calls.proposed("a1", share(weight=HEAVIEST)) is Put.OK
    assert await calls.proposed("a2", share()) is Put.OK
    assert await calls.proposed("a3", share(), Level.ALLOW) is Put.OK
    assert await calls.proposed("a4", share(room=HEAVIEST)) is Put.FACTS
    assert abs(int((await calls.fields("b:budget"))["p"]) - 2**62) <= 1024

    for name in ("a1", "a2"):  # what was not counted is not given back
        assert await calls.cancelled(name) is Put.OK
    assert int((await calls.fields("b:budget"))["p"]) == 2**62 - 5 * MILLION


async def test_what_a_full_counter_did_not_count_is_counted_once_it_is_sent(calls: Calls) -> None:
    key = f"{calls.store._prefix}:b:budget"
    await calls.store.client.hset(key, "p", 2**62)
    await calls.proposed("a1", share(weight=3 * MILLION))
    await calls.store.client.hdel(key, "p")
    await calls.approved("a1")
    await calls.claimed("a1")

    assert (await calls.used())["budget"] == 3
    assert (await calls.used(own="a1"))["budget"] == 0


DAMAGED = [
    "b x",
    "b budget q 86400000 1000000 p",
    "b budget s 86400000 99999999999999999999 p",
    f"b budget s 99999999999999999999 {MILLION} p",
    "b budget s 1 1 q",
    "s visit 1",
    "S 1 visit 1 0 0 0 0",
    "n k 0",
    "n k 99999999999999999999",
    "x k",
    "g a b",
    "? what",
]


@pytest.mark.parametrize("damage", DAMAGED)
async def test_effects_that_somebody_damaged_stop_the_call_and_leave_nothing_half_done(
    calls: Calls, damage: str
) -> None:
    store = calls.store
    await calls.proposed("a1", ALL)
    good = (await calls.fields("c:a1"))["eff"]
    await store.client.hset(f"{store._prefix}:c:a1", "eff", f"{good}\n{damage}")
    before, used = await calls.fields("c:a1"), await calls.used()

    assert await calls.approved("a1") is Put.ILLEGAL
    assert await calls.edited("a1", share()) is Put.ILLEGAL
    with pytest.raises(StoreUnavailable, match="damaged"):
        await calls.used(own="a1")

    assert await calls.fields("c:a1") == before and await calls.used() == used
    assert await calls.proposed("a2", ALL) is Put.OK


async def test_a_call_whose_effects_are_damaged_still_lapses_and_frees_nothing(
    calls: Calls,
) -> None:
    await calls.proposed("a1", ALL)
    await calls.store.client.hset(f"{calls.store._prefix}:c:a1", "eff", "b x")
    await calls.expired("a1")

    assert (await calls.read("a1")).state is State.EXPIRED
    assert await calls.used() == {"budget": 1, "open": 1, "holds": 1}


@pytest.mark.parametrize(
    "effects",
    [
        share(weight=-1),
        share(weight=HEAVIEST + 1),
        share(Counter(key="a b", counting=Counting.OPEN)),
        Effects(familiar="a\nb x 1 s 1 1 1", familiar_ms=1),
        Effects(grant="g 1"),
        Effects(session="s", session_ms=DAY, points=-1),
        Effects(session="s", session_ms=DAY, points=1.5),  # type: ignore[arg-type]
        Effects(familiar="f", familiar_ms=2**60),
    ],
)
async def test_effects_that_could_not_be_kept_are_refused(calls: Calls, effects: Effects) -> None:
    with pytest.raises(ValueError, match="key|count"):
        await calls.proposed("a1", effects)
    assert await calls.store.get("a1") is None
