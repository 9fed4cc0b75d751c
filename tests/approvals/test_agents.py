"""Agents as people see them, and the switch that stops them."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from aiohttp import ClientResponse

from interlock.core.actions import State
from interlock.core.desk import Absence
from interlock.core.errors import Suspended
from interlock.core.identity import Kind

from .test_access import session
from .world import World, a_call

LOOPS = {"reason": "it loops"}


async def approver(world: World, name: str = "ann") -> str:
    return await world.key(Kind.APPROVER, name)


async def stop(world: World, key: str, agent: str = "billing-bot") -> ClientResponse:
    return await world.ask("POST", f"/v1/agents/{agent}/suspend", key=key, json=LOOPS)


async def resume(world: World, key: str, agent: str = "billing-bot") -> ClientResponse:
    return await world.ask("POST", f"/v1/agents/{agent}/resume", key=key)


async def listed(world: World, key: str) -> dict[str, Any]:
    answer = await world.ask("GET", "/v1/agents", key=key)
    assert answer.status == 200
    found: dict[str, Any] = await answer.json()
    return found


async def test_agents_are_known_by_their_calls_and_keys(world: World) -> None:
    ann = await approver(world)
    action = await world.hold()
    await world.hold(a_call(body=b'{"amount": 5, "recipient": "x"}'))
    _, record = await world.keys.create(Kind.AGENT, "mail-bot", "dan", (), 9 * 10**12)
    _, revoked = await world.keys.create(Kind.AGENT, "mail-bot", "dan", (), 0)
    await world.keys.revoke(revoked.key_id)
    found = {each["id"]: each for each in (await listed(world, ann))["items"]}
    assert found.keys() == {"billing-bot", "mail-bot"}
    bot, mail = found["billing-bot"], found["mail-bot"]
    assert (bot["owner"], bot["held"], bot["keys"]) == ("olga", 2, [])
    assert bot["seen"] >= action.created
    assert (mail["owner"], mail["held"], mail["seen"]) == ("dan", 0, 0)
    assert [(each["id"], each["expires"]) for each in mail["keys"]] == [(record.key_id, 9 * 10**12)]


async def test_nothing_of_a_stopped_agent_is_sent(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    ann, bob = await approver(world), await approver(world, "bob")
    action = await world.hold()
    with caplog.at_level(logging.WARNING, "interlock.audit"):
        answer = await stop(world, ann)
    assert (await answer.json())["stopped"]["reason"] == "it loops"
    assert "agent billing-bot suspended by=ann reason=it loops" in caplog.text
    refused = await world.decide(action, bob)
    assert refused.status == 409
    assert "ann" in (await refused.json())["detail"]
    item = await (await world.ask("GET", f"/v1/approvals/{action.id}", key=bob)).json()
    assert item["may"]["approve"] is item["may"]["edit"] is False
    assert item["may"]["reject"] is True
    assert "it loops" in item["may"]["why"]
    with pytest.raises(Suspended):
        await world.gate.submit(a_call(body=b'{"amount": 1, "recipient": "x"}'))
    assert world.tool.calls == []


async def test_calls_of_a_stopped_agent_can_be_rejected(world: World) -> None:
    ann = await approver(world)
    action = await world.hold()
    await stop(world, ann)
    answer = await world.decide(action, ann, type="reject", message="it loops")
    assert answer.status == 200
    assert (await world.now(action)).state is State.REJECTED


async def test_a_resumed_agent_goes_on(world: World, caplog: pytest.LogCaptureFixture) -> None:
    ann, bob = await approver(world), await approver(world, "bob")
    action = await world.hold()
    await stop(world, ann)
    with caplog.at_level(logging.WARNING, "interlock.audit"):
        answer = await resume(world, bob)
    assert (await answer.json())["stopped"] is None
    assert "agent billing-bot resumed by=bob" in caplog.text
    assert (await world.decide(action, bob)).status == 200
    assert (await resume(world, bob)).status == 404


async def test_all_agents_are_stopped_at_once(world: World) -> None:
    ann, admin = await approver(world), await world.key(Kind.ADMIN)
    action = await world.hold()
    assert (await stop(world, ann, "-")).status == 200
    assert (await listed(world, ann))["everybody"]["by"] == "ann"
    assert (await world.decide(action, ann)).status == 409
    assert (await resume(world, ann)).status == 404  # it is not stopped by itself
    assert (await resume(world, admin, "-")).status == 200
    assert (await world.decide(action, ann)).status == 200


async def test_an_agent_is_stopped_before_it_was_ever_seen(world: World) -> None:
    ann = await approver(world)
    assert (await stop(world, ann, "new-bot")).status == 200
    (found,) = (await listed(world, ann))["items"]
    assert (found["id"], found["stopped"]["by"]) == ("new-bot", "ann")


async def test_its_owner_stops_an_agent_and_does_not_resume_it(world: World) -> None:
    olga = await approver(world, "olga")
    await world.hold()
    for agent in ("billing-bot", "-"):
        assert (await stop(world, olga, agent)).status == 200
        assert (await resume(world, olga, agent)).status == 403
    assert len(await world.deps.desk.suspended()) == 2


async def test_an_owner_is_known_by_the_agents_key_too(world: World) -> None:
    dan = await approver(world, "dan")
    await world.keys.create(Kind.AGENT, "mail-bot", "dan", (), 1)
    await stop(world, dan, "mail-bot")
    assert (await resume(world, dan, "mail-bot")).status == 403


async def test_whoever_stands_in_for_the_owner_does_not_resume_it(world: World) -> None:
    bob, now = await approver(world, "bob"), await world.store.now()
    await world.hold()
    stands = Absence(person="olga", groups=("ops",), to="bob", until=now + 60_000, since=now)
    await world.deps.desk.go_away(stands)
    await stop(world, bob)
    assert (await resume(world, bob)).status == 403
    await world.deps.desk.come_back("olga")
    assert (await resume(world, bob)).status == 200


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "x" * 1001}, {"why": "x"}])
async def test_stopping_an_agent_needs_a_reason(world: World, body: dict[str, Any]) -> None:
    ann = await approver(world)
    answer = await world.ask("POST", "/v1/agents/bot/suspend", key=ann, json=body)
    assert answer.status == 400
    assert await world.deps.desk.suspended() == ()


async def test_stopping_and_resuming_need_the_pages_own_token(world: World) -> None:
    client, _ = await session(world)
    ours = {"Origin": world.url}
    path = f"{world.url}/v1/agents/billing-bot"
    async with client:
        token = (await (await client.get(f"{world.url}/v1/agents")).json())["csrf"]
        good = ours | {"Interlock-CSRF": token}
        wrong = await client.post(f"{path}/suspend", json=LOOPS, headers=ours)
        right = await client.post(f"{path}/suspend", json=LOOPS, headers=good)
        still = await client.post(f"{path}/resume", headers=ours)
        ended = await client.post(f"{path}/resume", headers=good)
    assert [each.status for each in (wrong, right, still, ended)] == [403, 200, 403, 200]


async def test_what_an_agent_calls_itself_is_shown_visibly(world: World) -> None:
    ann = await approver(world)
    await world.hold(a_call(agent="bot\u202etob"))
    (found,) = (await listed(world, ann))["items"]
    assert found["id"] == "bot<U+202E>tob"
