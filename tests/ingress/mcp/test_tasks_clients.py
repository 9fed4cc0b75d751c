"""Real clients that declare tasks, before a real server, with a person in between."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from interlock.core.actions import Verdict
from interlock.store.redis import RedisStore
from tests.acceptance.mcp_clients import environments
from tests.acceptance.mcp_clients import server as real
from tests.acceptance.mcp_clients.environments import Told, drive
from tests.ingress.mcp.test_tasks_conformance import POLICY, through
from tests.support.fakes import World

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("mcp_drivers")]

HELD = POLICY.replace(
    "read_only", "reversible\n    undo: {reason: It is put back by hand.}"
).replace("public: low", "public: high")
TASKS = Path(real.__file__).with_name("tasks_server.py")
CLIENTS = ["fastmcp", "pydantic-ai"]


@pytest.fixture
async def tools() -> AsyncIterator[real.Running]:
    async with real.over_http() as running:
        yield running


async def decided(world: World, verdict: Verdict) -> None:
    async with asyncio.timeout(60):
        while not (held := (await world.store.held(None, 10)).actions):
            await asyncio.sleep(0.02)
    await world.says(held[0], verdict=verdict)


async def held_then(client: str, url: str, world: World, verdict: Verdict, **ask: object) -> Told:
    async with asyncio.TaskGroup() as group:
        told = group.create_task(drive(client, url=url, task=True, **ask))  # type: ignore[arg-type]
        group.create_task(decided(world, verdict))
    return told.result()


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_client_gets_the_result_of_a_call_that_a_person_approved(
    client: str, store: RedisStore, tools: real.Running
) -> None:
    async with through(store, tools.url, after=0, policy=HELD) as (url, world):
        args = {"a": 1, "b": 2}
        told = await held_then(client, url, world, Verdict.APPROVE, tool="add", args=args)
    assert (told.told, told.error) == ("the sum is 3", None)
    assert tools.calls == ["add"]


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_client_tells_its_model_that_a_person_refused(
    client: str, store: RedisStore, tools: real.Running
) -> None:
    async with through(store, tools.url, after=0, policy=HELD) as (url, world):
        args = {"a": 1, "b": 2}
        told = await held_then(client, url, world, Verdict.REJECT, tool="add", args=args)
    assert told.error is None and (told.told or "").startswith("NOT EXECUTED")
    assert tools.calls == []


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_client_outlives_a_slow_tool_by_a_task(
    client: str, store: RedisStore, tools: real.Running
) -> None:
    async with through(store, tools.url, after=0.1) as (url, world):
        async with asyncio.TaskGroup() as group:
            told = group.create_task(drive(client, url=url, tool="slow", task=True))
            await tools.waiting.wait()
            await _noted(world)
            tools.release.set()
    assert (told.result().told, told.result().error) == ("late", None)
    assert tools.calls == ["slow"]


async def _noted(world: World) -> None:
    async with asyncio.timeout(60):
        while not await world.store.client.keys(f"{world.store._prefix}:task:*"):
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_held_call_whose_server_makes_a_task_of_it_is_one_task_to_its_client(
    client: str, store: RedisStore
) -> None:
    command = shlex.join([str(environments.python(2)), str(TASKS)])
    process = await asyncio.create_subprocess_shell(
        f"exec {command}", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        direct = (await process.stdout.readline()).decode().strip()
        process.stdin.write(b"go on\n")
        async with through(store, direct, after=0, policy=HELD) as (url, world):
            told = await held_then(client, url, world, Verdict.APPROVE, tool="tasked")
    finally:
        process.kill()
        await process.wait()
    assert (told.told, told.error) == ("done as a task", None)
