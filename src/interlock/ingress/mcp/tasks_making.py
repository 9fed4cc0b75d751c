"""Makes tasks of calls that wait: for people at once, for their tool when it takes too long.

A task exists before its client is told of it: its action is written before anything is sent, and
what the action does not keep is noted. Source: SEP-2663, "Task Creation".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from ...callers import Submission
from ...core.actions import Action, State, ToolCall
from ...core.errors import CallTooLarge, InterlockError, QueueFull, StoreUnavailable
from ...core.messages import TOOLS_CALL, Message
from ...gate import Gate
from ...mcp_ports import TaskNotes
from ...ports import Ids
from ...tasks import Tasks
from . import tasks_documents as documents
from . import tasks_notes
from .calls import declares_tasks
from .session import Caller, Document
from .tasks_slow import Begun, Flights, streams

ATTENDED = 60.0  #: seconds for which a client that polls counts as there


class TaskMaking:
    """Submits calls whose client takes tasks. *after*: seconds that a tool may take, 0: any time.

    `submit` and `held` are `calls.Tasking`.
    """

    def __init__(
        self,
        gate: Gate,
        notes: TaskNotes,
        ids: Ids,
        running: Tasks,
        flights: Flights,
        after: Callable[[Caller], float],
    ) -> None:
        self._gate = gate
        self._notes = notes
        self._ids = ids
        self._running = running
        self._flights = flights
        self._after = after

    async def held(self, action: Action, message: Message, caller: Caller) -> Document | None:
        """Answer a call that waits with a task; None: its client or its method takes none.

        Raises:
            StoreUnavailable: what becomes of it cannot be read.
        """
        if not takes(message, caller):
            return None
        note = await self._notes.get(action.call.agent.id, documents.task_id(action))
        known = tasks_notes.decoded(note.content) if note.version else None
        if known is not None and known.ended:
            return None  # it was given up as a task, and is asked for again
        with suppress(StoreUnavailable):  # at worst the call counts as one whose caller has gone
            await self._gate.store.attend(action.id, ATTENDED)
        return documents.created(message, action, known)

    async def submit(
        self, call: ToolCall, message: Message, caller: Caller
    ) -> Submission | Document:
        """As `gate.submit`; or the task that the call has become, as its tool takes long.

        The answer of such a call is kept, with a key that nobody else knows.

        Raises:
            StoreUnavailable, QueueFull: as `gate.submit`.
        """
        after = self._after(caller)
        if after <= 0 or not takes(message, caller):
            return await self._gate.submit(call)
        end = asyncio.get_running_loop().time() + after
        key = self._ids.nonce()
        first = self._running.spawn(self._gate.submit(call, key=key), "task-call")
        try:
            done, _ = await asyncio.wait({first}, timeout=after)
            if not done:
                return await self._slow(first, call, key, message)
        except asyncio.CancelledError:  # its client has gone
            first.cancel()
            raise
        try:
            submission = first.result()
        except QueueFull:  # its answer cannot be kept for replay: it is sent like any other
            return await self._gate.submit(call)
        return await self._begun(submission, call, message, end)

    async def _begun(
        self, submission: Submission, call: ToolCall, message: Message, end: float
    ) -> Submission | Document:
        """Pass on what is answered in time; the head of a stream alone answers nothing."""
        relay = submission.relay
        if relay is None or not streams(relay):
            return submission
        begun = Begun(relay)
        left = end - asyncio.get_running_loop().time()
        try:
            early = await begun.read(left, message.id)
            task = None if early else await self._made(submission.action, call, message)
        except BaseException:  # its client has gone, and with it the request
            async with relay:
                raise
        if task is None:
            return replace(submission, relay=begun.relay())
        await self._flights.landed(submission.action.id, relay)
        return task

    async def _slow(
        self, first: asyncio.Task[Submission], call: ToolCall, key: str, message: Message
    ) -> Submission | Document:
        """Make a task of a call that has not even the head of an answer.

        Only the store knows its action yet: the same call with the same key joins it.
        """
        again = self._running.spawn(self._gate.submit(call, key=key), "task-join")
        try:
            await asyncio.wait({first, again}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            again.cancel()
            raise
        if first.done():
            self._running.spawn(self._joined(again), "task-join")
            return await self._begun(first.result(), call, message, 0)
        with suppress(InterlockError):  # then the first one says what is wrong
            known = again.result()
            if known.relay is not None:  # it came first to the store: the other joins it
                self._running.spawn(self._joined(first), "task-join")
                return await self._begun(known, call, message, 0)
            if known.action.state is State.FORWARDING:
                task = await self._made(known.action, call, message)
                if task is not None:
                    self._flights.begin(known.action.id)
                    self._running.spawn(self._land(first, known.action.id), "task-answer")
                    return task
        return await self._begun(await first, call, message, 0)

    async def _joined(self, joining: asyncio.Task[Submission]) -> None:
        """Await a submission that only repeats another one."""
        with suppress(InterlockError):
            submission = await joining
            if submission.relay is not None:  # the other one was not taken after all
                self._gate.read_on(submission.relay)

    async def _land(self, sending: asyncio.Task[Submission], action_id: str) -> None:
        """See a send through for which no request waits any more."""
        relay = None
        with suppress(InterlockError):  # recorded, where there is anything to record
            relay = (await sending).relay
        await self._flights.landed(action_id, relay)

    async def _made(self, action: Action, call: ToolCall, message: Message) -> Document | None:
        """Return the task that *action* is from now on; None: it cannot be noted, so it is none."""
        note = tasks_notes.begun(action, 0, call.body)
        content, task = tasks_notes.encoded(note), documents.task_id(action)
        try:
            written = await self._notes.put(
                call.agent.id, task, content, version=0, keep_ms=note.ttl
            )
        except (CallTooLarge, QueueFull, StoreUnavailable):
            return None
        return documents.created(message, action, note) if written else None


def takes(message: Message, caller: Caller) -> bool:
    """Say whether the client of *message* takes a task in place of its result."""
    return message.method == TOOLS_CALL and caller.holding.tasks and declares_tasks(caller)
