"""Who is stopped: one hash, {p}:stopped, that put.lua looks into at every way to a send.

A field is an agent's id, or `-` for all of them; its value is JSON: by, reason, at (ms). Whoever
can write to the store can delete one, so each process remembers those that it has seen. A stop
ends for it only by a resumption with a MAC, whose key is not in the store; one that goes without
is held to, put back, and told of until somebody resumes the agent.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, cast

from redis.asyncio import Redis

from ..core.desk import EVERYBODY, Suspension
from ..core.redaction import visible_line
from .codec import DAMAGED
from .connection import patiently
from .lua import Script

log = logging.getLogger("interlock")

ABREAST = 500  #: stops that are looked for, and looked at, in one question
_NAMED = 5  #: agents that a line of the log names
REMEMBERED = 40_000  #: stops that one process remembers: more than people can make


def stopped_key(prefix: str) -> str:
    """Return the hash's key; *prefix* with its braces."""
    return f"{prefix}:stopped"


def suspension(agent: str, text: bytes) -> Suspension:
    """Read the field of *agent*. What cannot be read stops it just as well."""
    try:
        said = json.loads(text)
        by, reason, at = str(said["by"]), str(said["reason"]), int(said["at"])
    except DAMAGED:
        by, reason, at = "", "", 0
    return Suspension(agent=agent, by=by, reason=reason, at=at)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A stop as this process saw it. A resumption ends it that was made later than *since*."""

    text: bytes
    since: int  #: ms, by the store's clock
    lifted: bool = False  #: it was gone, and nobody had resumed the agent


class KnownStops:
    """What one process knows of who is stopped, whatever becomes of it in the store.

    *key*: 32 bytes that are not in the store, the same in all processes.
    """

    def __init__(self, client: Redis, *, key: bytes, prefix: str = "interlock") -> None:
        self._client = client
        self._key = key
        self._prefix = "{" + prefix + "}"
        self._script = Script("desk")
        self._seen: dict[str, _Seen] = {}
        self._cursor = "0"
        self._turn = 0  #: where among more than can be looked for together it goes on

    def knows(self, agent: str) -> bool:
        """Say whether this process saw a stop that concerns *agent*; it may be over by now."""
        return agent in self._seen or EVERYBODY in self._seen

    @property
    def lifted(self) -> tuple[Suspension, ...]:
        """Stops that somebody took out of the store; they hold until the agent is resumed."""
        found = ((name, seen) for name, seen in self._seen.items() if seen.lifted)
        return tuple(suspension(name, seen.text) for name, seen in found)

    async def holding(self, agents: Iterable[str]) -> tuple[tuple[str, bytes], ...]:
        """Return which of *agents*, stopped as this process knows, still are; and as what.

        Raises:
            StoreUnavailable: nobody can tell.
        """
        names = [name for name in agents if name in self._seen]
        for start in range(0, len(names), ABREAST):
            await self._look(names[start : start + ABREAST], "")
        return tuple((name, self._seen[name].text) for name in names if name in self._seen)

    async def look(self) -> None:
        """See who is stopped now, and whether what was seen is still there.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        known = list(self._seen)
        names = known
        if len(known) > ABREAST:  # in turns; each is held to in any case
            self._turn %= len(known)
            names = list(islice((*known[self._turn :], *known), ABREAST))
            self._turn += ABREAST
        await self._look(names, self._cursor)
        new = list(self._seen.keys() - known)
        if new:  # what looks older than its resumption is not: it was put back or rewritten
            await self._look(new[:ABREAST], "")

    def note(self, agent: str, text: bytes, now: int) -> None:
        """Remember the stop of *agent* that was found in the store at *now*, or made."""
        seen = self._seen.get(agent)
        if seen is None:
            if len(self._seen) < REMEMBERED or agent == EVERYBODY:
                self._seen[agent] = _Seen(text, _made(agent, text, 0, now))
        elif seen.text != text:
            since = max(_made(agent, text, 0, now), seen.since)
            self._seen[agent] = _Seen(text, since, seen.lifted)

    def resumption(self, agent: str, now: int) -> str:
        """Return what says in the store that the stops of *agent* so far are over."""
        seen = self._seen.get(agent)
        until = max(now, seen.since + 1 if seen else 0)
        return f"{until} {self._mac(agent, until)}"

    def resumed(self, agent: str) -> bool:
        """Forget the stop of *agent*, which was resumed; say whether it was known."""
        return self._seen.pop(agent, None) is not None

    async def _look(self, names: Sequence[str], cursor: str) -> None:
        asked = [self._seen.get(name) for name in names]
        answer = await self._ask("known", cursor, *names)
        now, following, flat, texts, marks = cast(tuple[Any, Any, Any, Any, Any], answer)
        gone: list[tuple[str, _Seen, bytes]] = []
        for name, seen, text, mark in zip(names, asked, texts, marks, strict=True):
            if seen is None or self._seen.get(name) is not seen:
                continue  # it was stopped or resumed here meanwhile
            if self._is_gone(name, seen, text, mark or b"", int(now)):
                gone.append((name, seen, mark or b""))
        for who, text in zip(flat[::2], flat[1::2], strict=True):
            self.note(who.decode("utf-8", "surrogateescape"), text, int(now))
        if cursor:
            self._cursor = following.decode()
        await self._put_back(gone)

    def _is_gone(self, name: str, seen: _Seen, text: bytes | None, mark: bytes, now: int) -> bool:
        """Hold what was *seen* of *name* against what the store says of it now."""
        until = self._until(name, mark)
        if until > seen.since:
            del self._seen[name]
            if text is not None:
                self._seen[name] = _Seen(text, _made(name, text, until, now))
        elif text is not None:
            self.note(name, text, now)
        return until <= seen.since and text is None

    async def _put_back(self, gone: Sequence[tuple[str, _Seen, bytes]]) -> None:
        """Tell that somebody lifted stops in the store, and write them there again."""
        new = [name for name, seen, _ in gone if not seen.lifted]
        if new:
            log.error(
                "somebody took stops out of the store, and nobody resumed: %s. They hold, though."
                " Find out who can write to the store, then resume on purpose",
                ", ".join(map(_called, new[:_NAMED])) + ", ..." * (len(new) > _NAMED),
            )
        for name, seen, _ in gone:
            self._seen[name] = replace(seen, lifted=True)
        if gone:
            parts = ((name, seen.text, mark) for name, seen, mark in gone)
            await self._ask("put_back", *(each for row in parts for each in row))

    def _until(self, agent: str, mark: bytes) -> int:
        """Return until when stops of *agent* are over, as *mark* says; 0: it is not genuine."""
        number = mark.partition(b" ")[0]
        if not (number.isdigit() and len(number) <= 16):
            return 0
        made = f"{int(number)} {self._mac(agent, int(number))}".encode()
        return int(number) if hmac.compare_digest(made, mark) else 0

    def _mac(self, agent: str, until: int) -> str:
        said = json.dumps(["interlock-resumed-1", agent, until])
        return hmac.new(self._key, said.encode(), hashlib.sha256).hexdigest()

    async def _ask(self, what: str, *given: str | bytes) -> list[object]:
        said = tuple(_written(each) for each in given)
        return await patiently(lambda: self._script(self._client, self._prefix, what, *said))


def _made(agent: str, text: bytes, after: int, now: int) -> int:
    """Return when a stop was made, as far as that can be: later than *after*, and before *now*."""
    made = suspension(agent, text).at
    return made if after < made <= now else now


def _called(agent: str) -> str:
    return "all agents" if agent == EVERYBODY else visible_line(agent)


def _written(given: str | bytes) -> bytes:
    return given if isinstance(given, bytes) else given.encode("utf-8", "surrogateescape")
