"""Mutants: which are made, which of them the tests of a policy notice, which prove nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.core.errors import InvalidDocument
from interlock.policies.mutate import Outcome, laboratory, run_all
from interlock.policies.mutate_conditions import shifted, variants
from interlock.policies.mutate_edits import mutants
from interlock.policies.mutate_maker import Mutant
from interlock.policies.positions import load_yaml
from tests.policies.building import HEAD, PAY

RULE = """rules:
  - {id: big, tools: [pay], when: args.amount > 100 && args.to != "ann", at_least: approve_dual}
"""
SUITE = """apiVersion: interlock/v1
kind: PolicyTest
policy: p.yaml
cases:
  - name: amounts
    call: {tool: pay, args: {to: bob}}
    each:
"""
WEAK = SUITE + "      - {args.amount: 500, expect: {level: approve_dual, rules: [big]}}\n"
STRONG = (
    WEAK
    + """      - {args.amount: 100, expect: {level: approve, rules: []}}
      - {args.amount: 101, expect: {level: approve_dual, rules: [big]}}
      - {args.amount: 500, args.to: ann, expect: {level: approve, rules: []}}
"""
)


def policy(folder: Path, *bodies: str) -> None:
    (folder / "p.yaml").write_text(HEAD.replace("NAME", "p") + PAY + "".join(bodies))


def outcomes(folder: Path, suite: str) -> list[Outcome]:
    policy(folder, RULE)
    (folder / "p_test.yaml").write_text(suite)
    return run_all([folder / "p_test.yaml"], lambda *_: True, workers=1)


def survivors(folder: Path, suite: str) -> list[str]:
    return [each.mutant.what for each in outcomes(folder, suite) if each.state == "survived"]


def made(body: str, kind: str) -> list[Mutant]:
    document = load_yaml(HEAD.replace("NAME", "p") + body, "p.yaml")
    return [each for each in mutants(document) if each.kind == kind]


def texts(source: str) -> list[str]:
    return [each.text for each in variants(source)]


def test_a_condition_loses_each_operand() -> None:
    found = texts("args.a && args.b && args.c")

    assert "((args.b) && (args.c))" in found
    assert "((args.a) && (args.c))" in found
    assert len(found) == 3


def test_a_comparison_moves_its_edge_turns_round_and_its_number_moves() -> None:
    assert texts("args.n > 10") == ["args.n >= 10", "args.n <= 10", "args.n > 9", "args.n > 11"]
    assert texts('args.s == "x"') == ['args.s != "x"']
    assert texts('args.s in ["x"]') == ['!(args.s in ["x"])']


def test_a_number_moves_by_a_tenth_and_integers_by_one_at_least() -> None:
    assert shifted(3) == (2, 4)
    assert shifted(1000) == (900, 1100)
    assert shifted(0.5) == (0.45, 0.55)
    assert shifted(0.0) == (-0.1, 0.1)


def test_a_mutant_points_at_the_place_in_the_condition(tmp_path: Path) -> None:
    edge = next(each for each in outcomes(tmp_path, WEAK) if "`args.amount > 100` ->" in str(each))

    line = (tmp_path / "p.yaml").read_text().splitlines()[edge.mutant.line - 1]
    assert line[edge.mutant.column - 1 :].startswith("args.amount > 100")


def test_a_boundary_that_nobody_tests_survives_and_the_test_to_write_is_named(
    tmp_path: Path,
) -> None:
    found = [each.mutant for each in outcomes(tmp_path, WEAK) if each.state == "survived"]

    edge = next(each for each in found if each.what.endswith("`args.amount >= 100`"))
    assert edge.suggestion == "add a case in which args.amount is exactly 100"
    assert any("`(args.amount > 100)`" in each.what for each in found)


def test_tests_of_both_sides_of_every_bound_leave_no_survivor_in_the_condition(
    tmp_path: Path,
) -> None:
    assert [each for each in survivors(tmp_path, STRONG) if each.startswith("rule big: `")] == []


def test_a_dropped_rule_is_noticed(tmp_path: Path) -> None:
    dropped = next(each for each in outcomes(tmp_path, WEAK) if each.mutant.kind == "rule")

    assert (dropped.state, "names unknown rule 'big'" in dropped.by) == ("killed", True)


def test_a_cell_that_no_tool_can_reach_is_not_counted(tmp_path: Path) -> None:
    policy(tmp_path, "matrix: standard\n", RULE)
    (tmp_path / "p_test.yaml").write_text(STRONG)
    found = run_all([tmp_path / "p_test.yaml"], lambda *_: True, workers=1)

    cells = {each.mutant.what: each for each in found if each.mutant.kind == "matrix"}
    never = cells["matrix read_only x low: allow -> notify"]
    assert (never.state, never.by) == ("equivalent", "no tool can reach read_only x low")
    assert cells["matrix compensable x low: notify -> allow"].state == "survived"


@pytest.mark.parametrize(
    ("body", "kind", "changes"),
    [
        ("limits: [{id: l, count: 3, then: deny}]", "limit", ["3 -> 2", "3 -> 4", "approve_dual"]),
        ("limits: [{id: l, window: 24h}]", "limit", ["window 24h -> half of it"]),
        ("levels: {approve: {quorum: 2}}", "levels", ["approve: quorum 2 -> 1"]),
        ("levels: {approve: {expire_after: 4h}}", "levels", ["expire_after 4h -> half of it"]),
        ("levels: {approve: {dwell: 10s}}", "levels", ["dwell 10s -> half of it"]),
        ("levels: {approve: {step_up: webauthn}}", "levels", ["approve: step_up dropped"]),
        ("levels: {approve_dual: {fold: true}}", "levels", ["approve_dual: fold true -> false"]),
        (
            "approvals: {batch: {up_to: low}}",
            "batch",
            ["batch dropped", "batch: up_to low -> medium"],
        ),
        ("approvals: {batch: {up_to: medium}}", "batch", ["batch: up_to medium -> low"]),
        ("audit: {share: 0.05}", "audit", ["share 0.05 -> 0.045", "share 0.05 -> 0.055"]),
        ('audit: {tools: {"p.*": 0.2}}', "audit", ["audit of p.*: p.* 0.2 -> 0.18"]),
        (
            "signals: {confidence: {use: calibrated}}",
            "signal",
            ["confidence: use calibrated -> claimed"],
        ),
        (
            "tools: [{id: t, args_schema: {required: [a, b]}}]",
            "required",
            ["required arguments a, b dropped"],
        ),
        ("tools: [{id: t, egress: true}]", "egress", ["egress dropped"]),
        ("tools: [{id: t, taints: [sensitive_data]}]", "taints", ["taint sensitive_data dropped"]),
        ("tools: [{id: t, target: [a]}]", "target", ["target dropped"]),
        ("tools: [{id: t}]", "reversibility", ["irreversible -> compensable"]),
        ("tools: [{id: t, facets: {data: restricted}}]", "facet", ["restricted -> confidential"]),
        ("rules: [{id: r, deny: no}]".replace("no", "'no'"), "deny", ["deny -> at_least"]),
        ("rules: [{id: r, at_least: approve}]", "at_least", ["approve -> notify"]),
        ('exceptions: [{id: e, expires: "2026-01-01"}]', "exception", ["2026-01-31"]),
        ("exceptions: [{id: e, at_most: approve}]", "exception", ["approve -> notify"]),
        ("stake: {amount: [{upto: 50, stake: high}]}", "band", ["50 -> 45", "high -> medium"]),
        ("vars: {most: 10, ours: [a, b]}", "vars", ["10 -> 9", "'a' dropped"]),
        ("signals: {novelty: {raise: 2}}", "signal", ["novelty dropped", "raise 2 -> 1"]),
        (
            "approvals: {caps: {open_per_session: 3}}",
            "caps",
            ["3 -> 4", "open_per_session dropped"],
        ),
        ("approvals: {repeat_denied: {then: deny}}", "repeat_denied", ["deny -> approve_dual"]),
        ("approvals: {grants: {at_most: notify}}", "grants", ["notify -> allow"]),
        ("defaults: {unknown_tool: {level: deny}}", "unknown_tool", ["deny -> approve_dual"]),
    ],
)
def test_every_section_has_its_mutants(body: str, kind: str, changes: list[str]) -> None:
    said = " | ".join(each.what for each in made(body, kind))

    assert all(change in said for change in changes), said


@pytest.mark.parametrize(
    ("written", "half"), [("24h", "43200s"), ("30d", "21600m"), ("90s", "45s")]
)
def test_half_of_a_duration_is_one_that_a_policy_may_write(written: str, half: str) -> None:
    (mutant,) = made(f"levels: {{approve: {{expire_after: {written}}}}}", "levels")

    assert mutant.changes == ((("levels", "approve", "expire_after"), half),)


TIMES = """
levels: {approve: {quorum: 2, expire_after: 30m}}
limits: [{id: day, tools: [pay], key: [agent.id], window: 24h, count: 9, then: approve}]
"""


def test_quorums_windows_and_expiries_are_noticed_where_a_suite_expects_them(
    tmp_path: Path,
) -> None:
    row = "      - {args.amount: 500, expect: {level: approve"

    def left(expect: str) -> list[str]:
        policy(tmp_path, TIMES)
        (tmp_path / "p_test.yaml").write_text(f"{SUITE}{row}{expect}}}}}\n")
        found = run_all([tmp_path / "p_test.yaml"], lambda *_: True, workers=1)
        survived = [each.mutant.what for each in found if each.state == "survived"]
        return [what for what in survived if "half of it" in what or "quorum" in what]

    assert left("") == [
        "limit day: window 24h -> half of it",
        "levels.approve: quorum 2 -> 1",
        "levels.approve: expire_after 30m -> half of it",
    ]
    assert left(", quorum: 2, expire_after: 30m, windows: {day: 24h}") == []


def test_suites_that_fail_as_they_are_stop_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidDocument, match="the suites have to pass before mutants count"):
        outcomes(tmp_path, WEAK.replace("approve_dual", "allow"))


def test_it_stops_when_it_is_told_to(tmp_path: Path) -> None:
    policy(tmp_path, RULE)
    (tmp_path / "p_test.yaml").write_text(WEAK)

    found = run_all([tmp_path / "p_test.yaml"], lambda *_: False, workers=1)

    assert len([each for each in found if each.state != "equivalent"]) == 1


def test_processes_find_what_one_process_finds(tmp_path: Path) -> None:
    alone = outcomes(tmp_path, WEAK)
    together = run_all([tmp_path / "p_test.yaml"], lambda *_: True, workers=2)

    assert [(each.mutant, each.state) for each in together] == [
        (each.mutant, each.state) for each in alone
    ]


SHIPPED = Path(__file__).parents[2] / "policies"


def test_what_is_proven_to_change_nothing_survives_every_suite() -> None:
    lab = laboratory([SHIPPED / "examples" / "payments-and-mail_test.yaml"])
    proven = [mutant for mutant in lab.mutants() if lab.proof(mutant)]

    assert proven
    assert {lab.run(mutant).state for mutant in proven[::5]} <= {"survived", "invalid"}


@pytest.mark.parametrize(
    ("facets", "proven"),
    [
        ("{data: restricted, blast: self}", ["facet blast dropped"]),
        ("{data: confidential, blast: external}", ["facet blast dropped", "external -> self"]),
        ("{data: internal, blast: external}", ["facet data dropped"]),
        ("{data: confidential, amount: args.amount}", []),
    ],
)
def test_a_facet_that_another_one_always_outweighs_is_not_counted(
    tmp_path: Path, facets: str, proven: list[str]
) -> None:
    body = PAY.replace("{amount: args.amount}", facets)
    (tmp_path / "p.yaml").write_text(HEAD.replace("NAME", "p") + body)
    (tmp_path / "p_test.yaml").write_text(SUITE + "      - {expect: {tool: pay}}\n")
    lab = laboratory([tmp_path / "p_test.yaml"])

    found = [each.what for each in lab.mutants() if each.kind == "facet" and lab.proof(each)]

    assert [what.removeprefix("tool pay: ").removeprefix("blast ") for what in found] == proven


GET = """tools:
  - id: get
    http: {upstream: bank, method: GET, path: "/a/{account}/{part}"PARAMS}
    facets: {data: public}
    target: [TARGET]
"""
REMEMBERED = "approvals: {repeat_denied: {same_call_within: 10m}}\n"
CONFIDENCE = (
    "signals: {confidence: {missing: 0.7, raise_below: {low: 0.3, medium: MEDIUM, high: 0.9,"
    " critical: 1.0}}}\n"
)


def proofs(folder: Path, body: str, kind: str, call: str = "{tool: pay}") -> dict[str, str]:
    (folder / "p.yaml").write_text(HEAD.replace("NAME", "p") + body)
    (folder / "p_test.yaml").write_text(f"{SUITE}      - {{expect: {call}}}\n")
    lab = laboratory([folder / "p_test.yaml"])
    return {each.what: lab.proof(each) for each in lab.mutants() if each.kind == kind}


@pytest.mark.parametrize(
    ("target", "params", "rest", "why"),
    [
        ("account, part", "", REMEMBERED, "get has no other argument"),
        ("account", "", REMEMBERED, ""),
        ("account, part", ", params: [page]", REMEMBERED, ""),
        ("account", "", "", "neither grants nor repeat_denied look at the target of get"),
    ],
)
def test_a_target_that_no_case_can_tell_from_all_arguments_is_not_counted(
    tmp_path: Path, target: str, params: str, rest: str, why: str
) -> None:
    body = GET.replace("TARGET", target).replace("PARAMS", params) + rest

    assert proofs(tmp_path, body, "target") == {"tool get: target dropped": why}


@pytest.mark.parametrize(
    ("medium", "proven"),
    [
        ("0.5", ["0.63", "0.77"]),
        ("0.7", ["0.77"]),
        ("0.71", ["0.63"]),
        ("0.63", ["0.63", "0.77"]),
        ("0.65", ["0.77"]),
        ("0.77", ["0.63"]),
    ],
)
def test_a_confidence_between_the_same_thresholds_is_not_counted(
    tmp_path: Path, medium: str, proven: list[str]
) -> None:
    body = PAY + CONFIDENCE.replace("MEDIUM", medium)

    found = proofs(tmp_path, body, "signal")

    equal = [what.rpartition(" ")[2] for what, why in found.items() if "missing" in what and why]
    assert equal == proven


def test_the_hint_for_a_target_says_what_shows_it() -> None:
    (mutant,) = made("tools: [{id: t, target: [a, b]}]", "target")

    assert mutant.suggestion == (
        "add a case for t with an argument that is not in target: target: [a, b]"
    )
