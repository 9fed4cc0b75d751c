"""One transition to one operation of put.lua: its fields, in the order that the script reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace

from ..core.actions import Action, Answer, State
from ..core.decisions import Level
from ..core.events import (
    Answered,
    Cancelled,
    Claimed,
    ClearanceFailed,
    DeadlinePassed,
    Decided,
    Escalated,
    Event,
    LeaseLost,
    Lost,
    NotSent,
    PolicyTightened,
    Resolved,
    Reviewed,
)
from ..core.undoing import UNDOING
from ..ports import Change, Limits
from ..timing import AUDITED
from .codec import encode_call, encode_event, encode_record, sealed_answer
from .decisions import SMALL
from .effects import encode_effects
from .lua import packed

OPERATION: Mapping[type[Event], str] = {
    PolicyTightened: "deny",
    ClearanceFailed: "deny",
    DeadlinePassed: "lapse",
    LeaseLost: "lapse",
    Cancelled: "cancel",
    Claimed: "claim",
    Escalated: "escalate",
    Answered: "answer",
    NotSent: "notsent",
    Lost: "lose",
    Resolved: "resolve",
}
_UNBOUNDED = 2**52  #: bytes
_REVIEWED = (Level.APPROVE, Level.APPROVE_DUAL)
_SPOKEN = (State.ANSWERED, State.RESPONDED)


def encode_change(
    change: Change, limits: Limits, *, stopped: bool = False, key: bytes = b""
) -> bytes:
    """Return the fields of one operation, in the order of NAMES in put.lua.

    *stopped*: the writer knows that the agent is, whatever the store says. *key*: of the MAC of
    the tool's answer; empty: it gets none.
    """
    before, event, after = change.before, change.event, change.after
    new, operation = before.version == 0, operation_of(event, after)
    who, mac, call = "", "", b""
    if isinstance(event, Reviewed):
        who, mac = event.review.reviewer.id, event.review.mac
    if new or operation == "edit":
        call = encode_call(after.call, keep_body=not new or after.state is State.HELD)
    decision = after.decision
    spoken = after.answer if after.state in _SPOKEN else None
    answer = sealed_answer(spoken, after.id, key) if spoken else b""
    quiet = operation in ("claim", "answer", "lapse") and not new
    return packed(
        after.id,
        operation,
        change.nonce,
        before.version,
        after.state.value,
        _ttl(event, after, operation),
        after.digest,
        who,
        mac,
        decision.quorum if decision else 1,
        encode_event(event),
        b"" if quiet else encode_record(after),
        call,
        answer,
        after.call.agent.id,
        after.call.agent.owner,
        session_key(after) if new and not after.decoy_of else "",
        after.fingerprint,
        after.key,
        int(decision.stake) if decision else 3,
        int(_watched(after)),
        _room(after, limits),
        limits.join_window_ms,
        _keep(after, limits),
        encode_effects(change.effects) if new or operation == "edit" else "",
        _reminders(after),
        after.decoy_of if new else "",
        " ".join(alike(after)) if operation in ("approve", "edit") else "",
        change.note,
        " ".join((change.schema[0], "")).encode() + change.schema[1] if change.schema[0] else b"",
        _drawn(after, operation, limits, key) if after.drawn else b"",
        b"1" if stopped else b"",
    )


def _drawn(action: Action, operation: str, limits: Limits, key: bytes) -> bytes:
    """Return what an auditor has to see of a call that was drawn, and its own record has not.

    Of a new one the call with its body, or `1` where the record has it; of one that was sent how
    long it is kept (ms) and the answer. One without an answer is audited too: agents can take back
    what they sent, and chose otherwise what is never looked at.
    """
    if operation == "allow":
        large = SMALL < len(action.call.body) <= AUDITED
        return encode_call(action.call, keep_body=True) if large else b"1"
    if operation not in ("answer", "lose", "resolve"):
        return b""
    if action.answer is None:
        return f"{limits.keep_reviewed_ms} ".encode()
    answer = sealed_answer(audited(action.answer), action.id, key)
    return f"{limits.keep_reviewed_ms} ".encode() + answer


def audited(answer: Answer) -> Answer:
    """Return *answer* as it is kept for an auditor: a large one without its body."""
    return answer if len(answer.body) <= AUDITED else replace(answer, body=b"")


def _room(action: Action, limits: Limits) -> str:
    """Return how much of an agent may wait, of all, and how many bytes an agent may have kept.

    What undoes a call takes no room of the agent's, or a flood of its calls would forbid that.
    """
    mine, kept = limits.held_per_agent, limits.kept_per_agent
    if action.key.startswith(UNDOING):  # people ask for it, once for each call
        mine, kept = limits.held_in_all, _UNBOUNDED
    return f"{mine} {limits.held_in_all} {kept}"


def operation_of(event: Event, after: Action) -> str:
    """Name the operation of put.lua that writes *event*."""
    if isinstance(event, Decided):
        return "allow" if after.state is State.FORWARDING else "decide"
    if isinstance(event, Reviewed):
        ended = {State.DENIED: "deny", State.CANCELLED: "cancel"}
        return ended.get(after.state, event.review.verdict.value)
    return OPERATION[type(event)]


def _ttl(event: Event, after: Action, operation: str) -> int | str:
    """How long the new state may last, ms; empty: the deadline stays, or there is none.

    A vote, an edit or an escalation leaves the hold's deadline where it is.
    """
    kept = operation in ("approve", "edit", "escalate") and after.state is State.HELD
    if kept or not after.deadline:
        return ""
    return max(after.deadline - event.at, 0)


def _keep(action: Action, limits: Limits) -> int:
    """How long the action is kept once it is settled, ms; a flood must not fill the store."""
    if action.decision is not None and action.decision.level in _REVIEWED:
        return limits.keep_reviewed_ms
    return limits.keep_keyed_ms if action.key else limits.keep_ms


def _reminders(action: Action) -> str:
    """When people have to be told of a held call again, ms: every so often, and after each."""
    decision = action.decision
    if action.state is not State.HELD or decision is None:
        return ""
    moments = [decision.remind_ms, *(one.after_ms for one in decision.escalate)]
    return " ".join(map(str, moments)) if any(moments) else ""


def _watched(action: Action) -> bool:
    """Whether people have to do with it: everything but plain allowed calls."""
    return action.decision is None or action.decision.level is not Level.ALLOW


def tool_of(action: Action) -> str:
    """Name the tool: as the catalogue does, else as its MCP server does; empty: nobody does."""
    named = action.decision.tool if action.decision is not None else ""
    return named or (action.call.mcp.name if action.call.mcp is not None else "")


def alike(action: Action) -> tuple[str, ...]:
    """Return under which names the latest approved call of its kind is found; none: it has no kind.

    First that of its agent to the same target, then that of its agent, then that of any: tool and
    upstream are the same. Hashes, since no text of an agent may become part of a key.
    """
    tool, upstream = tool_of(action), action.call.upstream
    if not tool:
        return ()
    mine = f"{action.call.agent.id}\0{tool}\0{upstream}"
    kinds = [mine, f"\0{tool}\0{upstream}"]
    target = action.decision.target if action.decision else None
    if target:
        kinds.insert(0, f"{mine}\0{json.dumps(dict(target), sort_keys=True)}")
    said = (kind.encode("utf-8", "surrogatepass") for kind in kinds)
    return tuple(hashlib.sha256(kind).hexdigest()[:32] for kind in said)


def session_key(action: Action) -> str:
    """A hash, since no text of an agent may become part of a key."""
    session = action.call.context.session
    if not session:
        return ""
    said = f"{action.call.agent.id}\0{session}".encode()
    return hashlib.sha256(said).hexdigest()[:32]
