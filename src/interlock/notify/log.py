"""Tell people through the log: what waits for them, why they hear of it, where to decide it."""

from __future__ import annotations

import logging

from ..core.actions import Action
from ..core.decisions import Decision
from ..core.wording import masks
from ..ports import Notice
from .telling import called, later, titled

log = logging.getLogger("interlock.notify")


class Notifier:
    """ports.Notifier. `url` is where people reach the review page."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    async def notify(self, action: Action, why: Notice) -> None:
        if action.decision is not None:
            log.warning("%s", line(action, action.decision, why, self._url))


def line(action: Action, decision: Decision, why: Notice, url: str) -> str:
    """Return the line that tells people of *action*. It holds none of its arguments."""
    said = titled(action, why, called(action.call, decision, masks(action, ())))
    about = f"{decision.stake.word} stake, {decision.reversibility.word}"
    if why is Notice.ESCALATED and decision.escalate:
        about += f"; {'; '.join(map(later, decision.escalate))}"
    return f"{said} ({about}): {action.id if why is Notice.SENT else f'{url}/review/{action.id}'}"
