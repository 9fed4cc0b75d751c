"""Practice calls: what people rejected once, shown to them again as if it were new.

Such a call is held like any other, never approved and never sent. Whoever rejects it has looked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from .actions import Action, State, ToolCall, Verdict
from .digest import seal
from .rules import PolicySet

_TRACED = frozenset({"idempotency-key", "traceparent", "tracestate", "mcp-session-id"})
_INTERLOCK = "interlock-"


_RUN = re.compile("[0-9A-Za-z]+")
_UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.I)
_KEPT = (14, 19)  #: version and variant of a UUID
_TOKEN = 12  #: characters from which on a run with digits is no word with a number


def decoy(rejected: Action, fresh: Mapping[str, str], session: str = "") -> ToolCall:
    """Return a call like the one that was *rejected*, sealed, to be held as practice.

    Tool, destination, arguments and the agent's own words are as they were. *fresh*: headers that
    tell one call from another, such as `Date`, with the values of now, by name; those that the
    rejected call had get them. What binds a call to another one is taken out where *fresh* has
    nothing in its place: its Idempotency-Key, its trace, its session (*session*), and every header
    that is for Interlock alone.
    """
    call, now = rejected.call, {name.lower(): value for name, value in fresh.items()}
    headers = tuple(
        (name, now.get(name.lower(), value))
        for name, value in call.headers
        if name.lower() in now or not _bound(name)
    )
    trace = now.get("traceparent", "") if call.context.traceparent else ""
    context = replace(call.context, session=session, traceparent=trace)
    mcp = call.mcp and replace(call.mcp, session="")
    return seal(replace(call, headers=headers, context=context, mcp=mcp, digest=""))


def renewed(call: ToolCall, date: str, draw: Callable[[], float]) -> dict[str, str]:
    """Return, by header, what tells *call* from others, as it might be in a call of today.

    *date*: now, as `Date` has it. *draw* answers numbers in [0, 1).
    """
    given = {name.lower(): value for name, value in call.headers}
    given.setdefault("traceparent", call.context.traceparent)
    made = {name: another(given[name], draw) for name in sorted(_TRACED & given.keys())}
    trace = given["traceparent"]  # its version and flags say what is the same in all calls
    made["traceparent"] = trace[:3] + another(trace[3:-2], draw) + trace[-2:] if trace else ""
    fresh = {name: value for name, value in made.items() if value != given[name]}
    return fresh | {"date": date}


def another(name: str, draw: Callable[[], float]) -> str:
    """Return a name such as the same agent might give its next session: `s-81` becomes `s-47`.

    Digits become other digits, and letters of what is no word other letters. What has nothing
    to change comes back as it is. *draw* answers numbers in [0, 1).
    """
    if _UUID.fullmatch(name):
        made = _mixed(name, draw, letters=True)
        return "".join((name if at in _KEPT else made)[at] for at in range(len(name)))
    return _RUN.sub(lambda run: _mixed(run[0], draw, letters=_is_token(run[0])), name)


def _is_token(run: str) -> bool:
    return len(run) >= _TOKEN and any(each.isdigit() for each in run)


def _mixed(text: str, draw: Callable[[], float], *, letters: bool) -> str:
    hexadecimal = all(each in "0123456789abcdefABCDEF-" for each in text)

    def other(each: str) -> str:
        if each.isdigit():
            return "0123456789"[int(draw() * 10)]
        if not letters or not each.isalpha():
            return each
        alphabet = "abcdef" if hexadecimal else "abcdefghijklmnopqrstuvwxyz"
        drawn = alphabet[int(draw() * len(alphabet))]
        return drawn.upper() if each.isupper() else drawn

    return "".join(map(other, text))


def _bound(name: str) -> bool:
    lowered = name.lower()
    return lowered in _TRACED or lowered.startswith(_INTERLOCK)


def eligible(rejected: Action, policy: PolicySet) -> bool:
    """Whether *rejected* may be shown again as practice.

    A person rejected it and said why, policy still has its tool, nobody edited it on the way, and
    nothing of it is hidden: what was revealed to one person is not shown to others by this.
    """
    decision = rejected.decision
    if rejected.state is not State.REJECTED or decision is None or rejected.decoy_of:
        return False
    if rejected.edited or decision.redacted or decision.tool not in policy.tools:
        return False
    hidden = {path.split(".")[1] for path in policy.redact.approver if path.startswith("args.")}
    reasoned = any(
        each.verdict is Verdict.REJECT and (each.message.strip() or each.reason_code)
        for each in rejected.reviews
    )
    return reasoned and not hidden & set(decision.arguments)


def due(share: float, draw: float) -> bool:
    """Whether a practice call is put beside the one that is held now: *draw* is in [0, 1)."""
    return 0 <= draw < share
