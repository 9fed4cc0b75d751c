"""Plants practice calls: held like any, decided like any, and never anything else than that."""

from __future__ import annotations

from dataclasses import replace

from .announcing import Announcer
from .core.actions import Action, ToolCall
from .core.clearance import Seals
from .core.decisions import Decision, Level
from .core.events import Decided
from .core.facts import NO_EFFECTS
from .core.lifecycle import step
from .ports import Ids, Notice, Put, Store
from .recording import Recorder, as_stored, refusal

_HELD = (Level.APPROVE, Level.APPROVE_DUAL)


class Practice:
    """Puts practice calls among the held ones. They reserve nothing, and join with nothing."""

    def __init__(
        self, *, store: Store, recorder: Recorder, seals: Seals, announcer: Announcer, ids: Ids
    ) -> None:
        self._store = store
        self._recorder = recorder
        self._seals = seals
        self._announcer = announcer
        self._ids = ids

    async def plant(self, call: ToolCall, decision: Decision, of: str) -> Action:
        """Hold *call* (sealed) as practice, like the rejected call with the id *of*; tell people.

        Raises:
            ValueError: the decision holds nothing, or nothing is said of what it is like.
            QueueFull, Suspended, StoreUnavailable: it was not taken.
        """
        if decision.level not in _HELD or not of:
            raise ValueError("a practice call is held, and is like one that was rejected")
        at = await self._store.now()
        proposed = Action(id=self._ids.action_id(), call=call, digest=call.digest, decoy_of=of)
        event = Decided(at=at, decision=replace(decision, effects=NO_EFFECTS))
        after, _ = step(proposed, event)
        after = self._seals.sealed(after)
        stored = await self._recorder.put(proposed, event, after, self._ids.nonce())
        if stored.outcome is not Put.OK:
            raise refusal(stored)
        held = as_stored(after, stored)
        self._announcer.tell(held, Notice.HELD)
        return held
