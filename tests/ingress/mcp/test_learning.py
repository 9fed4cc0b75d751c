"""Listing a server before its first call: over the caller's connection, once, within bounds."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from interlock.core.actions import Agent, ToolCall
from interlock.core.messages import MODERN, message_of
from interlock.ingress.mcp import learning
from interlock.ingress.mcp.learning import Learner
from interlock.ingress.mcp.session import VERSION_KEY, Caller, Holding, Server
from interlock.tasks import Tasks
from tests.ingress.mcp.conversation import TOOLS, FilesServer, Listed, Sent

CALL = message_of(
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "read", "_meta": {VERSION_KEY: MODERN, "progressToken": 1}},
    }
)


class World:
    def __init__(self, files: FilesServer | None = None) -> None:
        self.files, self.listed = files or FilesServer(), Listed()
        self.learner = Learner(self.listed, Tasks())
        self.caller = Caller(
            agent=Agent(id="bot"),
            server=Server(name="files", upstream=self.files),
            holding=Holding(),
            version=MODERN,
            session="s1",
            headers=(
                ("MCP-Protocol-Version", MODERN),
                ("Mcp-Method", "tools/call"),
                ("Mcp-Name", "read"),
                ("Mcp-Param-Path", "a"),
            ),
        )

    async def learn(self) -> None:
        await self.learner.learn(CALL, self.caller)


async def test_it_lists_as_the_caller_would_on_its_connection() -> None:
    carried: list[ToolCall] = []

    class Files(FilesServer):
        async def pass_on(self, call: ToolCall) -> Sent:
            carried.append(call)
            return await super().pass_on(call)

    world = World(Files())
    await world.learn()

    (call,) = carried
    assert call.method == "POST" and call.mcp is not None and call.mcp.session == "s1"
    assert call.headers == (("MCP-Protocol-Version", MODERN), ("Mcp-Method", "tools/list"))
    message = json.loads(call.body)
    assert message["id"] == "interlock-list-1"
    assert message["params"] == {"_meta": {VERSION_KEY: MODERN}}
    assert world.listed.known("files")


async def test_callers_that_come_together_share_one_listing() -> None:
    world = World()
    world.files.free = asyncio.Event()
    callers = Tasks()
    asking = [callers.spawn(world.learn(), "asked") for _ in range(5)]
    while not world.files.lists:
        await asyncio.sleep(0)
    asking[0].cancel()
    world.files.free.set()
    await asyncio.gather(*asking, return_exceptions=True)
    await world.learn()

    assert len(world.files.lists) == 1 and world.listed.times == 1


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        ("PAGES", 2),
        ("BYTES", 10),
        ("SECONDS", 0.01),
        ("MOST_LISTED", len(TOOLS) - 1),
        ("LONGEST_LISTING", len(json.dumps(TOOLS[:2]))),
    ],
    ids=str,
)
async def test_a_listing_without_end_is_given_up(
    name: str, bound: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning, name, bound)
    world = World()
    world.files.page = 1
    if name == "SECONDS":
        world.files.free = asyncio.Event()

    await world.learn()
    tried = len(world.files.lists)
    await world.learn()

    assert not world.listed.known("files") and world.listed.times == 0
    assert len(world.files.lists) == tried, "and is not tried again at once"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"not json",
        b'{"jsonrpc":"2.0","id":"interlock-list-1","error":{"code":-32601,"message":"no"}}',
        b'{"jsonrpc":"2.0","id":"another","result":{"tools":[]}}',
        b'{"jsonrpc":"2.0","id":"interlock-list-1","result":{"tools":5}}',
    ],
)
async def test_what_is_no_listing_teaches_nothing(answer: bytes) -> None:
    class Files(FilesServer):
        async def pass_on(self, call: ToolCall) -> Sent:
            return Sent((answer,))

    world = World(Files())
    await world.learn()

    assert not world.listed.known("files")


async def test_a_stream_that_stays_open_after_the_response_is_read_no_further() -> None:
    closed: list[bool] = []

    class Open(Sent):
        async def chunks(self) -> Any:
            yield b": hello\n\n"
            result = {"tools": TOOLS}
            message = {"jsonrpc": "2.0", "id": "interlock-list-1", "result": result}
            yield b"data: " + json.dumps(message).encode() + b"\n\n"
            await asyncio.Event().wait()

        async def close(self) -> None:
            closed.append(True)

    class Files(FilesServer):
        async def pass_on(self, call: ToolCall) -> Sent:
            return Open(())

    world = World(Files())
    await world.learn()

    assert world.listed.known("files") and closed == [True]


async def test_a_known_server_is_not_listed_again() -> None:
    world = World()
    await world.listed.listed("files", TOOLS, whole=True)
    elsewhere = replace(world.caller, session="s2")

    await world.learner.learn(CALL, elsewhere)

    assert world.files.lists == []
