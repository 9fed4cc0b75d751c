"""No retry, token, ticket, task or stream of a gated call is a way past the people who decide."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from interlock.core.actions import State, Verdict
from interlock.core.errors import InterlockError
from interlock.ingress.mcp import rounds
from interlock.ingress.mcp.calls import Calls
from interlock.ingress.mcp.session import MODERN, TASKS
from interlock.ports import Limits
from interlock.store.redis import RedisStore
from tests.promises.mcp_clients import (
    PATIENCE,
    HttpLine,
    Line,
    PipeLine,
    Reply,
    StreamLine,
    said_in,
)
from tests.promises.mcp_world import ERAS, TRANSPORTS, Shop
from tests.support.faults import noticed
from tests.support.stores import Server, fresh_prefix

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    store = RedisStore(server.url, fresh_prefix(), Limits(held_per_agent=10**6))
    made = Shop(store, tmp_path_factory.mktemp("shop"))
    await made.start()
    yield made
    await made.stop()
    await store.close()


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=[(transport, era) for transport in TRANSPORTS for era in ERAS],
    ids=lambda each: "-".join(each),
)
async def line(shop: Shop, request: pytest.FixtureRequest) -> Line:
    transport, era = request.param
    return await shop.line(transport, era)


def dumped(document: Any) -> bytes:
    return json.dumps(document).encode()


async def held(line: Line, **params: Any) -> tuple[dict[str, Any], Reply]:
    """Call what waits for people; return the call and its answer."""
    line.shop.forget()
    call = line.call("buy_all", **params)
    reply = await line.ask(call)
    return call, reply


def reference(reply: Reply) -> str:
    found: str = reply.documents[-1]["result"]["_meta"]["dev.interlock/call"]["id"]
    return found


def own(line: Line, name: str, call: str) -> dict[str, Any]:
    return line.request("tools/call", {"name": name, "arguments": {"call": call}})


async def again(shop: Shop, line: Line, call: dict[str, Any], *ids: Any) -> list[str]:
    """Send *call* again, under ids of its own and of others."""
    told = []
    for given in (call["id"], *ids, f"again-{call['id']}", next(shop.ids)):
        told += said_in(await line.ask({**call, "id": given}))
    assert not shop.ran()
    return told


ENDS = {
    State.REJECTED: "NOT EXECUTED",
    State.CANCELLED: "NOT EXECUTED",
    State.EXPIRED: "NOT EXECUTED",
}


@pytest.mark.parametrize("end", ENDS)
async def test_promise_18_a_retry_after_the_end_runs_nothing(
    shop: Shop, line: Line, end: State
) -> None:
    call, reply = await held(line)
    action = await shop.action(reply)
    if end is State.REJECTED:
        await shop.world.says(action, verdict=Verdict.REJECT)
    elif end is State.CANCELLED:
        await line.ask(own(line, "interlock_cancel", action.id))
    else:
        await shop.world.forge(action, deadline=1)
        await shop.world.gate.sweep()
    found = await shop.store.get(action.id)
    assert found is not None and found.state is end

    for told in await again(shop, line, call):
        assert told.startswith(ENDS[end])
    await line.ask(own(line, "interlock_wait", action.id))
    assert not shop.ran()


async def test_promise_33_another_agents_reference_is_none(shop: Shop, line: Line) -> None:
    if line.transport == "pipe":
        eve = await shop.line("pipe", line.era, agent="eve")
    else:
        eve = await shop.line("free" if line.transport == "session" else line.transport, line.era)
        eve.agent = "eve"
        if isinstance(eve, StreamLine):
            await eve.close()
            eve = await shop.line("sse", line.era, agent="eve")
    _, reply = await held(line)
    mine = reference(reply)

    for name in ("interlock_wait", "interlock_cancel"):
        (told,) = said_in(await eve.ask(own(eve, name, mine)))
        assert told.startswith("NOT FOUND")
    assert (await shop.action(reply)).state is State.HELD
    assert not shop.ran()
    await eve.works()


async def test_promise_44_of_an_approval_and_a_cancellation_one_counts(
    shop: Shop, line: Line
) -> None:
    for _ in range(5):
        _, reply = await held(line)
        action = await shop.action(reply)
        cancel = own(line, "interlock_cancel", action.id)
        async with asyncio.TaskGroup() as racing:
            approving = racing.create_task(_approved(shop, action))
            racing.create_task(line.ask(cancel))
        await shop.world.quiet()
        found = await shop.store.get(action.id)
        assert found is not None
        times = shop.times("buy_all")
        assert (found.state, times) in ((State.CANCELLED, 0), (State.ANSWERED, 1)), approving
    await line.works()


async def _approved(shop: Shop, action: Any) -> bool:
    try:
        await shop.world.says(action)
    except InterlockError:
        return False
    return True


# tokens of rounds ------------------------------------------------------------------------------


async def token(shop: Shop) -> tuple[Line, dict[str, Any], str]:
    line = await shop.line("free", MODERN, agent="rounds")
    call, reply = await held(line)
    result = reply.documents[0]["result"]
    assert result["resultType"] == "input_required"
    return line, call, result["requestState"]


def with_state(call: dict[str, Any], state: Any, **more: Any) -> dict[str, Any]:
    return {**call, "params": {**call["params"], "requestState": state, **more}}


async def tokens_run_nothing(shop: Shop) -> None:
    line, call, state = await token(shop)
    other, eve = line.call("wipe_all"), await shop.line("free", MODERN, agent="eve")
    head, _, mac = state.rpartition(".")
    forged = (f"{head}.{mac[::-1]}", f"{head[:-4]}AAAA.{mac}", f"{head}.", state[:-2], f"{state} ")
    for asker, said in (
        (line, with_state(call, state)),
        (line, with_state(call, state, inputResponses={})),
        (line, with_state(call, state, inputResponses={"a": {"action": "accept"}})),
        (line, with_state(other, state)),
        (line, with_state(line.call("buy_all"), state)),
        (line, with_state(line.call("look"), state)),
        (eve, with_state(call, state)),
        *((line, with_state(call, each)) for each in forged),
        *((line, with_state(other, each)) for each in forged),
    ):
        reply = await asker.ask(said)
        assert not shop.ran()
        if "error" in reply.documents[0]:
            assert said_in(reply)[0]
    told = await line.ask(with_state(line.call("look"), state))
    assert "error" in told.documents[0], "a state of another call is refused"


async def test_promise_19_a_token_of_a_round_sends_nothing(shop: Shop) -> None:
    await tokens_run_nothing(shop)


async def test_promise_19_a_token_that_nobody_checks_would_be_noticed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def harmless(self: Any, message: Any, caller: Any, definition: Any) -> Any:
        held = rounds.redeem(message.params[rounds.STATE], "rounds", "free", b"k" * 32)
        action = await self._gate.get(held.action)
        return action.call, held.number, None

    monkeypatch.setattr(Calls, "_returned", harmless)
    with noticed():
        await tokens_run_nothing(shop)


# tasks -----------------------------------------------------------------------------------------


def declared(line: Line) -> dict[str, Any]:
    return {
        "io.modelcontextprotocol/protocolVersion": line.era,
        "io.modelcontextprotocol/clientCapabilities": {"extensions": {TASKS: {}}},
    }


@pytest.mark.parametrize("transport", ["free", "session"])
async def test_promise_18_a_task_that_waits_runs_by_nothing_that_its_client_says(
    shop: Shop, transport: str
) -> None:
    line = await shop.line(transport, MODERN)
    eve = await shop.line(transport, MODERN, agent="eve")
    call, reply = await held(line, _meta=declared(line))
    task = reply.documents[0]["result"]["taskId"]
    forged = (f"{task}x", "ilt_", "ilt_../x", task.upper(), f" {task}", "of-the-server", "")
    for asker in (eve, line):
        for method in ("get", "result", "list", "update", "cancel"):
            for name in (task, *forged) if method != "cancel" or asker is eve else forged:
                params = {"taskId": name, "inputResponses": {"1.a": {}}, "_meta": declared(asker)}
                said = asker.request(f"tasks/{method}", params | call["params"] | params)
                reply = await asker.ask(said, Mcp_Name=name)
                assert reply.documents
                assert not shop.ran()
    cancelled = line.request("tasks/cancel", {"taskId": task, "_meta": declared(line)})
    await line.ask(cancelled, Mcp_Name=task)
    await line.ask({**call, "id": "after"})
    assert not shop.ran()
    await line.works()


async def test_promise_28_tasks_of_older_eras_run_nothing(shop: Shop, line: Line) -> None:
    shop.forget()
    call = line.call("buy_all", task={"ttl": 1000})
    await line.ask(call)
    for method in ("get", "result", "list", "update", "cancel"):
        said = {**call["params"], "taskId": "t1"}
        reply = await line.ask(line.request(f"tasks/{method}", said))
        assert reply.documents
    assert not shop.ran()


# streams ---------------------------------------------------------------------------------------


async def test_promise_33_another_agents_stream_takes_no_message(shop: Shop) -> None:
    bot = await shop.line("sse", ERAS[0])
    eve = await shop.line("sse", ERAS[0], agent="eve")
    assert isinstance(bot, StreamLine) and isinstance(eve, StreamLine)
    shop.forget()
    mine = bot.endpoint
    for tool in ("look", "wipe_all", "buy_all"):
        call = eve.call(tool)
        for place in (
            *(mine, mine.replace("/messages", ""), "/mcp/sse/messages", mine + "x"),
            *(f"{mine}&stream=1", f"/mcp/sse/messages?stream=1&{mine.partition('?')[2]}"),
            mine.replace("/sse/", "/free/"),
        ):
            reply = await eve.http("POST", place, dumped(call), eve.headers(call))
            assert 400 <= reply.status < 500, place
    assert await bot.heard() == [] and not shop.up.heard_of("tools/call")
    await bot.works()
    await eve.works()


async def test_promise_33_a_session_of_another_agent_is_none(shop: Shop) -> None:
    bot = await shop.line("session", "2025-06-18")
    eve = HttpLine(shop, "session", "2025-06-18", "eve")
    eve.session = bot.session
    shop.forget()

    reply = await eve.ask(eve.call("look"))

    assert reply.status == 404 and not shop.up.heard_of("tools/call")
    eve.hang_up()


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("tool", ["wipe_all", "buy_all", "mystery", "shift_all"])
async def test_promise_30_a_line_that_ends_with_the_pipe_is_judged(
    shop: Shop, tool: str, end: bytes
) -> None:
    line = await shop.line("pipe", ERAS[-2])
    assert isinstance(line, PipeLine)
    shop.forget()
    body = dumped(line.call(tool))
    line.writer.write(body[:-5])
    line.writer.write(body[-5:] + end)
    line.writer.write_eof()
    async with asyncio.timeout(PATIENCE):
        answer = await line.reader.readline()

    assert b"NOT EXECUTED" in answer
    assert not shop.ran()
