"""The live queue as server-sent events: what is held now, whenever that changes.

One watcher per process serves every stream. The store's announcements make it quick, its poll
makes it correct. An event's id names the state that it tells, so that a stream that is taken up
again with `Last-Event-ID` says nothing twice.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from aiohttp import web

from ..core.desk import EVERYBODY
from ..core.errors import InterlockError, StoreUnavailable
from ..tasks import Tasks, stopped
from . import desk_view, listing
from .access import VISITOR, identify
from .deps import ApiDeps
from .models_desk import Tick
from .problems import TooManyStreams

HEARTBEAT = 15.0  #: seconds between comments on a quiet stream
STREAMS = 1024  #: open at once
OF_ONE = 16  #: of one person, in all their browsers and with all their keys
_LISTED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    id: str
    data: str  #: JSON of `Tick`


class Feed:
    """What every stream follows."""

    def __init__(self, deps: ApiDeps) -> None:
        self._deps = deps
        self._tasks = Tasks()
        self._watcher: asyncio.Task[None] | None = None
        self._moved = asyncio.Event()
        self._moves = 0
        self._fresh = asyncio.Condition()
        self._latest: Snapshot | None = None
        self._open: collections.Counter[str] = collections.Counter()
        self.closing = False

    async def next(self, seen: str, seconds: float) -> Snapshot | None:
        """Return the queue once *seen* does not name it; None after *seconds*, or at the end."""
        if self._watcher is None:
            self._watcher = self._tasks.spawn(self._watch(), "people-feed")
        async with self._fresh:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._fresh.wait_for(lambda: self.closing or self._newer(seen))
        return self._latest if self._newer(seen) and not self.closing else None

    def _newer(self, seen: str) -> bool:
        return self._latest is not None and self._latest.id != seen

    @contextlib.contextmanager
    def place(self, person: str) -> Iterator[None]:
        """Count one more stream of *person* while it is open.

        Raises:
            TooManyStreams: they have too many, or all together have.
        """
        if self._open[person] >= OF_ONE:
            raise TooManyStreams(
                f"You have {OF_ONE} live pages or streams open already, as many as one person may.",
                help="Close some, in every browser and script of yours; a closed one frees its"
                " place within 15 seconds. `GET /v1/approvals` works meanwhile.",
            )
        if self._open.total() >= STREAMS:
            raise TooManyStreams(
                f"{STREAMS} live pages and streams are open already, as many as there may be.",
                help="Pages show the queue without it: reload them. `GET /v1/approvals` works too.",
            )
        self._open[person] += 1
        try:
            yield
        finally:
            self._open[person] -= 1
            self._open += collections.Counter()  # nobody is kept who has none

    async def close(self) -> None:
        """End every stream, so that the listener can stop."""
        self.closing = True
        if self._watcher is not None:
            await stopped((self._watcher,))
        async with self._fresh:
            self._fresh.notify_all()

    def _announced(self, _action_id: str) -> None:
        self._moves += 1
        self._moved.set()

    async def _watch(self) -> None:
        stop = self._deps.listen(self._announced)
        try:
            while True:
                self._moved.clear()
                with contextlib.suppress(StoreUnavailable):  # the next poll tries again
                    await self._look()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._deps.poll_seconds):
                        await self._moved.wait()
        finally:
            stop()

    async def _look(self) -> None:
        listed = await listing.first(self._deps.store.held, None, _LISTED, lambda _: True)
        held = [(action.id, action.version) for action in listed.actions]
        halted = desk_view.stopped(await self._deps.store.stopped(EVERYBODY))
        data = Tick(held=held, total=listed.total, halted=halted).model_dump_json()
        state = hashlib.sha256(data.encode()).hexdigest()[:16]
        name = f"{state}.{self._moves}"  # also moves that leave the queue as it is: a send ends
        async with self._fresh:
            self._latest = Snapshot(id=name, data=data)
            self._fresh.notify_all()


FEED: web.AppKey[Feed] = web.AppKey("feed", Feed)


async def stream(request: web.Request) -> web.StreamResponse:
    """Follow the queue until the client leaves or the listener stops."""
    feed = request.app[FEED]
    with feed.place(request[VISITOR].principal.id):
        return await _follow(request, feed)


async def _follow(request: web.Request, feed: Feed) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
    )
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):  # whoever followed has closed the page
        await response.write(b"retry: 2000\n: the queue, whenever it changes\n\n")
        seen = request.headers.get("Last-Event-ID", "")
        while not feed.closing and await _still_allowed(request):
            snapshot = await feed.next(seen, HEARTBEAT)
            if snapshot is None:
                await response.write(b": still here\n\n")
                continue
            seen = snapshot.id
            await response.write(f"id: {seen}\nevent: queue\ndata: {snapshot.data}\n\n".encode())
    return response


async def _still_allowed(request: web.Request) -> bool:
    """A stream ends with the session or key that opened it."""
    try:
        return await identify(request) is not None
    except InterlockError:
        return False
