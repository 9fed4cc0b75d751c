"""The official client and a server built on the official SDK, with Interlock between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from mcp import Client
from mcp_types import TextContent

from interlock.core.actions import Agent
from interlock.ingress.mcp.session import Holding
from interlock.store.redis import RedisStore
from tests.conformance.processes import fixture
from tests.ingress.mcp.front import Front

ERAS = pytest.mark.parametrize("mode", ["legacy", "auto"])


@pytest.fixture(scope="module")
def everything() -> Iterator[str]:
    with fixture() as url:
        yield url


@pytest.fixture
async def front(store: RedisStore, everything: str) -> AsyncIterator[Front]:
    listener = {"anonymous": Agent(id="bot")}
    made = Front(store, real=everything, listener=listener, holding=Holding(seconds=30))
    await made.start()
    yield made
    await made.stop()


def client(front: Front, mode: str) -> Client:
    return Client(f"http://127.0.0.1:{front.port}/mcp/shop", mode=mode)


@ERAS
async def test_tools_are_listed_and_called_as_if_nothing_were_between(
    front: Front, mode: str
) -> None:
    async with client(front, mode) as session:
        names = {tool.name for tool in (await session.list_tools()).tools}
        assert {"test_simple_text", "test_image_content", "interlock_wait"} <= names
        answer = await session.call_tool("test_image_content", {})
        assert answer.content[0].type == "image"
        heard: list[float] = []

        async def progress(done: float, total: float | None, message: str | None) -> None:
            heard.append(done)

        await session.call_tool("test_tool_with_progress", {}, progress_callback=progress)
        assert heard == sorted(heard) and len(heard) > 1


@ERAS
async def test_a_held_call_is_answered_once_a_person_approves_it(front: Front, mode: str) -> None:
    async with client(front, mode) as session, asyncio.TaskGroup() as group:
        waiting = group.create_task(session.call_tool("test_simple_text", {}))
        while not (await front._store.held(None, 1)).actions:
            await asyncio.sleep(0)
        await front.approve()
        answer = await waiting
    assert isinstance(answer.content[0], TextContent)
    assert "NOT EXECUTED" not in answer.content[0].text


@ERAS
async def test_a_call_that_nobody_decides_in_time_says_that_it_waits(
    front: Front, mode: str
) -> None:
    front.holding = Holding(seconds=0)
    async with client(front, mode) as session:
        answer = await session.call_tool("test_simple_text", {})
    assert isinstance(answer.content[0], TextContent)
    assert answer.content[0].text.startswith("NOT EXECUTED YET")
