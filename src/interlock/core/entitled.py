"""Who may decide a held call: those whom policy named when it was held, and names today."""

from __future__ import annotations

from dataclasses import replace

from .actions import Action
from .decisions import Decision, Escalation, Level

_BY_PEOPLE = (Level.APPROVE, Level.APPROVE_DUAL)


def approvers_at(decision: Decision, created: int, at: int) -> tuple[str, ...]:
    """Return the groups that may decide at the time *at* on a call of *created*; none: anybody.

    Times in ms. Escalations add groups as time passes; none is ever taken away.
    """
    if not decision.approvers:
        return ()
    due = [later for later in decision.escalate if created + later.after_ms <= at]
    added = [group for later in due for group in later.to]
    return tuple(dict.fromkeys((*decision.approvers, *added)))


def groups_needed(action: Action, now: Decision | None, at: int) -> tuple[tuple[str, ...], ...]:
    """Return lists of groups: who decides *action* at *at* is in one of each; none: anybody.

    The first list is of the decision that it is held under. The second is of *now*, what policy
    says today, where policy still asks people: nobody whom it does not name any more lets anything
    out. `now` None: what needs no more than the first, such as a rejection.
    """
    held = action.decision
    if held is None:
        return ()
    lists = [approvers_at(held, action.created, at)]
    if now is not None and _counts(held, now):
        steps = now.escalate
        for raised in action.raised:  # people asked for it early: that holds under any policy
            steps = brought_forward(steps, raised.at - action.created) or steps
        lists.append(approvers_at(replace(now, escalate=steps), action.created, at))
    return tuple(dict.fromkeys(each for each in lists if each))


def _counts(held: Decision, now: Decision) -> bool:
    """Whether *now* narrows who decides; not where the same policy asks for less than it did."""
    same = now.policy.sha256 == held.policy.sha256
    return now.level in _BY_PEOPLE and not (same and now.level < held.level)


def brought_forward(steps: tuple[Escalation, ...], past: int) -> tuple[Escalation, ...]:
    """Return *steps* with the first that is not due after *past* ms due then; none left: empty."""
    later = [each for each in steps if each.after_ms > past]
    if not later:
        return ()
    first = min(later, key=lambda each: each.after_ms)
    return tuple(replace(each, after_ms=past) if each is first else each for each in steps)
