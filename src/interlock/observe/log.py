"""One structured line for every transition that people care about. No arguments, no secrets."""

from __future__ import annotations

import logging

from ..core.actions import Action, State
from ..core.decisions import Level
from ..core.events import Event, Reviewed
from ..core.redaction import visible_text

log = logging.getLogger("interlock.actions")


class TransitionLog:
    """ports.Observer. Plain allowed calls are not logged: metrics and the store have them."""

    def timed(self, what: str, seconds: float) -> None:
        return None

    def transition(self, before: Action, event: Event, after: Action) -> None:
        decision = after.decision
        if decision is None or (decision.level is Level.ALLOW and after.state is not State.UNKNOWN):
            return
        by = event.review.reviewer.id if isinstance(event, Reviewed) else "-"
        log.info(
            "%s %s -> %s level=%s tool=%s upstream=%s agent=%s by=%s digest=%s",
            after.id,
            before.state.value,
            after.state.value,
            decision.level.word,
            decision.tool or "unknown",
            after.call.upstream,
            visible_text(after.call.agent.id),
            visible_text(by),
            after.digest[:12],
        )
