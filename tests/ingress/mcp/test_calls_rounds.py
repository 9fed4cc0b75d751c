"""Rounds of 2026-07-28: a client that comes back with a state gets its own call, and only that."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from interlock.core.actions import Verdict
from interlock.core.digest import fingerprint
from interlock.core.errors import MalformedCall
from interlock.core.messages import MODERN
from interlock.ingress.mcp.reading import read_call
from interlock.ingress.mcp.rounds import Round, issue
from interlock.ingress.mcp.session import Holding
from tests.ingress.mcp.conversation import KEY, Start, text

ROUNDS = Holding(seconds=0.0, rounds=3, round_seconds=0.01)


async def test_rounds_are_offered_so_often_and_then_the_ticket(talk: Start) -> None:
    client = talk(holding=ROUNDS, version=MODERN)
    message, tokens = client.message(), []
    answer = await client.send(message)
    while answer["result"]["resultType"] == "input_required":
        tokens.append(answer["result"]["requestState"])
        answer = await client.send(client.message(requestState=tokens[-1]))

    assert len(set(tokens)) == 3 and text(answer).startswith("NOT EXECUTED YET.")
    assert answer["result"]["resultType"] == "complete" and client.files.ran == []
    await client.held()


async def test_a_call_approved_between_rounds_is_answered_and_ran_once(talk: Start) -> None:
    client = talk(holding=ROUNDS, version=MODERN)
    token = (await client.call())["result"]["requestState"]
    await client.world.says(await client.held())
    await client.world.quiet()

    answer = await client.call(requestState=token)
    again = await client.call(requestState=token)

    assert text(answer) == text(again) == "done {}" and (answer["id"], again["id"]) == (2, 3)
    assert len(client.files.ran) == 1
    assert "requestState" not in client.files.ran[0]


async def test_an_approval_during_a_round_streams_to_the_request_that_came_back(
    talk: Start,
) -> None:
    client = talk(holding=replace(ROUNDS, round_seconds=0.0), version=MODERN)
    token = (await client.call())["result"]["requestState"]
    client.caller = replace(client.caller, holding=replace(ROUNDS, round_seconds=60.0))
    back = client.start(client.call(requestState=token))
    action = await client.held()
    while not client.calls._waiting._count.get(action.id):
        await asyncio.sleep(0.005)

    await client.world.says(action)

    answer = await back
    assert answer["id"] == 2 and text(answer) == "done {}" and len(client.files.ran) == 1


async def test_the_servers_own_state_is_kept_while_ours_goes_back_and_forth(talk: Start) -> None:
    client = talk(holding=ROUNDS, version=MODERN)
    inputs = {"name": {"action": "accept"}}
    first = await client.call(requestState="the server's", inputResponses=inputs)
    token = first["result"]["requestState"]
    second = await client.call(requestState=token, inputResponses={})
    await client.world.says(await client.held())
    await client.world.quiet()

    answer = await client.call(requestState=second["result"]["requestState"])

    assert text(answer) == "done {}" and len(client.files.ran) == 1
    assert client.files.ran[0]["requestState"] == "the server's"
    assert client.files.ran[0]["inputResponses"] == inputs


@pytest.mark.parametrize("tool", ["read", "write"])
async def test_a_token_of_another_call_runs_nothing(talk: Start, tool: str) -> None:
    client = talk(holding=ROUNDS, version=MODERN)
    token = (await client.call())["result"]["requestState"]
    await client.world.says(await client.held(), verdict=Verdict.REJECT)

    with pytest.raises(MalformedCall, match="belongs to another call"):
        await client.call(tool, requestState=token, arguments={"path": "b"})

    assert client.files.ran == []


async def test_a_token_of_another_agent_runs_nothing(talk: Start) -> None:
    client = talk(holding=ROUNDS, version=MODERN)
    token = (await client.call())["result"]["requestState"]
    eve = replace(client.caller, agent=replace(client.caller.agent, id="eve"))

    with pytest.raises(MalformedCall, match="was not given to you"):
        await client.send(client.message(requestState=token), eve)


async def test_a_token_that_is_too_old_counts_as_none(talk: Start) -> None:
    client = talk(holding=ROUNDS, version=MODERN)
    token = (await client.call())["result"]["requestState"]
    client.clock.now += 200_000

    answer = await client.call(requestState=token)

    assert answer["result"]["resultType"] == "input_required" and client.files.ran == []
    await client.held()


@pytest.mark.parametrize("continues", [True, False])
async def test_a_token_of_a_call_that_is_forgotten_runs_nothing_unjudged(
    talk: Start, continues: bool
) -> None:
    client = talk(holding=ROUNDS, version=MODERN)
    call = read_call(client.message(), client.caller, None)
    held = Round(
        action="gone",
        fingerprint=fingerprint(call),
        number=1,
        expires=client.clock.now + 1,
        continues=continues,
    )
    message = client.message(requestState=issue(held, "bot", "files", KEY))

    if continues:
        with pytest.raises(MalformedCall, match="has lapsed"):
            await client.send(message)
    else:
        assert (await client.send(message))["result"]["resultType"] == "input_required"
        await client.held()
    assert client.files.ran == []
