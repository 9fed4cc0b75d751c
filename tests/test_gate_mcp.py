"""Calls of MCP tools through the gate: who sends them, where, and who gets the answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from interlock.core.actions import Action, Agent, McpTool, State, ToolCall, Verdict
from interlock.core.digest import digest, fingerprint, seal
from interlock.core.errors import InvalidEdit, StoreUnavailable, UpstreamUnreachable
from interlock.core.messages import TOOLS_CALL, call_content, write_message
from interlock.mcp_ports import Definition
from interlock.policies.load import read_policies
from interlock.store.redis import RedisStore
from tests.support.builders import ANN
from tests.support.fakes import POLICY, Tool, World

PAYS = """
  - id: bank.pay
    description: Moves money.
    mcp: {server: bank, tool: pay}
    reversibility: reversible
    undo: {reason: It can be paid back.}
    facets: {data: confidential}
"""
GONE = UpstreamUnreachable("The server has forgotten this session.")


@dataclass
class Pipe(Tool):
    """An upstream that only some process can send to: the one whose connection it is."""

    mine: str = ""

    def serves(self, call: ToolCall) -> bool:
        return call.mcp is not None and call.mcp.session == self.mine


@dataclass
class Said:
    """ports.Definitions: what the server says now."""

    hash: str = "sha256:aa"
    schema: Mapping[str, Any] = field(default_factory=dict)
    unfit: str = ""

    def current(self, server: str, tool: str) -> Definition:
        return Definition(
            server=server,
            tool=tool,
            hash=self.hash,
            document={"name": tool, "inputSchema": self.schema},
            accepted=True,
            invalid=lambda arguments: self.unfit,
        )

    def known(self, server: str) -> bool:
        return True

    async def listed(self, server: str, tools: Sequence[Mapping[str, Any]], *, whole: bool) -> None:
        """Nothing lists here."""


def pay(session: str = "s1", id: int = 1) -> ToolCall:
    params = {"name": "pay", "arguments": {"to": "bob", "amount": 5}}
    body = write_message({"jsonrpc": "2.0", "id": id, "method": TOOLS_CALL, "params": params})
    return seal(
        ToolCall(
            agent=Agent(id="bot", owner="olga"),
            upstream="bank",
            method=TOOLS_CALL,
            target="/",
            body=body,
            content=call_content(body),
            mcp=McpTool(name="pay", definition="sha256:aa", session=session),
        )
    )


def a_world(store: RedisStore, name: str, tool: Tool, **more: Any) -> World:
    policy = read_policies([("bank.yaml", POLICY + PAYS)])
    return World(store, name, tool=tool, policy=policy, **more)


@pytest.fixture
async def world(store: RedisStore) -> AsyncIterator[World]:
    made = a_world(store, "a", Tool(), definitions=Said())
    yield made
    await made.gate.close(10)


async def held(world: World, call: ToolCall) -> Action:
    action = (await world.gate.submit(call)).action
    assert action.state is State.HELD
    return action


async def test_who_waits_for_a_held_call_gets_its_answer_as_it_streams(world: World) -> None:
    """Fault caught: a tool that asks its caller something is answered by nobody."""
    action = await held(world, pay())
    following = asyncio.ensure_future(world.gate.follow(action, 60))
    await asyncio.sleep(0)
    await world.says(action)

    submission = await following

    assert submission.relay is not None
    assert [chunk async for chunk in submission.relay.chunks()] == [b"pa", b"id"]
    async with submission.relay:
        pass
    done = await world.now(action)
    assert done.state is State.ANSWERED and done.answer is not None and done.answer.body == b"paid"


async def test_an_answer_whose_caller_has_gone_is_read_to_its_end(world: World) -> None:
    world.tool.free = asyncio.Event()
    action = await held(world, pay())
    following = asyncio.ensure_future(world.gate.follow(action, 60))
    await asyncio.sleep(0)
    await world.says(action)
    await world.tool.busy.wait()
    following.cancel()
    await asyncio.wait({following})
    world.tool.free.set()

    done = await world.now(action)

    assert done.answer is not None and done.answer.body == b"paid" and done.answer.complete


@pytest.mark.parametrize("cancelled", [True, False])
async def test_an_answer_whose_caller_goes_as_it_comes_is_recorded(
    world: World, monkeypatch: pytest.MonkeyPatch, cancelled: bool
) -> None:
    """Fault caught: the answer was taken, its taker ends, and the record says unknown."""
    action = await held(world, pay())
    read, reading = world.store.get, asyncio.Event()

    async def slow(action_id: str) -> Action | None:
        if world.tool.sent:
            reading.set()
            if not cancelled:
                raise StoreUnavailable("gone")
            await asyncio.Event().wait()
        return await read(action_id)

    following = asyncio.ensure_future(world.gate.follow(action, 60))
    await asyncio.sleep(0)
    monkeypatch.setattr(world.gate._callers, "get", slow)
    await world.says(action)
    await reading.wait()
    following.cancel()
    await asyncio.wait({following})

    done = await world.now(action)

    assert done.state is State.ANSWERED and done.answer is not None and done.answer.body == b"paid"


def test_calls_of_two_commands_of_one_name_are_two_calls() -> None:
    """Fault caught: two projects start a server of one name, and one runs the other's call."""
    there = replace(pay("s1"), mcp=replace(pay("s1").mcp, command="lab.py in /a (1)"))
    here = replace(pay("s2"), mcp=replace(pay("s2").mcp, command="lab.py in /b (2)"))

    assert fingerprint(there) != fingerprint(here) and digest(there) != digest(here)


async def test_of_two_who_wait_one_gets_the_stream_and_the_other_what_is_kept(world: World) -> None:
    action = await held(world, pay())
    first = asyncio.ensure_future(world.gate.follow(action, 60))
    await asyncio.sleep(0)
    joined = await world.gate.submit(pay(id=2))
    second = asyncio.ensure_future(world.gate.follow(joined.action, 60))
    await asyncio.sleep(0)
    await world.says(action)
    streaming = await first
    assert joined.joined and streaming.relay is not None
    await streaming.relay.drain()

    other = await second

    assert other.relay is None and other.action.answer is not None
    assert other.action.answer.body == b"paid" and len(world.tool.sent) == 1


async def test_time_that_runs_out_leaves_the_call_held(world: World) -> None:
    action = await held(world, pay())

    submission = await world.gate.follow(action, 0.01)

    assert submission.relay is None and submission.action.state is State.HELD


async def test_only_the_process_that_has_the_pipe_sends(store: RedisStore) -> None:
    """Fault caught: the page's process claims a call that it cannot send, and it is lost."""
    page = a_world(store, "p", Pipe(mine=""))
    wrapper = a_world(store, "w", Pipe(mine="s1"))
    action = await held(wrapper, pay("s1"))
    following = asyncio.ensure_future(wrapper.gate.follow(action, 60))
    await asyncio.sleep(0)

    await page.says(action)
    submission = await following

    assert page.tool.sent == [] and [call.mcp for call in wrapper.tool.sent] == [pay("s1").mcp]
    assert submission.relay is not None
    await submission.relay.drain()
    assert (await wrapper.now(action)).state is State.ANSWERED
    await page.gate.close(10)
    await wrapper.gate.close(10)


async def test_a_sweep_leaves_what_others_send_alone_and_sends_its_own(store: RedisStore) -> None:
    page, wrapper = a_world(store, "p", Pipe()), a_world(store, "w", Pipe(mine="s1"))
    action = await held(wrapper, pay("s1"))
    await page.says(action)
    await page.gate.sweep()
    assert (await page.now(action)).state is State.APPROVED

    await wrapper.gate.sweep()

    assert (await wrapper.now(action)).state is State.ANSWERED
    assert (page.tool.sent, len(wrapper.tool.sent)) == ([], 1)
    await page.gate.close(10)
    await wrapper.gate.close(10)


async def test_a_repeat_on_a_new_connection_sends_what_was_approved_for_a_dead_one(
    store: RedisStore,
) -> None:
    """Fault caught: the client restarts between approval and send, and people are asked again."""
    world = a_world(store, "w", Pipe(mine="s2"))
    action = await held(world, pay("s1"))
    await world.says(action)
    assert (await world.now(action)).state is State.APPROVED and world.tool.sent == []

    again = await world.gate.submit(pay("s2", id=9))

    assert again.joined and (await world.now(action)).state is State.ANSWERED
    assert [call.mcp.session for call in world.tool.sent if call.mcp] == ["s2"]
    assert [call.body for call in world.tool.sent] == [pay("s1").body]
    await world.gate.close(10)


async def test_who_waits_on_a_new_connection_gets_what_is_approved_meanwhile(
    store: RedisStore,
) -> None:
    """Fault caught: the first client is gone, the second waits, and the approval lapses unsent."""
    world = a_world(store, "w", Pipe(mine="s2"))
    action = await held(world, pay("s1"))
    again = pay("s2", id=9)
    joined = await world.gate.submit(again)
    following = asyncio.ensure_future(world.gate.follow(joined.action, 60, again))
    await asyncio.sleep(0)

    await world.says(action)
    submission = await following

    assert submission.relay is not None
    await submission.relay.drain()
    assert [call.mcp.session for call in world.tool.sent if call.mcp] == ["s2"]
    assert (await world.now(action)).state is State.ANSWERED
    await world.gate.close(10)


async def test_a_session_that_the_server_forgot_is_made_good_by_the_repeat(world: World) -> None:
    world.tool.fails = [GONE]
    action = await held(world, pay("s1"))
    await world.says(action)
    assert (await world.now(action)).state is State.APPROVED

    await world.gate.submit(pay("s2"))

    assert (await world.now(action)).state is State.ANSWERED
    assert [call.mcp.session for call in world.tool.sent if call.mcp] == ["s2"]


async def test_a_tool_that_was_redefined_after_people_saw_it_is_not_called(
    store: RedisStore,
) -> None:
    """Fault caught: the server swaps the tool between approval and send."""
    said = Said()
    world = a_world(store, "a", Tool(), definitions=said)
    action = await held(world, pay())
    said.hash = "sha256:bb"
    await world.says(action)

    done = await world.now(action)

    assert done.state is State.DENIED and "changed the definition" in done.cause
    assert world.tool.sent == []
    await world.gate.close(10)


async def test_an_edit_has_to_fit_what_the_server_lists(store: RedisStore) -> None:
    world = a_world(store, "a", Tool(), definitions=Said(unfit="`amount` is not a number"))
    action = await held(world, pay())

    with pytest.raises(InvalidEdit, match="the tool's own schema: `amount` is not a number"):
        await world.gate.preview(action, {"to": "bob", "amount": "all"})
    await world.gate.close(10)


async def test_an_edit_is_what_the_server_gets(world: World) -> None:
    action = await held(world, pay())
    call, _ = await world.gate.preview(action, {"to": "bob", "amount": 4})

    await world.says(action, ANN, Verdict.EDIT, call=call)
    await world.now(action)

    assert [sent.content.value for sent in world.tool.sent] == [{"to": "bob", "amount": 4}]
    assert world.tool.sent[0].body == call.body != pay().body


def modern(call: ToolCall) -> ToolCall:
    return seal(replace(call, headers=(("MCP-Protocol-Version", "2026-07-28"),)))


READS = PAYS.replace("reversible\n    undo: {reason: It can be paid back.}", "read_only").replace(
    "confidential", "public"
)
TELLS = PAYS.replace("confidential", "internal")


@pytest.mark.parametrize(("tools", "state"), [(READS, State.RESOLVED), (TELLS, State.UNKNOWN)])
async def test_a_modern_client_that_goes_away_ends_its_request_at_the_tool(
    store: RedisStore, tools: str, state: State
) -> None:
    """Fault caught: a user's stop never reaches a tool that works for minutes."""
    world = World(
        store, tool=Tool(free=asyncio.Event()), policy=read_policies([("b.yaml", POLICY + tools)])
    )
    asking = asyncio.ensure_future(world.gate.submit(modern(pay())))
    await world.tool.busy.wait()
    asking.cancel()
    await asyncio.wait({asking})
    await world.quiet()

    action = await store.get("a2")

    assert action is not None and action.state is state and "took it back" in action.cause


async def test_a_held_call_whose_modern_client_left_is_sent_once_it_is_back(world: World) -> None:
    """Fault caught: ghost execution, of a call that its user has stopped."""
    action = await held(world, modern(pay()))
    await world.store.leave(action.id)
    await world.says(action)
    await world.gate.sweep()
    assert (await world.now(action)).state is State.APPROVED and world.tool.sent == []

    again = await world.gate.submit(modern(pay(id=2)))
    await world.store.attend(action.id, 60)
    submission = await world.gate.follow(again.action, 60)

    assert again.joined and submission.relay is not None
    await submission.relay.drain()
    assert len(world.tool.sent) == 1


async def test_a_held_call_whose_older_client_left_is_sent_as_policy_says(world: World) -> None:
    action = await held(world, pay())
    await world.store.leave(action.id)
    await world.says(action)

    assert (await world.now(action)).state is State.ANSWERED


async def test_an_older_client_that_goes_away_has_cancelled_nothing(store: RedisStore) -> None:
    """Fault caught: 2025-11-25 says that a disconnection is no cancellation."""
    free = asyncio.Event()
    world = World(store, tool=Tool(free=free), policy=read_policies([("b.yaml", POLICY + TELLS)]))
    asking = asyncio.ensure_future(world.gate.submit(pay()))
    await world.tool.busy.wait()
    asking.cancel()
    await asyncio.wait({asking})
    free.set()
    await world.quiet()

    action = await store.get("a2")

    assert action is not None and action.state is State.ANSWERED
