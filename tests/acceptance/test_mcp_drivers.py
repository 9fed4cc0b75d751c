"""The drivers of real MCP clients, each straight before a real server: they can be trusted.

Two minutes, and nothing of Interlock: run them with `-m drivers` when a driver or a lock changes.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.acceptance.mcp_clients import environments
from tests.acceptance.mcp_clients import server as real
from tests.acceptance.mcp_clients.environments import CLIENTS, ClientHung, drive

pytestmark = [pytest.mark.drivers, pytest.mark.xdist_group("mcp_drivers")]

MODERN = {"mcp-2", "fastmcp", "openai-agents", "pydantic-ai", "ts-2"}
SAYS_PROGRESS = {"mcp-1", "mcp-2", "mcp-2-legacy", "fastmcp", "ts-1", "ts-2", "ts-2-legacy"}
STDIO = f"{sys.executable} {Path(real.__file__)}"
TASKS = Path(real.__file__).with_name("tasks_server.py")

FAILED = "Error executing tool fail: no such file: a.txt"
RAISED_ON_TIME_OUT = {
    "mcp-1": "McpError: Timed out while waiting for response to ClientRequest. Waited 2.0 seconds.",
    "langchain": "McpError: Timed out while waiting for response to ClientRequest. "
    "Waited 2.0 seconds.",
    "mcp-2": "MCPError: Request 'tools/call' timed out",
    "mcp-2-legacy": "MCPError: Request 'tools/call' timed out",
    "fastmcp": "MCPError: Request 'tools/call' timed out",
    "ts-1": "McpError: MCP error -32001: Request timed out",
    "ts-2": "SdkError: Request timed out",
    "ts-2-legacy": "SdkError: Request timed out",
}
TOLD_ON_TIME_OUT = {
    "openai-agents": "An error occurred while running the tool. Please try again.",
    "pydantic-ai": '{"error":"Request \'tools/call\' timed out"}',
}


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
async def server() -> AsyncIterator[real.Running]:
    async with real.over_http() as running:
        yield running


# what each client does ----------------------------------------------------------------------


async def test_a_result_reaches_the_model_word_for_word(client: str, server: real.Running) -> None:
    key = {"Interlock-Key": "k-1"}
    told = await drive(
        client, url=server.url, tool="add", args={"a": 1, "b": 2}, headers=key, times=2
    )
    assert [call.told for call in told.calls] == ["the sum is 3"] * 2
    assert (told.told, told.error, told.closing) == ("the sum is 3", None, None)
    assert told.is_error is (None if client == "openai-agents" else False)
    assert told.listed == ("add", "fail", "slow")
    assert told.protocol == ("2026-07-28" if client in MODERN else "2025-11-25")
    assert (server.calls, server.keys) == (["add"] * 2, {"k-1"})


async def test_a_result_over_stdio_reaches_the_model_word_for_word(client: str) -> None:
    told = await drive(client, command=STDIO, tool="add", args={"a": 1, "b": 2})
    assert (told.told, told.error) == ("the sum is 3", None)
    assert told.protocol == ("2026-07-28" if client in MODERN else "2025-11-25")


async def test_a_tools_error_reaches_the_model_as_text(client: str, server: real.Running) -> None:
    told = await drive(client, url=server.url, tool="fail", args={"path": "a.txt"})
    wrapped = f'{{"error":"{FAILED}"}}' if client == "pydantic-ai" else FAILED
    assert (told.told, told.error) == (wrapped, None)
    assert told.is_error is (None if client == "openai-agents" else True)
    assert server.calls == ["fail"]


async def test_a_slow_result_is_waited_for(client: str, server: real.Running) -> None:
    async with asyncio.TaskGroup() as group:
        driven = group.create_task(drive(client, url=server.url, tool="slow", progress=True))
        await server.waiting.wait()
        server.release.set()
    told = driven.result()
    assert (told.told, told.error) == ("late", None)
    assert told.progress == (("waiting",) if client in SAYS_PROGRESS else ())


async def test_a_call_that_takes_too_long_is_given_up(client: str, server: real.Running) -> None:
    told = await drive(client, url=server.url, tool="slow", timeout=2)
    assert told.told == TOLD_ON_TIME_OUT.get(client)
    assert told.error == RAISED_ON_TIME_OUT.get(client)
    assert 2 <= told.seconds < 4
    assert server.calls == ["slow"]


async def test_a_call_refused_by_http_is_an_error_and_not_silence(
    client: str, server: real.Running
) -> None:
    server.refusing = True
    told = await drive(client, url=server.url, tool="add", args={"a": 1, "b": 2}, timeout=5)
    if client in TOLD_ON_TIME_OUT:
        assert told.told and told.error is None
    else:
        assert told.error and told.told is None
    assert told.listed and not server.calls


async def test_a_server_that_is_not_there_is_an_error_of_the_client(client: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    told = await drive(client, url=f"http://127.0.0.1:{port}/mcp", tool="add", timeout=5)
    assert (told.told, told.listed) == (None, ())
    assert told.error


# what some do -------------------------------------------------------------------------------


async def test_openai_agents_sends_a_call_again_that_timed_out(server: real.Running) -> None:
    told = await drive("openai-agents", url=server.url, tool="slow", timeout=1, retries=1)
    assert told.told == TOLD_ON_TIME_OUT["openai-agents"]
    assert server.calls == ["slow", "slow"]


async def test_pydantic_ai_breaks_off_the_run_at_the_second_error(server: real.Running) -> None:
    told = await drive("pydantic-ai", url=server.url, tool="fail", args={"path": "a"}, times=3)
    first, second = told.calls
    assert (first.is_error, second.told) == (True, None)
    assert second.error is not None and "exceeded max retries count of 1" in second.error
    assert server.calls == ["fail", "fail"]


@pytest.fixture
def tasks_url() -> Iterator[str]:
    """A server whose only tool runs as a task, or not at all."""
    command = [environments.python(2), TASKS]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        assert process.stdin is not None and process.stdout is not None
        url = process.stdout.readline().strip()
        process.stdin.write("go on\n")
        process.stdin.flush()
        yield url
        process.kill()


@pytest.mark.parametrize("name", ["fastmcp", "pydantic-ai"])
async def test_a_client_that_declares_tasks_drives_one_to_its_end(
    name: str, tasks_url: str
) -> None:
    told = await drive(name, url=tasks_url, tool="tasked", task=True)
    assert (told.told, told.error) == ("done as a task", None)


@pytest.mark.parametrize("name", ["mcp-2", "fastmcp", "pydantic-ai"])
async def test_a_client_declares_no_tasks_unless_it_is_told_to(name: str, tasks_url: str) -> None:
    told = await drive(name, url=tasks_url, tool="tasked")
    assert "the client did not declare it" in (told.error or told.told or "")


# what the driving itself does ---------------------------------------------------------------


async def test_a_client_that_gets_no_answer_at_all_is_ended() -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with silent:
        url = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}/mcp"
        with pytest.raises(ClientHung, match="no answer in 1 s"):
            await drive("ts-1", url=url, tool="add", patience=1)


def test_an_environment_is_made_once_though_two_ask_at_once(tmp_path: Path) -> None:
    lock = tmp_path / "some.lock"
    lock.write_text("a==1")
    installed: list[Path] = []
    asking = [
        threading.Thread(
            target=environments.made, args=(tmp_path / "made" / "some", lock, installed.append)
        )
        for _ in range(2)
    ]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert installed == [tmp_path / "made" / "some"]


def test_an_environment_is_made_anew_when_its_lock_changed(tmp_path: Path) -> None:
    lock, folder = tmp_path / "some.lock", tmp_path / "made" / "some"
    for content in ("a==1", "a==2"):
        lock.write_text(content)
        environments.made(folder, lock, lambda at, what=content: (at / what).touch())
    assert not (folder / "a==1").exists()
    assert (folder / "a==2").exists()


def test_an_environment_whose_making_failed_is_made_again(tmp_path: Path) -> None:
    lock, folder = tmp_path / "some.lock", tmp_path / "made" / "some"
    lock.write_text("a==1")

    def fail(at: Path) -> None:
        raise RuntimeError("no network")

    with pytest.raises(RuntimeError, match="no network"):
        environments.made(folder, lock, fail)
    assert environments.made(folder, lock, lambda at: (at / "a").touch()) / "a" in folder.iterdir()
