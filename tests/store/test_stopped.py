"""While somebody has stopped an agent, no send of it begins and nothing new of it is held."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from interlock.core.decisions import Level
from interlock.core.desk import EVERYBODY, Suspension
from interlock.core.events import Decided
from interlock.core.lifecycle import step
from interlock.ports import Change, Put
from interlock.store.redis import RedisStore
from tests.store.calls import Calls
from tests.support.builders import a_call, a_decision, an_action
from tests.support.stores import Server, fresh_prefix

SAID = '{"by": "olga", "reason": "It pays twice.", "at": 1790000000000}'


@pytest.fixture
async def calls(server: Server) -> AsyncIterator[Calls]:
    store = RedisStore(server.url, prefix=fresh_prefix())
    yield Calls(store)
    await store.close()


async def stop(calls: Calls, agent: str, said: str = SAID) -> None:
    await calls.store.client.hset(f"{calls.store._prefix}:stopped", agent, said)


async def resume(calls: Calls, agent: str) -> None:
    await calls.store.client.hdel(f"{calls.store._prefix}:stopped", agent)


@pytest.mark.parametrize("who", ["bot", EVERYBODY])
async def test_nothing_of_a_stopped_agent_is_taken_in_but_refusals(calls: Calls, who: str) -> None:
    await stop(calls, who)

    assert await calls.proposed("a1", level=Level.ALLOW) is Put.SUSPENDED
    assert await calls.proposed("a2", level=Level.APPROVE) is Put.SUSPENDED
    assert await calls.proposed("a3", level=Level.DENY) is Put.OK
    assert await calls.store.get("a1") is None and await calls.store.get("a2") is None


@pytest.mark.parametrize("who", ["bot", EVERYBODY])
async def test_what_was_approved_is_not_sent_until_somebody_resumes(calls: Calls, who: str) -> None:
    await calls.proposed("a1")
    assert await calls.approved("a1") is Put.OK
    await stop(calls, who)

    assert await calls.claimed("a1") is Put.SUSPENDED
    assert (await calls.read("a1")).fence == 0
    assert await calls.store.ready() == ("a1",)
    await resume(calls, who)
    assert await calls.claimed("a1") is Put.OK


async def test_what_is_at_the_tool_already_is_recorded(calls: Calls) -> None:
    await calls.proposed("a1", level=Level.ALLOW)
    await stop(calls, "bot")

    assert await calls.answered("a1") is Put.OK


async def test_what_was_not_sent_is_not_tried_again(calls: Calls) -> None:
    await calls.proposed("a1")
    await calls.approved("a1")
    await calls.claimed("a1")
    await stop(calls, "bot")

    assert await calls.not_sent("a1") is Put.OK
    assert await calls.claimed("a1") is Put.SUSPENDED


async def test_held_calls_of_a_stopped_agent_can_be_ended(calls: Calls) -> None:
    await calls.proposed("a1")
    await stop(calls, "bot")

    assert await calls.rejected("a1") is Put.OK


async def test_other_agents_go_on(calls: Calls) -> None:
    await stop(calls, "other")

    assert await calls.proposed("a1", level=Level.ALLOW) is Put.OK
    assert await calls.store.stopped("bot") is None


async def test_a_retry_joins_what_waits_though_its_agent_is_stopped(calls: Calls) -> None:
    event = Decided(at=await calls.store.now(), decision=a_decision())

    async def asked(name: str) -> Put:
        action = an_action(a_call(), action_id=name)
        before = type(action)(id=name, call=action.call, digest=action.digest, fingerprint="same")
        after, _ = step(before, event)
        change = Change(before=before, event=event, after=after, nonce=f"n-{name}")
        return (await calls.store.put(change)).outcome

    assert await asked("a1") is Put.OK
    await stop(calls, "bot")

    assert await asked("a2") is Put.JOIN


async def test_who_stopped_an_agent_when_and_why_can_be_read(calls: Calls) -> None:
    await stop(calls, EVERYBODY)
    everybody = Suspension(agent="-", by="olga", reason="It pays twice.", at=1790000000000)
    assert await calls.store.stopped("bot") == everybody
    await stop(calls, "bot", '{"by": "ann", "reason": "", "at": 1}')

    assert await calls.store.stopped("bot") == Suspension(agent="bot", by="ann", reason="", at=1)


async def test_a_suspension_that_cannot_be_read_still_stops(calls: Calls) -> None:
    await stop(calls, "bot", "null")

    assert await calls.store.stopped("bot") == Suspension(agent="bot", by="", reason="", at=0)
    assert await calls.proposed("a1", level=Level.ALLOW) is Put.SUSPENDED
