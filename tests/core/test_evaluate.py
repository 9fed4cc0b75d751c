"""The judge: the lattice, three values, and what it does in doubt."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.core.actions import Body, Content, ToolCall
from interlock.core.decisions import Level, Reversibility, Stake
from interlock.core.rules import Indeterminate, Rule
from interlock.policies.settings import PRESETS, preset
from tests.core.building import judge
from tests.policies.building import NOON, PAY, call, policy

RULE = """
rules:
  - {id: big, tools: [pay], when: args.amount > 100, at_least: approve_dual}
"""
EXCEPTION = """
exceptions:
  - id: rent
    tools: [pay]
    when: args.to == "landlord"
    at_most: notify
    owner: ann@example.com
    reason: The rent.
    expires: "2026-11-30"
"""
CONFIDENCE = """
signals: {confidence: {raise_below: {low: 0.3, medium: 0.6, high: 0.9, critical: 1.0}}}
"""


def pay(**arguments: Any) -> ToolCall:
    return call(value=arguments)


def test_the_matrix_decides_by_reversibility_and_stake() -> None:
    compiled = policy(PAY)

    levels = [judge(compiled, pay(amount=amount)).level for amount in (50, 51, 501, 10_001)]

    assert levels == [Level.NOTIFY, Level.APPROVE, Level.APPROVE, Level.APPROVE_DUAL]


def test_the_highest_facet_decides_and_is_named() -> None:
    compiled = policy(PAY.replace("facets: {", "facets: {data: confidential, "))

    small, large = judge(compiled, pay(amount=1)), judge(compiled, pay(amount=501))

    assert (small.stake, small.facet) == (Stake.MEDIUM, "data")
    assert (large.stake, large.facet) == (Stake.HIGH, "amount")


@pytest.mark.parametrize("amount", [-1000, None, "1000", [1000], True, float("nan"), float("inf")])
def test_an_amount_that_is_no_plain_number_is_never_small(amount: Any) -> None:
    """Fault caught: reading a missing, negative or NaN amount as the lowest band."""
    compiled = policy(PAY.replace("amount: {type: number}", "amount: {}"))

    decision = judge(compiled, pay(amount=amount))

    assert decision.stake >= Stake.HIGH


def test_a_missing_amount_is_in_the_highest_band_and_in_doubt() -> None:
    decision = judge(policy(PAY), pay(to="x"))

    assert decision.stake is Stake.CRITICAL
    assert decision.indeterminate


def test_a_rule_that_is_true_raises_and_says_so() -> None:
    decision = judge(policy(PAY + RULE), pay(amount=101))

    assert decision.level is Level.APPROVE_DUAL
    assert [(hit.id, hit.effect) for hit in decision.rules] == [("big", "at least approve_dual")]
    assert "rule big: true -> at least approve_dual" in decision.trace


def test_a_rule_that_cannot_be_evaluated_fires() -> None:
    """Fault caught: treating indeterminate as false, as most engines do."""
    decision = judge(policy(PAY + RULE), pay(to="x"))

    assert [hit.id for hit in decision.rules] == ["big"]
    assert decision.rules[0].indeterminate == "args.amount is missing"
    assert decision.indeterminate


def test_a_shadow_rule_is_counted_and_changes_nothing() -> None:
    shadow = RULE.replace("id: big", "id: big, mode: shadow")

    decision = judge(policy(PAY + shadow), pay(amount=101))

    assert (decision.level, decision.shadow, decision.rules) == (Level.APPROVE, ("big",), ())


def test_a_denying_rule_wins_with_its_message_over_everything() -> None:
    never = "rules: [{id: never, tools: [pay], when: args.amount > 0, deny: Ask first.}]\n"
    denying = EXCEPTION + never

    decision = judge(policy(PAY + denying), pay(amount=1, to="landlord"))

    assert (decision.level, decision.message) == (Level.DENY, "Ask first.")


def test_a_denying_cell_tells_the_agent_why() -> None:
    compiled = policy(PAY.replace("compensable", "irreversible"))

    decision = judge(compiled, pay(amount=20_000))

    assert decision.level is Level.DENY
    assert "irreversible at critical stake" in decision.message


def test_an_exception_lowers_to_its_floor_until_its_last_day() -> None:
    compiled = policy(PAY + EXCEPTION)
    rent = pay(amount=400, to="landlord")

    last = judge(compiled, rent, datetime(2026, 11, 30, 23, 59, tzinfo=UTC))
    after = judge(compiled, rent, datetime(2026, 12, 1, tzinfo=UTC))

    assert (last.level, last.exceptions) == (Level.NOTIFY, ("rent",))
    assert (after.level, after.exceptions) == (Level.APPROVE, ())


def test_an_exception_never_applies_where_a_rule_fired() -> None:
    """Fault caught: letting an exception lower below what a rule raised."""
    decision = judge(policy(PAY + EXCEPTION + RULE), pay(amount=400, to="landlord"))

    assert (decision.level, decision.exceptions) == (Level.APPROVE_DUAL, ())


def test_an_exception_never_applies_in_doubt() -> None:
    """Fault caught: letting an exception apply where the amount could not be read."""
    decision = judge(policy(PAY + EXCEPTION), pay(to="landlord"))

    assert decision.exceptions == ()
    assert decision.level is Level.APPROVE_DUAL


def test_an_exception_that_cannot_be_evaluated_does_not_apply() -> None:
    decision = judge(policy(PAY + EXCEPTION), pay(amount=400))

    assert decision.level is Level.APPROVE
    assert any("exception rent: indeterminate" in line for line in decision.trace)


@pytest.mark.parametrize("claim", [0.59, None, float("nan"), -1.0, 1.5])
def test_low_missing_or_impossible_confidence_raises_one_step(claim: float | None) -> None:
    """Fault caught: a comparison that NaN passes, or a missing claim that counts as sure."""
    decision = judge(policy(PAY + CONFIDENCE), call(value={"amount": 100}, confidence=claim))

    assert (decision.level, decision.signals) == (Level.APPROVE_DUAL, ("confidence",))


def test_high_confidence_changes_nothing_and_never_reaches_deny() -> None:
    compiled = policy(PAY + CONFIDENCE)

    sure = judge(compiled, call(value={"amount": 100}, confidence=0.6))
    worst = judge(compiled, call(value={"amount": 20_000}, confidence=0.0))

    assert (sure.level, sure.signals) == (Level.APPROVE, ())
    assert worst.level is Level.APPROVE_DUAL


def test_confidence_leaves_alone_what_nobody_needs_to_see() -> None:
    reading = PAY.replace("compensable", "read_only").replace(
        "undo: {reason: Ask for it back.}", ""
    )

    decision = judge(policy(reading + CONFIDENCE), call(value={"amount": 1}, confidence=0.0))

    assert (decision.level, decision.signals) == (Level.ALLOW, ())


def test_arguments_that_do_not_fit_the_schema_are_refused_with_the_reason() -> None:
    decision = judge(policy(PAY), pay(amount="750"))

    assert (decision.level, decision.reason) == (Level.DENY, "args_schema_mismatch")
    assert 'amount: "750" is not of type "number"' in decision.message


def test_one_argument_with_two_values_is_refused_with_the_cure() -> None:
    decision = judge(policy(PAY), call(target="/accounts/7/pay", value={"account": 8, "amount": 1}))

    assert (decision.level, decision.reason) == (Level.DENY, "ambiguous_argument")
    assert "'account' has one value in the path and another in the json" in decision.message


def test_an_unknown_call_is_never_allowed() -> None:
    decision = judge(policy(PAY), call(target="/elsewhere"))

    assert (decision.level, decision.reason, decision.tool) == (Level.APPROVE, "unknown_tool", "")
    assert (decision.stake, decision.reversibility) == (Stake.CRITICAL, Reversibility.IRREVERSIBLE)
    assert decision.editable == ()


def test_a_rule_for_every_tool_raises_unknown_calls_too() -> None:
    everything = 'rules: [{id: switch, tools: ["*"], when: agent.id == "bot", deny: Switched off.}]'

    decision = judge(policy(PAY + everything), call(target="/elsewhere"))

    assert (decision.level, decision.message) == (Level.DENY, "Switched off.")


def test_a_body_that_policy_cannot_read_is_held_unless_declared() -> None:
    compiled = policy(PAY.replace("amount: args.amount", "data: public"))
    opened = policy(
        PAY.replace("amount: args.amount", "data: public").replace('pay"}', 'pay", body: [opaque]}')
    )
    blob = call(media_type="application/octet-stream", body=b"\x00")

    closed, taken = judge(compiled, blob), judge(opened, blob)

    assert (closed.level, closed.reason) == (Level.APPROVE, "unknown_content_type")
    assert (taken.level, taken.reason) == (Level.NOTIFY, "")


def test_shadow_mode_never_holds_and_says_what_it_would_have_done() -> None:
    decision = judge(policy("mode: shadow\n" + PAY), pay(amount=20_000))

    assert (decision.level, decision.would_be) == (Level.NOTIFY, Level.APPROVE_DUAL)


def test_the_level_says_who_decides_and_how_long() -> None:
    levels = "levels: {approve_dual: {approvers: [cfo], quorum: 3, expire_after: 90s}}\n"

    decision = judge(policy(PAY + levels), pay(amount=20_000))

    assert (decision.quorum, decision.approvers, decision.hold_ms) == (3, ("cfo",), 90_000)
    assert decision.require_reason == {"reject", "approve_dual"}


def test_an_error_while_judging_is_a_refusal() -> None:
    """Fault planted: a rule whose condition breaks in a way that nobody foresaw."""

    def broken(_: object) -> bool:
        raise ZeroDivisionError("planted")

    compiled = policy(PAY)
    tool = compiled.tools["pay"]
    planted = replace(
        compiled, tools={"pay": replace(tool, rules=(Rule(id="bad", when=broken, effect="x"),))}
    )

    decision = judge(planted, pay(amount=1))

    assert (decision.level, decision.reason) == (Level.DENY, "evaluation_error")
    assert "ZeroDivisionError: planted" in decision.trace[0]


def test_two_evaluations_are_equal() -> None:
    compiled = policy(PAY + RULE + CONFIDENCE)

    assert judge(compiled, pay(amount=9)) == judge(compiled, pay(amount=9))


# ---- properties -------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ARGUMENTS = st.dictionaries(st.sampled_from(["amount", "to", "memo", "x"]), JSON, max_size=4)
CONDITIONS = st.sampled_from(
    [
        "args.amount > 100",
        'args.to == "a"',
        "has(args.memo)",
        'args.memo.contains("x")',
        "agent.confidence < 0.5",
        "call.hour > 12",
        "!(args.amount < 7)",
        'domain(args.to) in ["example.com"]',
    ]
)
EFFECTS = st.sampled_from(
    [
        "at_least: notify",
        "at_least: approve",
        "at_least: approve_dual",
        "stake: high",
        "reversibility: irreversible",
        "deny: No.",
    ]
)
AMOUNT = st.floats(min_value=0, max_value=1e6)
COMPILED = policy(PAY + RULE + EXCEPTION + CONFIDENCE)


def rule(name: str, condition: str, effect: str) -> str:
    return f"rules: [{{id: {name}, tools: [pay], when: '{condition}', {effect}}}]\n"


@given(value=JSON, confidence=st.none() | st.floats(), kind=st.sampled_from(Body))
def test_judging_never_raises_whatever_the_body_is(
    value: Any, confidence: float | None, kind: Body
) -> None:
    asked = replace(
        call(confidence=confidence), content=Content(kind=kind, media_type="x/y", value=value)
    )

    decision = judge(COMPILED, asked)

    assert isinstance(decision.level, Level)
    assert decision.trace


@settings(max_examples=60)
@given(arguments=ARGUMENTS, condition=CONDITIONS, effect=EFFECTS, confidence=st.floats(0, 1))
def test_adding_a_rule_never_loosens(
    arguments: dict[str, Any], condition: str, effect: str, confidence: float
) -> None:
    asked = call(value=arguments, confidence=confidence)

    before = judge(COMPILED, asked)
    after = judge(
        policy(PAY + EXCEPTION + CONFIDENCE, RULE, rule("another", condition, effect)), asked
    )

    assert after.level >= before.level


@given(low=AMOUNT, high=AMOUNT, confidence=st.floats(0, 1), to=st.sampled_from(["x", "landlord"]))
def test_more_money_is_never_less_oversight(
    low: float, high: float, confidence: float, to: str
) -> None:
    small, large = sorted((low, high))

    less = judge(COMPILED, call(value={"amount": small, "to": to}, confidence=confidence))
    more = judge(COMPILED, call(value={"amount": large, "to": to}, confidence=confidence))

    assert more.level >= less.level


@given(amount=AMOUNT, low=st.floats(0, 1), high=st.floats(0, 1))
def test_more_confidence_is_never_more_oversight(amount: float, low: float, high: float) -> None:
    shy, bold = sorted((low, high))

    less = judge(COMPILED, call(value={"amount": amount}, confidence=bold))
    more = judge(COMPILED, call(value={"amount": amount}, confidence=shy))

    assert more.level >= less.level


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_rises_with_stake_and_irreversibility(name: str) -> None:
    matrix = preset(name)

    assert all(list(row) == sorted(row) for row in matrix)
    assert all(list(column) == sorted(column) for column in zip(*matrix, strict=True))


@settings(max_examples=40)
@given(order=st.permutations(range(3)), arguments=ARGUMENTS)
def test_the_order_of_files_does_not_matter(order: list[int], arguments: dict[str, Any]) -> None:
    from interlock.policies.load import read_policies
    from tests.policies.building import HEAD

    bodies = [PAY, RULE, EXCEPTION]
    files = [(f"{i}.yaml", HEAD.replace("NAME", f"p{i}") + body) for i, body in enumerate(bodies)]

    one = read_policies(files)
    other = read_policies([files[i] for i in order])

    assert one.ref == other.ref
    assert repr(judge(one, call(value=arguments))) == repr(judge(other, call(value=arguments)))


def test_an_indeterminate_says_why() -> None:
    assert str(Indeterminate("args.x is missing")) == "args.x is missing"
    assert judge(COMPILED, pay(amount=1), NOON).policy.name == "p0"
