"""What is open now: requests that Interlock answers itself, and the streams of each agent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from ...core.errors import CallRefused
from ...core.messages import Message
from .session import Caller

PER_AGENT = 100  #: streams without end that one agent may have open here
AT_ONCE = 200  #: other requests of one agent that may be at servers at once, calls not counted

_LONG = frozenset({"subscriptions/listen"})
_Key = tuple[str, str, str, str]


class TooManyStreams(CallRefused):
    """Too many streams of this agent are open; close some of them, or use them again."""

    status, kind = 429, "too-many-streams"


class OwnAnswers:
    """Ids of requests that no server may answer: they wait for Interlock, or were never sent."""

    def __init__(self) -> None:
        self._open: Counter[_Key] = Counter()

    @contextmanager
    def awaited(self, message: Message, caller: Caller) -> Iterator[None]:
        """Within it, the response to *message* is Interlock's own to give."""
        key = _key(message.id, caller)
        self._open[key] += 1
        try:
            yield
        finally:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]

    def holds(self, given: str | int | None, caller: Caller) -> bool:
        """Say whether some client of *caller* could take *given* for the id of such a request."""
        return _key(given, caller) in self._open


class Streams:
    """Counts what each agent has open, so that none uses up the connections of all."""

    def __init__(self, per_agent: int = PER_AGENT, at_once: int = AT_ONCE) -> None:
        self._most = {True: per_agent, False: at_once}
        self._counted: Counter[tuple[str, bool]] = Counter()

    @contextmanager
    def counted(self, agent: str, method: str) -> Iterator[None]:
        """Within it, one more is open. *method*: `GET`, or that of the message.

        Raises:
            TooManyStreams: the agent has as many as it may.
        """
        key = (agent, method == "GET" or method in _LONG)
        if self._counted[key] >= self._most[key[1]]:
            raise TooManyStreams
        self._counted[key] += 1
        try:
            yield
        finally:
            self._counted[key] -= 1
            if not self._counted[key]:
                del self._counted[key]


def _key(given: str | int | None, caller: Caller) -> _Key:
    return caller.agent.id, caller.server.name, caller.session, _lax_id(given)


def _lax_id(given: str | int | None) -> str:
    """Some clients take "7" for 7, as `int` reads it."""
    try:
        return str(int(given)) if given is not None else ""
    except ValueError:
        return str(given)
