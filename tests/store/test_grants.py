"""Grants on a real server: each use is counted, and each ends when it should."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from interlock.core.decisions import Level
from interlock.core.errors import StoreUnavailable
from interlock.core.facts import (
    Effects,
    Grant,
    Needs,
)
from interlock.ports import Put
from interlock.store.redis import RedisStore
from tests.store.calls import DAY, Calls


@pytest.fixture
def calls(store: RedisStore) -> Calls:
    return Calls(store)


async def a_grant(store: RedisStore, **said: Any) -> Grant:
    now = await store.now()
    usual: dict[str, Any] = {"id": "g1", "key": "bob", "agent": "bot", "tool": "bank.pay"}
    usual |= {
        "target": {"to": "bob", "n": [1, None]},
        "by": "ann",
        "action_id": "a0",
        "level": 2,
        "stake": 1,
    }
    usual |= {"created": now, "expires": now + DAY, "uses": 2, "reason": "rent", "mac": "m"}
    return Grant(**(usual | said))


async def granted(store: RedisStore, own: str = "") -> Grant | None:
    return (await store.facts(Needs(grant="bob", own=own))).grant


USE = Effects(grant="g1")


async def test_a_grant_reads_back_as_it_was_given(store: RedisStore) -> None:
    grant = await a_grant(store)
    await store.give(grant)

    assert await granted(store) == grant
    assert await store.grants(10) == (grant,)
    assert (await store.facts(Needs(grant="eve"))).grant is None


async def test_each_use_of_a_grant_is_counted_and_none_is_given_back(calls: Calls) -> None:
    grant = await a_grant(calls.store)
    await calls.store.give(grant)
    assert await calls.proposed("a1", USE, Level.NOTIFY) is Put.OK
    assert await granted(calls.store) == replace(grant, used=1)
    assert await calls.proposed("a2", USE) is Put.OK
    await calls.rejected("a2")

    assert await granted(calls.store) is None
    assert await calls.proposed("a3", USE, Level.NOTIFY) is Put.FACTS
    assert (await calls.store.grants(10))[0].used == 2


async def test_of_two_calls_the_last_use_of_a_grant_is_taken_by_one(calls: Calls) -> None:
    await calls.store.give(await a_grant(calls.store, uses=1))
    outcomes = await asyncio.gather(
        *(calls.proposed(name, USE, Level.NOTIFY) for name in ("a1", "a2"))
    )

    assert sorted(one.value for one in outcomes) == ["FACTS", "OK"]


async def test_a_held_call_may_still_use_the_grant_that_it_used(calls: Calls) -> None:
    await calls.store.give(await a_grant(calls.store, uses=1))
    await calls.proposed("a1", USE, Level.APPROVE)

    own = await granted(calls.store, own="a1")
    assert own is not None and own.used == 0
    assert await granted(calls.store, own="a2") is None
    assert await calls.edited("a1", USE) is Put.OK, "one call, one use"
    assert (await calls.store.grants(10))[0].used == 1


async def test_giving_the_same_grant_again_gives_no_more_uses(calls: Calls) -> None:
    grant = await a_grant(calls.store)
    await calls.store.give(grant)
    await calls.proposed("a1", USE, Level.NOTIFY)
    await calls.store.give(grant)

    assert (await calls.store.grants(10))[0].used == 1


async def test_a_new_grant_takes_the_place_of_one_for_the_same_target(calls: Calls) -> None:
    await calls.store.give(await a_grant(calls.store))
    second = await a_grant(calls.store, id="g2")
    await calls.store.give(second)

    assert await calls.store.grants(10) == (second,)
    assert await calls.proposed("a1", USE, Level.NOTIFY) is Put.FACTS
    assert await calls.store.take_back("g1") is None


async def test_a_grant_that_was_taken_back_ends_now(calls: Calls) -> None:
    grant = await a_grant(calls.store)
    await calls.store.give(grant)

    assert await calls.store.take_back("g1") == grant
    assert await calls.store.take_back("g1") is None
    assert await granted(calls.store) is None and await calls.store.grants(10) == ()
    assert await calls.proposed("a1", USE, Level.NOTIFY) is Put.FACTS
    again = replace(grant, id="g2")
    await calls.store.give(again)
    assert await granted(calls.store) == again


async def test_a_grant_ends_by_the_stores_clock(calls: Calls) -> None:
    store = calls.store
    grant = await a_grant(store)
    grant = replace(grant, expires=grant.created + 150)
    await store.give(grant)
    await store.give(await a_grant(store, id="g0", key="eve", expires=1))
    assert [one.id for one in await store.grants(10)] == ["g1"]
    while await store.now() < grant.expires:
        pass

    assert await granted(store) is None and await store.grants(10) == ()
    assert await calls.proposed("a1", USE, Level.NOTIFY) is Put.FACTS
    assert await store.client.keys(f"{store._prefix}:g*") == []


async def test_grants_are_listed_newest_first(store: RedisStore) -> None:
    for n in range(3):
        grant = await a_grant(store, id=f"g{n}", key=f"k{n}")
        await store.give(replace(grant, created=grant.created + n))

    assert [one.id for one in await store.grants(2)] == ["g2", "g1"]


async def test_a_damaged_grant_hides_no_other_one_and_lowers_nothing(store: RedisStore) -> None:
    await store.give(await a_grant(store, id="g0", key="eve"))
    await store.give(await a_grant(store))
    await store.client.hset(f"{store._prefix}:g:bob", "said", "{}")

    assert [one.id for one in await store.grants(10)] == ["g0"]
    with pytest.raises(StoreUnavailable, match="damaged"):
        await granted(store)


async def test_a_lost_answer_to_a_taking_back_is_asked_for_again(store: RedisStore) -> None:
    grant = await a_grant(store)
    await store.give(grant)
    past = store._past

    answers = [await past._run(past._grants, "take", "g1", nonce) for nonce in ("n", "n", "m")]

    assert [len(rows) for rows in answers] == [1, 1, 0]
