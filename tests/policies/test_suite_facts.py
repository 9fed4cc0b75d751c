"""What a test can say about the past, and what holds where it says nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.policies.suite import Report, run_suite
from tests.policies.building import HEAD, PAY

POLICY = """rules:
  - {id: tainted, tools: [pay], when: session.untrusted_content, at_least: approve}
  - {id: after-write, tools: [pay], when: session.writes > 1, at_least: approve_dual}
  - {id: unstated, tools: [pay], when: "!stated(args.to)", at_least: approve}
signals:
  novelty: {raise: 1}
  session_risk: {raise_at: [{points: 40, raise: 1}]}
limits:
  - {id: per-day, tools: [pay], key: [agent.id], window: 24h, sum: args.amount, max: 100,
     then: approve_dual}
approvals:
  caps: {open_per_session: 3}
  repeat_denied: {same_call_within: 1h, then: deny}
  grants: {tools: [pay], at_most: notify, longest: 1d, uses: 5}
"""
SUITE = """apiVersion: interlock/v1
kind: PolicyTest
policy: p.yaml
fixtures: {calls: {pay: {tool: pay, args: {amount: 5, to: ann}}}}
cases: [{name: a, call: pay, task: pay ann, CASE}]
"""


def report(folder: Path, case: str, body: str = PAY) -> Report:
    (folder / "p.yaml").write_text(HEAD.replace("NAME", "p") + body + POLICY)
    (folder / "p_test.yaml").write_text(SUITE.replace("CASE", case))
    return run_suite(folder / "p_test.yaml")


@pytest.mark.parametrize(
    "case",
    [
        "expect: {level: notify, rules: [], signals: [], limits: [], grant: false}",
        "set: {session.untrusted_content: true}, expect: {level: approve, rules: [tainted]}",
        "set: {session.writes: 2}, expect: {level: approve_dual, rules: [after-write]}",
        "facts: {session: {writes: 2}}, expect: {rules: [after-write]}",
        "facts: {familiar: false}, expect: {level: approve, signals: [novelty]}",
        "set: {session.points: 40}, expect: {level: approve, signals: [session_risk]}",
        "set: {session.points: 39.9}, expect: {level: notify, signals: []}",
        "facts: {used: {per-day: 95}}, expect: {level: notify, limits: []}",
        "facts: {used: {per-day: 95.01}}, expect: {level: approve_dual, limits: [per-day]}",
        "set: {facts.used.per-day: 96}, expect: {limits: [per-day]}",
        "facts: {refused: true}, expect: {level: deny, reason: repeat_denied}",
        "facts: {refused: true}, expect: {signals: [repeat_denied]}",
        "facts: {unknown: true}, expect: {level: deny, reason: cap, indeterminate: true, "
        "rules: [tainted, after-write], limits: [per-day, open_per_session], "
        "signals: [novelty, session_risk]}",
        "set: {facts.unknown: true, session.id: s7}, expect: {rules: [tainted, after-write]}",
        "set: {args.amount: 80}, facts: {grant: true}, expect: {level: notify, grant: true}",
        "set: {args.amount: 80}, facts: {grant: {id: g7}}, expect: {level: notify, grant: g7}",
        "set: {args.amount: 80}, facts: {open_in_session: 2}, expect: {level: approve}",
        "set: {args.amount: 80}, expect: {expire_after: 60m, windows: {per-day: 1d}}",
        "set: {args.amount: 80}, facts: {open_in_session: 3}, expect: {level: deny, reason: cap}",
        "set: {task: pay bob}, expect: {level: approve, rules: [unstated]}",
        "expect: {egress: false, taints: [], quorum: 1, target: [account, amount, to]}",
        "each: [{session.writes: 1, expect: {rules: []}}, {session.writes: 2, expect: {rules: "
        "[after-write]}}]",
    ],
)
def test_a_case_says_what_was_before(tmp_path: Path, case: str) -> None:
    assert [str(failure) for failure in report(tmp_path, case).failures] == []


def test_a_wrong_name_is_told_where_it_stands(tmp_path: Path) -> None:
    found = report(tmp_path, "expect: {limits: [per-dya]}")

    assert str(found.failures[0]).endswith(
        "p_test.yaml:5:63: case 'a': names unknown limit 'per-dya'; did you mean 'per-day'?"
    )


@pytest.mark.parametrize(
    ("case", "said"),
    [
        (
            "expect: {windows: {per-day: 12h}}",
            "windows: want {'per-day': '12h'}, got {'per-day': '1d'}",
        ),
        ("expect: {expire_after: 1h}", "expire_after: want '1h', got none"),
        ("expect: {windows: {per-dya: 1h}}", "unknown limit 'per-dya'; did you mean 'per-day'?"),
    ],
)
def test_times_that_differ_are_told_as_they_are_written(
    tmp_path: Path, case: str, said: str
) -> None:
    assert said in str(report(tmp_path, case).failures[0])


def test_what_is_unknown_has_nothing_else_said_of_it(tmp_path: Path) -> None:
    found = report(tmp_path, "facts: {unknown: true, refused: true}, expect: {level: deny}")

    assert "facts.refused is set beside `unknown: true`" in str(found.failures[0])


MCP = """tools:
  - id: pay
    mcp: {server: bank, tool: [pay, send_money]}
    args_schema:
      type: object
      properties: {amount: {type: number}, to: {type: string}}
    reversibility: compensable
    undo: {reason: Ask for it back.}
    facets: {blast: self}
    egress: true
    taints: [sensitive_data]
    target: [to]
"""


@pytest.mark.parametrize(
    "case",
    [
        "expect: {level: notify, tool: pay, egress: true, taints: [sensitive_data], target: [to]}",
        "call: {mcp: {server: bank, tool: send_money}, args: {to: ann, amount: 1}}, expect: "
        "{tool: pay, level: notify}",
        "call: {mcp: {server: bank, tool: drop}}, expect: {reason: unknown_tool}",
    ],
)
def test_tools_of_mcp_servers_are_called_by_id_or_as_they_arrive(tmp_path: Path, case: str) -> None:
    case = case if case.startswith("call") else f"call: pay, {case}"
    (tmp_path / "p.yaml").write_text(HEAD.replace("NAME", "p") + MCP + POLICY)
    suite = SUITE.replace("call: pay, task", "task").replace("CASE", case)
    (tmp_path / "p_test.yaml").write_text(suite)

    assert [str(each) for each in run_suite(tmp_path / "p_test.yaml").failures] == []


def properties(folder: Path, claim: str) -> str:
    (folder / "p.yaml").write_text(HEAD.replace("NAME", "p") + PAY + POLICY)
    head = SUITE.partition("cases")[0]
    (folder / "p_test.yaml").write_text(f"{head}properties: [{{name: x, {claim}}}]")
    return "\n".join(map(str, run_suite(folder / "p_test.yaml").failures))


def test_a_property_may_be_about_a_session(tmp_path: Path) -> None:
    tainted = "for: {tool: pay, session: {untrusted_content: true}}, level_at_least: approve"
    fresh = "for: {tool: pay}, level_at_least: approve_dual"

    assert properties(tmp_path, tainted) == ""
    assert "is approve" in properties(tmp_path, fresh)


@pytest.mark.parametrize(
    "vary", ["amount", "args.amount", "session.writes", "session.points", "session.sensitive_data"]
)
def test_more_is_never_less_oversight(tmp_path: Path, vary: str) -> None:
    assert properties(tmp_path, f"for: {{tool: pay, vary: {vary}}}, monotone: level") == ""


def test_what_rises_is_seen_to_rise(tmp_path: Path) -> None:
    claim = "for: {tool: pay, vary: session.writes}, monotone_down: level"

    assert "session.writes from 1 to 2 goes from approve to approve_dual" in properties(
        tmp_path, claim
    )


def test_what_cannot_vary_is_told_with_what_can(tmp_path: Path) -> None:
    claim = "for: {tool: pay, vary: session.untrusted}, monotone: level"

    said = properties(tmp_path, claim)

    assert "'session.untrusted' cannot vary; did you mean 'session.untrusted_content'" in said
    assert (
        "use args.NAME, a facet such as amount, agent.confidence, facts.calibrated or session"
        in said
    )
