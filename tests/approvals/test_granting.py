"""Do not ask again: given with an approval, within policy, listed, and ended at once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from interlock.core.actions import State
from interlock.core.decisions import Level
from interlock.core.identity import Kind

from .test_access import session
from .world import HIDDEN, IBAN, World, careful, paying

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
        ({"for": "8d"}, 422, "up to 168 hours"),
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
    assert (await answer.json())["type"] == "urn:interlock:problem:grant-refused"
    assert (await world.now(action)).state is State.HELD


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
