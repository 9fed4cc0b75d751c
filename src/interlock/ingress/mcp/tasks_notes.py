"""What is noted of a task, and how answers to its server become calls that are judged anew. Pure.

A task is its action; a note says what an action cannot: what the server asks of the client, what
was answered, which call goes on with it, and that the client has given up. Source: SEP-2663.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ...core.actions import Action, McpTool, State, ToolCall, evolve
from ...core.decisions import Level
from ...core.digest import seal
from ...core.lifecycle import APPROVAL_MS
from ...core.messages import content_of, read_message, write_message
from ...mcp_ports import Definition
from . import answers
from .reading import hints, with_params

ROUNDS = 10  #: how often a server may ask for input in one task; clients give up then, too
KEPT_MS = 3_600_000  #: how long an answer is there at least, once a person has decided
CANCELLED, FAILED = "cancelled", "failed"
_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What is known of a task beside its action. Times in ms, by the store's clock.

    `sent`: the message of the call, which the action of an allowed one does not keep. `asked`: what
    is still to be answered, by a key that is used once: `{"name": its server's key, "request":
    ...}`. `next`: the Idempotency-Key of the call that goes on, from when it is due until its
    action is known, so that no two processes send it twice.
    """

    action: str
    sent: str
    created: int
    changed: int
    ttl: int
    rounds: int = 0
    asked: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: _NOTHING)
    answers: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    state: Any = None  #: the server's requestState
    next: str = ""
    remote: str = ""  #: the task that its server answered the call with
    ended: str = ""  #: `cancelled` or `failed`, whatever becomes of the action
    error: str = ""  #: why it failed


def encoded(note: Note) -> bytes:
    """Return *note* as JSON."""
    return json.dumps(asdict(note), separators=(",", ":")).encode()


def decoded(content: bytes) -> Note:
    """Return the note that `encoded` made."""
    return Note(**json.loads(content))


def lifetime(action: Action) -> int:
    """Return for how long, in ms from its beginning, what becomes of a call can be asked for."""
    decision = action.decision
    held = decision is not None and decision.level >= Level.APPROVE
    return KEPT_MS + APPROVAL_MS + (decision.hold_ms if decision is not None and held else 0)


def begun(action: Action, now: int, sent: bytes = b"") -> Note:
    """Return the first note of the task that *action* is. *sent*: its message, if it keeps none."""
    return Note(
        action=action.id,
        sent=sent.decode(),
        created=action.created,
        changed=max(now, action.changed),
        ttl=lifetime(action),
    )


def whole(action: Action, note: Note | None) -> Action:
    """Return *action* with the message that it was sent with, where the note alone has it."""
    if action.call.body or note is None:
        return action
    return evolve(action, call=replace(action.call, body=note.sent.encode()))


def expired(note: Note | None, action: Action, now: int) -> bool:
    """Say whether a task may not be asked for any more."""
    if note is None:
        return now >= action.created + lifetime(action)
    return now >= note.created + note.ttl


# what the server asks ------------------------------------------------------------------------


def advanced(note: Note | None, action: Action, key: str, now: int) -> Note | None:
    """Return the note that follows from an answer that is not the end; None: there is no such.

    *key*: of the call that goes on, where it can go on at once.
    """
    if note is not None and (note.ended or note.asked or note.next or note.remote):
        return None
    if action.state is not State.ANSWERED:
        return None
    response = answers.stored(action)
    result = response.get("result") if response is not None else None
    if not isinstance(result, dict):
        return None
    if result.get("resultType") == "task" and isinstance(result.get("taskId"), str):
        return replace(note or begun(action, now), remote=result["taskId"], changed=now)
    if result.get("resultType") == "input_required":
        return _asks(note or begun(action, now), result, key, now)
    return None


def _asks(note: Note, result: Mapping[str, Any], key: str, now: int) -> Note:
    rounds = note.rounds + 1
    requests, state = result.get("inputRequests") or {}, result.get("requestState")
    if rounds > ROUNDS:
        return failed(note, f"The server asked for input more than {ROUNDS} times.", now)
    readable = isinstance(requests, dict) and all(isinstance(r, dict) for r in requests.values())
    if not readable or not is_sound([requests, state]):
        return failed(note, "The server asked for input in a form that cannot be read.", now)
    if not requests and state is None:
        return failed(note, "The server asked for input without saying for which.", now)
    asked = {f"{rounds}.{name}": {"name": name, "request": r} for name, r in requests.items()}
    return replace(
        note,
        rounds=rounds,
        asked=asked,
        answers={},
        state=state,
        next="" if asked else key,
        changed=now,
    )


def is_sound(value: Any) -> bool:
    """Say whether what a server sent can be sent on: it is JSON, and all its text is text."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return False
    return True


def answered(note: Note, responses: Mapping[str, Any], key: str, now: int) -> Note | None:
    """Return the note with these answers; None: none of them was asked for (any more)."""
    taken = note.asked.keys() & responses.keys()
    if note.ended or not taken:
        return None
    asked = {name: asks for name, asks in note.asked.items() if name not in taken}
    more = {note.asked[name]["name"]: responses[name] for name in taken}
    return replace(
        note,
        asked=asked,
        answers={**note.answers, **more},
        next="" if asked else key,
        changed=now,
    )


# the call that goes on -----------------------------------------------------------------------


def continuation(note: Note, action: Action, definition: Definition | None) -> ToolCall:
    """Return the call that brings the answers to the server: a new one, which nobody has judged.

    *action*: the call that was answered with questions, as `whole` returns it.
    """
    call = action.call
    message = read_message(call.body)
    params = dict(message.params)
    for name, value in (("inputResponses", dict(note.answers)), ("requestState", note.state)):
        params.pop(name, None)
        if value not in (None, {}):
            params[name] = value
    if "_meta" in params:  # nobody is there to be told of progress
        meta = {name: said for name, said in message.meta.items() if name != "progressToken"}
        params["_meta"] = meta
    document = {**with_params(message, params).document, "id": f"task-{note.next}"}
    body = write_message(document)
    tool = call.mcp and _as_listed(call.mcp, definition)
    return seal(replace(call, body=body, content=content_of(read_message(body)), mcp=tool))


def _as_listed(tool: McpTool, definition: Definition | None) -> McpTool:
    if definition is None:
        return replace(tool, definition="", annotations={}, accepted=False)
    return replace(
        tool,
        definition=definition.hash,
        annotations=hints(definition.document),
        accepted=definition.accepted,
    )


def continued(note: Note, key: str, action: Action, sent: bytes, now: int) -> Note | None:
    """Return the note once *action* goes on with the task; None: it is known, or nobody waits."""
    if note.ended or note.next != key:
        return None
    ttl = max(note.ttl, now - note.created + lifetime(action))
    return replace(
        note, action=action.id, sent=sent.decode(), next="", answers={}, ttl=ttl, changed=now
    )


# ends ----------------------------------------------------------------------------------------


def cancelled(note: Note, now: int) -> Note | None:
    """Return the note of a task that its client has given up; None: it has ended."""
    if note.ended:
        return None
    return replace(note, ended=CANCELLED, asked={}, answers={}, next="", changed=now)


def failed(note: Note, why: str, now: int) -> Note:
    """Return the note of a task that cannot go on."""
    return replace(
        note, ended=FAILED, error=why, asked={}, answers={}, state=None, next="", changed=now
    )
