"""What loads but could never do what it says is a problem as well; what might is none."""

from __future__ import annotations

import pytest

from interlock.policies.expression_syntax import parse
from interlock.policies.lint import constant
from tests.policies.building import PAY, policy, problems

# Irreversible and of medium stake: the standard matrix holds it for one person, always.
MAIL = (
    PAY
    + """
  - id: mail
    mcp: {server: mail, tool: send}
    args_schema: {type: object, properties: {to: {type: string}}}
    facets: {blast: external}
"""
)


def rules(*entries: str) -> str:
    return "rules:\n" + "".join(f"  - {{{entry}}}\n" for entry in entries)


@pytest.mark.parametrize(
    ("source", "answer"),
    [
        ("1 > 2", False),
        ("2 > 1 && !(1 == 2)", True),
        ('"a" in ["b"]', False),
        ("args.amount > 1 && 1 > 2", False),
        ("args.amount > 1 || true", True),
        ("args.amount > 1 && true", None),
        ("vars.limit > 1", None),
        ("args.to == args.to", None),
        ('!"abc".startsWith("x")', True),
        ('stated("x") && true', None),
        ("args.tags.all(x, true)", None),
        ('domain("nobody") == "x"', None),
    ],
)
def test_a_condition_that_is_none_is_seen(source: str, answer: bool | None) -> None:
    assert constant(parse(source)) is answer


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            rules("id: r, tools: [pay], when: 1 > 2, at_least: approve_dual"),
            "it is always false, so 'r' never fires: take it out",
        ),
        (
            rules("id: r, tools: [pay], when: 1 < 2, at_least: approve_dual"),
            "it is always true: leave `when` out",
        ),
        (
            rules(
                "id: r, tools: [pay], when: args.amount > 9, at_least: approve",
                "id: s, tools: [pay, mail], at_least: approve_dual",
            ),
            "'r' is never what decides: 's' (0.yaml:",
        ),
        (
            rules(
                "id: r, tools: [pay], at_least: approve",
                "id: s, tools: [pay], at_least: approve",
            ),
            "'s' is never what decides: 'r' (0.yaml:",
        ),
        (
            rules("id: r, tools: [pay], stake: high", "id: s, tools: ['*'], deny: Never."),
            "'r' is never what decides: 's'",
        ),
        (
            rules("id: r, tools: [mail], when: args.to == 'x', at_least: approve"),
            "'r' changes nothing: its tools are at least approve by the matrix",
        ),
        (
            rules("id: r, tools: [mail], when: args.to == 'x', stake: medium"),
            "'r' changes nothing",
        ),
        (
            rules("id: r, tools: [pay], when: args.to == 'x', reversibility: reversible"),
            "'r' changes nothing",
        ),
        (
            rules("id: r, tools: [mail, pay], at_least: approve_dual")
            + "approvals: {grants: {tools: [mail]}}\n",
            "nothing is lowered here: 'r' (0.yaml:",
        ),
        (
            rules("id: r, tools: ['*'], stake: critical")
            + "exceptions:\n  - {id: e, tools: [mail], when: args.to == 'y', at_most: notify,"
            " owner: a, reason: b, expires: '2030-01-01'}\n",
            "nothing is lowered here: 'r' (0.yaml:",
        ),
        ("edit: {must: ['edited.args.amount == 1 || 1 < 2']}\n", "it is always true: say what"),
    ],
)
def test_a_rule_that_can_do_nothing_is_a_problem(body: str, said: str) -> None:
    found = problems(MAIL + body)

    assert len(found) == 1 and said in found[0], found


@pytest.mark.parametrize(
    "body",
    [
        # raises above what is certain
        rules("id: r, tools: [mail], when: args.to == 'x', at_least: approve_dual"),
        rules("id: r, tools: [mail, pay], when: args.to == 'x', at_least: approve"),
        rules("id: r, tools: [pay], when: args.amount > 9, stake: high"),
        # speaks of tools to come
        rules("id: r, tools: ['*'], when: call.egress, at_least: approve"),
        rules("id: r, tools: ['ma*'], when: args.to == 'x', at_least: approve"),
        # keeps a grant or an exception from lowering
        rules("id: r, tools: [mail], when: args.to == 'x', at_least: approve")
        + "approvals: {grants: {tools: [mail]}}\n",
        rules("id: r, tools: [mail], when: args.to == 'x', at_least: approve")
        + "exceptions:\n  - {id: e, tools: [mail], when: args.to == 'y', at_most: notify, owner: a,"
        " reason: b, expires: '2030-01-01'}\n",
        # is counted, or tells the agent something of its own
        rules("id: r, tools: [mail], when: args.to == 'x', at_least: approve, mode: shadow"),
        rules(
            "id: r, tools: [mail], when: args.to == 'x', deny: No.", "id: s, tools: ['*'], deny: X"
        ),
        # the other is a trial, or for fewer tools
        rules(
            "id: r, tools: [pay], when: args.amount > 9, at_least: approve",
            "id: s, tools: [pay], at_least: approve_dual, mode: shadow",
        ),
        rules(
            "id: r, tools: [pay, mail], when: args.to == 'x', at_least: approve_dual",
            "id: s, tools: [pay], at_least: approve_dual",
        ),
        rules(
            "id: r, tools: ['*'], when: call.egress, at_least: approve",
            "id: s, tools: [pay, mail], at_least: approve",
        ),
    ],
)
def test_a_rule_that_might_do_something_is_none(body: str) -> None:
    assert problems(MAIL + body) == []


def test_a_rule_of_another_file_counts_too() -> None:
    one = rules("id: r, tools: [pay], when: args.amount > 9, at_least: approve")
    other = rules("id: s, tools: [pay], at_least: approve_dual")

    assert "'r' is never what decides: 's' (1.yaml:" in problems(MAIL + one, other)[0]
    assert policy(MAIL + one, "mode: shadow\n" + other).tools["pay"].rules


def test_a_rule_is_what_holds_the_tools_of_a_file_in_shadow_mode() -> None:
    rule = rules("id: r, tools: [mail], when: args.to == 'x', at_least: approve")

    assert problems("mode: shadow\n" + MAIL, rule) == []
    assert "'r' changes nothing" in problems(MAIL, rule)[0]
