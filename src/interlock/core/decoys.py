"""Practice calls: what people rejected once, shown to them again as if it were new.

Such a call is held like any other, never approved and never sent. Whoever rejects it has looked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from .actions import Action, State, ToolCall, Verdict
from .digest import seal
from .rules import PolicySet

_TRACED = frozenset({"idempotency-key", "traceparent", "tracestate", "mcp-session-id"})
_INTERLOCK = "interlock-"


def decoy(rejected: Action, fresh: Mapping[str, str]) -> ToolCall:
    """Return a call like the one that was *rejected*, sealed, to be held as practice.

    Tool, destination, arguments and the agent's own words are as they were. *fresh*: headers that
    tell one call from another, such as `Date`, with the values of now, by name; those that the
    rejected call had get them. What binds a call to another one is taken out: its Idempotency-Key,
    its trace, its session, and every header that is for Interlock alone.
    """
    call, now = rejected.call, {name.lower(): value for name, value in fresh.items()}
    headers = tuple(
        (name, now.get(name.lower(), value)) for name, value in call.headers if not _bound(name)
    )
    context = replace(call.context, session="", traceparent="")
    mcp = call.mcp and replace(call.mcp, session="")
    return seal(replace(call, headers=headers, context=context, mcp=mcp, digest=""))


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
