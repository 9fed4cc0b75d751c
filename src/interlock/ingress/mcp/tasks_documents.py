"""How tasks are named, and what clients are told of them: JSON-RPC documents of SEP-2663. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ...core.actions import Action, State
from ...core.messages import INVALID_PARAMS, Message
from . import results, tasks_notes
from .results import Asker
from .session import TASKS, Caller, Document
from .tasks_notes import Note
from .wording import executed, sentence

GET, UPDATE, CANCEL = "tasks/get", "tasks/update", "tasks/cancel"
METHODS = frozenset({GET, UPDATE, CANCEL})
ABSENT = frozenset({"tasks/list", "tasks/result"})
"""Methods that tasks had before 2026-07-28."""

METHOD_NOT_FOUND, INTERNAL_ERROR, CAPABILITY_MISSING = -32601, -32603, -32021
HELD_POLL_MS, BUSY_POLL_MS = 2000, 1000
"""How soon it is worth asking again: a person decides, or a tool works."""

_PREFIX = "ilt_"
_ID = re.compile(rf"{_PREFIX}([a-z0-9][a-z0-9-]{{0,63}})", re.ASCII)
_STATUS = {CAPABILITY_MISSING: 400, INVALID_PARAMS: 400, METHOD_NOT_FOUND: 404}


def task_id(action: Action) -> str:
    """Return the name of the task that *action* began: as little to be guessed as its own."""
    return _PREFIX + action.id


def action_of(task: str) -> str | None:
    """Return the id of the action that began *task*; None: it is no task of ours."""
    named = _ID.fullmatch(task)
    return named[1] if named else None


def is_ours(task: object) -> bool:
    """Say whether a task would be ours; those of the server pass unread."""
    return isinstance(task, str) and task.startswith(_PREFIX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a task stands. `more`: what goes with that status."""

    status: str
    message: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def final(self) -> bool:
        return self.status not in ("working", "input_required")


def standing(note: Note | None, action: Action, to: Asker) -> Standing:
    """Return how the task stands whose present call is *action*, as `tasks_notes.whole` has it."""
    if note is not None and note.ended == tasks_notes.CANCELLED:
        return Standing(status="cancelled", message=_given_up(action))
    if note is not None and note.ended:
        return _failed({"code": INTERNAL_ERROR, "message": note.error})
    if note is not None and note.asked:
        requests = {key: asks["request"] for key, asks in note.asked.items()}
        return Standing(status="input_required", more={"inputRequests": requests})
    if note is not None and note.next:
        return Standing(status="working", message="The input goes to the tool.")
    if note is not None and note.remote:
        return Standing(status="working", message="The tool works on it as a task of its own.")
    if action.state in _AT_WORK:
        return Standing(status="working", message=_AT_WORK[action.state](action))
    if action.state is State.CANCELLED and not action.fence:
        return Standing(status="cancelled", message=sentence(action))
    return _finished(results.outcome(action, to))


def _finished(document: Document) -> Standing:
    error = document.get("error")
    if not tasks_notes.is_sound(document):
        text = "EXECUTED. The tool answered, but its answer holds what is no text or number."
        return _failed({"code": INTERNAL_ERROR, "message": text})
    if isinstance(error, Mapping):
        return _failed(error)
    return Standing(status="completed", more={"result": document["result"]})


def _failed(error: Mapping[str, Any]) -> Standing:
    return Standing(status="failed", message=str(error.get("message")), more={"error": error})


def _given_up(action: Action) -> str:
    ran = executed(action)
    if ran == "unknown":
        return "Cancelled while the tool was at work: what it has done by now is not known."
    return "Cancelled; the tool was called before that." if ran else "Cancelled."


def _held(action: Action) -> str:
    return f"NOT EXECUTED YET. Waits until a person approves it (reference {action.id})."


def _approved(action: Action) -> str:
    if not action.fence:
        return "Approved; it is sent now."
    return "NOT EXECUTED YET. Approved, but the tool could not be reached; it is tried again."


_AT_WORK: Mapping[State, Callable[[Action], str]] = {
    State.HELD: _held,
    State.APPROVED: _approved,
    State.FORWARDING: lambda action: "The tool is at work.",
}


# documents -----------------------------------------------------------------------------------


def created(message: Message, action: Action, note: Note | None) -> Document:
    """Return the answer to `tools/call` that its result comes as a task."""
    said = _AT_WORK.get(action.state, _held)(action)
    task = _task(task_id(action), note, action, Standing(status="working", message=said))
    return _result(message, {"resultType": "task", **task})


def detailed(message: Message, task: str, note: Note | None, action: Action, to: Asker) -> Document:
    """Return the answer to `tasks/get`."""
    now = standing(note, action, to)
    return _result(message, {"resultType": "complete", **_task(task, note, action, now)})


def _task(task: str, note: Note | None, action: Action, now: Standing) -> dict[str, Any]:
    began = note.created if note is not None else action.created
    changed = max(note.changed if note is not None else 0, action.changed)
    said: dict[str, Any] = {
        "taskId": task,
        "status": now.status,
        "createdAt": _time(began),
        "lastUpdatedAt": _time(changed),
        "ttlMs": note.ttl if note is not None else tasks_notes.lifetime(action),
        "pollIntervalMs": HELD_POLL_MS if action.state is State.HELD else BUSY_POLL_MS,
        **now.more,
    }
    if now.message:
        said["statusMessage"] = now.message
    if now.status == "working" and action.state in _AT_WORK:
        said["_meta"] = results.meta(action)  # SEP-2643: as long as it waits
    return said


def _time(ms: int) -> str:
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def relayed(message: Message, task: str, response: Document) -> Document:
    """Return what a server says of its own task as what we say of ours."""
    result = response.get("result")
    if not isinstance(result, Mapping):
        return {**response, "id": message.id}
    return _result(message, {**result, "taskId": task})


def acknowledged(message: Message) -> Document:
    """Return the answer to `tasks/update` and `tasks/cancel`."""
    return _result(message, {"resultType": "complete"})


def _result(message: Message, result: Mapping[str, Any]) -> Document:
    return {"jsonrpc": "2.0", "id": message.id, "result": dict(result)}


def undeclared(message: Message) -> Document:
    """Return that a client must say that it knows tasks before it asks for one."""
    text = f"Declare the extension {TASKS} in the capabilities of this request."
    document = results.refused(text, message.id, CAPABILITY_MISSING)
    data: dict[str, Any] = {"requiredCapabilities": {"extensions": {TASKS: {}}}}
    return {**document, "error": {**document["error"], "data": data}}


def absent(message: Message) -> Document:
    """Return that there is no such method for tasks of 2026-07-28."""
    return results.refused(f"There is no {message.method} here.", message.id, METHOD_NOT_FOUND)


def unknown(message: Message) -> Document:
    """Return that the agent has no such task; that of another one is none, too."""
    return refused(message, "You have no such task; it may have ended long ago.")


def refused(message: Message, text: str) -> Document:
    """Return that the params of a request are not valid."""
    return results.refused(text, message.id, INVALID_PARAMS)


def foreign(message: Message, document: Document) -> Document:
    """Return what a server says of a task that is not ours, where it may know none at all.

    We say in its name that it has tasks: then an id that nobody knows is wrong, not the method.
    """
    error = document.get("error")
    if message.method not in METHODS or not isinstance(error, Mapping):
        return document
    return unknown(message) if error.get("code") == METHOD_NOT_FOUND else document


def status_of(document: Document) -> int:
    """Return the HTTP status of a response of these."""
    error = document.get("error")
    return _STATUS.get(error.get("code", 0), 200) if isinstance(error, Mapping) else 200


def asker(message: Message, caller: Caller, *, schema: bool) -> Asker:
    """Return who gets the result of a task: the model, whatever method its client polls with."""
    return Asker(
        id=message.id,
        modern=True,
        errors=caller.holding.errors or schema,
        waits=False,
        tell_edits=caller.server.tell_edits,
    )
