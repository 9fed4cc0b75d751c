"""A client on pipes, a real server on pipes, and the gate between them, up or not yet."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from interlock.core.actions import Action, Agent
from interlock.core.errors import StoreUnavailable
from interlock.ingress.mcp import stdio, unanswered
from interlock.ingress.mcp.amending import Listings
from interlock.ingress.mcp.calls import Calls
from interlock.ingress.mcp.session import Holding, Server
from interlock.ingress.mcp.stdio import Conversation, Judging
from interlock.ingress.mcp.stops import Stops
from interlock.store.redis import RedisStore
from interlock.tasks import Tasks, stopped
from interlock.upstream.child import Child
from interlock.upstream.mcp_stdio import PipedServer
from tests.ingress.mcp.conversation import KEY, Listed, policy
from tests.support.fakes import NoonClock, World

NASTY = Path(__file__).parents[2] / "support" / "nasty_server.py"
FREE = ("read_only", "public")
PATIENCE = 20.0


@dataclass
class Pipes:
    """One client's side, and the gate that comes up when `up` is called."""

    conversation: Conversation
    world: World
    ready: asyncio.Future[Judging]
    judging: Judging
    wrote: asyncio.Queue[dict[str, Any]]
    folder: Path
    told: list[str] = field(default_factory=list)

    def up(self) -> None:
        self.ready.set_result(self.judging)

    async def says(self, **document: Any) -> None:
        await self.conversation.hear(json.dumps({"jsonrpc": "2.0", **document}).encode())

    async def call(self, given: Any, tool: str, **arguments: Any) -> None:
        params = {"name": tool, "arguments": arguments}
        await self.says(id=given, method="tools/call", params=params)

    async def cancel(self, given: Any) -> None:
        await self.says(method="notifications/cancelled", params={"requestId": given})

    async def hears(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            return await self.wrote.get()

    def written(self) -> int:
        path = self.folder / "written"
        return len(path.read_text().splitlines()) if path.exists() else 0


async def held(world: World) -> Action:
    """Return the one call that is held, once it is."""
    async with asyncio.timeout(PATIENCE):
        while not (found := (await world.store.held(None, 2)).actions):
            await asyncio.sleep(0)
    (action,) = found
    return action


@asynccontextmanager
async def piped(store: RedisStore, folder: Path, hold: float = 20.0) -> AsyncIterator[Pipes]:
    env = {"WRITTEN": str(folder / "written")}
    child = await Child.start([sys.executable, str(NASTY)], env)
    wrote: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    told: list[str] = []
    pipes: Pipes

    async def write(line: bytes) -> None:
        await wrote.put(json.loads(line))

    async def deliver(document: Any) -> None:
        await pipes.conversation.deliver(document)

    upstream = PipedServer(
        name="files",
        session="stdio-1",
        child=child,
        patience=PATIENCE,
        longest=2**20,
        deliver=deliver,
        tell=told.append,
    )
    listed = Listed()
    free = {name: FREE for name in ("echo", "keep", "release", "silent")}
    world = World(store, policy=policy(**free), upstreams={"files": upstream}, definitions=listed)
    calls = Calls(world.gate, listed, KEY, NoonClock())
    judging = Judging(
        agent=Agent(id="agent"),
        holding=Holding(seconds=hold),
        calls=calls,
        listing=Listings(world.gate, listed, calls.learner),
        stops=Stops(store, fresh=0.0),
    )
    ready: asyncio.Future[Judging] = asyncio.get_running_loop().create_future()
    conversation = Conversation(
        server=Server(name="files", upstream=upstream),
        session="stdio-1",
        pipe=upstream,
        write=write,
        judging=ready,
        tell=told.append,
    )
    pipes = Pipes(conversation, world, ready, judging, wrote, folder, told)
    reading = Tasks().spawn(upstream.run(), "reading")
    try:
        yield pipes
    finally:
        await child.stop((0.0, 5.0))
        await stopped([reading])
        await world.gate.close(5.0)
        await conversation.settle(5.0)
        await calls.close(5.0)


async def test_what_needs_no_judge_passes_before_the_gate_is_up(
    store: RedisStore, tmp_path: Path
) -> None:
    async with piped(store, tmp_path) as pipes:
        await pipes.call(1, "echo")
        await pipes.says(id=2, method="ping")
        assert (await pipes.hears())["id"] == 2
        pipes.up()
        assert (await pipes.hears())["result"]["content"][0]["text"] == "echo {}"


async def test_a_listing_waits_for_the_gate_to_take_note_of_it(
    store: RedisStore, tmp_path: Path
) -> None:
    async with piped(store, tmp_path) as pipes:
        await pipes.says(id=1, method="tools/list")
        await pipes.says(id=2, method="ping")
        assert (await pipes.hears())["id"] == 2
        pipes.up()
        names = [tool["name"] for tool in (await pipes.hears())["result"]["tools"]]
        assert "interlock_wait" in names


async def test_a_call_cancelled_before_the_gate_is_up_is_never_judged(
    store: RedisStore, tmp_path: Path
) -> None:
    async with piped(store, tmp_path) as pipes:
        await pipes.call(1, "write")
        await pipes.cancel(1)
        pipes.up()
        await pipes.call(2, "echo")
        assert (await pipes.hears())["id"] == 2
        assert (await store.held(None, 1)).actions == ()
        assert pipes.written() == 0


async def test_a_gate_that_does_not_come_up_lets_nothing_through(
    store: RedisStore, tmp_path: Path
) -> None:
    async with piped(store, tmp_path) as pipes:
        await pipes.call(1, "echo")
        pipes.ready.set_exception(StoreUnavailable("There is no store. Nothing was sent."))
        assert (await pipes.hears())["error"]["message"].startswith("There is no store")


async def test_a_call_cancelled_at_the_server_is_passed_on_and_not_answered(
    store: RedisStore, tmp_path: Path
) -> None:
    async with piped(store, tmp_path) as pipes:
        pipes.up()
        await pipes.call(1, "keep")
        assert (await pipes.hears())["method"] == "notifications/kept"
        await pipes.cancel(1)
        heard = await pipes.hears()
        assert (heard["method"], heard["params"]["requestId"]) == ("notifications/heard", 1)
        await pipes.call(2, "release")
        assert (await pipes.hears())["id"] == 2
        assert pipes.wrote.empty()


async def test_a_repeat_is_answered_with_its_own_id_and_runs_nothing_again(
    store: RedisStore, tmp_path: Path
) -> None:
    async with piped(store, tmp_path) as pipes:
        pipes.up()
        await pipes.call("one", "write", line=1)
        await pipes.call("two", "write", line=1)
        await pipes.world.says(await held(pipes.world))
        answers = {}
        for _ in range(2):
            answer = await pipes.hears()
            answers[answer["id"]] = answer["result"]["content"][0]["text"]
        assert answers == dict.fromkeys(("one", "two"), 'write {"line": 1}')
        assert pipes.written() == 1


async def test_more_requests_than_can_be_kept_are_refused(
    store: RedisStore, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(unanswered, "MOST_OPEN", 3)
    async with piped(store, tmp_path) as pipes:
        for given in range(3):
            await pipes.call(given, "silent")
        await pipes.call("more", "silent")
        answer = await pipes.hears()
        assert (answer["id"], answer["error"]["code"]) == ("more", stdio.TOO_MANY)


async def test_requests_of_more_bytes_than_can_be_kept_are_refused_until_some_are_answered(
    store: RedisStore, tmp_path: Path, monkeypatch: Any
) -> None:
    """Fault caught: a thousand open requests of the largest size take all memory."""
    monkeypatch.setattr(unanswered, "MOST_BYTES", 2000)
    async with piped(store, tmp_path) as pipes:
        await pipes.call(1, "echo", text="x" * 3000)  # one alone may be of any size
        await pipes.call(2, "echo")
        answer = await pipes.hears()
        assert (answer["id"], answer["error"]["code"]) == (2, stdio.TOO_MANY)
        pipes.up()
        assert (await pipes.hears())["id"] == 1
        await pipes.call(3, "echo")
        assert (await pipes.hears())["id"] == 3


async def test_a_call_cancelled_at_once_is_taken_back_and_never_sent(
    store: RedisStore, tmp_path: Path
) -> None:
    async with piped(store, tmp_path) as pipes:
        pipes.up()
        await pipes.call(1, "write")
        await pipes.cancel(1)
        await pipes.call(2, "echo")
        assert (await pipes.hears())["id"] == 2
        async with asyncio.timeout(PATIENCE):
            while (await store.held(None, 1)).actions or pipes.conversation.waiting:
                await asyncio.sleep(0)
        assert pipes.wrote.empty()
        assert pipes.written() == 0


async def test_a_call_that_another_request_waits_for_outlives_a_cancellation(
    store: RedisStore, tmp_path: Path
) -> None:
    async with piped(store, tmp_path) as pipes:
        pipes.up()
        await pipes.call("one", "write")
        action = await held(pipes.world)
        await pipes.call("two", "write")
        await both_wait(pipes, action)
        await pipes.cancel("one")
        await pipes.call("three", "echo")
        assert (await pipes.hears())["id"] == "three"
        await pipes.world.says(action)
        answer = await pipes.hears()
        assert (answer["id"], pipes.written()) == ("two", 1)


async def both_wait(pipes: Pipes, action: Action) -> None:
    async with asyncio.timeout(PATIENCE):
        while not pipes.judging.calls._waiting.others_wait(action.id):  # type: ignore[attr-defined]
            await asyncio.sleep(0)
