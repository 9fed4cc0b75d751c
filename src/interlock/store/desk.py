"""What people share about reviewing: ports.Desk on Redis or Valkey, one script a question.

All of it is help for people (who looks, who is asked) or takes away (who is stopped), but for
absences: they give one person another's groups, so they are sealed, see `absences`; and that who
was stopped goes on, see `stopped`.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, cast

from redis.asyncio import Redis

from ..core.desk import EVERYBODY, Absence, Assignment, Colleague, Look, Looking, Suspension
from ..core.errors import MalformedCall, QueueFull, StoreUnavailable
from .absences import Absences
from .codec import DAMAGED
from .connection import patiently
from .lua import Script
from .stopped import KnownStops

LONGEST = 128  #: characters of a person's or an agent's name
WORDS = 2000  #: characters of a reason or message that are kept
PRESENT_MS = 25_000  #: how long after the last note somebody still has a call open
STOPS = 500  #: stopped agents that are told of at once
OWNERS = 1000  #: of stopped agents that are kept with a stop
COLLEAGUES = 500  #: people of whom `colleagues` tells, those who were here last
GREETED = 60.0  #: seconds in which the same person is not noted again by this process
_REMEMBERED = 10_000
_TRIES = 5  #: for one absence that is changed in several places at once


class RedisDesk:
    """Implements `ports.Desk`. *key*: 32 bytes that are not in the store, for absences."""

    def __init__(self, client: Redis, *, key: bytes, prefix: str = "interlock") -> None:
        if len(key) < 16:
            raise ValueError("the key of absences has at least 16 bytes")
        self._client = client
        self._prefix = "{" + prefix + "}"
        self._marks = Absences(key)
        self.stops_known = KnownStops(client, key=key, prefix=prefix)
        self._script = Script("desk")
        self._greeted: dict[str, tuple[float, str]] = {}

    # looking -------------------------------------------------------------------------------

    async def look(self, action_id: str, digest: str, person: str, visible_ms: int) -> Look:
        """Note a look. The first note, and the first after `leave`, only open the call."""
        seen, of = max(0, min(visible_ms, 10**12)), _name(digest)
        now, flat = await self._ask("look", _name(action_id), of, _name(person), seen)
        return _looks(flat).look(person, of, int(now)) or Look(first=int(now), looked_ms=0)

    async def leave(self, action_id: str, person: str) -> None:
        await self._ask("leave", _name(action_id), _name(person))

    async def looked(self, action_id: str, digest: str, person: str) -> Look | None:
        now, rows = await self._ask("looks", _name(action_id))
        return _looks(rows[0]).look(person, digest, int(now))

    async def looking(self, action_ids: Sequence[str]) -> tuple[tuple[Looking, ...], ...]:
        if not action_ids:
            return ()
        now, rows = await self._ask("looks", *action_ids)
        return tuple(_looks(flat).open(int(now)) for flat in rows)

    async def reveal(self, action_id: str, person: str, digest: str) -> None:
        await self._ask("reveal", _name(action_id), _name(person), digest)

    async def revealed(self, action_id: str, person: str, digest: str) -> bool:
        (known,) = await self._ask("revealed", _name(action_id), _name(person))
        return bool(known == digest.encode())

    # asking --------------------------------------------------------------------------------

    async def assign(self, action_id: str, assignment: Assignment) -> None:
        """Ask somebody; the store's clock says when, whatever `assignment.at` says."""
        to = _name(assignment.to) if assignment.to else ""
        said = (to, _name(assignment.by), assignment.message[:WORDS])
        await self._ask("assign", _name(action_id), *said)

    async def assigned(self, action_ids: Sequence[str]) -> tuple[Assignment | None, ...]:
        if not action_ids:
            return ()
        return tuple(map(_assignment, await self._ask("assigned", *action_ids)))

    async def settled(self, action_id: str) -> None:
        await self._ask("settled", _name(action_id))

    async def approved(self, person: str, action_id: str) -> None:
        await self._ask("approved", _name(person), _name(action_id))

    async def practised(self, person: str, action_id: str) -> None:
        await self._ask("practised", _name(person), _name(action_id))

    async def approvals(self, person: str) -> tuple[int, int]:
        count, oldest, _ = await self._ask("approvals", _name(person))
        return int(count), int(oldest)

    async def waiting(self, agents: Sequence[str]) -> tuple[int, ...]:
        """Return how many calls of each of *agents* are held."""
        return tuple(map(int, await self._ask("waiting", *agents))) if agents else ()

    # people --------------------------------------------------------------------------------

    async def greet(self, person: str, groups: Sequence[str]) -> None:
        """Note that *person* was here; what this process noted a moment ago is not repeated."""
        said, known = _written(sorted(set(groups))), self._greeted.get(person)
        if known is not None and known[1] == said and time.monotonic() - known[0] < GREETED:
            return
        await self._ask("greet", _name(person), said)
        self._greeted.pop(person, None)
        if len(self._greeted) >= _REMEMBERED:
            del self._greeted[next(iter(self._greeted))]
        self._greeted[person] = (time.monotonic(), said)

    async def colleagues(self) -> tuple[Colleague, ...]:
        """Return who was here in the last 30 days, whoever came last first; at most 500."""
        now, rows, stored, marks = await self._ask("colleagues", COLLEAGUES)
        away = {each.person: each for each in self._marks.holding(stored, marks, int(now))}
        return tuple(_colleague(row, away) for row in rows)

    async def go_away(self, absence: Absence) -> None:
        """Keep *absence*, sealed; it takes the place of an earlier one of the same person.

        Raises:
            QueueFull: too many people are away.
            StoreUnavailable: they go away or come back in several places at this moment.
        """

        async def said(was: bytes, generation: int) -> bytes:
            sealed = _written(dataclasses.asdict(self._marks.sealed(absence, generation)))
            given = (absence.person, absence.until, sealed, was)
            mark = self._marks.mark(absence.person, generation)
            return cast(bytes, (await self._ask("go_away", *given, mark))[0])

        await self._marked(absence.person, said)

    async def come_back(self, person: str) -> None:
        """End the absence of *person* for good. Raises as `go_away` does."""

        async def said(was: bytes, generation: int) -> bytes:
            given = (person, was, self._marks.mark(person, generation))
            return cast(bytes, (await self._ask("come_back", *given))[0])

        await self._marked(person, said)

    async def _marked(self, person: str, say: Callable[[bytes, int], Awaitable[bytes]]) -> None:
        """Have *say* write with the generation that follows, which nobody else has written."""
        for _ in range(_TRIES):
            now, was = await self._ask("marked", _name(person))
            generation = self._marks.following(person, was, int(now))
            answer = await say(was, generation)
            if answer == b"OK":
                self._marks.see(person, self._marks.mark(person, generation).encode())
                return
            if answer == b"FULL":
                raise QueueFull("Too many people are away already; some have to come back first.")
        raise StoreUnavailable("This absence is changed in several places at once; try again.")

    async def stands_in(self, person: str) -> tuple[Absence, ...]:
        now, stored, marks = await self._ask("away")
        known = self._marks.holding(stored, marks, int(now))
        return tuple(each for each in known if each.to == person)

    async def away(self, person: str) -> Absence | None:
        """Return the genuine absence of *person* that holds now."""
        now, stored, marks = await self._ask("away")
        known = self._marks.holding(stored, marks, int(now))
        return next((each for each in known if each.person == person), None)

    # stopping ------------------------------------------------------------------------------

    async def suspend(self, suspension: Suspension) -> None:
        """Stop an agent; the store's clock says when. The store itself refuses its sends.

        Raises:
            QueueFull: too many agents are stopped one by one; stop all of them together, for which
                there is always room.
        """
        who, said = _name(suspension.agent), suspension.reason[:WORDS]
        owners = _written(sorted(set(suspension.owners))[:OWNERS])
        unknown = int(suspension.unknown)
        given = (who, _name(suspension.by), said, unknown, owners)
        answer, text, now = await self._ask("suspend", *given)
        if answer == b"OK":
            self.stops_known.note(who, text, int(now))
        if answer == b"FULL":
            raise QueueFull("Too many agents are stopped one by one; stop all of them: `-`.")
        if answer == b"MANY":
            raise QueueFull(
                "You have stopped 100 names that no agent is known by; resume some of them first,"
                " or stop all agents: `-`."
            )

    async def resume(self, agent: str) -> bool:
        """Let *agent* go on; say whether it was stopped. Other processes believe no less."""
        (now,) = await self._ask("now")
        known = await self.stops_known.holding((_name(agent),))
        mark = self.stops_known.resumption(agent, int(now))
        (ended,) = await self._ask("resume", agent, mark, int(bool(known)))
        self.stops_known.resumed(agent)
        return bool(int(ended)) or bool(known)

    async def suspended(self) -> tuple[Suspension, ...]:
        """Return who is stopped, latest first, at most 500; what cannot be read still stops."""
        _, flat = await self._ask("stopped", STOPS)
        found = [_suspension(*pair) for pair in zip(flat[::2], flat[1::2], strict=True)]
        return tuple(sorted(found, key=lambda each: (-each.at, each.agent)))

    async def stopped_count(self) -> int:
        """Return how many are stopped one by one, and one more where all are."""
        count, _ = await self._ask("stopped", 0)
        return int(count)

    async def stops(self, agents: Iterable[str]) -> tuple[Suspension, ...]:
        """Return who of *agents* is stopped, and whether all are: every one, however many."""
        names = sorted({*agents, EVERYBODY})
        found: list[Suspension] = []
        for start in range(0, len(names), STOPS):
            some = names[start : start + STOPS]
            values = await self._ask("stops", *some)
            pairs = zip(some, values, strict=True)
            found += [_suspension(name.encode(), text) for name, text in pairs if text is not None]
        there = {each.agent for each in found}
        gone = await self.stops_known.holding(name for name in names if name not in there)
        found += [_suspension(name.encode(), text) for name, text in gone]
        return tuple(found)

    async def heard(self, agent: str) -> bool:
        """Say whether an agent of this name has called in the last hour, or has calls held."""
        (count,) = await self._ask("heard", _name(agent))
        return bool(int(count))

    async def _ask(self, what: str, *given: str | int | bytes) -> Any:
        return await patiently(lambda: self._script(self._client, self._prefix, what, *given))


class _Looks:
    """Who looked at one call: person -> first, last, looked, since (ms); and at which digest."""

    def __init__(self, rows: dict[str, tuple[int, int, int, int]], of: dict[str, str]) -> None:
        self._rows = rows
        self._of = of

    def open(self, now: int) -> tuple[Looking, ...]:
        """Return who has it open at *now*, whoever came first first."""
        rows = self._rows.items()
        found = [
            Looking(person=person, since=since)
            for person, (_, last, _, since) in rows
            if since and now - last <= PRESENT_MS
        ]
        return tuple(sorted(found, key=lambda each: (each.since, each.person)))

    def look(self, person: str, digest: str, now: int) -> Look | None:
        """Return the look at the bytes of *digest*: at others it does not count."""
        row = self._rows.get(person)
        if row is None or self._of[person] != digest:
            return None
        first, last, looked, since = row
        others = tuple(each for each in self.open(now) if each.person != person)
        noted = last if since else 0
        return Look(first=first, looked_ms=looked, others=others, noted=noted)


def _looks(flat: Sequence[bytes]) -> _Looks:
    rows, of = {}, {}
    for who, value in zip(flat[::2], flat[1::2], strict=True):
        try:
            *times, digest = value.decode().split(" ")
            first, last, looked, since = map(int, times)
            name = who.decode()
        except ValueError:
            continue  # none of ours: nobody looked
        rows[name], of[name] = (first, last, looked, since), digest
    return _Looks(rows, of)


def _name(text: str) -> str:
    """Return *text* as a name. Raises MalformedCall."""
    if not 0 < len(text) <= LONGEST:
        raise MalformedCall(f"A name has 1 to {LONGEST} characters.")
    return text


def _written(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _assignment(row: Sequence[bytes | None]) -> Assignment | None:
    try:
        to, by, at, message = (cast(bytes, part).decode() for part in row)
        return Assignment(to=to, by=by, at=int(at), message=message)
    except (AttributeError, ValueError):
        return None  # nobody is asked, or it is none of ours


def _colleague(row: Sequence[Any], away: dict[str, Absence]) -> Colleague:
    who, groups, seen, approved, assigned = row
    name = who.decode("utf-8", "replace")
    return Colleague(
        id=name,
        groups=_texts(groups),
        seen=int(float(seen)),
        approved=int(approved),
        assigned=int(assigned),
        away=away.get(name),
    )


def _texts(value: bytes) -> tuple[str, ...]:
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return ()
    return tuple(each for each in found if type(each) is str) if type(found) is list else ()


def _suspension(agent: bytes, value: bytes) -> Suspension:
    name = agent.decode("utf-8", "replace")
    try:
        said = json.loads(value)
        by, reason, at = str(said["by"]), str(said["reason"]), int(said["at"])
        owners = said.get("owners", [])
        if type(owners) is not list or any(type(each) is not str for each in owners):
            raise ValueError("no names of owners")
    except DAMAGED:
        reason = "Its record cannot be read; it counts all the same."
        return Suspension(agent=name, by="", reason=reason, at=0)
    return Suspension(
        agent=name,
        by=by,
        reason=reason,
        at=at,
        owners=tuple(owners),
        unknown=said.get("unknown") is True,
    )
