"""The queue as it is now, kept up to date beside the terminal: events, else a look now and then."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Any, Self

from ..core.errors import InterlockError
from .client import Access, People

POLL = 2.0  #: seconds between looks where there are no events
LOOK = 10.0  #: seconds between looks beside events: who looks and who is asked are no events


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What was heard last. `at`: by the monotonic clock, seconds."""

    listed: Mapping[str, Any]
    at: float
    live: bool = True
    failed: str = ""  #: why there is nothing newer

    @property
    def now(self) -> int:
        """The store's time by now, ms since the epoch."""
        return int(self.listed["now"]) + int((monotonic() - self.at) * 1000)


class Follower:
    """Follows the queue in a thread of its own; `tell` is called there whenever there is news."""

    def __init__(self, at: Access, query: Mapping[str, str], first: Mapping[str, Any]) -> None:
        self._at, self._query = at, dict(query)
        self.news = News(listed=first, at=monotonic(), live=False)
        self.tell: Callable[[], None] = lambda: None
        self._loop = asyncio.new_event_loop()
        self._again = asyncio.Event()
        self._live = False
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="following", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop)
        self._thread.join(5)

    def narrow(self, **query: str) -> None:
        """Look for something else from now on; an empty value drops a part of the query."""
        merged = {**self._query, **query}
        self._query = {name: value for name, value in merged.items() if value}
        self.look()

    def look(self) -> None:
        """Look at once."""
        self._loop.call_soon_threadsafe(self._again.set)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._task = self._loop.create_task(self._follow(), name="following")
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._task)
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _follow(self) -> None:
        async with People(self._at) as people, asyncio.TaskGroup() as group:
            group.create_task(self._events(people), name="events")
            while True:
                self._again.clear()
                await self._list(people)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK if self._live else POLL):
                        await self._again.wait()

    async def _list(self, people: People) -> None:
        try:
            listed = await people.get("/v1/approvals", self._query)
        except InterlockError as error:
            last = self.news
            self.news = News(listed=last.listed, at=last.at, live=False, failed=error.detail)
        else:
            self.news = News(listed=listed, at=monotonic(), live=self._live)
        self.tell()

    async def _events(self, people: People) -> None:
        """Look whenever the queue moved; where the stream ends, take it up again."""
        seen = ""
        while True:
            with contextlib.suppress(InterlockError):  # the looks between say what is wrong
                async for name in _named(people.events(seen)):
                    self._live, seen = True, name or seen
                    if name:
                        self._again.set()
            self._live = False
            self._again.set()
            await asyncio.sleep(POLL)


async def _named(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    """Yield the id of each event, and an empty text for anything else that keeps it alive."""
    async for line in lines:
        if line.startswith("id:"):
            yield line[3:].strip()
        elif line.startswith(":"):
            yield ""
