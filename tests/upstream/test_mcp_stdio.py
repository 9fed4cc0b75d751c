"""An MCP server behind the pipes of a real child, as bad as it may be."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from interlock.core.actions import Agent, McpTool, ToolCall
from interlock.core.errors import InterlockError, UpstreamLost, UpstreamUnreachable
from interlock.core.messages import write_message
from interlock.tasks import Tasks, stopped
from interlock.upstream.child import Child
from interlock.upstream.mcp_stdio import PipedServer

NASTY = Path(__file__).parents[1] / "support" / "nasty_server.py"
SESSION = "stdio-one"


def a_call(name: str, given: int | str = 1, session: str = SESSION, **arguments: Any) -> ToolCall:
    params: dict[str, Any] = {"name": name, "arguments": arguments}
    if name == "progress":
        params["_meta"] = {"progressToken": "token"}
    document = {"jsonrpc": "2.0", "id": given, "method": "tools/call", "params": params}
    return ToolCall(
        agent=Agent(id="agent"),
        upstream="nasty",
        method="tools/call",
        target="/",
        body=write_message(document),
        mcp=McpTool(name=name, session=session),
    )


@dataclass
class World:
    """A server, and what it said that was no answer."""

    piped: PipedServer
    child: Child
    said: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)
    told: list[str] = field(default_factory=list)

    async def text(self, call: ToolCall) -> str:
        exchange = await self.piped.send(call)
        document = json.loads(b"".join([chunk async for chunk in exchange.chunks()]))
        assert document["id"] == json.loads(call.body)["id"]
        return str(document["result"]["content"][0]["text"])


@asynccontextmanager
async def running(
    *, patience: float = 20.0, longest: int = 2**20, **env: str
) -> AsyncIterator[World]:
    child = await Child.start([sys.executable, str(NASTY)], {"PYTHONUTF8": "1", **env})
    world: World

    async def deliver(document: Any) -> None:
        await world.said.put(document)

    piped = PipedServer(
        name="nasty",
        session=SESSION,
        child=child,
        patience=patience,
        longest=longest,
        deliver=deliver,
        tell=lambda text: world.told.append(text),
    )
    world = World(piped, child)
    reading = Tasks().spawn(piped.run(), "reading")
    try:
        yield world
    finally:
        await child.stop((0.0, 5.0))
        await stopped([reading])


async def test_a_call_is_answered_with_what_the_server_says() -> None:
    async with running() as world:
        assert await world.text(a_call("echo", a=1)) == 'echo {"a": 1}'
        exchange = await world.piped.send(a_call("echo", 2))
        assert (exchange.status, dict(exchange.headers)["Content-Type"]) == (
            200,
            "application/json",
        )


async def test_only_calls_of_its_own_pipe_are_served() -> None:
    async with running() as world:
        assert world.piped.serves(a_call("echo"))
        assert not world.piped.serves(a_call("echo", session="stdio-two"))
        assert not world.piped.serves(a_call("echo", session=""))


async def test_only_calls_of_its_own_command_are_served() -> None:
    """Fault caught: two projects start a server of one name; one runs what the other asked for."""
    async with running() as world:
        call = a_call("echo")
        assert call.mcp is not None

        assert not world.piped.serves(replace(call, mcp=replace(call.mcp, command="lab.py in /b")))


async def test_answers_find_their_calls_in_any_order() -> None:
    async with running() as world:
        kept = Tasks().spawn(world.text(a_call("keep", "a")), "kept")
        assert await world.text(a_call("echo", "b")) == "echo {}"
        assert await world.text(a_call("release", "c")) == "release {}"
        assert await kept == "released"


async def test_what_is_not_json_rpc_is_dropped_and_told_once() -> None:
    async with running() as world:
        assert await world.text(a_call("garbage")) == "garbage {}"
        assert await world.text(a_call("garbage", 2)) == "garbage {}"
        assert len(world.told) == 1
        assert "not JSON-RPC" in world.told[0]
        assert world.said.empty()


async def test_answers_to_nobody_reach_nobody() -> None:
    async with running() as world:
        assert await world.text(a_call("wrong_id")) == "wrong_id {}"
        assert await world.text(a_call("twice", 2)) == "twice {}"
        assert await world.text(a_call("echo", 3)) == "echo {}"
        assert [("not asked" in text, "two ways" in text) for text in world.told] == [
            (True, False),
            (False, True),
        ]


async def test_what_clients_could_take_for_an_answer_is_not_passed_as_a_notification() -> None:
    """Fault caught: a `method` beside a `result` carries an unread answer past the gate."""
    async with running() as world:
        for given, member in enumerate(("result", "error", "Result"), 1):
            with pytest.raises(UpstreamLost):
                await world.text(a_call("both", given, member=member))
        assert await world.text(a_call("echo", 9)) == "echo {}"
        assert world.said.empty() and len(world.told) == 1


async def test_an_answer_that_cannot_be_read_ends_its_call_at_once() -> None:
    async with running() as world:
        with pytest.raises(UpstreamLost):
            await world.text(a_call("broken"))
        assert await world.text(a_call("echo", 2)) == "echo {}"


@pytest.mark.parametrize("given", [1, "one"])
async def test_an_answer_that_is_too_long_ends_its_call_at_once(given: int | str) -> None:
    async with running(longest=100_000) as world:
        kept = Tasks().spawn(world.text(a_call("keep", "other")), "kept")
        with pytest.raises(UpstreamLost):
            await world.text(a_call("huge", given, size=300_000))
        assert "max_answer" in world.told[0]
        assert await world.text(a_call("release", "then")) == "release {}"
        assert await kept == "released"


async def test_a_server_that_ends_in_mid_call_leaves_the_outcome_unknown() -> None:
    async with running() as world:
        with pytest.raises(UpstreamLost):
            await world.text(a_call("exit", code=3))
        assert await world.child.ended(10)
        assert world.child.code == 3
        assert not world.piped.serves(a_call("echo"))
        with pytest.raises(UpstreamUnreachable):
            await world.text(a_call("echo"))


async def test_a_server_that_never_answers_is_lost_after_its_patience() -> None:
    async with running(patience=0.3) as world:
        with pytest.raises(UpstreamLost):
            await world.text(a_call("silent"))
        assert not world.piped.busy(1)


async def test_what_the_server_says_meanwhile_is_delivered_in_order() -> None:
    async with running() as world:
        assert (await world.text(a_call("progress", count=3))).startswith("progress")
        values = [world.said.get_nowait()["params"]["progress"] for _ in range(3)]
        assert values == [1, 2, 3]


async def test_a_flood_is_delivered_whole_and_the_answer_after_it() -> None:
    async with running() as world:
        assert (await world.text(a_call("flood", count=5000))).startswith("flood")
        assert world.said.qsize() == 5000


async def test_two_requests_with_one_id_are_never_under_way_at_once() -> None:
    async with running() as world:
        first = Tasks().spawn(world.text(a_call("keep", 1)), "first")
        await world.text(a_call("echo", 2))  # by then the first is under way
        with pytest.raises(UpstreamUnreachable):
            await world.piped.ask({"jsonrpc": "2.0", "id": 1, "method": "ping"}, _nothing)
        second = Tasks().spawn(world.text(a_call("echo", 1)), "second")
        assert await world.text(a_call("release", 3)) == "release {}"
        assert await first == "released"
        assert await second == "echo {}"


async def _nothing(_: Any) -> None:
    """Nobody waits."""


async def test_a_call_that_was_cancelled_before_is_never_sent(tmp_path: Path) -> None:
    written = tmp_path / "written"
    async with running(WRITTEN=str(written)) as world:
        world.piped.withdraw(1)
        with pytest.raises(UpstreamUnreachable):
            await world.text(a_call("write", 1))
        world.piped.settled(1)
        assert not written.exists()
        assert await world.text(a_call("write", 1)) == "write {}"


async def test_a_request_that_passes_on_is_answered_or_told_that_the_server_went() -> None:
    async with running() as world:
        answers: asyncio.Queue[Any] = asyncio.Queue()
        ping = {"jsonrpc": "2.0", "id": "p", "method": "ping"}
        await world.piped.ask(ping, answers.put)
        assert (await answers.get())["result"]["method"] == "ping"
        silent = json.loads(a_call("silent", "s").body)
        await world.piped.ask(silent, answers.put)
        await world.piped.say(json.loads(a_call("exit", "e").body))
        assert await answers.get() is None


async def test_a_listing_of_ours_goes_over_the_same_pipe() -> None:
    async with running() as world:
        document = {"jsonrpc": "2.0", "id": "interlock-list-1", "method": "tools/list"}
        carrier = ToolCall(
            agent=Agent(id="agent"),
            upstream="nasty",
            method="POST",
            target="/",
            body=write_message(document),
        )
        exchange = await world.piped.pass_on(carrier)
        body = b"".join([chunk async for chunk in exchange.chunks()])
        assert len(json.loads(body)["result"]["tools"]) > 5


async def test_a_child_that_hears_nothing_is_killed() -> None:
    async with running(IGNORE_TERM="1") as world:
        await world.text(a_call("echo"))  # by then it ignores SIGTERM
        world.child.signal(19)  # SIGSTOP: it does not even see the end of its input
        assert await world.child.stop((0.05, 0.05)) == 137


async def test_a_child_ends_with_its_input_and_tells_its_code() -> None:
    async with running(EXIT_AT_EOF="4") as world:
        assert await world.child.stop((10.0, 10.0)) == 4


async def test_a_command_that_is_not_there_is_told() -> None:
    with pytest.raises(InterlockError, match="cannot be started"):
        await Child.start(["/no/such/command"], {})
