"""Looking for calls that people had to do with, as long as they are kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from aiohttp import web

from ..core.actions import Action, State
from ..core.errors import MalformedCall
from ..core.masking import Masks
from ..core.redaction import visible_line
from ..ports import Searched
from . import showing
from .access import PEOPLE, Route
from .bodies import answer
from .deps import DEPS, ApiDeps
from .models import Card
from .models_desk import Past, PastCall, Said
from .models_undo import UndoneBy
from .queries import filters, page_size, whole_number
from .undone import undone

_FILTERS = ("agent", "by", "cursor", "limit", "q", "since", "state", "tool", "until")
_CURSOR = re.compile(r"[0-9]{1,20}-[0-9A-Za-z_-]{1,64}", re.ASCII)
_MOST, _USUAL = 200, 50
_CHANGED = "Its record was changed outside Interlock, so what it says cannot be trusted."


async def list_past(request: web.Request) -> web.Response:
    return answer(await past(request))


async def past(request: web.Request) -> Past:
    """Return what the query looks for, latest first."""
    return await look(request.app[DEPS], query(request))


async def look(deps: ApiDeps, asked: Mapping[str, str]) -> Past:
    """Return what *asked* looks for, by the names of the query's parameters.

    Raises:
        MalformedCall: one of them makes no sense.
    """
    cursor = asked.get("cursor")
    if cursor is not None and not _CURSOR.fullmatch(cursor):
        raise MalformedCall("`cursor` must be the `next` of an earlier answer.")
    limit = page_size(asked, _USUAL, _MOST)
    # nobody finds out by searching what policy hides
    wanted = replace(_searched(asked), hidden=deps.gate.policy.redact.approver)
    listed = await deps.store.search(wanted, cursor, limit)
    return Past(
        items=await _calls(deps, listed.actions),
        next=listed.next,
        total=listed.total,
        now=await deps.store.now(),
    )


async def _calls(deps: ApiDeps, actions: tuple[Action, ...]) -> list[PastCall]:
    cards, reversed_ = await showing.cards(deps, actions), await undone(deps, actions)
    return [
        _call(card, action, showing.masked_for(deps, action), reversed_.get(action.id))
        if deps.gate.genuine(action)
        else _changed(card)
        for card, action in zip(cards, actions, strict=True)
    ]


def _call(card: Card, action: Action, masks: Masks, undo: UndoneBy | None) -> PastCall:
    said = [
        (each.at, each.reviewer.id, each.verdict.value, each.reviewer.groups)
        for each in action.reviews
    ]
    said += [(each.at, each.by, "escalate", frozenset()) for each in action.raised]
    ended = max((each.at for each in action.reviews), default=action.changed)
    return PastCall(
        **(dict(card) | {"digest": ""}),  # nothing is decided here; values are guessed by it
        said=[
            Said(
                person=visible_line(person),
                did=did,
                at=at,
                groups=[visible_line(each) for each in sorted(groups) if " " in each],
            )
            for at, person, did, groups in sorted(said, key=lambda each: each[0])
        ],
        waited=max(ended - action.created, 0),
        why=_why(action, masks),
        undone=undo,
    )


def _changed(card: Card) -> PastCall:
    """Name nobody who is said to have decided a call that others wrote."""
    return PastCall(**(dict(card) | {"digest": ""}), said=[], waited=0, why=_CHANGED, undone=None)


def _why(action: Action, masks: Masks) -> str:
    """Return why it ended so, or the latest reason, without what policy hides of the call."""
    said = [each.message for each in action.reviews if each.message]
    return visible_line(masks.text(action.cause or (said[-1] if said else "")))


def query(request: web.Request) -> dict[str, str]:
    """Return what is asked for; each once, and nothing else. Raises MalformedCall."""
    return filters(request, _FILTERS)


def _searched(asked: Mapping[str, str]) -> Searched:
    state = asked.get("state", "")
    if state and state not in {each.value for each in State}:
        words = ", ".join(each.value for each in State)
        raise MalformedCall(f"`state` must be one of {words}.")
    return Searched(
        agent=asked.get("agent", ""),
        tool=asked.get("tool", ""),
        state=state,
        by=asked.get("by", ""),
        text=asked.get("q", ""),
        since=whole_number(asked, "since", 0),
        until=whole_number(asked, "until", 0),
    )


ROUTES = (Route(method="GET", path="/v1/history", handler=list_past, kinds=PEOPLE),)
