"""Sends what was cleared, once: claim, send as the owner of the claim, record what came of it.

A claim is written before the first byte leaves; what cannot be claimed or recorded is not sent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TypeVar

from .core.actions import Action, Answer, State, ToolCall
from .core.connections import ends_with_its_caller, on_connection_of, session_ended
from .core.decisions import Reversibility
from .core.errors import (
    IllegalTransition,
    Lapsed,
    StaleVersion,
    StoreUnavailable,
    UpstreamLost,
    UpstreamUnreachable,
)
from .core.events import (
    Answered,
    Cancelled,
    Claimed,
    ClearanceFailed,
    Event,
    Lost,
    NotSent,
    Resolved,
)
from .core.facts import Effects
from .core.lifecycle import step
from .judge import Judge
from .mcp_ports import Definitions
from .ports import Clock, Exchange, Ids, Put, Store, Stored, Upstream
from .recording import Recorder, as_stored
from .relay import Relay
from .tasks import Tasks
from .timing import AUDITED
from .timing import Timing as Timing

log = logging.getLogger("interlock")

TAKEN_BACK = "The caller took it back while the tool was at work."
_REDEFINED = "The server changed the definition of this tool after people saw the call; ask again."
T = TypeVar("T")
RECORD_SECONDS = 30.0  #: how long the answer of a tool is kept to be recorded


class Sender:
    """Owns the sends of this process. `closing`, once set, lets no new one start."""

    def __init__(
        self,
        *,
        store: Store,
        recorder: Recorder,
        judge: Judge,
        upstreams: Mapping[str, Upstream],
        definitions: Definitions,
        clock: Clock,
        ids: Ids,
        timing: Timing,
        tasks: Tasks,
        closing: asyncio.Event,
    ) -> None:
        self.upstreams = upstreams
        self._definitions = definitions
        self._store = store
        self._recorder = recorder
        self._judge = judge
        self._clock = clock
        self._ids = ids
        self._timing = timing
        self._tasks = tasks
        self._closing = closing
        self._sent: dict[str, int] = {}  #: what this process sent of approved calls, and when
        self._stopped: dict[str, None] = {}  #: approved calls of stopped agents, each logged once
        self._under_way: dict[str, asyncio.Task[None]] = {}  #: requests without an answer yet
        self._takers: dict[str, asyncio.Future[Relay]] = {}  #: who wants an answer as it comes

    def dispatch_soon(self, action: Action) -> None:
        """Dispatch in the background, where nothing that starts after `close` is lost."""
        self._tasks.spawn(self.dispatch(action), f"dispatch-{action.id}")

    async def dispatch(self, action: Action) -> None:
        """Claim and send a call that people approved; one worker wins, the others leave it."""
        if self._closing.is_set() or not self.serves(action.call):
            return  # unclaimed: the process that can send it finds it
        until = self.lease_end()
        try:
            if await self._is_orphan(action):
                return  # its caller has gone: it is sent once it comes back, as policy says
            claimed = await self.claim(action)
        except StoreUnavailable:
            return  # without a record nothing is sent
        if claimed is not None:
            await self._carry_out(claimed, until)

    async def _is_orphan(self, action: Action) -> bool:
        """Say whether nobody may be there for a call that is sent only while its caller waits."""
        decision = action.decision
        if decision is not None and decision.orphans == "refuse":
            return not (await self._store.attended([action.id]))[0]
        # who left a call of MCP 2026-07-28 has cancelled it
        return ends_with_its_caller(action.call) and await self._store.left(action.id)

    def serves(self, call: ToolCall) -> bool:
        """Say whether this process can send *call*; another one may be able to."""
        upstream = self.upstreams.get(call.upstream)
        # a server on pipes belongs to another process; no other tool does
        return call.mcp is None if upstream is None else upstream.serves(call)

    async def retry(self, action: Action, again: ToolCall) -> Action | None:
        """Try a call that was not sent before, as its caller asks *again*, on its connection.

        None where another was faster.
        """
        until = self.lease_end()
        claimed = await self.claim(action)
        if claimed is not None:
            claimed = on_connection_of(claimed, again)
            self._tasks.spawn(self._carry_out(claimed, until), f"dispatch-{action.id}")
        return claimed

    async def _carry_out(self, claimed: Action, until: float) -> None:
        try:
            relay = await self.forward(claimed, True, until)
        except (UpstreamUnreachable, UpstreamLost, StoreUnavailable):
            return  # recorded where it could be; without a record nothing was sent
        taker = self._takers.get(claimed.id)
        if taker is not None and not taker.done():
            taker.set_result(relay)
        else:
            await self._drain(relay)

    @contextmanager
    def taking(self, action_id: str) -> Iterator[asyncio.Future[Relay]]:
        """Within it, the answer to a call that this process sends comes to this future.

        One caller takes it; others read what is kept. Who leaves without reading it to its end
        loses nothing of the record.
        """
        taker: asyncio.Future[Relay] = asyncio.get_running_loop().create_future()
        first = self._takers.setdefault(action_id, taker) is taker
        try:
            yield taker
        finally:
            if first:
                del self._takers[action_id]
            if taker.done() and not taker.cancelled() and not taker.result().ended:
                self.drain_soon(taker.result())

    def drain_soon(self, relay: Relay) -> None:
        """Read an answer to its end for the record, in the background."""
        self._tasks.spawn(self._drain(relay), "unread")

    # claiming ------------------------------------------------------------------------------

    async def claim(self, action: Action) -> Action | None:
        """Win the send and return the claimed action; None where another was faster.

        Raises:
            StoreUnavailable: nothing was claimed.
        """
        try:
            return await self._claimed(action)
        except (Lapsed, IllegalTransition, StaleVersion):
            return None

    async def _claimed(self, action: Action) -> Action | None:
        at = await self._store.now()
        now = await self._judge.judge(action.call, action.id)
        refusal = self._judge.seals.refusal(action, now, at)
        if self._redefined(action.call):
            refusal = refusal or ClearanceFailed(at=at, cause=_REDEFINED)
        if action.id in self._sent or self._recorder.came_back(action):  # by a roll-back
            refusal = ClearanceFailed(at=at, cause="This call was sent, or had ended, already.")
        if refusal is not None:
            await self._recorder.apply(action, refusal)
            return None
        nonce = self._ids.nonce()
        event = self.claiming(at, nonce)
        after, _ = step(action, event)
        stored = await self._recorder.put(action, event, after, nonce)
        if stored.outcome is Put.SUSPENDED:
            self._say_stopped(action)
        if stored.outcome is not Put.OK or stored.state != State.FORWARDING.value:
            return None  # a claim whose reply came late may have lost its lease meanwhile
        return self._recorder.told(action, event, after, stored)

    def _say_stopped(self, action: Action) -> None:
        """Say once that an approved call waits: the sweep tries it again until it lapses."""
        if action.id not in self._stopped:
            log.warning("call %s is approved and waits: its agent is stopped", action.id)
        _note(self._stopped, action.id, None)

    def _redefined(self, call: ToolCall) -> bool:
        """Say whether an MCP server says something else of the tool now than people saw."""
        if call.mcp is None or not call.mcp.definition:
            return False
        now = self._definitions.current(call.upstream, call.mcp.name)
        return now is not None and now.hash != call.mcp.definition

    def claiming(self, at: int, nonce: str) -> Claimed:
        return Claimed(at=at, nonce=nonce, lease_ms=self._timing.lease_ms)

    def lease_end(self) -> float:
        """When a claim asked for now ends at the earliest, by this loop's clock."""
        return asyncio.get_running_loop().time() + self._timing.lease_ms / 1000

    async def put_whole(
        self, before: Action, event: Event, after: Action, nonce: str, effects: Effects
    ) -> Stored:
        """Write what may be a claim; one whose caller goes away meanwhile is given back unsent."""
        try:
            return await self._recorder.put(before, event, after, nonce, effects)
        except asyncio.CancelledError:
            if after.state is State.FORWARDING:
                give_back = self._give_back(before, event, after, nonce, effects)
                self._tasks.spawn(give_back, f"unsent-{after.id}")
            raise

    async def _give_back(
        self, before: Action, event: Event, after: Action, nonce: str, effects: Effects
    ) -> None:
        try:  # a repeat: harmless by its nonce
            stored = await self._recorder.put(before, event, after, nonce, effects)
        except StoreUnavailable:
            return
        if stored.outcome is Put.OK:
            cause = "The caller went away before the call was sent."
            not_sent = NotSent(at=self._clock.now_ms(), cause=cause)
            await self._report(as_stored(after, stored), not_sent)

    # sending -------------------------------------------------------------------------------

    async def forward(self, action: Action, keep: bool, until: float) -> Relay:
        """Send, as the owner of the claim. The send outlives a caller that goes away.

        *keep*: the answer has to be replayed. *until*: when the lease ends, by this loop's clock.

        Raises:
            UpstreamUnreachable, UpstreamLost: recorded; nothing is tried again.
        """
        taken: asyncio.Future[Relay] = asyncio.get_running_loop().create_future()
        sending = self._tasks.spawn(self._see_through(action, keep, until, taken), "send")
        self._under_way[action.id] = sending
        sending.add_done_callback(lambda _: self._under_way.pop(action.id, None))
        try:
            return await taken
        except asyncio.CancelledError:
            if ends_with_its_caller(action.call):
                self.stop(action.id)
            # `_see_through` sees that nobody waits, unless it was done in this very turn
            if not taken.cancelled() and taken.exception() is None:
                self._tasks.spawn(self._unread(taken.result(), keep), "unread")
            raise

    def stop(self, action_id: str) -> bool:
        """End a request whose answer has not begun: it is then unknown. Say if there was one."""
        sending = self._under_way.get(action_id)
        return sending is not None and sending.cancel()

    async def _see_through(
        self, action: Action, keep: bool, until: float, taken: asyncio.Future[Relay]
    ) -> None:
        """Send, tell who waits, and record: the answer's end where it is kept, else its head."""
        try:
            exchange = await self._send(action, until)
        except Exception as error:  # whatever it is, who waits is told
            if not taken.done():
                taken.set_exception(error)
            elif not isinstance(error, (UpstreamUnreachable, UpstreamLost, StoreUnavailable)):
                raise
            return

        recorded = asyncio.Event()
        relay = self._relay(action, keep, exchange, recorded)
        if taken.done():
            self._tasks.spawn(self._unread(relay, keep), "unread")
        else:
            taken.set_result(relay)
        if not keep:
            await asyncio.sleep(0)  # the caller's answer first, then its record
            try:
                await self._answered(action, Answer(status=exchange.status))
            finally:
                recorded.set()

    def _relay(
        self, action: Action, keep: bool, exchange: Exchange, recorded: asyncio.Event
    ) -> Relay:
        """Return the answer as it comes; what is kept of it is the caller's, or an auditor's."""

        def ended(answer: Answer) -> None:
            if keep:
                self._tasks.spawn(self._answered(action, answer), "record")
            elif action.drawn:
                self._tasks.spawn(self._attach(action, answer, recorded), "audit")

        auditors = AUDITED if action.drawn else 0
        return Relay(exchange, ended, self._timing.keep_bytes if keep else auditors)

    async def _attach(self, action: Action, answer: Answer, recorded: asyncio.Event) -> None:
        """Keep what an auditor sees of an answer; nobody waits for it, nothing depends on it."""
        await recorded.wait()
        with suppress(StoreUnavailable):
            await self._store.attach(action.id, answer)

    async def _answered(self, action: Action, answer: Answer) -> None:
        await self._report(action, Answered(at=self._clock.now_ms(), answer=answer))

    async def _unread(self, relay: Relay, keep: bool) -> None:
        """End an answer whose caller has gone away: only for the record is it still read."""
        if keep:
            await self._drain(relay)
            return
        async with relay:
            return

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
        name = action.call.upstream
        if name not in self.upstreams:
            raise UpstreamUnreachable(f"There is no upstream `{name}` any more; nothing was sent.")
        return self.upstreams[name]

    async def _send(self, action: Action, until: float) -> Exchange:
        if action.votes:
            _note(self._sent, action.id, self._clock.now_ms())
        try:
            exchange = await self._upstream(action, until).send(action.call)
            if action.votes and session_ended(action.call, exchange.status):
                await exchange.close()
                raise UpstreamUnreachable(
                    "The server has ended the session of this call; nothing was executed."
                )
            return exchange
        except UpstreamUnreachable as error:
            self._sent.pop(action.id, None)
            await self._report(action, NotSent(at=self._clock.now_ms(), cause=error.detail))
            raise
        except UpstreamLost as error:
            await self._report(action, Lost(at=self._clock.now_ms(), cause=error.detail))
            raise
        except asyncio.CancelledError:
            lost = Lost(at=self._clock.now_ms(), cause=TAKEN_BACK)
            self._tasks.spawn(self._report(action, lost), "record")
            raise UpstreamLost(TAKEN_BACK) from None

    async def _report(self, action: Action, event: Event) -> None:
        """Record what became of our send; as its owner we may, however late."""
        after, _ = step(action, event)
        loop = asyncio.get_running_loop()
        end, pause = loop.time() + RECORD_SECONDS, 0.1
        while True:
            try:
                stored = await self._recorder.put(action, event, after, action.nonce)
                break
            except StoreUnavailable:
                if loop.time() > end:
                    raise  # its lease ends: the store will say unknown, which is the truth
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)
        if stored.outcome is not Put.OK:
            return
        after = self._recorder.told(action, event, after, stored)
        if isinstance(event, NotSent) and not action.votes:
            cancelled = Cancelled(at=event.at, by="interlock", cause=event.cause)
            await self._recorder.apply(after, cancelled)
        elif isinstance(event, Lost) and event.cause == TAKEN_BACK and _only_reads(action):
            nothing = Resolved(at=event.at, by="interlock", happened=False, message=TAKEN_BACK)
            await self._recorder.apply(after, nothing)  # nobody has to find out about a read


def _note(known: dict[str, T], action_id: str, value: T) -> None:
    if len(known) >= 100_000:  # the oldest approvals have lapsed long ago
        del known[next(iter(known))]
    known[action_id] = value


def _only_reads(action: Action) -> bool:
    decision = action.decision
    return decision is not None and decision.reversibility is Reversibility.READ_ONLY
