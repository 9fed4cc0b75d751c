"""Has each channel tell people what waits in the outbox, at least once; none waits for another.

One `Delivery` runs in each process. What is claimed by one is left alone by the others until its
lease has passed, so that a crash delays a notice and loses none.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Protocol

from ..core.actions import Action, State
from ..core.desk import Assignment
from ..core.errors import StoreUnavailable
from ..core.numbers import number_of
from ..core.rules import PolicySet
from ..people_ports import Entry, Outbox, Room
from ..ports import Notice
from ..tasks import Tasks, stopped
from .channel import Channel, Undelivered
from .telling import Digest, Told, sample, told

log = logging.getLogger("interlock.notify")

UNSAVED = 10_000  #: notices that are kept here while the store does not answer
HOUSEKEEPING = 60.0  #: seconds between two looks for what no channel serves
ABANDONED_MS = 86_400_000
_WAITS = frozenset({Notice.HELD, Notice.REMINDER, Notice.ESCALATED, Notice.ASKED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast and how often people are told. Seconds, but for the lease.

    `backoff`: the pauses behind failed tries; after the last one a notice is a dead letter.
    `longest` of one try is less than the lease: nobody else tries meanwhile.
    """

    backoff: tuple[float, ...] = (1, 5, 30, 120, 600, 3600)
    most_after: float = 3600  #: a receiver that asks for more is not heeded
    at_once: int = 4  #: sends of one channel
    poll: float = 1.0
    longest: float = 90.0
    lease_ms: int = 120_000
    breath: float = 0.25  #: pause of a channel that fails; doubles up to `most_breath`
    most_breath: float = 30.0
    rotation: float = 0.5  #: for policy's choice of who is asked, which is made meanwhile
    grace: float = 3.0  #: for what is being sent at the end


class Calls(Protocol):
    """The part of `interlock.gate.Gate` that is read here."""

    @property
    def policy(self) -> PolicySet: ...

    async def get(self, action_id: str) -> Action | None: ...

    def genuine(self, action: Action) -> bool: ...


class Asked(Protocol):
    """The part of ports.Desk that is read here."""

    async def assigned(self, action_ids: Sequence[str]) -> tuple[Assignment | None, ...]: ...


@dataclass(slots=True)
class _Line:
    """A channel and how it does. `resumes`: when it may be tried again, by the loop's clock."""

    channel: Channel
    digest_ms: int | None = None
    busy: int = 0
    failures: int = 0
    resumes: float = 0.0


def pause(tries: int, after: float | None, pace: Pace) -> float | None:
    """Return the seconds until the next try behind *tries* failed ones; None: there is none.

    *after*: what the receiver asks for.
    """
    if tries > len(pace.backoff):
        return None
    return max(pace.backoff[max(tries, 1) - 1], min(after or 0.0, pace.most_after))


def outdated(why: Notice, action: Action) -> bool:
    """Say whether nobody needs to hear it any more: what waited does not, or again."""
    held = action.state is State.HELD
    return (why in _WAITS and not held) or (why is Notice.SETTLED and held)


@dataclass(slots=True, kw_only=True)
class Delivery:
    """ports.Notifier: what is notified is kept in the outbox, and `run` has it told.

    `digests`: windows in ms, by channel, that go before that of policy. `counted` is told of each
    outcome by channel: delivered, retried, dead, outdated, dropped. `upstreams`: base URLs by name.
    """

    outbox: Outbox
    channels: Sequence[Channel]
    calls: Calls
    desk: Asked
    url: str
    upstreams: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, int] = field(default_factory=dict)
    counted: Callable[[str, str], None] = lambda channel, outcome: None
    pace: Pace = Pace()
    _lines: dict[str, _Line] = field(init=False)
    _unsaved: deque[tuple[str, int, Notice]] = field(init=False, default_factory=deque)
    _woken: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _tasks: Tasks = field(init=False, default_factory=Tasks)
    _sending: set[asyncio.Task[None]] = field(init=False, default_factory=set)
    _closing: bool = field(init=False, default=False)
    _store_is_up: bool = field(init=False, default=True)
    _kept_house: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self._lines = {
            each.name: _Line(each, self.digests.get(each.name)) for each in self.channels
        }

    # what people have to be told of ------------------------------------------------------------

    async def notify(self, action: Action, why: Notice) -> None:
        """Keep it until every channel that wants it has told people. Never raises."""
        wanting = tuple(each.name for each in self.channels if why in each.wants)
        if not wanting:
            return
        try:
            await self._put(action.id, action.version, why)
        except StoreUnavailable as error:
            self._down(error)
            if len(self._unsaved) < UNSAVED:
                self._unsaved.append((action.id, action.version, why))
            else:
                self._count(wanting, "dropped")
        self._woken.set()

    async def _put(self, action_id: str, version: int, why: Notice) -> None:
        wanting = [each for each in self._lines.values() if why in each.channel.wants]
        together = [each.channel.name for each in wanting if self._collects(each, why)]
        if together:
            await self.outbox.collect(action_id, together)
        singly = [each.channel.name for each in wanting if not self._collects(each, why)]
        if singly:
            self._count(await self.outbox.put(action_id, version, why, singly), "dropped")

    def _collects(self, line: _Line, why: Notice) -> bool:
        return why is Notice.SENT and self._window(line) > 0

    def _window(self, line: _Line) -> int:
        """Return how often the digest of a channel is, ms; 0: there is none."""
        if line.digest_ms is not None:
            return line.digest_ms
        return self.calls.policy.levels.digest_ms

    def _count(self, channels: Sequence[str], outcome: str) -> None:
        for channel in channels:
            self.counted(channel, outcome)

    # having them told ------------------------------------------------------------------------

    async def run(self) -> None:
        """Tell people until `close` is called."""
        while not self._closing:
            self._woken.clear()
            try:
                await self._turn()
            except Exception:  # outermost: one fault must not leave people untold for good
                log.exception("telling people failed; it is tried again in %g s", self.pace.poll)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.pace.poll):
                    await self._woken.wait()

    async def close(self) -> None:
        """Start no send any more, finish those under way, as far as that is soon done."""
        self._closing = True
        self._woken.set()
        await self._tasks.drain(self.pace.grace)
        await stopped(tuple(self._sending))
        for each in self.channels:
            await each.close()

    def names(self) -> tuple[str, ...]:
        return tuple(self._lines)

    async def test(self, channel: str) -> str:
        """Send a sample now; return why that failed, or an empty text.

        Raises:
            KeyError: there is no such channel.
        """
        try:
            async with asyncio.timeout(self.pace.longest):
                await self._lines[channel].channel.send(sample(self.url, f"test-{token_hex(8)}"))
        except Undelivered as error:
            return error.why
        except TimeoutError:
            return f"it took longer than {self.pace.longest:g} s"
        return ""

    async def _turn(self) -> None:
        try:
            await self._save()
            await self._keep_house()
            rooms = self._rooms()
            entries = await self.outbox.claim(rooms, self.pace.lease_ms) if rooms else ()
        except StoreUnavailable as error:
            self._down(error)
            return
        self._store_is_up = True
        for entry in entries:
            self._lines[entry.channel].busy += 1
            task = self._tasks.spawn(self._deliver(entry), f"tell-{entry.id}")
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _save(self) -> None:
        while self._unsaved:
            await self._put(*self._unsaved[0])
            self._unsaved.popleft()

    async def _keep_house(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._kept_house >= HOUSEKEEPING:
            self._kept_house = now
            await self.outbox.forsaken(tuple(self._lines), ABANDONED_MS)

    def _rooms(self) -> list[Room]:
        now, rooms = asyncio.get_running_loop().time(), []
        for name, line in self._lines.items():
            free = (1 if line.failures else self.pace.at_once) - line.busy
            if free > 0 and line.resumes <= now:
                rooms.append(Room(channel=name, most=free, digest_ms=self._window(line)))
        return rooms

    def _down(self, error: StoreUnavailable) -> None:
        if self._store_is_up:
            log.warning("people are told once the store answers again: %s", error.detail)
        self._store_is_up = False

    # one of them -----------------------------------------------------------------------------

    async def _deliver(self, entry: Entry) -> None:
        line = self._lines[entry.channel]
        try:
            await self._tried(line, entry)
        except StoreUnavailable as error:  # it is due again when the lease has passed
            self._down(error)
        finally:
            line.busy -= 1
            self._woken.set()

    async def _tried(self, line: _Line, entry: Entry) -> None:
        why: Undelivered
        try:
            async with asyncio.timeout(self.pace.longest):
                outcome = await self._sent(line.channel, entry)
        except Undelivered as error:
            why = error
        except TimeoutError:
            why = Undelivered(f"it took longer than {self.pace.longest:g} s", retry=True)
        except StoreUnavailable as error:
            why = Undelivered(error.detail, retry=True)
        except Exception:  # outermost: a fault of one channel must not end all
            log.exception("channel %s failed", entry.channel)
            why = Undelivered("Interlock failed at it; its log says how", retry=True)
        else:
            line.failures, line.resumes = 0, 0.0
            await self.outbox.done(entry)
            self.counted(entry.channel, outcome)
            return
        await self._failed(line, entry, why)

    async def _failed(self, line: _Line, entry: Entry, error: Undelivered) -> None:
        wait = pause(entry.tries, error.after, self.pace) if error.retry else None
        if error.retry:
            self._rest(line, error.after)
        if wait is None:
            about = entry.action or number_of(len(entry.calls) + entry.more, "call")
            log.warning("%s was not told of %s: %s", entry.channel, about, error.why)
            await self.outbox.bury(entry, error.why)
            self.counted(entry.channel, "dead")
            return
        if line.failures == 1:
            log.warning("%s fails, and is tried again: %s", entry.channel, error.why)
        await self.outbox.again(entry, round(wait * 1000), error.why)
        self.counted(entry.channel, "retried")

    def _rest(self, line: _Line, after: float | None) -> None:
        """Leave a channel that fails alone for a while, longer each time."""
        breath = min(self.pace.breath * 2 ** min(line.failures, 16), self.pace.most_breath)
        breath = max(breath, min(after or 0.0, self.pace.most_after))
        line.failures += 1
        line.resumes = asyncio.get_running_loop().time() + breath

    async def _sent(self, channel: Channel, entry: Entry) -> str:
        """Tell people; return what became of it. Raises Undelivered and StoreUnavailable."""
        if entry.why is None:
            await channel.send_digest(await self._digest(channel, entry))
            return "delivered"
        action = await self.calls.get(entry.action)
        if action is None or outdated(entry.why, action):
            return "outdated"
        if not self.calls.genuine(action):
            raise Undelivered("its record was changed outside Interlock", retry=False)
        asked = await self._asked(action)
        if not asked and entry.why is Notice.HELD and self.calls.policy.attention.rotate:
            await asyncio.sleep(self.pace.rotation)
            asked = await self._asked(action)
        await channel.send(self._told(channel, action, entry.why, entry.id, asked))
        return "delivered"

    async def _asked(self, action: Action) -> tuple[str, ...]:
        (assignment,) = await self.desk.assigned([action.id])
        return (assignment.to,) if assignment is not None and assignment.to else ()

    async def _digest(self, channel: Channel, entry: Entry) -> Digest:
        found = []
        for action_id in entry.calls:
            action = await self.calls.get(action_id)
            if action is not None and self.calls.genuine(action):
                found.append(self._told(channel, action, Notice.SENT, entry.id, ()))
        more = entry.more + len(entry.calls) - len(found)
        return Digest(key=entry.id, told=tuple(found), more=more, since=entry.since, until=entry.at)

    def _told(
        self, channel: Channel, action: Action, why: Notice, key: str, asked: tuple[str, ...]
    ) -> Told:
        return told(
            action,
            why,
            self.url,
            with_arguments=channel.arguments,
            assigned=asked,
            redact=self.calls.policy.redact,
            upstreams=self.upstreams,
            key=key,
        )
