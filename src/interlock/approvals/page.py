"""The `/review` page: queue and item. It decides nothing itself; its script uses the API."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from ..core.actions import Action
from ..core.errors import NotFound, StoreUnavailable
from ..core.redaction import visible_line
from . import (
    analytics_pages,
    api,
    audits_pages,
    definitions_page,
    desk_pages,
    granting,
    oidc,
    policy,
    rendering,
    reports,
    showing,
    sign_in,
)
from .access import (
    APPROVERS,
    PEOPLE,
    REFUSE_PAGE,
    VISITOR,
    Route,
    Visitor,
    add_routes,
    check_given,
)
from .deps import DEPS, ApiDeps, apart
from .form import fields
from .identity import SIGNING_OUT, STOPPING, deciding
from .models import Card
from .models_audits import OutcomeView
from .models_item import Item
from .reasons import REASONS

_ID = r"{id:[A-Za-z0-9_-]{1,64}}"
_RECENT = 12
_FILTERS = ("mine", "level", "agent", "tool", "text", "cursor")
PLACES = (
    ("review", "Review"),
    ("history", "History"),
    ("analytics", "Analytics"),
    ("audits", "Audits"),
    ("agents", "Agents"),
    ("grants", "Grants"),
    ("tools", "Tools"),
    ("policy", "Policy"),
    ("notifications", "Notifications"),
)
"""What the header leads to, as far as this process serves it: path, in words."""
_PLAIN = re.compile(r"[A-Za-z0-9@._+-]{1,128}", re.ASCII)  #: an agent that a path can name
_SHARE = "10"  #: calls of one agent in the first page, where not all fit
LENGTHS = (
    ("1h", 3_600_000, "1 hour"),
    ("8h", 28_800_000, "8 hours"),
    ("1d", 86_400_000, "1 day"),
    ("7d", 604_800_000, "7 days"),
    ("30d", 2_592_000_000, "30 days"),
)
"""For how long a person may grant, as far as policy lets them: as sent, in ms, in words."""


BLANK = Card(
    id="",
    version=0,
    state="",
    digest="",
    level="",
    stake="",
    reversibility="",
    tool="",
    description="",
    method="",
    destination="",
    gist="",
    consequence="",
    agent="",
    session="",
    confidence=None,
    created=0,
    changed=0,
    deadline=0,
    caller_waiting=None,
    votes=0,
    quorum=2,
    edited=False,
    outcome="",
)
"""What the script copies to show a card that is new: the same markup as the server's."""


def add_page(app: web.Application, deps: ApiDeps) -> None:
    """Add the page to *app*, beside `api.add_api`."""
    app[REFUSE_PAGE] = sign_in.refused
    app[sign_in.COMMON] = _common
    pages = map(audits_pages.counting, map(desk_pages.halting, ROUTES))
    add_routes(app, deps, tuple(pages))


def _html(template: str, *, status: int = 200, **values: Any) -> web.Response:
    return web.Response(
        text=rendering.render(template, **values), content_type="text/html", status=status
    )


def _common(request: web.Request) -> dict[str, Any]:
    visitor: Visitor | None = request.get(VISITOR)
    session = visitor.session if visitor else None
    served = {each.canonical for each in request.app.router.resources()}
    return {
        "who": visitor.principal.id if visitor else "",
        "kind": visitor.principal.kind.value if visitor else "",
        "places": [(path, text) for path, text in PLACES if f"/{path}" in served],
        "mine": "/me" in served,
        "leave": session.token(SIGNING_OUT) if session else "",
        "state": request.app[DEPS].gate.policy_state if visitor else None,
        "halted": request.get(desk_pages.HALTED),
        "waiting": _waiting(request) if visitor else {},
    }


def _waiting(request: web.Request) -> dict[str, tuple[int, str]]:
    """Return how many wait at each place, and what it is that waits."""
    return {
        "tools": (request.app[DEPS].definitions.waiting(), "tools that wait to be accepted"),
        "audits": (request.get(audits_pages.WAITING, 0), "calls that wait for an audit"),
    }


async def home(request: web.Request) -> web.Response:
    raise web.HTTPSeeOther("/review")


async def queue(request: web.Request) -> web.Response:
    deps = request.app[DEPS]
    # a filter is asked for to see all of what it finds
    usual = {"share": _SHARE} if not any(request.query.values()) else {}
    asked = {name: value for name, value in request.query.items() if value}
    held = await api.queue(request, usual=usual)
    recent = await showing.cards(deps, await deps.store.recent(_RECENT))
    return _html(
        "queue.html",
        queue=held,
        only=visible_line(request.query.get("agent", "")),
        asked=urlencode(asked or usual),
        filters={name: asked.get(name, "") for name in _FILTERS},
        filtered=any(asked.get(name) for name in _FILTERS[:-1]),
        more=urlencode({**asked, "cursor": held.next} if held.next and asked else {"limit": "50"}),
        reasons=deps.gate.policy.attention.reasons or REASONS,
        recent=recent,
        blank=BLANK,
        policy=deps.gate.policy.ref,
        **_common(request),
    )


async def item(request: web.Request) -> web.Response:
    shown = await showing.item(request, limit=request.app[DEPS].whole_bytes)
    return await _item_page(request, shown)


async def reveal(request: web.Request) -> web.Response:
    """Show a call with what policy hides of it; that it was shown is recorded."""
    visitor, form = request[VISITOR], await request.post()
    action = await showing.shown_action(request)
    check_given(visitor, str(form.get("csrf", "")), deciding(action.digest))
    return await _item_page(request, await showing.revealed(request, action))


async def _item_page(request: web.Request, shown: Item) -> web.Response:
    deps, session = request.app[DEPS], request[VISITOR].session
    action = await deps.gate.get(shown.card.id)
    agent = action.call.agent.id if action else ""
    stopping = session.token(STOPPING) if session else ""
    names = action.decision.arguments if action and action.decision and shown.whole else {}
    lengths = [each for each in LENGTHS if shown.grant and each[1] <= shown.grant.longest_ms]
    common, turned = _common(request), await _turned_out(request, action)

    def made() -> web.Response:
        form = fields(shown, names)
        return _html(
            "item.html",
            item=shown,
            card=shown.card,
            fields=form,
            agent=agent if _PLAIN.fullmatch(agent) else "",
            reasons=deps.gate.policy.attention.reasons or REASONS,
            stopping=stopping,
            lengths=lengths,
            turned=turned,
            turned_now=request.query.get("turned", ""),
            **common,
        )

    return await apart(request.app, shown.call.body.size, made)


async def _turned_out(request: web.Request, action: Action | None) -> OutcomeView | None:
    """Return how a call that was sent turned out; None: it was not, or that cannot be read now."""
    if action is None or action.state not in reports.SENT:
        return None
    try:
        return await reports.said(request.app[DEPS], request[VISITOR], action)
    except StoreUnavailable:  # the call is shown all the same
        return None


async def grants(request: web.Request) -> web.Response:
    return _html("grants.html", grants=await granting.listed(request), **_common(request))


async def tools(request: web.Request) -> web.Response:
    return _html("tools.html", page=await definitions_page.shown(request), **_common(request))


async def rules(request: web.Request) -> web.Response:
    return _html("policy.html", policy=await policy.view(request.app[DEPS]), **_common(request))


async def static(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    if name not in rendering.STATIC:
        raise NotFound("There is no such file.")
    return web.Response(
        body=rendering.static(name), content_type=rendering.STATIC[name], charset="utf-8"
    )


ROUTES = (
    Route(method="GET", path="/", handler=home, kinds=None, page=True),
    Route(method="GET", path="/review", handler=queue, kinds=PEOPLE, page=True),
    Route(method="GET", path=f"/review/{_ID}", handler=item, kinds=PEOPLE, page=True),
    Route(
        method="POST",
        path=f"/review/{_ID}/reveal",
        handler=reveal,
        kinds=APPROVERS,
        page=True,
    ),
    Route(method="GET", path="/grants", handler=grants, kinds=PEOPLE, page=True),
    Route(method="GET", path="/tools", handler=tools, kinds=PEOPLE, page=True),
    Route(method="GET", path="/policy", handler=rules, kinds=PEOPLE, page=True),
    *desk_pages.ROUTES,
    *analytics_pages.ROUTES,
    *audits_pages.ROUTES,
    *sign_in.ROUTES,
    *oidc.ROUTES,
    Route(method="GET", path="/static/{name}", handler=static, kinds=None),
)
