"""Waiting for actions to move: one reader for every waiter of this process.

A tail of the store's log wakes waiters at once; a poll finds whatever the tail missed. Only the
poll is needed for correctness.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from ..core.errors import StoreUnavailable
from ..tasks import Tasks, stopped

POLL = 2.0  #: seconds between polls
BLOCK = 1000  #: ms that one read of the log waits
Versions = Callable[[Iterable[str]], Awaitable[dict[str, int]]]
Wait = tuple[int, "asyncio.Future[None]"]


class Watch:
    """Futures by action id, woken by the log's tail or by the poll."""

    def __init__(self, client: Redis, log: str, versions: Versions) -> None:
        self._client = client
        self._log = log
        self._versions = versions
        self._waits: dict[str, set[Wait]] = {}
        self._readers: list[asyncio.Task[None]] = []
        self._tasks = Tasks()
        self._listeners: set[Callable[[str], None]] = set()

    def __len__(self) -> int:
        return sum(map(len, self._waits.values()))

    def listen(self, listener: Callable[[str], None]) -> Callable[[], None]:
        """Call *listener* with the id of each action that moves; return how to stop that."""
        self._start()
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    async def changed(self, action_id: str, version: int, seconds: float) -> None:
        """Return when the action has moved past *version*, or after *seconds*."""
        self._start()
        future = asyncio.get_running_loop().create_future()
        wait = (version, future)
        self._waits.setdefault(action_id, set()).add(wait)
        try:
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError:
            pass
        finally:
            waits = self._waits[action_id]
            waits.discard(wait)
            if not waits:
                del self._waits[action_id]

    def _start(self) -> None:
        if not self._readers:
            self._readers = [
                self._tasks.spawn(self._tail(), "store-tail"),
                self._tasks.spawn(self._poll(), "store-poll"),
            ]

    async def close(self) -> None:
        """Stop both readers."""
        await stopped(self._readers)
        self._readers = []

    def release(self) -> None:
        """Wake every waiter."""
        for waits in self._waits.values():
            for _, future in waits:
                if not future.done():
                    future.set_result(None)

    def _moved(self, action_id: str, version: int) -> None:
        for seen, future in tuple(self._waits.get(action_id, ())):
            if version > seen and not future.done():
                future.set_result(None)

    async def _tail(self) -> None:
        position = b""
        while True:
            try:
                if not position:
                    position = await self._newest()
                    await self._look()  # what moved before there was a position
                answer = await self._client.xread({self._log: position}, count=500, block=BLOCK)
            except (RedisError, OSError, TimeoutError):
                await asyncio.sleep(POLL)  # the poll serves meanwhile
                continue
            for entry, action_id, version in _entries(answer):
                position = entry
                self._moved(action_id, version)
                for listener in tuple(self._listeners):
                    listener(action_id)

    async def _newest(self) -> bytes:
        newest = cast(list[Any], await self._client.xrevrange(self._log, count=1))
        return cast(bytes, newest[0][0]) if newest else b"0"

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL)
            await self._look()

    async def _look(self) -> None:
        if not self._waits:
            return
        try:
            versions = await self._versions(tuple(self._waits))
        except StoreUnavailable:
            return  # waiters end by their own time-out, and say so
        for action_id, version in versions.items():
            self._moved(action_id, version)


def _entries(answer: Any) -> Iterator[tuple[bytes, str, int]]:
    """Read the rows of XREAD: its position, whose action moved, and to which version."""
    streams = answer.values() if isinstance(answer, dict) else [rows for _, rows in answer or ()]
    for rows in streams:
        for row in rows if not rows or isinstance(rows[0], tuple) else rows[0]:
            try:
                yield row[0], row[1][b"id"].decode(), int(row[1][b"ver"])
            except (KeyError, ValueError):  # not one of ours: pass over it, and go on behind it
                yield row[0], "", 0
