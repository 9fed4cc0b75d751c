"""What callers do with a call on record: join it, wait for it, follow it, take it back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from .core.actions import PENDING, Action, State, ToolCall
from .core.connections import elsewhere
from .core.errors import (
    IllegalTransition,
    NotFound,
    StaleVersion,
    StateUnavailable,
    StoreUnavailable,
    UpstreamLost,
    UpstreamUnreachable,
)
from .core.events import Cancelled
from .ports import Clock, Store
from .recording import RACES, Recorder
from .relay import Relay
from .sending import Sender
from .tasks import Tasks

DISPATCH = 0.25  #: seconds between two tries to send what only waits for its caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What became of a proposed call: its action, and the answer where it streams already."""

    action: Action
    relay: Relay | None = None
    joined: bool = False
    failure: UpstreamUnreachable | UpstreamLost | None = None  #: of an allowed call's send


class Callers:
    """Waits for calls that are on record, and tries those again that were not sent."""

    def __init__(
        self,
        *,
        store: Store,
        recorder: Recorder,
        sender: Sender,
        clock: Clock,
        tasks: Tasks,
        closing: asyncio.Event,
    ) -> None:
        self._store = store
        self._recorder = recorder
        self._sender = sender
        self._clock = clock
        self._tasks = tasks
        self._closing = closing

    async def get(self, action_id: str) -> Action | None:
        return await self._store.get(action_id)

    async def of_agent(self, action_id: str, agent_id: str) -> Action | None:
        """Return a call of that agent. Practice calls are nobody's: no agent hears of one."""
        action = await self._store.get(action_id)
        if action is None or action.decoy_of or action.call.agent.id != agent_id:
            return None
        return action

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
        action = await self._store.get(action_id)
        if action is None:
            raise StoreUnavailable("The call that this one repeats has just gone; send it again.")
        if action.decoy_of or action.call.agent.id != again.agent.id:  # the index is no proof
            raise StoreUnavailable("The store names a call of somebody else for this one.")
        waits = _stuck(action) or self._stranded(action, again)
        if waits and not self._closing.is_set():  # it was not sent before: try again
            action = (
                await self._sender.retry(action, again)
                or await self._store.get(action_id)
                or action
            )
        return Submission(action=action, joined=True)

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
                    await self._sender.retry(action, again)
                else:
                    self._sender.dispatch_soon(action)
            until_deadline = (action.deadline - self._clock.now_ms()) / 1000 + 0.005
            patience = min(left, max(until_deadline, 0.05))
            await self._store.changed(action.id, action.version, patience)
            action = await self._store.get(action.id) or action
        return action

    async def follow(
        self, action: Action, seconds: float, again: ToolCall | None = None
    ) -> Submission:
        """As `wait`; where this process sends the call meanwhile, its answer comes as it streams.

        Raises:
            StoreUnavailable: what becomes of it cannot be read.
        """
        with self._sender.taking(action.id) as taken:
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
            at = await self._store.now()
            try:
                event = Cancelled(at=at, by=agent_id, cause="Cancelled by the caller.")
                return await self._recorder.apply(action, event)
            except StaleVersion:  # a vote or a claim was faster: look again
                action = await self._store.get(action_id) or action
        raise IllegalTransition("Others are deciding this call at the same time; try again.")

    def _stranded(self, action: Action, again: ToolCall) -> bool:
        """Approved for a connection that is not ours or has gone, and asked for again here."""
        return (
            action.state is State.APPROVED
            and elsewhere(action.call, again)
            and not self._sender.serves(action.call)
            and self._sender.serves(again)
        )


def _waits_for_us(action: Action) -> bool:
    """Whether only this process may be able to send it, or only now that its caller waits."""
    orphans = action.decision.orphans if action.decision is not None else ""
    return action.call.mcp is not None or orphans == "refuse"


def _stuck(action: Action) -> bool:
    """Approved, tried, provably not sent: waiting longer changes nothing, a retry may."""
    return action.state is State.APPROVED and action.fence > 0 and bool(action.votes)
