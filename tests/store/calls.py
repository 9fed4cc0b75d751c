"""Calls on one store, in a line each, and what they leave behind."""

from __future__ import annotations

from typing import Any

from interlock.core.actions import Action, Answer, Verdict
from interlock.core.decisions import Level
from interlock.core.events import (
    Answered,
    Cancelled,
    Claimed,
    Decided,
    Event,
    Lost,
    NotSent,
    PolicyTightened,
    Reviewed,
)
from interlock.core.facts import (
    MILLION,
    NO_EFFECTS,
    Counter,
    Counting,
    Effects,
    Needs,
    Reservation,
)
from interlock.core.lifecycle import step
from interlock.ports import Change, Put
from interlock.store.redis import RedisStore
from tests.support.builders import ANN, BOB, a_decision, a_review, an_action, edited

DAY = 86_400_000
BUDGET = Counter(key="budget", counting=Counting.SPENT, window_ms=DAY)
OPEN = Counter(key="open", counting=Counting.OPEN)
HOLDS = Counter(key="holds", counting=Counting.HOLDS, window_ms=3_600_000)
DENY = a_decision(Level.DENY)
NAMES = {"budget": BUDGET, "open": OPEN, "holds": HOLDS}


def share(counter: Counter = BUDGET, weight: int = MILLION, room: int | None = None) -> Effects:
    return Effects(reservations=(Reservation(counter=counter, weight=weight, room=room),))


ALL = Effects(
    reservations=tuple(
        Reservation(counter=one, weight=MILLION, room=None) for one in (BUDGET, OPEN, HOLDS)
    )
)


class Calls:
    """Calls on one store, by name; each method is one thing that happens to a call."""

    def __init__(self, store: RedisStore) -> None:
        self.store = store
        self._nonces = 0

    async def proposed(
        self, name: str, effects: Effects = NO_EFFECTS, level: Level = Level.APPROVE, **said: Any
    ) -> Put:
        decision = a_decision(level, **said)
        event = Decided(at=await self.store.now(), decision=decision)
        action = an_action(action_id=name)
        if level > Level.NOTIFY:
            return await self.write(action, event, effects)
        approved, _ = step(action, event)
        claim = Claimed(at=event.at, nonce=f"w-{name}", lease_ms=60_000)
        after, _ = step(approved, claim)
        change = Change(before=action, event=event, after=after, nonce=f"w-{name}", effects=effects)
        return (await self.store.put(change)).outcome

    async def write(
        self, before: Action, event: Event, effects: Effects = NO_EFFECTS, nonce: str = ""
    ) -> Put:
        """Write *event*, twice: a repetition must change nothing."""
        after, _ = step(before, event)
        self._nonces += 1
        change = Change(
            before=before,
            event=event,
            after=after,
            nonce=nonce or f"n{self._nonces}",
            effects=effects,
        )
        outcome = (await self.store.put(change)).outcome
        assert (await self.store.put(change)).outcome is outcome
        return outcome

    async def read(self, name: str) -> Action:
        action = await self.store.get(name)
        assert action is not None
        return action

    async def approved(self, name: str, **decision: Any) -> Put:
        return await self._reviewed(name, Verdict.APPROVE, **decision)

    async def rejected(self, name: str) -> Put:
        return await self._reviewed(name, Verdict.REJECT)

    async def responded(self, name: str) -> Put:
        return await self._reviewed(name, Verdict.RESPOND)

    async def edited(self, name: str, effects: Effects, **decision: Any) -> Put:
        action = await self.read(name)
        review = a_review(action, verdict=Verdict.EDIT, call=edited(action))
        event = Reviewed(at=await self.store.now(), review=review, decision=a_decision(**decision))
        return await self.write(action, event, effects)

    async def _reviewed(self, name: str, verdict: Verdict, **decision: Any) -> Put:
        action = await self.read(name)
        who = BOB if any(vote.reviewer == ANN for vote in action.votes) else ANN
        review = a_review(action, who, verdict)
        event = Reviewed(at=await self.store.now(), review=review, decision=a_decision(**decision))
        return await self.write(action, event)

    async def cancelled(self, name: str) -> Put:
        return await self.write(await self.read(name), Cancelled(at=1, by="bot"))

    async def tightened(self, name: str) -> Put:
        return await self.write(await self.read(name), PolicyTightened(at=1, decision=DENY))

    async def claimed(self, name: str) -> Put:
        action = await self.read(name)
        nonce = f"w-{name}{action.fence}"
        event = Claimed(at=await self.store.now(), nonce=nonce, lease_ms=60_000)
        return await self.write(action, event, nonce=nonce)

    async def _told(self, name: str, event: Event) -> Put:
        action = await self.read(name)
        return await self.write(action, event, nonce=action.nonce)

    async def answered(self, name: str) -> Put:
        return await self._told(name, Answered(at=1, answer=Answer(status=200)))

    async def not_sent(self, name: str) -> Put:
        return await self._told(name, NotSent(at=1, cause="refused"))

    async def lost(self, name: str) -> Put:
        return await self._told(name, Lost(at=1, cause="cut"))

    async def expired(self, name: str) -> Put:
        """Let the deadline pass (the clock stays), and look."""
        key = f"{self.store._prefix}:c:{name}"
        await self.store.client.hset(key, "deadline", "1")
        await self.read(name)
        return Put.OK

    async def used(self, own: str = "") -> dict[str, int]:
        facts = await self.store.facts(Needs(counters=tuple(NAMES.values()), own=own))
        return {name: total // MILLION for name, total in facts.used.items()}

    async def fields(self, key: str) -> dict[str, str]:
        found: Any = await self.store.client.hgetall(f"{self.store._prefix}:{key}")
        return {name.decode(): value.decode() for name, value in found.items()}
