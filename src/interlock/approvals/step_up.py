"""A decision signed with the person's security key or passkey: one decision, one use.

Who stole a session, or made somebody press a button, has no signature: it is made by an
authenticator that has verified its person, over this action, these bytes, this version, this
verdict and this person, and a question that is used up when it is answered.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from dataclasses import replace

from aiohttp import web

from ..core.actions import Action, State
from ..core.errors import Forbidden, InterlockError, MalformedCall, StaleVersion, StepUpNeeded
from ..core.redaction import visible_line
from ..people_ports import Authenticator, Authenticators, Challenge
from . import showing
from .access import APPROVERS, VISITOR, Route, Visitor, check_token
from .bodies import answer, read
from .deps import DEPS, ApiDeps
from .identity import deciding
from .models_credentials import StepUpOptions, StepUpRequest
from .models_decisions import DecisionRequest
from .models_signed import StepUp
from .problems import GrantRefused
from .relying_party import elsewhere, relying_party

audit = logging.getLogger("interlock.audit")
_SIGNED = frozenset({"approve", "edit"})  #: verdicts that let something out
_ASKING = "name of the session that asks"  #: for counting; it is no CSRF token of anything
_TRIES = 3  #: an authenticator that is used in two tabs at once
_GONE = (
    "What was signed is not known here: it was used already, or is older than five minutes."
    " Nothing was decided; sign again."
)


async def stepped_up(
    deps: ApiDeps,
    visitor: Visitor,
    action: Action,
    asked: DecisionRequest,
    cleared_digest: str,
    version: int,
) -> str:
    """Return the id of the authenticator that signed this very decision; empty: none has to.

    *cleared_digest*: of what would be sent, so for an edit that of its result.

    Raises:
        StepUpNeeded: policy asks for a signature, and there is none that is still good.
        Forbidden: it is for something else, does not hold, or cannot be made with an API key.
        GrantRefused: a grant would go with it, which is for more calls than the one signed.
    """
    if asked.step_up is None:
        _unsigned(visitor, action, asked)
        return ""
    if asked.type not in _SIGNED:
        raise MalformedCall("`step_up` belongs to `approve` and `edit`.")
    if asked.grant is not None:
        raise GrantRefused(
            "What is signed is this one call, so no grant goes with it. Nothing was decided:"
            " approve it without."
        )
    person = in_browser(visitor)
    subject = deciding_on(action.id, cleared_digest, version, asked.type, person)
    return (await proven(deps, person, asked.step_up, subject)).id


def _unsigned(visitor: Visitor, action: Action, asked: DecisionRequest) -> None:
    """Raise where a signature is needed; of a call that moved on, the gate says what became."""
    decision = action.decision
    current = action.state is State.HELD and action.digest == asked.digest
    if asked.type in _SIGNED and current and decision is not None and decision.step_up:
        in_browser(visitor)
        raise StepUpNeeded(
            "Policy asks for your security key or passkey to approve this. Nothing was decided.",
            help="Decide it on the page; you add a security key or passkey at /me.",
        )


def in_browser(visitor: Visitor) -> str:
    """Return who this is. Raises Forbidden for an API key: a script has no authenticator."""
    if visitor.session is None:
        raise Forbidden(
            "This needs a person's security key or passkey, which neither an API key nor a chat"
            " has: decide this on the page."
        )
    return visitor.principal.id


def deciding_on(
    action_id: str, digest: str, version: int, verdict: str, person: str
) -> tuple[str, ...]:
    """Return all that the signature of a decision is good for."""
    return ("decide", action_id, digest, str(version), verdict, person)


def kept(deps: ApiDeps) -> Authenticators:
    """Return where authenticators are kept. Raises Forbidden where they are not."""
    if deps.authenticators is None:
        raise Forbidden("This installation keeps no security keys and passkeys.")
    return deps.authenticators


async def warm() -> None:
    """Load what verifies signatures, in a thread: it takes a quarter of a second, once."""
    await asyncio.to_thread(importlib.import_module, f"{__package__}.ceremonies")


async def proven(
    deps: ApiDeps, person: str, given: StepUp, subject: tuple[str, ...]
) -> Authenticator:
    """Return the authenticator of *person* that signed *subject* with *given*; uses it up.

    Raises:
        StepUpNeeded: the question is not open any more, or it was used meanwhile.
        Forbidden: the signature is for something else, or does not hold.
    """
    try:
        await warm()
        challenge = await kept(deps).take(given.challenge_id)
        if challenge is None:
            raise StepUpNeeded(_GONE)
        if challenge.subject != subject:
            raise Forbidden("The signature is for something else; nothing was decided.")
        return await _verified(deps, person, given, challenge)
    except (StepUpNeeded, Forbidden) as error:
        _refused(person, given, subject, error)
        raise


async def _verified(
    deps: ApiDeps, person: str, given: StepUp, challenge: Challenge
) -> Authenticator:
    from . import ceremonies

    party, store = relying_party(deps.url), kept(deps)
    for _ in range(_TRIES):
        mine = await store.of(person)
        which = next((each for each in mine if each.id == given.credential.id), None)
        if which is None:
            raise Forbidden("This security key or passkey is not one of yours here (any more).")
        found = ceremonies.signed(party, which, given.credential, challenge)
        after = replace(
            which,
            sign_count=found.sign_count,
            backed_up=found.backed_up,
            used=await deps.store.now(),
        )
        if await store.signed(which, after):
            return after
    raise StepUpNeeded("The authenticator is used elsewhere at this moment; sign again.")


def _refused(person: str, given: StepUp, subject: tuple[str, ...], error: InterlockError) -> None:
    said = (" ".join(subject[:-1]), person, given.credential.id, error.detail)
    audit.warning("signature refused for=%s by=%s authenticator=%s: %s", *map(visible_line, said))


async def question(deps: ApiDeps, visitor: Visitor, subject: tuple[str, ...]) -> Challenge:
    """Return a new question to the visitor; those of one session have a bound of their own.

    Raises:
        Forbidden: they came with an API key.
        TooMany: too many of theirs are open.
    """
    person, session = in_browser(visitor), visitor.session
    name = session.token(_ASKING)[:32] if session else ""
    return await kept(deps).ask(person, subject, session=name)


async def options(
    deps: ApiDeps, visitor: Visitor, mine: tuple[Authenticator, ...], subject: tuple[str, ...]
) -> StepUpOptions:
    """Return what the browser needs to have *subject* signed by one of *mine*."""
    await warm()
    from . import ceremonies

    party = relying_party(deps.url)
    challenge = await question(deps, visitor, subject)
    return StepUpOptions(
        challenge_id=challenge.id,
        expires=challenge.expires,
        origin=party.origin,
        options=ceremonies.request(party, mine, challenge),
    )


async def step_up(request: web.Request) -> web.Response:
    """Ask for a signature of one decision; nothing is decided by asking."""
    deps, visitor = request.app[DEPS], request[VISITOR]
    person = in_browser(visitor)
    asked = await read(request, StepUpRequest)
    check_token(request, visitor, deciding(asked.digest))
    if (asked.edited_digest is not None) is not (asked.type == "edit"):
        raise MalformedCall("`edited_digest` belongs to `edit`, and `edit` needs it.")
    action = await showing.found(request)
    if (action.digest, action.version) != (asked.digest, asked.version):
        raise StaleVersion
    mine = await kept(deps).of(person)
    if not mine:
        where = elsewhere(deps.url)
        raise StepUpNeeded(
            "You have no security key or passkey here yet.",
            help=f"Add one at {where}/me, within ten minutes of signing in.",
        )
    cleared = asked.edited_digest or asked.digest
    subject = deciding_on(action.id, cleared, asked.version, asked.type, person)
    return answer(await options(deps, visitor, mine, subject))


ROUTES = (
    Route(
        method="POST",
        path=r"/v1/approvals/{id:[A-Za-z0-9_-]{1,64}}/step-up",
        handler=step_up,
        kinds=APPROVERS,
    ),
)
