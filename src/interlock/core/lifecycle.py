"""The state machine.

Rule 1: everything that moves an action from one state to another lives here.
Rule 2: this file does no I/O and reads no clock; time arrives as `event.at`.
Rule 3: `store/scripts/put.lua` guards the same transitions again, inside the store, against
        writers that read stale data or are wrong; a test compares the tables.
Rule 4: the diagram in docs/architecture.md is drawn from TRANSITIONS; a test compares.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from .actions import Action, Answer, Raised, Review, State, Verdict, evolve
from .commands import Claim, Command, Forward, Notify, Reply
from .decisions import Decision, Level
from .duties import check_duties, check_entitled
from .entitled import approvers_at as approvers_at
from .entitled import brought_forward
from .errors import Forbidden, IllegalTransition, InvalidEdit, Lapsed, StaleVersion
from .events import (
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
from .voices import heard, voices_of

S = State
Step: TypeAlias = tuple[Action, tuple[Command, ...]]

TRANSITIONS: Mapping[tuple[State, type[Event]], frozenset[State]] = {
    (S.PROPOSED, Decided): frozenset({S.DENIED, S.HELD, S.APPROVED}),
    (S.HELD, Reviewed): frozenset(
        {S.HELD, S.APPROVED, S.REJECTED, S.RESPONDED, S.DENIED, S.CANCELLED}
    ),
    (S.HELD, Escalated): frozenset({S.HELD}),
    (S.HELD, DeadlinePassed): frozenset({S.EXPIRED}),
    (S.HELD, Cancelled): frozenset({S.CANCELLED}),
    (S.APPROVED, Claimed): frozenset({S.FORWARDING}),
    (S.APPROVED, Reviewed): frozenset({S.REJECTED}),
    (S.APPROVED, PolicyTightened): frozenset({S.DENIED}),
    (S.APPROVED, ClearanceFailed): frozenset({S.DENIED}),
    (S.APPROVED, DeadlinePassed): frozenset({S.EXPIRED}),
    (S.APPROVED, Cancelled): frozenset({S.CANCELLED}),
    (S.FORWARDING, Answered): frozenset({S.ANSWERED}),
    (S.FORWARDING, NotSent): frozenset({S.APPROVED}),
    (S.FORWARDING, Lost): frozenset({S.UNKNOWN}),
    (S.FORWARDING, LeaseLost): frozenset({S.UNKNOWN}),
    (S.UNKNOWN, Answered): frozenset({S.ANSWERED}),
    (S.UNKNOWN, Resolved): frozenset({S.RESOLVED}),
}

FINAL = frozenset(State) - {state for state, _ in TRANSITIONS}
"""States that nothing leaves. UNKNOWN is not one: a late answer or a person may settle it."""

SETTLING = frozenset({S.ANSWERED, S.RESOLVED})
"""States that an unknown outcome may come to: by a late answer, or by a person."""

APPROVAL_MS = 300_000  #: how long an approval may wait for its send before it lapses


def step(action: Action, event: Event) -> Step:
    """Return *action* after *event*, and what the world must do now.

    Raises:
        IllegalTransition: this state does not allow it.
        Lapsed, StaleVersion, Forbidden, InvalidEdit, TooSoon, StepUpNeeded: a review that may
        not count.
    """
    allowed = TRANSITIONS.get((action.state, type(event)))
    if allowed is None:
        raise IllegalTransition(f"The call is {action.state.value}; it cannot be changed any more.")
    after, commands = _HANDLERS[type(event)](action, event)
    if after.state not in allowed:
        raise IllegalTransition(f"{action.state.value} cannot become {after.state.value}")
    return after, commands


def _move(action: Action, event: Event, state: State, **changes: Any) -> Action:
    version = action.version + 1
    changes.setdefault("same_since", version)
    return evolve(action, state=state, version=version, changed=event.at, **changes)


def _clear(action: Action, event: Event, **changes: Any) -> Action:
    lapses = event.at + APPROVAL_MS
    return _move(action, event, S.APPROVED, deadline=lapses, lapses=lapses, **changes)


def _decided(action: Action, event: Decided) -> Step:
    decision = event.decision
    known = {"decision": decision, "created": event.at, "digest": action.call.digest}
    if decision.level is Level.DENY:
        cause = decision.message or decision.reason
        return _move(action, event, S.DENIED, cause=cause, deadline=0, **known), (Reply(),)
    if decision.level >= Level.APPROVE:
        deadline = event.at + decision.hold_ms
        return _move(action, event, S.HELD, deadline=deadline, **known), (Notify(),)
    tell: tuple[Command, ...] = (Notify(),) if decision.level is Level.NOTIFY else ()
    return _clear(action, event, **known), (Claim(), *tell)


def _reviewed(action: Action, event: Reviewed) -> Step:
    review = event.review
    _may_review(action, event)
    seen = (*action.reviews, review)
    if action.decoy_of:
        return _practised(replace(action, reviews=seen), event)
    match review.verdict:
        case Verdict.REJECT:
            after = _move(action, event, S.REJECTED, reviews=seen, cause=review.message, deadline=0)
            return after, (Reply(),)
        case Verdict.RESPOND:
            answer = _spoken(review)
            after = _move(action, event, S.RESPONDED, reviews=seen, answer=answer, deadline=0)
            return after, (Reply(),)
        case Verdict.APPROVE:
            return _approved(replace(action, reviews=seen), event)
        case Verdict.EDIT:
            return _edited(replace(action, reviews=seen), event)


def _may_review(action: Action, event: Reviewed) -> None:
    review, who = event.review, event.review.reviewer
    decision = _held_under(action)
    if action.state is not S.HELD and review.verdict is not Verdict.REJECT:
        raise IllegalTransition(f"The call is {action.state.value}; it cannot be changed any more.")
    if event.at >= action.deadline:
        raise Lapsed("The deadline has passed; the call will not be sent.")
    if who.id in (action.call.agent.id, action.call.agent.owner):
        raise Forbidden("You own this agent or are the requester; somebody else has to decide.")
    check_entitled(action, event)
    if review.digest != action.digest:
        raise StaleVersion("The call was edited since you looked at it; look again, then decide.")
    if not action.same_since <= review.version <= action.version:
        raise StaleVersion("The call has changed since you looked at it; look again, then decide.")
    check_duties(decision, event)


def _held_under(action: Action) -> Decision:
    if action.decision is None:
        raise IllegalTransition("The call was never decided by policy.")
    return action.decision


def stricter(held: Decision, now: Decision) -> Decision:
    """Return the decision with more oversight; neither quorum nor approvers ever shrink.

    Escalations belong to the approvers that they add to, so later policy widens them as little.
    What either hides stays hidden, the shorter of two reminders counts, and so does the longer
    look; a reason is needed where either asks for it; what only one of them lets people do in a
    batch is not done in one.
    """
    chosen = now if now.level > held.level else held
    approving = held if held.approvers or now.level < Level.APPROVE else now
    reminders = [each.remind_ms for each in (held, now) if each.remind_ms > 0]
    return replace(
        chosen,
        quorum=max(held.quorum, now.quorum if now.level >= Level.APPROVE else 1),
        approvers=approving.approvers,
        escalate=approving.escalate,
        remind_ms=min(reminders, default=0),
        redacted=tuple(dict.fromkeys((*held.redacted, *now.redacted))),
        dwell_ms=max(held.dwell_ms, now.dwell_ms),
        step_up=held.step_up or now.step_up,
        folded=held.folded or now.folded,
        batch=held.batch and now.batch,
        require_reason=held.require_reason | now.require_reason,
    )


def _approved(action: Action, event: Reviewed) -> Step:
    review, held = event.review, _held_under(action)
    if event.decision.level is Level.DENY:  # no person may clear what policy denies
        cause = event.decision.message or "Policy denies this call now."
        return _move(action, event, S.DENIED, cause=cause, deadline=0), (Reply(),)
    _check_heard(action, review)
    decision = stricter(held, event.decision)
    votes = (*action.votes, review)
    if len(votes) < decision.quorum:
        same = action.same_since  # a colleague's vote does not change what was looked at
        return _move(action, event, S.HELD, votes=votes, decision=decision, same_since=same), ()
    same = action.same_since
    return _clear(action, event, votes=votes, decision=decision, same_since=same), (Claim(),)


def _check_heard(action: Action, review: Review) -> None:
    """Let nobody have a part in two votes: an absent person and who stands in are one voice."""
    if any(vote.reviewer.id == review.reviewer.id for vote in action.votes):
        raise IllegalTransition("You have already approved this call; another person must.")
    twice = voices_of(review) & heard(action.votes)
    if twice:
        raise IllegalTransition(
            f"Who approved this call already speaks for {', '.join(sorted(twice))}, and so would"
            " you: another person must approve it too."
        )


def _practised(action: Action, event: Reviewed) -> Step:
    """End a practice call, whatever was said of it: nothing of it is ever cleared."""
    review = event.review
    cause = f"A practice call; {review.reviewer.id} said {review.verdict.value}."
    return _move(action, event, S.CANCELLED, cause=cause, deadline=0), ()


def _escalated(action: Action, event: Escalated) -> Step:
    """Let the first of policy's later deciders decide from now on: nobody else is added."""
    decision = _held_under(action)
    if event.at >= action.deadline:
        raise Lapsed("The deadline has passed; the call will not be sent.")
    if event.by in (action.call.agent.id, action.call.agent.owner):
        raise Forbidden("You own this agent or are the requester; somebody else has to ask.")
    steps = brought_forward(decision.escalate, event.at - action.created)
    if not steps:
        raise IllegalTransition("Policy names nobody else who could decide this call.")
    raised = Raised(by=event.by, message=event.message, at=event.at)
    after = _move(
        action,
        event,
        S.HELD,
        decision=replace(decision, escalate=steps),
        raised=(*action.raised, raised),
        same_since=action.same_since,
    )
    return after, (Notify(),)


def _edited(action: Action, event: Reviewed) -> Step:
    review, held = event.review, _held_under(action)
    if review.call is None or not review.call.digest:
        raise InvalidEdit("The edit carries no call.")
    if review.call.digest == action.digest:
        raise InvalidEdit("The edit changes nothing; approve the call instead.")
    if event.decision.level > held.level:
        raise InvalidEdit(
            f"Policy asks for {event.decision.level.word} of the edited call, more than the"
            f" {held.level.word} that it is held for. Reject it and let the agent ask again."
        )
    decision = _edited_under(held, event.decision)
    action = replace(
        action,
        call=review.call,
        original=action.original or action.call,
        held=action.held or held,
        digest=review.call.digest,
        decision=decision,
    )
    signed = replace(
        review, digest=review.call.digest
    )  # an edit is its editor's vote for the result
    if decision.quorum > 1:
        return _move(action, event, S.HELD, votes=(signed,)), ()
    return _clear(action, event, votes=(signed,)), (Claim(),)


def _edited_under(held: Decision, now: Decision) -> Decision:
    """Return what policy says of the edited call, under the oversight of the held one."""
    kept = stricter(held, now)
    before = f"before the edit: {held.level.word}, at {held.stake.word} stake"
    return replace(
        now,
        level=kept.level,
        quorum=kept.quorum,
        approvers=kept.approvers,
        escalate=kept.escalate,
        remind_ms=kept.remind_ms,
        hold_ms=kept.hold_ms,
        require_reason=kept.require_reason,
        editable=kept.editable,
        orphans=kept.orphans,
        redacted=kept.redacted,
        dwell_ms=kept.dwell_ms,
        step_up=kept.step_up,
        folded=kept.folded,
        batch=kept.batch,
        trace=(*now.trace, before),
    )


def _spoken(review: Review) -> Answer:
    body = review.message.encode()
    headers = (("Content-Type", "text/plain; charset=utf-8"),)
    return Answer(status=200, headers=headers, body=body, size=len(body))


def _denied(action: Action, event: PolicyTightened) -> Step:
    cause = event.decision.message or "Policy became stricter after the approval."
    return _move(action, event, S.DENIED, cause=cause, deadline=0), (Reply(),)


def _clearance_failed(action: Action, event: ClearanceFailed) -> Step:
    return _move(action, event, S.DENIED, cause=event.cause, deadline=0), (Reply(),)


def _expired(action: Action, event: DeadlinePassed) -> Step:
    if event.at < action.deadline:
        raise IllegalTransition("The deadline has not passed yet.")
    return _move(action, event, S.EXPIRED, deadline=0), (Reply(),)


def _cancelled(action: Action, event: Cancelled) -> Step:
    cause = event.cause or f"Cancelled by {event.by}."
    return _move(action, event, S.CANCELLED, cause=cause, deadline=0), (Reply(),)


def _claimed(action: Action, event: Claimed) -> Step:
    if event.at >= action.deadline:
        raise Lapsed("The approval has lapsed; the call will not be sent.")
    after = _move(
        action,
        event,
        S.FORWARDING,
        nonce=event.nonce,
        fence=action.fence + 1,
        deadline=event.at + event.lease_ms,
    )
    return after, (Forward(),)


def _answered(action: Action, event: Answered) -> Step:
    return _move(action, event, S.ANSWERED, answer=event.answer, deadline=0), (Reply(),)


def _not_sent(action: Action, event: NotSent) -> Step:
    # the approval keeps its own end: attempts that fail do not prolong it
    lapses = action.lapses
    after = _move(action, event, S.APPROVED, cause=event.cause, nonce="", deadline=lapses)
    return after, (Reply(),)


def _lost(action: Action, event: Lost) -> Step:
    return _move(action, event, S.UNKNOWN, cause=event.cause, deadline=0), (Reply(),)


def _lease_lost(action: Action, event: LeaseLost) -> Step:
    cause = "The process that sent the call stopped before it could report the answer."
    return _move(action, event, S.UNKNOWN, cause=cause, deadline=0), (Reply(),)


def _resolved(action: Action, event: Resolved) -> Step:
    happened = "It took effect" if event.happened else "It did not take effect"
    cause = f"{happened}, says {event.by}: {event.message}"
    return _move(action, event, S.RESOLVED, cause=cause, deadline=0), (Reply(),)


_HANDLERS: Mapping[type[Event], Callable[[Action, Any], Step]] = {
    Decided: _decided,
    Reviewed: _reviewed,
    Escalated: _escalated,
    PolicyTightened: _denied,
    ClearanceFailed: _clearance_failed,
    DeadlinePassed: _expired,
    Cancelled: _cancelled,
    Claimed: _claimed,
    Answered: _answered,
    NotSent: _not_sent,
    Lost: _lost,
    LeaseLost: _lease_lost,
    Resolved: _resolved,
}
