"""A conversation with the core: events go in with `>>`, expected commands follow with `<<`."""

from __future__ import annotations

from interlock.core.actions import Action, State
from interlock.core.commands import Command
from interlock.core.events import Event
from interlock.core.lifecycle import step


class Script:
    """Plays events; `bool(script)` asserts that every command was expected."""

    def __init__(self, action: Action) -> None:
        self.action = action
        self._pending: list[Command] = []

    @property
    def state(self) -> State:
        return self.action.state

    def __rshift__(self, event: Event) -> Script:
        assert not self._pending, f"unexpected commands: {self._pending}"
        self.action, commands = step(self.action, event)
        self._pending = list(commands)
        return self

    def __lshift__(self, command: Command) -> Script:
        assert self._pending, f"expected {command}, but the core had nothing to say"
        assert command == self._pending.pop(0)
        return self

    def __bool__(self) -> bool:
        assert not self._pending, f"unexpected commands: {self._pending}"
        return True
