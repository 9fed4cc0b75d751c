"""The driver: decide, persist, then act. The only file that knows that order.

Every change of an action goes through `step`, every write through the recorder; what has been
written is what happens next. A write that fails means that nothing is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any, NamedTuple

from .announcing import Announcer
from .callers import Callers, Submission
from .core.actions import Action, Review, State, ToolCall, evolve
from .core.clearance import Seals
from .core.commands import Claim, Command, Forward, Notify, Reply
from .core.decisions import Decision, Level
from .core.digest import fingerprint
from .core.errors import StoreUnavailable, UpstreamLost, UpstreamUnreachable
from .core.events import Claimed, Decided
from .core.facts import Grant
from .core.lifecycle import step
from .core.rules import PolicySet
from .granting import GrantAsked, Grants
from .judge import Judge
from .learning_ports import Confidences
from .mcp_ports import Definitions, NothingListed
from .noting import Noting
from .ports import Clock, Ids, Notice, Notifier, Observer, PolicyState, Put, Store, Stored, Upstream
from .practice import Practice
from .recording import RACES, Recorder, as_stored, refusal
from .relay import Relay
from .reviewing import Reviews
from .sending import Sender, Timing
from .sweeping import Sweeper
from .tasks import Tasks


class _Proposed(NamedTuple):
    """A call as it was written: the steps that it took in one write, and what is to be done."""

    proposed: Action
    event: Decided
    decided: Action
    claim: Claimed | None
    after: Action
    commands: Sequence[Command]
    until: float  #: when the lease of the claim ends, by this loop's clock
    stored: Stored


class Gate:
    """Takes proposed calls and people's reviews as far as they can go."""

    def __init__(
        self,
        *,
        policy: PolicySet,
        store: Store,
        upstreams: Mapping[str, Upstream],
        definitions: Definitions | None = None,
        notifiers: Sequence[Notifier],
        observers: Sequence[Observer],
        clock: Clock,
        ids: Ids,
        seal_key: bytes,
        timing: Timing | None = None,
        joined_by_key: frozenset[str] = frozenset(),
        confidences: Confidences | None = None,
    ) -> None:
        self.store = store
        self.policy_state = PolicyState(ref=policy.ref, loaded_at=clock.now_ms())
        self._clock = clock
        self._ids = ids
        timing = timing or Timing()
        definitions = definitions or NothingListed()
        self._joined_by_key = joined_by_key
        self._tasks = Tasks()
        self._closing = asyncio.Event()
        self._announcer = Announcer(notifiers, self._tasks)
        self.notes = Noting(seal_key, lambda: self.judging.policy, definitions)
        store.seal_answers(self.notes.answer_key)
        self.recorder = Recorder(store, observers, ids, self._announcer.settled, self.notes)
        self.judging = Judge(
            policy=policy,
            store=store,
            seals=Seals(seal_key),
            clock=clock,
            recorder=self.recorder,
            confidences=confidences,
        )
        self.sender = Sender(
            store=store,
            recorder=self.recorder,
            judge=self.judging,
            upstreams=upstreams,
            definitions=definitions,
            clock=clock,
            ids=ids,
            timing=timing,
            tasks=self._tasks,
            closing=self._closing,
        )
        self._callers = Callers(
            store=store,
            recorder=self.recorder,
            sender=self.sender,
            clock=clock,
            tasks=self._tasks,
            closing=self._closing,
        )
        self._sweeper = Sweeper(
            store=store,
            sender=self.sender,
            announcer=self._announcer,
            resume_after_ms=timing.resume_after_ms,
            closing=self._closing,
        )
        self._grants = Grants(store, self.judging)
        self._reviews = Reviews(
            store=store,
            recorder=self.recorder,
            judge=self.judging,
            definitions=definitions,
            sender=self.sender,
            grants=self._grants,
            announcer=self._announcer,
            ids=ids,
        )
        self._practice = Practice(
            store=store,
            recorder=self.recorder,
            seals=self.seals,
            announcer=self._announcer,
            ids=ids,
        )

    @property
    def policy(self) -> PolicySet:
        """The policy in force."""
        return self.judging.policy

    @policy.setter
    def policy(self, policy: PolicySet) -> None:
        self.judging.policy = policy
        self.policy_state = PolicyState(ref=policy.ref, loaded_at=self._clock.now_ms())

    @property
    def seals(self) -> Seals:
        return self.judging.seals

    # the agents' side ----------------------------------------------------------------------

    async def judge(self, call: ToolCall, own: str = "") -> Decision:
        """Ask the present policy. Raises StoreUnavailable where the past cannot be read."""
        return await self.judging.judge(call, own)

    def read(self, call: ToolCall) -> Decision:
        """Return how policy reads *call*, knowing nothing of the past. For display only."""
        return self.judging.read(call)

    async def submit(self, call: ToolCall, *, key: str = "") -> Submission:
        """Take one proposed call as far as it can go without a person.

        `key` is the hash of an Idempotency-Key; with it the answer is kept for replay.

        Raises:
            StoreUnavailable: it could not be recorded; nothing was sent.
            KeyReused, QueueFull, Suspended: it was not taken.
        """
        self._refuse_when_closing()
        began = perf_counter()
        identity = self._ids.nonce(), self._ids.action_id()
        for _ in range(RACES):
            decision = await self.judging.judge(call)
            written = await self._propose(call, key, decision, identity)
            if written.stored.outcome is not Put.FACTS:  # else others spent it: judge again
                break
        stored = written.stored
        if stored.outcome is Put.JOIN:
            return await self._callers.join(stored.id, call)
        if stored.outcome is not Put.OK:
            raise refusal(stored)
        action = as_stored(written.after, stored)
        self.recorder.observe(written.proposed, written.event, written.decided)
        if written.claim is not None:
            self.recorder.observe(written.decided, written.claim, action)
            self.recorder.timed("added", began)
        return await self._act(action, written.commands, bool(key), written.until)

    async def _propose(
        self, call: ToolCall, key: str, decision: Decision, identity: tuple[str, str]
    ) -> _Proposed:
        """Write down what was decided; where nobody has to be asked, together with the claim."""
        nonce, action_id = identity
        at = self._clock.now_ms()
        # what the past decides about may be decided otherwise when it is asked again
        past = self.judging.sways(decision.facts)
        joinable = bool(key) or past or decision.level >= Level.APPROVE
        proposed = Action(
            id=action_id,
            call=call,
            fingerprint=self._fingerprint(call) if joinable else "",
            key=key,
            digest=call.digest,
        )
        event = Decided(at=at, decision=decision)
        until = self.sender.lease_end()
        decided, commands = step(proposed, event)
        claim = None
        if Claim() in commands:
            decided = self.seals.sealed(self._drawn(decided, decision.audit_share))
            claim = self.sender.claiming(at, nonce)
            after, more = step(decided, claim)  # both in one write: nobody comes between
            commands = (*(c for c in commands if c != Claim()), *more)
        else:
            after = decided = self.seals.sealed(decided)
        stored = await self.sender.put_whole(proposed, event, after, nonce, decision.effects)
        return _Proposed(proposed, event, decided, claim, after, commands, until, stored)

    def _drawn(self, action: Action, share: float) -> Action:
        """Have a random *share* of what goes through judged by an auditor afterwards."""
        return evolve(action, drawn=share > 0 and self._ids.draw() < share)

    def _fingerprint(self, call: ToolCall) -> str:
        """Where only an Idempotency-Key joins calls, the store is told so by a mark."""
        mark = "key:" if call.upstream in self._joined_by_key else ""
        return mark + fingerprint(call)

    async def _act(
        self, action: Action, commands: Sequence[Command], keep: bool, until: float
    ) -> Submission:
        relay: Relay | None = None
        for command in commands:
            match command:
                case Notify():
                    held = action.state is State.HELD
                    self._announcer.tell(action, Notice.HELD if held else Notice.SENT)
                case Forward():
                    try:
                        relay = await self.sender.forward(action, keep, until)
                    except (UpstreamUnreachable, UpstreamLost) as error:
                        return Submission(action=action, failure=error)
                case Claim() | Reply():
                    pass  # claims are written with the decision; replies are the caller's to read
        return Submission(action=action, relay=relay)

    async def get(self, action_id: str) -> Action | None:
        return await self._callers.get(action_id)

    async def of_agent(self, action_id: str, agent_id: str) -> Action | None:
        """Return a call of that agent. Practice calls are nobody's: no agent hears of one."""
        return await self._callers.of_agent(action_id, agent_id)

    async def join(self, action_id: str, again: ToolCall) -> Submission:
        """Join a call of the same agent, as *again* asks for it. Raises StateUnavailable."""
        return await self._callers.join(action_id, again)

    async def wait(self, action: Action, seconds: float, again: ToolCall | None = None) -> Action:
        """Return the action once it is settled, or as it stands after *seconds* or at shutdown.

        *again*: the call as whoever waits asks for it, on the connection that it has now.
        """
        return await self._callers.wait(action, seconds, again)

    async def follow(
        self, action: Action, seconds: float, again: ToolCall | None = None
    ) -> Submission:
        """As `wait`; what this process sends comes as it streams. Raises StoreUnavailable."""
        return await self._callers.follow(action, seconds, again)

    async def cancel(self, action_id: str, agent_id: str) -> Action:
        """Take a call back: CANCELLED will never be sent.

        Raises:
            NotFound, IllegalTransition, Lapsed: as `Callers.cancel` says.
        """
        return await self._callers.cancel(action_id, agent_id)

    def stop(self, action_id: str) -> bool:
        """End a request that this process has at a tool; what became of it is then unknown.

        Returns whether there was one whose answer had not begun.
        """
        return self.sender.stop(action_id)

    def read_on(self, relay: Relay) -> None:
        """Read an answer to its end for the record: its caller has gone, the tool works on."""
        self.sender.drain_soon(relay)

    async def state_task(self, agent_id: str, session: str, task: str) -> None:
        """Keep what the user asked for in a session. Raises StoreUnavailable: it was not kept."""
        await self.judging.state_task(agent_id, session, task)

    # the people's side ---------------------------------------------------------------------

    async def review(
        self, action_id: str, review: Review, *, grant: GrantAsked | None = None
    ) -> Action:
        """Record a person's answer and, if it clears the call, send it in the background.

        With *grant*, calls with the same target are not asked about again for a while. Raises
        as `Reviews.review` says.
        """
        self._refuse_when_closing()
        return await self._reviews.review(action_id, review, grant)

    def tell(self, action: Action, why: Notice) -> None:
        """Have people told of *action* in the background."""
        self._announcer.tell(action, why)

    async def escalate(self, action_id: str, by: str, message: str) -> Action:
        """Let those decide now whom policy names next, as *by* (a person's id) asks; tell people.

        Raises as `review`: nothing has changed then.
        """
        self._refuse_when_closing()
        return await self._reviews.escalate(action_id, by, message)

    async def plant(self, call: ToolCall, decision: Decision, of: str) -> Action:
        """Hold *call* as practice, like the rejected call with the id *of*; people are told.

        Raises:
            ValueError: the decision holds nothing.
            QueueFull, Suspended, StoreUnavailable: it was not taken.
        """
        self._refuse_when_closing()
        return await self._practice.plant(call, decision, of)

    async def preview(
        self, action: Action, arguments: Mapping[str, Any]
    ) -> tuple[ToolCall, Decision]:
        """Return what an edit would send, and what policy says of it. Changes nothing.

        Raises:
            InvalidEdit, StoreUnavailable: as `Reviews.preview` says.
        """
        return await self._reviews.preview(action, arguments)

    async def resolve(self, action_id: str, by: str, happened: bool, message: str) -> Action:
        """Settle an unknown outcome with what a person found out.

        Raises:
            NotFound, IllegalTransition, StoreUnavailable.
        """
        return await self._reviews.resolve(action_id, by, happened, message)

    def genuine(self, action: Action) -> bool:
        """Whether the record of a held call is what this installation wrote."""
        return self.seals.genuine(action)

    # grants --------------------------------------------------------------------------------

    async def grants(self, limit: int = 200) -> tuple[Grant, ...]:
        """Return the grants that hold, newest first."""
        return await self._grants.all(limit)

    async def take_back(self, grant_id: str, by: str) -> Grant:
        """End a grant at once. Raises NotFound where there is none of this id (any more)."""
        return await self._grants.take_back(grant_id, by)

    # keeping house -------------------------------------------------------------------------

    async def sweep(self) -> None:
        """End what has lapsed, pick up what a stopped process left behind, remind people."""
        await self.store.look_for_stops()
        await self._sweeper.sweep()

    async def close(self, seconds: float) -> int:
        """Start no send any more, finish those under way; return how many did not finish."""
        self._closing.set()
        self.store.release()
        return await self._tasks.drain(seconds)

    @property
    def closing(self) -> bool:
        return self._closing.is_set()

    @property
    def in_flight(self) -> int:
        return len(self._tasks)

    def _refuse_when_closing(self) -> None:
        if self._closing.is_set():
            raise StoreUnavailable("Interlock is shutting down; nothing was sent. Try again.")
