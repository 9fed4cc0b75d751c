"""Several calls decided together: each judged by itself."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import ClientResponse

from interlock.core.actions import Action, State
from interlock.core.decisions import Stake
from interlock.core.identity import Kind
from interlock.core.rules import Attention, LevelSpec, Redact

from .test_access import session
from .world import World, a_call


@pytest.fixture
async def ann(world: World) -> str:
    attend(world, batch=Stake.MEDIUM)
    return await world.key(Kind.APPROVER, "ann")


def attend(world: World, **attention: Any) -> None:
    world.gate.policy = replace(world.gate.policy, attention=Attention(**attention))


async def mails(world: World, count: int, **more: Any) -> list[Action]:
    bodies = (b'{"to": "a%d", "body": "b"}' % n for n in range(count))
    made = [a_call("mail", target="/messages", body=body, **more) for body in bodies]
    return [await world.hold(call) for call in made]


def named(*actions: Action, **more: Any) -> list[dict[str, Any]]:
    return [
        {"id": each.id, "version": each.version, "digest": each.digest} | more for each in actions
    ]


async def decide(world: World, key: str, items: list[Any], **more: Any) -> ClientResponse:
    body = {"type": "approve", "items": items} | more
    return await world.ask("POST", "/v1/approvals/decisions", key=key, json=body)


async def verdicts(answer: ClientResponse) -> list[tuple[int, str]]:
    assert answer.status == 200, await answer.text()
    return [(each["status"], each["state"]) for each in (await answer.json())["items"]]


async def test_each_call_of_a_batch_is_approved_and_sent_by_itself(world: World, ann: str) -> None:
    held = await mails(world, 3)
    found = await verdicts(await decide(world, ann, named(*held)))
    assert [status for status, _ in found] == [200, 200, 200]
    for action in held:
        assert (await world.settled(action)).state is State.ANSWERED
    assert len(world.tool.calls) == 3
    assert (await world.deps.desk.approvals("ann"))[0] == 3


async def test_what_is_wrong_with_one_call_changes_nothing_for_the_others(
    world: World, ann: str
) -> None:
    first, second, third = await mails(world, 3)
    await world.decide(second, await world.key(Kind.APPROVER, "bob"), type="reject", message="no")
    items = [
        *named(first),
        *named(second),
        {"id": "act_none", "version": 1, "digest": "0" * 64},
        *named(third, digest="0" * 64),
    ]
    answer = await decide(world, ann, items)
    assert await verdicts(answer) == [
        (200, "approved"),
        (409, "rejected"),
        (404, ""),
        (412, "held"),
    ]
    said = (await answer.json())["items"]
    assert "ann" in said[0]["said"]
    assert all(each["detail"] for each in said[1:])
    assert (await world.now(third)).version == third.version


async def test_a_version_that_was_not_looked_at_is_not_decided(world: World, ann: str) -> None:
    (action,) = await mails(world, 1)
    assert await verdicts(await decide(world, ann, named(action, version=7))) == [(412, "held")]


async def test_policy_says_up_to_which_stake_calls_are_approved_together(
    world: World, ann: str
) -> None:
    high = await world.hold()
    (mail,) = await mails(world, 1)
    assert await verdicts(await decide(world, ann, named(high, mail))) == [
        (409, "held"),
        (200, "approved"),
    ]


async def test_what_policy_lets_nobody_batch_any_more_is_not_approved(
    world: World, ann: str
) -> None:
    held = await mails(world, 2)
    attend(world, batch=Stake.LOW)
    assert await verdicts(await decide(world, ann, named(held[0]))) == [(409, "held")]
    attend(world)
    assert await verdicts(await decide(world, ann, named(held[1]))) == [(409, "held")]


async def test_what_was_held_before_policy_let_it_be_batched_is_not(world: World) -> None:
    key, (action,) = await world.key(Kind.APPROVER, "ann"), await mails(world, 1)
    attend(world, batch=Stake.MEDIUM)
    assert await verdicts(await decide(world, key, named(action))) == [(409, "held")]


@pytest.mark.parametrize("spec", [{"dwell_ms": 5}, {"step_up": True}, {"folded": True}])
async def test_what_asks_for_more_attention_is_decided_by_itself(
    world: World, ann: str, spec: dict[str, Any]
) -> None:
    levels = world.gate.policy.levels
    careful = replace(levels, approve=LevelSpec(approvers=("ops",), **spec))
    world.gate.policy = replace(world.gate.policy, levels=careful)
    (action,) = await mails(world, 1)
    assert await verdicts(await decide(world, ann, named(action))) == [(409, "held")]


@pytest.mark.parametrize("spec", [{"dwell_ms": 5}, {"step_up": True}, {"folded": True}])
async def test_what_todays_policy_asks_more_attention_for_is_decided_by_itself(
    world: World, ann: str, spec: dict[str, Any]
) -> None:
    (action,) = await mails(world, 1)
    levels = world.gate.policy.levels
    careful = replace(levels, approve=LevelSpec(approvers=("ops",), **spec))
    world.gate.policy = replace(world.gate.policy, levels=careful)
    assert await verdicts(await decide(world, ann, named(action))) == [(409, "held")]


async def test_what_hides_something_is_decided_by_itself(world: World, ann: str) -> None:
    (action,) = await mails(world, 1)
    world.gate.policy = replace(world.gate.policy, redact=Redact(approver=("args.to",)))
    assert await verdicts(await decide(world, ann, named(action))) == [(409, "held")]


async def test_everything_can_be_rejected_together(world: World, ann: str) -> None:
    items = named(await world.hold(), *await mails(world, 1))
    answer = await decide(world, ann, items, type="reject", message="a test", reason_code="policy")
    assert await verdicts(answer) == [(200, "rejected"), (200, "rejected")]
    no_reason = await decide(
        world, ann, named(*await mails(world, 1, session="s-82")), type="reject"
    )
    assert await verdicts(no_reason) == [(422, "held")]


async def test_each_call_is_one_that_the_person_may_decide(world: World, ann: str) -> None:
    held = await mails(world, 2)
    for who, groups in (("olga", ("ops",)), ("cat", ("sales",))):
        key = await world.key(Kind.APPROVER, who, groups)
        assert await verdicts(await decide(world, key, named(*held))) == [(403, "held")] * 2


async def test_a_batch_counts_towards_what_one_may_approve_in_an_hour(
    world: World, ann: str
) -> None:
    attend(world, batch=Stake.MEDIUM, per_hour=2)
    held = await mails(world, 3)
    found = await verdicts(await decide(world, ann, named(*held)))
    assert [status for status, _ in found] == [200, 200, 429]


async def test_the_same_batch_again_has_no_second_effect(world: World, ann: str) -> None:
    held = await mails(world, 2)
    await decide(world, ann, named(*held))
    for action in held:
        await world.settled(action)
    again = await verdicts(await decide(world, ann, named(*held)))
    assert [status for status, _ in again] == [200, 200]
    assert len(world.tool.calls) == 2


@pytest.mark.parametrize(
    "body",
    [
        {"items": []},
        {"type": "edit"},
        {"type": "respond"},
        {"items": "all"},
        {"all": True},
        {"items": [{"id": "a", "version": 1}]},
        {"items": [{"id": "a", "version": 1, "digest": "0" * 64}] * 2},
        {"items": [{"id": f"a{n}", "version": 1, "digest": "0" * 64} for n in range(51)]},
    ],
)
async def test_a_malformed_batch_decides_nothing(
    world: World, ann: str, body: dict[str, Any]
) -> None:
    (action,) = await mails(world, 1)
    whole = {"type": "approve", "items": named(action)} | body
    answer = await world.ask("POST", "/v1/approvals/decisions", key=ann, json=whole)
    assert answer.status == 400
    assert (await world.now(action)).version == action.version


async def test_from_a_session_each_call_needs_its_own_token(world: World, ann: str) -> None:
    first, second, third = await mails(world, 3)
    client, _ = await session(world)
    async with client:
        tokens = []
        for action in (first, second):
            path = f"{world.url}/v1/approvals/{action.id}"
            tokens.append((await (await client.get(path)).json())["csrf"])
        items = [
            *named(first, csrf=tokens[0]),
            *named(second, csrf=tokens[0]),
            *named(third),
        ]
        answer = await client.post(
            f"{world.url}/v1/approvals/decisions",
            json={"type": "approve", "items": items},
            headers={"Origin": world.url},
        )
        found = await verdicts(answer)
    assert [status for status, _ in found] == [200, 403, 403]
    assert (await world.now(second)).state is State.HELD


LONG = "L" * 25_000


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"to": "p\u0430rtner@example.com", "body": "b"}, "a look-alike letter"),
        ({"to": "a", "body": LONG}, "cut on the card"),
        ({"to": "a", "body": "b" * 61}, "cut by a character"),
        ({str(n): n for n in range(6)}, "more arguments than a card has"),
    ],
)
async def test_what_a_card_does_not_show_whole_or_warns_of_is_approved_by_itself(
    world: World, ann: str, body: dict[str, Any], why: str
) -> None:
    policy = world.gate.policy
    mail = replace(policy.tools["mail.send"], args_schema=None)
    world.gate.policy = replace(policy, tools={**policy.tools, "mail.send": mail})
    (plain,) = await mails(world, 1)
    call = a_call("mail", target="/messages", body=json.dumps(body).encode())
    action = await world.hold(call)
    listed = await (await world.ask("GET", "/v1/approvals", key=ann)).json()
    cards = {each["id"]: each for each in listed["items"]}
    assert (cards[plain.id]["batch"], cards[action.id]["batch"]) == (True, False), why
    assert cards[action.id]["look_twice"] is ("look-alike" in why)
    assert await verdicts(await decide(world, ann, named(plain, action))) == [
        (200, "approved"),
        (409, "held"),
    ]
