"""Signing a person out everywhere: an admin's answer to a lost laptop or somebody who left."""

from __future__ import annotations

import logging

from aiohttp import web

from ..core.identity import Kind
from ..core.redaction import visible_line
from .access import VISITOR, Route, check_token
from .bodies import answer
from .deps import DEPS
from .identity import ending
from .openapi_sign_in import SignedOut

audit = logging.getLogger("interlock.audit")


async def sign_out(request: web.Request) -> web.Response:
    """End every session of a person; keys stay as they are."""
    person, visitor = request.match_info["id"], request[VISITOR]
    check_token(request, visitor, ending(person))
    count = await request.app[DEPS].sessions.close_all(person)
    by, whom = visitor.principal.id, visible_line(person)
    audit.info("%s signed %s out of %d sessions", by, whom, count)
    return answer(SignedOut(id=person, sessions=count))


ROUTES = (
    Route(
        method="POST",
        path=r"/v1/people/{id:[A-Za-z0-9@._+-]{1,128}}/sign-out",
        handler=sign_out,
        kinds=frozenset({Kind.ADMIN}),
    ),
)
