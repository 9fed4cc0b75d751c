"""What calls leave behind beside budgets: sessions, familiar targets, refusals, tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from interlock.core.counting import session_key
from interlock.core.decisions import Level
from interlock.core.errors import CallTooLarge, QueueFull, StoreUnavailable
from interlock.core.facts import (
    MILLION,
    Effects,
    Facts,
    Needs,
    Session,
)
from interlock.ports import Limits
from interlock.store.redis import RedisStore
from tests.store.calls import ALL, BUDGET, DAY, HOLDS, Calls
from tests.support.stores import Server, fresh_prefix


@pytest.fixture
def calls(store: RedisStore) -> Calls:
    return Calls(store)


VISIT = Effects(
    session="visit",
    session_ms=DAY,
    taints=frozenset({"untrusted_content"}),
    points=8,
    half_life_ms=200,
    write=True,
)


async def session(calls: Calls, half_life_ms: int = 0) -> Session:
    facts = await calls.store.facts(Needs(session="visit", half_life_ms=half_life_ms))
    assert facts.session is not None
    return facts.session


async def test_a_session_knows_what_was_sent_in_it_and_nothing_before(calls: Calls) -> None:
    assert await session(calls) == Session()
    await calls.proposed("a1", VISIT)
    await calls.approved("a1")
    assert await session(calls) == Session()
    await calls.claimed("a1")

    seen = await session(calls)
    assert (seen.untrusted_content, seen.sensitive_data) == (True, False)
    assert (seen.writes, seen.calls, seen.points) == (1, 1, 8.0)
    key = f"{calls.store._prefix}:t:visit"
    assert DAY - 60_000 < await calls.store.client.pttl(key) <= DAY


async def test_points_of_risk_decay_by_half_lives(calls: Calls) -> None:
    await calls.proposed("a1", VISIT, Level.ALLOW)
    start = await calls.store.now()
    while await calls.store.now() < start + 200:
        assert 0 < (await session(calls, 200)).points <= 8
    assert (await session(calls, 200)).points <= 4.02
    await calls.proposed("a2", VISIT, Level.ALLOW)

    assert (await session(calls, 200)).points <= 12.02
    assert (await session(calls)).calls == 2


async def test_a_call_that_was_not_sent_leaves_its_session(calls: Calls) -> None:
    clean = replace(VISIT, half_life_ms=0)
    await calls.proposed("other", replace(clean, points=1, write=False), Level.ALLOW)
    await calls.proposed("a1", replace(clean, taints=frozenset({"sensitive_data"})))
    await calls.approved("a1")
    await calls.claimed("a1")
    assert (await session(calls)).sensitive_data
    await calls.not_sent("a1")

    assert await session(calls) == Session(untrusted_content=True, points=1.0, calls=1)
    await calls.claimed("a1")
    assert (await session(calls)).calls == 2


async def test_a_target_is_familiar_once_it_may_have_taken_effect(calls: Calls) -> None:
    async def known(key: str) -> bool | None:
        return (await calls.store.facts(Needs(familiar=key))).familiar

    for name, way in (("f1", "answered"), ("f2", "lost"), ("f3", "not_sent")):
        await calls.proposed(name, Effects(familiar=name, familiar_ms=DAY))
        await calls.approved(name)
        await calls.claimed(name)
        assert await known(name) is False
        await getattr(calls, way)(name)

    assert [await known(name) for name in ("f1", "f2", "f3")] == [True, True, False]
    assert (await calls.store.facts(Needs(session="visit"))).familiar is None


@pytest.mark.parametrize(
    ("way", "remembered"), [("rejected", True), ("cancelled", False), ("responded", False)]
)
async def test_what_a_person_rejects_is_remembered(
    calls: Calls, way: str, remembered: bool
) -> None:
    await calls.proposed("a1", Effects(target="bob", repeat_ms=DAY))
    await getattr(calls, way)("a1")

    assert (await calls.store.facts(Needs(target="bob"))).refused is remembered
    assert not (await calls.store.facts(Needs(target="eve"))).refused


async def task(store: RedisStore, agent: str = "bot", name: str = "s1") -> str | None:
    return (await store.facts(Needs(session=session_key(agent, name), task=True))).task


async def test_a_task_is_kept_for_its_session_in_place_of_an_earlier_one(
    store: RedisStore,
) -> None:
    assert await task(store) is None
    await store.state_task("bot", "s1", "pay nobody", DAY)
    await store.state_task("bot", "s1", "pay b\u00f6b \ud800", DAY)

    assert await task(store) == "pay b\u00f6b \ud800"
    assert await task(store, name="s2") is None and await task(store, agent="other") is None
    assert (await store.facts(Needs(session=session_key("bot", "s1")))).task is None


async def test_a_task_lives_as_long_as_its_session(store: RedisStore) -> None:
    key = session_key("bot", "s1")
    await store.state_task("bot", "s1", "pay bob", 60_000)
    await Calls(store).proposed("a1", replace(VISIT, session=key), Level.ALLOW)

    assert await store.client.pttl(f"{store._prefix}:k:{key}") > 60_000


async def test_an_empty_task_is_a_task(store: RedisStore) -> None:
    await store.state_task("bot", "s1", "", DAY)

    assert await task(store) == ""


@pytest.mark.parametrize("letter", ["x", "\u00e9", "\U0001f600", "\ud800"])
async def test_a_task_that_is_too_long_is_refused_by_its_bytes(
    store: RedisStore, letter: str
) -> None:
    longest = letter * (16_384 // len(letter.encode("utf-8", "surrogatepass")))
    await store.state_task("bot", "s1", longest, DAY)
    with pytest.raises(CallTooLarge, match=r"\d+ bytes; at most 16384"):
        await store.state_task("bot", "s1", longest + letter, DAY)

    assert await task(store) == longest


@pytest.fixture
async def small(server: Server) -> AsyncIterator[RedisStore]:
    store = RedisStore(server.url, fresh_prefix(), Limits(tasks_per_agent=2))
    yield store
    await store.close()


async def test_an_agent_has_only_so_many_tasks_kept_and_pushes_none_out(small: RedisStore) -> None:
    for name in ("s1", "s2", "s1"):
        await small.state_task("bot", name, "pay bob", DAY)
    with pytest.raises(QueueFull, match="requests of 2 sessions"):
        await small.state_task("bot", "s3", "pay eve", DAY)
    await small.state_task("bot", "s2", "pay ann", DAY)
    await small.state_task("other", "s3", "pay eve", DAY)

    said = [await task(small, name=name) for name in ("s1", "s2", "s3")]
    assert said == ["pay bob", "pay ann", None]
    assert await task(small, "other", "s3") == "pay eve"


async def test_a_task_that_ended_makes_room_and_one_that_calls_keep_alive_does_not(
    small: RedisStore,
) -> None:
    for name in ("s1", "s2"):
        await small.state_task("bot", name, "pay bob", 300)
    end = await small.now() + 400
    lively = replace(VISIT, session=session_key("bot", "s1"))
    await Calls(small).proposed("a1", lively, Level.ALLOW)
    while await small.now() < end:
        pass
    await small.state_task("bot", "s3", "pay ann", 60_000)
    with pytest.raises(QueueFull):
        await small.state_task("bot", "s4", "pay ann", 60_000)

    said = [await task(small, name=name) for name in ("s1", "s2", "s3", "s4")]
    assert said == ["pay bob", None, "pay ann", None]
    left = await small.client.pttl(f"{small._prefix}:q:bot")
    assert DAY - 60_000 < left <= DAY, "the index lives as long as what it lists"


async def test_all_facts_come_in_one_round_trip_that_concurrent_calls_share(
    calls: Calls,
) -> None:
    store = calls.store
    needs = Needs(
        counters=(BUDGET, HOLDS),
        familiar="f1",
        session=session_key("bot", "s1"),
        task=True,
        target="bob",
    )
    await calls.proposed("a1", ALL)
    await store.facts(needs)
    before = int((await store.client.info("commandstats"))["cmdstat_evalsha"]["calls"])
    answers = await asyncio.gather(*(store.facts(needs) for _ in range(20)))
    after = int((await store.client.info("commandstats"))["cmdstat_evalsha"]["calls"])

    assert after - before == 1
    assert (
        answers
        == [
            Facts(
                used={"budget": MILLION, "holds": MILLION},
                familiar=False,
                session=Session(),
                refused=False,
            )
        ]
        * 20
    )


async def test_facts_of_a_store_that_is_gone_are_an_error_and_no_guess() -> None:
    store = RedisStore("unix:///nowhere")
    with pytest.raises(StoreUnavailable):
        await store.facts(Needs(counters=(BUDGET,)))
    await store.close()


async def test_a_state_that_is_no_number_is_an_error_and_no_guess(store: RedisStore) -> None:
    await store.client.hset(f"{store._prefix}:t:visit", "calls", "many")
    with pytest.raises(StoreUnavailable, match="damaged"):
        await store.facts(Needs(session="visit"))
