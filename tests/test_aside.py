"""Work that may hang is done where nobody waits for it."""

from __future__ import annotations

import threading

import pytest

from interlock.aside import Aside


async def test_what_the_work_returns_or_raises_is_what_one_gets() -> None:
    aside = Aside()

    assert await aside.run(60, divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await aside.run(60, divmod, 7, 0)
    assert await aside.run(60, divmod, 7, 2) == (3, 1)


async def test_only_one_thread_hangs_and_it_keeps_nobody_from_stopping() -> None:
    aside, ends = Aside(), threading.Event()
    threads = []

    def hang() -> None:
        threads.append(threading.current_thread())
        ends.wait()

    for _ in range(3):
        with pytest.raises(TimeoutError):
            await aside.run(0, hang)
    (thread,) = threads
    assert thread.daemon

    ends.set()
    thread.join()
    assert await aside.run(60, divmod, 7, 2) == (3, 1)
