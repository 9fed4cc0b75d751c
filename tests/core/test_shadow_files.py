"""A tool from a file in shadow mode: counted, but what other files enforce holds for it too."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from interlock.core.actions import Body, Content, ToolCall
from interlock.core.decisions import Decision, Level
from interlock.core.evaluate import decide, prepare
from interlock.core.facts import MILLION, NO_EFFECTS, Facts, blank
from interlock.core.rules import (
    Caps,
    Confidence,
    Environment,
    Indeterminate,
    Limit,
    Rule,
    Tool,
)
from tests.core.building import NOON, PAY, call, judge, policy

SHADOW = replace(PAY, shadow=True)
SPENT = Limit(id="l", key=("tool",), window_ms=1, maximum=0, then=Level.APPROVE)


def shadowed(amount: float = 100, **tool: Any) -> Decision:
    prepared = prepare(call(amount=amount), policy(replace(SHADOW, **tool)))
    used = {counter.key: 0 for counter in prepared.needs.counters}
    return decide(prepared, Facts(used=used), NOON)


def test_a_tool_in_shadow_is_never_held_for_what_its_own_file_says() -> None:
    decision = shadowed()

    assert (decision.level, decision.would_be) == (Level.NOTIFY, Level.APPROVE)
    assert "shadow mode: would be approve, is notify" in decision.trace


@pytest.mark.parametrize(
    "rule",
    [Rule(id="r", at_least=Level.APPROVE), Rule(id="r", deny="No.")],
)
def test_rules_that_are_enforced_hold_for_it(rule: Rule) -> None:
    """Fault caught: switching a deny off by putting the tool in a file on trial."""
    decision = shadowed(rules=(rule,))

    assert decision.level is (Level.DENY if rule.deny else Level.APPROVE)
    assert decision.would_be is decision.level


def test_limits_that_are_enforced_hold_for_it() -> None:
    assert shadowed(limits=(SPENT,)).level is Level.APPROVE
    assert shadowed(limits=(replace(SPENT, shadow=True),)).level is Level.NOTIFY


def test_signals_raise_only_what_it_would_be() -> None:
    sure = Confidence(raise_below=(1.0, 1.0, 1.0, 1.0))

    decision = judge(policy(SHADOW, confidence=sure), call(amount=100))

    assert (decision.level, decision.would_be) == (Level.NOTIFY, Level.APPROVE_DUAL)


def test_a_body_that_it_does_not_declare_is_only_told() -> None:
    blob = replace(call(), content=Content(kind=Body.OPAQUE, media_type="x/y"))

    decision = judge(policy(replace(SHADOW, facets=())), blob)

    assert (decision.level, decision.would_be) == (Level.NOTIFY, Level.APPROVE)


def test_arguments_that_do_not_fit_it_are_only_told() -> None:
    decision = shadowed(invalid=lambda arguments: "no")

    assert (decision.level, decision.would_be) == (Level.NOTIFY, Level.DENY)


def test_other_tools_are_enforced() -> None:
    other = replace(PAY, id="other", match=replace(PAY.match, segments=()))

    decision = judge(policy(SHADOW, other), replace(call(amount=100), path="/"))

    assert (decision.tool, decision.level, decision.would_be) == ("other", Level.APPROVE, None)


# ---- arguments that do not fit: the file on trial lowers its own refusal, and nothing else ------

UNFIT = replace(SHADOW, invalid=lambda arguments: "q is no text")
LISTED = replace(SHADOW, match=replace(SHADOW.match, declared=frozenset({"amount"})))
TWICE = replace(call(amount=10), query=(("amount", "9000"),))


def large(seen: Environment) -> bool:
    if type(seen["args"]) is not dict or type(seen["args"].get("amount")) is not int:
        raise Indeterminate("args.amount is no number")
    return bool(seen["args"]["amount"] > 50)


def unfit(
    asked: ToolCall | None = None, used: int | None = 0, tool: Tool = UNFIT, **settings: Any
) -> Decision:
    prepared = prepare(asked or call(amount=100), policy(tool, **settings))
    known = blank(prepared.needs)
    if used is not None:
        known = replace(known, used={each.key: used for each in prepared.needs.counters})
    return decide(prepared, known, NOON)


@pytest.mark.parametrize("rule", [Rule(id="r", deny="No."), Rule(id="r", deny="No.", when=large)])
def test_rules_that_are_enforced_hold_for_arguments_that_do_not_fit_it(rule: Rule) -> None:
    """Fault caught: one argument of the wrong kind carries a call past every rule that denies."""
    tool = replace(UNFIT, rules=(rule,))

    for asked in (call(amount=100), call(amount="100")):
        decision = unfit(asked, tool=tool)
        assert (decision.level, decision.message) == (Level.DENY, "No.")
        assert [hit.id for hit in decision.rules] == ["r"]
    assert unfit(call(amount=10), tool=replace(UNFIT, rules=())).level is Level.NOTIFY


def test_a_rule_about_arguments_fires_where_they_are_ambiguous() -> None:
    """Fault caught: a rule reads one of two values, and the tool takes the other."""
    deny = Rule(id="r", deny="No.", when=large)

    assert unfit(TWICE, tool=LISTED).reason == "ambiguous_argument"
    assert unfit(TWICE, tool=LISTED).level is Level.NOTIFY
    assert unfit(TWICE, tool=replace(LISTED, rules=(deny,))).level is Level.DENY


@pytest.mark.parametrize("key", [("tool",), ("args.amount",), ("target",)])
def test_limits_that_are_enforced_count_arguments_that_do_not_fit_it(key: tuple[str, ...]) -> None:
    """Fault caught: a budget by argument that each new way of writing it has for itself."""
    limit = replace(SPENT, key=key, maximum=MILLION)
    tool = replace(UNFIT, limits=(limit,))
    by_argument = key != ("tool",)

    assert unfit(tool=tool).level is (Level.APPROVE if by_argument else Level.NOTIFY)
    assert unfit(tool=tool, used=MILLION).level is Level.APPROVE
    assert len(unfit(tool=tool).effects.reservations) == 1
    assert unfit(tool=tool, caps=Caps(open_per_session=0), used=MILLION).reason == "cap"


def test_what_such_a_call_reads_taints_its_session() -> None:
    """Fault caught: reading what is not trusted with one argument too many."""
    reads = replace(UNFIT, taints=frozenset({"untrusted_content"}), asks=frozenset({"session"}))

    assert unfit(tool=reads).effects.taints == {"untrusted_content"}
    assert unfit(tool=replace(reads, shadow=False)).effects is NO_EFFECTS


def test_a_tool_that_is_enforced_refuses_them_whatever_rules_say() -> None:
    decision = unfit(tool=replace(UNFIT, shadow=False, rules=(Rule(id="r", deny="No."),)))

    assert (decision.level, decision.would_be) == (Level.DENY, None)
    assert "q is no text" in decision.message
