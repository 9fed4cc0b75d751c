"""Agents as people see them, and the switch that stops them."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import ClientResponse

from interlock.core.actions import Agent, State
from interlock.core.desk import Absence
from interlock.core.digest import seal
from interlock.core.errors import Suspended
from interlock.core.identity import Kind

from .test_access import session
from .world import World, a_call, a_policy

LOOPS = {"reason": "it loops"}


async def approver(world: World, name: str = "ann") -> str:
    return await world.key(Kind.APPROVER, name)


SAID = '{"by": "olga", "reason": "x", "at": 1}'


async def stop(
    world: World, key: str, agent: str = "billing-bot", **more: object
) -> ClientResponse:
    return await world.ask("POST", f"/v1/agents/{agent}/suspend", key=key, json={**LOOPS, **more})


def lenient(world: World) -> None:
    """Let every call go out that can be put back, and tell people of it."""
    usual = a_policy().matrix
    row = (usual[0][2],) * 4
    world.gate.policy = replace(a_policy(), matrix=(usual[0], row, *usual[2:]))


async def noted(world: World, agent: str = "billing-bot") -> None:
    submission = await world.gate.submit(
        a_call("bank", "PUT", "/v1/notes/n", b"", agent=agent, session="a")
    )
    assert submission.relay is not None
    await submission.relay.drain()
    await world.settled(submission.action)  # its end is on record, by which the agent is known


async def crowd(world: World) -> None:
    """Let others call more often than anybody looks back."""
    for number in range(205):
        call = a_call("bank", "PUT", f"/v1/notes/{number}", b"", agent="other", session="b")
        call = replace(call, agent=Agent(id="other", owner="zed"), digest="")
        submission = await world.gate.submit(seal(call))
        assert submission.relay is not None
        await submission.relay.drain()


def configured(world: World, **agents: str | None) -> None:
    """Let the configuration name agents, and who owns them."""
    object.__setattr__(world.deps, "agents", agents)


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
    assert (await stop(world, ann, "new-bot", unknown=True)).status == 200
    (found,) = (await listed(world, ann))["items"]
    assert (found["id"], found["stopped"]["by"]) == ("new-bot", "ann")


@pytest.mark.parametrize("name", ["biling-bot", "Billing-Bot"])
async def test_a_name_that_nobody_knows_is_not_stopped_by_mistake(world: World, name: str) -> None:
    ann = await approver(world)
    await world.keys.create(Kind.AGENT, "billing-bot", "olga", (), 0)
    answer = await stop(world, ann, name)
    assert answer.status == 404
    assert "did you mean billing-bot? Nothing was stopped" in (await answer.json())["detail"]
    assert await world.deps.desk.suspended() == ()


async def test_a_name_like_no_other_is_not_stopped_either(world: World) -> None:
    answer = await stop(world, await approver(world), "zzz")
    assert answer.status == 404
    assert "is known. Nothing was stopped" in (await answer.json())["detail"]


async def test_an_agent_of_the_configuration_is_known(world: World) -> None:
    configured(world, local="", worker=None)
    ann = await approver(world)
    assert (await stop(world, ann, "local")).status == 200
    assert (await stop(world, ann, "worker")).status == 200


async def test_an_agent_that_called_lately_is_known_whoever_called_since(world: World) -> None:
    lenient(world)
    await noted(world, "quiet-bot")
    await crowd(world)
    assert (await stop(world, await approver(world), "quiet-bot")).status == 200


async def test_all_agents_are_stopped_however_many_are_stopped_already(world: World) -> None:
    ann = await approver(world)
    await world.hold()
    many = {f"x{number}": SAID for number in range(20_000)}
    await world.store.client.hset(f"{world.store._prefix}:stopped", mapping=many)  # type: ignore
    assert (await stop(world, ann)).status == 429
    assert (await stop(world, ann, "-")).status == 200
    assert world.tool.calls == []


async def test_one_person_stops_a_bounded_number_of_names_that_nobody_knows(world: World) -> None:
    ann, bob = await approver(world), await approver(world, "bob")
    for number in range(100):
        assert (await stop(world, ann, f"x{number}", unknown=True)).status == 200
    answer = await stop(world, ann, "x100", unknown=True)
    assert answer.status == 429
    assert "resume some of them first" in (await answer.json())["detail"]
    await world.hold()
    assert (await stop(world, ann)).status == 200
    assert (await stop(world, bob, "x100", unknown=True)).status == 200
    assert (await resume(world, await world.key(Kind.ADMIN), "x0")).status == 200
    assert (await stop(world, ann, "x0", unknown=True)).status == 200


async def test_thousands_of_stopped_names_are_counted_and_not_all_listed(world: World) -> None:
    ann = await approver(world)
    await world.hold()
    many = {f"x{number}": SAID for number in range(9_000)}
    await world.store.client.hset(f"{world.store._prefix}:stopped", mapping=many)  # type: ignore
    await stop(world, ann)
    await stop(world, ann, "-")
    found = await listed(world, ann)
    assert len(found["items"]) <= 501
    assert len(found["items"]) + found["unlisted"] == 9_001
    assert found["everybody"]["by"] == "ann"
    (mine,) = [each for each in found["items"] if each["id"] == "billing-bot"]
    assert mine["stopped"]["by"] == "ann"


async def test_its_owner_stops_an_agent_and_does_not_resume_it(world: World) -> None:
    olga = await approver(world, "olga")
    await world.hold()
    # the store may just have lost its stop, which others remember
    assert (await resume(world, olga, "billing-bot")).status == 403
    for agent in ("billing-bot", "-"):
        assert (await stop(world, olga, agent)).status == 200
        assert (await resume(world, olga, agent)).status == 403
    assert len(await world.deps.desk.suspended()) == 2


async def test_an_owner_is_known_by_the_agents_key_too(world: World) -> None:
    dan = await approver(world, "dan")
    await world.keys.create(Kind.AGENT, "mail-bot", "dan", (), 1)
    await stop(world, dan, "mail-bot")
    assert (await resume(world, dan, "mail-bot")).status == 403


async def test_an_owner_is_remembered_whoever_calls_after_the_stop(world: World) -> None:
    ann, olga = await approver(world), await approver(world, "olga")
    lenient(world)
    await noted(world)
    await stop(world, ann)
    await crowd(world)
    assert (await resume(world, olga)).status == 403
    await stop(world, ann)  # a second stop forgets nobody
    assert (await resume(world, olga)).status == 403
    assert (await resume(world, ann)).status == 200


async def test_an_admin_does_not_resume_an_agent_of_their_own(world: World) -> None:
    admin, other = await world.key(Kind.ADMIN, "olga"), await world.key(Kind.ADMIN, "root")
    await world.hold()
    await stop(world, admin)
    assert (await resume(world, admin)).status == 403
    assert (await resume(world, other)).status == 200


async def test_where_nobody_knows_the_owner_an_admin_resumes(world: World) -> None:
    ann, admin = await approver(world), await world.key(Kind.ADMIN)
    await stop(world, ann, "new-bot", unknown=True)
    answer = await resume(world, ann, "new-bot")
    assert answer.status == 403
    assert "an admin resumes it" in (await answer.json())["detail"]
    (found,) = (await listed(world, ann))["items"]
    assert "an admin resumes it" in found["barred"]
    assert (await resume(world, admin, "new-bot")).status == 200


async def test_an_agent_that_is_configured_without_an_owner_is_resumed_by_anybody(
    world: World,
) -> None:
    configured(world, local="", worker=None)
    ann = await approver(world)
    for agent, status in (("local", 200), ("worker", 403)):
        await stop(world, ann, agent)
        assert (await resume(world, ann, agent)).status == status


@pytest.mark.parametrize("record", ["x", '{"by": "b", "reason": "", "at": 1, "owners": {"a": 1}}'])
async def test_a_stop_whose_record_is_damaged_is_ended_by_an_admin(
    world: World, record: str
) -> None:
    ann, admin = await approver(world), await world.key(Kind.ADMIN)
    await world.store.client.hset(f"{world.store._prefix}:stopped", "bot", record)
    assert (await resume(world, ann, "bot")).status == 403
    assert (await resume(world, admin, "bot")).status == 200


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
    await world.hold()
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
