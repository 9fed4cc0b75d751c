"""Security keys and passkeys as their people add, see and remove them. API keys do none of it."""

from __future__ import annotations

import logging

from aiohttp import web

from ..core.errors import Forbidden, IllegalTransition, MalformedCall, NotFound, StepUpNeeded
from ..core.redaction import visible_line
from ..people_ports import Added, Authenticator
from .access import APPROVERS, VISITOR, Route, Visitor, check_token
from .bodies import answer, read
from .deps import DEPS, ApiDeps
from .models_credentials import (
    CredentialList,
    CredentialOptions,
    CredentialOptionsRequest,
    CredentialRequest,
    CredentialView,
    RemovalRequest,
)
from .relying_party import obstacle, relying_party
from .step_up import in_browser, kept, options, proven, question, warm

audit = logging.getLogger("interlock.audit")
AUTHENTICATORS = "authenticators"  #: the purpose of the token that adds and removes them
FRESH_MS = 600_000  #: how long after its sign-in a session may add a person's first
_OLD = (
    "Your first security key or passkey can be added within ten minutes of signing in; sign in"
    " again."
)


async def _why_not(deps: ApiDeps, visitor: Visitor, mine: tuple[Authenticator, ...]) -> str:
    """Return why this person adds none now, or nothing."""
    if why := obstacle(deps.url):
        return why
    session = visitor.session
    if mine or (session and abs(await deps.store.now() - session.opened) <= FRESH_MS):
        return ""
    return _OLD


async def show(request: web.Request) -> web.Response:
    return answer(await listed(request))


async def listed(request: web.Request) -> CredentialList:
    """Return what the visitor has, and why they can add none. Raises Forbidden: not a session."""
    deps, visitor = request.app[DEPS], request[VISITOR]
    mine = await kept(deps).of(in_browser(visitor))
    why = await _why_not(deps, visitor, mine)
    return CredentialList(
        items=[_view(each) for each in mine],
        why_not=why,
        origin="" if obstacle(deps.url) else relying_party(deps.url).origin,
        csrf=visitor.session.token(AUTHENTICATORS) if visitor.session else "",
        now=await deps.store.now(),
    )


def _view(each: Authenticator) -> CredentialView:
    return CredentialView(
        id=each.id,
        label=visible_line(each.label),
        created=each.created,
        used=each.used,
        synced=each.synced,
        backed_up=each.backed_up,
        transports=list(each.transports),
    )


async def begin(request: web.Request) -> web.Response:
    """Ask for what adding or removing one needs; nothing changes by asking."""
    deps, visitor = request.app[DEPS], request[VISITOR]
    person = in_browser(visitor)
    check_token(request, visitor, AUTHENTICATORS)
    asked = await read(request, CredentialOptionsRequest)
    if (asked.id is not None) is not (asked.purpose == "remove"):
        raise MalformedCall("`id` belongs to `remove`, and `remove` needs it.")
    mine = await kept(deps).of(person)
    if asked.id is not None:
        _one_of(mine, asked.id)
        confirm = await options(deps, visitor, mine, ("remove", asked.id, person))
        none = CredentialOptions(origin=confirm.origin, challenge_id="", create=None, confirm=None)
        return answer(none.model_copy(update={"confirm": confirm}))
    if why := await _why_not(deps, visitor, mine):
        raise Forbidden(why)
    return answer(await _creation(deps, visitor, mine))


async def _creation(
    deps: ApiDeps, visitor: Visitor, mine: tuple[Authenticator, ...]
) -> CredentialOptions:
    await warm()
    from . import ceremonies

    party, person = relying_party(deps.url), in_browser(visitor)
    challenge = await question(deps, visitor, ("add", person))
    confirm = await options(deps, visitor, mine, _adding(challenge.id, person)) if mine else None
    return CredentialOptions(
        origin=party.origin,
        challenge_id=challenge.id,
        create=ceremonies.creation(party, person, mine, challenge),
        confirm=confirm,
    )


def _adding(challenge_id: str, person: str) -> tuple[str, ...]:
    return ("confirm", challenge_id, person)


def _one_of(mine: tuple[Authenticator, ...], id_: str) -> Authenticator:
    for each in mine:
        if each.id == id_:
            return each
    raise NotFound("This is not one of your security keys and passkeys.")


async def add(request: web.Request) -> web.Response:
    """Keep a new authenticator, once it is verified and an earlier one has confirmed it."""
    deps, visitor = request.app[DEPS], request[VISITOR]
    person = in_browser(visitor)
    check_token(request, visitor, AUTHENTICATORS)
    asked = await read(request, CredentialRequest)
    mine = await kept(deps).of(person)
    if why := await _why_not(deps, visitor, mine):
        raise Forbidden(why)
    if mine and asked.confirmed is None:
        raise StepUpNeeded("Confirm it with a security key or passkey that you have.")
    if asked.confirmed is not None:
        await proven(deps, person, asked.confirmed, _adding(asked.challenge_id, person))
    made = await _made(deps, person, asked)
    added = await kept(deps).add(made, first=not mine)
    if added is not Added.OK:
        known = added is Added.KNOWN
        raise IllegalTransition(
            "You have added this one before." if known else "You have another one by now; reload."
        )
    _recorded("added", made, made.id if asked.confirmed is None else asked.confirmed.credential.id)
    return answer(_view(made))


async def _made(deps: ApiDeps, person: str, asked: CredentialRequest) -> Authenticator:
    await warm()
    from . import ceremonies

    challenge = await kept(deps).take(asked.challenge_id)
    if challenge is None or challenge.subject != ("add", person):
        raise StepUpNeeded("This took longer than five minutes, or was done already; try again.")
    found = ceremonies.made(relying_party(deps.url), asked.credential, challenge)
    return Authenticator(
        id=found.id,
        person=person,
        public_key=found.public_key,
        label=asked.label.strip() or "authenticator",
        transports=ceremonies.transports(asked.credential.response.transports),
        synced=found.synced,
        backed_up=found.backed_up,
        sign_count=found.sign_count,
        created=await deps.store.now(),
    )


async def remove(request: web.Request) -> web.Response:
    """Take one away for good, on the word of one that the person has."""
    deps, visitor = request.app[DEPS], request[VISITOR]
    person = in_browser(visitor)
    check_token(request, visitor, AUTHENTICATORS)
    asked = await read(request, RemovalRequest)
    which = request.match_info["id"]
    _one_of(await kept(deps).of(person), which)
    by = await proven(deps, person, asked.confirmed, ("remove", which, person))
    gone = _one_of(await kept(deps).of(person), which)
    if not await kept(deps).remove(gone, await deps.store.now()):
        raise IllegalTransition("It was used or removed at this moment; load the page again.")
    _recorded("removed", gone, by.id)
    return answer(_view(gone))


def _recorded(what: str, which: Authenticator, by: str) -> None:
    said = (which.person, which.id, which.label, by)
    audit.warning(
        "authenticator %s person=%s id=%s label=%s confirmed-by=%s", what, *map(visible_line, said)
    )


_MINE = "/v1/me/credentials"
ROUTES = (
    Route(method="GET", path=_MINE, handler=show, kinds=APPROVERS),
    Route(method="POST", path=f"{_MINE}/options", handler=begin, kinds=APPROVERS),
    Route(method="POST", path=_MINE, handler=add, kinds=APPROVERS),
    Route(
        method="DELETE",
        path=_MINE + "/{id:[A-Za-z0-9_-]{1,1400}}",
        handler=remove,
        kinds=APPROVERS,
    ),
)
