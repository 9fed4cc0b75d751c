"""Background work is kept until it is done, with all that it starts."""

from __future__ import annotations

import asyncio

from interlock.tasks import Tasks, stopped


async def test_draining_waits_for_what_running_work_starts() -> None:
    tasks, done = Tasks(), []

    async def second() -> None:
        await asyncio.sleep(0)
        done.append("second")

    async def first() -> None:
        await asyncio.sleep(0)
        tasks.spawn(second(), "second")

    tasks.spawn(first(), "first")

    assert await tasks.drain(10) == 0
    assert done == ["second"] and len(tasks) == 0


async def test_draining_gives_up_in_time_and_says_how_many_are_left() -> None:
    tasks, never = Tasks(), asyncio.Event()
    tasks.spawn(never.wait(), "stuck")

    assert await tasks.drain(0.01) == 1
    never.set()
    assert await tasks.drain(10) == 0


async def test_draining_nothing_takes_no_time() -> None:
    assert await Tasks().drain(0) == 0


async def test_a_task_that_loses_a_cancellation_is_cancelled_again() -> None:
    """Fault caught: stopping waits for ever for a reader that took its end for a time-out."""
    lost = 0

    async def deaf() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                lost += 1
                if lost == 2:
                    raise

    task = Tasks().spawn(deaf(), "deaf")
    await asyncio.sleep(0)
    await stopped((task,))
    assert task.cancelled() and lost == 2
