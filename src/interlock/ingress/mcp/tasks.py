"""The tasks extension, served by Interlock: `tasks/get`, `tasks/update` and `tasks/cancel`.

The action is the durable record of a task: any replica answers for it, also after a crash. Nothing
here waits: what is due is found out, and set going, when a client asks. What a server asks of the
client inside a task goes back to it as a new call, which is judged as every call. Source: SEP-2663.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from ...core.actions import Action, State
from ...core.errors import (
    CallTooLarge,
    IllegalTransition,
    KeyReused,
    Lapsed,
    MalformedCall,
    NotFound,
    QueueFull,
    StoreUnavailable,
    Suspended,
)
from ...core.messages import Kind, Message
from ...gate import Gate
from ...mcp_ports import Definitions, TaskNotes
from ...ports import Ids
from ...tasks import Tasks
from . import results, tasks_notes, tasks_remote
from . import tasks_documents as documents
from .calls import declares_tasks
from .session import Caller, Document
from .tasks_making import ATTENDED, TaskMaking
from .tasks_notes import Note
from .tasks_slow import Flights

RACES = 5  #: how often a note is read again because others wrote it
RETRY_MS = 1000  #: between attempts to send what could not be sent

Change = Callable[[Note, int], Note | None]
"""Returns the note that follows, at a time in ms by the store's clock; None: nothing changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A task as it was read. `first` is the action that began it, `action` the present one."""

    task: str
    first: Action
    action: Action
    note: Note | None
    version: int
    now: int

    @property
    def agent(self) -> str:
        return self.first.call.agent.id


class ServedTasks:
    """Makes and serves tasks. *after*: for how many seconds a caller waits for a tool, 0: as long
    as it takes.
    """

    def __init__(
        self,
        gate: Gate,
        notes: TaskNotes,
        definitions: Definitions,
        ids: Ids,
        *,
        after: Callable[[Caller], float],
    ) -> None:
        self._gate = gate
        self._notes = notes
        self._definitions = definitions
        self._ids = ids
        self._running = Tasks()
        self._flights = Flights(gate)
        self._continuing: set[str] = set()
        making = TaskMaking(gate, notes, ids, self._running, self._flights, after)
        self.held, self.submit = making.held, making.submit

    async def answer(self, message: Message, caller: Caller) -> Document | None:
        """Answer what a client asks of its tasks; None: it is for the server, as it is.

        `tasks_documents.status_of` has the HTTP status.
        """
        if message.kind is not Kind.REQUEST or not caller.modern or not caller.holding.tasks:
            return None
        task = message.params.get("taskId")
        if message.method in documents.ABSENT:
            mine = documents.is_ours(task) or "taskId" not in message.params
            return documents.absent(message) if mine else None
        if message.method not in documents.METHODS:
            return None
        if not declares_tasks(caller):
            return documents.undeclared(message)
        return await self._addressed(task, message, caller)

    async def _addressed(self, task: object, message: Message, caller: Caller) -> Document | None:
        if not isinstance(task, str) or not task:
            return documents.refused(message, "`taskId` must be the id of a task.")
        if not documents.is_ours(task):
            return None
        try:
            return await self._served(task, message, caller)
        except (StoreUnavailable, QueueFull) as error:
            return results.refused(error.detail, message.id, documents.INTERNAL_ERROR)
        except CallTooLarge as error:
            return documents.refused(message, error.detail)

    async def close(self, seconds: float) -> int:
        """Finish what runs in the background; return how many did not finish."""
        return await self._running.drain(seconds)

    async def _served(self, task: str, message: Message, caller: Caller) -> Document:
        responses = message.params.get("inputResponses")
        if message.method == documents.UPDATE and not isinstance(responses, dict):
            return documents.refused(message, "`inputResponses` must be an object.")
        known = await self._known(task, caller)
        if known is None:
            return documents.unknown(message)
        if known.note is not None and known.note.remote and not known.note.ended:
            return await self._relayed(known, known.note.remote, message, caller)
        if message.method == documents.GET:
            return await self._get(known, message, caller)
        if message.method == documents.CANCEL:
            await self._cancel(known, caller)
        elif isinstance(responses, dict):
            await self._update(known, responses, caller)
        return documents.acknowledged(message)

    async def _relayed(
        self, known: Known, remote: str, message: Message, caller: Caller
    ) -> Document:
        """Ask the server for what it made a task of its own; what is gated is judged first."""
        if message.method in caller.server.gates:
            return await tasks_remote.judged(message, caller, remote, self._gate)
        there = await tasks_remote.asked(message, caller, remote)
        if message.method == documents.GET and there is not None:
            return documents.relayed(message, known.task, there)
        if message.method == documents.GET:
            return await self._get(known, message, caller)
        if there is None:
            text = "The tool's server did not answer; try again."
            return results.refused(text, message.id, documents.INTERNAL_ERROR)
        return there

    # reading -------------------------------------------------------------------------------

    async def _known(self, task: str, caller: Caller) -> Known | None:
        """Return a task of *caller* at this server as it stands now; None: there is none."""
        began = documents.action_of(task)
        first = await self._gate.of_agent(began, caller.agent.id) if began else None
        if first is None or first.call.upstream != caller.server.name:
            return None
        for _ in range(RACES):
            known = await self._read(task, first)
            if known is None:
                return None
            key = self._ids.nonce()
            after = tasks_notes.advanced(known.note, known.action, key, known.now)
            if after is None:
                return known
            try:
                await self._write(known, after)
            except CallTooLarge as error:
                await self._write(known, tasks_notes.failed(after, error.detail, known.now))
        raise StoreUnavailable("Others change this task at the same time; try again.")

    async def _read(self, task: str, first: Action) -> Known | None:
        found = await self._notes.get(first.call.agent.id, task)
        note = tasks_notes.decoded(found.content) if found.version else None
        action: Action | None = first
        if note is not None and note.action != first.id:
            action = await self._gate.get(note.action)
        if action is None or tasks_notes.expired(note, first, found.now):
            return None
        return Known(
            task=task,
            first=first,
            action=tasks_notes.whole(action, note),
            note=note,
            version=found.version,
            now=found.now,
        )

    async def _write(self, known: Known, after: Note) -> bool:
        """Write the note that follows what is known, unless others were faster."""
        keep_ms = after.created + after.ttl - known.now
        content, version = tasks_notes.encoded(after), known.version
        return await self._notes.put(
            known.agent, known.task, content, version=version, keep_ms=keep_ms
        )

    async def _change(self, known: Known, change: Change) -> Known | None:
        """Change the note of a task, whoever else does meanwhile; return the task as it is then."""
        for _ in range(RACES):
            note = known.note or tasks_notes.begun(known.action, known.now)
            after = change(note, known.now)
            if after is None:
                return known
            if await self._write(known, after):
                return replace(known, note=after, version=known.version + 1)
            again = await self._read(known.task, known.first)
            if again is None:
                return None
            known = again
        raise StoreUnavailable("Others change this task at the same time; try again.")

    # asking --------------------------------------------------------------------------------

    async def _get(self, known: Known, message: Message, caller: Caller) -> Document:
        await self._push(known)
        name = known.action.call.mcp.name if known.action.call.mcp else ""
        definition = self._definitions.current(caller.server.name, name)
        schema = definition is not None and "outputSchema" in definition.document
        to = documents.asker(message, caller, schema=schema)
        return documents.detailed(message, known.task, known.note, known.action, to)

    async def _push(self, known: Known) -> None:
        """Set going what is due; where it is under way already, that changes nothing."""
        note, action = known.note, known.action
        if note is not None and (note.ended or note.asked):
            return
        if note is not None and note.next:
            self._go_on(known, note)
        elif action.state in (State.HELD, State.APPROVED):
            with suppress(StoreUnavailable):  # at worst its caller counts as gone
                await self._gate.store.attend(action.id, ATTENDED)
            if action.state is State.APPROVED:
                await self._send(action, known.now)

    async def _send(self, action: Action, now: int) -> None:
        """Send what was approved; maybe only this process can, or nobody could before."""
        if not action.fence:
            self._gate.sender.dispatch_soon(action)
        elif now - action.changed > RETRY_MS:
            await self._gate.join(action.id, action.call)

    # going on ------------------------------------------------------------------------------

    async def _update(self, known: Known, responses: Mapping[str, Any], caller: Caller) -> None:
        key = self._ids.nonce()

        def change(note: Note, now: int) -> Note | None:
            return tasks_notes.answered(note, responses, key, now)

        after = await self._change(known, change)
        if after is not None and after.note is not None and after.note.next:
            self._go_on(after, after.note)

    def _go_on(self, known: Known, note: Note) -> None:
        if note.next not in self._continuing:
            self._continuing.add(note.next)
            self._running.spawn(self._continue(known, note), "task-input")

    async def _continue(self, known: Known, note: Note) -> None:
        """Submit the call that brings the input; by its key it is one call, whoever submits it."""
        try:
            await self._submitted(known, note)
        except StoreUnavailable:
            return  # the next one who asks for the task tries again
        except (QueueFull, CallTooLarge, KeyReused, MalformedCall, Suspended) as error:
            why = f"The input could not be sent to the tool: {error.detail}"
            with suppress(StoreUnavailable, QueueFull):
                await self._change(known, lambda n, now: _failing(n, note.next, why, now))
        finally:
            self._continuing.discard(note.next)

    async def _submitted(self, known: Known, note: Note) -> None:
        name = known.action.call.mcp.name if known.action.call.mcp else ""
        definition = self._definitions.current(known.action.call.upstream, name)
        call = tasks_notes.continuation(note, known.action, definition)
        submission = await self._gate.submit(call, key=note.next)
        action = submission.action
        self._flights.begin(action.id)

        def change(before: Note, now: int) -> Note | None:
            return tasks_notes.continued(before, note.next, action, call.body, now)

        try:
            after = await self._change(known, change)
            if after is None or (after.note is not None and after.note.ended):  # given up
                await self._take_back(action, known.agent)
                await self._flights.end(action.id)
        finally:
            await self._flights.landed(action.id, submission.relay)

    # giving up -----------------------------------------------------------------------------

    async def _cancel(self, known: Known, caller: Caller) -> None:
        to = documents.asker(_NOBODY, caller, schema=False)
        now = documents.standing(known.note, known.action, to)
        if now.final:
            return
        if now.status == "working" and not (known.note is not None and known.note.next):
            if await self._take_back(known.action, known.agent):
                return
            again = await self._read(known.task, known.first)
            if again is None or documents.standing(again.note, again.action, to).final:
                return
            known = again
        await self._change(known, tasks_notes.cancelled)
        await self._flights.end(known.action.id)

    async def _take_back(self, action: Action, agent_id: str) -> bool:
        """Take a call back that was not sent; return whether it never will be."""
        try:
            await self._gate.cancel(action.id, agent_id)
        except (NotFound, IllegalTransition, Lapsed):
            return False
        return True


_NOBODY = Message(kind=Kind.REQUEST, params={}, document={})


def _failing(note: Note, key: str, why: str, now: int) -> Note | None:
    return tasks_notes.failed(note, why, now) if note.next == key and not note.ended else None
