"""A tool from a file in shadow mode: counted, but what other files enforce holds for it too."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from interlock.core.actions import Body, Content
from interlock.core.decisions import Decision, Level
from interlock.core.evaluate import decide, prepare
from interlock.core.facts import Facts
from interlock.core.rules import Confidence, Limit, Rule
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
