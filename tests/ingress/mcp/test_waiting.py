"""Requests that are held open: cancelled, left, and told apart by their ids."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from interlock.core.actions import State, Verdict
from interlock.core.messages import MODERN, message_of
from interlock.ingress.mcp.session import Holding
from tests.ingress.mcp.conversation import Start, text

A_MINUTE = Holding(seconds=60.0)


async def test_a_request_that_is_cancelled_takes_its_call_back(talk: Start) -> None:
    client = talk(holding=A_MINUTE)
    asked = client.start(client.call())
    action = await client.held()
    notice = message_of(
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
    )
    stranger = replace(client.caller, agent=replace(client.caller.agent, id="eve"))

    assert not await client.calls.cancelled(notice, stranger)
    assert await client.calls.cancelled(notice, client.caller)

    assert text(await asked).startswith("NOT EXECUTED. This call was cancelled")
    assert (await client.world.now(action)).state is State.CANCELLED
    assert not await client.calls.cancelled(notice, client.caller), "it is answered"


async def test_a_request_that_others_share_takes_nothing_back(talk: Start) -> None:
    client = talk(holding=A_MINUTE)
    both = [client.start(client.call()) for _ in range(2)]
    action = await client.held()
    while client.calls._waiting._count.get(action.id, 0) < 2:
        await asyncio.sleep(0.005)
    notice = message_of(
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
    )

    assert await client.calls.cancelled(notice, client.caller)

    assert (await client.held()).id == action.id
    await client.world.says(action)
    await asyncio.gather(*both)


async def test_an_id_that_two_requests_share_cancels_neither(talk: Start) -> None:
    client = talk(holding=A_MINUTE)
    message = client.message(arguments={"path": "a"})
    other = client.message(arguments={"path": "b"})
    same = message_of({**other.document, "id": message.id})
    both = [client.start(client.send(each)) for each in (message, same)]
    while len(client.calls._waiting._count) < 2:
        await asyncio.sleep(0.005)
    notice = message_of(
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
    )

    assert not await client.calls.cancelled(notice, client.caller)

    held = (await client.gate.store.held(None, 10)).actions
    for action in held:
        await client.world.says(action, verdict=Verdict.REJECT)
    assert len(held) == 2 and len(await asyncio.gather(*both)) == 2


@pytest.mark.parametrize(("version", "waits"), [("2025-11-25", True), (MODERN, False)])
async def test_a_lost_connection_ends_the_wait_in_the_modern_era_only(
    talk: Start, version: str, waits: bool
) -> None:
    client = talk(holding=A_MINUTE, version=version)
    asked = client.start(client.call())
    action = await client.held()
    while not (await client.gate.store.attended([action.id]))[0]:
        await asyncio.sleep(0.005)

    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    await client.calls.close(10)
    await asyncio.sleep(0.005)

    assert (await client.gate.store.attended([action.id]))[0] is waits
    assert (await client.world.now(action)).state is State.HELD
