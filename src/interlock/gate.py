"""The driver: decide, persist, then act. The only file that knows that order.

Every change of an action goes through `step`, every write through the recorder; what has been
written is what happens next. A write that fails means that nothing is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple

from .announcing import Announcer
from .core.actions import Action, Review, State, ToolCall
from .core.clearance import Seals
from .core.commands import Claim, Command, Forward, Notify, Reply
from .core.decisions import Decision, Level
from .core.digest import fingerprint
from .core.errors import (
    IllegalTransition,
    NotFound,
    StaleVersion,
    StateUnavailable,
    StoreUnavailable,
    UpstreamLost,
    UpstreamUnreachable,
)
from .core.events import Cancelled, Claimed, Decided
from .core.facts import NO_FACTS, Grant
from .core.lifecycle import step
from .core.rules import PolicySet
from .granting import GrantAsked, Grants
from .judge import Judge
from .ports import (
    Clock,
    Definition,
    Definitions,
    Ids,
    Notice,
    Notifier,
    Observer,
    PolicyState,
    Put,
    Store,
    Stored,
    Upstream,
)
from .practice import Practice
from .recording import RACES, Recorder, as_stored, refusal
from .relay import Relay
from .reviewing import Reviews
from .sending import Sender, Timing
from .sweeping import Sweeper
from .tasks import Tasks

DISPATCH = 0.25  #: seconds between two tries to send what only waits for its caller


class NothingListed:
    """ports.Definitions of an installation without MCP servers."""

    def current(self, server: str, tool: str) -> Definition | None:
        return None

    def known(self, server: str) -> bool:
        return False

    async def listed(self, server: str, tools: Sequence[Mapping[str, Any]], *, whole: bool) -> None:
        """There is nothing to take note of."""


PENDING = frozenset({State.HELD, State.APPROVED, State.FORWARDING})
"""States in which a caller still waits for what becomes of its call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What became of a proposed call: its action, and the answer where it streams already."""

    action: Action
    relay: Relay | None = None
    joined: bool = False
    failure: UpstreamUnreachable | UpstreamLost | None = None  #: of an allowed call's send


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
        self.recorder = Recorder(store, observers, ids, self._announcer.settled)
        self.judging = Judge(
            policy=policy,
            store=store,
            seals=Seals(seal_key),
            clock=clock,
            recorder=self.recorder,
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
        """Ask the present policy; *own* is the held action that is judged again, if any.

        Raises:
            StoreUnavailable: what policy must know of the past cannot be read.
        """
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
            return await self.join(stored.id, call)
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
        past = decision.facts is not NO_FACTS
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
            claim = self.sender.claiming(at, nonce)
            after, more = step(decided, claim)  # both in one write: nobody comes between
            commands = (*(c for c in commands if c != Claim()), *more)
        else:
            after = decided = self.seals.sealed(decided)
        stored = await self.sender.put_whole(proposed, event, after, nonce, decision.effects)
        return _Proposed(proposed, event, decided, claim, after, commands, until, stored)

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

    async def join(self, action_id: str, again: ToolCall) -> Submission:
        """Join a call of the same agent, as *again* asks for it; one that was not sent is tried.

        Raises:
            StateUnavailable: what became of it cannot be read; it may have been sent already.
        """
        try:
            return await self._joined(action_id, again)
        except StoreUnavailable as error:
            raise StateUnavailable from error

    async def _joined(self, action_id: str, again: ToolCall) -> Submission:
        action = await self.get(action_id)
        if action is None:
            raise StoreUnavailable("The call that this one repeats has just gone; send it again.")
        waits = _stuck(action) or self._stranded(action, again)
        if waits and not self._closing.is_set():  # it was not sent before: try again
            action = await self.sender.retry(action, again) or await self.get(action_id) or action
        return Submission(action=action, joined=True)

    def _stranded(self, action: Action, again: ToolCall) -> bool:
        """Approved for a connection that is not ours or has gone, and asked for again here."""
        here, there = action.call.mcp, again.mcp
        return (
            action.state is State.APPROVED
            and here is not None
            and there is not None
            and here.session != there.session
            and not self.sender.serves(action.call)
            and self.sender.serves(again)
        )

    async def get(self, action_id: str) -> Action | None:
        return await self.store.get(action_id)

    async def of_agent(self, action_id: str, agent_id: str) -> Action | None:
        """Return a call of that agent. Practice calls are nobody's: no agent hears of one."""
        action = await self.store.get(action_id)
        if action is None or action.decoy_of or action.call.agent.id != agent_id:
            return None
        return action

    async def wait(self, action: Action, seconds: float, again: ToolCall | None = None) -> Action:
        """Return the action once it is settled, or as it stands after *seconds* or at shutdown.

        *again*: the call as whoever waits asks for it, on the connection that it has now.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while action.state in PENDING and not _stuck(action) and not self._closing.is_set():
            left = end - loop.time()
            if left <= 0:
                break
            if action.state is State.APPROVED and _waits_for_us(action):
                left = min(left, DISPATCH)  # it may count as without its caller for a moment
                if again is not None and self._stranded(action, again):
                    await self.sender.retry(action, again)
                else:
                    self.sender.dispatch_soon(action)
            until_deadline = (action.deadline - self._clock.now_ms()) / 1000 + 0.005
            patience = min(left, max(until_deadline, 0.05))
            await self.store.changed(action.id, action.version, patience)
            action = await self.store.get(action.id) or action
        return action

    async def follow(
        self, action: Action, seconds: float, again: ToolCall | None = None
    ) -> Submission:
        """As `wait`; where this process sends the call meanwhile, its answer comes as it streams.

        Raises:
            StoreUnavailable: what becomes of it cannot be read.
        """
        with self.sender.taking(action.id) as taken:
            waiting = self._tasks.spawn(self.wait(action, seconds, again), f"wait-{action.id}")
            try:
                either: set[asyncio.Future[Any]] = {waiting, taken}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                if not taken.done():
                    return Submission(action=await waiting)
                action = await self.get(action.id) or action
                taken.result().ended = True  # the caller's from here on: nothing may come between
                return Submission(action=action, relay=taken.result())
            finally:
                waiting.cancel()

    def stop(self, action_id: str) -> bool:
        """End a request that this process has at a tool; what became of it is then unknown.

        Returns whether there was one whose answer had not begun.
        """
        return self.sender.stop(action_id)

    def read_on(self, relay: Relay) -> None:
        """Read an answer to its end for the record: its caller has gone, the tool works on."""
        self.sender.drain_soon(relay)

    async def cancel(self, action_id: str, agent_id: str) -> Action:
        """Take a call back. Returns once it is fenced: CANCELLED will never be sent.

        Raises:
            NotFound: no such call of this agent.
            IllegalTransition, Lapsed: too late; the message says what became of it.
        """
        action = await self.of_agent(action_id, agent_id)
        if action is None:
            raise NotFound(f"You have no call {action_id}.")
        if action.state is State.CANCELLED:
            return action
        for _ in range(RACES):
            at = await self.store.now()
            try:
                event = Cancelled(at=at, by=agent_id, cause="Cancelled by the caller.")
                return await self.recorder.apply(action, event)
            except StaleVersion:  # a vote or a claim was faster: look again
                action = await self.store.get(action_id) or action
        raise IllegalTransition("Others are deciding this call at the same time; try again.")

    async def state_task(self, agent_id: str, session: str, task: str) -> None:
        """Keep what the user asked for in a session, as the agent's framework says.

        Raises:
            StoreUnavailable: it was not kept.
        """
        policy = self.policy
        shared = policy.session_scope == "agent"  # all calls of an agent are one session
        keep_ms = policy.session_memory_ms
        await self.store.state_task(agent_id, "" if shared else session, task, keep_ms)

    # the people's side ---------------------------------------------------------------------

    async def review(
        self, action_id: str, review: Review, *, grant: GrantAsked | None = None
    ) -> Action:
        """Record a person's answer and, if it clears the call, send it in the background.

        With *grant*, calls with the same target are not asked about again for a while.

        Raises:
            NotFound, Forbidden, IllegalTransition, Lapsed, StaleVersion, InvalidEdit, TooSoon,
            StepUpNeeded, StoreUnavailable: nothing has changed, but where StoreUnavailable says
            that only the grant was not kept.
        """
        self._refuse_when_closing()
        return await self._reviews.review(action_id, review, grant)

    async def escalate(self, action_id: str, by: str, message: str) -> Action:
        """Let those decide now whom policy names next, as *by* (a person's id) asks; tell people.

        Raises:
            NotFound, IllegalTransition, Lapsed, Forbidden, StaleVersion, StoreUnavailable:
            nothing has changed.
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
            InvalidEdit: the arguments do not fit the tool, or may not be edited.
            StoreUnavailable: what policy must know of the past cannot be read.
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
        await self._sweeper.sweep()

    def lapsed(self, action: Action, before: str) -> None:
        """The store ended an action because its deadline had passed."""
        self.recorder.lapsed(action, before)

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


def _waits_for_us(action: Action) -> bool:
    """Whether only this process may be able to send it, or only now that its caller waits."""
    orphans = action.decision.orphans if action.decision is not None else ""
    return action.call.mcp is not None or orphans == "refuse"


def _stuck(action: Action) -> bool:
    """Approved, tried, provably not sent: waiting longer changes nothing, a retry may."""
    return action.state is State.APPROVED and action.fence > 0 and bool(action.votes)
