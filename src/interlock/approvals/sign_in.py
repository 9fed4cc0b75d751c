"""Signing in by a one-time link, signing out, and what a visitor reads who may not go on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from ..core.errors import InterlockError
from . import rendering
from .access import Route, identify
from .deps import DEPS, ApiDeps
from .identity import SIGNING_OUT, Session, linked
from .problems import CrossSite, NotSignedIn
from .returning import came_for, remember

audit = logging.getLogger("interlock.audit")

COMMON: web.AppKey[Callable[[web.Request], dict[str, Any]]] = web.AppKey(
    "common",
    object,  # type: ignore[arg-type]
)
"""What every page is given."""


def refused(request: web.Request, error: InterlockError) -> web.Response:
    """Answer an error to a person.

    A link that was followed from elsewhere comes without the (SameSite=Strict) cookie: such a
    visitor is sent here once more, from here.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if isinstance(error, NotSignedIn) and site in ("cross-site", "same-site"):
        return html(request, "again.html", path=request.path)
    deps = request.app[DEPS]
    door = deps.oidc
    response = html(
        request,
        "refused.html",
        status=error.status,
        error=error,
        provider=door.provider.registered.label if door else "",
        start=f"/oidc/start?{urlencode({'to': request.path_qs})}",
    )
    if isinstance(error, NotSignedIn):
        remember(request, response, deps)
    return response


async def sign_in(request: web.Request) -> web.Response:
    """Show who a link signs in. Looking does not use it up."""
    token = request.query.get("t", "")
    person = request.app[DEPS].links.peek(token)
    if person is None:
        raise _spent()
    longest = request.app[DEPS].sessions.longest_ms
    return html(request, "sign_in.html", person=person, token=token, longest=longest)


async def signed_in(request: web.Request) -> web.Response:
    """Use a link up and start a session."""
    deps, form = request.app[DEPS], await request.post()
    person = deps.links.redeem(str(form.get("t", "")))
    if person is None:
        raise _spent()
    response = web.Response(status=303)
    response.headers["Location"] = came_for(request, response, deps)
    set_cookie(response, deps, await deps.sessions.open(person, by=linked(person)))
    await deps.desk.greet(person.id, sorted(person.groups))
    audit.info("%s signed in by a link", person.id)
    return response


def _spent() -> NotSignedIn:
    return NotSignedIn(
        "This sign-in link is unknown, used or too old. Links work once, for 15 minutes.",
        help="Run `interlock sessions link` where `interlock serve` runs, or ask whoever runs it"
        " for a new link.",
    )


def set_cookie(response: web.Response, deps: ApiDeps, value: str) -> None:
    """Give the browser its session."""
    response.set_cookie(
        deps.cookie, value, path="/", httponly=True, secure=deps.secure, samesite="Strict"
    )


async def signed_out(request: web.Request) -> web.Response:
    """End the session; with `everywhere`, all that this person has, in any browser."""
    deps, form = request.app[DEPS], await request.post()
    visitor = await identify(request)
    if visitor is None or visitor.session is None:
        raise NotSignedIn
    if not visitor.session.permits(str(form.get("csrf", "")), SIGNING_OUT):
        raise CrossSite
    await deps.sessions.close(request.cookies.get(deps.cookie, ""))
    if form.get("everywhere"):
        await deps.sessions.close_all(visitor.principal.id)
    where = " everywhere" if form.get("everywhere") else ""
    audit.info("%s signed out%s", visitor.principal.id, where)
    response = await _left(request, deps, visitor.session)
    response.del_cookie(deps.cookie, path="/", httponly=True, secure=deps.secure, samesite="Strict")
    return response


async def _left(request: web.Request, deps: ApiDeps, session: Session) -> web.Response:
    """Say that they are signed out; at the provider, they still are signed in."""
    if deps.oidc is not None and session.by == deps.oidc.provider.registered.way:
        where = await deps.oidc.provider.end_session_url()
        label = deps.oidc.provider.registered.label
        return html(request, "oidc_signed_out.html", provider=label, where=where)
    return web.Response(status=303, headers={"Location": "/review"})


def html(request: web.Request, template: str, *, status: int = 200, **values: Any) -> web.Response:
    """Return a page made of *template*."""
    text = rendering.render(template, **request.app[COMMON](request), **values)
    return web.Response(text=text, content_type="text/html", status=status)


ROUTES = (
    Route(method="GET", path="/sign-in", handler=sign_in, kinds=None, page=True),
    Route(method="POST", path="/sign-in", handler=signed_in, kinds=None, page=True),
    Route(method="POST", path="/sign-out", handler=signed_out, kinds=None, page=True),
)
