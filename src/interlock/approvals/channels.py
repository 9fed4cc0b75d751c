"""Decisions from chats: Slack's buttons. Checked, acknowledged at once, then done.

A press decides exactly as a request to the API does: the same person, version, digest, rules.
"""

from __future__ import annotations

import json
import logging
from dataclasses import replace

from aiohttp import web

from ..core import tickets
from ..core.actions import Action, Review, State, Verdict
from ..core.errors import (
    CallTooLarge,
    Forbidden,
    IllegalTransition,
    InterlockError,
    Lapsed,
    NotFound,
    StaleVersion,
)
from ..core.identity import Kind, Principal
from ..core.redaction import visible_line
from ..core.wording import outcome
from ..tasks import Tasks
from .access import Route
from .deciding import take
from .deps import DEPS, ApiDeps
from .reasons import REASONS
from .rights import barred
from .slack import (
    VERDICTS,
    Interaction,
    NotSlack,
    Pressed,
    SlackDoor,
    Submitted,
    Verification,
    interaction,
    proven,
)

audit = logging.getLogger("interlock.audit")
log = logging.getLogger("interlock")

MOST = 512 * 1024  #: bytes of a request; Slack posts the message with each press
DRAIN = 5.0  #: seconds that presses under way get at shutdown
TASKS: web.AppKey[Tasks] = web.AppKey("presses", Tasks)
_PRACTICE = {
    "reject": "This was a practice call, like one that people rejected, and you saw it. Thank you.",
    "approve": "This was a practice call, like one that people rejected. You approved it; nothing"
    " was sent. Its page says what was wrong with it.",
}
_OTHERS = {
    "signature": "it is not signed by Slack",
    "old": "it is old, or the clock of this machine is wrong",
    "app": "it is of another app",
    "team": "it is of another workspace",
}


def add_channels(app: web.Application) -> None:
    """Give *app* what presses run in. Called once, before it is served."""
    app[TASKS] = Tasks()
    app.on_shutdown.append(_drain)


async def _drain(app: web.Application) -> None:
    await app[TASKS].drain(DRAIN)


async def slack(request: web.Request) -> web.Response:
    """Take what Slack posts. Answers at once; what it says then appears in Slack."""
    deps = request.app[DEPS]
    door = deps.slack
    if door is None:
        raise NotFound("Slack is not set up here, or may not decide; see docs/channels.md.")
    raw = await _body(request)
    try:
        for name in ("X-Slack-Signature", "X-Slack-Request-Timestamp"):
            if len(request.headers.getall(name, [])) != 1:
                raise NotSlack("signature")
        proven(door, request.headers, raw)
        asked = interaction(door, request.content_type, raw)
    except NotSlack as why:
        _refused(deps, str(why), "-")
        raise Forbidden(f"This is not for us: {_OTHERS[str(why)]}.") from None
    return _acknowledged(request, deps, door, asked)


async def _body(request: web.Request) -> bytes:
    if (request.content_length or 0) > MOST:
        raise CallTooLarge(f"Slack's requests have at most {MOST} bytes.")
    raw = await request.read()
    if len(raw) > MOST:
        raise CallTooLarge(f"Slack's requests have at most {MOST} bytes.")
    return raw


def _acknowledged(
    request: web.Request, deps: ApiDeps, door: SlackDoor, asked: Interaction | None
) -> web.Response:
    match asked:
        case Verification():
            return web.Response(text=asked.challenge)
        case Submitted(required=True, reason="", code=""):
            errors = {"reason": "Policy asks for a reason: choose one above or write it here."}
            said = json.dumps({"response_action": "errors", "errors": errors})
            return web.Response(text=said, content_type="application/json")
        case Pressed() | Submitted():
            request.app[TASKS].spawn(_handled(deps, door, asked), "slack")
    return web.Response()


async def _handled(deps: ApiDeps, door: SlackDoor, asked: Pressed | Submitted) -> None:
    """Do what was asked for, and tell whoever asked where it could not be done."""
    try:
        try:
            said = await _done(deps, door, asked)
        except InterlockError as error:
            said = _refusal(error)
        if said:
            await door.talk.whisper(asked.response_url, said)
    except Exception:  # outermost: nobody waits for this task, and the press can be repeated
        log.exception("a press of a button in Slack was not dealt with to its end")


async def _done(deps: ApiDeps, door: SlackDoor, asked: Pressed | Submitted) -> str:
    """Return what the person is told, if anything. Raises InterlockError."""
    person = door.people.get(asked.user)
    if person is None:
        _refused(deps, "person", asked.user)
        return f"You may not decide here. Open the page and sign in: {deps.url}/review"
    ticket = await _ticket(door, asked)
    if ticket is None:
        _refused(deps, "ticket", asked.user)
        return "This button does not belong to this message. Nothing was decided; open the page."
    action = await deps.gate.get(ticket.action)
    if action is None:
        return "There is no such call any more."
    who = Principal(kind=Kind.APPROVER, id=person.id, groups=person.groups)
    now = await deps.store.now()
    if action.state is not State.HELD or now >= ticket.expires:
        return await _late(door, action)
    why = barred(action, who, now, await deps.desk.stands_in(person.id))
    if why:
        _refused(deps, "rights", asked.user)
        return f"{why} Nothing was decided."
    await deps.desk.greet(person.id, sorted(person.groups))
    if ticket.verdict == "approve" and not await _simple(deps, door, action):
        await door.talk.redraw(action.id)
        return "This is not approved in Slack any more. Nothing was decided; open the page."
    if isinstance(asked, Pressed) and ticket.verdict == "reject":
        return await _ask(deps, door, asked, ticket, action)
    return await _reviewed(deps, door, asked, ticket, action)


async def _simple(deps: ApiDeps, door: SlackDoor, action: Action) -> bool:
    """Say whether Slack may approve this under policy as it was, and as it is."""
    return door.talk.may_approve(action, await deps.gate.judge(action.call, action.id))


async def _ticket(door: SlackDoor, asked: Pressed | Submitted) -> tickets.Ticket | None:
    """Return the ticket of a button or a form, where it belongs to whoever sends it."""
    text = asked.value if isinstance(asked, Pressed) else asked.ticket
    ticket = tickets.read(text, door.key)
    if ticket is None or ticket.channel != "slack":
        return None
    if isinstance(asked, Submitted):
        return ticket if ticket.verdict == "reject" and ticket.holder == asked.user else None
    if ticket.verdict != VERDICTS[asked.name] or ticket.holder:
        return None
    return ticket if await door.talk.stands_at(ticket.action, asked.channel, asked.ts) else None


async def _ask(
    deps: ApiDeps, door: SlackDoor, asked: Pressed, ticket: tickets.Ticket, action: Action
) -> str:
    decision = action.decision
    required = decision is not None and "reject" in decision.require_reason
    held_by = replace(ticket, holder=asked.user)
    opened = await door.talk.ask_reason(
        asked.trigger, asked.response_url, held_by, action, _reasons(deps), required=required
    )
    return "" if opened else "Slack did not open the form. Press again, or open the page."


async def _reviewed(
    deps: ApiDeps,
    door: SlackDoor,
    asked: Pressed | Submitted,
    ticket: tickets.Ticket,
    action: Action,
) -> str:
    person, reason, code = door.people[asked.user], "", ""
    if isinstance(asked, Submitted):
        code = asked.code
        reason = asked.reason or dict(_reasons(deps)).get(code, "")
    review = Review(
        reviewer=person,
        verdict=Verdict(ticket.verdict),
        digest=ticket.digest,
        version=ticket.version,
        message=reason,
        reason_code=code,
    )
    try:
        after = await take(deps, action, review)
    except (IllegalTransition, Lapsed, StaleVersion) as error:
        current = await deps.gate.get(ticket.action)
        if current is None or current.state is State.HELD:
            await door.talk.redraw(ticket.action)
            return _refusal(error)
        return await _late(door, current)
    said = (after.id, ticket.verdict, person.id, asked.user)
    audit.info("call %s %s by=%s through=slack user=%s", *map(visible_line, said))
    await door.talk.redraw(after.id)
    return _PRACTICE[ticket.verdict] if after.decoy_of else ""


def _refusal(error: InterlockError) -> str:
    done = "Nothing was decided."
    return error.detail if done in error.detail else f"{error.detail} {done}"


def _reasons(deps: ApiDeps) -> tuple[tuple[str, str], ...]:
    return deps.gate.policy.attention.reasons or REASONS


async def _late(door: SlackDoor, action: Action) -> str:
    await door.talk.redraw(action.id)
    if action.state is State.HELD:
        return "The time to decide is over; the call will not be sent."
    return f"Already decided. {outcome(action) or action.state.value}."


def _refused(deps: ApiDeps, why: str, user: str) -> None:
    audit.warning("a press in Slack was refused: %s, user=%s", why, visible_line(user[:60]))
    deps.channel_refused("slack", why)


ROUTES = (Route(method="POST", path="/v1/channels/slack", handler=slack, kinds=None),)
