"""Writes of concurrent calls share round trips: the record costs nobody a trip of its own."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from ..core.errors import StoreUnavailable
from ..tasks import Tasks, stopped

Send = Callable[[Sequence[bytes]], Awaitable[list[list[bytes]]]]

LARGEST = 128  #: operations in one script call: bounds how long the store is busy with it
HEAVIEST = 4 * 1024 * 1024  #: bytes in one script call
ABREAST = 2  #: script calls under way at once: one travels while the next one fills
SOON = 0.002  #: seconds that a patient operation waits for one to travel with
_CLOSED = "Interlock is closing the store; nothing was sent."


class Batch:
    """Collects operations while earlier ones travel, and sends them together."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._waiting: deque[tuple[bytes, asyncio.Future[list[bytes]]]] = deque()
        self._patient: list[tuple[bytes, asyncio.Future[list[bytes]]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._tasks = Tasks()
        self._travelling: set[asyncio.Task[None]] = set()
        self._closed = False

    async def write(self, operation: bytes) -> list[bytes]:
        """Write one operation and return the script's row for it.

        Raises:
            StoreUnavailable: the whole group could not be written.
        """
        self._check_open()
        answer: asyncio.Future[list[bytes]] = asyncio.get_running_loop().create_future()
        if not self._waiting:  # what comes in this turn of the loop travels together
            asyncio.get_running_loop().call_soon(self._depart)
        self._waiting.append((operation, answer))
        return await answer

    async def write_soon(self, operation: bytes) -> list[bytes]:
        """As `write`, up to SOON later: it travels with the next operation that is in a hurry.

        A store that syncs each script call to disk then syncs once for both.
        """
        self._check_open()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[bytes]] = loop.create_future()
        self._patient.append((operation, answer))
        if self._timer is None:
            self._timer = loop.call_later(SOON, self._hurry)
        return await answer

    async def close(self) -> None:
        """Take no more, and end what travels: a loop that ends must leave no task behind."""
        self._end()
        await stopped(tuple(self._travelling))

    def _end(self) -> None:
        self._closed = True
        self._join()
        waiting = list(self._waiting)
        self._waiting.clear()
        _fail(waiting, StoreUnavailable(_CLOSED))

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable(_CLOSED)

    def _hurry(self) -> None:
        self._join()
        self._depart()

    def _join(self) -> None:
        """Let what was patient travel now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._waiting.extend(self._patient)
        self._patient.clear()

    def _depart(self) -> None:
        if self._waiting and self._patient:
            self._join()
        while self._waiting and len(self._travelling) < ABREAST:
            task = self._tasks.spawn(self._travel(self._group()), "store-batch")
            self._travelling.add(task)
            task.add_done_callback(self._arrived)

    def _arrived(self, task: asyncio.Task[None]) -> None:
        self._travelling.discard(task)
        if task.cancelling():  # its loop ends: a task that starts now would outlive it
            self._end()
        self._depart()

    def _group(self) -> list[tuple[bytes, asyncio.Future[list[bytes]]]]:
        group: list[tuple[bytes, asyncio.Future[list[bytes]]]] = []
        weight = 0
        while self._waiting and len(group) < LARGEST:
            heavy = len(self._waiting[0][0])
            if group and weight + heavy > HEAVIEST:
                break
            weight += heavy
            group.append(self._waiting.popleft())
        return group

    async def _travel(self, group: list[tuple[bytes, asyncio.Future[list[bytes]]]]) -> None:
        try:
            rows = await self._send([operation for operation, _ in group])
            for (_, answer), row in zip(group, rows, strict=True):
                if not answer.done():
                    answer.set_result(row)
        except StoreUnavailable as error:
            _fail(group, error)
        finally:  # whatever else went wrong: nobody waits for ever
            _fail(group, StoreUnavailable("The write failed; nothing was sent."))


def _fail(
    group: Sequence[tuple[bytes, asyncio.Future[list[bytes]]]], error: StoreUnavailable
) -> None:
    for _, answer in group:
        if not answer.done():
            answer.set_exception(error)
