"""Who may do what with an action. Pure; the gate decides again, this only spares the attempt."""

from __future__ import annotations

from collections.abc import Iterable

from ..core.actions import Action, State
from ..core.desk import Absence, Suspension
from ..core.identity import Principal
from ..core.lifecycle import approvers_at
from ..core.wording import outcome
from ..reviewing import said_of
from . import models


def rights(
    action: Action,
    who: Principal,
    now: int,
    hidden: bool = False,
    *,
    absences: Iterable[Absence] = (),
    stopped: Suspension | None = None,
) -> models.Rights:
    """Return what a visitor may do at *now* (ms, by the store's clock); *hidden*: policy hides
    something of the call. *absences*: in which the visitor stands in; *stopped*: the agent is.
    """
    stands = tuple(absences)
    why = _refused(action, who, now, stands)
    decision = action.decision
    editable = decision is not None and decision.editable != () and bool(decision.tool)
    voted = any(vote.reviewer.id == who.id for vote in action.votes)
    sendable = not why and stopped is None
    return models.Rights(
        approve=sendable and not voted,
        edit=sendable and editable,
        reject=not why,
        respond=not why,
        reveal=hidden and not barred(action, who, now, stands),
        edit_after_reveal=False,
        why=why or (said_of(stopped) if stopped else _voted(voted)),
    )


def _voted(voted: bool) -> str:
    return "You have approved this; another person must too." if voted else ""


def _refused(action: Action, who: Principal, now: int, stands: tuple[Absence, ...]) -> str:
    if who.kind.value != "approver":
        return barred(action, who, now)
    if action.state is not State.HELD or action.decision is None:
        return f"Nothing to decide any more ({outcome(action)})."
    if now >= action.deadline:
        return "The time to decide is over; the call will not be sent."
    return barred(action, who, now, stands)


def barred(action: Action, who: Principal, now: int, absences: Iterable[Absence] = ()) -> str:
    """Return why the call is not this person's to decide, in whatever state it is; or nothing."""
    decision, stands = action.decision, tuple(absences)
    if who.kind.value != "approver":
        return f"{who.kind.value.capitalize()}s do not decide calls; sign in as an approver."
    if owns(action, who.id):
        return "You own this agent, so somebody else has to decide."
    for each in stands:
        if owns(action, each.person):
            return f"You stand in for {each.person}, who owns this agent: somebody else decides."
    entitled = approvers_at(decision, action.created, now) if decision else ()
    if entitled and not (who.groups | borrowed(action, stands)) & frozenset(entitled):
        return f"Only {', '.join(entitled)} may decide this."
    return ""


def owns(action: Action, person: str) -> bool:
    """Say whether *person* is the agent of a call, or answerable for it."""
    return person in (action.call.agent.id, action.call.agent.owner)


def borrowed(action: Action, absences: Iterable[Absence]) -> frozenset[str]:
    """Return the groups that somebody has by standing in, for *action*.

    Whoever has voted on it is not stood in for: nobody's groups count for two votes.
    """
    voted = {vote.reviewer.id for vote in action.votes}
    return frozenset(
        group for each in absences if each.person not in voted for group in each.groups
    )
