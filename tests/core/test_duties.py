"""Whoever decides owes what policy asked for when the call was held, and what it asks for now."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.core.actions import Action, Reviewer, Verdict, evolve
from interlock.core.decisions import Decision, Level
from interlock.core.duties import check_duties, check_entitled, needing_reason
from interlock.core.errors import Forbidden, ReasonNeeded, StepUpNeeded, TooSoon
from interlock.core.events import Reviewed
from tests.support.builders import ANN, NOON, a_decision, a_review, an_action

PAYER = Reviewer(id="pat", groups=frozenset({"payments"}))
CLEARING = [Verdict.APPROVE, Verdict.EDIT]
OTHERS = [Verdict.REJECT, Verdict.RESPOND]


def held(decision: Decision) -> Action:
    return evolve(an_action(), decision=decision, created=NOON)


def says(
    verdict: Verdict, now: Decision | None = None, *, who: Reviewer = ANN, **more: Any
) -> Reviewed:
    review = a_review(an_action(), who, verdict, **more)
    return Reviewed(at=NOON, review=review, decision=now or a_decision())


def owes(was: Decision, event: Reviewed) -> None:
    check_duties(was, event)


# who ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", list(Verdict))
def test_only_those_whom_policy_named_decide(verdict: Verdict) -> None:
    action = held(a_decision(approvers=("payments",)))
    with pytest.raises(Forbidden, match="payments"):
        check_entitled(action, says(verdict))
    check_entitled(action, says(verdict, who=PAYER))


def test_nobody_whom_policy_names_no_more_lets_it_out_but_they_may_still_stop_it() -> None:
    action = held(a_decision(approvers=("payments",)))
    now = a_decision(approvers=("treasury",))
    with pytest.raises(Forbidden, match="treasury"):
        check_entitled(action, says(Verdict.APPROVE, now, who=PAYER))
    check_entitled(action, says(Verdict.REJECT, now, who=PAYER))


# a reason -----------------------------------------------------------------------------------


@pytest.mark.parametrize("blank", ["", "  \n"])
def test_an_answer_in_the_tools_place_always_says_something(blank: str) -> None:
    with pytest.raises(ReasonNeeded, match="respond"):
        owes(a_decision(), says(Verdict.RESPOND, message=blank))
    owes(a_decision(), says(Verdict.RESPOND, message="It is paid already."))


@pytest.mark.parametrize("verdict", CLEARING)
def test_a_reason_to_approve_is_owed_for_an_edit_too(verdict: Verdict) -> None:
    asking = a_decision(require_reason=frozenset({"approve"}))
    with pytest.raises(ReasonNeeded):
        owes(asking, says(verdict, message=""))
    with pytest.raises(ReasonNeeded):
        owes(a_decision(), says(verdict, asking, message=""))


def test_a_reason_that_two_approvals_need_is_owed_only_where_two_are_asked() -> None:
    reasons = frozenset({"approve_dual"})
    one = a_decision(require_reason=reasons)
    two = a_decision(Level.APPROVE_DUAL, require_reason=reasons)
    assert needing_reason(one) == {"respond"}
    assert needing_reason(two) == {"respond", "approve", "edit"}


# a look -------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", CLEARING)
def test_what_lets_it_out_takes_the_longer_of_both_looks(verdict: Verdict) -> None:
    was, now = a_decision(dwell_ms=3_000), a_decision(dwell_ms=10_000)
    with pytest.raises(TooSoon) as soon:
        owes(was, says(verdict, now, message="because", looked_ms=8_001))
    assert soon.value.seconds == 2
    owes(was, says(verdict, now, message="because", looked_ms=10_000))
    with pytest.raises(TooSoon):
        owes(now, says(verdict, was, message="because", looked_ms=3_000))


@pytest.mark.parametrize("verdict", OTHERS)
def test_what_stops_it_needs_no_look_and_no_signature(verdict: Verdict) -> None:
    strict = a_decision(dwell_ms=60_000, step_up=True)
    owes(strict, says(verdict, strict, looked_ms=0, step_up=""))


# a signature --------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", CLEARING)
@pytest.mark.parametrize("asked", ["then", "now"])
def test_what_lets_it_out_is_signed_where_policy_asked_or_asks(
    verdict: Verdict, asked: str
) -> None:
    was, now = a_decision(step_up=asked == "then"), a_decision(step_up=asked == "now")
    with pytest.raises(StepUpNeeded):
        owes(was, says(verdict, now, message="because"))
    owes(was, says(verdict, now, message="because", step_up="key-1"))
