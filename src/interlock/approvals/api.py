"""The people's API: list, show, preview, decide, resolve. Looking never decides."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from aiohttp import web

from ..core import wording
from ..core.actions import Action, State, ToolCall
from ..core.decisions import Decision, Level
from ..core.errors import (
    Forbidden,
    IllegalTransition,
    Lapsed,
    MalformedCall,
    StaleVersion,
)
from ..core.identity import Kind, Principal
from ..core.masking import NO_MASKS, Masks
from ..core.redaction import visible_line
from . import (
    agents,
    analytics,
    audits,
    batch,
    channels,
    credentials,
    deciding,
    definitions,
    desk,
    feedback,
    granting,
    history,
    judged,
    links,
    listing,
    narrowing,
    notifications,
    openapi,
    practice,
    reports,
    showing,
    signing_out,
    step_up,
    undo,
    views,
)
from . import policy as policy_routes
from .access import APPROVERS, PEOPLE, VISITOR, Route, add_routes, check_token, refuse
from .bodies import answer, read, version_seen
from .changes import differences
from .deps import DEPS, THREADS, THREADS_AT_ONCE, ApiDeps, apart
from .events import FEED, Feed, stream
from .identity import deciding as to_decide
from .models import Card, Queue, Rest
from .models_decisions import DecisionRequest, Preview, PreviewRequest, ResolveRequest
from .models_item import Item
from .outcomes import outcome as outcome_of
from .past import PAST, Past
from .queries import once, page_size
from .rights import answerable

_ID = r"{id:[A-Za-z0-9_-]{1,64}}"
_CURSOR = re.compile(r"[0-9]{1,20}-[0-9A-Za-z_-]{1,64}", re.ASCII)
_FILTERS = ("agent", "cursor", "level", "limit", "mine", "share", "state", "text", "tool")

_MOST, _USUAL = 200, 50


def add_api(app: web.Application, deps: ApiDeps) -> None:
    """Add the people's API to *app*, with the checks of the whole listener."""
    app[FEED] = Feed(deps)
    app[PAST] = Past(deps.archive)
    app[THREADS] = asyncio.Semaphore(THREADS_AT_ONCE)
    app.on_shutdown.append(_close_feed)
    channels.add_channels(app)
    add_routes(app, deps, ROUTES)


async def _close_feed(app: web.Application) -> None:
    await app[FEED].close()
    await app[PAST].close()


# looking ------------------------------------------------------------------------------------


async def list_approvals(request: web.Request) -> web.Response:
    return answer(await queue(request))


async def queue(request: web.Request, *, usual: Mapping[str, str] = {}) -> Queue:
    """Return held actions in the queue's order; with `state`, recent ones in that state.

    *usual*: what is asked for where the request does not say.
    """
    deps, asked = request.app[DEPS], {**usual, **_query(request)}
    await deciding.meet(deps, request[VISITOR])
    found = await _found_for(deps, request[VISITOR].principal, asked)
    return Queue(
        items=await showing.listed(request, found.actions),
        next=found.next,
        total=found.total,
        left_out=[
            Rest(agent=visible_line(agent), id=agent, count=count)
            for agent, count in found.left_out
        ],
        now=await deps.store.now(),
    )


async def _found_for(deps: ApiDeps, who: Principal, asked: Mapping[str, str]) -> listing.Found:
    limit = page_size(asked, _USUAL, _MOST)
    share = page_size(asked, _USUAL, _MOST, "share") if "share" in asked else 0
    wanted, cursor = _state(asked.get("state", "held")), asked.get("cursor")
    if cursor is not None and not _CURSOR.fullmatch(cursor):
        raise MalformedCall("`cursor` must be the `next` of an earlier answer.")
    if share and (asked.keys() - {"share", "limit", "state"} or wanted is not State.HELD):
        raise MalformedCall("`share` goes with `limit` alone: it gives every agent room.")
    if share:
        return await listing.shared(deps.store, limit, share)
    now = await deps.store.now()
    stands = await deps.desk.stands_in(who.id) if "mine" in asked else ()

    def fits(action: Action) -> bool:
        matches = narrowing.matches(deps, who, now, action, asked, stands)
        return matches and (wanted is None or action.state is wanted)

    if wanted is State.HELD:
        queue: listing.Read = deps.store.held
        if "agent" in asked:
            queue = partial(deps.store.held_of, asked["agent"])
        found = await listing.first(queue, cursor, limit, fits)
        if "mine" in asked:
            mine = await narrowing.not_of_others(deps, who, found.actions, stands)
            found = replace(found, actions=mine)
        return found
    read = deps.store.unknown if wanted is State.UNKNOWN else deps.store.recent
    kept = tuple(filter(fits, await read(_MOST)))[:limit]
    return listing.Found(actions=kept, next=None, total=len(kept))


def _query(request: web.Request) -> dict[str, str]:
    asked = once(request, _FILTERS)
    asked = {name: value for name, value in asked.items() if value}  # a form sends all its fields
    if "level" in asked and asked["level"] not in {level.word for level in Level}:
        raise MalformedCall("`level` must be one of " + ", ".join(level.word for level in Level))
    if asked.get("mine", "yes") != "yes":
        raise MalformedCall("`mine` must be `yes`, or left out.")
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


async def show_approval(request: web.Request) -> web.Response:
    shown = await showing.item(request)
    await _read_with_a_key(request, shown.card)
    return await _shown(request, shown)


async def _read_with_a_key(request: web.Request, card: Card) -> None:
    """Note that a terminal or a script opened it; the page says itself how long it is in sight."""
    deps, visitor = request.app[DEPS], request[VISITOR]
    await deciding.meet(deps, visitor)
    reads = visitor.session is None and visitor.principal.kind is Kind.APPROVER
    if reads and card.state == State.HELD.value:
        await deps.desk.look(card.id, card.digest, visitor.principal.id, 0)


async def _shown(request: web.Request, shown: Item) -> web.Response:
    headers = {"ETag": f'"{shown.card.version}"'}
    return await apart(request.app, shown.call.body.size, answer, shown, headers)


async def reveal_approval(request: web.Request) -> web.Response:
    action = await showing.shown_action(request)
    check_token(request, request[VISITOR], to_decide(action.digest))
    shown = await showing.revealed(request, action)
    await _read_with_a_key(request, shown.card)
    return await _shown(request, shown)


# deciding -----------------------------------------------------------------------------------


async def preview(request: web.Request) -> web.Response:
    """Answer an edit as it would be sent and judged; nothing changes."""
    deps, asked = request.app[DEPS], await read(request, PreviewRequest)
    action = await showing.shown_action(request)
    if action.decision is None:
        raise IllegalTransition("The call was never decided by policy.")
    why = await showing.barring(deps, request[VISITOR], action)
    if why:
        raise Forbidden(f"{why} An edit is tried by who may decide the call.")
    await showing.check_comparing(deps, request[VISITOR], action)
    call, decision = await deps.gate.preview(action, asked.edited_args)
    given = _Edit(call=call, decision=decision, arguments=asked.edited_args)
    size = max(views.weight(action), len(call.body))
    now = await deps.store.now()
    return await apart(request.app, size, _previewed, deps, action, action.decision, given, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edit:
    call: ToolCall
    decision: Decision
    arguments: Mapping[str, object]


def _previewed(
    deps: ApiDeps, action: Action, held: Decision, edit: _Edit, now: int
) -> web.Response:
    call, decision = edit.call, edit.decision
    why = _unacceptable(action, call.digest, decision.level)
    names = wording.hidden(action, deps.gate.policy.redact.approver)
    hidden, task = _unknown(held, names, edit.arguments), judged.task_of(call, decision)
    before = (action.call, held, hidden)
    return answer(
        Preview(
            digest=call.digest,
            call=views.call_view(call, deps.upstreams, hidden),
            changes=differences(before, (call, decision, NO_MASKS)),
            decision=judged.judgement(decision, action, now, hidden, task[0]),
            acceptable=not why,
            why=why,
            warnings=views.warned(call, decision, task[0], hidden),
        )
    )


def _unknown(held: Decision, hidden: Iterable[str], given: Mapping[str, object]) -> Masks:
    """Hide, of what policy hides, what the person has not shown to know by sending it."""
    known = held.arguments
    names = [name for name in hidden if name not in given or given[name] != known[name]]
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
    asked = await read(request, DecisionRequest)
    version = version_seen(request)
    check_token(request, visitor, to_decide(asked.digest))
    action = await showing.found(request)
    await deciding.meet(deps, visitor)
    if asked.edited_args is not None and action.state is State.HELD:
        await showing.check_comparing(deps, visitor, action)
    review = await deciding.review_of(deps, action, visitor, asked, version)
    grant = granting.asked_for(deps, action, asked)
    before = await granting.holding(deps, action) if grant else None
    try:
        after = await deciding.take(deps, action, review, grant=grant)
    except deciding.TooManyApprovals as error:
        response = refuse(error)
        response.headers["Retry-After"] = str(error.seconds)
        return response
    except (IllegalTransition, Lapsed, StaleVersion) as error:
        current = await deps.gate.get(action.id)
        return refuse(error, current=outcome_of(current).model_dump() if current else None)
    outcome = await practice.told(deps, visitor, after)
    if before is not None and not after.decoy_of:
        granting.replaced(before, after, visitor.principal.id)
        outcome = outcome.model_copy(update={"replaced_grant": before.id})
    return answer(outcome, headers={"ETag": f'"{after.version}"'})


async def resolve(request: web.Request) -> web.Response:
    """Settle an unknown outcome with what an admin found out."""
    asked = await read(request, ResolveRequest)
    deps, visitor = request.app[DEPS], request[VISITOR]
    action, who = await showing.found(request), visitor.principal
    check_token(request, visitor, to_decide(action.digest))
    showing.trusted(request, action)
    why = answerable(action, who, await deps.desk.stands_in(who.id))
    if why:
        raise Forbidden(why)
    after = await deps.gate.resolve(action.id, who.id, asked.happened, asked.message)
    return answer(outcome_of(after))


async def document(request: web.Request) -> web.Response:
    return web.json_response(openapi.document(request.app[DEPS].url))


ROUTES = (
    Route(method="GET", path="/v1/approvals", handler=list_approvals, kinds=PEOPLE),
    Route(method="GET", path=f"/v1/approvals/{_ID}", handler=show_approval, kinds=PEOPLE),
    Route(
        method="POST",
        path=f"/v1/approvals/{_ID}/preview",
        handler=preview,
        kinds=APPROVERS,
    ),
    Route(
        method="POST",
        path=f"/v1/approvals/{_ID}/decision",
        handler=decide,
        kinds=APPROVERS,
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
        kinds=APPROVERS,
    ),
    *granting.ROUTES,
    *definitions.ROUTES,
    *policy_routes.ROUTES,
    *step_up.ROUTES,
    *credentials.ROUTES,
    *desk.ROUTES,
    *agents.ROUTES,
    *batch.ROUTES,
    *history.ROUTES,
    *signing_out.ROUTES,
    *links.ROUTES,
    *channels.ROUTES,
    *notifications.ROUTES,
    *undo.ROUTES,
    *practice.ROUTES,
    *feedback.ROUTES,
    *analytics.ROUTES,
    *audits.ROUTES,
    *reports.ROUTES,
    Route(method="GET", path="/v1/events", handler=stream, kinds=PEOPLE),
    Route(method="GET", path="/openapi.json", handler=document, kinds=None),
)
