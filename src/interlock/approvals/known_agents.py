"""Which agents there are, as far as anybody knows, and who answers for them."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from ..core.actions import Action
from ..core.desk import EVERYBODY, Suspension
from ..core.errors import NotFound
from ..core.identity import KeyRecord, Kind
from .deps import ApiDeps

_CALLS = 200  #: held calls, and recent ones, that are looked through for agents
_ALIKE = 0.7  #: how like a name must be to be suggested

OWNS = "You answer for it, or stand in for who does: somebody else resumes it."
OWNS_ONE = (
    "You answer for one of them, or stand in for who does: somebody else resumes them, or an admin."
)
UNOWNED = "Nobody knows who owns it, so an admin resumes it."


@dataclass(slots=True)
class Known:
    """What is known of one agent. `ownerless`: configuration or a key says that nobody owns it."""

    owners: set[str] = field(default_factory=set)
    keys: list[KeyRecord] = field(default_factory=list)
    ownerless: bool = False
    seen: int = 0
    practice: int = 0  #: practice calls that look like held calls of it


async def known_agents(deps: ApiDeps) -> dict[str, Known]:
    """Return agents that have a key, a held or recent call, or a place in the configuration."""
    known: dict[str, Known] = {}
    for name, owner in deps.agents.items():
        entry = known.setdefault(name, Known())
        entry.owners |= {owner or ""} - {""}
        entry.ownerless |= owner == ""
    for record in await deps.keys.records():
        if record.kind is Kind.AGENT:
            entry = known.setdefault(record.subject, Known())
            entry.owners |= {record.owner} - {""}
            entry.ownerless |= not record.owner
            if not record.revoked:
                entry.keys.append(record)
    held = await deps.store.held(None, _CALLS)
    _note(known, held.actions)
    _note(known, (each for each in await deps.store.recent(_CALLS) if not each.decoy_of))
    return known


def _note(known: dict[str, Known], actions: Iterable[Action]) -> None:
    for action in actions:
        agent = action.call.agent
        entry = known.setdefault(agent.id, Known())
        entry.owners |= {agent.owner} - {""}
        entry.seen = max(entry.seen, action.created)
        entry.practice += bool(action.decoy_of)


def owners_of(known: Mapping[str, Known], agent: str) -> tuple[str, ...]:
    """Return who owns *agent*, or any of all."""
    chosen = known.values() if agent == EVERYBODY else [known.get(agent, Known())]
    return tuple(sorted({owner for each in chosen for owner in each.owners}))


def not_known(known: Mapping[str, Known], agent: str) -> NotFound:
    """Return why *agent* is not stopped, with the name that may have been meant."""
    names = {name.lower(): name for name in known}
    close = difflib.get_close_matches(agent.lower(), names, n=1, cutoff=_ALIKE)
    hint = f": did you mean {names[close[0]]}?" if close else "."
    return NotFound(
        f"No agent of the name {agent} is known{hint} Nothing was stopped. To stop it before its"
        " first call, send `unknown: true` (`interlock agents stop --unknown`)."
    )


def barred(
    known: Mapping[str, Known],
    stop: Suspension | None,
    agent: str,
    kind: Kind,
    names: Collection[str],
) -> str:
    """Say why somebody may not resume *agent*; empty: they may.

    *names*: theirs, and those of people for whom they stand in. *stop* remembers who owned it when
    it was stopped: a flood of other calls makes nobody forget that. All agents together an admin
    resumes, whomever they belong to: where everybody owns one, nobody else could.
    """
    admin = kind is Kind.ADMIN
    if agent == EVERYBODY and admin:
        return ""
    owners = {*owners_of(known, agent), *(stop.owners if stop else ())}
    if agent in names or not owners.isdisjoint(names):
        return OWNS_ONE if agent == EVERYBODY else OWNS
    entry = known.get(agent)
    sure = agent == EVERYBODY or bool(owners) or (entry is not None and entry.ownerless)
    return "" if admin or sure else UNOWNED
