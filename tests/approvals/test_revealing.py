"""What policy hides is hidden everywhere, until somebody who may decide has it shown."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from urllib.parse import quote

import pytest

from interlock.core.actions import Action, ToolCall
from interlock.core.identity import Kind

from .test_access import session
from .world import HIDDEN, IBAN, World, a_call, careful, paying


@pytest.fixture(autouse=True)
def hiding(world: World) -> None:
    world.gate.policy = careful(HIDDEN)


async def shown(world: World, action: Action, method: str = "GET", more: str = "") -> str:
    key = await world.key(Kind.APPROVER, "ann")
    answer = await world.ask(method, f"/v1/approvals/{action.id}{more}", key=key)
    assert answer.status == 200, await answer.text()
    return await answer.text()


def spelled(call: ToolCall) -> ToolCall:
    """The same transfer, its recipient written with escapes of JSON."""
    escaped = "".join(f"\\u{ord(each):04x}" for each in IBAN)
    body = call.body.replace(IBAN.encode(), escaped.encode())
    return a_call(body=body, headers=(("X-To", IBAN),), task=f"Pay {IBAN}", reason=f"{IBAN} asks")


async def test_a_hidden_argument_is_nowhere_in_what_is_shown(world: World) -> None:
    for call in (paying(reason=f"{IBAN} is due", task=f"Pay {IBAN}"), spelled(paying())):
        action = await world.hold(call)
        text = await shown(world, action)
        item = json.loads(text)
        assert IBAN not in text and "\\u0044\\u0045" not in text
        (recipient,) = (each for each in item["arguments"] if each["redacted"])
        assert (recipient["visible"], recipient["value"]) == ("…2051", None)
        assert item["redacted"] == ["recipient"]
        assert '"recipient": "…2051"' in item["call"]["body"]["visible"]
        assert (item["call"]["body"]["text"], item["call"]["hidden"]) == (None, [])
        assert item["decision"]["target"][0]["visible"] == "…2051"
        assert item["decision"]["target"][0]["stated"] is True
        assert item["may"]["reveal"] and item["may"]["approve"] and not item["may"]["edit"]


async def test_an_edit_is_offered_once_what_it_needs_is_revealed(world: World) -> None:
    action = await world.hold(paying())
    hidden = json.loads(await shown(world, action))
    seen = json.loads(await shown(world, action, "POST", "/reveal"))
    assert (hidden["may"]["edit"], hidden["may"]["edit_after_reveal"]) == (False, True)
    assert (seen["may"]["edit"], seen["may"]["edit_after_reveal"]) == (True, False)
    marked = [each["name"] for each in seen["arguments"] if each["revealed"]]
    assert marked == ["recipient"] and not any(each["revealed"] for each in hidden["arguments"])


async def test_what_may_not_be_edited_at_all_is_not_promised_after_a_reveal(world: World) -> None:
    action = await world.hold(paying())
    owner = await world.key(Kind.APPROVER, "olga")
    answer = await world.ask("GET", f"/v1/approvals/{action.id}", key=owner)
    assert (await answer.json())["may"]["edit_after_reveal"] is False


async def test_lists_hide_it_too(world: World) -> None:
    action = await world.hold(paying())
    await world.hold(paying(amount=1))
    key = await world.key(Kind.APPROVER, "ann")
    for path in ("/v1/approvals", f"/v1/approvals/{action.id}", "/review", "/v1/grants"):
        answer = await world.ask("GET", path, key=key)
        assert answer.status == 200 and IBAN not in await answer.text()


async def test_looking_never_reveals(world: World) -> None:
    action = await world.hold(paying())
    key = await world.key(Kind.APPROVER, "ann")
    for path in (f"/v1/approvals/{action.id}/reveal", f"/review/{action.id}/reveal"):
        answer = await world.ask("GET", path, key=key)
        assert answer.status == 405 and IBAN not in await answer.text()
    for path in (f"/v1/approvals/{action.id}", f"/review/{action.id}"):
        answer = await world.ask("GET", f"{path}?reveal=true", key=key)
        assert IBAN not in await answer.text()


async def test_what_was_revealed_is_shown_and_recorded(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    action = await world.hold(paying())
    with caplog.at_level(logging.WARNING, "interlock.audit"):
        item = json.loads(await shown(world, action, "POST", "/reveal"))
    assert item["call"]["body"]["text"] == action.call.body.decode()
    assert [each["value"] for each in item["arguments"]][2] == IBAN
    assert item["redacted"] == [] and item["may"]["edit"]
    (line,) = (each.getMessage() for each in caplog.records if each.name == "interlock.audit")
    assert line.startswith(f"call {action.id} revealed by=ann arguments=recipient digest=")
    assert IBAN not in line
    assert b"interlock_reveals_total 1.0" in world.metrics.render()
    assert (await world.now(action)).version == action.version
    assert IBAN not in await shown(world, action)  # the next look hides it again


async def test_showing_what_nothing_is_hidden_of_is_no_reveal(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.gate.policy = careful()
    action = await world.hold(paying())
    await shown(world, action, "POST", "/reveal")
    assert not [each for each in caplog.records if each.name == "interlock.audit"]
    assert b"interlock_reveals_total 0.0" in world.metrics.render()


@pytest.mark.parametrize(
    ("name", "groups", "why"),
    [
        ("olga", ("ops",), "You own this agent"),
        ("carl", ("sales",), "Only ops may decide this"),
        ("lea", ("leads",), "Only ops may decide this"),  # not before it is escalated
    ],
)
async def test_only_who_may_decide_a_call_may_reveal_it(
    world: World, name: str, groups: tuple[str, ...], why: str
) -> None:
    action = await world.hold(paying())
    key = await world.key(Kind.APPROVER, name, groups)
    answer = await world.ask("POST", f"/v1/approvals/{action.id}/reveal", key=key)
    text = await answer.text()
    assert answer.status == 403 and why in text and IBAN not in text


@pytest.mark.parametrize("path", ["/v1/approvals/{}/reveal", "/review/{}/reveal"])
async def test_another_sites_page_reveals_nothing(world: World, path: str) -> None:
    action = await world.hold(paying())
    client, _ = await session(world)
    async with client:
        item = await (await client.get(f"{world.url}/v1/approvals/{action.id}")).json()
        for token, origin in (
            ("", world.url),
            (item["csrf"], "https://evil.example"),
            ("0" * 64, world.url),
        ):
            answer = await client.post(
                world.url + path.format(action.id),
                data={"csrf": token} if path.startswith("/review") else None,
                headers={"Origin": origin, "Interlock-CSRF": token},
            )
            assert answer.status == 403 and IBAN not in await answer.text()
    assert b"interlock_reveals_total 0.0" in world.metrics.render()


async def test_a_preview_tells_nothing_that_was_not_sent(world: World) -> None:
    action = await world.hold(paying())
    key = await world.key(Kind.APPROVER, "ann")
    given = {"account": "DE-4711", "amount": 1, "recipient": "Somebody Else"}
    path = f"/v1/approvals/{action.id}/preview"
    await world.ask("POST", f"/v1/approvals/{action.id}/reveal", key=key)
    answer = await world.ask("POST", path, key=key, json={"edited_args": given})
    assert answer.status == 200 and IBAN not in await answer.text()
    changes = {each["where"]: each for each in (await answer.json())["changes"]}
    assert changes["recipient"]["before"] == "…2051"
    assert changes["memo"]["before"] == "May to …2051"
    known = await world.ask(
        "POST", path, key=key, json={"edited_args": given | {"recipient": IBAN}}
    )
    assert json.loads(await known.text())["call"]["body"]["visible"].count(IBAN) == 1


async def test_what_people_quote_of_it_is_hidden_as_well(world: World) -> None:
    action = await world.hold(paying())
    ann, bob = await world.key(Kind.APPROVER, "ann"), await world.key(Kind.APPROVER, "bob")
    note = {"to": "bob", "message": f"Is {IBAN} right?"}
    asked = await world.ask("POST", f"/v1/approvals/{action.id}/assign", key=ann, json=note)
    assert asked.status == 200
    before = json.loads(await shown(world, action))
    assert before["assigned"]["message"] == "Is …2051 right?"
    await world.decide(action, bob, type="reject", message=f"Not to {IBAN}")
    text = await shown(world, action)
    assert IBAN not in text and json.loads(text)["votes"][0]["message"] == "Not to …2051"
    assert IBAN in await shown(world, action, "POST", "/reveal")


GUESS = {"account": "DE-4711", "amount": 900, "recipient": IBAN, "memo": f"May to {IBAN}"}


async def test_nobody_guesses_hidden_values_without_being_on_record(world: World) -> None:
    action = await world.hold(paying())
    ann, bob = await world.key(Kind.APPROVER, "ann"), await world.key(Kind.APPROVER, "bob")
    path, body = f"/v1/approvals/{action.id}", {"edited_args": GUESS | {"memo": "no"}}
    await world.ask("POST", f"{path}/reveal", key=bob)  # what was shown to him says nothing of her
    for wrong in (GUESS, GUESS | {"recipient": "Somebody Else"}):
        tried = await world.ask("POST", f"{path}/preview", key=ann, json={"edited_args": wrong})
        edited = await world.decide(
            action, ann, type="edit", edited_args=wrong, edited_digest=action.digest
        )
        for answer in (tried, edited):
            said = await answer.json()
            assert answer.status == 403 and "Policy hides recipient" in said["detail"]
            assert said["help"].startswith("Reveal the call first")
    await world.ask("POST", f"{path}/reveal", key=ann)
    assert (await world.ask("POST", f"{path}/preview", key=ann, json=body)).status == 200


@pytest.mark.parametrize(("name", "group"), [("olga", "ops"), ("carl", "sales")])
async def test_only_who_may_decide_a_call_tries_an_edit(
    world: World, name: str, group: str
) -> None:
    world.gate.policy = careful()
    action, key = await world.hold(paying()), await world.key(Kind.APPROVER, name, (group,))
    body = {"edited_args": GUESS}
    answer = await world.ask("POST", f"/v1/approvals/{action.id}/preview", key=key, json=body)
    assert answer.status == 403
    assert "tried by who may decide" in (await answer.json())["detail"]


async def test_an_edited_call_hides_what_it_was_too(world: World) -> None:
    world.gate.policy = careful(HIDDEN.replace("[args.recipient]", "[args.recipient, args.memo]"))
    action = await world.hold(paying())
    key = await world.key(Kind.APPROVER, "ann")
    given = {"account": "DE-4711", "amount": 1, "recipient": "Somebody Else", "memo": "none of it"}
    await world.ask("POST", f"/v1/approvals/{action.id}/reveal", key=key)
    assert (await world.decide(action, key, type="edit", edited_args=given)).status == 200
    text = await shown(world, await world.settled(action))
    assert IBAN not in text and "Somebody Else" not in text and "none of it" not in text
    assert {each["where"] for each in json.loads(text)["changes"]} >= {"amount", "recipient"}


@pytest.mark.parametrize("account", ["x", "DE02120300000000202051"])
async def test_what_was_read_from_the_path_is_hidden_there(world: World, account: str) -> None:
    world.gate.policy = careful("\nredact: {approver: [args.account]}\n")
    action = await world.hold(
        a_call(target=f"/v1/accounts/{quote(account)}/transfers", body=paying("Bob GmbH").body)
    )
    item = json.loads(await shown(world, action))
    if account == "x":  # too short to be looked for: all of the URL goes
        assert item["call"]["hidden"] == ["target"]
        assert item["call"]["url"] == "https://api.bank.example/…"
    else:
        assert item["call"]["url"] == "https://api.bank.example/v1/accounts/…2051/transfers"
    assert item["card"]["destination"] == item["call"]["url"]


async def test_a_value_that_cannot_be_looked_for_hides_the_whole_body(world: World) -> None:
    action = await world.hold(paying("Al"))
    item = json.loads(await shown(world, action))
    assert item["call"]["hidden"] == ["body"]
    assert (item["call"]["body"]["visible"], item["call"]["body"]["pretty"]) == ("", None)


async def test_whoever_revealed_nothing_may_still_approve(world: World) -> None:
    action = await world.hold(paying())
    assert (await world.decide(action, await world.key(Kind.APPROVER, "ann"))).status == 200
    assert replace((await world.settled(action)).call, digest="") == replace(action.call, digest="")


async def test_the_policy_of_a_held_call_says_what_is_hidden_of_it(world: World) -> None:
    action = await world.hold(paying())
    world.gate.policy = careful()  # a reload that hides nothing any more
    assert IBAN not in await shown(world, action)
