"""Who may decide: whom policy named when the call was held, and names today."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.core.actions import Action, Reviewer, State, Verdict
from interlock.core.decisions import Decision, Escalation, Level, PolicyRef
from interlock.core.entitled import groups_needed
from interlock.core.errors import Forbidden, ReasonNeeded
from interlock.core.events import Decided, Escalated, Reviewed
from interlock.core.lifecycle import step
from tests.support.builders import NOON, a_decision, a_review, an_action

TODAY = PolicyRef(name="test", version=2, sha256="1" * 64)
LATER = (Escalation(after_ms=60_000, to=("chiefs",)),)


def held(level: Level = Level.APPROVE, **more: object) -> Action:
    return step(an_action(), Decided(at=NOON, decision=a_decision(level, **more)))[0]


def today(level: Level = Level.APPROVE, **more: object) -> Decision:
    return replace(a_decision(level, **more), policy=TODAY)


def member(*groups: str) -> Reviewer:
    return Reviewer(id="ann", groups=frozenset(groups))


def decides(
    action: Action,
    who: Reviewer,
    now: Decision,
    verdict: Verdict = Verdict.APPROVE,
    at: int = NOON + 1,
    **more: object,
) -> Action:
    return step(
        action, Reviewed(at=at, review=a_review(action, who, verdict, **more), decision=now)
    )[0]


@pytest.mark.parametrize("then", [("ops",), ()])
@pytest.mark.parametrize("verdict", [Verdict.APPROVE, Verdict.RESPOND])
def test_promise_09_whom_todays_policy_does_not_name_lets_nothing_out(
    then: tuple[str, ...], verdict: Verdict
) -> None:
    action = held(approvers=then)

    with pytest.raises(Forbidden, match="Only members of leads"):
        decides(action, member("ops"), today(approvers=("leads",)), verdict)
    after = decides(action, member("ops", "leads"), today(approvers=("leads",)), verdict)
    assert after.state in (State.APPROVED, State.RESPONDED)


def test_promise_09_whom_the_held_decision_does_not_name_is_not_added_by_todays() -> None:
    with pytest.raises(Forbidden, match="Only members of ops"):
        decides(held(approvers=("ops",)), member("leads"), today(approvers=("leads",)))


def test_whoever_could_stop_a_call_still_can() -> None:
    action = held(approvers=("ops",))
    after = decides(action, member("ops"), today(approvers=("leads",)), Verdict.REJECT)

    assert after.state is State.REJECTED


def test_todays_escalations_count_from_when_the_call_was_made() -> None:
    action, now = held(), today(approvers=("leads",), escalate=LATER)

    assert groups_needed(action, now, NOON + 59_999) == (("leads",),)
    assert groups_needed(action, now, NOON + 60_000) == (("leads", "chiefs"),)


def test_what_people_brought_forward_stays_so_under_todays_policy() -> None:
    action = held(approvers=("ops",), escalate=LATER)
    asked = Escalated(at=NOON + 10, by="bob", message="")
    action = step(action, asked)[0]
    now = today(approvers=("ops",), escalate=LATER)

    assert decides(action, member("chiefs"), now, at=NOON + 11).state is State.APPROVED


def test_the_same_policy_that_asks_for_less_by_now_narrows_nothing() -> None:
    """Its session has cooled down meanwhile: the leads who were asked are still those to decide."""
    action = held(Level.APPROVE_DUAL, approvers=("leads",), quorum=1)
    now = a_decision(approvers=("ops",))

    after = decides(action, member("leads"), now, message="looked at it")
    assert after.state is State.APPROVED


def test_a_policy_that_asks_nobody_any_more_narrows_nothing() -> None:
    now = today(Level.NOTIFY, approvers=("leads",))

    assert decides(held(approvers=("ops",)), member("ops"), now).state is State.APPROVED


def test_a_reason_is_needed_where_todays_policy_asks_for_one() -> None:
    action, now = held(), today(require_reason=frozenset({"approve"}))

    with pytest.raises(ReasonNeeded, match="A reason is required"):
        decides(action, member(), now)
    assert decides(action, member(), now, message="rent").state is State.APPROVED


GROUPS = st.sets(st.sampled_from(["ops", "leads", "chiefs"]), max_size=3)
DECISIONS = st.builds(
    lambda level, groups, later, ref: replace(
        a_decision(level, approvers=tuple(sorted(groups)), quorum=1, escalate=later), policy=ref
    ),
    st.sampled_from([Level.APPROVE, Level.APPROVE_DUAL]),
    GROUPS,
    st.sampled_from([(), LATER]),
    st.just(TODAY),
)


@settings(deadline=None)  # the first judgement loads what the others find loaded
@given(GROUPS, DECISIONS, DECISIONS, st.sampled_from([NOON + 1, NOON + 59_999]))
def test_promise_09_no_reload_ever_lets_more_people_approve(
    own: set[str], first: Decision, now: Decision, at: int
) -> None:
    now = replace(now, policy=replace(TODAY, sha256="2" * 64))
    action = step(an_action(), Decided(at=NOON, decision=first))[0]

    def approves(present: Decision) -> bool:
        try:
            decides(action, member(*own), present, at=at, message="looked at it")
        except Forbidden:
            return False
        return True

    named = [frozenset(each.approvers) for each in (first, now)]
    assert approves(now) is all(not each or own & each for each in named)
