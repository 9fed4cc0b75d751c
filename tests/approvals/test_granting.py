"""Do not ask again: given with an approval, within policy, listed, and ended at once."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from interlock.core.actions import State
from interlock.core.decisions import Level
from interlock.core.identity import Kind
from interlock.policies.load import read_policies

from .test_access import session
from .world import CAREFUL, HIDDEN, IBAN, World, a_policy, careful, paying

GRANT: dict[str, Any] = {"scope": "target", "uses": 3, "for": "7d", "reason": "Our landlord."}


@pytest.fixture(autouse=True)
def granting(world: World) -> None:
    world.gate.policy = careful()


async def listed(world: World) -> Any:
    answer = await world.ask("GET", "/v1/grants", key=await world.key(Kind.APPROVER, "bob"))
    assert answer.status == 200
    return (await answer.json())["items"]


async def test_an_item_says_what_may_be_granted(world: World) -> None:
    action = await world.hold(paying(task=f"Pay {IBAN}"))
    key = await world.key(Kind.APPROVER, "ann")
    item = await (await world.ask("GET", f"/v1/approvals/{action.id}", key=key)).json()
    assert item["grant"] == {
        "method": "POST",
        "path": "/v1/accounts/{account}/transfers",
        "target": [{"name": "recipient", "visible": IBAN, "stated": True}],
        "at_most": "notify",
        "longest_ms": 604_800_000,
        "uses": 50,
    }


async def test_a_granted_target_is_not_asked_about_again(world: World) -> None:
    action = await world.hold(paying())
    answer = await world.decide(action, await world.key(Kind.APPROVER, "ann"), grant=GRANT)
    assert answer.status == 200, await answer.text()
    await world.settled(action)
    again = (await world.gate.submit(paying(amount=20))).action
    assert again.decision is not None and again.decision.level is Level.NOTIFY
    other = await world.hold(paying("Somebody Else", amount=20))
    assert other.state is State.HELD
    (grant,) = await listed(world)
    assert (grant["by"], grant["agent"], grant["tool"]) == ("ann", "billing-bot", "bank.transfer")
    assert grant["target"] == [{"name": "recipient", "visible": IBAN, "stated": None}]
    assert (grant["uses"], grant["used"], grant["reason"]) == (3, 1, "Our landlord.")
    assert grant["expires"] - grant["created"] == 604_800_000
    assert grant["action_id"] == action.id
    assert (grant["method"], grant["path"]) == ("POST", "/v1/accounts/{account}/transfers")
    assert grant["used_up"] is False


async def test_a_revoked_grant_asks_again_at_once(world: World) -> None:
    action = await world.hold(paying())
    key = await world.key(Kind.APPROVER, "ann")
    await world.decide(action, key, grant=GRANT)
    await world.settled(action)
    (grant,) = await listed(world)
    gone = await world.ask("DELETE", f"/v1/grants/{grant['id']}", key=key)
    assert (gone.status, (await gone.json())["id"]) == (200, grant["id"])
    assert await listed(world) == []
    await world.hold(paying(amount=20))
    assert (await world.ask("DELETE", f"/v1/grants/{grant['id']}", key=key)).status == 404


@pytest.mark.parametrize(
    ("grant", "status", "why"),
    [
        ({"uses": 51}, 422, "up to 50 uses"),
        ({"for": "8d"}, 422, "up to 7d"),
        ({"uses": 51}, 422, "for up to 7d; you asked for 51 uses, for 7d"),
        ({"for": "8d"}, 422, "up to 50 uses"),
        ({"scope": "arguments"}, 422, "to its target (recipient)"),
        ({"uses": 0}, 400, "grant.uses"),
        ({"uses": "3"}, 400, "grant.uses"),
        ({"for": "0d"}, 400, "grant.for"),
        ({"for": "forever"}, 400, "grant.for"),
        ({"scope": "tool"}, 400, "grant.scope"),
        ({"more": 1}, 400, "grant.more"),
    ],
)
async def test_more_than_policy_grants_decides_nothing(
    world: World, grant: dict[str, Any], status: int, why: str
) -> None:
    action = await world.hold(paying())
    key = await world.key(Kind.APPROVER, "ann")
    answer = await world.decide(action, key, grant=GRANT | grant)
    assert answer.status == status and why in (await answer.json())["detail"]
    assert (await world.now(action)).state is State.HELD
    assert await listed(world) == []


async def test_only_an_approval_carries_a_grant(world: World) -> None:
    action = await world.hold(paying())
    key = await world.key(Kind.APPROVER, "ann")
    answer = await world.decide(action, key, type="reject", message="no", grant=GRANT)
    assert answer.status == 400
    assert (await world.now(action)).state is State.HELD


async def test_where_a_limit_fired_nothing_can_be_granted(world: World) -> None:
    action = await world.hold(paying(amount=5000))
    key = await world.key(Kind.APPROVER, "ann")
    item = await (await world.ask("GET", f"/v1/approvals/{action.id}", key=key)).json()
    assert item["grant"] is None
    assert item["decision"]["limits"] == [
        {"id": "money-per-day", "said": "5000 of 2000 -> at least approve"}
    ]
    answer = await world.decide(action, key, grant=GRANT)
    assert answer.status == 422
    refused = await answer.json()
    assert refused["type"] == "urn:interlock:problem:grant-refused"
    assert "The call met the limit money-per-day, and no grant lowers that." in refused["detail"]
    assert (await world.now(action)).state is State.HELD


RULED = """
  - {id: large, description: Much., tools: [bank.transfer], when: args.amount > 800,
     at_least: approve}
signals:"""


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("\nsignals:", RULED, "The call met the rule large"),
        ("at_most: notify", "at_most: approve", "A grant would change nothing: it gives approve"),
    ],
)
async def test_what_keeps_a_call_from_being_granted_is_named(
    world: World, before: str, after: str, why: str
) -> None:
    world.gate.policy = read_policies([("careful.yaml", CAREFUL.replace(before, after, 1))])
    action = await world.hold(paying())
    answer = await world.decide(action, await world.key(Kind.APPROVER, "ann"), grant=GRANT)
    assert answer.status == 422
    detail = (await answer.json())["detail"]
    assert why in detail and "Nothing was decided" in detail


async def test_a_tool_that_policy_has_no_grants_for_is_named_as_such(world: World) -> None:
    world.gate.policy = a_policy()
    action = await world.hold(paying())
    answer = await world.decide(action, await world.key(Kind.APPROVER, "ann"), grant=GRANT)
    assert "lets nobody grant calls of this tool" in (await answer.json())["detail"]


async def test_a_refusal_that_is_remembered_is_named(world: World) -> None:
    more = "\n  repeat_denied: {same_call_within: 1d, then: approve}\n"
    world.gate.policy = careful(more)
    key = await world.key(Kind.APPROVER, "ann")
    await world.decide(await world.hold(paying()), key, type="reject", message="no")
    again = await world.hold(paying(amount=20))
    answer = await world.decide(again, key, grant=GRANT)
    assert "A person refused this target" in (await answer.json())["detail"]


async def test_a_second_grant_says_which_it_takes_the_place_of(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = await world.hold(paying()), await world.hold(paying(amount=20))
    key = await world.key(Kind.APPROVER, "ann")
    said = await (await world.decide(first, key, grant=GRANT)).json()
    assert said["replaced_grant"] == ""
    with caplog.at_level(logging.WARNING, "interlock.grants"):
        said = await (await world.decide(second, key, grant=GRANT | {"uses": 1})).json()
    assert said["replaced_grant"] == f"g{first.id}"
    assert f"grant g{first.id} replaced by=ann" in caplog.text
    assert f"call={second.id}" in caplog.text
    (grant,) = await listed(world)
    assert (grant["id"], grant["uses"]) == (f"g{second.id}", 1)


async def test_a_grant_without_a_use_left_says_that_it_is_used_up(world: World) -> None:
    key = await world.key(Kind.APPROVER, "ann")
    await world.decide(await world.hold(paying()), key, grant=GRANT | {"uses": 1})
    await world.gate.submit(paying(amount=20))
    (grant,) = await listed(world)
    assert (grant["used"], grant["used_up"]) == (1, True)
    page = await (await world.ask("GET", "/grants", key=key)).text()
    assert "used up" in page and "uses left" not in page
    assert "/v1/accounts/{account}/transfers" in page


async def test_a_grant_is_used_up_where_policy_allows_fewer_uses_by_now(world: World) -> None:
    action = await world.hold(paying())
    await world.decide(action, await world.key(Kind.APPROVER, "ann"), grant=GRANT)
    await world.gate.submit(paying(amount=20))
    stricter = CAREFUL.replace("uses: 50", "uses: 1")
    world.gate.policy = read_policies([("careful.yaml", stricter)])
    assert [each["used_up"] for each in await listed(world)] == [True]


async def test_hidden_targets_stay_hidden_in_the_list(world: World) -> None:
    world.gate.policy = careful(HIDDEN)
    action = await world.hold(paying())
    key = await world.key(Kind.APPROVER, "ann")
    await world.decide(action, key, grant=GRANT)
    assert (await listed(world))[0]["target"][0]["visible"] == "…2051"
    page = await (await world.ask("GET", "/grants", key=key)).text()
    assert "…2051" in page and IBAN not in page


async def test_another_sites_page_revokes_nothing(world: World) -> None:
    action = await world.hold(paying())
    await world.decide(action, await world.key(Kind.APPROVER, "ann"), grant=GRANT)
    (grant,) = await listed(world)
    client, _ = await session(world)
    path = f"{world.url}/v1/grants/{grant['id']}"
    async with client:
        token = json.loads(await (await client.get(f"{world.url}/v1/grants")).text())["csrf"]
        for headers in (
            {"Interlock-CSRF": token},
            {"Interlock-CSRF": token, "Origin": "https://evil.example"},
            {"Interlock-CSRF": "0" * 64, "Origin": world.url},
        ):
            assert (await client.delete(path, headers=headers)).status == 403
        assert len(await listed(world)) == 1
        ours = {"Interlock-CSRF": token, "Origin": world.url}
        assert (await client.delete(path, headers=ours)).status == 200
