"""The people's API: list, show, preview, decide, resolve. Looking never decides."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping

from aiohttp import web

from ..core.actions import Action, Review, State, Verdict
from ..core.decisions import Decision, Level
from ..core.errors import (
    Forbidden,
    IllegalTransition,
    InvalidEdit,
    Lapsed,
    MalformedCall,
    NotFound,
    StaleVersion,
)
from ..core.identity import Kind
from ..core.masking import NO_MASKS, Masks
from ..core.redaction import visible_line
from . import granting, judged, models, openapi, views
from . import policy as policy_routes
from .access import VISITOR, Route, Visitor, add_routes, check_token, refuse
from .bodies import answer, read, version_seen
from .deps import DEPS, ApiDeps
from .events import FEED, Feed, stream
from .identity import deciding
from .rights import barred, rights

audit = logging.getLogger("interlock.audit")

PEOPLE = frozenset({Kind.APPROVER, Kind.ADMIN})
_ID = r"{id:[A-Za-z0-9_-]{1,64}}"
_CURSOR = re.compile(r"[0-9]{1,20}-[0-9A-Za-z_-]{1,64}", re.ASCII)
_FILTERS = frozenset({"state", "level", "agent", "tool", "limit", "cursor"})
_SESSION_CALLS = 20
_MOST, _USUAL = 200, 50


def add_api(app: web.Application, deps: ApiDeps) -> None:
    """Add the people's API to *app*, with the checks of the whole listener."""
    app[FEED] = Feed(deps)
    app.on_shutdown.append(_close_feed)
    add_routes(app, deps, ROUTES)


async def _close_feed(app: web.Application) -> None:
    await app[FEED].close()


# looking ------------------------------------------------------------------------------------


async def list_approvals(request: web.Request) -> web.Response:
    return answer(await queue(request))


async def queue(request: web.Request) -> models.Queue:
    """Return held actions by stake, then age; with `state`, recent ones in that state."""
    deps, asked = request.app[DEPS], _query(request)
    limit = _limit(asked.get("limit", str(_USUAL)))
    wanted, cursor = _state(asked.get("state", "held")), asked.get("cursor")
    if cursor is not None and not _CURSOR.fullmatch(cursor):
        raise MalformedCall("`cursor` must be the `next` of an earlier answer.")
    if wanted is State.HELD:
        listed = await deps.store.held(cursor, limit)
        found, following, total = listed.actions, listed.next, listed.total
    elif wanted is State.UNKNOWN:
        found, following = await deps.store.unknown(limit), None
        total = len(found)
    else:
        every = await deps.store.recent(_MOST)
        found = tuple(a for a in every if a.state is wanted or wanted is None)[:limit]
        following, total = None, len(found)
    kept = [action for action in found if _matches(action, asked)]
    return models.Queue(
        items=await cards(deps, kept), next=following, total=total, now=await deps.store.now()
    )


def _query(request: web.Request) -> dict[str, str]:
    asked = dict(request.query)
    if len(asked) != len(request.query) or asked.keys() - _FILTERS:
        names = ", ".join(sorted(_FILTERS))
        raise MalformedCall(f"Each query parameter may be given once, and only these: {names}.")
    if "level" in asked and asked["level"] not in {level.word for level in Level}:
        raise MalformedCall("`level` must be one of " + ", ".join(level.word for level in Level))
    return asked


def _state(word: str) -> State | None:
    """Return the state asked for; None for `recent`: what was decided lately, in any state."""
    if word == "recent":
        return None
    try:
        return State(word)
    except ValueError:
        words = ", ".join(state.value for state in State)
        raise MalformedCall(f"`state` must be `recent` or one of {words}.") from None


def _limit(word: str) -> int:
    if not re.fullmatch("[0-9]{1,3}", word, re.ASCII) or not 1 <= int(word) <= _MOST:
        raise MalformedCall(f"`limit` must be a number from 1 to {_MOST}.")
    return int(word)


def _matches(action: Action, asked: dict[str, str]) -> bool:
    decision = action.decision
    said = {
        "agent": action.call.agent.id,
        "level": decision.level.word if decision else "",
        "tool": decision.tool if decision else "",
    }
    return all(asked.get(name, value) == value for name, value in said.items())


async def cards(deps: ApiDeps, actions: list[Action] | tuple[Action, ...]) -> list[models.Card]:
    waiting = await deps.store.attended([action.id for action in actions])
    return [
        views.card(action, waits, deps.upstreams, views.masks(action))
        for action, waits in zip(actions, waiting, strict=True)
    ]


async def show_approval(request: web.Request) -> web.Response:
    shown = await item(request)
    return answer(shown, headers={"ETag": f'"{shown.card.version}"'})


async def item(request: web.Request, *, limit: int = 0) -> models.Item:
    """Return the action that the path names, without what policy hides of it.

    With a *limit* in bytes, bodies beyond it and the arguments read from them are left out, and
    `whole` is false: the page then asks for all of it before it lets anybody approve.
    """
    action = await shown_action(request)
    return await _item(request, action, views.masks(action), limit)


async def reveal_approval(request: web.Request) -> web.Response:
    action = await shown_action(request)
    check_token(request, request[VISITOR], deciding(action.digest))
    shown = await revealed(request, action)
    return answer(shown, headers={"ETag": f'"{shown.card.version}"'})


async def revealed(request: web.Request, action: Action) -> models.Item:
    """Return everything about *action*, and record who had it shown.

    Raises:
        Forbidden: the call is not this person's to decide.
    """
    deps, who = request.app[DEPS], request[VISITOR].principal
    why = barred(action, who, await deps.store.now())
    if why:
        raise Forbidden(f"{why} What policy hides is shown to nobody else.")
    hidden = action.decision.redacted if action.decision else ()
    if hidden:
        said = (action.id, who.id, ",".join(hidden), action.digest[:12])
        audit.warning("call %s revealed by=%s arguments=%s digest=%s", *map(visible_line, said))
        deps.revealed()
    return await _item(request, action, NO_MASKS, 0)


async def _item(request: web.Request, action: Action, masks: Masks, limit: int) -> models.Item:
    deps, visitor = request.app[DEPS], request[VISITOR]
    call, decision, now = action.call, action.decision, await deps.store.now()
    whole = not limit or views.weight(action) <= limit
    may, session = rights(action, visitor.principal, now), visitor.session
    task = judged.task_of(call, decision)
    waits = (await deps.store.attended([action.id]))[0]
    # a form without all of the arguments would leave some out
    partial = bool(masks) or not whole
    return models.Item(
        card=views.card(action, waits, deps.upstreams, masks),
        owner=visible_line(call.agent.owner),
        call=views.call_view(call, deps.upstreams, masks, limit=0 if whole else 1),
        arguments=views.arguments(decision, masks) if whole else [],
        changes=_edits(deps, action, masks) if whole else [],
        decision=judged.judgement(decision, action, now, masks, task[0]) if decision else None,
        context=views.claims(call, task, masks),
        warnings=views.warned(call, decision, task[0], masks),
        votes=views.votes(action),
        history=views.history(await deps.store.history(action.id), masks),
        earlier=await cards(deps, await deps.store.session(action, _SESSION_CALLS)),
        args_schema=schema(deps, action),
        may=may.model_copy(update={"edit": False}) if partial else may,
        redacted=[visible_line(name) for name in masks.names],
        grant=granting.offered(deps, action, masks, task[0]),
        whole=whole,
        csrf=session.token(deciding(action.digest)) if session else "",
        now=now,
    )


def schema(deps: ApiDeps, action: Action) -> dict[str, object] | None:
    """Return the JSON Schema of the tool's arguments, where policy has one."""
    tool = deps.gate.policy.tools.get(action.decision.tool) if action.decision else None
    return dict(tool.args_schema) if tool and tool.args_schema is not None else None


def _edits(deps: ApiDeps, action: Action, masks: Masks) -> list[models.Difference]:
    if action.original is None or action.decision is None:
        return []
    read = deps.gate.read(action.original)
    hidden = Masks(read.arguments, read.sources, read.redacted) if masks else NO_MASKS
    before = (action.original, read, hidden)
    return views.differences(before, (action.call, action.decision, masks))


async def _found(request: web.Request) -> Action:
    action = await request.app[DEPS].gate.get(request.match_info["id"])
    if action is None:
        raise NotFound(f"There is no call {request.match_info['id']} (any more).")
    return action


async def shown_action(request: web.Request) -> Action:
    """Return the action asked for, where its record is what Interlock wrote."""
    action = await _found(request)
    if not request.app[DEPS].gate.genuine(action):
        raise IllegalTransition(
            "The record of this call was changed outside Interlock: what it shows cannot be"
            " trusted, and it is not sent. Reject it with `interlock reject`, and look who can"
            " write to the store."
        )
    return action


# deciding -----------------------------------------------------------------------------------


async def preview(request: web.Request) -> web.Response:
    """Answer an edit as it would be sent and judged; nothing changes."""
    deps, asked = request.app[DEPS], await read(request, models.PreviewRequest)
    action = await shown_action(request)
    if action.decision is None:
        raise IllegalTransition("The call was never decided by policy.")
    call, decision = await deps.gate.preview(action, asked.edited_args)
    why = _unacceptable(action, call.digest, decision.level)
    hidden, task = _unknown(action.decision, asked.edited_args), judged.task_of(call, decision)
    now = await deps.store.now()
    before = (action.call, action.decision, hidden)
    return answer(
        models.Preview(
            digest=call.digest,
            call=views.call_view(call, deps.upstreams, hidden),
            changes=views.differences(before, (call, decision, NO_MASKS)),
            decision=judged.judgement(decision, action, now, hidden, task[0]),
            acceptable=not why,
            why=why,
            warnings=views.warned(call, decision, task[0], hidden),
        )
    )


def _unknown(decision: Decision, given: Mapping[str, object]) -> Masks:
    """Hide, of what policy hides, what the person has not shown to know by sending it."""
    known = decision.arguments
    names = [name for name in decision.redacted if name not in given or given[name] != known[name]]
    return Masks(known, {}, names)


def _unacceptable(action: Action, digest: str, level: Level) -> str:
    held = action.decision.level if action.decision else Level.DENY
    if digest == action.digest:
        return "The edit changes nothing; approve the call instead."
    if level > held:
        return f"Policy asks for {level.word} of this, more than the {held.word} it is held for."
    return ""


async def decide(request: web.Request) -> web.Response:
    """Record a decision about the digest and the version that the person saw."""
    deps, visitor = request.app[DEPS], request[VISITOR]
    asked = await read(request, models.DecisionRequest)
    version = version_seen(request)
    check_token(request, visitor, deciding(asked.digest))
    action = await _found(request)
    review = await _review(deps, action, visitor, asked, version)
    grant = granting.asked_for(deps, action, asked)
    try:
        after = await deps.gate.review(action.id, review, grant=grant)
    except (IllegalTransition, Lapsed, StaleVersion) as error:
        current = await deps.gate.get(action.id)
        return refuse(error, current=_outcome(current).model_dump() if current else None)
    return answer(_outcome(after), headers={"ETag": f'"{after.version}"'})


async def _review(
    deps: ApiDeps, action: Action, visitor: Visitor, asked: models.DecisionRequest, version: int
) -> Review:
    if (asked.edited_args is not None) is not (asked.type == "edit"):
        raise MalformedCall("`edited_args` belongs to `edit`, and `edit` needs it.")
    call = None
    # of a call that moved on, the gate says what became of it, or that this is a repeat
    if asked.edited_args is not None and action.digest == asked.digest:
        call, _ = await deps.gate.preview(action, asked.edited_args)
        if asked.edited_digest is not None and asked.edited_digest != call.digest:
            raise InvalidEdit("The edit is not what the preview showed; preview it again.")
    return Review(
        reviewer=visitor.reviewer,
        verdict=Verdict(asked.type),
        digest=asked.digest,
        version=version,
        message=asked.message,
        reason_code=asked.reason_code,
        call=call,
    )


def _outcome(action: Action) -> models.Outcome:
    return models.Outcome(
        id=action.id,
        state=action.state.value,
        version=action.version,
        digest=action.digest,
        votes=len(action.votes),
        quorum=action.decision.quorum if action.decision else 1,
        said=views.outcome(action),
    )


async def resolve(request: web.Request) -> web.Response:
    """Settle an unknown outcome with what an admin found out."""
    asked = await read(request, models.ResolveRequest)
    deps, by = request.app[DEPS], request[VISITOR].principal.id
    after = await deps.gate.resolve(request.match_info["id"], by, asked.happened, asked.message)
    return answer(_outcome(after))


async def document(request: web.Request) -> web.Response:
    return web.json_response(openapi.document(request.app[DEPS].url))


ROUTES = (
    Route(method="GET", path="/v1/approvals", handler=list_approvals, kinds=PEOPLE),
    Route(method="GET", path=f"/v1/approvals/{_ID}", handler=show_approval, kinds=PEOPLE),
    Route(
        method="POST",
        path=f"/v1/approvals/{_ID}/preview",
        handler=preview,
        kinds=frozenset({Kind.APPROVER}),
    ),
    Route(
        method="POST",
        path=f"/v1/approvals/{_ID}/decision",
        handler=decide,
        kinds=frozenset({Kind.APPROVER}),
    ),
    Route(
        method="POST",
        path=f"/v1/approvals/{_ID}/resolve",
        handler=resolve,
        kinds=frozenset({Kind.ADMIN}),
    ),
    Route(
        method="POST",
        path=f"/v1/approvals/{_ID}/reveal",
        handler=reveal_approval,
        kinds=frozenset({Kind.APPROVER}),
    ),
    *granting.ROUTES,
    *policy_routes.ROUTES,
    Route(method="GET", path="/v1/events", handler=stream, kinds=PEOPLE),
    Route(method="GET", path="/openapi.json", handler=document, kinds=None),
)
