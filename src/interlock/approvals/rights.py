"""Who may do what with an action. Pure; the gate decides again, this only spares the attempt."""

from __future__ import annotations

from collections.abc import Iterable

from ..core import voices
from ..core.actions import Action, State
from ..core.decisions import Decision
from ..core.desk import Absence, Suspension
from ..core.entitled import groups_needed
from ..core.identity import Kind, Principal
from ..core.wording import outcome
from ..reviewing import said_of
from .models_item import Rights


def rights(
    action: Action,
    who: Principal,
    now: int,
    hidden: bool = False,
    *,
    absences: Iterable[Absence] = (),
    stopped: Suspension | None = None,
    present: Decision | None = None,
) -> Rights:
    """Return what a visitor may do at *now* (ms, by the store's clock); *hidden*: policy hides
    something of the call. *absences*: in which the visitor stands in; *stopped*: the agent is;
    *present*: what policy says of the call today, where that was asked.
    """
    stands = tuple(absences)
    why = _refused(action, who, now, stands)
    today = why or barred(action, who, now, stands, present)
    decision = action.decision
    editable = decision is not None and decision.editable != () and bool(decision.tool)
    voted = who.id in voices.heard(action.votes)
    sendable = not today and stopped is None
    return Rights(
        approve=sendable and not voted,
        edit=sendable and editable,
        reject=not why,
        respond=not today,
        reveal=hidden and not barred(action, who, now, stands),
        edit_after_reveal=False,
        why=today or (said_of(stopped) if stopped else heard(action, who.id)),
    )


def heard(action: Action, person: str) -> str:
    """Return why *person* does not approve once more; or nothing."""
    if any(vote.reviewer.id == person for vote in action.votes):
        return "You have approved this; another person must too."
    if person in voices.heard(action.votes):
        return "Whoever stood in for you has approved this; another person must too."
    return ""


def _refused(action: Action, who: Principal, now: int, stands: tuple[Absence, ...]) -> str:
    if who.kind.value != "approver":
        return barred(action, who, now)
    if action.state is not State.HELD or action.decision is None:
        return f"Nothing to decide any more ({outcome(action)})."
    if now >= action.deadline:
        return "The time to decide is over; the call will not be sent."
    return barred(action, who, now, stands)


def barred(
    action: Action,
    who: Principal,
    now: int,
    absences: Iterable[Absence] = (),
    present: Decision | None = None,
) -> str:
    """Return why the call is not this person's to decide, in whatever state it is; or nothing.

    *present*: what policy says of it today, where something is let out or said to the agent.
    """
    stands = tuple(absences)
    if who.kind.value != "approver":
        return f"{who.kind.value.capitalize()}s do not decide calls; sign in as an approver."
    why = answerable(action, who, stands)
    if why:
        return why
    groups = who.groups | borrowed(action, who.groups, stands, now, present)
    for needed in groups_needed(action, present, now):
        if not groups & frozenset(needed):
            return f"Only {', '.join(needed)} may decide this."
    return ""


def barred_after(action: Action, who: Principal, now: int, absences: Iterable[Absence] = ()) -> str:
    """Return why this person may not say afterwards that a call was right; or nothing."""
    if who.kind is not Kind.ADMIN:
        return barred(action, who, now, absences)
    return answerable(action, who, absences)


def answerable(action: Action, who: Principal, absences: Iterable[Absence] = ()) -> str:
    """Return why a person is too close to the agent to have a say in its calls; or nothing."""
    if owns(action, who.id):
        return "You own this agent, so somebody else has to decide."
    for each in absences:
        if owns(action, each.person):
            return f"You stand in for {each.person}, who owns this agent: somebody else decides."
    return ""


def owns(action: Action, person: str) -> bool:
    """Say whether *person* is the agent of a call, or answerable for it."""
    return person in (action.call.agent.id, action.call.agent.owner)


def borrowed(
    action: Action,
    own: frozenset[str],
    absences: Iterable[Absence],
    now: int,
    present: Decision | None = None,
) -> frozenset[str]:
    """Return the groups that somebody with their *own* needs to decide *action*, and is lent.

    They are those of one absent person, and the name of that person: `for ann`. Nobody is stood
    in for whose voice counts already, in their own vote or in that of somebody else.
    """
    needed = [frozenset(each) for each in groups_needed(action, present, now)]
    if all(own & each for each in needed):
        return frozenset()
    for absence in absences:
        with_theirs = own | frozenset(absence.groups)
        spoken = absence.person in voices.heard(action.votes)
        if not spoken and all(with_theirs & each for each in needed):
            return frozenset({*absence.groups, voices.standing_in_for(absence.person)})
    return frozenset()
