"""The state machine, as conversations; then as properties over random histories."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.core import events
from interlock.core.actions import Action, Answer, Raised, Review, Reviewer, State, Verdict
from interlock.core.commands import Claim, Forward, Notify, Reply
from interlock.core.decisions import Decision, Escalation, Level, Stake
from interlock.core.entitled import approvers_at
from interlock.core.errors import (
    Forbidden,
    IllegalTransition,
    InvalidEdit,
    Lapsed,
    ReasonNeeded,
    ReviewRefused,
    StaleVersion,
    StepUpNeeded,
    TooSoon,
)
from interlock.core.events import (
    Answered,
    Cancelled,
    Claimed,
    ClearanceFailed,
    DeadlinePassed,
    Decided,
    Escalated,
    Event,
    LeaseLost,
    Lost,
    NotSent,
    PolicyTightened,
    Resolved,
    Reviewed,
)
from interlock.core.lifecycle import (
    APPROVAL_MS,
    FINAL,
    TRANSITIONS,
    step,
    stricter,
)
from tests.support.builders import (
    ANN,
    BOB,
    CAT,
    NOON,
    a_decision,
    a_review,
    an_action,
    edited,
)
from tests.support.script import Script

DUAL = a_decision(Level.APPROVE_DUAL)
DENY = a_decision(Level.DENY, message="Payments are frozen.")
ALLOW = a_decision(Level.ALLOW)
OK = Answer(status=200, body=b"paid", size=4)
CLAIM = Claimed(at=NOON + 2, nonce="w1", lease_ms=1000)


def held(decision: Decision | None = None) -> Action:
    action, _ = step(an_action(), Decided(at=NOON, decision=decision or a_decision()))
    return action


def says(
    action: Action,
    who: Reviewer = ANN,
    verdict: Verdict = Verdict.APPROVE,
    *,
    now: Decision | None = None,
    at: int = NOON + 1,
    **review: object,
) -> Reviewed:
    """*who* answers what they see of *action*, while policy says *now*."""
    return Reviewed(
        at=at, review=a_review(action, who, verdict, **review), decision=now or DECISION
    )


DECISION = a_decision(escalate=(Escalation(after_ms=60_000, to=("leads",)),))


def approved(decision: Decision | None = None) -> Action:
    action = held(decision)
    after, _ = step(action, says(action))
    return after


def forwarding() -> Action:
    return step(approved(), CLAIM)[0]


# conversations -----------------------------------------------------------------------------


def test_an_allowed_call_is_claimed_sent_and_answered() -> None:
    script = Script(an_action())
    assert (
        script
        >> Decided(at=NOON, decision=ALLOW)
        << Claim()
        >> CLAIM
        << Forward()
        >> Answered(at=NOON + 3, answer=OK)
        << Reply()
    )
    assert script.state is State.ANSWERED and script.action.answer == OK


def test_people_are_told_of_a_notify_call_which_does_not_wait_for_them() -> None:
    script = Script(an_action()) >> Decided(at=NOON, decision=a_decision(Level.NOTIFY))

    assert script << Claim() << Notify()
    assert script.state is State.APPROVED


def test_a_denied_call_is_answered_with_the_policys_words() -> None:
    script = Script(an_action())

    assert script >> Decided(at=NOON, decision=DENY) << Reply()
    assert script.state is State.DENIED and script.action.cause == "Payments are frozen."


def test_a_held_call_is_sent_once_approved() -> None:
    script = Script(an_action())
    assert script >> Decided(at=NOON, decision=DECISION) << Notify()
    assert script.action.deadline == NOON + DECISION.hold_ms
    assert (
        script
        >> says(script.action)
        << Claim()
        >> CLAIM
        << Forward()
        >> Answered(at=NOON + 3, answer=OK)
        << Reply()
    )


def test_a_rejected_call_never_reaches_the_tool() -> None:
    script = Script(held())

    assert script >> says(script.action, verdict=Verdict.REJECT, message="no receipt") << Reply()
    assert script.state is State.REJECTED and script.action.cause == "no receipt"
    with pytest.raises(IllegalTransition, match="rejected"):
        script >> CLAIM


def test_a_person_can_answer_in_the_tools_place() -> None:
    script = Script(held())

    assert script >> says(script.action, verdict=Verdict.RESPOND, message="It is 42.") << Reply()
    assert script.state is State.RESPONDED
    assert script.action.answer is not None and script.action.answer.body == b"It is 42."


def test_a_person_can_still_stop_an_approved_call_that_was_not_sent_yet() -> None:
    script = Script(approved())

    assert script >> says(script.action, BOB, Verdict.REJECT) << Reply()
    assert script.state is State.REJECTED


def test_an_approved_call_can_only_be_stopped_not_approved_again() -> None:
    action = approved()

    with pytest.raises(IllegalTransition, match="approved"):
        step(action, says(action, BOB))


def test_two_people_have_to_approve_a_dual_call() -> None:
    script = Script(held(DUAL))

    assert script >> says(script.action, ANN, now=DUAL)
    assert script.state is State.HELD
    assert script >> says(script.action, BOB, now=DUAL) << Claim()
    assert [vote.reviewer for vote in script.action.votes] == [ANN, BOB]


def test_nobody_counts_twice() -> None:
    script = Script(held(DUAL)) >> says(held(DUAL), ANN, now=DUAL)

    with pytest.raises(IllegalTransition, match="already approved"):
        script >> says(script.action, ANN, now=DUAL)


@pytest.mark.parametrize("who", ["bot", "olga"])
@pytest.mark.parametrize("verdict", Verdict)
def test_neither_the_requester_nor_the_agents_owner_decides(who: str, verdict: Verdict) -> None:
    action = held()
    call = edited(action) if verdict is Verdict.EDIT else None

    with pytest.raises(Forbidden, match="somebody else"):
        step(action, says(action, Reviewer(id=who), verdict, call=call))


def test_only_members_of_the_named_groups_decide() -> None:
    action = held(a_decision(approvers=("finance",)))
    insider = Reviewer(id="ann", groups=frozenset({"finance", "hr"}))

    with pytest.raises(Forbidden, match="finance"):
        step(action, says(action))
    assert step(action, says(action, insider))[0].state is State.APPROVED


def test_a_decision_on_other_bytes_than_the_present_ones_is_stale() -> None:
    action = held()

    with pytest.raises(StaleVersion, match="edited since"):
        step(replace(action, digest="f" * 64), says(action))


def test_a_decision_on_an_older_version_is_stale_unless_what_was_looked_at_is_the_same() -> None:
    seen = held(DUAL)
    voted, _ = step(seen, says(seen, ANN, now=DUAL))

    assert step(voted, says(seen, BOB, now=DUAL))[0].state is State.APPROVED
    with pytest.raises(StaleVersion, match="has changed"):
        changed = replace(voted, version=voted.version + 1, same_since=voted.version + 1)
        step(changed, says(seen, BOB, now=DUAL))
    with pytest.raises(StaleVersion, match="has changed"):
        step(voted, says(replace(seen, version=voted.version + 1), BOB, now=DUAL))


# escalating --------------------------------------------------------------------------------

STEPS = (
    Escalation(after_ms=60_000, to=("leads",)),
    Escalation(after_ms=90_000, to=("board",)),
)
OPS = a_decision(approvers=("ops",), escalate=STEPS)
LEAD, DIRECTOR = (
    Reviewer(id="lea", groups=frozenset({"leads"})),
    Reviewer(id="dan", groups=frozenset({"board"})),
)


def escalated(action: Action, at: int = NOON + 5, by: str = "ann") -> Action:
    script = Script(action) >> Escalated(at=at, by=by, message="on call") << Notify()
    assert script
    return script.action


def test_escalating_lets_the_next_ones_of_policy_decide_now_and_nobody_else() -> None:
    action = held(OPS)
    with pytest.raises(Forbidden):
        step(action, says(action, LEAD, now=OPS, at=NOON + 5))

    raised = escalated(action)

    assert raised.state is State.HELD and raised.deadline == action.deadline
    assert raised.raised == (Raised(by="ann", message="on call", at=NOON + 5),)
    assert step(raised, says(raised, LEAD, now=OPS, at=NOON + 5))[0].state is State.APPROVED
    with pytest.raises(Forbidden):
        step(raised, says(raised, DIRECTOR, now=OPS, at=NOON + 5))


def test_escalating_twice_goes_one_step_further_and_then_there_is_nobody_left() -> None:
    twice = escalated(escalated(held(OPS)), at=NOON + 6, by="lea")

    assert [each.after_ms for each in twice.decision.escalate] == [5, 6]  # type: ignore[union-attr]
    assert step(twice, says(twice, DIRECTOR, now=OPS, at=NOON + 6))[0].state is State.APPROVED
    with pytest.raises(IllegalTransition, match="nobody else"):
        step(twice, Escalated(at=NOON + 7, by="ann"))


def test_escalating_voids_no_vote_and_no_look() -> None:
    dual = a_decision(Level.APPROVE_DUAL, escalate=STEPS)
    seen = held(dual)
    voted, _ = step(seen, says(seen, ANN, now=dual))

    raised = escalated(escalated(voted))

    assert raised.votes == voted.votes
    assert step(raised, says(seen, BOB, now=dual))[0].state is State.APPROVED


@pytest.mark.parametrize("who", ["bot", "olga"])
def test_neither_the_requester_nor_its_owner_chooses_who_decides(who: str) -> None:
    with pytest.raises(Forbidden, match="requester"):
        step(held(OPS), Escalated(at=NOON + 5, by=who))


def test_what_has_lapsed_is_not_escalated() -> None:
    action = held(OPS)

    with pytest.raises(Lapsed):
        step(action, Escalated(at=action.deadline, by="ann"))


@given(
    st.lists(st.integers(1, 100), max_size=5),
    st.lists(st.integers(0, 30), max_size=6),
)
def test_escalating_only_ever_lets_policys_next_ones_decide_early(
    afters: list[int], gaps: list[int]
) -> None:
    steps = tuple(Escalation(after_ms=ms, to=(f"g{i}",)) for i, ms in enumerate(afters))
    action, at = held(a_decision(approvers=("ops",), escalate=steps)), NOON
    for gap in gaps:
        at += gap
        before = approvers_at(action.decision, NOON, at)  # type: ignore[arg-type]
        left = [each for each in action.decision.escalate if NOON + each.after_ms > at]  # type: ignore[union-attr]
        try:
            after, _ = step(action, Escalated(at=at, by="ann"))
        except IllegalTransition:
            assert not left
            continue
        now = approvers_at(after.decision, NOON, at)  # type: ignore[arg-type]
        first = min(left, key=lambda each: each.after_ms)
        assert set(now) == {*before, *first.to}
        assert after.deadline == action.deadline
        action = after


# looks and signatures ----------------------------------------------------------------------

SLOW = a_decision(dwell_ms=10_000)
SIGNED = a_decision(step_up=True)
CLEARS = pytest.mark.parametrize("verdict", [Verdict.APPROVE, Verdict.EDIT])


@CLEARS
@pytest.mark.parametrize(("then", "now"), [(SLOW, DECISION), (DECISION, SLOW)])
def test_who_has_not_looked_for_long_enough_clears_nothing(
    verdict: Verdict, then: Decision, now: Decision
) -> None:
    action = held(then)

    with pytest.raises(TooSoon, match=": 7 s more"):
        step(action, says(action, verdict=verdict, now=now, looked_ms=3001, call=edited(action)))
    event = says(action, verdict=verdict, now=now, looked_ms=10_000, call=edited(action))
    assert step(action, event)[0].state is State.APPROVED


@CLEARS
@pytest.mark.parametrize(("then", "now"), [(SIGNED, DECISION), (DECISION, SIGNED)])
def test_who_has_not_signed_the_decision_clears_nothing(
    verdict: Verdict, then: Decision, now: Decision
) -> None:
    action = held(then)

    with pytest.raises(StepUpNeeded, match="security key"):
        step(action, says(action, verdict=verdict, now=now, call=edited(action)))
    event = says(action, verdict=verdict, now=now, step_up="key-1", call=edited(action))
    assert step(action, event)[0].state is State.APPROVED


@pytest.mark.parametrize("verdict", [Verdict.REJECT, Verdict.RESPOND])
def test_to_refuse_nobody_has_to_look_or_to_sign(verdict: Verdict) -> None:
    action = held(a_decision(dwell_ms=10_000, step_up=True))

    assert step(action, says(action, verdict=verdict))[0].state in FINAL


@given(st.integers(0, 99), st.integers(0, 99), st.lists(st.booleans(), min_size=6, max_size=6))
def test_joining_two_decisions_asks_for_the_longer_look_and_every_signature(
    one: int, other: int, said: list[bool]
) -> None:
    names = ("step_up", "folded", "batch")
    first = a_decision(dwell_ms=one, **dict(zip(names, said[:3], strict=True)))
    second = a_decision(dwell_ms=other, **dict(zip(names, said[3:], strict=True)))

    joined = stricter(first, second)

    assert joined.dwell_ms == max(one, other)
    assert joined.step_up == (first.step_up or second.step_up)
    assert joined.folded == (first.folded or second.folded)
    assert joined.batch == (first.batch and second.batch)


# practice calls ----------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize("decision", [DECISION, DUAL])
def test_every_verdict_ends_a_practice_call_and_clears_nothing(
    verdict: Verdict, decision: Decision
) -> None:
    script = Script(replace(held(decision), decoy_of="a0"))

    assert script >> says(script.action, verdict=verdict, now=decision)
    after = script.action
    assert after.state is State.CANCELLED and not after.votes and after.answer is None
    assert after.cause == f"A practice call; ann said {verdict.value}."
    assert [review.reviewer.id for review in after.reviews] == ["ann"]


def test_a_practice_call_is_held_to_the_same_rules_and_expires_like_any() -> None:
    decoy = replace(held(a_decision(dwell_ms=10_000)), decoy_of="a0")

    with pytest.raises(TooSoon):
        step(decoy, says(decoy))
    for who in ("bot", "olga"):
        with pytest.raises(Forbidden):
            step(decoy, says(decoy, Reviewer(id=who), looked_ms=10_000))
    assert step(decoy, DeadlinePassed(at=decoy.deadline))[0].state is State.EXPIRED


def test_a_refusal_needs_a_reason() -> None:
    action = held()

    for verdict in (Verdict.REJECT, Verdict.RESPOND):
        with pytest.raises(ReasonNeeded, match="reason is required"):
            step(action, says(action, verdict=verdict, message=" "))


def test_a_dual_approval_needs_a_reason_where_policy_says_so() -> None:
    strict = a_decision(Level.APPROVE_DUAL, require_reason=frozenset({"reject", "approve_dual"}))
    action = held(strict)

    with pytest.raises(ReasonNeeded, match="reason is required"):
        step(action, says(action, now=strict))
    assert step(action, says(action, now=strict, message="checked"))[0].votes


def test_an_edit_is_a_vote_and_needs_its_reason() -> None:
    strict = a_decision(Level.APPROVE_DUAL, require_reason=frozenset({"approve_dual"}))
    action = held(strict)
    call, verdict = edited(action), Verdict.EDIT

    with pytest.raises(ReasonNeeded, match="reason is required to edit"):
        step(action, says(action, verdict=verdict, now=strict, call=call, message=""))
    told = says(action, verdict=verdict, now=strict, call=call, message="too much")
    assert step(action, told)[0].votes


def test_an_edit_replaces_the_call_keeps_the_original_and_voids_votes() -> None:
    seen = held(DUAL)
    voted, _ = step(seen, says(seen, ANN, now=DUAL))
    call = edited(voted)

    after, commands = step(voted, says(voted, BOB, Verdict.EDIT, now=DUAL, call=call))

    assert after.state is State.HELD and commands == ()
    assert after.call == call and after.original == seen.call and after.digest == call.digest
    assert [(vote.reviewer, vote.digest) for vote in after.votes] == [(BOB, call.digest)]


def test_an_edit_by_the_only_approver_needed_clears_the_edited_call() -> None:
    action = held()
    after, commands = step(action, says(action, verdict=Verdict.EDIT, call=edited(action)))

    assert after.state is State.APPROVED and commands == (Claim(),)


def test_a_second_edit_keeps_what_the_agent_asked_for_first() -> None:
    action = held(DUAL)
    once, _ = step(action, says(action, ANN, Verdict.EDIT, now=DUAL, call=edited(action)))
    again = edited(once, b'{"amount": 9}')
    twice, _ = step(once, says(once, BOB, Verdict.EDIT, now=DUAL, call=again))

    assert twice.original == action.call and twice.call == again


@pytest.mark.parametrize(
    ("call", "now", "why"),
    [
        ("none", DECISION, "carries no call"),
        ("same", DECISION, "changes nothing"),
        ("other", DUAL, "asks for approve_dual"),
        ("other", DENY, "asks for deny"),
    ],
)
def test_an_edit_that_cannot_be_taken_says_why(call: str, now: Decision, why: str) -> None:
    action = held()
    calls = {"none": None, "same": action.call, "other": edited(action)}

    with pytest.raises(InvalidEdit, match=why):
        step(action, says(action, verdict=Verdict.EDIT, now=now, call=calls[call]))


ESCALATING = a_decision(
    approvers=("ops",),
    escalate=(
        Escalation(after_ms=1000, to=("leads",)),
        Escalation(after_ms=5000, to=("cfo", "ops")),
    ),
)
LEA = Reviewer(id="lea", groups=frozenset({"leads"}))


def test_more_people_may_decide_the_longer_a_call_is_held() -> None:
    def groups(after: int) -> tuple[str, ...]:
        return approvers_at(ESCALATING, NOON, NOON + after)

    assert groups(999) == ("ops",)
    assert groups(1000) == groups(4999) == ("ops", "leads")
    assert groups(5000) == ("ops", "leads", "cfo")


def test_an_escalation_counts_from_its_moment_and_by_time_alone() -> None:
    """Fault caught: letting the group of a later escalation decide at once, or never."""
    action = held(ESCALATING)

    with pytest.raises(Forbidden, match="Only members of ops may"):
        step(action, says(action, LEA, now=ESCALATING, at=NOON + 999))
    after, _ = step(action, says(action, LEA, now=ESCALATING, at=NOON + 1000))
    assert after.state is State.APPROVED


def test_where_anybody_may_decide_an_escalation_narrows_nothing() -> None:
    open_ = a_decision(escalate=ESCALATING.escalate)

    assert approvers_at(open_, NOON, NOON + 10_000) == ()


def test_no_later_policy_widens_who_may_decide_on_a_held_call() -> None:
    """Fault caught: taking the escalations of a policy that was loaded after the hold."""
    wide = a_decision(
        Level.APPROVE_DUAL, approvers=("all",), escalate=(Escalation(after_ms=0, to=("all",)),)
    )

    merged = stricter(ESCALATING, wide)

    assert (merged.level, merged.quorum) == (Level.APPROVE_DUAL, 2)
    assert (merged.approvers, merged.escalate) == (("ops",), ESCALATING.escalate)
    assert stricter(a_decision(), ESCALATING).escalate == ESCALATING.escalate


def test_the_shorter_reminder_counts_and_what_either_hides_stays_hidden() -> None:
    one = a_decision(remind_ms=9, redacted=("to",))
    other = a_decision(remind_ms=5, redacted=("memo", "to"))

    assert stricter(one, other).remind_ms == stricter(other, one).remind_ms == 5
    assert stricter(one, a_decision()).remind_ms == 9
    assert set(stricter(one, other).redacted) == {"to", "memo"}


def test_an_edited_call_shows_the_target_that_it_has_now() -> None:
    action = held(a_decision(target={"to": "bob"}))
    now = a_decision(target={"to": "eve"})

    after, _ = step(action, says(action, verdict=Verdict.EDIT, now=now, call=edited(action)))

    assert after.decision is not None and after.decision.target == {"to": "eve"}


def test_an_edited_call_shows_why_it_waits_now_under_the_oversight_it_was_held_for() -> None:
    """Fault caught: the second approver reads the stake and the steps of the call as it was."""
    action = held(
        a_decision(level=Level.APPROVE_DUAL, quorum=2, stake=Stake.HIGH, trace=("amount 400",))
    )
    now = a_decision(stake=Stake.LOW, facet="amount", trace=("amount 60",))

    after, _ = step(action, says(action, verdict=Verdict.EDIT, now=now, call=edited(action)))

    shown = after.decision
    assert shown is not None
    assert (shown.level, shown.quorum) == (Level.APPROVE_DUAL, 2)
    assert (shown.stake, shown.facet) == (Stake.LOW, "amount")
    assert shown.trace == ("amount 60", "before the edit: approve_dual, at high stake")


def test_policy_beats_an_approval() -> None:
    script = Script(held())

    assert script >> says(script.action, now=DENY) << Reply()
    assert script.state is State.DENIED and script.action.votes == ()


def test_policy_that_asks_for_two_now_gets_two() -> None:
    script = Script(held())

    assert script >> says(script.action, ANN, now=DUAL)
    assert script.state is State.HELD
    assert script >> says(script.action, BOB) << Claim()


def test_policy_that_became_stricter_stops_an_approved_call() -> None:
    script = Script(approved())

    assert script >> PolicyTightened(at=NOON + 2, decision=DENY) << Reply()
    assert script.state is State.DENIED


def test_a_call_that_is_not_what_was_approved_is_denied() -> None:
    script = Script(approved())

    assert script >> ClearanceFailed(at=NOON + 2, cause="forged") << Reply()
    assert script.state is State.DENIED and script.action.cause == "forged"


@pytest.mark.parametrize("make", [held, approved])
def test_the_deadline_ends_what_was_not_sent(make: Callable[[], Action]) -> None:
    script = Script(make())

    assert script >> DeadlinePassed(at=script.action.deadline) << Reply()
    assert script.state is State.EXPIRED


@pytest.mark.parametrize("make", [held, approved])
def test_before_the_deadline_nothing_expires(make: Callable[[], Action]) -> None:
    action = make()

    with pytest.raises(IllegalTransition, match="not passed"):
        step(action, DeadlinePassed(at=action.deadline - 1))


@pytest.mark.parametrize("verdict", Verdict)
def test_a_review_at_the_deadline_is_too_late_though_nobody_swept(verdict: Verdict) -> None:
    action = held()

    with pytest.raises(Lapsed):
        step(action, says(action, verdict=verdict, at=action.deadline, call=edited(action)))


def test_an_approval_lapses_at_its_own_deadline() -> None:
    action = approved()

    assert action.deadline == action.lapses == NOON + 1 + APPROVAL_MS
    with pytest.raises(Lapsed):
        step(action, Claimed(at=action.deadline, nonce="w1", lease_ms=1))


@pytest.mark.parametrize("make", [held, approved])
def test_the_caller_can_take_back_what_was_not_sent(make: Callable[[], Action]) -> None:
    script = Script(make())

    assert script >> Cancelled(at=NOON + 2, by="bot") << Reply()
    assert script.state is State.CANCELLED and script.action.cause == "Cancelled by bot."


def test_a_send_under_way_cannot_be_taken_back() -> None:
    with pytest.raises(IllegalTransition, match="forwarding"):
        step(forwarding(), Cancelled(at=NOON + 3, by="bot"))


def test_what_was_provably_not_sent_may_be_tried_again_until_the_approval_lapses() -> None:
    script = Script(forwarding())

    assert script >> NotSent(at=NOON + 500, cause="refused") << Reply()
    assert script.state is State.APPROVED and script.action.nonce == ""
    assert script.action.deadline == approved().lapses, "a failed attempt prolongs nothing"
    assert script >> Claimed(at=NOON + 600, nonce="w2", lease_ms=9) << Forward()
    assert script.action.fence == 2


@pytest.mark.parametrize("event", [Lost(at=NOON + 3, cause="cut"), LeaseLost(at=NOON + 3)])
def test_a_send_without_an_answer_is_unknown_and_never_sent_again(event: Event) -> None:
    script = Script(forwarding())

    assert script >> event << Reply()
    assert script.state is State.UNKNOWN
    with pytest.raises(IllegalTransition):
        script >> replace(CLAIM, nonce="w2")


def test_a_late_answer_settles_an_unknown_outcome() -> None:
    script = Script(forwarding()) >> LeaseLost(at=NOON + 3) << Reply()

    assert script >> Answered(at=NOON + 4, answer=OK) << Reply()
    assert script.state is State.ANSWERED


@pytest.mark.parametrize(("happened", "words"), [(True, "took effect"), (False, "did not take")])
def test_a_person_settles_an_unknown_outcome(happened: bool, words: str) -> None:
    script = Script(forwarding()) >> Lost(at=NOON + 3, cause="cut") << Reply()

    told = Resolved(at=NOON + 9, by="ann", happened=happened, message="asked the bank")
    assert script >> told << Reply()
    assert script.state is State.RESOLVED and words in script.action.cause


def test_a_call_that_was_never_decided_cannot_be_reviewed() -> None:
    odd = replace(an_action(), state=State.HELD, deadline=NOON + 99)

    with pytest.raises(IllegalTransition, match="never decided"):
        step(odd, says(odd))


@pytest.mark.parametrize(("first", "second"), list(product(Level, Level)))
def test_joining_two_decisions_never_shrinks_the_oversight(first: Level, second: Level) -> None:
    one, other = a_decision(first, approvers=("a",)), a_decision(second, approvers=("b",))

    joined = stricter(one, other)

    assert joined.level is max(first, second)
    assert joined.quorum >= one.quorum and joined.approvers == ("a",)


# the table ---------------------------------------------------------------------------------

EVENTS: dict[type[Event], Callable[[Action], Event]] = {
    Decided: lambda a: Decided(at=NOON, decision=DECISION),
    Reviewed: lambda a: says(a, verdict=Verdict.REJECT),
    Escalated: lambda a: Escalated(at=NOON, by="ann"),
    PolicyTightened: lambda a: PolicyTightened(at=NOON, decision=DENY),
    ClearanceFailed: lambda a: ClearanceFailed(at=NOON, cause="x"),
    DeadlinePassed: lambda a: DeadlinePassed(at=a.deadline),
    Cancelled: lambda a: Cancelled(at=NOON, by="bot"),
    Claimed: lambda a: CLAIM,
    Answered: lambda a: Answered(at=NOON, answer=OK),
    NotSent: lambda a: NotSent(at=NOON, cause="x"),
    Lost: lambda a: Lost(at=NOON, cause="x"),
    LeaseLost: lambda a: LeaseLost(at=NOON),
    Resolved: lambda a: Resolved(at=NOON, by="ann", happened=True, message="x"),
}


def test_every_event_is_tried_below() -> None:
    known = {kind for kind in vars(events).values() if isinstance(kind, type)}
    assert set(EVENTS) == {kind for _, kind in TRANSITIONS}
    assert set(EVENTS) == {kind for kind in known if issubclass(kind, Event)} - {Event}


@pytest.mark.parametrize(("state", "kind"), list(product(State, EVENTS)))
def test_a_state_takes_the_events_of_the_table_and_no_other(
    state: State, kind: type[Event]
) -> None:
    action = replace(
        an_action(), state=state, decision=DECISION, created=NOON, deadline=NOON + 50_000
    )
    event = EVENTS[kind](action)

    if (state, kind) in TRANSITIONS:
        after, _ = step(action, event)
        assert after.state in TRANSITIONS[state, kind]
    else:
        with pytest.raises(IllegalTransition, match=state.value):
            step(action, event)


def test_every_state_is_reachable_and_the_final_ones_are_the_settled_ones() -> None:
    assert {State.PROPOSED}.union(*TRANSITIONS.values()) == set(State)
    assert FINAL == {
        State.DENIED,
        State.REJECTED,
        State.RESPONDED,
        State.EXPIRED,
        State.CANCELLED,
        State.ANSWERED,
        State.RESOLVED,
    }


# random histories --------------------------------------------------------------------------

PEOPLE = (ANN, BOB, CAT, Reviewer(id="bot"), Reviewer(id="olga"))
LEVELS = (
    *(a_decision(level, escalate=STEPS) for level in Level),
    a_decision(dwell_ms=1000, step_up=True),
)
REFUSED = FINAL - {State.ANSWERED, State.RESOLVED}
CLEARED = set(State) - REFUSED - {State.PROPOSED, State.HELD}


@dataclass(frozen=True)
class Move:
    """One thing that may happen next; `stale` reviews name what was seen one version earlier."""

    kind: type[Event]
    later: int
    who: Reviewer
    verdict: Verdict
    now: Decision
    stale: bool
    body: bytes
    looked: int
    signed: bool


MOVES = st.builds(
    Move,
    kind=st.sampled_from([*EVENTS, *[Reviewed] * 6, *[Claimed] * 2, NotSent]),
    later=st.sampled_from([0, 1, 1, 1, 70_000, APPROVAL_MS]),
    who=st.sampled_from(PEOPLE),
    verdict=st.sampled_from([*Verdict, Verdict.APPROVE, Verdict.APPROVE, Verdict.EDIT]),
    now=st.sampled_from(LEVELS),
    stale=st.sampled_from([False, False, False, True]),
    body=st.sampled_from([b'{"amount": 1}', b'{"amount": 2}']),
    looked=st.sampled_from([0, 500, 1000]),
    signed=st.booleans(),
)


def event_of(move: Move, action: Action, seen: Action, at: int) -> Event:
    if move.kind is Reviewed:
        looked_at = seen if move.stale else action
        call = edited(action, move.body) if move.verdict is Verdict.EDIT else None
        look = {"looked_ms": move.looked, "step_up": "key-1" if move.signed else ""}
        return says(looked_at, move.who, move.verdict, now=move.now, at=at, call=call, **look)
    if move.kind is Decided:
        return Decided(at=at, decision=move.now)
    return replace(EVENTS[move.kind](action), at=at)


class Watched:
    """What must hold after every step, whatever happened before."""

    def __init__(self, decoy: str = "") -> None:
        self.decoy = decoy
        self.sends = self.not_sent = 0
        self.refused = False

    def check(self, before: Action, event: Event, after: Action, commands: tuple) -> None:  # type: ignore[type-arg]
        self.refused |= after.state in REFUSED
        self.not_sent += isinstance(event, NotSent)
        self.sends += commands.count(Forward())
        assert self.sends - self.not_sent <= 1, "two sends in effect"
        assert not (self.refused and Forward() in commands), "sent after a refusal"
        assert before.state not in FINAL, "a final state moved"
        assert after.version == before.version + 1
        assert not (self.decoy and after.state in CLEARED), "a practice call was cleared"
        if isinstance(event, Escalated):
            assert (after.votes, after.deadline) == (before.votes, before.deadline)
        self.check_votes(before, event, after)
        self.check_duties(event, after)

    def check_duties(self, event: Event, after: Action) -> None:
        said = event.review if isinstance(event, Reviewed) else None
        cleared = after.state is not State.CANCELLED and after.state not in REFUSED
        if said and after.decision and cleared and said.verdict in (Verdict.APPROVE, Verdict.EDIT):
            assert said.looked_ms >= after.decision.dwell_ms, "cleared without a look"
            assert said.step_up or not after.decision.step_up, "cleared unsigned"

    def check_votes(self, before: Action, event: Event, after: Action) -> None:
        names = [vote.reviewer.id for vote in after.votes]
        assert len(set(names)) == len(names), "somebody counted twice"
        assert not {"bot", "olga"} & set(names), "the requester or its owner counted"
        assert {vote.digest for vote in after.votes} <= {after.digest}, "a vote for other bytes"
        if isinstance(event, Reviewed) and event.review.verdict is Verdict.EDIT:
            if after.state in (State.HELD, State.APPROVED):
                assert len(after.votes) == 1, "votes survived an edit"
        if after.state is State.APPROVED and after.decision is not None:
            needed = after.decision.quorum if after.decision.level >= Level.APPROVE else 0
            assert len(names) >= needed, "approved below the quorum"


@settings(max_examples=400)
@given(st.sampled_from(LEVELS), st.lists(MOVES, max_size=25), st.sampled_from(["", "", "a0"]))
def test_no_history_sends_twice_or_without_clearance(
    first: Decision, moves: list[Move], decoy: str
) -> None:
    decoy = decoy if first.level in (Level.APPROVE, Level.APPROVE_DUAL) else ""
    at, watched, new = NOON, Watched(decoy), replace(an_action(), decoy_of=decoy)
    seen, (action, _) = new, step(new, Decided(at=NOON, decision=first))
    for move in moves:
        at += move.later
        event = event_of(move, action, seen, at)
        try:
            after, commands = step(action, event)
        except ReviewRefused:
            continue
        watched.check(action, event, after, commands)
        seen, action = action, after


def test_reviews_are_kept_in_order_for_the_record() -> None:
    action = held(DUAL)
    first, _ = step(action, says(action, ANN, now=DUAL))
    last, _ = step(first, says(first, BOB, Verdict.REJECT, now=DUAL))

    def brief(review: Review) -> tuple[str, Verdict]:
        return review.reviewer.id, review.verdict

    assert [brief(r) for r in last.reviews] == [
        ("ann", Verdict.APPROVE),
        ("bob", Verdict.REJECT),
    ]
