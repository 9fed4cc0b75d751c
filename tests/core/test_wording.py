"""What people are told of an action in a few words."""

from __future__ import annotations

from dataclasses import replace

from interlock.core.actions import Action, State
from interlock.core.decisions import Level
from interlock.core.wording import outcome
from tests.support.builders import ANN, a_decision, a_review, an_action


def expired(level: Level, approvals: int) -> Action:
    action = replace(an_action(), decision=a_decision(level), state=State.EXPIRED)
    said = (a_review(action),) * approvals
    return replace(action, reviews=said, votes=said)


def test_a_call_that_was_approved_and_not_sent_in_time_was_not_forgotten_by_people() -> None:
    assert outcome(expired(Level.APPROVE, 1)) == f"{ANN.id}: approved, never sent"
    assert outcome(expired(Level.APPROVE, 0)) == "expired, never sent"


def test_half_of_what_a_call_needed_is_no_approval() -> None:
    assert outcome(expired(Level.APPROVE_DUAL, 1)) == f"{ANN.id}: expired, never sent"
