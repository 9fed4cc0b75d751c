"""What the model and its client are told of an action that has no answer of its own. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from ...core.actions import Action, State
from ..problems import action_notice, said

_HAPPENED = "It took effect"  #: how lifecycle words what a person found out
_BY_NOTICE = frozenset(
    {State.DENIED, State.REJECTED, State.EXPIRED, State.CANCELLED, State.UNKNOWN}
)


def sentence(action: Action, *, waits: bool = False) -> str:
    """Return what a model is told of *action*. *waits*: it can call `interlock_wait`."""
    if action.state in _BY_NOTICE:
        return action_notice(action).detail
    return _SAYINGS[action.state](action, waits)


def executed(action: Action) -> bool | str:
    """Return whether the tool ran: yes, no, or `unknown`."""
    if action.state is State.RESOLVED:
        return action.cause.startswith(_HAPPENED)
    if action.state in (State.FORWARDING, State.UNKNOWN):
        return "unknown"
    return action.state is State.ANSWERED


def disposition(action: Action) -> str:
    """Return the outcome in the words of SEP-2848; empty while the tool may be at work."""
    if action.state is State.FORWARDING:
        return ""
    if action.state is State.UNKNOWN:
        return "execution-error"
    return "approved-executed" if executed(action) is True else "denied-not-executed"


def call_facts(action: Action) -> dict[str, Any]:
    """Return what a program needs to know of *action*."""
    facts: dict[str, Any] = {
        "id": action.id,
        "state": action.state.value,
        "decision": action.decision.level.word if action.decision else "deny",
        "executed": executed(action),
    }
    if action.state is State.HELD:
        facts["expires_at"] = _time(action.deadline)
    if action.state in (State.HELD, State.APPROVED, State.FORWARDING):
        facts["retry_after_ms"] = 5000 if action.state is State.HELD else 1000
    return facts


def _time(ms: int) -> str:
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _held(action: Action, waits: bool) -> str:
    refuses = action.decision is not None and action.decision.orphans == "refuse"
    return " ".join(
        [
            "NOT EXECUTED YET. This call waits until a person approves it"
            f" (reference {action.id}).",
            "It has had no effect so far; do not report it as done.",
            _how_to_wait(action, waits),
            "It is executed only while you wait for it, so wait." if refuses else "",
            "Until then, go on with work that does not depend on it, or tell the user that it waits"
            " for approval.",
        ]
    ).replace("  ", " ")


def _how_to_wait(action: Action, waits: bool) -> str:
    again = "send the same call again later: it joins this one and asks nobody twice."
    if not waits:
        return f"To get the result, {again}"
    return f'To get the result, call `interlock_wait` with {{"call": "{action.id}"}}, or {again}'


def _sending(action: Action, waits: bool) -> str:
    sent = action.state is State.FORWARDING
    begins = "SENT, NO ANSWER YET." if sent else "NOT EXECUTED YET."
    return (
        f"{begins} This call is cleared (reference {action.id}) and the tool has not answered it"
        f" yet. {_how_to_wait(action, waits)}"
    )


def _approved(action: Action, waits: bool) -> str:
    if not action.fence and action.decision is not None and action.decision.orphans == "refuse":
        return (
            f"NOT EXECUTED YET. A person approved this call (reference {action.id}), and it is"
            f" executed only while you wait for it. {_how_to_wait(action, waits)} Do that now: the"
            " approval lapses in a few minutes."
        )
    if not action.fence:
        return _sending(action, waits)
    return (
        f"NOT EXECUTED. This call is approved (reference {action.id}), but the tool could not be"
        f" reached: {said(action.cause)}. Send the same call again in a while: it is sent then,"
        " without asking anybody again, until the approval lapses."
    )


CHANGED = "was changed outside Interlock, or kept by an earlier version of it, and is not given out"


def _answered(action: Action, waits: bool) -> str:
    answer = action.answer
    if answer is None or answer.kept:
        status = answer.status if answer else 0
        began = answer.body[:300].decode("utf-8", "replace") if answer else ""
        return (
            f"OUTCOME UNKNOWN. The tool's server took this call and answered with HTTP status"
            f" {status}, but without a result: {said(began)}. Find out what became of it by"
            " reading the state that it would have changed, or tell the user."
        )
    if answer.changed:
        return (
            f"EXECUTED. The tool took this call and answered it, but its answer {CHANGED}. Do not"
            " repeat the call; read the result from the tool instead."
        )
    what = "broke off" if not answer.complete else f"of {answer.size} bytes is not kept"
    return (
        f"EXECUTED. The tool took this call and answered it, but its answer {what}. Do not repeat"
        " the call; read the result from the tool instead."
    )


def _responded(action: Action, waits: bool) -> str:
    if action.answer and action.answer.changed:
        return f"NOT EXECUTED. A person answered this call in the tool's place; that {CHANGED}."
    words = action.answer.body.decode("utf-8", "replace") if action.answer else ""
    return f"NOT EXECUTED. A person answered this call in the tool's place: {said(words)}."


def _resolved(action: Action, waits: bool) -> str:
    begins = "EXECUTED." if executed(action) is True else "NOT EXECUTED."
    return (
        f"{begins} The answer of this call was lost; a person found out what became of it:"
        f" {said(action.cause)}. Do not repeat it unless the user asks for it."
    )


_SAYINGS: Mapping[State, Callable[[Action, bool], str]] = {
    State.PROPOSED: _sending,
    State.HELD: _held,
    State.APPROVED: _approved,
    State.FORWARDING: _sending,
    State.ANSWERED: _answered,
    State.RESPONDED: _responded,
    State.RESOLVED: _resolved,
}
