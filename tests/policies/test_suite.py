"""Suites: what they run, what they must not let pass, and the policies that ship."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from interlock.core.decisions import Level
from interlock.core.errors import InvalidDocument
from interlock.policies.load import load_policies
from interlock.policies.suite import Report, run_suite
from interlock.policies.suite_document import Property
from interlock.policies.suite_properties import Item, check_property
from tests.policies.building import HEAD, PAY

ROOT = Path(__file__).parents[2]
RULE = "rules: [{id: big, tools: [pay], when: args.amount > 100, at_least: approve_dual}]\n"
SUITE = """apiVersion: interlock/v1
kind: PolicyTest
policy: p.yaml
fixtures:
  agents: {bot: {id: bot, confidence: 0.9}}
  calls: {pay: {tool: pay, args: {amount: 5}}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "p.yaml").write_text(HEAD.replace("NAME", "p") + PAY + RULE)
    return tmp_path


def report(folder: Path, suite: str) -> Report:
    (folder / "p_test.yaml").write_text(SUITE + suite)
    return run_suite(folder / "p_test.yaml")


def failures(folder: Path, suite: str) -> str:
    return "\n".join(map(str, report(folder, suite).failures))


def test_a_case_that_comes_out_as_expected_passes(folder: Path) -> None:
    case = (
        "cases: [{name: a, call: pay, agent: bot, expect: {level: notify, stake: low, rules: []}}]"
    )

    result = report(folder, case)

    assert (result.passed, result.ok, result.coverage.untouched("rule", "exception")) == (
        1,
        True,
        ("big",),
    )


def test_a_case_that_does_not_says_where_what_and_why(folder: Path) -> None:
    said = failures(folder, "cases:\n  - {name: a, call: pay, expect: {level: deny}}\n")

    assert "p_test.yaml:8:34: case 'a': level: want 'deny', got 'notify'" in said
    assert "    matrix compensable x low: notify" in said


def test_a_level_may_be_expected_at_least(folder: Path) -> None:
    result = report(
        folder,
        """cases:
  - name: t
    call: pay
    each:
      - {args.amount: 5, expect: {level_at_least: notify}}
      - {args.amount: 5, expect: {level_at_least: approve}}
      - {args.amount: 101, expect: {level_at_least: approve}}
      - {args.amount: 101, expect: {level_at_least: approve, level: approve}}
      - {args.amount: x, expect: {level_at_least: approve_dual}}
""",
    )

    said = sorted(str(each) for each in result.failures)
    assert any("level_at_least: want 'approve', got 'notify'" in each for each in said)
    assert any(" level: want 'approve', got 'approve_dual'" in each for each in said)
    assert (result.passed, len(said)) == (3, 2)


def test_a_table_sets_and_expects_row_by_row(folder: Path) -> None:
    result = report(
        folder,
        """cases:
  - name: t
    call: pay
    each:
      - {args.amount: 100, expect: {rules: []}}
      - {args.amount: 101, expect: {rules: [big], level: approve_dual}}
      - {args.amount: x, expect: {reason: args_schema_mismatch}}
""",
    )

    assert (result.passed, result.ok, result.coverage.rules) == (3, True, 100.0)


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("expect: {rules: [bgi]}", "names unknown rule 'bgi'; did you mean 'big'?"),
        ("expect: {shadow: [bgi]}", "names unknown rule 'bgi'"),
        ("expect: {exceptions: [big]}", "names unknown rule 'big'"),
        ("expect: {limits: [a]}", "names unknown limit 'a'; known: open_per_session"),
        ("expect: {signals: [novelti]}", "unknown signal 'novelti'; did you mean 'novelty'?"),
        ("expect: {tool: pya}", "names unknown tool 'pya'; did you mean 'pay'?"),
        ("set: {session.wries: 1}, expect: {tool: pay}", "did you mean 'writes'?"),
        ("set: {session.writes: -1}, expect: {tool: pay}", "greater than or equal to 0"),
        ("set: {facts.used.a: 1}, expect: {tool: pay}", "unknown limit 'a'; known: none"),
        ("set: {agent.nme: a}, expect: {tool: pay}", "agent.nme cannot be set: set agent.id"),
        ("set: {sesion.writes: 1}, expect: {tool: pay}", "did you mean 'session'?"),
        ("set: {call.path: /x}, expect: {tool: pay}", "call.path cannot be set"),
        ("set: {call.hour: 25}, expect: {tool: pay}", "write a whole hour from 0 to 23"),
        ("now: tomorrow, expect: {tool: pay}", "'tomorrow' is not a time"),
        ("agent: bto, expect: {tool: pay}", "there is no agent 'bto' in fixtures; did you mean"),
        ("set: {args.account: ..}, expect: {tool: pay}", "the gate would refuse this call"),
        ("", "expects nothing"),
        ("expect: {level_at_least: allow}", "every decision is at least allow"),
        ("expect: {}", "expects nothing: say level, rules or a reason"),
    ],
)
def test_a_test_about_nothing_fails(folder: Path, case: str, said: str) -> None:
    joined = f", {case}" if case else ""

    assert said in failures(folder, f"cases: [{{name: a, call: pay{joined}}}]")


def test_a_misspelt_tool_or_call_fails(folder: Path) -> None:
    tool = "cases: [{name: a, call: {tool: pya}, expect: {level: approve}}]"
    fixture = "cases: [{name: a, call: pya, expect: {level: approve}}]"
    meant = "cases: [{name: a, call: {tool: pya}, expect: {reason: unknown_tool}}]"

    assert "there is no tool 'pya'; did you mean 'pay'?" in failures(folder, tool)
    assert "there is no call 'pya' in fixtures" in failures(folder, fixture)
    assert report(folder, meant).ok


def test_a_key_that_is_not_known_is_a_problem(folder: Path) -> None:
    with pytest.raises(InvalidDocument, match="unknown key 'lvel'; did you mean 'level'"):
        report(folder, "cases: [{name: a, call: pay, expect: {lvel: deny}}]")


def test_missing_coverage_fails_and_names_what_never_fired(folder: Path) -> None:
    said = failures(folder, "coverage: {rules: 100, matrix_cells: 50}")

    assert "0 % of rules and exceptions fire in a case, 100 % are asked for; never: big" in said
    assert "0 % of matrix cells are reached, 50 % are asked for" in said


def test_a_property_that_holds_passes_and_one_that_does_not_shows_an_example(folder: Path) -> None:
    holds = "properties: [{name: up, for: {tool: pay, vary: args.amount}, monotone: level}]"
    broken = "properties: [{name: down, for: {tool: pay, vary: args.amount}, monotone_down: level}]"
    floor = "properties: [{name: held, for: {tool: pay}, level_at_least: approve}]"

    assert report(folder, holds).ok
    assert "args.amount from 50 to 50.01 goes from notify to approve" in failures(folder, broken)
    assert "is notify" in failures(folder, floor)


CONFIDENCE = """signals:
  confidence: {missing: 0.5, raise_below: {low: 0.2, medium: 0.42, high: 0.8, critical: 0.97}}
  session_risk: {raise_at: [{points: 33, raise: 1}]}
"""


@pytest.mark.parametrize(
    ("fault", "vary", "monotone"),
    [
        ("agent.confidence > 0.5", "agent.confidence", "monotone_down"),
        ("agent.confidence > 0.99", "agent.confidence", "monotone_down"),
        ("agent.confidence > 0.7 && agent.confidence < 0.8", "agent.confidence", "monotone_down"),
        ("agent.confidence == 0.42", "agent.confidence", "monotone_down"),
        ("agent.confidence >= 0.96 && agent.confidence < 0.97", "agent.confidence", None),
        ("agent.confidence > 0.42 && agent.confidence < 0.44", "agent.confidence", None),
        ('agent.confidence > 0.5 && args.to == "founder-1"', "agent.confidence", None),
        ("agent.confidence > 0.5 && args.amount > 10000", "agent.confidence", None),
        ("session.points < 33", "session.points", "monotone"),
        ("session.points > 32.9 && session.points < 33", "session.points", "monotone"),
        ("args.amount <= 500 && args.amount > 50", "args.amount", "monotone"),
        ("args.amount < 10000.01 && args.amount > 9999.9", "amount", "monotone"),
        ('args.amount < 50 && args.to == "a"', "amount", "monotone"),
    ],
)
def test_a_property_finds_a_planted_fault(
    folder: Path, fault: str, vary: str, monotone: str | None
) -> None:
    planted = f"rules: [{{id: planted, tools: [pay], when: '{fault}', deny: No.}}]\n"
    (folder / "p.yaml").write_text(HEAD.replace("NAME", "p") + PAY + planted + CONFIDENCE)
    claim = f"{{name: x, for: {{tool: '*', vary: {vary}}}, {monotone or 'monotone_down'}: level}}"

    said = failures(folder, f"properties: [{claim}]")

    assert f"property 'x': pay: {vary} from" in said


def test_a_property_judges_a_tool_without_arguments_once_for_each_value(folder: Path) -> None:
    bare = """tools:
  - id: pay
    description: Pays.
    http: {upstream: bank, method: POST, path: /pay}
    args_schema: {type: object, properties: {}, additionalProperties: false}
    facets: {blast: self}
"""
    (folder / "p.yaml").write_text(HEAD.replace("NAME", "p") + bare)
    claim = Property.model_validate(
        {"name": "x", "for": {"vary": "agent.confidence"}, "monotone_down": "level"}
    )
    rows: list[int] = []

    def judge(row: Sequence[Item]) -> list[Level | None]:
        rows.append(len(row))
        return [Level.APPROVE] * len(row)

    check_property(claim, load_policies([folder / "p.yaml"]), judge)

    assert rows == [9]


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ("for: {tool: pya, vary: args.amount}, monotone: level", "no tool is in its scope"),
        ("for: {tool: pay, vary: call.hour}, monotone: level", "cannot vary"),
        ("for: {tool: pay}, monotone: level", "say what varies"),
        ("for: {tool: pay}", "a property has one of"),
    ],
)
def test_a_property_about_nothing_fails(folder: Path, claim: str, said: str) -> None:
    assert said in failures(folder, f"properties: [{{name: x, {claim}}}]")


def test_a_missing_file_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(InvalidDocument, match="gone_test.yaml:1:1: cannot be read"):
        run_suite(tmp_path / "gone_test.yaml")
    with pytest.raises(InvalidDocument, match="cannot be read: No such file"):
        load_policies([tmp_path / "gone.yaml"])
    with pytest.raises(InvalidDocument, match="no policy file here"):
        load_policies([tmp_path])


SHIPPED = sorted(ROOT.glob("policies/**/*_test.yaml"))


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_a_policy_that_ships_passes_its_tests_and_all_its_rules_fire(file: Path) -> None:
    result = run_suite(file)

    assert [str(failure) for failure in result.failures] == []
    assert result.coverage.rules == 100


def test_every_policy_that_ships_has_tests() -> None:
    policies = [file for file in ROOT.glob("policies/**/*.yaml") if file not in SHIPPED]

    assert policies
    assert all(file.with_name(f"{file.stem}_test.yaml") in SHIPPED for file in policies)


def test_aws_classifies_its_operations() -> None:
    compiled = load_policies([ROOT / "policies/aws.yaml"])

    assert len(compiled.tools) >= 25
    assert all(tool.description for tool in compiled.tools.values())
