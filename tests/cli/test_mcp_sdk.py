"""The Python SDK's own client over pipes, through `interlock mcp`, before a server made with it."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import ElicitResult

from interlock.tasks import Tasks
from tests.support.wrapped import PATIENCE, configured, decide, environment, person

SDK = Path(__file__).parents[1] / "support" / "sdk_server.py"
MODES = {"legacy": "2025-11-25", "auto": "2026-07-28"}


async def named(context: Any, params: Any) -> ElicitResult:
    return ElicitResult(action="accept", content={"name": "ann"})


@asynccontextmanager
async def through(folder: Path, mode: Any, hold: str, **more: Any) -> AsyncIterator[Client]:
    config = configured(folder, mcp={"default": {"hold": hold, **more}})
    words = ["-m", "interlock", "mcp", "-s", "nasty", "-c", str(config), "--"]
    server = StdioServerParameters(
        command=sys.executable, args=[*words, sys.executable, str(SDK)], env=environment(folder)
    )
    with (folder / "said").open("w", encoding="utf-8") as said:
        pipes = stdio_client(server, errlog=said)
        async with Client(pipes, mode=mode, elicitation_callback=named) as client:
            assert client.protocol_version == MODES[mode]
            yield client


async def decided(folder: Path, verdict: str, **more: Any) -> str:
    """Decide the one call that is held, as a person whom standard error told where."""
    async with asyncio.timeout(PATIENCE):
        while not (found := re.search(r"decide at (\S+)/review", (folder / "said").read_text())):
            await asyncio.sleep(0)
    async with person(found[1], folder) as ann:
        return await decide(ann, verdict, **more)


def written(folder: Path) -> list[int]:
    path = folder / "written"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line)["line"] for line in lines]


def words(result: Any) -> str:
    return str(result.content[-1].text)


@pytest.mark.parametrize("mode", MODES)
async def test_an_allowed_call_is_answered_with_its_progress(tmp_path: Path, mode: str) -> None:
    heard: list[Any] = []

    async def progressed(done: float, total: float | None, message: str | None) -> None:
        heard.append((done, total, message))

    async with through(tmp_path, mode, "30s") as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        assert tools == {"write", "wipe", "echo", "interlock_wait", "interlock_cancel"}
        result = await client.call_tool("write", {"line": 1}, progress_callback=progressed)
        assert (words(result), result.is_error) == ("wrote 1", False)
        assert heard == [(1, 2, "half")]


@pytest.mark.parametrize("mode", MODES)
async def test_a_held_call_is_approved_edited_or_rejected(tmp_path: Path, mode: str) -> None:
    async with through(tmp_path, mode, "30s") as client:
        await client.list_tools()
        for verdict, more, told, ran in (
            ("approve", {}, "1", [1]),
            ("edit", {"edited_args": {"line": 7}}, "7", [1, 7]),
            ("reject", {"message": "No."}, "NOT EXECUTED", [1, 7]),
        ):
            number = len(ran) if verdict != "reject" else 3
            asked = Tasks().spawn(client.call_tool("wipe", {"line": number}), verdict)
            await decided(tmp_path, verdict, **more)
            result = await asked
            assert words(result).startswith(told)
            assert result.is_error is False
            assert written(tmp_path) == ran


async def test_rounds_outlast_a_hold_of_the_newest_clients(tmp_path: Path) -> None:
    async with through(tmp_path, "auto", "1s", rounds=True) as client:
        await client.list_tools()
        asked = Tasks().spawn(client.call_tool("wipe", {"line": 1}), "asked")
        await decided(tmp_path, "approve")
        assert words(await asked) == "1"


@pytest.mark.parametrize("mode", MODES)
async def test_a_call_that_outlasts_its_hold_is_waited_for(tmp_path: Path, mode: str) -> None:
    async with through(tmp_path, mode, "0s") as client:
        await client.list_tools()
        result = await client.call_tool("wipe", {"line": 1})
        assert words(result).startswith("NOT EXECUTED YET.")
        call = await decided(tmp_path, "approve")
        assert words(await client.call_tool("interlock_wait", {"call": call})) == "1"
        assert written(tmp_path) == [1]


async def test_a_server_of_before_may_ask_the_user_meanwhile(tmp_path: Path) -> None:
    async with through(tmp_path, "legacy", "30s") as client:
        await client.list_tools()
        assert words(await client.call_tool("echo", {})) == "hello ann"
