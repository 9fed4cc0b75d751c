"""Tell people through the log: what waits for them, and where to decide it."""

from __future__ import annotations

import logging

from ..core.actions import Action, State
from ..core.redaction import visible_text
from ..ports import Notice

log = logging.getLogger("interlock.notify")


class Notifier:
    """ports.Notifier. `url` is where people reach the review page."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    async def notify(self, action: Action, why: Notice) -> None:
        decision = action.decision
        if decision is None:
            return
        what = visible_text(decision.tool or f"{action.call.method} {action.call.path}")
        stake = f"{decision.stake.word} stake, {decision.reversibility.word}"
        if action.state is State.HELD:
            votes = "" if decision.quorum == 1 else f" by {decision.quorum} people"
            link = f"{self._url}/review/{action.id}"
            log.warning("%s waits for approval%s (%s): %s", what, votes, stake, link)
        else:
            log.warning("%s was let through, for your notice (%s): %s", what, stake, action.id)
