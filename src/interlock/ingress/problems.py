"""What the agent is told where the tool's own answer is not what it gets. Pure.

Every text is written for a model: first whether anything was executed, then why, then what to do
next. Shapes: RFC 9457 (problem+json), a 202 body for pending calls; `aws_errors` has those of AWS.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ..core.actions import PENDING, Action, State
from ..core.errors import (
    CallRefused,
    InterlockError,
    QueueFull,
    StateUnavailable,
    StoreUnavailable,
    Suspended,
    Unauthenticated,
    UpstreamLost,
)

Headers = tuple[tuple[str, str], ...]
_NO_MEMBERS: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Statuses:
    """The HTTP status of a call that was refused and of one that waits; per route."""

    denied: int = 403
    pending: int = 202


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing to tell the agent, before it has a shape. `headers` go out in every shape."""

    kind: str
    status: int
    title: str
    detail: str
    instance: str = ""
    members: Mapping[str, Any] = field(default_factory=lambda: _NO_MEMBERS)
    headers: Headers = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """An answer for the agent, ready to send."""

    status: int
    headers: Headers
    body: bytes


def error_notice(error: InterlockError) -> Notice:
    """Return what an agent is told of an error before or outside any action."""
    lost = isinstance(error, UpstreamLost | StateUnavailable)
    told = "OUTCOME UNKNOWN." if lost else "NOT EXECUTED."
    detail = " ".join(part for part in (told, error.detail, error.help, _advice(error)) if part)
    headers: Headers = ()
    if isinstance(error, StoreUnavailable | QueueFull):
        headers = (("Retry-After", "5"),)
    elif isinstance(error, Unauthenticated):
        headers = (("WWW-Authenticate", 'Bearer realm="interlock"'),)
    return Notice(
        kind=error.kind,
        status=error.status,
        title=_title(error.kind),
        detail=detail,
        members={"executed": "unknown" if lost else False},
        headers=headers,
    )


def _advice(error: InterlockError) -> str:
    if isinstance(error, StateUnavailable):
        return "Do not repeat the call in another form; ask for its state again in a few seconds."
    if isinstance(error, UpstreamLost):
        return (
            "The call may or may not have taken effect. Do not repeat it; "
            "find out by reading the state that it would have changed, or tell the user."
        )
    if isinstance(error, StoreUnavailable | QueueFull):
        return "Try again in a few seconds."
    if isinstance(error, Suspended):
        return "Do not retry it, in this or another form; tell the user."
    if isinstance(error, CallRefused):
        return "Correct the request before you send it again."
    return ""


def _title(kind: str) -> str:
    return kind.replace("-", " ").capitalize()


def action_notice(action: Action, statuses: Statuses | None = None, *, base: str = "") -> Notice:
    """Return what the agent is told of a call whose tool has no answer (yet).

    *base* is prefixed to the status URL. `ANSWERED` and `RESPONDED` have an answer to replay and
    no notice.

    Raises:
        ValueError: the action has an answer of its own.
    """
    say = _SAYINGS.get(action.state)
    if say is None:
        raise ValueError(f"A call that is {action.state.value} has an answer of its own.")
    notice = say(action, statuses or Statuses())
    url = f"{base}/v1/calls/{action.id}"
    members = {
        "executed": False,
        "call": action.id,
        "state": action.state.value,
        "decision": action.decision.level.word if action.decision else "deny",
        **notice.members,
        "status_url": url,
    }
    headers = action_headers(action) + notice.headers
    if action.state in PENDING:
        headers += (("Location", url),)
    return Notice(
        kind=notice.kind,
        status=notice.status,
        title=notice.title,
        detail=_placed(notice.detail, url, action),
        instance=url,
        members=members,
        headers=headers,
    )


def _placed(detail: str, url: str, action: Action) -> str:
    """Put in where the call is followed; what people said is left as they said it."""
    if action.state not in PENDING:
        return detail
    return detail.replace("{url}", url).replace("{id}", action.id)


def action_headers(action: Action) -> Headers:
    """Return the headers that every answer about *action* carries."""
    headers: Headers = (("Interlock-Call-Id", action.id),)
    if action.decision is None:
        return headers
    policy = action.decision.policy
    return (
        *headers,
        ("Interlock-Decision", action.decision.level.word),
        ("Interlock-Policy", f"{_visible(policy.name)}@{policy.version}"),
        *((("Interlock-Edited", "true"),) if action.edited else ()),
    )


def _visible(text: str) -> str:
    return re.sub(r"[^\x21-\x7e]", "-", text)


def said(text: str) -> str:
    """Quote what a person or a policy said, so that the model sees where it ends."""
    return json.dumps(text, ensure_ascii=False) if text.strip() else "no reason given"


def _denied(action: Action, statuses: Statuses) -> Notice:
    return Notice(
        kind="denied-by-policy",
        status=statuses.denied,
        title="Refused by policy",
        detail=(
            f"NOT EXECUTED. Policy refused this call: {said(action.cause)}. "
            "Do not repeat it in this or another form; choose an allowed way, or tell the user."
        ),
    )


def _rejected(action: Action, statuses: Statuses) -> Notice:
    return Notice(
        kind="rejected-by-reviewer",
        status=statuses.denied,
        title="Rejected by a person",
        detail=(
            f"NOT EXECUTED. A person reviewed this call and rejected it: {said(action.cause)}. "
            "Do not repeat it unless the user asks for it; take the reason into account."
        ),
    )


def _expired(action: Action, statuses: Statuses) -> Notice:
    return Notice(
        kind="expired",
        status=statuses.denied,
        title="Nobody decided in time",
        detail=(
            "NOT EXECUTED. This call needed a person's approval and its time ran out. "
            "It will not be executed. Tell the user, who may want to ask for it again."
        ),
    )


def _cancelled(action: Action, statuses: Statuses) -> Notice:
    return Notice(
        kind="cancelled",
        status=statuses.denied,
        title="Cancelled",
        detail=f"NOT EXECUTED. This call was cancelled and will not be executed: "
        f"{said(action.cause)}.",
    )


def _unknown(action: Action, statuses: Statuses) -> Notice:
    return Notice(
        kind=UpstreamLost.kind,
        status=UpstreamLost.status,
        title="Outcome unknown",
        detail=(
            "OUTCOME UNKNOWN. This call was sent to the tool, but its answer was lost. It may or "
            "may not have taken effect. Do not repeat it; find out by reading the state that it "
            "would have changed, or tell the user."
        ),
        members={"executed": "unknown"},
    )


def _resolved(action: Action, statuses: Statuses) -> Notice:
    return Notice(
        kind="resolved-by-person",
        status=UpstreamLost.status,
        title="Outcome settled by a person",
        detail=(
            "The answer of this call was lost; a person found out what became of it: "
            f"{said(action.cause)}. Do not repeat it unless the user asks for it."
        ),
        members={"executed": "unknown"},
    )


def _waiting(action: Action, statuses: Statuses) -> Notice:
    expires = datetime.fromtimestamp(action.deadline / 1000, UTC)
    wait = "5"
    return Notice(
        kind="pending-approval",
        status=statuses.pending,
        title="Waiting for approval",
        detail=(
            "NOT EXECUTED YET. This call waits until a person approves it (reference {id}). It has "
            "had no effect so far; do not report it as done. To get the result, send the same call "
            "again later: it joins this one and asks nobody twice. Or read {url}. Until then, go "
            "on with work that does not depend on it, or tell the user that it waits for approval."
        ),
        members={
            "expires_at": expires.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "retry_after": int(wait),
        },
        headers=(("Retry-After", wait),),
    )


def _sending(action: Action, statuses: Statuses) -> Notice:
    sent = action.state is State.FORWARDING
    if not sent and action.decision is not None and action.decision.orphans == "refuse":
        return _awaited(statuses)
    return Notice(
        kind="pending-answer",
        status=statuses.pending,
        title="Waiting for the tool",
        detail=(
            ("SENT, NO ANSWER YET. " if sent else "NOT EXECUTED YET. ")
            + "This call is cleared (reference {id}) and the tool has not answered it yet. To get "
            "the result, send the same call again: it joins this one. Or read {url}."
        ),
        members={"executed": "unknown" if sent else False, "retry_after": 1},
        headers=(("Retry-After", "1"),),
    )


def _awaited(statuses: Statuses) -> Notice:
    return Notice(
        kind="pending-answer",
        status=statuses.pending,
        title="Approved, for a caller that waits",
        detail=(
            "NOT EXECUTED YET. A person approved this call (reference {id}), and it is executed"
            " only while you wait for it. Send the same call again now and wait for its answer:"
            " nobody is asked again, until the approval lapses in a few minutes."
        ),
        members={"executed": False, "retry_after": 1},
        headers=(("Retry-After", "1"),),
    )


_SAYINGS: Mapping[State, Callable[[Action, Statuses], Notice]] = {
    State.DENIED: _denied,
    State.REJECTED: _rejected,
    State.EXPIRED: _expired,
    State.CANCELLED: _cancelled,
    State.UNKNOWN: _unknown,
    State.RESOLVED: _resolved,
    State.HELD: _waiting,
    State.APPROVED: _sending,
    State.FORWARDING: _sending,
}


def problem(notice: Notice | InterlockError) -> Rendered:
    """Render as RFC 9457 problem+json; as plain JSON where the status is no error (202)."""
    told = error_notice(notice) if isinstance(notice, InterlockError) else notice
    document: dict[str, Any] = {
        "type": f"urn:interlock:problem:{told.kind}",
        "title": told.title,
        "status": told.status,
        "detail": told.detail,
    }
    if told.instance:
        document["instance"] = told.instance
    document |= told.members
    media_type = "application/problem+json" if told.status >= 400 else "application/json"
    return rendered(told.status, media_type, json.dumps(document), told.headers)


def rendered(status: int, media_type: str, text: str, headers: Headers) -> Rendered:
    """Return an answer that nobody between may keep."""
    fixed = (("Content-Type", media_type), ("Cache-Control", "no-store"))
    return Rendered(status=status, headers=fixed + headers, body=text.encode("utf-8", "replace"))
