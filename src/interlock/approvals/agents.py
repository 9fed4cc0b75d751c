"""Agents as people see them, and the switch that stops one of them, or all."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from aiohttp import web

from ..core.actions import Action
from ..core.desk import EVERYBODY, Suspension
from ..core.errors import Forbidden, NotFound
from ..core.identity import KeyRecord, Kind
from ..core.redaction import visible_line, visible_text
from . import models
from .access import VISITOR, Route, Visitor, check_token
from .bodies import answer, read
from .deps import DEPS, ApiDeps
from .identity import STOPPING
from .models_desk import AgentList, AgentState, AgentView, KeyView, SuspendRequest

audit = logging.getLogger("interlock.audit")
_PEOPLE = frozenset({Kind.APPROVER, Kind.ADMIN})
_ID = r"{id:[A-Za-z0-9@._+-]{1,128}}"
_CALLS = 200  #: held calls, and recent ones, that are looked through for agents


@dataclass(slots=True)
class _Known:
    """What is known of one agent."""

    owners: set[str] = field(default_factory=set)
    keys: list[KeyRecord] = field(default_factory=list)
    seen: int = 0
    practice: int = 0  #: practice calls that look like held calls of it


async def list_agents(request: web.Request) -> web.Response:
    return answer(await agents(request))


async def agents(request: web.Request) -> AgentList:
    """Return agents that have a key, a held or recent call, or are stopped."""
    deps, session = request.app[DEPS], request[VISITOR].session
    known = await _known(deps)
    stops = {each.agent: each for each in await deps.desk.suspended()}
    for agent in stops.keys() - {EVERYBODY}:
        known.setdefault(agent, _Known())
    names = sorted(known, key=lambda name: (name not in stops, name))
    held = await deps.desk.waiting(names)
    return AgentList(
        items=[
            _view(name, known[name], count, stops.get(name))
            for name, count in zip(names, held, strict=True)
        ],
        everybody=stopped(stops.get(EVERYBODY)),
        csrf=session.token(STOPPING) if session else "",
        now=await deps.store.now(),
    )


async def _known(deps: ApiDeps) -> dict[str, _Known]:
    known: dict[str, _Known] = {}
    for record in await deps.keys.records():
        if record.kind is Kind.AGENT:
            entry = known.setdefault(record.subject, _Known())
            entry.owners |= {record.owner} - {""}
            if not record.revoked:
                entry.keys.append(record)
    held = await deps.store.held(None, _CALLS)
    _note(known, held.actions)
    _note(known, (each for each in await deps.store.recent(_CALLS) if not each.decoy_of))
    return known


def _note(known: dict[str, _Known], actions: Iterable[Action]) -> None:
    for action in actions:
        agent = action.call.agent
        entry = known.setdefault(agent.id, _Known())
        entry.owners |= {agent.owner} - {""}
        entry.seen = max(entry.seen, action.created)
        entry.practice += bool(action.decoy_of)


def _view(name: str, known: _Known, held: int, stop: Suspension | None) -> AgentView:
    return AgentView(
        id=visible_line(name),
        owner=", ".join(sorted(map(visible_line, known.owners))),
        keys=[
            KeyView(id=record.key_id, created=record.created, expires=record.expires)
            for record in known.keys
        ],
        held=held + known.practice,  # one less than the queue shows would tell
        seen=known.seen,
        stopped=stopped(stop),
    )


def stopped(stop: Suspension | None) -> models.Stopped | None:
    """Return who stopped an agent as people see it."""
    if stop is None:
        return None
    return models.Stopped(
        everybody=stop.agent == EVERYBODY,
        by=visible_line(stop.by),
        reason=visible_text(stop.reason),
        at=stop.at,
    )


async def suspend(request: web.Request) -> web.Response:
    """Stop an agent, or all (`-`): once this is answered, no send of it starts."""
    deps, visitor = request.app[DEPS], request[VISITOR]
    check_token(request, visitor, STOPPING)
    asked, agent = await read(request, SuspendRequest), request.match_info["id"]
    by = visitor.principal.id
    await deps.desk.suspend(Suspension(agent=agent, by=by, reason=asked.reason, at=0))
    said = (agent, by, asked.reason)
    audit.warning("agent %s suspended by=%s reason=%s", *map(visible_line, said))
    return answer(await _state(deps, agent))


async def resume(request: web.Request) -> web.Response:
    """Let an agent go on. What it waits for waits on; what lapsed meanwhile is not sent."""
    deps, visitor = request.app[DEPS], request[VISITOR]
    check_token(request, visitor, STOPPING)
    agent = request.match_info["id"]
    await _check_resuming(deps, visitor, agent)
    if not await deps.desk.resume(agent):
        raise NotFound(f"{_whom(agent)} not stopped.")
    said = (agent, visitor.principal.id)
    audit.warning("agent %s resumed by=%s", *map(visible_line, said))
    return answer(await _state(deps, agent))


def _whom(agent: str) -> str:
    return "All agents together are" if agent == EVERYBODY else f"{agent} is"


async def _check_resuming(deps: ApiDeps, visitor: Visitor, agent: str) -> None:
    """Raise Forbidden where an approver owns what would go on, or stands in for who does."""
    who = visitor.principal
    if who.kind is Kind.ADMIN:
        return
    known = await _known(deps)
    chosen = known.values() if agent == EVERYBODY else [known.get(agent, _Known())]
    owners = {owner for each in chosen for owner in each.owners}
    names = {who.id} | {each.person for each in await deps.desk.stands_in(who.id)}
    if agent in names or owners & names:
        raise Forbidden(
            "You own this agent, one of those that would go on, or stand in for who does: somebody"
            " else resumes it, or an admin."
        )


async def _state(deps: ApiDeps, agent: str) -> AgentState:
    stops = {each.agent: each for each in await deps.desk.suspended()}
    return AgentState(id=agent, stopped=stopped(stops.get(agent)))


ROUTES = (
    Route(method="GET", path="/v1/agents", handler=list_agents, kinds=_PEOPLE),
    Route(method="POST", path=f"/v1/agents/{_ID}/suspend", handler=suspend, kinds=_PEOPLE),
    Route(method="POST", path=f"/v1/agents/{_ID}/resume", handler=resume, kinds=_PEOPLE),
)
