"""Agents as people see them, and the switch that stops one of them, or all."""

from __future__ import annotations

import logging
from collections.abc import Collection

from aiohttp import web

from ..core.desk import EVERYBODY, Suspension
from ..core.errors import Forbidden, NotFound
from ..core.identity import Kind
from ..core.redaction import visible_line
from .access import PEOPLE, VISITOR, Route, Visitor, check_token
from .bodies import answer, read
from .deps import DEPS, ApiDeps
from .desk_view import stopped
from .identity import STOPPING
from .known_agents import UNOWNED, Known, barred, known_agents, not_known, owners_of
from .models_desk import AgentList, AgentState, AgentView, KeyView, SuspendRequest

audit = logging.getLogger("interlock.audit")
_ID = r"{id:[A-Za-z0-9@._+-]{1,128}}"


async def list_agents(request: web.Request) -> web.Response:
    return answer(await agents(request))


async def agents(request: web.Request) -> AgentList:
    """Return agents that are known, or stopped; of names that are only stopped, the first 500."""
    deps, visitor = request.app[DEPS], request[VISITOR]
    session, kind = visitor.session, visitor.principal.kind
    known = await known_agents(deps)
    found = (*await deps.desk.suspended(), *await deps.desk.stops(known))
    stops = {each.agent: each for each in found}
    unlisted = await deps.desk.stopped_count() - len(stops)
    everybody = stops.pop(EVERYBODY, None)
    for agent in stops:
        known.setdefault(agent, Known())
    names = sorted(known, key=lambda name: (name not in stops, name))
    mine = await _names(deps, visitor)
    held = await deps.desk.waiting(names)
    return AgentList(
        items=[
            _view(name, known[name], count, stops.get(name), _why(known, stops, name, kind, mine))
            for name, count in zip(names, held, strict=True)
        ],
        everybody=stopped(everybody),
        barred=barred(known, everybody, EVERYBODY, kind, mine) if everybody else "",
        unlisted=max(unlisted, 0),
        csrf=session.token(STOPPING) if session else "",
        now=await deps.store.now(),
    )


def _why(
    known: dict[str, Known],
    stops: dict[str, Suspension],
    name: str,
    kind: Kind,
    mine: Collection[str],
) -> str:
    return barred(known, stops[name], name, kind, mine) if name in stops else ""


async def _names(deps: ApiDeps, visitor: Visitor) -> set[str]:
    """Return whom the visitor speaks for."""
    who = visitor.principal.id
    return {who} | {each.person for each in await deps.desk.stands_in(who)}


def _view(name: str, known: Known, held: int, stop: Suspension | None, why: str) -> AgentView:
    owners = known.owners | set(stop.owners if stop else ())
    return AgentView(
        id=visible_line(name),
        owner=", ".join(sorted(map(visible_line, owners))),
        keys=[
            KeyView(id=record.key_id, created=record.created, expires=record.expires)
            for record in known.keys
        ],
        held=held + known.practice,  # one less than the queue shows would tell
        seen=known.seen,
        stopped=stopped(stop),
        barred=why,
    )


async def suspend(request: web.Request) -> web.Response:
    """Stop an agent, or all (`-`): once this is answered, no send of it starts."""
    deps, visitor = request.app[DEPS], request[VISITOR]
    check_token(request, visitor, STOPPING)
    asked, agent = await read(request, SuspendRequest), request.match_info["id"]
    by = visitor.principal.id
    known = await known_agents(deps)
    unknown = await _unknown(deps, known, agent)
    if unknown and not asked.unknown:
        raise not_known(known, agent)
    owners = owners_of(known, agent)
    await deps.desk.suspend(
        Suspension(agent=agent, by=by, reason=asked.reason, at=0, owners=owners, unknown=unknown)
    )
    said = (agent, by, asked.reason)
    audit.warning("agent %s suspended by=%s reason=%s", *map(visible_line, said))
    return answer(await _state(deps, agent))


async def _unknown(deps: ApiDeps, known: dict[str, Known], agent: str) -> bool:
    """Say whether nobody has heard of an agent of this name."""
    if agent == EVERYBODY or agent in known or await deps.desk.heard(agent):
        return False
    return all(each.unknown for each in await deps.desk.stops([agent]) if each.agent == agent)


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
    """Raise Forbidden where somebody owns what would go on, stands in for who does, or may."""
    known, names = await known_agents(deps), await _names(deps, visitor)
    stop = next(iter(await deps.desk.stops([agent])), None)
    why = barred(known, stop, agent, visitor.principal.kind, names)
    # an owner also where no stop is in the store: somebody may just have taken it out
    if why and (stop is not None or why != UNOWNED):
        raise Forbidden(why)


async def _state(deps: ApiDeps, agent: str) -> AgentState:
    stops = {each.agent: each for each in await deps.desk.stops([agent])}
    return AgentState(id=agent, stopped=stopped(stops.get(agent)))


ROUTES = (
    Route(method="GET", path="/v1/agents", handler=list_agents, kinds=PEOPLE),
    Route(method="POST", path=f"/v1/agents/{_ID}/suspend", handler=suspend, kinds=PEOPLE),
    Route(method="POST", path=f"/v1/agents/{_ID}/resume", handler=resume, kinds=PEOPLE),
)
