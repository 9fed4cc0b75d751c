"""Work that may hang, in a thread that nothing waits for at the end."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


class Aside:
    """Does one piece of blocking work at a time, apart from the loop and from its shutdown.

    `asyncio.to_thread` joins its threads when the loop ends: one read from a disk that does not
    answer would keep the process from stopping. These threads are left behind instead.
    """

    def __init__(self) -> None:
        self._busy = False

    async def run(self, seconds: float, work: Callable[..., T], *args: object) -> T:
        """Return what *work* returns, or raise what it raises.

        Raises:
            TimeoutError: it did not end within *seconds*, or earlier work still has not.
        """
        if self._busy:  # one thread hangs at most, however often it is tried
            raise TimeoutError
        self._busy = True
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def settle(ended: Future[T]) -> None:
            if done.done():  # whoever asked has gone
                return
            if error := ended.exception():
                done.set_exception(error)
            else:
                done.set_result(ended.result())

        def aside() -> None:
            ended: Future[T] = Future()
            try:
                ended.set_result(work(*args))
            except Exception as error:  # whatever it is, it belongs to who asked
                ended.set_exception(error)
            self._busy = False
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(settle, ended)

        threading.Thread(target=aside, daemon=True, name=work.__name__).start()
        async with asyncio.timeout(seconds):
            return await done
