"""Caps, remembered refusals, grants, bounds of edits, redaction, levels: compiled and merged."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.core.decisions import Escalation, Level
from interlock.core.rules import Caps, GrantSpec, Indeterminate, RepeatDenied
from tests.policies.building import PAY, policy, problems

MINUTE, DAY = 60_000, 86_400_000
LEVELS = """levels:
  notify: {to: ops}
  approve:
    approvers: [ops]
    remind_after: 5m
    escalate: [{after: 15m, to: leads}, {after: 30m, to: [cfo, ceo]}]
    expire_after: 60m
"""
WIRE = PAY[PAY.index("  - id") :].replace("id: pay", "id: wire").replace("/pay", "/wire")
WIRE = WIRE.replace("amount: args.amount", "blast: external")


def test_caps_are_the_lowest_of_all_files() -> None:
    one = "approvals: {caps: {open_per_session: 10, per_agent_per_hour: 30}}\n"
    other = "approvals: {caps: {open_per_session: 5}}\n"

    assert policy(one, other).caps == Caps(open_per_session=5, per_agent_per_hour=30)
    assert policy(one, "mode: shadow\n" + other).caps.open_per_session == 10
    assert policy(PAY).caps == Caps()


def test_a_refusal_is_remembered_for_the_longest_time_of_all_files() -> None:
    one = "approvals: {repeat_denied: {same_call_within: 60s, then: approve_dual}}\n"
    other = "approvals: {repeat_denied: {same_call_within: 30s}}\n"

    assert policy(one, other).repeat_denied == RepeatDenied(within_ms=MINUTE, then=Level.DENY)
    assert policy(PAY).repeat_denied is None


def test_grants_are_the_narrowest_of_all_files() -> None:
    one = PAY + WIRE + "approvals: {grants: {tools: ['*'], longest: 1d, uses: 5}}\n"
    other = "approvals: {grants: [{tools: [pay], at_most: approve}]}\n"

    tools = policy(one, other).tools

    assert tools["pay"].grants == GrantSpec(at_most=Level.APPROVE, longest_ms=DAY, uses=5)
    assert tools["wire"].grants == GrantSpec(at_most=Level.NOTIFY, longest_ms=DAY, uses=5)
    assert policy(PAY).tools["pay"].grants is None


def test_a_file_in_shadow_mode_grants_nothing_for_tools_of_others() -> None:
    trial = "mode: shadow\napprovals: {grants: {tools: ['*']}}\n"

    tools = policy(PAY, trial + "tools:\n" + WIRE).tools

    assert tools["pay"].grants is None and tools["wire"].grants == GrantSpec()


def must(source: str, before: dict[str, Any], after: dict[str, Any]) -> bool | str:
    compiled = policy(PAY + f"edit: {{must: ['{source}']}}\n")
    (bound,) = compiled.tools["pay"].must
    assert bound.shown == source
    try:
        return bound.holds({"original": {"args": before}, "edited": {"args": after}})
    except Indeterminate as doubt:
        return str(doubt)


def test_an_edit_keeps_to_what_it_must() -> None:
    less = "edited.args.amount <= original.args.amount"

    assert must(less, {"amount": 5}, {"amount": 4}) is True
    assert must(less, {"amount": 5}, {"amount": 6}) is False
    assert must(less, {"amount": 5}, {"memo": ""}) == "edited.args.amount is missing"
    assert must(less, {}, {"amount": 4}) == "original.args.amount is missing"


def test_a_bound_is_only_for_calls_that_have_the_field() -> None:
    assert must("size(edited.args.memo) < 3", {"amount": 5}, {"amount": 4}) is True
    assert must("size(edited.args.memo) < 3", {"amount": 5}, {"memo": "long"}) is False


def test_a_bound_is_only_for_tools_of_its_file_that_have_the_field() -> None:
    bound = "edit: {must: [edited.args.memo == original.args.memo]}\n"
    plain = WIRE.replace(", memo: {type: string}", "")

    tools = policy(PAY + plain + bound, "tools:\n" + WIRE.replace("wire", "third")).tools

    assert [len(tools[name].must) for name in ("pay", "wire", "third")] == [1, 0, 0]


@pytest.mark.parametrize("broken", ['"/accounts/*/pay"', '"/accounts/{account}/{account}"'])
def test_a_bound_says_nothing_of_tools_that_do_not_compile(broken: str) -> None:
    """Fault caught: a mistake in a tool, and "no tool has args.memo" reported in vain as well."""
    body = PAY.replace('"/accounts/{account}/pay"', broken)

    found = problems(body + "edit: {must: [edited.args.memo == original.args.memo]}\n")

    assert [line.split(": ")[0] for line in found] == ["11:48"]
    told = problems(body + "edit: {must: [edited.args.memo <= 5 && edited.argz.x]}\n")
    assert [line.split(": ")[0] for line in told] == ["11:48", "18:47"]


def test_what_is_hidden_is_what_any_file_hides() -> None:
    one = "redact: {approver: [args.to], logs: [args.memo], detectors: [iban]}\n"
    other = "redact: {logs: [request.headers.Authorization, args.memo], detectors: [card_number]}\n"

    redact = policy(PAY + one, other).redact

    assert redact.approver == ("args.to",)
    assert redact.logs == ("args.memo", "request.headers.authorization")
    assert redact.detectors == {"iban", "card_number"}


def test_a_level_reminds_and_escalates() -> None:
    levels = policy(LEVELS).levels

    assert levels.notify == ("ops",)
    assert levels.approve.remind_ms == 5 * MINUTE
    assert levels.approve.escalate == (
        Escalation(after_ms=15 * MINUTE, to=("leads",)),
        Escalation(after_ms=30 * MINUTE, to=("cfo", "ceo")),
    )
    assert levels.approve_dual.escalate == () and levels.approve_dual.remind_ms == 0


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("approvals: {caps: {open_per_session: 0}}", "1:38: 0 is too small: at least 1"),
        ("approvals: {caps: {open_per_sesion: 1}}", "did you mean 'open_per_session'?"),
        ("approvals: {repeat_denied: {}}", "'same_call_within' is missing"),
        ("approvals: {repeat_denied: {same_call_within: 91d}}", "at most 90d"),
        ("approvals: {repeat_denied: {same_call_within: 1m, then: allow}}", "not 'allow'"),
        ("approvals: {grants: {tools: [pya]}}", "1:30: 'pya' names no tool; did you mean 'pay'?"),
        ("approvals: {grants: {tools: [pay], longest: 91d}}", "91d is too long: at most 90d"),
        ("approvals: {grants: {tools: [pay], at_most: allow}}", "the floor of grants is notify"),
        ("approvals: {grants: {tools: [pay], use: 1}}", "unknown key 'use'; did you mean 'uses'?"),
        ("approvals: {grants: [{tools: [pay], use: 1}]}", "unknown key 'use'; did you mean"),
        ("edit: {must: [edited.args.amuont < 5]}", "1:27: no field 'edited.args.amuont'; did you"),
        ("edit: {must: [size(vars) == 0]}", "it is about no argument: compare edited.args.NAME"),
        ("edit: {must: [args.amount < 5]}", "1:15: unknown name 'args'"),
        (
            "edit: {allow: {}, must: [edited.args.amount < 5]}",
            "no tool of this file that may be edited has args.amount",
        ),
        ("edit: {allow: {pay: [args.amuont]}}", "1:22: pay has no argument 'amuont'; did you"),
        ("redact: {approver: [args.tu]}", "1:21: no tool has an argument 'tu'; known: account"),
        ("redact: {approver: [to]}", "'to' is not an argument: write args.NAME"),
        ("redact: {approver: [request.headers.cookie]}", "is not an argument: write args.NAME"),
        ("redact: {logs: [headers.cookie]}", "write args.NAME or request.headers.NAME"),
        ("redact: {logs: [request.headers.]}", "name the header, as in"),
        ("redact: {detectors: [ibn]}", "not 'ibn'; did you mean 'iban'?"),
        (LEVELS.replace("15m", "30m"), "6:49: 30m is not later than the step before: list them"),
        (LEVELS.replace("60m", "20m"), "6:49: the call has expired after 30m: escalate earlier"),
        (LEVELS.replace("5m\n", "60m\n"), "5:19: the call has expired by then: remind earlier"),
        (LEVELS.replace("    approvers: [ops]\n", ""), "every approver may decide already: name"),
    ],
)
def test_a_wrong_safeguard_is_a_problem_with_its_cure(body: str, said: str) -> None:
    found = problems(body + "\n" + PAY)

    assert any(said in line for line in found), found


def test_files_whose_levels_differ_are_refused_unless_one_is_a_trial() -> None:
    other = LEVELS.replace("[ops]", "[leads]")

    assert any("`levels` differs from" in line for line in problems(LEVELS, other))
    assert policy(LEVELS, "mode: shadow\n" + other).levels.approve.approvers == ("ops",)
