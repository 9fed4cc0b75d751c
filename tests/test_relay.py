"""An answer is passed on as it comes, and told once at its end, whoever stops reading."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from interlock.core.actions import Answer
from interlock.core.errors import UpstreamLost
from interlock.relay import Relay
from tests.support.fakes import FakeExchange, Tool


class Case:
    def __init__(self, *, keep: int = 100, **tool: object) -> None:
        self.tool = Tool(**tool)  # type: ignore[arg-type]
        self.told: list[Answer] = []
        self.relay = Relay(FakeExchange(self.tool), self.told.append, keep)


async def test_an_answer_comes_in_pieces_and_is_kept_whole() -> None:
    case = Case()
    async with case.relay:
        assert [chunk async for chunk in case.relay.chunks()] == [b"pa", b"id"]

    (answer,) = case.told
    assert answer.body == b"paid" and answer.size == 4 and answer.complete and answer.kept
    assert case.tool.closed == 1


async def test_of_a_longer_answer_nothing_is_kept_but_its_size() -> None:
    case = Case(keep=3)
    await case.relay.drain()

    assert case.told == [
        Answer(status=200, headers=case.relay.headers, body=b"", size=4, complete=True)
    ]
    assert not case.told[0].kept


async def test_an_answer_that_breaks_off_is_told_as_incomplete_and_its_rest_not_kept() -> None:
    case = Case(breaks=UpstreamLost("cut"))
    async with case.relay:
        with pytest.raises(UpstreamLost):
            async for _ in case.relay.chunks():
                pass

    assert (case.told[0].complete, case.told[0].body, case.told[0].size) == (False, b"", 4)


async def test_draining_takes_a_broken_answer_as_it_is() -> None:
    case = Case(breaks=UpstreamLost("cut"))
    await case.relay.drain()

    assert not case.told[0].complete


async def test_a_reader_that_stops_early_closes_the_exchange_and_is_told() -> None:
    case = Case()
    async with case.relay:
        async for _ in case.relay.chunks():
            break

    assert case.tool.closed == 1 and not case.told[0].complete


async def test_a_reader_cancelled_while_closing_still_leaves_a_record() -> None:
    class Stubborn(FakeExchange):
        async def close(self) -> None:
            await asyncio.Event().wait()

    told: list[Answer] = []
    relay = Relay(Stubborn(Tool()), told.append, 100)
    reader = asyncio.ensure_future(relay.drain())
    while not relay._whole:
        await asyncio.sleep(0)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader

    assert [answer.body for answer in told] == [b"paid"]


async def test_a_reader_cancelled_in_the_middle_still_leaves_a_record() -> None:
    class Slow(FakeExchange):
        async def chunks(self) -> AsyncIterator[bytes]:
            yield b"pa"
            await asyncio.Event().wait()

    told: list[Answer] = []
    relay = Relay(Slow(Tool()), told.append, 100)
    reader = asyncio.ensure_future(relay.drain())
    while not relay._size:
        await asyncio.sleep(0)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader

    assert not told[0].complete and told[0].size == 2
