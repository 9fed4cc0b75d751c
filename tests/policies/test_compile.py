"""What the compiler refuses, all at once, each with its place and its cure."""

from __future__ import annotations

import datetime

import pytest

from interlock.core.decisions import Level
from interlock.core.durations import milliseconds
from interlock.core.errors import InvalidDocument
from interlock.core.evaluate import evaluate
from interlock.core.facts import NO_FACTS
from interlock.policies.load import read_policies
from tests.policies.building import HEAD, PAY, policy, problems
from tests.support.builders import a_call

RULE = "rules:\n  - {id: r, tools: [pay], when: args.amount > 1, at_least: approve}\n"
EXCEPTION = """exceptions:
  - id: e
    tools: [pay]
    when: args.to == "x"
    at_most: notify
    owner: ann
    reason: Why not.
    expires: "2026-12-31"
"""


def test_a_sound_policy_has_no_problems() -> None:
    assert problems(PAY + RULE + EXCEPTION) == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        # tools
        (PAY.replace("undo: {reason: Ask for it back.}", "undo: {tool: refnd}"), "no tool 'refnd'"),
        (PAY.replace("    undo: {reason: Ask for it back.}\n", ""), "compensable needs an `undo`"),
        (PAY.replace("amount: args.amount", "data: secret"), "unknown class 'secret' of data"),
        (PAY.replace("amount: args.amount", "dta: public"), "unknown facet 'dta'; did you mean"),
        (PAY.replace("amount: args.amount", "amount: args.amont"), "no field 'args.amont'"),
        (PAY.replace("amount: args.amount", "amount: args.to"), "a number is needed here"),
        (
            PAY.replace("facets: {amount: args.amount}", "facets: {}"),
            "nothing is listed here: write at least one",
        ),
        (PAY.replace("type: number", "type: nmber"), "not a JSON Schema that we take"),
        (PAY.replace("properties:", "propertis:"), "unknown JSON Schema keyword 'propertis'; did"),
        (PAY.replace("memo: {type: string}", 'memo: {pattern: "(?=a)"}'), "not a JSON Schema that"),
        (PAY.replace("memo: {type: string}", 'memo: {$ref: "http://x/y"}'), "start it with '#'"),
        (PAY.replace("{account}", "{a}-{b}"), "neither a literal nor {name} nor {name...}"),
        (PAY.replace("{account}", "{a...}"), "{a...} takes the rest: put it last"),
        (PAY.replace("{account}/pay", "{a}/{a}"), "{a} occurs twice"),
        (PAY.replace("{account}", ".."), "neither a literal"),
        (PAY.replace("{account}", ":account"), "11:48: ':account' is no segment: write {account}"),
        (PAY.replace("{account}", "<int:id>"), "'<int:id>' is no segment: write {id}"),
        (PAY.replace("{account}", "<id>"), "'<id>' is no segment: write {id}"),
        (PAY.replace("{account}", "${id}"), "'${id}' is no segment: write {id}"),
        (PAY.replace("{account}", "{id:int}"), "'{id:int}' is no segment: write {id}"),
        (PAY.replace("{account}", "*"), "'*' is no segment: write {name}, with a name of your own"),
        (PAY.replace("{account}/pay", "**"), "'**' is no segment: write {name...}, with a name"),
        (PAY.replace("method: POST", "method: post"), "'post' is not a method: write it as GET"),
        (PAY.replace("upstream: bank", "host: x"), "'host' is not used: name the `upstream`"),
        (PAY + PAY[PAY.index("  - id") :], "tool 'pay' is already at 0.yaml:"),
        # rules
        (PAY + RULE.replace("[pay]", "[pya]"), "'pya' names no tool; did you mean 'pay'?"),
        (PAY + RULE.replace(", at_least: approve", ""), "rule 'r' does nothing"),
        (PAY + RULE.replace("at_least: approve", "at_lest: approve"), "unknown key 'at_lest'; did"),
        (PAY + RULE.replace("args.amount", "args.amont"), "no field 'args.amont'; did you mean"),
        (PAY + RULE + RULE.replace("rules:\n", ""), "id 'r' is already at"),
        (PAY + RULE.replace("args.amount", "session.write"), "did you mean 'writes'?"),
        # exceptions
        (PAY + EXCEPTION.replace("args.to ==", "agent.id =="), "make it depend on args"),
        (PAY + EXCEPTION.replace("2026-12-31", "2026-02-31"), "is not a day of the calendar"),
        (PAY + EXCEPTION.replace("    owner: ann\n", ""), "'owner' is missing"),
        (PAY + EXCEPTION.replace("    reason: Why not.\n", ""), "'reason' is missing"),
        (PAY + EXCEPTION.replace('    expires: "2026-12-31"\n', ""), "'expires' is missing"),
        (
            PAY + EXCEPTION.replace("at_most: notify", "at_most: allow"),
            "floor of exceptions is not",
        ),
        (PAY + EXCEPTION.replace("id: e", "id: r") + RULE, "id 'r' is already at"),
        # stake
        (PAY.replace("{upto: 500,", "{upto: 50,"), "upto 50 is not above 50: never reached"),
        (PAY.replace("{stake: critical}", "{upto: 20000, stake: critical}"), "leave `upto` out"),
        (PAY.replace("{upto: 500, ", "{"), "so the next is never reached"),
        (PAY.replace("500, stake: medium", "500, stake: critical"), "falls from critical to high"),
        # settings
        ("matrix: standrd\n", "did you mean 'standard'?"),
        (
            "signals: {confidence: {raise_below: {low: 1, medium: 0, high: 1, critical: 1}}}\n",
            "falls",
        ),
        ("levels: {approve_dual: {quorum: 1}}\n", "approve_dual needs 2 people"),
        ("levels: {approve: {on_expire: allow}}\n", "only 'deny' is possible here, not 'allow'"),
        ("approvals: {separation: [requester]}\n", "the agent's owner never approve"),
        ("edit: {allow: {pya: [args.amount]}}\n" + PAY, "no tool 'pya' in this file; did you mean"),
        ("defaults: {unknown_tool: {level: allow}}\n", "not 'allow'"),
        ("defaults: {store_unavailable: allow}\n", "only 'deny' is possible here, not 'allow'"),
    ],
)
def test_a_mistake_is_a_problem_with_its_cure(body: str, said: str) -> None:
    found = problems(body)

    assert any(said in line for line in found), found


def test_a_problem_in_a_condition_has_the_column_of_the_word() -> None:
    found = problems(
        PAY + "rules:\n  - id: r\n    tools: [pay]\n    when: args.amont > 1\n    deny: x\n"
    )

    assert found == ["21:16: no field 'args.amont'; did you mean 'amount'?"]


STRINGS = (
    'args.memo.contains("Order @4711")',
    "!has(args.to) || args.to == 'a @b' && args.amount > 5",
    'args.memo in ["a @", "b"]',
    r'args.memo.matches(r"x @\d+") && args.amount > 1',
    'args.amount > 1 && args.memo == "a\\" @b"',
)


@pytest.mark.parametrize("condition", STRINGS)
def test_a_condition_that_a_comment_cuts_is_refused_where_it_is_cut(condition: str) -> None:
    text = condition.replace("!", "true && !").replace("@", "#")

    found = problems(f"{PAY}rules:\n  - id: r\n    tools: [pay]\n    deny: x\n    when: {text}\n")

    said = "in YAML ' #' begins a comment, so this condition ends here: put all of it in quotes"
    assert found == [f"22:{11 + text.index('#')}: {said}"]


def test_a_comment_after_a_whole_condition_is_a_comment() -> None:
    """No condition has a # but in a string, so what stands before ` #` is whole or unreadable."""
    rule = RULE.replace("{id: r, tools: [pay], when: args.amount > 1, at_least: approve}", "id: r")
    rule += "    tools: [pay]\n    deny: x\n    when: args.amount > 1  # don't ask (much)\n"

    assert problems(PAY + rule) == []
    assert problems(PAY + rule.replace("args.amount", "args.amont")) == [
        "22:16: no field 'args.amont'; did you mean 'amount'?"
    ]


def test_a_condition_that_a_comma_cuts_is_refused_where_it_is_cut() -> None:
    found = problems(PAY + "edit: {must: [edited.args.memo in ('a, b')]}\n")

    assert found[0] == (
        "18:38: within [...] and {...} a comma ends a text, so this condition ends here: put all "
        "of it in quotes"
    )


@pytest.mark.parametrize(
    ("written", "side", "column"),
    [
        ("args.amount * 2 > 5", "args.amount", 33),
        ("args.amount * 2.0 > 5.0", "args.amount", 33),
        ("1 - args.amount < 0", "args.amount", 37),
        ("args.amount + args.amount > 5", "args.amount", 33),
        ("2 * -args.amount < 5", "-args.amount", 37),
    ],
)
def test_a_number_that_may_be_19_or_19_5_is_made_a_decimal_to_compute_with(
    written: str, side: str, column: int
) -> None:
    """Fault caught: a rule that is in doubt, and fires, for every price that has cents."""
    (found,) = problems(PAY + RULE.replace("args.amount > 1", written))

    assert found.startswith(f"19:{column}: ")
    assert f"{side} may be either: write double({side}), and decimals beside it" in found
    assert problems(PAY + RULE.replace("args.amount > 1", "double(args.amount) * 2.0 > 5")) == []
    whole = PAY.replace("amount: {type: number}", "amount: {type: integer}")
    assert problems(whole + RULE.replace("args.amount > 1", "args.amount * 2 > 5")) == []


def test_a_falling_matrix_is_refused_at_the_cell() -> None:
    body = """matrix:
  read_only:    [allow, allow, notify, approve]
  reversible:   [allow, notify, approve, notify]
  compensable:  [notify, approve, approve, approve_dual]
  irreversible: [notify, approve, approve_dual, allow]
"""

    found = problems(body)

    assert [line.split(": ")[0] for line in found] == ["3:42", "5:49"]
    assert "oversight falls: irreversible x critical is allow" in found[1]


def test_all_problems_come_at_once() -> None:
    body = PAY.replace("{upto: 500,", "{upto: 50,") + RULE.replace("[pay]", "[x]") + EXCEPTION

    assert len(problems(body.replace("2026-12-31", "2026-02-31"))) == 3


def test_a_mistake_in_one_rule_hides_none_in_another() -> None:
    body = """rules:
  - {id: a, tools: [pay], when: args.amont > 1, at_least: approve}
  - {id: b, tools: [pya], at_least: approve}
  - {id: c, tools: [pay], when: args.too == 'x', at_least: approve}
limits: [{id: l, tools: [pay], key: [args.tooo], window: 1h, count: 1, then: deny}]
redact: {logs: [args.memmo]}
"""

    found = problems(PAY + body)

    assert [line.split(": ")[0] for line in found] == ["19:38", "20:21", "21:38", "22:38", "23:17"]


def test_a_broken_tool_is_not_reported_twice() -> None:
    """Fault caught: rules about a tool that does not compile, reported for its arguments."""
    found = problems(PAY.replace("{account}", "..") + RULE.replace("amount", "amont"))

    assert len(found) == 1 and "neither a literal" in found[0]


def test_files_merge_and_rules_reach_tools_of_other_files() -> None:
    compiled = policy(PAY, RULE, "rules: [{id: all, tools: ['*'], at_least: notify}]\n")

    assert [rule.id for rule in compiled.tools["pay"].rules] == ["r", "all"]
    assert (compiled.ref.name, compiled.ref.version) == ("p0+p1+p2", 1)


def test_files_that_contradict_each_other_are_refused() -> None:
    assert any(
        "`matrix` differs from" in line for line in problems("matrix: strict", "matrix: lenient")
    )
    assert any("already at 0.yaml" in line for line in problems(PAY, PAY))
    assert problems("matrix: strict", "matrix: strict") == []


def test_the_strictest_setting_of_all_files_counts() -> None:
    signal = "signals: {confidence: {missing: M, raise_below: {R}}}\ndefaults: {unknown_tool: {U}}"
    one = signal.replace("M", "0.5").replace("U", "level: deny")
    other = signal.replace("M", "0.2").replace("U", "")

    compiled = policy(
        one.replace("R", "low: 0, medium: 0.5, high: 0.5, critical: 1"),
        other.replace("R", "low: 0, medium: 0, high: 0.9, critical: 0.9"),
    )

    assert compiled.confidence is not None
    assert compiled.confidence.raise_below == (0, 0.5, 0.9, 1)
    assert compiled.confidence.missing == 0.2
    assert compiled.unknown_tool.level is Level.DENY


def test_the_identity_covers_every_byte_of_every_file() -> None:
    one, other = policy(PAY, RULE), policy(PAY, RULE + "# a comment\n")

    assert one.ref.sha256 != other.ref.sha256
    assert one.ref == policy(PAY, RULE).ref


def test_bytes_that_move_from_one_file_to_another_change_the_identity() -> None:
    """Fault caught: hashing the concatenation, without lengths."""
    files = [("a", HEAD.replace("NAME", "a") + "#"), ("b", HEAD.replace("NAME", "a") + "##")]
    moved = [("a", HEAD.replace("NAME", "a")), ("b", "#" + HEAD.replace("NAME", "a") + "##")]

    assert read_policies(files).ref.sha256 != read_policies(moved).ref.sha256


def test_an_ended_exception_is_a_problem_on_request_only() -> None:
    files = [("a.yaml", HEAD.replace("NAME", "a") + PAY + EXCEPTION)]

    assert read_policies(files, datetime.date(2026, 12, 31)).exceptions
    with pytest.raises(InvalidDocument, match="ended on 2026-12-31: renew it or take it out"):
        read_policies(files, datetime.date(2027, 1, 1))


def test_path_and_declared_parameters_are_never_additional() -> None:
    from tests.policies.building import call, judge

    closed = PAY.replace(
        "      type: object\n", "      type: object\n      additionalProperties: false\n"
    )
    compiled = policy(closed)

    assert judge(compiled, call(value={"amount": 1})).reason == ""
    assert judge(compiled, call(value={"amount": 1, "x": 1})).reason == "args_schema_mismatch"


@pytest.mark.parametrize(
    ("text", "ms"), [("5ms", 5), ("90s", 90_000), ("4h", 14_400_000), ("1d", 86_400_000)]
)
def test_a_duration_is_in_milliseconds(text: str, ms: int) -> None:
    assert milliseconds(text) == ms


def test_a_duration_without_a_unit_is_refused() -> None:
    with pytest.raises(ValueError, match="not a duration"):
        milliseconds("5")


def test_a_tool_that_is_only_read_takes_no_body_that_nobody_declared() -> None:
    text = """
apiVersion: interlock/v1
kind: Policy
metadata: {name: notes, version: 1}
matrix: standard
stake: {blast: {self: low}}
tools:
  - id: notes.read
    http: {upstream: bank, method: GET, path: /notes}
    reversibility: read_only
    facets: {blast: self}
"""
    rules = read_policies([("notes.yaml", text)])
    at = datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC)

    plain = evaluate(a_call("GET", "/notes", b""), rules, NO_FACTS, at)
    odd = evaluate(a_call("GET", "/notes", b'{"_method": "DELETE"}'), rules, NO_FACTS, at)

    assert plain.level is Level.ALLOW
    assert odd.level is Level.APPROVE and odd.reason == "unknown_content_type"


def test_a_file_in_shadow_mode_holds_nothing_and_the_others_do() -> None:
    limit = "limits: [{id: l, tools: [pay], key: [], window: 1h, count: 1, then: deny}]\n"
    refund = "tools:\n" + PAY[PAY.index("  - id") :].replace("pay", "refund")
    refund = refund.replace("amount: args.amount", "blast: external")
    trial = "mode: shadow\n" + refund + RULE + EXCEPTION + limit

    compiled = policy(PAY, trial)

    assert [compiled.tools[name].shadow for name in ("pay", "refund")] == [False, True]
    assert compiled.shadow is False
    assert all(each.shadow for each in compiled.tools["pay"].rules)
    assert all(each.shadow for each in compiled.tools["pay"].exceptions)
    assert all(each.shadow for each in compiled.tools["pay"].limits)


def test_a_policy_is_in_shadow_mode_where_all_its_files_are() -> None:
    assert policy("mode: shadow\n" + PAY, "mode: shadow\n").shadow is True
    assert policy(PAY, "mode: shadow\n").shadow is False


def test_the_order_of_files_does_not_matter() -> None:
    one = "signals: {novelty: {memory: 3d}}\napprovals: {caps: {open_per_session: 3}}\n"
    files = [("a", HEAD.replace("NAME", "a") + PAY + one), ("b", HEAD.replace("NAME", "b") + RULE)]

    forth, back = read_policies(files), read_policies(files[::-1])

    assert (forth.ref, forth.novelty, forth.caps) == (back.ref, back.novelty, back.caps)
    assert list(forth.tools) == list(back.tools)


def test_a_tool_asks_for_what_its_rules_and_exceptions_read_of_the_past() -> None:
    rule = RULE.replace("args.amount > 1", "session.writes > 1")
    stated = EXCEPTION.replace('args.to == "x"', "stated(args.to)")
    everything = "rules: [{id: all, tools: ['*'], when: session.points > 1, at_least: approve}]\n"

    assert policy(PAY + RULE + EXCEPTION).tools["pay"].asks == frozenset()
    assert policy(PAY + rule).tools["pay"].asks == {"session"}
    assert policy(PAY + rule).unknown_asks == frozenset()
    assert policy(PAY + rule + stated).tools["pay"].asks == {"session", "task"}
    assert policy(PAY, everything).unknown_asks == {"session"}
    assert policy(PAY.replace("args.amount}", "session.points}")).tools["pay"].asks == {"session"}
