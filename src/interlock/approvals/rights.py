"""Who may do what with an action. Pure; the gate decides again, this only spares the attempt."""

from __future__ import annotations

from ..core.actions import Action, State
from ..core.identity import Principal
from ..core.lifecycle import approvers_at
from ..core.wording import outcome
from . import models


def rights(action: Action, who: Principal, now: int, hidden: bool = False) -> models.Rights:
    """Return what a visitor may do at *now* (ms, by the store's clock); *hidden*: policy hides
    something of the call.
    """
    why = _refused(action, who, now)
    decision = action.decision
    editable = decision is not None and decision.editable != () and bool(decision.tool)
    voted = any(vote.reviewer.id == who.id for vote in action.votes)
    return models.Rights(
        approve=not why and not voted,
        edit=not why and editable,
        reject=not why,
        respond=not why,
        reveal=hidden and not barred(action, who, now),
        edit_after_reveal=False,
        why=why or ("You have approved this; another person must too." if voted else ""),
    )


def _refused(action: Action, who: Principal, now: int) -> str:
    if who.kind.value != "approver":
        return barred(action, who, now)
    if action.state is not State.HELD or action.decision is None:
        return f"Nothing to decide any more ({outcome(action)})."
    if now >= action.deadline:
        return "The time to decide is over; the call will not be sent."
    return barred(action, who, now)


def barred(action: Action, who: Principal, now: int) -> str:
    """Return why the call is not this person's to decide, in whatever state it is; or nothing."""
    call, decision = action.call, action.decision
    if who.kind.value != "approver":
        return "Admins do not decide calls; sign in as an approver."
    if who.id in (call.agent.id, call.agent.owner):
        return "You own this agent, so somebody else has to decide."
    entitled = approvers_at(decision, action.created, now) if decision else ()
    if entitled and not who.groups & frozenset(entitled):
        return f"Only {', '.join(entitled)} may decide this."
    return ""
