"""The pages beside the queue: the past, agents, who the visitor is, and what nobody was told."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from ..core.actions import State
from ..core.desk import EVERYBODY
from ..core.errors import MalformedCall
from ..core.identity import Kind
from . import agents, credentials, desk, history, notifications, practice
from .access import PEOPLE, VISITOR, Route
from .deps import DEPS
from .desk_view import stopped
from .identity import SWITCHING
from .models_desk import Stopped
from .models_practice import PersonPractice
from .sign_in import html

HALTED: web.RequestKey[Stopped] = web.RequestKey("halted", Stopped)
"""Who stopped all agents, where somebody has."""
STATES = tuple(
    (state.value, words)
    for state, words in (
        (State.ANSWERED, "sent and answered"),
        (State.REJECTED, "rejected"),
        (State.EXPIRED, "expired"),
        (State.RESPONDED, "answered by a person"),
        (State.CANCELLED, "cancelled"),
        (State.DENIED, "denied by policy"),
        (State.UNKNOWN, "outcome unknown"),
        (State.RESOLVED, "settled by hand"),
    )
)
"""How a call that waited may have ended: as asked for, in words."""
_DAY_MS = 86_400_000
_PLAIN = re.compile(r"(?!(?:-|\.\.?)\Z)[A-Za-z0-9@._+-]{1,128}", re.ASCII)
"""An agent that a path can name; browsers take `.` and `..` for another path."""
_FIELDS = ("agent", "tool", "state", "by", "q", "since", "until")
_CALL_ID = re.compile(r"[A-Za-z0-9_-]{8,64}", re.ASCII)
_PAGE = "50"


def halting(route: Route) -> Route:
    """Return *route*; a page of those who are signed in says so while all agents are stopped."""
    if not route.page or route.kinds is None:
        return route
    return replace(route, handler=_halting(route.handler))


def _halting(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        halted = stopped(await request.app[DEPS].store.stopped(EVERYBODY))
        if halted is not None and halted.everybody:
            request[HALTED] = halted
        return await handler(request)

    return handle


# the past -----------------------------------------------------------------------------------


async def past(request: web.Request) -> web.Response:
    asked = history.query(request)
    found = await history.look(request.app[DEPS], {"limit": _PAGE, **_in_ms(asked)})
    fields = {name: asked.get(name, "") for name in _FIELDS}
    sought = asked.get("q", "")
    named = await request.app[DEPS].gate.get(sought) if _CALL_ID.fullmatch(sought) else None
    return html(
        request,
        "history.html",
        past=found,
        fields=fields,
        named=named.id if named else "",
        filtered=any(fields.values()),
        later="cursor" in asked,
        states=STATES,
        first=urlencode({name: text for name, text in fields.items() if text}),
        more=urlencode({**asked, "cursor": found.next}) if found.next else "",
    )


def _in_ms(asked: Mapping[str, str]) -> dict[str, str]:
    """Return *asked* with days (`2026-03-01`, UTC) as the API counts: `until` is its last ms."""
    said = dict(asked)
    for name, more in (("since", 0), ("until", _DAY_MS - 1)):
        if name in said and not said[name].isdecimal():
            said[name] = str(_midnight(name, said[name]) + more)
    return said


def _midnight(name: str, text: str) -> int:
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise MalformedCall(f"`{name}` must be a day, such as 2026-03-01.") from None
    return max(int(day.timestamp() * 1000), 0)


# agents -------------------------------------------------------------------------------------


async def list_agents(request: web.Request) -> web.Response:
    listed = await agents.agents(request)
    return html(
        request,
        "agents.html",
        agents=listed,
        plain={each.id for each in listed.items if _PLAIN.fullmatch(each.id)},
    )


# who the visitor is -------------------------------------------------------------------------


async def me(request: web.Request) -> web.Response:
    visitor = request[VISITOR]
    session, mine = visitor.session, await desk.me(request)
    approver = visitor.principal.kind is Kind.APPROVER
    return html(
        request,
        "me.html",
        me=mine,
        people=await desk.people(request) if approver else None,
        practice=await _practice(request, mine.now),
        signing=await credentials.listed(request) if approver and session else None,
        session=session,
        roles=[kind.value for kind in session.kinds] if session else [],
        switching=session.token(SWITCHING) if session else "",
        days=_days(mine.now),
    )


async def _practice(request: web.Request, now: int) -> list[PersonPractice]:
    """Return how people did with practice calls: nothing where none are mixed in, nor were met."""
    deps, who = request.app[DEPS], request[VISITOR].principal
    figures = await practice.figures(deps, who, now)
    met = any(each.caught + each.missed for each in figures)
    if not met and not deps.gate.policy.attention.decoys:
        return []
    return [practice.shown(each) for each in figures]


def _days(now: int) -> dict[str, str]:
    """Return the first and the last day until which somebody may be away."""
    first, last = now + _DAY_MS, now + desk.LONGEST_MS
    return {"first": _day(now), "next": _day(first), "last": _day(last)}


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d")


# notices ------------------------------------------------------------------------------------


async def notices(request: web.Request) -> web.Response:
    told: dict[str, Any] = {"notices": await notifications.notifications(request)}
    return html(request, "notifications.html", **told)


ROUTES = (
    Route(method="GET", path="/history", handler=past, kinds=PEOPLE, page=True),
    Route(method="GET", path="/agents", handler=list_agents, kinds=PEOPLE, page=True),
    Route(method="GET", path="/me", handler=me, kinds=PEOPLE, page=True),
    Route(method="GET", path="/notifications", handler=notices, kinds=PEOPLE, page=True),
)
