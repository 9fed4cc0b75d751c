"""Tell people through the log: what waits for them, why they hear of it, where to decide it."""

from __future__ import annotations

import logging

from ..core.actions import Action, ToolCall
from ..core.decisions import Decision, Escalation
from ..core.masking import Masks
from ..core.redaction import visible_text
from ..ports import Notice

log = logging.getLogger("interlock.notify")


class Notifier:
    """ports.Notifier. `url` is where people reach the review page."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    async def notify(self, action: Action, why: Notice) -> None:
        if action.decision is not None:
            log.warning("%s", told(action, action.decision, why, self._url))


def told(action: Action, decision: Decision, why: Notice, url: str) -> str:
    """Return the line that tells people of *action*. It holds none of its arguments."""
    masks = Masks(decision.arguments, decision.sources, decision.redacted)
    what = visible_text(decision.tool or _called(action.call, masks))
    stake = f"{decision.stake.word} stake, {decision.reversibility.word}"
    votes = "" if decision.quorum == 1 else f" by {decision.quorum} people"
    link = f"{url}/review/{action.id}"
    match why:
        case Notice.SENT:
            to = f"the notice of {_of(decision.notify)}" if decision.notify else "your notice"
            return f"{what} was let through, for {to} ({stake}): {action.id}"
        case Notice.HELD:
            to = _of(decision.approvers)
            return f"{what} waits for approval{votes}{to and ' of '}{to} ({stake}): {link}"
        case Notice.REMINDER:
            to = _of(decision.approvers)
            return f"{what} still waits for approval{votes}{to and ' of '}{to} ({stake}): {link}"
        case Notice.ESCALATED:
            more = "; ".join(_later(later) for later in decision.escalate)
            return f"{what} still waits, and more people may decide ({stake}; {more}): {link}"
        case Notice.SETTLED:
            return f"{what} waits no more, it is {action.state.value} ({stake}): {link}"


def _called(call: ToolCall, masks: Masks) -> str:
    if call.mcp is not None:
        return f"{masks.text(call.mcp.name)} of {call.upstream}"
    path = masks.target(call.path)
    return f"{call.method} {'(hidden)' if path is None else path}"


def _later(later: Escalation) -> str:
    return f"after {later.after_ms / 60_000:g} min {_of(later.to)}"


def _of(groups: tuple[str, ...]) -> str:
    return ", ".join(map(visible_text, dict.fromkeys(groups)))
