"""The people's API, spoken to as clients do."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import ClientResponse

from interlock.core.actions import State, ToolCall
from interlock.core.desk import Absence
from interlock.core.errors import UpstreamLost
from interlock.core.identity import Kind

from .world import SaidAnswer, World, a_call

WRONG = "0" * 64


async def approver(world: World, name: str = "ann") -> str:
    return await world.key(Kind.APPROVER, name)


async def test_the_queue_shows_the_highest_stake_first_then_the_oldest(world: World) -> None:
    key = await approver(world)
    mail = await world.hold(a_call("mail", target="/messages", body=b'{"to": "a", "body": "b"}'))
    first = await world.hold()
    second = await world.hold(a_call(body=b'{"amount": 5, "recipient": "x"}'))
    queue = await (await world.ask("GET", "/v1/approvals", key=key)).json()
    assert [card["id"] for card in queue["items"]] == [first.id, second.id, mail.id]
    assert queue["total"] == 3
    assert queue["items"][0]["stake"] == "high"
    assert queue["items"][0]["consequence"] == (
        "Can be made good with bank.refund within 24h, at a cost."
    )


async def test_the_queue_comes_in_pages(world: World) -> None:
    key = await approver(world)
    mail = await world.hold(a_call("mail", target="/messages", body=b'{"to": "a", "body": "b"}'))
    held = [await world.hold(), mail, await world.hold(a_note())]
    seen: list[str] = []
    cursor = ""
    while True:
        page = await (await world.ask("GET", f"/v1/approvals?limit=1{cursor}", key=key)).json()
        seen += [card["id"] for card in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == [action.id for action in held]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("agent=other", 0),
        ("agent=billing-bot", 1),
        ("tool=bank.transfer", 1),
        ("level=approve", 1),
        ("level=deny", 0),
        ("state=recent", 0),
        ("state=rejected", 0),
    ],
)
async def test_the_queue_can_be_filtered(world: World, query: str, count: int) -> None:
    await world.hold()
    page = await (
        await world.ask("GET", f"/v1/approvals?{query}", key=await approver(world))
    ).json()
    assert len(page["items"]) == count


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "state=odd",
        "level=9",
        "cursor=x",
        "limt=1",
        "limit=1&limit=2",
    ],
)
async def test_a_query_that_cannot_be_meant_is_refused(world: World, query: str) -> None:
    answer = await world.ask("GET", f"/v1/approvals?{query}", key=await approver(world))
    assert answer.status == 400
    assert answer.content_type == "application/problem+json"


async def test_an_item_shows_the_exact_call_and_why_it_is_held(world: World) -> None:
    action = await world.hold(a_call(headers=(("X-Api-Key", "sk_live_1"), ("X-Trace", "t1"))))
    answer = await world.ask("GET", f"/v1/approvals/{action.id}", key=await approver(world))
    item = await answer.json()
    assert answer.headers["ETag"] == f'"{action.version}"'
    assert item["call"]["url"] == "https://api.bank.example/v1/accounts/DE-4711/transfers"
    assert item["call"]["body"]["text"] == action.call.body.decode()
    assert ["X-Api-Key", "***"] in item["call"]["headers"]
    assert item["call"]["masked"] == ["X-Api-Key"]
    assert "sk_live_1" not in await answer.text()
    assert item["decision"]["facet"] == "amount"
    assert item["decision"]["rules"][0]["id"] == "new-recipient"
    assert item["context"]["untrusted"] is True
    assert item["context"]["reason"] == "Rent is due today."
    assert [argument["name"] for argument in item["arguments"]] == [
        "account",
        "amount",
        "recipient",
        "memo",
    ]
    assert item["args_schema"]["required"] == ["amount", "recipient"]
    assert item["card"]["digest"] == action.digest
    assert item["may"] == {
        "approve": True,
        "edit": True,
        "reject": True,
        "respond": True,
        "reveal": False,
        "edit_after_reveal": False,
        "why": "",
    }


async def test_a_body_that_is_no_text_comes_as_base64_and_visible(world: World) -> None:
    call = a_call(body=b"\xff\x00A", media="application/octet-stream")
    action = await world.hold(call)
    answer = await world.ask("GET", f"/v1/approvals/{action.id}", key=await approver(world))
    body = (await answer.json())["call"]["body"]
    assert body["text"] is None
    assert body["base64"] == "/wBB"
    assert body["visible"] == "<0xFF><U+0000>A"


async def test_an_item_warns_of_look_alikes(world: World) -> None:
    action = await world.hold(a_call(body='{"amount": 1, "recipient": "pаypal"}'.encode()))
    answer = await world.ask("GET", f"/v1/approvals/{action.id}", key=await approver(world))
    assert "Cyrillic" in (await answer.json())["warnings"][0]["text"]


async def test_an_item_shows_the_earlier_calls_of_its_session(world: World) -> None:
    earlier = await world.hold()
    action = await world.hold(a_call(body=b'{"amount": 2, "recipient": "x"}'))
    answer = await world.ask("GET", f"/v1/approvals/{action.id}", key=await approver(world))
    assert [card["id"] for card in (await answer.json())["earlier"]] == [earlier.id]


async def test_an_approved_call_is_sent_byte_for_byte(world: World) -> None:
    action = await world.hold()
    answer = await world.decide(action, await approver(world))
    assert answer.status == 200
    assert (await world.settled(action)).state is State.ANSWERED
    assert [call.digest for call in world.tool.calls] == [action.digest]


async def test_a_rejected_call_never_reaches_the_tool(world: World) -> None:
    action = await world.hold()
    answer = await world.decide(
        action,
        await approver(world),
        type="reject",
        message="Not this one.",
        reason_code="wrong_target",
    )
    assert (await answer.json())["state"] == "rejected"
    after = await world.settled(action)
    assert after.cause == "Not this one."
    assert after.reviews[0].reason_code == "wrong_target"
    assert world.tool.calls == []


async def test_a_rejection_needs_a_reason(world: World) -> None:
    action = await world.hold()
    answer = await world.decide(action, await approver(world), type="reject")
    said = await answer.json()
    assert (answer.status, said["type"]) == (422, "urn:interlock:problem:reason-needed")
    assert (await world.now(action)).state is State.HELD


async def test_a_person_can_answer_in_the_tools_place(world: World) -> None:
    action = await world.hold()
    await world.decide(action, await approver(world), type="respond", message="Paid by hand.")
    after = await world.now(action)
    assert after.answer is not None and after.answer.body == b"Paid by hand."
    assert world.tool.calls == []


def a_note() -> ToolCall:
    return a_call(method="PUT", target="/v1/notes/n1", body=b'{"text": "hi"}')


ARGUMENTS = {"account": "DE-4711", "amount": 90, "recipient": "Bob GmbH", "memo": "May rent"}


async def test_an_edit_is_shown_before_it_is_made(world: World) -> None:
    action = await world.hold()
    answer = await world.ask(
        "POST",
        f"/v1/approvals/{action.id}/preview",
        key=await approver(world),
        json={"edited_args": ARGUMENTS},
    )
    preview = await answer.json()
    assert preview["acceptable"] is True
    assert preview["changes"] == [
        {"where": "amount", "before": "900.0", "after": "90", "same_above": 0, "same_below": 0}
    ]
    assert json.loads(preview["call"]["body"]["text"])["amount"] == 90
    assert (await world.now(action)).version == action.version


async def test_what_was_edited_is_what_is_sent(world: World) -> None:
    action, key = await world.hold(), await approver(world)
    preview = await world.ask(
        "POST", f"/v1/approvals/{action.id}/preview", key=key, json={"edited_args": ARGUMENTS}
    )
    digest = (await preview.json())["digest"]
    answer = await world.decide(
        action, key, type="edit", edited_args=ARGUMENTS, edited_digest=digest, message="too much"
    )
    assert answer.status == 200, await answer.text()
    after = await world.settled(action)
    assert [call.digest for call in world.tool.calls] == [digest]
    assert after.original is not None and after.original.digest == action.digest


async def test_an_edit_other_than_the_previewed_one_is_refused(world: World) -> None:
    action = await world.hold()
    answer = await world.decide(
        action,
        await approver(world),
        type="edit",
        edited_args=ARGUMENTS,
        edited_digest=WRONG,
        message="m",
    )
    assert answer.status == 422
    assert world.tool.calls == []


async def test_the_second_decision_is_told_who_decided(world: World) -> None:
    action = await world.hold()
    await world.decide(action, await approver(world, "ann"), type="reject", message="No.")
    late = await world.decide(action, await approver(world, "bob"))
    told = await late.json()
    assert late.status == 409
    assert told["current"]["said"] == "ann: rejected"


async def test_the_same_decision_again_is_the_same_answer(world: World) -> None:
    action, key = await world.hold(), await approver(world)
    first = await world.decide(action, key, type="reject", message="No.")
    again = await world.decide(action, key, type="reject", message="No.")
    assert (first.status, again.status) == (200, 200)
    assert len((await world.now(action)).reviews) == 1


async def test_an_edit_sent_twice_is_one_edit(world: World) -> None:
    action, key = await world.hold(), await approver(world)
    edit: dict[str, Any] = {"type": "edit", "edited_args": ARGUMENTS, "message": "m"}
    first = await world.decide(action, key, **edit)
    again = await world.decide(action, key, **edit)
    assert (first.status, again.status) == (200, 200)
    await world.settled(action)
    assert len(world.tool.calls) == 1


async def test_fifty_people_at_once_make_one_decision(world: World) -> None:
    action = await world.hold()
    keys = [await approver(world, f"p{number}") for number in range(50)]
    answers = await asyncio.gather(*(world.decide(action, key) for key in keys))
    assert sorted({answer.status for answer in answers}) == [200, 409]
    assert sum(answer.status == 200 for answer in answers) == 1
    await world.settled(action)
    assert len(world.tool.calls) == 1


async def test_a_decision_without_the_version_seen_is_refused(world: World) -> None:
    action = await world.hold()
    answer = await world.ask(
        "POST",
        f"/v1/approvals/{action.id}/decision",
        key=await approver(world),
        json={"type": "approve", "digest": action.digest},
    )
    assert answer.status == 428
    assert "If-Match" in (await answer.json())["detail"]


@pytest.mark.parametrize("etag", ["1", 'W/"1"', '"x"', '"1", "2"', '""'])
async def test_a_version_that_is_none_is_malformed(world: World, etag: str) -> None:
    action = await world.hold()
    answer = await world.ask(
        "POST",
        f"/v1/approvals/{action.id}/decision",
        key=await approver(world),
        headers={"If-Match": etag},
        json={"type": "approve", "digest": action.digest},
    )
    assert answer.status == 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"nonsense",
        b"\xff",
        b'{"type": "approve"}',
        b'{"type": "approve", "type": "reject", "digest": "%s"}',
        b'{"type": "approve", "Type": "reject", "digest": "%s"}',
        b'{"type": "allow", "digest": "%s"}',
        b'{"type": "approve", "digest": "short"}',
        b'{"type": "approve", "digest": "%s", "approver": "bob"}',
        b'{"type": "approve", "digest": "%s", "message": 1}',
        b'{"type": "edit", "digest": "%s"}',
        b'{"type": "approve", "digest": "%s", "edited_args": {}}',
        b'{"type": "edit", "digest": "%s", "edited_args": {"amount": NaN}}',
    ],
)
async def test_a_body_of_another_form_decides_nothing(world: World, body: bytes) -> None:
    action = await world.hold()
    answer = await world.ask(
        "POST",
        f"/v1/approvals/{action.id}/decision",
        key=await approver(world),
        headers={"If-Match": f'"{action.version}"', "Content-Type": "application/json"},
        data=body.replace(b"%s", action.digest.encode()),
    )
    assert answer.status == 400, await answer.text()
    assert (await world.now(action)).version == action.version


async def test_a_form_is_not_json(world: World) -> None:
    action = await world.hold()
    answer = await world.ask(
        "POST",
        f"/v1/approvals/{action.id}/decision",
        key=await approver(world),
        headers={"If-Match": '"1"'},
        data={"type": "approve"},
    )
    assert answer.status == 415


async def test_a_call_that_is_not_there_is_not_found(world: World) -> None:
    answer = await world.ask("GET", "/v1/approvals/nope", key=await approver(world))
    assert answer.status == 404
    assert (await answer.json())["type"] == "urn:interlock:problem:not-found"


async def test_only_an_unknown_outcome_can_be_resolved(world: World) -> None:
    action = await world.hold()
    answer = await world.ask(
        "POST",
        f"/v1/approvals/{action.id}/resolve",
        key=await world.key(Kind.ADMIN),
        json={"happened": True, "message": "seen in the ledger"},
    )
    assert answer.status == 409


@pytest.mark.parametrize("who", ["olga", "ann"])
async def test_whoever_answers_for_an_agent_settles_no_unknown_outcome_of_it(
    world: World, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    async def cut(call: ToolCall) -> SaidAnswer:
        raise UpstreamLost("cut")

    monkeypatch.setattr(world.tool, "send", cut)
    action, now = await world.hold(), await world.store.now()
    await world.decide(action, await approver(world), type="approve")
    assert (await world.settled(action)).state is State.UNKNOWN
    away = Absence(person="olga", groups=("ops",), to="ann", until=now + 10**8, since=now)
    await world.deps.desk.go_away(away)

    async def settle(person: str) -> ClientResponse:
        key = await world.key(Kind.ADMIN, person)
        found = {"happened": False, "message": "not in the ledger"}
        return await world.ask("POST", f"/v1/approvals/{action.id}/resolve", key=key, json=found)

    refused = await settle(who)
    assert refused.status == 403 and "own" in (await refused.json())["detail"]
    assert (await world.now(action)).state is State.UNKNOWN
    assert (await settle("adam")).status == 200


async def test_the_store_going_away_is_said_and_nothing_is_decided(world: World) -> None:
    action, key = await world.hold(), await approver(world)
    await world.keys.verify(key)  # remembered, so that the store is asked for the call only
    world.store._prefix = "{elsewhere}"
    answer = await world.decide(action, key)
    assert answer.status == 404
    assert world.tool.calls == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"type": "maybe"}, "`type` must be 'approve', 'edit', 'reject' or 'respond'"),
        ({"digest": "abc"}, "`digest` must be written as `^[0-9a-f]{64}$`"),
        ({"digest": 5}, "`digest` must be text"),
        ({"more": 1}, "`more` is unknown here"),
        ({"grant": {"for": "7d"}}, "`grant.uses` is missing"),
        ({"grant": {"for": "7d", "uses": 0}}, "`grant.uses` must be 1 or more"),
        ({"grant": {"for": "7d", "uses": "3"}}, "`grant.uses` must be a whole number"),
        ({"grant": 7}, "`grant` must be an object"),
        ({"edited_args": [1]}, "`edited_args` must be an object"),
        ({"message": "x" * 10_001}, "`message` must have at most 10000 characters"),
    ],
)
async def test_a_body_that_does_not_fit_is_said_to_in_our_words(
    world: World, change: dict[str, Any], why: str
) -> None:
    action = await world.hold()
    answer = await world.decide(action, await world.key(Kind.APPROVER, "ann"), **change)
    assert answer.status == 400
    assert (await answer.json())["detail"] == f"The body does not fit: {why}."
