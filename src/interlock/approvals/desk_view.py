"""What the desk knows of held calls, put on cards and items: who looks, is asked, is stopped."""

from __future__ import annotations

from ..core.actions import Action, State
from ..core.desk import EVERYBODY, Assignment, Looking, Suspension
from ..core.masking import NO_MASKS, Masks
from ..core.numbers import number_of
from ..core.redaction import visible_line, visible_text
from ..people_ports import Desk
from .access import Visitor
from .deps import ApiDeps
from .models import Card
from .models_desk import Asked, Load, Looker, Stopped
from .models_item import Item

HOUR_MS = 3_600_000


async def on_cards(deps: ApiDeps, cards: list[Card]) -> list[Card]:
    """Return *cards*; those that are held with who looks, who is asked and who stopped it."""
    held = [card.id for card in cards if card.state == State.HELD.value]
    if not held:
        return cards
    desk = deps.desk
    assigned = dict(zip(held, await desk.assigned(held), strict=True))
    looking = dict(zip(held, await desk.looking(held), strict=True))
    stopped = _by_agent(await desk.stops(_names(cards)))
    return [_card(card, assigned, looking, stopped) for card in cards]


def _card(
    card: Card,
    assigned: dict[str, Assignment | None],
    looking: dict[str, tuple[Looking, ...]],
    stopped: dict[str, Suspension],
) -> Card:
    if card.id not in assigned:
        return card
    asked, stop = assigned[card.id], stopped.get(card.agent) or stopped.get(EVERYBODY)
    return card.model_copy(
        update={
            "assigned": visible_line(asked.to) if asked else "",
            "looking": [visible_line(each.person) for each in looking[card.id]],
            "stopped": visible_line(stop.by) if stop else "",
        }
    )


def _by_agent(suspensions: tuple[Suspension, ...]) -> dict[str, Suspension]:
    """Return them by agent as cards name it: visible, so that two may share a name; never none."""
    return {visible_line(each.agent): each for each in suspensions}


def _names(cards: list[Card]) -> set[str]:
    """Return their agents; one that can be stopped by itself has a name that is shown as it is."""
    return {card.agent for card in cards if 0 < len(card.agent) <= 128}


async def on_item(
    deps: ApiDeps, item: Item, action: Action, visitor: Visitor, masks: Masks
) -> Item:
    """Return *item* with what the desk knows: who looks, who is asked, who stopped its agent.

    *masks*: what is hidden from the visitor, in the words of who asks somebody too.
    """
    desk, who = deps.desk, visitor.principal.id
    stops = {each.agent: each for each in await desk.stops([action.call.agent.id])}
    stop = stops.get(action.call.agent.id) or stops.get(EVERYBODY)
    load = await _load(deps, desk, who)
    told: dict[str, object] = {"stopped": stopped(stop), "load": load}
    if load and load.again_at and item.may.approve:
        why = (
            f"You approved {number_of(load.approved, 'call')} in this hour, as many as policy lets"
            " you. You may reject, or ask somebody."
        )
        told["may"] = item.may.model_copy(update={"approve": False, "edit": False, "why": why})
    if action.state is State.HELD:
        (assigned,) = await desk.assigned([action.id])
        (lookers,) = await desk.looking([action.id])
        look = await desk.looked(action.id, action.digest, who)
        told["assigned"] = asked(assigned, masks) if assigned and assigned.to else None
        told["looked_ms"] = look.looked_ms if look else 0
        told["looking"] = [
            Looker(person=visible_line(each.person), since=each.since)
            for each in lookers
            if each.person != who
        ]
    return item.model_copy(update=told)


def stopped(stop: Suspension | None) -> Stopped | None:
    """Return who stopped an agent as people see it."""
    if stop is None:
        return None
    return Stopped(
        everybody=stop.agent == EVERYBODY,
        by=visible_line(stop.by),
        reason=visible_text(stop.reason),
        at=stop.at,
    )


def asked(assigned: Assignment, masks: Masks = NO_MASKS) -> Asked:
    """Return who is asked to decide, as people see it."""
    return Asked(
        to=visible_line(assigned.to),
        by=visible_line(assigned.by),
        at=assigned.at,
        message=visible_text(masks.text(assigned.message)),
    )


async def _load(deps: ApiDeps, desk: Desk, who: str) -> Load | None:
    most = deps.gate.policy.attention.per_hour
    if not most:
        return None
    approved, oldest = await desk.approvals(who)
    again = oldest + HOUR_MS if approved >= most else 0
    return Load(approved=approved, most=most, again_at=again)
