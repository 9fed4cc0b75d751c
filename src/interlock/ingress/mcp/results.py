"""What the client of an MCP server is answered: JSON-RPC documents. Pure.

Every outcome of `tools/call` that is policy's, people's or ours is an ordinary result with one text
block: the only answer that all clients hand to their model. Its first words say whether anything
was executed. Machine data is in `_meta`. Shapes: MCP, SEP-2848 (dispositions), SEP-2643 (refusals).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...core.actions import Action, State
from ...core.errors import (
    InterlockError,
    MalformedCall,
    MalformedMessage,
    StateUnavailable,
    UpstreamLost,
)
from ...core.messages import INVALID_REQUEST, TOOLS_CALL, Message
from ..problems import error_notice
from . import answers
from .session import Caller, Document
from .wording import call_facts, disposition, sentence

REFUSED = 31403
"""Code of refusals that cannot be results: outside the ranges that JSON-RPC and MCP reserve."""

DISPOSITION = "net.openid.authzen/disposition"
AUTHORIZATION = "io.modelcontextprotocol/authorization"
CALL = "dev.interlock/call"
NOT_EXECUTED, FAILED = "denied-not-executed", "execution-error"

_ENDED = frozenset({State.DENIED, State.REJECTED, State.EXPIRED, State.CANCELLED})
_WAITING = frozenset({State.HELD, State.APPROVED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who is answered, and how its client takes answers.

    `tool`: it called a tool; other methods have no text for the model and get errors. `errors`:
    refusals are marked `isError`. `waits`: it is offered `interlock_wait`.
    """

    id: str | int | None
    modern: bool = False
    tool: bool = True
    errors: bool = False
    waits: bool = True
    tell_edits: bool = True
    progress: str | int | None = None  #: the progressToken that it gave


def asker(message: Message, caller: Caller, *, schema: bool = False) -> Asker:
    """Return who is answered with the outcome of *message*.

    *schema*: the client was shown an outputSchema, which a refusal does not fit: it is marked as
    an error, or the client would take it for a broken answer.
    """
    token = message.meta.get("progressToken")
    usable = isinstance(token, str | int) and not isinstance(token, bool)
    return Asker(
        id=message.id,
        modern=caller.modern,
        tool=message.method == TOOLS_CALL,
        errors=caller.holding.errors or schema,
        waits=caller.server.own_tools and caller.holding.own_tools,
        tell_edits=caller.server.tell_edits,
        progress=token if usable else None,
    )


def outcome(action: Action, to: Asker) -> Document:
    """Return what became of *action*, as far as it has come."""
    if action.state is State.ANSWERED:
        found = answers.stored(action)
        if found is not None:
            return answers.readdressed(found, action, to.id, tell_edits=to.tell_edits)
        if action.answer is None or action.answer.kept:  # an answer, but no result
            unclear = {CALL: {**call_facts(action), "executed": "unknown"}, DISPOSITION: FAILED}
            return told(sentence(action), unclear, to)
    return told(sentence(action, waits=to.waits), meta(action), to)


def meta(action: Action) -> dict[str, Any]:
    """Return what machines are told of *action*; it agrees with its sentence."""
    said: dict[str, Any] = {CALL: call_facts(action)}
    what = disposition(action)
    if what:
        said[DISPOSITION] = what
    if action.state in _ENDED | _WAITING:
        said[AUTHORIZATION] = {
            "reason": "insufficient_authorization",
            "remediation": "unavailable" if action.state in _ENDED else "undisclosed",
            "authorizationContextId": action.id,
        }
    return said


def failure(error: InterlockError, to: Asker, action: Action | None = None) -> Document:
    """Return that the call was not taken, not sent, or that its outcome is not known."""
    lost = isinstance(error, UpstreamLost | StateUnavailable)
    said: dict[str, Any] = {DISPOSITION: FAILED if lost else NOT_EXECUTED}
    facts = call_facts(action) if action is not None else {}
    said[CALL] = {**facts, "state": error.kind, "executed": "unknown" if lost else False}
    return told(error_notice(error).detail, said, to)


def told(text: str, said: Mapping[str, Any], to: Asker) -> Document:
    """Return *text* for the model, as a result where one can be had."""
    if not to.tool:
        return _error(to.id, REFUSED, text, said)
    return as_result([text], said, to)


def as_result(texts: list[str], said: Mapping[str, Any], to: Asker) -> Document:
    """Return a result of `tools/call` with these blocks of text."""
    result: dict[str, Any] = {
        "content": [{"type": "text", "text": text} for text in texts],
        "isError": to.errors,
    }
    if said:
        result["_meta"] = dict(said)
    if to.modern:
        result["resultType"] = "complete"
    return {"jsonrpc": "2.0", "id": to.id, "result": result}


def come_back(to: Asker, token: str) -> Document:
    """Return a result of 2026-07-28 that makes the client send its request again, with *token*."""
    result = {"resultType": "input_required", "requestState": token}
    return {"jsonrpc": "2.0", "id": to.id, "result": result}


def malformed(error: MalformedCall, given: str | int | None) -> Document:
    """Return the JSON-RPC error of a message that is not taken; its HTTP status is 400."""
    code = error.code if isinstance(error, MalformedMessage) else INVALID_REQUEST
    return _error(given, code, error_notice(error).detail, None)


def refused(text: str, given: str | int | None, code: int = REFUSED) -> Document:
    """Return a JSON-RPC error in our own words."""
    return _error(given, code, text, None)


def _error(
    given: str | int | None, code: int, text: str, data: Mapping[str, Any] | None
) -> Document:
    error: dict[str, Any] = {"code": code, "message": text}
    if data:
        error["data"] = dict(data)
    return {"jsonrpc": "2.0", "id": given, "error": error}


def progress(to: Asker, count: int) -> Document | None:
    """Return the progress of a held call; None where the client did not ask to be told.

    The value rises in small steps, so that it stays below what the tool itself counts later.
    """
    if to.progress is None:
        return None
    said = {"progressToken": to.progress, "progress": count / 1_000_000}
    params = {**said, "message": "Waiting for a person's approval."}
    return {"jsonrpc": "2.0", "method": "notifications/progress", "params": params}
