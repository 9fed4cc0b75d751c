"""The driver: decide, persist, then act. The only file that knows that order.

Every change of an action goes through `step`, every write through `store.put`; what has been
written is what happens next. A write that fails means that nothing is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from .core.actions import Action, Answer, Review, State, ToolCall, Verdict, evolve
from .core.clearance import TAMPERED, Seals
from .core.commands import Claim, Command, Forward, Notify, Reply
from .core.decisions import Decision, Level
from .core.digest import fingerprint
from .core.edits import apply_edit
from .core.errors import (
    Forbidden,
    IllegalTransition,
    InvalidEdit,
    KeyReused,
    Lapsed,
    NotFound,
    QueueFull,
    StaleVersion,
    StateUnavailable,
    StoreUnavailable,
    UpstreamLost,
    UpstreamUnreachable,
)
from .core.evaluate import evaluate
from .core.events import (
    Answered,
    Cancelled,
    Claimed,
    ClearanceFailed,
    DeadlinePassed,
    Decided,
    Event,
    LeaseLost,
    Lost,
    NotSent,
    Resolved,
    Reviewed,
)
from .core.lifecycle import step
from .core.patterns import Kind as SegmentKind
from .core.rules import PolicySet, Tool
from .ports import Change, Clock, Exchange, Ids, Notifier, Observer, Put, Store, Stored, Upstream
from .relay import Relay
from .tasks import Tasks

PENDING = frozenset({State.HELD, State.APPROVED, State.FORWARDING})
"""States in which a caller still waits for what becomes of its call."""

RACES = 8  #: how often a review is tried again because a colleague was faster
RECORD_SECONDS = 30.0  #: how long the answer of a tool is kept to be recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long things may take, in ms."""

    lease_ms: int = (
        120_000  #: a send that is not reported within this is unknown; more than time-outs
    )
    resume_after_ms: int = 5_000  #: approved and not claimed for this long: its worker is gone
    keep_bytes: int = 8 * 1024 * 1024  #: of an answer that has to be replayed


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What became of a proposed call: its action, and the answer where it streams already."""

    action: Action
    relay: Relay | None = None
    joined: bool = False
    failure: UpstreamUnreachable | UpstreamLost | None = None  #: of an allowed call's send


class Gate:
    """Takes proposed calls and people's reviews as far as they can go."""

    def __init__(
        self,
        *,
        policy: PolicySet,
        store: Store,
        upstreams: Mapping[str, Upstream],
        notifiers: Sequence[Notifier],
        observers: Sequence[Observer],
        clock: Clock,
        ids: Ids,
        seal_key: bytes,
        timing: Timing | None = None,
        joined_by_key: frozenset[str] = frozenset(),
    ) -> None:
        self.policy = policy
        self.store = store
        self.upstreams = upstreams
        self._notifiers = notifiers
        self._observers = observers
        self._clock = clock
        self._ids = ids
        self.seals = Seals(seal_key)
        self._timing = timing or Timing()
        self._joined_by_key = joined_by_key
        self._sent: dict[str, int] = {}  #: what this process sent of approved calls, and when
        self._tasks = Tasks()
        self._closing = asyncio.Event()

    # the agents' side ----------------------------------------------------------------------

    def judge(self, call: ToolCall) -> Decision:
        """Ask the present policy. Pure but for the time of day."""
        at = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)
        began = perf_counter()
        decision = evaluate(call, self.policy, {}, at)
        self._timed("decision", began)
        return decision

    async def submit(self, call: ToolCall, *, key: str = "") -> Submission:
        """Take one proposed call as far as it can go without a person.

        `key` is the hash of an Idempotency-Key; with it the answer is kept for replay.

        Raises:
            StoreUnavailable: it could not be recorded; nothing was sent.
            KeyReused, QueueFull: it was not taken.
        """
        self._refuse_when_closing()
        began, at, nonce = perf_counter(), self._clock.now_ms(), self._ids.nonce()
        decision = self.judge(call)
        joinable = bool(key) or decision.level >= Level.APPROVE
        proposed = Action(
            id=self._ids.action_id(),
            call=call,
            fingerprint=self._fingerprint(call) if joinable else "",
            key=key,
            digest=call.digest,
        )
        event: Event = Decided(at=at, decision=decision)
        until = self._lease_end()
        decided, commands = step(proposed, event)
        if Claim() in commands:
            claim = Claimed(at=at, nonce=nonce, lease_ms=self._timing.lease_ms)
            after, more = step(decided, claim)  # both in one write: nobody comes between
            commands = (*(c for c in commands if c != Claim()), *more)
        else:
            after = decided = self.seals.sealed(decided)
        stored = await self._put_whole(proposed, event, after, nonce)
        if stored.outcome is Put.JOIN:
            return await self._join(stored.id)
        if stored.outcome is not Put.OK:
            raise _refusal(stored)
        action = _as_stored(after, stored)
        self._observe(proposed, event, decided)
        if after is not decided:
            self._observe(decided, claim, action)
            self._timed("added", began)
        return await self._act(action, commands, bool(key), until)

    def _fingerprint(self, call: ToolCall) -> str:
        """Where only an Idempotency-Key joins calls, the store is told so by a mark."""
        mark = "key:" if call.upstream in self._joined_by_key else ""
        return mark + fingerprint(call)

    async def _put_whole(self, before: Action, event: Event, after: Action, nonce: str) -> Stored:
        """Write what may be a claim; one whose caller goes away meanwhile is given back unsent."""
        try:
            return await self._put(before, event, after, nonce)
        except asyncio.CancelledError:
            if after.state is State.FORWARDING:
                give_back = self._give_back(before, event, after, nonce)
                self._tasks.spawn(give_back, f"unsent-{after.id}")
            raise

    async def _give_back(self, before: Action, event: Event, after: Action, nonce: str) -> None:
        try:
            stored = await self._put(before, event, after, nonce)  # a repeat: harmless by its nonce
        except StoreUnavailable:
            return
        if stored.outcome is Put.OK:
            cause = "The caller went away before the call was sent."
            not_sent = NotSent(at=self._clock.now_ms(), cause=cause)
            await self._report(_as_stored(after, stored), not_sent)

    async def _act(
        self, action: Action, commands: Sequence[Command], keep: bool, until: float
    ) -> Submission:
        relay: Relay | None = None
        for command in commands:
            match command:
                case Notify():
                    self._notify(action)
                case Forward():
                    try:
                        relay = await self._forward(action, keep, until)
                    except (UpstreamUnreachable, UpstreamLost) as error:
                        return Submission(action=action, failure=error)
                case Claim() | Reply():
                    pass  # claims are written with the decision; replies are the caller's to read
        return Submission(action=action, relay=relay)

    async def _join(self, action_id: str) -> Submission:
        """Join a call that may have been sent already: a failure to read says nothing about it."""
        try:
            return await self._joined(action_id)
        except StoreUnavailable as error:
            raise StateUnavailable from error

    async def _joined(self, action_id: str) -> Submission:
        action = await self.get(action_id)
        if action is None:
            raise StoreUnavailable("The call that this one repeats has just gone; send it again.")
        if _stuck(action) and not self._closing.is_set():  # it was not sent before: try again
            until = self._lease_end()
            claimed = await self._claim(action)
            if claimed is not None:
                self._tasks.spawn(self._carry_out(claimed, until), f"dispatch-{action.id}")
            action = claimed or await self.get(action_id) or action
        return Submission(action=action, joined=True)

    async def get(self, action_id: str) -> Action | None:
        return await self.store.get(action_id)

    async def wait(self, action: Action, seconds: float) -> Action:
        """Return the action once it is settled, or as it stands after *seconds* or at shutdown."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while action.state in PENDING and not _stuck(action) and not self._closing.is_set():
            left = end - loop.time()
            if left <= 0:
                break
            until_deadline = (action.deadline - self._clock.now_ms()) / 1000 + 0.005
            patience = min(left, max(until_deadline, 0.05))
            await self.store.changed(action.id, action.version, patience)
            action = await self.store.get(action.id) or action
        return action

    async def cancel(self, action_id: str, agent_id: str) -> Action:
        """Take a call back. Returns once it is fenced: CANCELLED will never be sent.

        Raises:
            NotFound: no such call of this agent.
            IllegalTransition, Lapsed: too late; the message says what became of it.
        """
        action = await self.store.get(action_id)
        if action is None or action.call.agent.id != agent_id:
            raise NotFound(f"You have no call {action_id}.")
        if action.state is State.CANCELLED:
            return action
        for _ in range(RACES):
            at = await self.store.now()
            try:
                event = Cancelled(at=at, by=agent_id, cause="Cancelled by the caller.")
                return await self._apply(action, event)
            except StaleVersion:  # a vote or a claim was faster: look again
                action = await self.store.get(action_id) or action
        raise IllegalTransition("Others are deciding this call at the same time; try again.")

    # the people's side ---------------------------------------------------------------------

    async def review(self, action_id: str, review: Review) -> Action:
        """Record a person's answer and, if it clears the call, send it in the background.

        Raises:
            NotFound, Forbidden, IllegalTransition, Lapsed, StaleVersion, InvalidEdit,
            StoreUnavailable: nothing has changed.
        """
        self._refuse_when_closing()
        nonce = self._ids.nonce()
        for _ in range(RACES):
            action = await self.store.get(action_id)
            if action is None:
                raise NotFound(f"There is no call {action_id}.")
            if _repeats(action, review):
                return action
            if not self.genuine(action) and review.verdict is not Verdict.REJECT:
                raise IllegalTransition(TAMPERED)
            await self._refuse_orphan(action, review)
            cleared = review.call if review.call is not None else action.call
            decision = self.judge(cleared)
            at = await self.store.now()
            signed = self.seals.signed(action, review, cleared, decision, at)
            event = Reviewed(at=at, review=signed, decision=decision)
            after, commands = step(action, event)
            after = self.seals.sealed(after)
            stored = await self._put(action, event, after, nonce)
            if stored.outcome is Put.STALE:
                continue
            if stored.outcome is not Put.OK:
                raise _refusal(stored)
            after = _as_stored(after, stored)
            self._observe(action, event, after)
            if Claim() in commands:
                self._tasks.spawn(self.dispatch(after), f"dispatch-{action_id}")
            return after
        raise StaleVersion("Others are deciding this call at the same time; look again.")

    def preview(self, action: Action, arguments: Mapping[str, Any]) -> tuple[ToolCall, Decision]:
        """Return what an edit would send, and what policy says of it. Changes nothing.

        Raises:
            InvalidEdit: the arguments do not fit the tool, or may not be edited.
        """
        if action.decision is None:
            raise IllegalTransition("The call was never decided by policy.")
        tool = self.policy.tools.get(action.decision.tool)
        template = _template(tool) if tool else None
        call = apply_edit(action.call, action.decision, arguments, template)
        decision = self.judge(call)
        if decision.level is Level.DENY:
            said = decision.message or decision.reason or ", ".join(r.id for r in decision.rules)
            raise InvalidEdit(f"Policy would deny the edited call: {said}")
        return call, decision

    def genuine(self, action: Action) -> bool:
        """Whether the record of a held call is what this installation wrote."""
        return self.seals.genuine(action)

    async def _refuse_orphan(self, action: Action, review: Review) -> None:
        decision = action.decision
        if decision is None or decision.orphans != "refuse":
            return
        if review.verdict in (Verdict.REJECT, Verdict.RESPOND):
            return
        if not (await self.store.attended([action.id]))[0]:
            raise IllegalTransition(
                "The caller has gone away, and policy says that this call is not sent without it."
            )

    async def resolve(self, action_id: str, by: str, happened: bool, message: str) -> Action:
        """Settle an unknown outcome with what a person found out.

        Raises:
            NotFound, IllegalTransition, StoreUnavailable.
        """
        action = await self.store.get(action_id)
        if action is None:
            raise NotFound(f"There is no call {action_id}.")
        at = await self.store.now()
        return await self._apply(action, Resolved(at=at, by=by, happened=happened, message=message))

    # sending -------------------------------------------------------------------------------

    async def dispatch(self, action: Action) -> None:
        """Claim and send a call that people approved; one worker wins, the others leave it."""
        if self._closing.is_set():
            return  # unclaimed: the next process finds it
        until = self._lease_end()
        try:
            claimed = await self._claim(action)
        except StoreUnavailable:
            return  # without a record nothing is sent
        if claimed is not None:
            await self._carry_out(claimed, until)

    async def _carry_out(self, claimed: Action, until: float) -> None:
        try:
            relay = await self._forward(claimed, True, until)
        except (UpstreamUnreachable, UpstreamLost, StoreUnavailable):
            return  # recorded where it could be; without a record nothing was sent
        await self._drain(relay)

    async def _claim(self, action: Action) -> Action | None:
        """Win the send and return the claimed action; None where another was faster."""
        try:
            return await self._claimed(action)
        except (Lapsed, IllegalTransition, StaleVersion):
            return None

    async def _claimed(self, action: Action) -> Action | None:
        at = await self.store.now()
        refusal = self.seals.refusal(action, self.judge(action.call), at)
        if action.id in self._sent:  # a roll-back in the store must not send it again
            refusal = ClearanceFailed(at=at, cause="This call was sent already.")
        if refusal is not None:
            await self._apply(action, refusal)
            return None
        nonce = self._ids.nonce()
        event = Claimed(at=at, nonce=nonce, lease_ms=self._timing.lease_ms)
        after, _ = step(action, event)
        stored = await self._put(action, event, after, nonce)
        if stored.outcome is not Put.OK or stored.state != State.FORWARDING.value:
            return None  # a claim whose reply came late may have lost its lease meanwhile
        after = _as_stored(after, stored)
        self._observe(action, event, after)
        return after

    def _lease_end(self) -> float:
        """When a claim asked for now ends at the earliest, by this loop's clock."""
        return asyncio.get_running_loop().time() + self._timing.lease_ms / 1000

    async def _forward(self, action: Action, keep: bool, until: float) -> Relay:
        """Send, as the owner of the claim. The send outlives a caller that goes away."""
        send = self._tasks.spawn(self._send(action, until), f"send-{action.id}")
        try:
            exchange = await asyncio.shield(send)
        except asyncio.CancelledError:
            self._tasks.spawn(self._abandoned(action, send, keep), f"abandoned-{action.id}")
            raise
        return self._relay(action, exchange, keep)

    def _relay(self, action: Action, exchange: Exchange, keep: bool) -> Relay:
        """Record the answer: at its end where it is kept, else as soon as its head is here."""

        def record(answer: Answer) -> None:
            event = Answered(at=self._clock.now_ms(), answer=answer)
            self._tasks.spawn(self._report(action, event), f"record-{action.id}")

        if keep:
            return Relay(exchange, record, self._timing.keep_bytes)
        record(Answer(status=exchange.status))
        return Relay(exchange, lambda _: None, 0)

    async def _abandoned(self, action: Action, send: asyncio.Task[Exchange], keep: bool) -> None:
        try:
            exchange = await send
        except (UpstreamUnreachable, UpstreamLost, StoreUnavailable):
            return  # `_send` has recorded it
        relay = self._relay(action, exchange, keep)
        if not keep:  # nobody reads it any more
            async with relay:
                return
        await self._drain(relay)

    async def _drain(self, relay: Relay) -> None:
        """Read an answer to its end for the record; an endless one is cut, and recorded as cut."""
        try:
            async with asyncio.timeout(self._timing.lease_ms / 1000 * 0.8):
                await relay.drain()
        except TimeoutError:
            return  # the tool did answer

    def _upstream(self, action: Action, until: float) -> Upstream:
        """Return where to send to, or raise UpstreamUnreachable where nothing may be sent now."""
        if self._closing.is_set():
            raise UpstreamUnreachable("Interlock is shutting down; nothing was sent.")
        if asyncio.get_running_loop().time() >= until:  # this process stood still meanwhile
            raise UpstreamUnreachable("The time to send this call ran out; nothing was sent.")
        upstream = self.upstreams.get(action.call.upstream)
        if upstream is None:
            name = action.call.upstream
            raise UpstreamUnreachable(f"There is no upstream `{name}` any more; nothing was sent.")
        return upstream

    async def _send(self, action: Action, until: float) -> Exchange:
        if action.votes:
            self._remember(action)
        try:
            return await self._upstream(action, until).send(action.call)
        except UpstreamUnreachable as error:
            self._sent.pop(action.id, None)
            await self._report(action, NotSent(at=self._clock.now_ms(), cause=error.detail))
            raise
        except UpstreamLost as error:
            await self._report(action, Lost(at=self._clock.now_ms(), cause=error.detail))
            raise

    def _remember(self, action: Action) -> None:
        if len(self._sent) >= 100_000:  # the oldest approvals have lapsed long ago
            del self._sent[next(iter(self._sent))]
        self._sent[action.id] = self._clock.now_ms()

    async def _report(self, action: Action, event: Event) -> None:
        """Record what became of our send; as its owner we may, however late."""
        after, _ = step(action, event)
        loop = asyncio.get_running_loop()
        end, pause = loop.time() + RECORD_SECONDS, 0.1
        while True:
            try:
                stored = await self._put(action, event, after, action.nonce)
                break
            except StoreUnavailable:
                if loop.time() > end:
                    raise  # its lease ends: the store will say unknown, which is the truth
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)
        if stored.outcome is not Put.OK:
            return
        after = _as_stored(after, stored)
        self._observe(action, event, after)
        if isinstance(event, NotSent) and not action.votes:
            await self._apply(after, Cancelled(at=event.at, by="interlock", cause=event.cause))

    # keeping house -------------------------------------------------------------------------

    async def sweep(self) -> None:
        """End what has lapsed and pick up what a stopped process left behind."""
        for action_id in await self.store.due(200):
            await self._found(action_id)  # reading ends it
        if self._closing.is_set():
            return
        for action_id in await self.store.ready():
            action = await self._found(action_id)
            if action is None or action.state is not State.APPROVED:
                continue
            if await self.store.now() - action.changed >= self._timing.resume_after_ms:
                self._tasks.spawn(self.dispatch(action), f"dispatch-{action_id}")

    async def _found(self, action_id: str) -> Action | None:
        """Read one of many: a damaged record is left alone, a store that is down is not."""
        try:
            return await self.store.get(action_id)
        except StoreUnavailable:
            await self.store.now()
            return None

    def lapsed(self, action: Action, before: str) -> None:
        """The store ended an action because its deadline had passed."""
        earlier = replace(action, state=State(before), version=action.version - 1)
        lost = action.state is State.UNKNOWN
        event = LeaseLost(at=action.changed) if lost else DeadlinePassed(at=action.changed)
        self._observe(earlier, event, action)

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

    async def _apply(self, action: Action, event: Event) -> Action:
        after, _ = step(action, event)
        stored = await self._put(action, event, after, self._ids.nonce())
        if stored.outcome is not Put.OK:
            raise _refusal(stored)
        after = _as_stored(after, stored)
        self._observe(action, event, after)
        return after

    async def _put(self, before: Action, event: Event, after: Action, nonce: str) -> Stored:
        stored = await self.store.put(Change(before=before, event=event, after=after, nonce=nonce))
        if stored.lapsed:
            ended = replace(before, state=State(stored.state), version=stored.version)
            self.lapsed(replace(ended, changed=stored.now), stored.lapsed)
        return stored

    def _notify(self, action: Action) -> None:
        for notifier in self._notifiers:
            self._tasks.spawn(notifier.notify(action), f"notify-{action.id}")

    def _timed(self, what: str, began: float) -> None:
        seconds = perf_counter() - began
        for observer in self._observers:
            observer.timed(what, seconds)

    def _observe(self, before: Action, event: Event, after: Action) -> None:
        for observer in self._observers:
            observer.transition(before, event, after)


def _as_stored(action: Action, stored: Stored) -> Action:
    """Take over what the store's clock and counter say."""
    return evolve(
        action,
        version=stored.version,
        deadline=stored.deadline,
        created=stored.created,
        changed=stored.now,
    )


def _template(tool: Tool) -> str:
    """Write a tool's path as edits read it: `{name}` is one segment, `{name...}` the rest."""
    written = {
        SegmentKind.LITERAL: "{}",
        SegmentKind.PARAMETER: "{{{}}}",
        SegmentKind.TAIL: "{{{}...}}",
    }
    return "/" + "/".join(written[part.kind].format(part.text) for part in tool.match.segments)


def _stuck(action: Action) -> bool:
    """Approved, tried, provably not sent: waiting longer changes nothing, a retry may."""
    return action.state is State.APPROVED and action.fence > 0 and bool(action.votes)


def _repeats(action: Action, review: Review) -> bool:
    """The same person's same answer again: a repeated click or a lost reply, not a second vote."""
    return any(
        past.reviewer.id == review.reviewer.id
        and past.verdict is review.verdict
        and past.version == review.version
        and past.digest == review.digest
        for past in action.reviews
    )


def _refusal(stored: Stored) -> Exception:
    match stored.outcome:
        case Put.REUSED:
            return KeyReused(
                "This Idempotency-Key was used for another call. Use a new key for a new call."
            )
        case Put.FULL:
            return QueueFull(
                "Too many calls wait for people already. Nothing was sent."
                " Wait until some are decided, then try again."
            )
        case Put.LAPSED:
            return Lapsed("The deadline has passed; the call will not be sent.")
        case Put.SELF:
            return Forbidden("The requester and its owner may not decide this call.")
        case Put.DIGEST | Put.QUORUM | Put.STALE:
            return StaleVersion("The call has changed since you looked at it; look again.")
        case Put.VOTED:
            return IllegalTransition("You have already approved this call; another person must.")
        case _:
            return IllegalTransition(f"The call is {stored.state}; it cannot be changed any more.")
