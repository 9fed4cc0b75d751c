"""What one agent can fill the store with: a flood costs the agent that sends it, nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from interlock.core.actions import Action, Answer
from interlock.core.decisions import Level
from interlock.core.events import Answered, Decided
from interlock.core.facts import MILLION, NO_EFFECTS, Counter, Counting, Effects, Needs
from interlock.ports import Limits, Put
from interlock.store.redis import RedisStore
from tests.store.calls import BUDGET, DAY, DENY, Calls, share
from tests.support.builders import a_call, a_decision, an_action
from tests.support.stores import Server, fresh_prefix

MOST = 20_000
HOUR = 3_600_000


@pytest.fixture
async def calls(server: Server) -> AsyncIterator[Calls]:
    store = RedisStore(server.url, fresh_prefix(), Limits(kept_per_agent=MOST))
    yield Calls(store)
    await store.close()


def a_named(name: str, *, agent: str = "bot", session: str = "", key: str = "") -> Action:
    action = an_action(a_call(agent=agent, session=session), name)
    return replace(action, key=key, fingerprint=f"key:{key}" if key else "")


async def denied(calls: Calls, action: Action) -> Put:
    return await calls.write(action, Decided(at=1, decision=DENY))


async def held(calls: Calls, action: Action, effects: Effects = NO_EFFECTS) -> Put:
    return await calls.write(action, Decided(at=1, decision=a_decision()), effects)


async def left(calls: Calls, key: str) -> int:
    return int(await calls.store.client.pttl(f"{calls.store._prefix}:{key}"))


async def noted(calls: Calls, kind: str, agent: str = "bot") -> None:
    """The agent has made the store keep as much of this *kind* as it may."""
    key = f"{calls.store._prefix}:{kind}:{agent}"
    await calls.store.client.set(key, 2**28, px=HOUR)


async def test_a_flood_of_plain_calls_is_kept_for_a_moment_only(calls: Calls) -> None:
    for n in range(8):
        assert await denied(calls, a_named(f"a{n}")) is Put.OK
    await denied(calls, a_named("b", agent="other"))

    assert await left(calls, "c:a0") > HOUR - 60_000
    assert 0 < await left(calls, "c:a7") <= 10_000
    assert await left(calls, "c:b") > HOUR - 60_000
    assert 0 < await left(calls, "u:bot") <= HOUR


async def test_a_flood_of_plain_calls_hides_none_that_people_are_told_of(calls: Calls) -> None:
    await noted(calls, "u")
    for name, level in (("plain", Level.ALLOW), ("told", Level.NOTIFY)):
        await calls.proposed(name, level=level)
        await calls.answered(name)

    assert 0 < await left(calls, "c:plain") <= 10_000
    assert await left(calls, "c:told") > HOUR - 60_000


async def test_a_large_answer_counts_as_what_is_kept(calls: Calls) -> None:
    await calls.proposed("a1", level=Level.ALLOW)
    key = f"{calls.store._prefix}:u:bot"
    before = int(await calls.store.client.get(key) or 0)
    action = await calls.read("a1")
    answer = Answer(status=200, body=b"x" * 5_000, size=5_000)
    await calls.write(action, Answered(at=1, answer=answer), nonce=action.nonce)

    assert int(await calls.store.client.get(key) or 0) >= before + 5_000


async def test_a_flood_of_calls_with_keys_is_refused_and_plain_ones_are_not(calls: Calls) -> None:
    said = [await denied(calls, a_named(f"a{n}", key=f"k{n}")) for n in range(30)]
    assert said[0] is Put.OK and said[-1] is Put.FULL
    assert said == sorted(said, key=lambda one: one is Put.FULL)

    assert await denied(calls, a_named("plain")) is Put.OK
    assert await denied(calls, a_named("again", key="k0")) is Put.JOIN
    assert await denied(calls, a_named("b", agent="other", key="k")) is Put.OK
    assert 0 < await left(calls, "v:bot") <= DAY


async def test_a_flood_of_sessions_is_refused_and_known_sessions_go_on(calls: Calls) -> None:
    said = [await denied(calls, a_named(f"a{n}", session=f"s{n}")) for n in range(40)]
    assert said[0] is Put.OK and said[-1] is Put.FULL

    assert await denied(calls, a_named("known", session="s0")) is Put.OK
    assert await denied(calls, a_named("b", agent="other", session="s")) is Put.OK


async def test_counters_and_states_that_are_new_are_refused_once_there_are_too_many(
    calls: Calls,
) -> None:
    visit = Effects(session="visit", session_ms=DAY)
    fresh = Counter(key="fresh", counting=Counting.SPENT, window_ms=DAY)
    assert await calls.proposed("a0", share(), Level.ALLOW) is Put.OK
    assert await calls.proposed("a1", visit, Level.ALLOW) is Put.OK
    await noted(calls, "v")

    assert await calls.proposed("a2", share(fresh), Level.ALLOW) is Put.FULL
    assert await calls.proposed("a3", replace(visit, session="new"), Level.ALLOW) is Put.FULL
    assert await calls.proposed("a4", share(), Level.ALLOW) is Put.OK
    assert await calls.proposed("a5", visit, Level.ALLOW) is Put.OK
    assert await calls.used() == {"budget": 2, "open": 0, "holds": 0}
    assert (await calls.store.facts(Needs(counters=(fresh,)))).used == {"fresh": 0}


async def test_each_counter_session_and_target_is_noted_once(calls: Calls) -> None:
    leaves = replace(share(BUDGET, MILLION), session="visit", session_ms=DAY)
    leaves = replace(leaves, familiar="bob", familiar_ms=30 * DAY)
    seen: list[tuple[int, int]] = []
    for n in range(2):
        await calls.proposed(f"a{n}", leaves, Level.ALLOW)
        await calls.answered(f"a{n}")
        keys = [f"{calls.store._prefix}:{kind}:bot" for kind in "vy"]
        long, soft = await calls.store.client.mget(keys)
        seen.append((int(long or 0), int(soft or 0)))

    first = (250 + 800 + 400, 30 * 150)
    assert seen[0] == first
    assert seen[1] in (first, (first[0] + 250, first[1])), "a bucket may have begun in between"


async def test_targets_beyond_what_is_remembered_stay_unfamiliar(calls: Calls) -> None:
    await noted(calls, "y")
    await calls.proposed("a1", Effects(familiar="bob", familiar_ms=DAY), Level.ALLOW)
    assert await calls.answered("a1") is Put.OK

    assert (await calls.store.facts(Needs(familiar="bob"))).familiar is False


async def test_what_its_own_agent_took_back_or_nobody_decided_is_let_go_early(calls: Calls) -> None:
    for name, way, first, then in (
        ("a", "cancelled", HOUR, 10_000),
        ("e", "expired", Limits().keep_reviewed_ms, HOUR),
    ):
        assert await held(calls, a_named(f"{name}1")) is Put.OK
        await getattr(calls, way)(f"{name}1")
        await noted(calls, "u" if way == "cancelled" else "y")
        assert await held(calls, a_named(f"{name}2")) is Put.OK
        await getattr(calls, way)(f"{name}2")

        assert first - 60_000 < await left(calls, f"c:{name}1") <= first
        assert 0 < await left(calls, f"c:{name}2") <= then
