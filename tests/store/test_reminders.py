"""Reminders on a real server: each moment is told once, by whoever asks first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from interlock.core.actions import State
from interlock.core.decisions import Escalation, Level
from interlock.store.redis import RedisStore
from tests.store.calls import Calls, share
from tests.support.stores import Server, fresh_prefix


@pytest.fixture
def calls(store: RedisStore) -> Calls:
    return Calls(store)


async def wait(store: RedisStore, done: Callable[[int], bool]) -> None:
    """Return once the store's clock says so."""
    while not done(await store.now()):
        pass


async def aged(store: RedisStore, name: str, by_ms: int) -> None:
    """Let a held call have been created earlier, as if so much time had passed since."""
    key, at = f"{store._prefix}:c:{name}", await store.now() - by_ms
    await store.client.hset(key, "created", at)
    await store.client.zadd(f"{store._prefix}:remind", {name: 1})


async def following(store: RedisStore, name: str) -> int:
    """Return the next moment, in ms since the call was created."""
    at = await store.client.zscore(f"{store._prefix}:remind", name)
    return int(at) - (await Calls(store).read(name)).created if at else 0


ESCALATE = (Escalation(after_ms=90_000, to=("ops",)),)


async def test_people_are_told_every_so_often_and_when_more_of_them_may_decide(
    calls: Calls,
) -> None:
    store = calls.store
    await calls.proposed("a1", remind_ms=60_000, escalate=ESCALATE)
    assert await store.remind(10) == () and await following(store, "a1") == 60_000
    moments = []
    for age in (60_000, 90_000, 120_000, 359_000):
        await aged(store, "a1", age)
        assert await store.remind(10) == ("a1",)
        assert await store.remind(10) == ()
        moments.append(await following(store, "a1"))

    assert moments == [90_000, 120_000, 180_000, 360_000]


async def test_an_escalation_alone_is_told_once(calls: Calls) -> None:
    await calls.proposed("a1", escalate=ESCALATE)
    await aged(calls.store, "a1", 90_000)

    assert await calls.store.remind(10) == ("a1",)
    assert await following(calls.store, "a1") == 0


async def test_nobody_is_told_again_where_policy_does_not_ask_for_it(calls: Calls) -> None:
    await calls.proposed("a1")

    assert await calls.store.client.zcard(f"{calls.store._prefix}:remind") == 0


async def test_what_a_vote_changes_of_the_moments_counts_from_then_on(calls: Calls) -> None:
    await calls.proposed("a1", remind_ms=60_000)
    await calls.approved("a1", level=Level.APPROVE_DUAL, remind_ms=7000)

    assert (await calls.read("a1")).state is State.HELD
    assert await following(calls.store, "a1") == 7000


async def test_several_processes_share_the_reminders(server: Server) -> None:
    prefix = fresh_prefix()
    stores = [RedisStore(server.url, prefix) for _ in range(3)]
    for n in range(12):
        await Calls(stores[0]).proposed(f"a{n}", remind_ms=50)
    last = (await Calls(stores[0]).read("a11")).created
    await wait(stores[0], lambda now: now >= last + 50)
    told = await asyncio.gather(*(store.remind(5) for store in stores))

    names = [name for ids in told for name in ids]
    assert len(names) == len(set(names)) == 12
    for store in stores:
        await store.close()


@pytest.mark.parametrize("way", ["approved", "rejected", "cancelled", "expired"])
async def test_nobody_is_reminded_of_what_is_not_held_any_more(calls: Calls, way: str) -> None:
    await calls.proposed("a1", remind_ms=1)
    created = (await calls.read("a1")).created
    await getattr(calls, way)("a1")
    await wait(calls.store, lambda now: now > created + 1)

    assert await calls.store.remind(10) == ()
    assert await calls.store.client.zcard(f"{calls.store._prefix}:remind") == 0


async def test_an_expired_hold_is_ended_and_not_reminded_of(calls: Calls) -> None:
    await calls.proposed("a1", share(), remind_ms=30, hold_ms=30)
    created = (await calls.read("a1")).created
    await wait(calls.store, lambda now: now > created + 30)

    assert await calls.store.remind(10) == ()
    assert (await calls.read("a1")).state.value == "expired"
    assert (await calls.used())["budget"] == 0


async def test_a_lost_answer_names_the_same_calls_when_it_is_asked_for_again(
    calls: Calls,
) -> None:
    await calls.proposed("a1", remind_ms=60_000)
    await aged(calls.store, "a1", 60_000)
    past = calls.store._past

    answers = [await past._run(past._remind, nonce, 5) for nonce in ("n", "n", "m")]

    assert answers == [[b"a1"], [b"a1"], []]
