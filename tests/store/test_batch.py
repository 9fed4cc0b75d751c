"""Writes share round trips, and nobody is left waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from interlock.core.errors import StoreUnavailable
from interlock.store.batch import ABREAST, HEAVIEST, LARGEST, Batch


class Post:
    """Takes groups, and answers when it is told to."""

    def __init__(self) -> None:
        self.groups: list[list[bytes]] = []
        self.replies: list[asyncio.Future[None]] = []

    async def send(self, group: Sequence[bytes]) -> list[list[bytes]]:
        self.groups.append(list(group))
        reply: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.replies.append(reply)
        await reply
        return [[operation] for operation in group]


async def started(batch: Batch, *operations: bytes) -> list[asyncio.Future[list[bytes]]]:
    writes = [asyncio.ensure_future(batch.write(operation)) for operation in operations]
    for _ in range(5):
        await asyncio.sleep(0)
    return writes


async def test_what_is_written_at_the_same_time_travels_together() -> None:
    post = Post()
    writes = await started(Batch(post.send), b"a", b"b", b"c")

    assert post.groups == [[b"a", b"b", b"c"]]
    post.replies[0].set_result(None)
    assert await asyncio.gather(*writes) == [[b"a"], [b"b"], [b"c"]]


async def test_what_comes_while_groups_travel_waits_for_the_next_one() -> None:
    post = Post()
    batch = Batch(post.send)
    writes = []
    for n in range(ABREAST + 2):
        writes += await started(batch, b"%d" % n)

    assert [len(group) for group in post.groups] == [1] * ABREAST
    post.replies[0].set_result(None)
    writes += await started(batch)
    assert post.groups[-1] == [b"%d" % ABREAST, b"%d" % (ABREAST + 1)]
    for reply in post.replies[1:]:
        reply.set_result(None)
    assert len(await asyncio.gather(*writes)) == ABREAST + 2


async def test_a_group_is_bounded_in_number_and_in_weight() -> None:
    post = Post()
    heavy = b"x" * (HEAVIEST // 2 + 1)
    many = await started(Batch(post.send), *[b"a"] * (LARGEST + 1))
    few = await started(Batch(post.send), heavy, heavy)

    assert [len(group) for group in post.groups] == [LARGEST, 1, 1, 1]
    for reply in post.replies:
        reply.set_result(None)
    assert len(await asyncio.gather(*many, *few)) == LARGEST + 3


async def test_a_failed_group_is_told_to_each_of_its_writers_and_the_next_one_travels() -> None:
    post = Post()
    batch = Batch(post.send)
    writes = await started(batch, b"a", b"b")
    post.replies[0].set_exception(StoreUnavailable("gone"))

    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [str(result) for result in results] == ["gone", "gone"]
    (after,) = await started(batch, b"c")
    post.replies[1].set_result(None)
    assert await after == [b"c"]


async def test_an_answer_that_does_not_fit_leaves_nobody_waiting() -> None:
    raised: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))

    async def short(group: Sequence[bytes]) -> list[list[bytes]]:
        return [[b"ok"]] * (len(group) - 1)

    writes = await started(Batch(short), b"a", b"b")
    results = await asyncio.gather(*writes, return_exceptions=True)

    assert results[0] == [b"ok"]
    assert isinstance(results[1], StoreUnavailable)
    writes.clear()
    del results


async def test_a_writer_that_goes_away_does_not_stop_the_others() -> None:
    post = Post()
    first, second = await started(Batch(post.send), b"a", b"b")
    first.cancel()
    post.replies[0].set_result(None)

    assert await second == [b"b"]
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_what_nobody_waits_for_travels_with_what_somebody_waits_for() -> None:
    """Fault caught: a sync to disk for each outcome, in the way of the next call."""
    post = Post()
    batch = Batch(post.send)
    patient = asyncio.ensure_future(batch.write_soon(b"outcome"))
    await started(batch)
    assert post.groups == []

    (hurried,) = await started(batch, b"claim")

    assert [sorted(group) for group in post.groups] == [[b"claim", b"outcome"]]
    post.replies[0].set_result(None)
    assert await asyncio.gather(hurried, patient) == [[b"claim"], [b"outcome"]]


async def test_what_nobody_waits_for_travels_alone_where_nothing_else_comes() -> None:
    post = Post()
    patient = asyncio.ensure_future(Batch(post.send).write_soon(b"outcome"))
    async with asyncio.timeout(5):
        while not post.groups:
            await asyncio.sleep(0)

    post.replies[0].set_result(None)
    assert await patient == [b"outcome"]


async def test_a_closed_one_leaves_no_task_behind_and_nobody_waiting() -> None:
    post = Post()
    batch = Batch(post.send)
    writes = await started(batch, b"a")
    writes += await started(batch, b"b")
    writes += await started(batch, b"c")  # it waits for one of the others
    patient = asyncio.ensure_future(batch.write_soon(b"outcome"))
    await started(batch)

    await batch.close()

    for write in (*writes, patient, batch.write(b"later"), batch.write_soon(b"later")):
        with pytest.raises(StoreUnavailable, match="nothing was sent"):
            await write
    assert len(post.groups) == ABREAST
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "store-batch"]


async def test_when_its_loop_ends_nothing_starts_that_would_outlive_it() -> None:
    """Fault caught: whoever travels is cancelled with all others, and sends who waited behind."""
    post = Post()
    batch = Batch(post.send)
    writes = await started(batch, b"a")
    writes += await started(batch, b"b")
    writes += await started(batch, b"c")  # it waits for one of the others
    travelling = [task for task in asyncio.all_tasks() if task.get_name() == "store-batch"]

    for task in travelling:
        task.cancel()
    await asyncio.wait(writes)

    assert len(travelling) == len(post.groups) == ABREAST
    assert [type(write.exception()) for write in writes] == [StoreUnavailable] * 3
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "store-batch"]
