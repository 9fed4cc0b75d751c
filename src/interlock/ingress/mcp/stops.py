"""Nothing of a stopped agent passes unjudged; its calls are refused where they would be sent.

The store refuses every send of a stopped agent in the write that would clear it. What runs no tool
has no such write: the store is asked before, at most twice a second for each agent, and nothing
passes where it does not answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from ...core.desk import Suspension
from ...core.errors import StoreUnavailable, Suspended
from ...core.messages import Kind, Message
from ...recording import STOPPED
from ...tasks import Tasks

FRESH = 0.5  #: seconds for which an answer of the store is good
WATCH = 1.0  #: seconds between two looks while something of an agent is open
AGENTS = 10_000  #: of whom the last answer is kept

HANDSHAKE = frozenset({"initialize", "notifications/initialized", "server/discover", "ping"})
_PASSES = HANDSHAKE | {"notifications/cancelled"}


class Stopping(Protocol):
    """The part of `ports.Store` that says who is stopped."""

    async def stopped(self, agent: str) -> Suspension | None: ...


class Stops:
    """Refuses what a stopped agent would say to servers beside its calls."""

    def __init__(
        self,
        store: Stopping,
        *,
        fresh: float = FRESH,
        watch: float = WATCH,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._fresh = fresh
        self._every = watch
        self._clock = clock
        self._known: dict[str, tuple[float, bool]] = {}
        self._tasks = Tasks()

    async def check(self, agent: str, message: Message | None = None) -> None:
        """Let *message* pass, or the opening of a stream.

        Raises:
            Suspended: the agent is stopped, and this is more than a handshake or a taking back.
            StoreUnavailable: nobody can tell.
        """
        if not (message is not None and passes(message)) and await self._stopped(agent):
            raise Suspended(STOPPED)

    @asynccontextmanager
    async def ending(self, agent: str, message: Message | None = None) -> AsyncIterator[None]:
        """End what is under way within it once somebody stops *agent*. Raises Suspended."""
        if message is not None and passes(message):
            yield
            return
        limit = asyncio.timeout(None)
        try:
            async with limit:
                watching = self._tasks.spawn(self._watch(agent, limit), "mcp-stops")
                try:
                    yield
                finally:
                    watching.cancel()
        except TimeoutError:
            if not limit.expired():
                raise
            raise Suspended(STOPPED) from None

    async def _watch(self, agent: str, limit: asyncio.Timeout) -> None:
        while True:
            await asyncio.sleep(self._every)
            try:
                if await self._stopped(agent):
                    return limit.reschedule(asyncio.get_running_loop().time())
            except StoreUnavailable:
                continue  # nothing more is let in meanwhile

    async def _stopped(self, agent: str) -> bool:
        at, said = self._known.get(agent, (0.0, False))
        asked = self._clock()
        if agent in self._known and asked - at < self._fresh:
            return said
        said = await self._store.stopped(agent) is not None
        self._known.pop(agent, None)
        if len(self._known) >= AGENTS:
            del self._known[next(iter(self._known))]
        self._known[agent] = (asked, said)
        return said


def passes(message: Message) -> bool:
    """Say whether *message* passes although its agent is stopped.

    A handshake, so that a client can be told; what takes a request back; and answers to what the
    server asked, which a call that was sent before may need.
    """
    return message.kind is Kind.RESPONSE or message.method in _PASSES
