"""Writes transitions to the store, and tells observers what was written: every write goes here.

Observers hear nothing of practice calls: no number and no line of them is one of an agent's call.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from time import perf_counter

from .core.actions import Action, State, evolve
from .core.errors import (
    Forbidden,
    IllegalTransition,
    KeyReused,
    Lapsed,
    QueueFull,
    StaleVersion,
    StoreUnavailable,
    Suspended,
)
from .core.events import DeadlinePassed, Event, LeaseLost
from .core.facts import NO_EFFECTS, Effects
from .core.lifecycle import FINAL, step
from .noting import Noting, to_note
from .ports import NOTE_LATER, Change, Ids, Observer, Put, Store, Stored

log = logging.getLogger("interlock")

SCHEMA_SECONDS = 3600.0  #: after which a schema is written again: the store may have lost it
_READ = (State.HELD, State.APPROVED, State.UNKNOWN)  #: of which the store may have been asked
_WAITING = (State.HELD, State.APPROVED)
_REMEMBERED = 100_000  #: calls that people decided; the oldest have lapsed long ago
RACES = 8  #: how often something is tried again because others were faster


class Recorder:
    """The one way from a transition to the store and to those who watch."""

    def __init__(
        self,
        store: Store,
        observers: Sequence[Observer],
        ids: Ids,
        settled: Callable[[Action], None],
        notes: Noting,
    ) -> None:
        self._store = store
        self._observers = observers
        self._ids = ids
        self._settled = settled  #: told of every call that was held and is so no more
        self._notes = notes
        self._schemas: dict[str, float] = {}  #: which were written, and when
        self._ended: dict[str, State] = {}  #: calls of people that this process saw end, and how

    async def put(
        self,
        before: Action,
        event: Event,
        after: Action,
        nonce: str,
        effects: Effects = NO_EFFECTS,
    ) -> Stored:
        """Write one transition. What the store ended on the way is told to observers."""
        note, schema = self._noted(before, after)
        stored = await self._store.put(
            Change(
                before=before,
                event=event,
                after=after,
                nonce=nonce,
                effects=effects,
                note=note,
                schema=schema,
            )
        )
        if stored.lapsed:
            ended = replace(before, state=State(stored.state), version=stored.version)
            self.lapsed(replace(ended, changed=stored.now), stored.lapsed)
        return stored

    def _noted(self, before: Action, action: Action) -> tuple[bytes, tuple[str, bytes]]:
        """Return the record of a call that has ended, and a schema that may not be kept yet."""
        if not to_note(action):
            return b"", ("", b"")
        if before.state in _READ and self._notes.vouched(before) is None:
            log.warning("call %s was changed outside Interlock: no record is made", action.id)
            return NOTE_LATER, ("", b"")
        try:
            note = self._notes.note(action)
        except Exception:  # outermost: the end of a call is not lost for want of its record
            log.exception("the record of call %s is made later", action.id)
            return NOTE_LATER, ("", b"")
        if not note.schema or perf_counter() < self._schemas.get(note.schema, 0.0):
            return note.entry, ("", b"")
        if len(self._schemas) >= 10_000:
            self._schemas.clear()
        self._schemas[note.schema] = perf_counter() + SCHEMA_SECONDS
        return note.entry, (note.schema, note.document)

    async def apply(self, action: Action, event: Event) -> Action:
        """Move *action* by *event*, or raise what keeps it from moving."""
        after, _ = step(action, event)
        stored = await self.put(action, event, after, self._ids.nonce())
        if stored.outcome is not Put.OK:
            raise refusal(stored)
        return self.told(action, event, after, stored)

    def told(self, before: Action, event: Event, after: Action, stored: Stored) -> Action:
        """Return *after* as it was stored, once observers know of it."""
        after = as_stored(after, stored)
        self.observe(before, event, after)
        return after

    def lapsed(self, action: Action, before: str) -> None:
        """The store ended an action because its deadline had passed."""
        earlier = replace(action, state=State(before), version=action.version - 1)
        lost = action.state is State.UNKNOWN
        event = LeaseLost(at=action.changed) if lost else DeadlinePassed(at=action.changed)
        self.observe(earlier, event, action)

    def came_back(self, action: Action) -> str:
        """Say how a call ended that waits again, as far as this process saw; empty: it did not.

        Nothing leaves such a state: where *action* was read after that, somebody put it back.
        """
        ended = self._ended.get(action.id) if action.state in _WAITING else None
        return "" if ended is None else ended.value

    def _remember(self, before: Action, after: Action) -> None:
        if after.state not in FINAL or not (before.state in _WAITING or before.reviews):
            return
        if len(self._ended) >= _REMEMBERED:
            del self._ended[next(iter(self._ended))]
        self._ended[after.id] = after.state

    def observe(self, before: Action, event: Event, after: Action) -> None:
        self._remember(before, after)
        if before.state is State.HELD and after.state is not State.HELD:
            self._settled(after)
        if after.decoy_of:
            return
        for observer in self._observers:
            observer.transition(before, event, after)

    def timed(self, what: str, began: float) -> None:
        """Tell how long *what* took since *began* (perf_counter)."""
        seconds = perf_counter() - began
        for observer in self._observers:
            observer.timed(what, seconds)


def as_stored(action: Action, stored: Stored) -> Action:
    """Take over what the store's clock and counter say."""
    return evolve(
        action,
        version=stored.version,
        deadline=stored.deadline,
        created=stored.created,
        changed=stored.now,
    )


_FULL = {
    "kept": "This agent has made the store keep as much as it may in a day. Nothing was sent."
    " Use a session that it already has and no Idempotency-Key, or wait (`agents.kept_per_agent`).",
    "": "Too many calls wait for people already. Nothing was sent."
    " Wait until some are decided, then try again.",
}
STOPPED = "This agent was stopped by a person. Nothing of it is sent until somebody resumes it."
_CHANGED = StaleVersion, "The call has changed since you looked at it; look again."
_REFUSALS: Mapping[Put, tuple[type[Exception], str]] = {
    Put.REUSED: (
        KeyReused,
        "This Idempotency-Key was used for another call. Use a new key for a new call.",
    ),
    Put.FACTS: (
        StoreUnavailable,
        "Nothing was sent: others used the same budget at the same time; try again.",
    ),
    Put.SUSPENDED: (Suspended, STOPPED),
    Put.LAPSED: (Lapsed, "The deadline has passed; the call will not be sent."),
    Put.SELF: (Forbidden, "The requester and its owner may not decide this call."),
    Put.DIGEST: _CHANGED,
    Put.QUORUM: _CHANGED,
    Put.STALE: _CHANGED,
    Put.VOTED: (
        IllegalTransition,
        "You have already approved this call; another person must.",
    ),
}


def refusal(stored: Stored) -> Exception:
    """Return what a write that was not taken means for whoever asked for it."""
    if stored.outcome is Put.FULL:
        return QueueFull(_FULL.get(stored.state, _FULL[""]))
    known = _REFUSALS.get(stored.outcome)
    if known is not None:
        return known[0](known[1])
    return IllegalTransition(f"The call is {stored.state}; it cannot be changed any more.")
