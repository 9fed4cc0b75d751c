"""Random lives of a call on the real store, against the pure core as the model.

What the core says must happen is what the store holds, also when every write is delivered twice,
when somebody writes on the ground of an old version, and after kill -9 of the server.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from interlock.core.actions import Action, Answer, Review, Reviewer, State, Verdict
from interlock.core.decisions import Level
from interlock.core.errors import InterlockError
from interlock.core.events import (
    Answered,
    Cancelled,
    Claimed,
    Decided,
    Event,
    Lost,
    NotSent,
    PolicyTightened,
    Resolved,
    Reviewed,
)
from interlock.core.lifecycle import step
from interlock.ports import Change, Put
from interlock.store.redis import RedisStore
from tests.support.builders import (
    ANN,
    BOB,
    CAT,
    a_decision,
    a_review,
    an_action,
    edited,
)
from tests.support.stores import Server

T = TypeVar("T")
NUMBERS = itertools.count(1)
DENY = a_decision(Level.DENY)
REFUSED = {Put.STALE, Put.ILLEGAL, Put.LAPSED, Put.DIGEST, Put.VOTED, Put.QUORUM, Put.NONCE}
COMPARED = "state version digest call original votes reviews decision fence cause answer".split()


def without_calls(reviews: tuple[Review, ...]) -> tuple[Review, ...]:
    """An edited call is stored once, as the action's call."""
    return tuple(replace(review, call=None) for review in reviews)


class Life(RuleBasedStateMachine):
    """One call at a time; `action` is what the core says, `old` what it was before."""

    server: Server

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.store = RedisStore(self.server.url)
        self.nonces = itertools.count(1)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @initialize(level=st.sampled_from([Level.APPROVE, Level.APPROVE_DUAL]))
    def proposed(self, level: Level) -> None:
        self.decision = a_decision(level)
        name = f"c{next(NUMBERS)}"
        self.action = self.old = replace(an_action(action_id=name), fingerprint=name)
        self.take(Decided(at=self.now(), decision=self.decision), twice=True)

    def now(self) -> int:
        return self.run(self.store.now())

    def take(self, event: Event, *, twice: bool, nonce: str = "") -> None:
        """Do *event* where the core allows it; the store has to agree."""
        before = self.action
        try:
            after, _ = step(before, event)
        except InterlockError:
            return
        change = Change(
            before=before, event=event, after=after, nonce=nonce or f"n{next(self.nonces)}"
        )
        stored = self.run(self.store.put(change))
        assert stored.outcome is Put.OK, (stored, before.state, event)
        if twice:
            assert self.run(self.store.put(change)).outcome is Put.OK
        self.old = before
        self.action = replace(
            after,
            votes=without_calls(after.votes),
            reviews=without_calls(after.reviews),
            version=stored.version,
            deadline=stored.deadline,
            created=stored.created,
            changed=stored.now,
        )

    # what people, workers and callers do ---------------------------------------------------

    @rule(
        who=st.sampled_from([ANN, BOB, CAT, Reviewer(id="bot"), Reviewer(id="olga")]),
        verdict=st.sampled_from([*Verdict, Verdict.APPROVE, Verdict.EDIT]),
        amount=st.integers(1, 3),
        twice=st.booleans(),
    )
    def reviewed(self, who: Reviewer, verdict: Verdict, amount: int, twice: bool) -> None:
        call = edited(self.action, b'{"amount": %d}' % amount) if verdict is Verdict.EDIT else None
        review = a_review(self.action, who, verdict, call=call, mac="m")
        event = Reviewed(at=self.now(), review=review, decision=self.decision)
        self.take(event, twice=twice)

    @rule(twice=st.booleans())
    def claimed(self, twice: bool) -> None:
        nonce = f"w{next(self.nonces)}"
        self.take(Claimed(at=self.now(), nonce=nonce, lease_ms=60_000), twice=twice, nonce=nonce)

    @rule(twice=st.booleans(), how=st.sampled_from(["answered", "lost", "not sent"]))
    def reported(self, twice: bool, how: str) -> None:
        answer = Answer(status=200, body=b"ok", size=2)
        events: dict[str, Event] = {
            "answered": Answered(at=self.now(), answer=answer),
            "lost": Lost(at=self.now(), cause="cut"),
            "not sent": NotSent(at=self.now(), cause="refused"),
        }
        if self.action.nonce:
            self.take(events[how], twice=twice, nonce=self.action.nonce)

    @rule(how=st.sampled_from(["cancel", "tighten", "resolve"]), twice=st.booleans())
    def ended(self, how: str, twice: bool) -> None:
        at = self.now()
        events: dict[str, Event] = {
            "cancel": Cancelled(at=at, by="bot"),
            "tighten": PolicyTightened(at=at, decision=DENY),
            "resolve": Resolved(at=at, by="ann", happened=True, message="seen"),
        }
        self.take(events[how], twice=twice)

    # what goes wrong -----------------------------------------------------------------------

    @rule(who=st.sampled_from([ANN, BOB, CAT]), claim=st.booleans())
    def somebody_writes_on_an_old_version(self, who: Reviewer, claim: bool) -> None:
        if self.old.version == self.action.version or self.old.state is State.PROPOSED:
            return
        at, nonce = self.now(), f"late{next(self.nonces)}"
        review = Reviewed(at=at, review=a_review(self.old, who), decision=self.decision)
        event = Claimed(at=at, nonce=nonce, lease_ms=1000) if claim else review
        self.refused(self.old, event, nonce)

    @rule(event=st.sampled_from([NotSent(at=1, cause="no"), Lost(at=1, cause="no")]))
    def a_stranger_reports(self, event: Event) -> None:
        self.refused(self.action, event, "stranger")

    def refused(self, before: Action, event: Event, nonce: str) -> None:
        try:
            after, _ = step(before, event)
        except InterlockError:
            return
        change = Change(before=before, event=event, after=after, nonce=nonce)
        assert self.run(self.store.put(change)).outcome in REFUSED

    @rule()
    def the_deadline_passes(self) -> None:
        if not self.action.deadline:
            return
        key = f"{self.store._prefix}:c:{self.action.id}"
        self.run(self.store.client.hset(key, "deadline", "1"))  # type: ignore[arg-type]
        self.run(self.store.get(self.action.id))  # whoever looks ends it
        over = State.UNKNOWN if self.action.state is State.FORWARDING else State.EXPIRED
        self.old, self.action = (
            self.action,
            replace(self.action, state=over, version=self.action.version + 1, deadline=0),
        )

    @rule()
    def the_store_is_killed(self) -> None:
        self.server.kill()
        self.server.start()

    # what always holds ---------------------------------------------------------------------

    @invariant()
    def the_store_holds_what_the_core_says(self) -> None:
        stored = self.run(self.store.get(self.action.id))
        assert stored is not None
        for name in COMPARED:
            assert getattr(stored, name) == getattr(self.action, name), name

    @invariant()
    def the_record_has_no_gap(self) -> None:
        rows = self.run(self.store.history(self.action.id))
        assert [int(row["version"]) for row in rows] == list(range(1, self.action.version + 1))
        assert rows[-1]["to"] == self.action.state.value

    @invariant()
    def the_queue_lists_what_is_held(self) -> None:
        listed = self.run(self.store.held(None, 100)).actions
        held = self.action.state is State.HELD
        assert (self.action.id in {action.id for action in listed}) == held

    def teardown(self) -> None:
        if self.action.state is State.HELD:
            self.take(Cancelled(at=self.now(), by="bot"), twice=False)
        self.run(self.store.close())
        self.runner.close()


def test_no_random_life_tells_the_store_and_the_core_apart(own_server: Server) -> None:
    Life.server = own_server
    case = Life.TestCase()
    case.settings = settings(
        max_examples=30,
        stateful_step_count=20,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    case.runTest()
