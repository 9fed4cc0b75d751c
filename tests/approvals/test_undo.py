"""A person undoes what an agent did: policy judges that call too, and it goes out once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from interlock.core.actions import Action, State, ToolCall
from interlock.core.desk import Suspension
from interlock.core.errors import QueueFull
from interlock.core.identity import Kind
from interlock.core.rules import PolicySet
from interlock.policies.load import read_policies
from interlock.ports import Limits

from .test_access import session
from .world import World, a_call

BANK = """
apiVersion: interlock/v1
kind: Policy
metadata: {name: bank, version: 1}
matrix:
  read_only:    [allow,  allow,   notify,       approve]
  reversible:   [allow,  approve, approve,      approve]
  compensable:  [notify, approve, approve,      approve_dual]
  irreversible: [notify, approve, approve_dual, deny]
tools:
  - id: bank.transfer
    http: {upstream: bank, method: POST, path: "/v1/accounts/{account}/transfers"}
    args_schema: {type: object, required: [amount], properties: {amount: {type: number},
      recipient: {type: string}, memo: {type: string}}}
    reversibility: compensable
    undo: {tool: bank.refund, within: 24h,
      arguments: {payment: answer.id, amount: args.amount}}
    facets: {data: confidential}
  - id: bank.refund
    http: {upstream: bank, method: POST, path: "/v1/payments/{payment}/refund"}
    args_schema: {type: object, required: [amount], properties: {amount: {type: number}}}
    reversibility: reversible
    undo: {reason: It can be paid again.}
    facets: {data: public}
levels:
  approve: {approvers: [ops]}
  approve_dual: {approvers: [ops]}
"""
HOLDS = "rules: [{id: look, tools: [bank.refund], at_least: approve}]\n"
DENIES = "rules: [{id: closed, tools: [bank.refund], deny: Refunds are closed.}]\n"


@dataclass
class Answered:
    """What the tool answers."""

    body: bytes = b'{"id": "p-7", "state": "paid"}'
    status: int = 201
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self.body

    async def close(self) -> None:
        pass


def bank(more: str = "", **other: str) -> PolicySet:
    text = BANK + more
    for before, after in other.items():
        text = text.replace({"within": "24h"}[before], after)
    return read_policies([("bank.yaml", text)])


@pytest.fixture(autouse=True)
def paying(world: World) -> None:
    world.gate.policy = bank()
    answers(world, Answered())


def answers(world: World, said: Answered) -> None:
    async def send(call: ToolCall) -> Answered:
        world.tool.calls.append(call)
        return said

    world.tool.send = send  # type: ignore[method-assign, assignment]


async def paid(world: World, **call: Any) -> Action:
    """Let a person approve a transfer, and the tool answer it."""
    action = await world.hold(a_call(**call))
    ann = await world.key(Kind.APPROVER, "ann")
    assert (await world.decide(action, ann)).status == 200
    return await world.settled(action)


async def undo(world: World, action: Action, who: str = "ann", **key: Any) -> tuple[int, Any]:
    mine = await world.key(Kind.APPROVER, who, **key)
    answer = await world.ask("POST", f"/v1/approvals/{action.id}/undo", key=mine)
    return answer.status, await answer.json()


async def test_an_agent_whose_queue_is_full_does_not_forbid_the_undo(world: World) -> None:
    world.gate.policy = bank(HOLDS)
    action = await paid(world)
    world.store._limits = Limits(held_per_agent=2, kept_per_agent=1)
    for number in (7, 8):
        await world.hold(a_call(body=b'{"amount": %d, "recipient": "x"}' % number))
    with pytest.raises(QueueFull):
        await world.hold(a_call(body=b'{"amount": 9, "recipient": "x"}'))
    status, said = await undo(world, action)
    assert (status, said["state"]) == (200, "held")
    again = await undo(world, action)
    assert again[1]["id"] == said["id"]
    with pytest.raises(QueueFull):
        await world.hold(a_call(body=b'{"amount": 9, "recipient": "x"}'))


async def test_a_stopped_agents_calls_are_not_undone_before_it_is_resumed(world: World) -> None:
    action = await paid(world)
    stop = Suspension(agent="billing-bot", by="ann", reason="it loops", at=0)
    await world.deps.desk.suspend(stop)
    sent = len(world.tool.calls)
    status, said = await undo(world, action)
    assert (status, len(world.tool.calls)) == (403, sent)
    assert "stopped by a person" in said["detail"]


async def item(world: World, action: Action, who: str = "ann") -> Any:
    key = await world.key(Kind.APPROVER, who)
    answer = await world.ask("GET", f"/v1/approvals/{action.id}", key=key)
    assert answer.status == 200, await answer.text()
    return await answer.json()


async def test_what_policy_allows_is_undone_at_once(world: World) -> None:
    action = await paid(world)

    status, said = await undo(world, action)

    assert (status, said["state"]) == (200, "answered")
    assert said["said"] == "sent, the tool answered 201"
    first, second = world.tool.calls
    assert (second.method, second.target) == ("POST", "/v1/payments/p-7/refund")
    assert second.body == b'{"amount": 900.00}', "the digits that the agent wrote"
    assert second.agent == first.agent
    assert second.headers == (("Content-Type", "application/json"), ("Accept", "application/json"))
    undone = await world.store.get(said["id"])
    assert undone is not None and undone.decision is not None
    assert undone.decision.tool == "bank.refund"
    assert undone.call.context.reason == f"Undo of {action.id}, asked for by ann"


async def test_it_is_undone_once_however_often_and_by_whom_it_is_asked_for(world: World) -> None:
    action = await paid(world)

    first = await undo(world, action)
    again = await undo(world, action, "bob")

    assert again == first and len(world.tool.calls) == 2


async def test_of_two_people_at_once_one_undoes_it(world: World) -> None:
    action = await paid(world)

    (_, one), (_, other) = await asyncio.gather(undo(world, action), undo(world, action, "bob"))

    assert one["id"] == other["id"] and len(world.tool.calls) == 2


async def test_what_policy_holds_waits_for_people_and_then_is_sent(world: World) -> None:
    world.gate.policy = bank(HOLDS)
    action = await paid(world)

    status, said = await undo(world, action)
    assert (status, said["state"], said["said"]) == (200, "held", "")
    assert len(world.tool.calls) == 1
    assert await undo(world, action, "bob") == (status, said), "it waits already"

    held = await world.store.get(said["id"])
    assert held is not None
    ann = await world.key(Kind.APPROVER, "ann")
    assert (await world.decide(held, ann)).status == 200
    assert (await world.settled(held)).state is State.ANSWERED
    assert world.tool.calls[1].target == "/v1/payments/p-7/refund"


async def test_an_undo_that_people_rejected_stays_rejected(world: World) -> None:
    world.gate.policy = bank(HOLDS)
    action = await paid(world)
    _, said = await undo(world, action)
    held = await world.store.get(said["id"])
    assert held is not None
    ann = await world.key(Kind.APPROVER, "ann")
    rejected = await world.decide(held, ann, type="reject", message="not yet")
    assert rejected.status == 200

    _, again = await undo(world, action)

    assert (again["state"], again["said"]) == ("rejected", "ann: rejected")
    assert len(world.tool.calls) == 1


async def test_what_policy_denies_is_not_sent(world: World) -> None:
    world.gate.policy = bank(DENIES)
    action = await paid(world)

    status, said = await undo(world, action)

    assert (status, said["state"]) == (200, "denied")
    assert said["said"] == "denied by policy: Refunds are closed."
    assert len(world.tool.calls) == 1


async def test_once_its_window_is_closed_nothing_is_undone(world: World) -> None:
    world.gate.policy = bank(within="1ms")
    action = await paid(world)

    status, said = await undo(world, action)

    assert (status, "that is over" in said["detail"]) == (409, True)
    assert len(world.tool.calls) == 1
    assert "that is over" in (await item(world, action))["undo"]["why"]


async def test_what_was_not_answered_with_success_is_not_undone(world: World) -> None:
    held = await world.hold(a_call())
    assert (await undo(world, held))[0] == 409

    answers(world, Answered(status=402))
    action = await paid(world, body=b'{"amount": 1}')
    status, said = await undo(world, action)
    assert (status, "the tool answered 402" in said["detail"]) == (409, True)
    assert len(world.tool.calls) == 1


@pytest.mark.parametrize(
    "hostile",
    [
        b'{"state": "paid"}',
        b'{"id": "../../accounts/DE-4711/transfers"}',
        b'{"id": "a/b"}',
        b'{"id": "a%2Fb"}',
        b'{"id": "a\\u0000b"}',
        b'{"id": ""}',
        b'{"id": 1000000000000000000000000000000}',
        b'{"id": {"id": "p-7"}}',
        b'{"id": ["p-7"]}',
        b'{"id": null}',
        b'{"id": "p-7", "id": "p-8"}',
        b"p-7",
    ],
)
async def test_an_answer_of_another_kind_makes_no_call(world: World, hostile: bytes) -> None:
    answers(world, Answered(body=hostile))
    action = await paid(world)

    status, said = await undo(world, action)

    assert status == 409 and "Nothing was sent." in said["detail"], said
    assert len(world.tool.calls) == 1
    assert (await item(world, action))["undo"]["why"]


async def test_whoever_may_not_decide_such_calls_undoes_none(world: World) -> None:
    action = await paid(world)

    assert (await undo(world, action, "olga"))[0] == 403, "owns the agent"
    assert (await undo(world, action, "billing-bot"))[0] == 403
    assert (await undo(world, action, "eve", groups=("others",)))[0] == 403
    for kind in (Kind.ADMIN, Kind.AUDITOR, Kind.AGENT):
        key = await world.key(kind)
        assert (await world.ask("POST", f"/v1/approvals/{action.id}/undo", key=key)).status == 403
    assert len(world.tool.calls) == 1
    assert (await undo(world, Action(id="act_none", call=action.call)))[0] == 404


async def test_a_session_needs_the_token_of_this_very_call(world: World) -> None:
    one, other = await paid(world), await paid(world, body=b'{"amount": 5}')
    client, _ = await session(world)
    async with client:
        tokens = []
        for action in (one, other):
            shown = await client.get(f"{world.url}/v1/approvals/{action.id}")
            tokens.append((await shown.json())["undo"]["csrf"])
        statuses = []
        for token in ("", tokens[1], tokens[0]):
            headers = {
                "Interlock-CSRF": token,
                "Origin": world.url,
                "Sec-Fetch-Site": "same-origin",
            }
            path = f"{world.url}/v1/approvals/{one.id}/undo"
            statuses.append((await client.post(path, headers=headers)).status)

    assert statuses == [403, 403, 200] and len(world.tool.calls) == 3


async def test_the_page_is_told_what_would_be_called(world: World) -> None:
    action = await paid(world)

    offer = (await item(world, action))["undo"]

    assert (offer["tool"], offer["why"]) == ("bank.refund", "")
    assert offer["until"] == action.changed + 86_400_000
    assert [(each["name"], each["source"], each["visible"]) for each in offer["arguments"]] == [
        ("payment", "answer.id", "p-7"),
        ("amount", "args.amount", "900.0"),
    ]
    assert "You own this agent" in (await item(world, action, "olga"))["undo"]["why"]
    assert (await item(world, await world.hold(a_call(body=b'{"amount": 7}'))))["undo"] is None


async def test_hidden_values_are_not_shown_by_what_would_undo_them(world: World) -> None:
    world.gate.policy = bank("redact: {approver: [args.amount]}\n")
    action = await paid(world)

    offer = (await item(world, action))["undo"]

    assert [each["visible"] for each in offer["arguments"]] == ["p-7", ""], "only what is hidden"


async def test_what_was_undone_says_by_whom_and_with_which_call(world: World) -> None:
    action = await paid(world)
    assert (await item(world, action))["undo"]["undone"] is None
    _, said = await undo(world, action)

    offer = (await item(world, action))["undo"]
    assert (offer["csrf"], offer["undone"]["id"], offer["undone"]["by"]) == ("", said["id"], "ann")
    assert (offer["undone"]["tool"], offer["undone"]["done"]) == ("bank.refund", True)
    key = await world.key(Kind.APPROVER, "ann")
    past = await (await world.ask("GET", f"/v1/history?q={action.id}", key=key)).json()
    assert [each["undone"]["id"] for each in past["items"]] == [said["id"]]
    again = await world.hold(a_call(body=b'{"amount": 901}'))
    assert (await item(world, again))["compared"]["undone"]["id"] == said["id"]


async def test_the_answer_of_the_tool_is_shown_but_not_where_policy_hides_something(
    world: World,
) -> None:
    action = await paid(world)
    assert (await item(world, action))["answer"] == {
        "status": 201,
        "size": 30,
        "visible": '{"id": "p-7", "state": "paid"}',
        "cut": False,
        "hidden": False,
    }
    world.gate.policy = bank("redact: {approver: [args.amount]}\n")
    told = (await item(world, action))["answer"]
    assert (told["visible"], told["hidden"]) == ("", True)


async def test_that_it_was_undone_is_recorded(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "interlock.audit")
    action = await paid(world)
    _, said = await undo(world, action)
    await undo(world, action, "bob")

    lines = [each for each in caplog.messages if " undo " in each]
    assert lines == [
        f"call {action.id} undo asked for by=ann undo={said['id']} state=forwarding"
        " agent=billing-bot",
        f"call {action.id} undo again by=bob undo={said['id']} state=answered agent=billing-bot",
    ]


async def test_what_nobody_had_to_decide_is_undone_from_its_arguments(world: World) -> None:
    text = BANK.replace("answer.id", "args.recipient")
    low = text + "stake: {data: {confidential: low, public: low}}\n"
    world.gate.policy = read_policies([("bank.yaml", low)])
    submission = await world.gate.submit(a_call(body=b'{"amount": 3, "recipient": "p-9"}'))
    assert submission.relay is not None
    await submission.relay.drain()
    action = await world.settled(submission.action)

    status, said = await undo(world, action)

    assert (status, said["state"]) == (200, "answered")
    assert world.tool.calls[1].target == "/v1/payments/p-9/refund"
