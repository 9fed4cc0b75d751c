"""What shadow mode would have asked for, and that only policy's words say it."""

from __future__ import annotations

from datetime import UTC, datetime

from interlock.core.decisions import Level
from interlock.core.evaluate import decide, prepare
from interlock.core.facts import blank
from interlock.observe.metrics import Metrics
from interlock.observe.shadow import Asked, asked
from tests.support.builders import a_call, a_decision
from tests.support.fakes import OF_LEVEL, a_policy

RULES = """
rules:
  - {id: night, description: Trial., tools: ["*"], mode: shadow, at_least: approve}
  - {id: grave, description: Trial., tools: ["*"], mode: shadow, stake: high}
  - {id: never, description: Trial., tools: ["*"], mode: shadow, deny: No.}
limits:
  - id: few
    tools: ["*"]
    key: [agent.id]
    window: 1h
    sum: args.amount
    max: 1
    then: approve_dual
    mode: shadow
"""


def judged(level: Level, more: str) -> list[Asked]:
    prepared = prepare(a_call(target=f"/{OF_LEVEL[level]}?to=bob"), a_policy(more))
    return list(asked(decide(prepared, blank(prepared.needs), datetime(2026, 1, 1, tzinfo=UTC))))


def test_rules_and_limits_on_trial_say_what_they_asked_for() -> None:
    assert judged(Level.NOTIFY, RULES) == [
        Asked(rule="night", level="approve", more=True),
        Asked(rule="grave", level="other", more=False),
        Asked(rule="never", level="deny", more=True),
        Asked(rule="few", level="approve_dual", more=True),
    ]


def test_what_was_held_anyway_is_not_more() -> None:
    assert judged(Level.APPROVE, RULES)[0] == Asked(rule="night", level="approve", more=False)


def test_a_whole_policy_on_trial_goes_by_one_name() -> None:
    assert judged(Level.APPROVE, "\nmode: shadow\n") == [
        Asked(rule="policy", level="approve", more=True)
    ]
    assert judged(Level.ALLOW, "\nmode: shadow\n") == [
        Asked(rule="policy", level="allow", more=False)
    ]


def test_where_nothing_is_on_trial_nothing_is_said() -> None:
    assert judged(Level.APPROVE, "") == []


def test_a_decision_whose_trace_is_gone_still_has_a_bounded_label() -> None:
    assert list(asked(a_decision(shadow=("x",)))) == [Asked(rule="x", level="other", more=False)]


def test_nothing_was_on_trial_before_anything_was_judged() -> None:
    assert Metrics().shadowed() == {}
