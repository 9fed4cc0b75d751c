"""The compiled policy is data: immutable, with defaults that fail closed."""

from __future__ import annotations

import dataclasses

import pytest

from interlock.core import rules
from interlock.core.decisions import Level, Reversibility, Stake
from interlock.core.patterns import HttpMatch

COMPILED = [
    each
    for each in vars(rules).values()
    if isinstance(each, type)
    and dataclasses.is_dataclass(each)
    and each.__module__ == rules.__name__
]


@pytest.mark.parametrize("kind", COMPILED, ids=lambda kind: kind.__name__)
def test_everything_compiled_is_frozen_and_named(kind: type) -> None:
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert all(each.kw_only for each in dataclasses.fields(kind))


def test_what_a_tool_leaves_out_is_the_worst() -> None:
    match = HttpMatch(upstream="u", methods=frozenset({"GET"}), segments=())

    assert rules.Tool(id="t", match=match).reversibility is Reversibility.IRREVERSIBLE
    assert rules.Facet(name="f", shown="x").stake is Stake.CRITICAL


def test_what_a_policy_leaves_out_holds_unknown_calls_and_asks_two_people_at_the_top() -> None:
    unknown, levels = rules.UnknownTool(), rules.Levels()

    assert (unknown.stake, unknown.level) == (Stake.CRITICAL, Level.APPROVE)
    assert levels.approve_dual.quorum == 2
    assert levels.approve.quorum == 1


def test_a_rule_without_effect_raises_nothing() -> None:
    rule = rules.Rule(id="r")

    assert (rule.at_least, rule.stake, rule.deny) == (Level.ALLOW, Stake.LOW, None)
