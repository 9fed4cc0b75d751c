"""Who may do what on the people's listener: hosts, headers, sessions, keys, roles, origins.

Every route names the kinds of principal that may use it; an agent's key is in none of them.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from ..core.actions import Reviewer
from ..core.errors import CallTooLarge, Forbidden, InterlockError, NotFound, StoreUnavailable
from ..core.identity import Kind, Principal
from .deps import DEPS, ApiDeps
from .identity import Session
from .problems import (
    MEDIA_TYPE,
    CrossSite,
    MethodNotAllowed,
    Misdirected,
    NotSignedIn,
    problem,
)

PEOPLE = frozenset({Kind.APPROVER, Kind.ADMIN})
"""Who has to do with calls; auditors may read beside them: see `Route.admitted`."""
APPROVERS = frozenset({Kind.APPROVER})
OVERSEERS = frozenset({Kind.ADMIN, Kind.AUDITOR})
"""Who reads how everybody does, and takes records away."""
CSRF_HEADER = "Interlock-CSRF"
_PROBES = frozenset({"/livez", "/readyz", "/metrics"})  # asked by address; they decide nothing
_SAFE = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; "
        "require-trusted-types-for 'script'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Who asks: a principal, and the session where they came by cookie."""

    principal: Principal
    session: Session | None = None

    @property
    def reviewer(self) -> Reviewer:
        return Reviewer(id=self.principal.id, groups=self.principal.groups)


VISITOR: web.RequestKey[Visitor] = web.RequestKey("visitor", Visitor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route: who may use it. `kinds` None: anybody, signed in or not."""

    method: str
    path: str
    handler: Handler
    kinds: frozenset[Kind] | None
    page: bool = False  #: answers HTML to a person rather than JSON to a client

    @property
    def admitted(self) -> frozenset[Kind] | None:
        """Who may use it, auditors included: they read all that approvers read, and no more."""
        if self.kinds is None or self.method != hdrs.METH_GET or Kind.APPROVER not in self.kinds:
            return self.kinds
        return self.kinds | {Kind.AUDITOR}


REFUSE_PAGE: web.AppKey[Callable[[web.Request, InterlockError], web.Response]] = web.AppKey(
    "refuse_page",
    object,  # type: ignore[arg-type]
)


def add_routes(app: web.Application, deps: ApiDeps, routes: tuple[Route, ...]) -> None:
    """Register *routes* behind their checks, and the checks of the whole listener, once."""
    if DEPS not in app:
        app[DEPS] = deps
        app.middlewares.append(_outermost)
        app.on_response_prepare.append(_harden)
    for route in routes:
        app.router.add_route(route.method, route.path, _checked(route))


def _checked(route: Route) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            if route.admitted is not None:
                request[VISITOR] = await admit(request, route.admitted)
            return await route.handler(request)
        except InterlockError as error:
            if route.page:
                return request.app[REFUSE_PAGE](request, error)
            raise

    return handle


@web.middleware
async def _outermost(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        check_host(request)
        check_origin(request)
        return await handler(request)
    except web.HTTPMethodNotAllowed as refused:
        response = refuse(MethodNotAllowed())
        response.headers["Allow"] = ", ".join(sorted(refused.allowed_methods))
        return response
    except web.HTTPNotFound:
        return refuse(NotFound("There is nothing at this path."))
    except web.HTTPRequestEntityTooLarge:
        return refuse(CallTooLarge("The request is larger than this listener takes."))
    except InterlockError as error:
        return refuse(error)


async def _harden(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)


def refuse(error: InterlockError, **more: Any) -> web.Response:
    """Return *error* as a problem document."""
    response = web.Response(
        text=json.dumps(problem(error, **more)), status=error.status, content_type=MEDIA_TYPE
    )
    if error.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="interlock"'
    return response


def check_host(request: web.Request) -> None:
    """Raise Misdirected for a Host that is not ours: a rebound DNS name."""
    hosts = request.headers.getall("Host", [])
    name = _hostname(hosts[0]) if len(hosts) == 1 else None
    if name not in request.app[DEPS].answered_hosts and request.path not in _PROBES:
        raise Misdirected


def _hostname(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def check_origin(request: web.Request) -> None:
    """Raise CrossSite where a browser says that another site's page asks.

    Pages may be opened from anywhere (a link in a chat). Everything else is for our own page,
    also when the other one is the same host on another port: the agents' listener is.
    """
    site = request.headers.get("Sec-Fetch-Site")
    opening = request.method in _SAFE and request.headers.get("Sec-Fetch-Mode") == "navigate"
    if site not in (None, "same-origin", "none") and not opening:
        raise CrossSite
    if request.method not in _SAFE and not _own_origin(request, request.headers.get("Origin")):
        raise CrossSite


def _own_origin(request: web.Request, origin: str | None) -> bool:
    if origin is None:  # no browser; sessions are checked again
        return True
    if origin == "null":  # forms of our own page say so, since it sends no referrer
        return request.headers.get("Sec-Fetch-Site") == "same-origin"
    scheme = "https" if request.app[DEPS].secure else "http"
    return origin.lower() in (f"{scheme}://{request.host}".lower(), _origin(request.app[DEPS].url))


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


async def admit(request: web.Request, kinds: frozenset[Kind]) -> Visitor:
    """Return who asks.

    Raises:
        NotSignedIn: no valid key and no session.
        Forbidden: somebody who may not use this route; agents may use none.
        CrossSite: a session, but not certainly our own page.
    """
    visitor = await identify(request)
    if visitor is None:
        raise NotSignedIn
    if visitor.principal.kind not in kinds:
        allowed = " or ".join(sorted(kind.value for kind in kinds))
        raise Forbidden(
            f"This needs {allowed} rights; {_means(visitor)} for {visitor.principal.kind.value}."
        )
    if visitor.session is not None and request.method not in _SAFE:
        told = request.headers.get("Origin") or request.headers.get("Sec-Fetch-Site")
        if told is None:
            raise CrossSite("The browser did not say which page asks; nothing was decided.")
    return visitor


def _means(visitor: Visitor) -> str:
    return "the key is" if visitor.session is None else "this sign-in is"


async def identify(request: web.Request) -> Visitor | None:
    """Return who asks, by key before cookie; None where neither is valid."""
    deps = request.app[DEPS]
    given = request.headers.getall("Authorization", [])
    if given:
        scheme, _, key = given[0].partition(" ")
        if len(given) > 1 or scheme.lower() != "bearer":
            return None
        principal = await deps.keys.verify(key.strip())
        if principal is not None and principal.kind is Kind.APPROVER:
            with suppress(StoreUnavailable):  # colleagues see them a little later
                await deps.desk.greet(principal.id, sorted(principal.groups))
        return Visitor(principal=principal) if principal else None
    session = await deps.sessions.find(request.cookies.get(deps.cookie, ""))
    if session is None:
        return None
    person = session.person
    principal = Principal(kind=session.kind, id=person.id, groups=person.groups)
    return Visitor(principal=principal, session=session)


def check_token(request: web.Request, visitor: Visitor, purpose: str) -> None:
    """Raise CrossSite where a session lacks the token for *purpose*; keys need none."""
    check_given(visitor, request.headers.get(CSRF_HEADER, ""), purpose)


def check_given(visitor: Visitor, token: str, purpose: str) -> None:
    """Raise CrossSite where a session's *token*, from a form, is not the one for *purpose*."""
    if visitor.session is not None and not visitor.session.permits(token, purpose):
        raise CrossSite("The page is out of date or was not served by Interlock; load it again.")
