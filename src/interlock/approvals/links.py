"""A fresh one-time link to sign in by, for a local person who shows their own key."""

from __future__ import annotations

import logging

from aiohttp import web

from ..core.errors import Forbidden, NotFound
from ..core.redaction import visible_line
from .access import APPROVERS, VISITOR, Route
from .bodies import answer
from .deps import DEPS
from .identity import LINK_MS
from .openapi_sign_in import SignInLink

audit = logging.getLogger("interlock.audit")


async def make_link(request: web.Request) -> web.Response:
    """Make a link for who asks. Nobody makes one for somebody else: it would be their session."""
    deps, visitor = request.app[DEPS], request[VISITOR]
    who = visitor.principal
    if visitor.session is not None:
        raise Forbidden("Links are made with a key; you are signed in already.")
    person = deps.links.local(who.id)
    if person is None:
        raise NotFound(f"{visible_line(who.id)} is not in `people.local`: there is no link.")
    if not person.groups <= who.groups:  # as the key was narrowed on purpose
        raise Forbidden("This key lacks groups that `people.local` gives: a link would add them.")
    path = f"/sign-in?t={deps.links.issue(person)}"
    audit.warning("link made for=%s", visible_line(person.id))
    return answer(
        SignInLink(
            id=visible_line(person.id),
            url=f"{deps.url.rstrip('/')}{path}",
            path=path,
            seconds=LINK_MS // 1000,
        )
    )


ROUTES = (
    Route(
        method="POST",
        path="/v1/me/link",
        handler=make_link,
        kinds=APPROVERS,
    ),
)
