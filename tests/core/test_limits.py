"""Budgets: reserved when a call is decided, and against the call where they cannot be read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from interlock.core.actions import ToolCall
from interlock.core.decisions import Decision, Level
from interlock.core.evaluate import decide, prepare
from interlock.core.facts import MILLION, NO_FACTS, Facts, Reservation
from interlock.core.rules import Exception_, Limit, Rule, Tool
from tests.core.building import NOON, PAY, arg, call, policy

MONEY = Limit(
    id="money",
    key=("agent.id",),
    window_ms=3_600_000,
    value=arg("amount"),
    maximum=100 * MILLION,
    then=Level.APPROVE_DUAL,
)
COUNT = replace(MONEY, id="count", value=None, maximum=3 * MILLION)
FACTLESS = replace(PAY, facets=())


def spent(
    used: Any, *limits: Limit, asked: ToolCall | None = None, own: str = "", **tool: Any
) -> Decision:
    """Judge a payment of 10 while *used* of every budget is in use."""
    compiled = policy(replace(FACTLESS, limits=limits, **tool))
    prepared = prepare(asked or call(amount=10), compiled, own)
    facts = Facts(used={each.key: used for each in prepared.needs.counters})
    return decide(prepared, facts, NOON)


def test_a_call_that_fits_in_its_budget_takes_its_share_of_it() -> None:
    decision = spent(90 * MILLION, MONEY)

    assert (decision.level, decision.limits) == (Level.NOTIFY, ())
    (share,) = decision.effects.reservations
    assert (share.weight, share.room) == (10 * MILLION, 100 * MILLION)
    assert "limit money: 100 of 100" in decision.trace


def test_a_call_that_would_exceed_its_budget_is_raised_and_still_takes_its_share() -> None:
    """Fault caught: comparing without this call's own share."""
    decision = spent(90 * MILLION + 1, MONEY)

    assert (decision.level, decision.limits) == (Level.APPROVE_DUAL, ("money",))
    (share,) = decision.effects.reservations
    assert (share.weight, share.room) == (10 * MILLION, None)
    assert any(line.startswith("limit money: 100.000001 of 100") for line in decision.trace)


def test_calls_are_counted_where_a_limit_has_no_value() -> None:
    assert spent(2 * MILLION, COUNT).limits == ()
    assert spent(3 * MILLION, COUNT).limits == ("count",)


@pytest.mark.parametrize("used", [None, "0", 0.0, float("nan"), True])
def test_a_budget_of_which_nothing_is_known_is_used_up(used: Any) -> None:
    """Fault caught: reading what the store did not say as zero."""
    decision = spent(used, COUNT)

    assert (decision.level, decision.limits) == (Level.APPROVE_DUAL, ("count",))
    assert decision.indeterminate


def test_a_budget_cannot_be_in_use_less_than_not_at_all() -> None:
    decision = spent(-(10**15), MONEY, asked=call(amount=101))

    assert decision.limits == ("money",)


@pytest.mark.parametrize("amount", [None, "10", True, float("nan"), [10]])
def test_an_amount_that_cannot_be_read_exceeds_its_budget_and_reserves_nothing(amount: Any) -> None:
    decision = spent(0, MONEY, asked=call(amount=amount))

    assert (decision.level, decision.indeterminate) == (Level.APPROVE_DUAL, True)
    assert decision.effects.reservations == ()


def test_a_limit_may_deny_and_tells_the_agent_how_long() -> None:
    decision = spent(3 * MILLION, replace(COUNT, then=Level.DENY))

    assert decision.level is Level.DENY
    assert "The limit count is reached (4 of 3)" in decision.message
    assert "3600 s" in decision.message


def test_a_denied_call_reserves_nothing() -> None:
    never = Rule(id="never", deny="No.")

    assert not spent(0, COUNT, rules=(never,)).effects


def test_a_limit_in_shadow_mode_is_counted_and_changes_nothing() -> None:
    decision = spent(3 * MILLION, replace(COUNT, shadow=True))

    assert (decision.level, decision.shadow, decision.limits) == (Level.NOTIFY, ("count",), ())
    assert [share.room for share in decision.effects.reservations] == [None]
    assert not spent(None, replace(COUNT, shadow=True)).indeterminate


def test_no_exception_lowers_a_call_over_its_budget() -> None:
    """Fault caught: an exception that makes a budget endless."""
    free = Exception_(
        id="free",
        when=lambda seen: True,
        at_most=Level.ALLOW,
        owner="ann",
        reason="Small.",
        expires=NOON.date(),
    )

    within = spent(2 * MILLION, COUNT, exceptions=(free,))
    beyond = spent(3 * MILLION, COUNT, exceptions=(free,))

    assert (within.level, within.exceptions) == (Level.ALLOW, ("free",))
    assert (beyond.level, beyond.exceptions) == (Level.APPROVE_DUAL, ())


def test_others_may_overtake_only_a_budget_that_would_have_changed_nothing() -> None:
    """Fault caught: holding back a write for a budget whose level the call has anyway."""
    dual = Rule(id="dual", at_least=Level.APPROVE_DUAL)

    (anyway,) = spent(0, COUNT, rules=(dual,)).effects.reservations
    (matters,) = spent(0, COUNT).effects.reservations

    assert (anyway.room, matters.room) == (None, 3 * MILLION)


def test_a_budget_matters_to_a_tool_on_trial_that_only_it_would_hold() -> None:
    held = replace(COUNT, then=Level.APPROVE)
    dear = call(amount=100)

    (tried,) = spent(0, held, asked=dear, facets=PAY.facets, shadow=True).effects.reservations
    (enforced,) = spent(0, held, asked=dear, facets=PAY.facets).effects.reservations

    assert (tried.room, enforced.room) == (3 * MILLION, None)


def test_two_limits_are_two_shares() -> None:
    decision = spent(0, MONEY, COUNT)

    weights = [share.weight for share in decision.effects.reservations]
    assert weights == [10 * MILLION, MILLION]


def test_what_others_write_is_no_part_of_the_decision() -> None:
    tool: Tool = replace(FACTLESS, limits=(COUNT,))
    prepared = prepare(call(amount=10), policy(tool))

    decision = decide(prepared, NO_FACTS, NOON)

    assert decision.limits == ("count",)
    assert decision.effects.reservations == (
        Reservation(counter=prepared.needs.counters[0], weight=MILLION, room=None),
    )
