"""What policy must know of the past, and only that."""

from __future__ import annotations

from dataclasses import replace

from interlock.core.decisions import Level
from interlock.core.evaluate import decide, evaluate, prepare
from interlock.core.facts import NO_FACTS, Counting, Needs, Session, blank
from interlock.core.rules import (
    Caps,
    GrantSpec,
    Limit,
    Novelty,
    PolicySet,
    RepeatDenied,
    SessionRisk,
    Tool,
)
from tests.core.building import NOON, PAY, call, judge, policy

LIMIT = Limit(id="l", key=("agent.id",), window_ms=60_000, maximum=10**9, then=Level.APPROVE)


def needs(*tools: Tool, **settings: object) -> Needs:
    return prepare(call(amount=1), policy(*tools, **settings)).needs


def test_a_policy_that_asks_for_nothing_needs_nothing() -> None:
    assert not needs(PAY)
    assert not needs(PAY, session_memory_ms=1, unknown_limits=(LIMIT,))


def test_each_limit_and_each_cap_is_one_counter() -> None:
    asked = needs(
        replace(PAY, limits=(LIMIT,)), caps=Caps(open_per_session=3, per_agent_per_hour=9)
    )

    counting = [(counter.counting, counter.window_ms) for counter in asked.counters]
    assert counting == [
        (Counting.SPENT, 60_000),
        (Counting.OPEN, 0),
        (Counting.HOLDS, 3_600_000),
    ]
    assert len({counter.key for counter in asked.counters}) == 3


def test_the_session_is_asked_for_where_a_rule_or_the_risk_reads_it() -> None:
    by_rule = needs(replace(PAY, asks=frozenset({"session"})))
    by_task = needs(replace(PAY, asks=frozenset({"task"})))
    by_risk = needs(PAY, session_risk=SessionRisk(half_life_ms=7))

    assert by_rule.session == by_task.session == by_risk.session != ""
    assert (by_rule.task, by_task.task, by_risk.task) == (True, True, True)  # people are shown it
    assert by_risk.half_life_ms == 7


def test_what_was_seen_and_what_was_refused_or_granted_have_keys_of_their_own() -> None:
    new = needs(PAY, novelty=Novelty())
    refused = needs(PAY, repeat_denied=RepeatDenied(within_ms=1))
    granted = needs(replace(PAY, grants=GrantSpec()))

    assert new.familiar and not new.target
    assert refused.target and not refused.grant
    assert granted.grant and not granted.target
    assert len({new.familiar, refused.target, granted.grant}) == 3


def test_a_held_call_is_asked_for_without_its_own_shares() -> None:
    assert prepare(call(), policy(replace(PAY, limits=(LIMIT,))), "a1").needs.own == "a1"


def test_arguments_that_do_not_fit_ask_for_nothing() -> None:
    strict = replace(PAY, limits=(LIMIT,), invalid=lambda arguments: "no")

    assert not needs(strict)
    assert judge(policy(strict), call()).reason == "args_schema_mismatch"


def test_an_unknown_call_is_counted_by_the_limits_of_every_tool() -> None:
    compiled = policy(PAY, unknown_limits=(LIMIT,), unknown_asks=frozenset({"session"}))
    asked = prepare(call("elsewhere"), compiled).needs

    assert len(asked.counters) == 1 and asked.session


def test_judging_in_two_steps_is_judging_in_one() -> None:
    compiled = policy(replace(PAY, limits=(LIMIT,)), novelty=Novelty())
    prepared = prepare(call(amount=1), compiled)
    facts = blank(prepared.needs)

    assert decide(prepared, facts, NOON) == evaluate(call(amount=1), compiled, facts, NOON)


def test_a_blank_past_is_empty_and_known() -> None:
    compiled = policy(replace(PAY, limits=(LIMIT,), asks=frozenset({"session"})), novelty=Novelty())
    asked = prepare(call(amount=1), compiled).needs

    facts = blank(asked)

    assert set(facts.used.values()) == {0}
    assert (facts.familiar, facts.session, facts.grant) == (False, Session(), None)
    assert blank(Needs()) == NO_FACTS


class _Broken:
    def find(self, asked: object) -> object:
        raise KeyError("planted")


def test_an_error_while_preparing_is_a_refusal() -> None:
    """Fault planted: a catalogue that breaks."""
    compiled = policy(PAY)
    broken: PolicySet = replace(compiled, catalogue=_Broken())  # type: ignore[arg-type]

    prepared = prepare(call(), broken)
    decision = decide(prepared, NO_FACTS, NOON)

    assert not prepared.needs
    assert (decision.level, decision.reason) == (Level.DENY, "evaluation_error")
    assert "KeyError: 'planted'" in decision.trace[0]


def test_a_past_of_the_wrong_kind_is_a_refusal() -> None:
    """Fault planted: facts that are no facts."""
    decision = evaluate(call(amount=1), policy(PAY), {}, NOON)  # type: ignore[arg-type]

    assert (decision.level, decision.reason) == (Level.DENY, "evaluation_error")
