"""The tools that Interlock adds: waiting for one's own calls, and taking them back."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from interlock.core.actions import State
from interlock.core.messages import MODERN
from interlock.ingress.mcp.session import Holding
from tests.ingress.mcp.conversation import Start, text

A_MINUTE = Holding(seconds=60.0)


async def test_the_model_can_wait_for_its_call(talk: Start) -> None:
    client = talk(holding=replace(A_MINUTE, seconds=0.01))
    await client.call(arguments={"path": "a"})
    action = await client.held()
    still = await client.call("interlock_wait", arguments={"call": action.id, "seconds": 0})
    client.caller = replace(client.caller, holding=A_MINUTE)
    waits = client.start(client.call("interlock_wait", arguments={"call": action.id}))
    while not client.calls._waiting._count.get(action.id):
        await asyncio.sleep(0.005)
    await client.world.says(action)

    assert text(still).startswith("NOT EXECUTED YET.")
    answer = await waits
    assert text(answer) == 'done {"path": "a"}' and answer["id"] == 3
    assert len(client.files.ran) == 1


async def test_the_model_can_take_its_call_back(talk: Start) -> None:
    client = talk()
    await client.call()
    action = await client.held()

    first = await client.call("interlock_cancel", arguments={"call": action.id})
    again = await client.call("interlock_cancel", arguments={"call": action.id})

    assert text(first) == text(again) and text(first).startswith("NOT EXECUTED.")
    assert (await client.world.now(action)).state is State.CANCELLED


async def test_what_ran_cannot_be_taken_back(talk: Start) -> None:
    client = talk()
    await client.call()
    action = await client.held()
    await client.world.says(action)
    await client.world.quiet()

    answer = await client.call("interlock_cancel", arguments={"call": action.id})

    assert text(answer).startswith("TOO LATE.") and len(client.files.ran) == 1


@pytest.mark.parametrize("tool", ["interlock_wait", "interlock_cancel"])
async def test_nobody_waits_for_or_takes_back_the_calls_of_others(talk: Start, tool: str) -> None:
    client = talk()
    await client.call()
    action = await client.held()
    eve = replace(client.caller, agent=replace(client.caller.agent, id="eve"))

    answer = await client.send(client.message(tool, arguments={"call": action.id}), eve)

    assert text(answer).startswith("NOT FOUND.")
    assert (await client.world.now(action)).state is State.HELD


@pytest.mark.parametrize("tool", ["interlock_wait", "interlock_cancel"])
async def test_nobody_waits_for_or_takes_back_a_practice_call(talk: Start, tool: str) -> None:
    client = talk()
    await client.call()
    real = await client.held()
    assert real.decision is not None
    decoy = await client.gate.plant(real.call, real.decision, "a0")

    answer = await client.call(tool, arguments={"call": decoy.id})

    assert text(answer).startswith("NOT FOUND.")
    assert (await client.world.now(decoy)).state is State.HELD


async def test_an_answer_that_is_no_plain_result_is_left_to_the_call_itself(talk: Start) -> None:
    client = talk(version=MODERN)
    client.files.result = {"resultType": "input_required", "requestState": "the server's"}
    await client.call()
    action = await client.held()
    await client.world.says(action)
    await client.world.quiet()

    waited = await client.call("interlock_wait", arguments={"call": action.id})
    itself = await client.call()

    assert "Send the same call again" in text(waited)
    assert itself["result"]["requestState"] == "the server's" and len(client.files.ran) == 1


async def test_own_tools_say_what_is_wrong_with_their_arguments(talk: Start) -> None:
    client = talk()

    for arguments in ({}, {"call": 1}, {"call": "a", "x": 1}, {"call": "a", "seconds": True}):
        answer = await client.call("interlock_wait", arguments=arguments)
        assert text(answer).startswith("NOT EXECUTED. `interlock_wait`")


async def test_where_own_tools_are_not_offered_their_names_are_the_servers(talk: Start) -> None:
    client = talk(own_tools=False)

    answer = await client.call("interlock_wait", arguments={"call": "a1"})

    assert text(answer).startswith("NOT EXECUTED YET.")
    held = await client.held()
    assert held.call.mcp is not None and held.call.mcp.name == "interlock_wait"
