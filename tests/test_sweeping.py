"""People hear again of a held call, and why: it still waits, or more of them may decide now."""

from __future__ import annotations

import pytest

from interlock.core.actions import evolve
from interlock.core.decisions import Escalation
from interlock.ports import Notice
from interlock.sweeping import LATE_MS, why_again
from tests.support.builders import NOON, a_decision, an_action

HOUR = 3_600_000


def waiting(remind_ms: int = 0, *escalations_ms: int):
    steps = tuple(Escalation(after_ms=each, to=("leads",)) for each in escalations_ms)
    return evolve(
        an_action(), created=NOON, decision=a_decision(remind_ms=remind_ms, escalate=steps)
    )


@pytest.mark.parametrize("after", [0, HOUR, 5 * HOUR])
def test_a_call_that_still_waits_is_a_reminder(after: int) -> None:
    assert why_again(waiting(HOUR), NOON + after) is Notice.REMINDER
    assert why_again(an_action(), NOON + after) is Notice.REMINDER


@pytest.mark.parametrize("late", [0, LATE_MS - 1, LATE_MS])
def test_more_people_may_decide_and_hear_of_it_also_from_a_late_sweep(late: int) -> None:
    assert why_again(waiting(0, HOUR), NOON + HOUR + late) is Notice.ESCALATED


def test_an_escalation_that_is_not_due_yet_is_a_reminder() -> None:
    assert why_again(waiting(HOUR // 2, HOUR), NOON + HOUR // 2) is Notice.REMINDER


def test_an_escalation_long_past_is_told_of_no_more() -> None:
    assert why_again(waiting(HOUR, HOUR), NOON + 3 * HOUR) is Notice.REMINDER


def test_an_escalation_since_the_last_reminder_is_one() -> None:
    assert why_again(waiting(HOUR, HOUR + HOUR // 2), NOON + 2 * HOUR - 1) is Notice.ESCALATED
