"""The only place that starts background tasks: it keeps a reference, so that none is collected."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


class Tasks:
    """Tasks that outlive the handler that started them, and are drained at shutdown."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def spawn(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def drain(self, seconds: float) -> int:
        """Wait until every task is done, also those that they start; at most *seconds* in all.

        Returns how many are not done.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while self._running and (left := end - loop.time()) > 0:
            await asyncio.wait(tuple(self._running), timeout=left)
            await asyncio.sleep(0)  # their callbacks take them off
        return len(self._running)


async def stopped(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel *tasks* until they have ended: a cancellation that meets a time-out can be lost."""
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=0.2)
