"""What people see of policy: on a call, and by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from interlock.approvals.rights import rights
from interlock.core.decisions import PolicyRef
from interlock.core.identity import Kind, Principal
from interlock.core.redaction import visible_line
from interlock.policies.load import read_policies
from interlock.ports import TriedOut

from .world import CAREFUL, IBAN, World, a_call, careful, paying


@pytest.fixture(autouse=True)
def in_force(world: World) -> None:
    world.gate.policy = careful()


async def got(world: World, path: str) -> Any:
    answer = await world.ask("GET", path, key=await world.key(Kind.APPROVER, "ann"))
    assert answer.status == 200, await answer.text()
    return await answer.json()


def a_note(**more: Any) -> Any:
    return a_call(method="PUT", target="/v1/notes/n1", body=b'{"text": "hi"}', **more)


async def sent(world: World) -> None:
    submission = await world.gate.submit(a_note())
    assert submission.relay is not None
    await submission.relay.drain()


async def test_a_call_says_what_its_session_did_and_who_may_decide_from_when(world: World) -> None:
    await sent(world)
    action = await world.hold(paying(task="Pay Bob GmbH 900"))
    decision = (await got(world, f"/v1/approvals/{action.id}"))["decision"]
    assert decision["session"] == {
        "untrusted_content": True,
        "sensitive_data": False,
        "points": pytest.approx(1, abs=0.1),
        "writes": 1,
        "calls": 1,
    }
    assert decision["escalation"] == [
        {"at": action.created + 900_000, "to": ["leads"], "due": False}
    ]
    assert decision["remind_ms"] == 300_000
    assert decision["target"] == [{"name": "recipient", "visible": IBAN, "stated": False}]
    assert decision["policy"] == "careful v3"
    assert decision["policy_sha256"] == world.gate.policy.ref.sha256


async def test_the_request_that_was_stored_for_the_session_is_what_is_shown(world: World) -> None:
    asks = CAREFUL.replace("session.writes > 5", "!stated(args.recipient)")
    world.gate.policy = read_policies([("careful.yaml", asks)])
    await world.gate.state_task("billing-bot", "s-81", f"\u202e Please pay {IBAN}")
    action = await world.hold(paying(task="something else"))
    item = await got(world, f"/v1/approvals/{action.id}")
    assert item["context"]["task"] == f"<U+202E> Please pay {IBAN}"
    assert item["context"]["task_of"] == "session"
    assert item["decision"]["target"][0]["stated"] is True
    assert "user's task" in {each["where"] for each in item["warnings"]}


async def test_without_a_request_nobody_says_whether_it_names_the_target(world: World) -> None:
    action = await world.hold(paying())
    item = await got(world, f"/v1/approvals/{action.id}")
    assert item["decision"]["target"][0]["stated"] is None
    assert item["context"]["task_of"] == ""


async def test_whoever_a_call_was_escalated_to_may_decide_from_then_on(world: World) -> None:
    action = await world.hold(paying())
    lea = Principal(kind=Kind.APPROVER, id="lea", groups=frozenset({"leads"}))
    early = rights(action, lea, action.created + 899_999)
    assert (early.approve, early.why) == (False, "Only ops may decide this.")
    assert rights(action, lea, action.created + 900_000).approve


async def test_policy_says_what_is_in_force(world: World) -> None:
    said = await got(world, "/v1/policy")
    ref = world.gate.policy.ref
    assert (said["name"], said["version"], said["sha256"]) == ("careful", 3, ref.sha256)
    assert (said["mode"], said["stale"], said["problems"]) == ("enforce", False, [])
    assert said["files"] == ["policies/careful.yaml"]
    assert (said["tools"], said["rules"], said["limits"]) == (2, 2, 1)
    assert said["shadow"] == []


async def test_what_is_on_trial_is_counted(world: World) -> None:
    await sent(world)
    assert (await got(world, "/v1/policy"))["shadow"] == [
        {"rule": "night", "level": "approve", "fired": 1, "more": 1}
    ]
    key = await world.key(Kind.APPROVER, "ann")
    page = await (await world.ask("GET", "/policy", key=key)).text()
    assert "night" in page and "1 held" in page


async def test_a_policy_in_shadow_mode_says_so_everywhere(world: World) -> None:
    world.gate.policy = careful("\nmode: shadow\n")
    submission = await world.gate.submit(paying())
    assert submission.relay is not None
    await submission.relay.drain()
    item = await got(world, f"/v1/approvals/{submission.action.id}")
    assert item["decision"]["would_be"] == "approve"
    said = await got(world, "/v1/policy")
    assert said["mode"] == "shadow"
    assert {"rule": "policy", "level": "approve", "fired": 1, "more": 1} in said["shadow"]


async def test_a_broken_file_is_told_on_every_page(world: World) -> None:
    problem = "policies/careful.yaml:7:3: unknown key `tols`; did you mean `tools`?\u202e"
    state = replace(
        world.gate.policy_state, problems=(problem, "second"), failed_at=1_790_000_000_000
    )
    world.gate.policy_state = state
    said = await got(world, "/v1/policy")
    assert said["stale"] is True and said["failed_at"] == 1_790_000_000_000
    assert said["problems"] == [visible_line(problem), "second"]
    action = await world.hold(paying())
    key = await world.key(Kind.APPROVER, "ann")
    for path in ("/review", f"/review/{action.id}", "/grants", "/policy"):
        page = await (await world.ask("GET", path, key=key)).text()
        assert "The policy file is broken since 2026-09-21" in page, path
        assert "version 3 still decides" in page
    assert "tols" in page and "\u202e" not in page
    signed_out = await (await world.ask("GET", "/review")).text()
    assert "broken" not in signed_out


async def test_a_policy_that_is_what_its_files_say_needs_no_banner(world: World) -> None:
    key = await world.key(Kind.APPROVER, "ann")
    assert "broken" not in await (await world.ask("GET", "/policy", key=key)).text()


async def test_the_policy_says_what_its_tests_touch_and_what_was_in_force_before(
    world: World,
) -> None:
    assert (await got(world, "/v1/policy"))["tested"] is None
    parts = (("rule", "night", 0), ("rule", "tainted", 2), ("limit", "money-per-day\u202e", 0))
    tested = TriedOut(suites=1, passed=9, cells=4, parts=parts)
    world.gate.policy_state = replace(world.gate.policy_state, tested=tested)
    assert world.deps.policies_seen is not None
    await world.deps.policies_seen.note(PolicyRef(name="old", version=1, sha256="0" * 64), "start")
    await world.deps.policies_seen.note(world.gate.policy.ref, "reload")
    said = await got(world, "/v1/policy")
    assert (said["tested"]["suites"], said["tested"]["passed"], said["tested"]["cells"]) == (
        1,
        9,
        4,
    )
    assert said["tested"]["parts"] == [
        {"kind": "rule", "touched": 1, "total": 2, "never": ["night"]},
        {"kind": "limit", "touched": 0, "total": 1, "never": ["money-per-day<U+202E>"]},
    ]
    now, before = said["versions"]
    assert (now["name"], now["version"], now["by"], now["host"]) == (
        "careful",
        3,
        "reload",
        "web-1",
    )
    assert (before["name"], before["by"]) == ("old", "start")


async def test_reasons_to_reject_are_those_of_policy_else_the_usual_ones(world: World) -> None:
    usual = (await got(world, "/v1/policy"))["reasons"]
    assert {"code": "wrong_amount", "text": "Wrong amount or scope"} in usual

    attention = replace(world.gate.policy.attention, reasons=(("not_ours", "Not our supplier"),))
    world.gate.policy = replace(world.gate.policy, attention=attention)

    said = (await got(world, "/v1/policy"))["reasons"]
    assert said == [{"code": "not_ours", "text": "Not our supplier"}]
