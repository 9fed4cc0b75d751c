"""Signing in at an OpenID Connect provider: the code flow's two routes, and which role to take.

`oidc_browsers` binds an answer to the browser that asked, `oidc_provider` speaks with the provider,
`oidc_tokens` validates what it says, `oidc_people` makes a person of it. An answer counts once.
Sources: OpenID Connect Core 1.0, section 3.1; RFC 6749, section 4.1; RFC 7636 (PKCE); RFC 8414;
RFC 9207 (`iss`, against mix-up); RFC 9700 (current practice).
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from ..core.errors import InterlockError, NotFound
from ..core.identity import Kind
from ..core.redaction import visible_line
from .access import Route, check_given, identify
from .deps import DEPS, ApiDeps
from .identity import SWITCHING, Session
from .oidc_browsers import STARTED_MS, Begun, OidcDoor
from .oidc_people import Arrived, NotAPerson, arrived
from .oidc_provider import Provider
from .problems import NotSignedIn
from .returning import own_path
from .sign_in import html, refused, set_cookie

audit = logging.getLogger("interlock.audit")
log = logging.getLogger("interlock.sign_in")

_MEANS = {
    "access_denied": "The provider says that you declined, or that you may not use Interlock.",
    "login_required": "The provider wants you to sign in there first.",
    "interaction_required": "The provider wants to ask you something first.",
    "consent_required": "The provider wants your consent first.",
    "temporarily_unavailable": "The provider cannot sign anybody in at the moment.",
}


async def start(request: web.Request) -> web.StreamResponse:
    """Send a person to the provider."""
    deps = request.app[DEPS]
    door = _configured(deps)
    to = own_path(request.query.get("to", ""))
    if urlsplit(f"//{request.host}").netloc != urlsplit(deps.url).netloc:
        if "again" not in request.query:  # the cookie has to be where the provider sends back to
            query = urlencode({"to": to, "again": "1"})
            return web.Response(status=303, headers={"Location": f"{deps.url}/oidc/start?{query}"})
    begun, cookie = door.browsers.begin(to, door.clock.now_ms())
    where = await door.provider.authorization_url(begun.state, begun.nonce, begun.challenge)
    response = web.Response(status=303, headers={"Location": where})
    response.set_cookie(
        _cookie(deps),
        cookie,
        max_age=STARTED_MS // 1000,
        path="/",
        httponly=True,
        secure=deps.secure,
        samesite="Lax",  # it has to come along when the provider sends the person back
    )
    return response


async def callback(request: web.Request) -> web.StreamResponse:
    """Sign in who comes back from the provider; what the browser had begun is over either way."""
    deps = request.app[DEPS]
    try:
        response = await _came_back(request, deps)
    except InterlockError as error:
        log.info("sign-in refused: %s", error.detail)
        response = refused(request, error)
    response.del_cookie(_cookie(deps), path="/", httponly=True, secure=deps.secure, samesite="Lax")
    return response


async def _came_back(request: web.Request, deps: ApiDeps) -> web.Response:
    door = _configured(deps)
    provider, now = door.provider, door.clock.now_ms()
    begun = door.browsers.resume(request.cookies.get(_cookie(deps), ""), now)
    if begun is None:
        raise NotAPerson(
            "This sign-in was not begun in this browser, or more than 10 minutes ago.",
            help="Begin it again here. Where that does not help, allow cookies for this page.",
        )
    code = await _code(request, provider, begun)
    claims = await provider.claims(code, begun.verifier, begun.nonce)
    who = arrived(claims, provider.registered)
    used = hashlib.sha256(f"oidc {begun.state}".encode()).hexdigest()
    if not await deps.sessions.once(used, 2 * STARTED_MS):
        raise NotAPerson("This sign-in was used already.", help="Sign in again.")
    return await _let_in(request, deps, provider, who, begun.to)


async def _code(request: web.Request, provider: Provider, begun: Begun) -> str:
    """Return the code, where it is an answer to what this browser asked. Raises NotAPerson."""
    query = request.query
    state = query.get("state", "")
    if len(set(query)) != len(query) or not hmac.compare_digest(
        state.encode("utf-8", "replace"), begun.state.encode()
    ):
        raise NotAPerson(
            "This is not the answer to the sign-in that this browser began.",
            help="Perhaps it was begun again in another tab. Begin it once more.",
        )
    issuer = provider.registered.issuer
    names_itself = (await provider.metadata()).names_itself
    if query.get("iss", "" if names_itself else issuer) != issuer:
        raise NotAPerson(
            "This answer comes from another provider than the one that was asked.",
            help="Sign in again. If it happens again, tell whoever runs Interlock.",
        )
    if "error" in query:
        error = query["error"]
        told = visible_line(query.get("error_description", "")[:300])
        log.warning("the provider refused: %s %s", visible_line(error[:60]), told)
        means = _MEANS.get(error, "The provider refused; the log of Interlock has its words.")
        raise NotAPerson(means, help="Sign in again, or ask whoever runs the provider.")
    code = query.get("code", "")
    if not 0 < len(code) <= 8192:
        raise NotAPerson("The provider sent no code.", help="Sign in again.")
    return code


async def _let_in(
    request: web.Request, deps: ApiDeps, provider: Provider, who: Arrived, to: str
) -> web.Response:
    await deps.sessions.close(request.cookies.get(deps.cookie, ""))
    kind, way = who.kinds[0], provider.registered.way
    cookie = await deps.sessions.open(who.person, kind, kinds=who.kinds, by=way)
    if Kind.APPROVER in who.kinds:
        await deps.desk.greet(who.person.id, sorted(who.person.groups))
    audit.info("%s signed in as %s by %s", who.person.id, kind.value, provider.registered.issuer)
    if who.unusable:
        log.info("%d groups of %s cannot be named here", who.unusable, who.person.id)
    session = await deps.sessions.find(cookie)
    response = _choice(request, session, to) if session else web.Response(status=500)
    set_cookie(response, deps, cookie)
    return response


def _choice(request: web.Request, session: Session, to: str) -> web.Response:
    """Go on; or first ask as what, where more than one fits."""
    return html(
        request,
        "oidc_signed_in.html",
        session=session,
        kinds=[kind.value for kind in session.kinds],
        token=session.token(SWITCHING),
        to=to,
    )


async def roles(request: web.Request) -> web.StreamResponse:
    """Offer the roles that this person may take."""
    visitor = await identify(request)
    if visitor is None or visitor.session is None:
        raise NotSignedIn
    return _choice(request, visitor.session, own_path(request.query.get("to", "")))


async def take_role(request: web.Request) -> web.StreamResponse:
    """Go on as another kind of person, in a session of its own."""
    deps, form = request.app[DEPS], await request.post()
    visitor = await identify(request)
    if visitor is None or visitor.session is None:
        raise NotSignedIn
    check_given(visitor, str(form.get("csrf", "")), SWITCHING)
    wanted = [kind for kind in visitor.session.kinds if kind.value == form.get("kind")]
    cookie = request.cookies.get(deps.cookie, "")
    changed = await deps.sessions.switch(cookie, wanted[0]) if wanted else None
    if changed is None:
        raise NotFound("That is none of your roles.")
    audit.info("%s goes on as %s", visitor.principal.id, wanted[0].value)
    response = web.Response(status=303, headers={"Location": own_path(str(form.get("to", "")))})
    set_cookie(response, deps, changed)
    return response


def _configured(deps: ApiDeps) -> OidcDoor:
    if deps.oidc is None:
        raise NotFound("Nobody signs in by OpenID Connect here: `people.oidc` is not configured.")
    return deps.oidc


def _cookie(deps: ApiDeps) -> str:
    return f"{deps.cookie}-oidc"


ROUTES = (
    Route(method="GET", path="/oidc/start", handler=start, kinds=None, page=True),
    Route(method="GET", path="/oidc/callback", handler=callback, kinds=None, page=True),
    Route(method="GET", path="/sign-in/role", handler=roles, kinds=None, page=True),
    Route(method="POST", path="/sign-in/role", handler=take_role, kinds=None, page=True),
)
