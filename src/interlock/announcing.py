"""Tells people of actions, through every notifier."""

from __future__ import annotations

from collections.abc import Sequence

from .core.actions import Action
from .ports import Notice, Notifier
from .tasks import Tasks


class Announcer:
    """Tells people through every notifier, in the background: a slow one delays nobody."""

    def __init__(self, notifiers: Sequence[Notifier], tasks: Tasks) -> None:
        self._notifiers = notifiers
        self._tasks = tasks

    def tell(self, action: Action, why: Notice) -> None:
        for notifier in self._notifiers:
            self._tasks.spawn(notifier.notify(action, why), f"notify-{action.id}")

    def settled(self, action: Action) -> None:
        """Tell people that what they were told of waits for them no more."""
        self.tell(action, Notice.SETTLED)
