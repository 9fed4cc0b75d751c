"""Tell people through the log: what waits for them, why they hear of it, where to decide it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

from ..core.actions import Action
from ..core.decisions import Decision
from ..core.desk import Assignment
from ..core.errors import StoreUnavailable
from ..core.wording import masks
from ..ports import Notice
from .telling import called, raising, titled

log = logging.getLogger("interlock.notify")


class Asked(Protocol):
    """The part of ports.Desk that is read here."""

    async def assigned(self, action_ids: Sequence[str]) -> tuple[Assignment | None, ...]: ...


class Notifier:
    """ports.Notifier. `url` is where people reach the review page; *desk* knows who is asked."""

    def __init__(self, url: str, desk: Asked | None = None) -> None:
        self._url = url.rstrip("/")
        self._desk = desk

    async def notify(self, action: Action, why: Notice) -> None:
        if action.decision is None:
            return
        asked = await self._asked(action) if why is Notice.ASKED else ()
        log.warning("%s", line(action, action.decision, why, self._url, asked))

    async def _asked(self, action: Action) -> tuple[str, ...]:
        if self._desk is None:
            return ()
        try:
            (found,) = await self._desk.assigned([action.id])
        except StoreUnavailable:  # that somebody is asked is said all the same
            return ()
        return (found.to,) if found is not None and found.to else ()


def line(
    action: Action, decision: Decision, why: Notice, url: str, asked: Sequence[str] = ()
) -> str:
    """Return the line that tells people of *action*. It holds none of its arguments."""
    hidden = masks(action, ())
    said = titled(action, why, called(action.call, decision, hidden), asked)
    about = f"{decision.stake.word} stake, {decision.reversibility.word}"
    if raised := raising(action, why, hidden, ()):
        about += f"; {raised}"
    return f"{said} ({about}): {action.id if why is Notice.SENT else f'{url}/review/{action.id}'}"
