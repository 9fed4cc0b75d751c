"""The pages of audits, and the form that reports how a call turned out. They need no script."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from pydantic import ValidationError

from ..core.actions import Action
from ..core.errors import MalformedCall, NotFound
from . import audits, reports, showing
from .access import APPROVERS, PEOPLE, VISITOR, Route, check_given
from .deps import DEPS, apart
from .identity import auditing, deciding
from .models_audits import AuditVerdict, OutcomeReport
from .models_item import Item
from .reasons import REASONS
from .sign_in import html

_ID = r"{id:[A-Za-z0-9_-]{1,64}}"
_STALE_FORM = "The form is not one that Interlock made; load the page again."
WAITING: web.RequestKey[int] = web.RequestKey("audits_waiting", int)
"""How many calls wait for an audit."""
_SAID = {"right": "Noted: it was right.", "wrong": "Noted: it was wrong."}


def counting(route: Route) -> Route:
    """Return *route*; a page of those who are signed in says how many calls wait for an audit."""
    if not route.page or route.kinds is None:
        return route
    return replace(route, handler=_counting(route.handler))


def _counting(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        kept = request.app[DEPS].audits
        if kept is not None:
            request[WAITING] = await kept.count()
        return await handler(request)

    return handle


async def page(request: web.Request) -> web.Response:
    asked = dict(request.query)
    said = asked.pop("said", "")
    try:
        listed = await audits.listed(request, asked)
    except NotFound as error:
        return html(request, "audits.html", listed=None, error=error, more="", said="")
    more = urlencode({"cursor": listed.next}) if listed.next else ""
    return html(request, "audits.html", listed=listed, more=more, said=_SAID.get(said, ""))


async def one(request: web.Request) -> web.Response:
    action = await audits.drawn(request)
    return await _page(request, action, await showing.item_of(request, action))


async def reveal(request: web.Request) -> web.Response:
    """Show a call that was drawn with what policy hides of it; that it was shown is recorded."""
    form, action = await request.post(), await audits.named(request)
    check_given(request[VISITOR], str(form.get("csrf", "")), deciding(action.digest))
    audits.as_drawn(action)
    return await _page(request, action, await showing.revealed(request, action))


async def _page(request: web.Request, action: Action, item: Item) -> web.Response:
    deps = request.app[DEPS]
    audit = await audits.shown(request, action, item)
    reasons = deps.gate.policy.attention.reasons or REASONS

    def made() -> web.Response:
        shown: dict[str, Any] = {"audit": audit, "item": audit.item, "card": audit.item.card}
        return html(request, "audit.html", reasons=reasons, **shown)

    return await apart(request.app, item.call.body.size, made)


async def judge(request: web.Request) -> web.Response:
    """Keep what a form says of a call, and go on to the others."""
    form = await request.post()
    check_given(request[VISITOR], str(form.get("csrf", "")), auditing(request.match_info["id"]))
    action = await audits.drawn(request)
    texts = {
        name: str(form.get(name, "")) for name in ("turned", "digest", "reason_code", "message")
    }
    looked = str(form.get("visible_ms", "")) or "0"
    try:
        asked = AuditVerdict.model_validate(texts | {"visible_ms": int(looked[:9])})
    except (ValidationError, ValueError):
        raise MalformedCall(_STALE_FORM) from None
    await audits.judged(request.app[DEPS], request[VISITOR], action, asked)
    raise web.HTTPSeeOther(f"/audits?said={asked.turned}")


async def report(request: web.Request) -> web.Response:
    """Keep what a form says of how a call turned out, and show the call again."""
    form, action = await request.post(), await showing.shown_action(request)
    check_given(request[VISITOR], str(form.get("csrf", "")), deciding(action.digest))
    texts = {name: str(form.get(name, "")) for name in ("turned", "message")}
    try:
        asked = OutcomeReport.model_validate(texts)
    except ValidationError:
        raise MalformedCall(_STALE_FORM) from None
    await reports.reported(request.app[DEPS], request[VISITOR], action, asked)
    raise web.HTTPSeeOther(f"/review/{action.id}?turned={asked.turned}#outcome")


ROUTES = (
    Route(method="GET", path="/audits", handler=page, kinds=PEOPLE, page=True),
    Route(method="GET", path=f"/audits/{_ID}", handler=one, kinds=PEOPLE, page=True),
    Route(method="POST", path=f"/audits/{_ID}", handler=judge, kinds=PEOPLE, page=True),
    Route(
        method="POST",
        path=f"/audits/{_ID}/reveal",
        handler=reveal,
        kinds=APPROVERS,
        page=True,
    ),
    Route(method="POST", path=f"/review/{_ID}/outcome", handler=report, kinds=PEOPLE, page=True),
)
