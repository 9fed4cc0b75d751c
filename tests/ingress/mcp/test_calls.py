"""Calls of tools, as conversations of a client with a gate: what is told, and what ever ran."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from interlock.core.actions import Verdict
from interlock.core.errors import MalformedCall, UpstreamLost, UpstreamUnreachable
from interlock.core.messages import MODERN, message_of
from interlock.ingress.mcp import waiting
from interlock.ingress.mcp.session import Holding
from interlock.ports import Limits
from interlock.store.redis import RedisStore
from tests.ingress.mcp.conversation import Start, Talk, text
from tests.support.stores import Server, fresh_prefix

A_MINUTE = Holding(seconds=60.0)
CALL = "dev.interlock/call"


# without people ----------------------------------------------------------------------------


@pytest.mark.parametrize("events", [False, True])
async def test_an_allowed_call_gets_the_servers_own_answer(talk: Start, events: bool) -> None:
    client = talk()
    client.files.events = events

    answer = await client.call("read", arguments={"path": "a"})

    assert answer["id"] == 1 and text(answer) == 'done {"path": "a"}'
    assert len(client.files.ran) == 1


async def test_a_denied_call_says_so_and_never_reaches_the_server(talk: Start) -> None:
    client = talk()

    answer = await client.call("wipe")

    assert text(answer).startswith("NOT EXECUTED. Policy refused this call")
    assert answer["result"]["isError"] is False and client.files.ran == []
    assert answer["result"]["_meta"][CALL]["executed"] is False


async def test_a_server_that_cannot_be_reached_is_told_as_a_result(talk: Start) -> None:
    client = talk()
    await client.call("read")
    client.files.fails = [UpstreamUnreachable("refused")]

    answer = await client.call("read")

    assert text(answer).startswith("NOT EXECUTED. refused")
    assert answer["result"]["isError"] is True, "the client knows its outputSchema"


async def test_a_lost_answer_is_told_as_unknown(talk: Start) -> None:
    client = talk()
    await client.call("read")
    client.files.fails = [UpstreamLost("cut")]

    answer = await client.call("read")

    assert text(answer).startswith("OUTCOME UNKNOWN.")
    assert answer["result"]["_meta"]["net.openid.authzen/disposition"] == "execution-error"


async def test_a_full_queue_is_told_as_a_result(server: Server) -> None:
    store = RedisStore(server.url, fresh_prefix(), Limits(held_per_agent=1))
    client = Talk(store)
    await client.call(arguments={"path": "a"})

    answer = await client.call(arguments={"path": "b"})

    assert text(answer).startswith("NOT EXECUTED. ") and "Try again" in text(answer)
    await store.close()


@pytest.mark.parametrize("tool", ["read", "write"])
async def test_a_stopped_agent_is_told_so_in_a_result(talk: Start, tool: str) -> None:
    client = talk()
    store = client.world.store
    await store.client.hset(f"{store._prefix}:stopped", "-", "{}")

    answer = await client.call(tool)

    assert text(answer).startswith("NOT EXECUTED. This agent was stopped by a person.")
    assert "Do not retry it" in text(answer) and client.files.ran == []
    assert answer["result"]["_meta"][CALL] == {"state": "agent-suspended", "executed": False}


async def test_a_store_that_is_away_lets_nothing_through(own_server: Server) -> None:
    store = RedisStore(own_server.url)
    client = Talk(store)
    await client.call("read")
    own_server.kill()

    answer = await client.call("read")

    assert text(answer).startswith("NOT EXECUTED.") and len(client.files.ran) == 1
    await store.close()


# held --------------------------------------------------------------------------------------


async def test_a_held_call_is_told_as_waiting_and_runs_once_when_approved(talk: Start) -> None:
    client = talk()

    first = await client.call(arguments={"path": "a"})
    assert text(first).startswith("NOT EXECUTED YET.") and client.files.ran == []
    await client.world.says(await client.held())
    await client.world.quiet()
    second = await client.call(arguments={"path": "a"})
    third = await client.call(arguments={"path": "a"})

    assert text(second) == text(third) == 'done {"path": "a"}'
    assert (second["id"], third["id"]) == (2, 3) and len(client.files.ran) == 1


async def test_a_call_that_is_approved_while_it_waits_is_answered_on_its_request(
    talk: Start,
) -> None:
    client = talk(holding=A_MINUTE)
    asked = client.start(client.call())

    await client.world.says(await client.held())

    assert text(await asked) == "done {}" and len(client.files.ran) == 1


async def test_a_rejection_reaches_the_model_with_its_quoted_reason(talk: Start) -> None:
    client = talk(holding=A_MINUTE)
    asked = client.start(client.call())

    await client.world.says(await client.held(), verdict=Verdict.REJECT)

    said = text(await asked)
    assert said.startswith("NOT EXECUTED. A person reviewed this call and rejected it: ")
    assert '"looked at it"' in said and client.files.ran == []


async def test_a_person_may_answer_in_the_tools_place(talk: Start) -> None:
    client = talk(holding=A_MINUTE)
    asked = client.start(client.call())

    await client.world.says(await client.held(), verdict=Verdict.RESPOND)

    answer = await asked
    assert '"looked at it"' in text(answer) and client.files.ran == []
    assert answer["result"]["_meta"][CALL]["state"] == "responded"


async def test_while_it_waits_the_client_is_told_of_progress(
    talk: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "KEEP", 0.01)
    client = talk(holding=A_MINUTE)
    asked = client.start(client.call(meta={"progressToken": "p"}))
    while len(client.line.kept) < 3:
        await asyncio.sleep(0.005)

    await client.world.says(await client.held())
    await asked

    steps = list(client.progressing())
    assert steps == sorted(set(steps)) and steps[-1] < 1


async def test_two_requests_for_one_call_ask_people_once_and_get_one_answer(talk: Start) -> None:
    client = talk(holding=A_MINUTE)
    both = [client.start(client.call()) for _ in range(2)]

    action = await client.held()
    while client.calls._waiting._count.get(action.id, 0) < 2:
        await asyncio.sleep(0.005)
    await client.world.says(action)
    answers = await asyncio.gather(*both)

    assert {answer["id"] for answer in answers} == {1, 2}
    assert {text(answer) for answer in answers} == {"done {}"} and len(client.files.ran) == 1


async def test_an_approved_call_that_could_not_be_sent_is_sent_when_it_is_asked_again(
    talk: Start,
) -> None:
    client = talk()
    await client.call()
    client.files.fails = [UpstreamUnreachable("refused")]
    action = await client.world.says(await client.held())
    await client.world.quiet()

    told = await client.call("interlock_wait", arguments={"call": action.id})

    assert text(told) == "done {}" and len(client.files.ran) == 1


async def test_a_task_is_given_where_the_client_declares_them(talk: Start) -> None:
    class AsTask:
        async def submit(self, call: Any, message: Any, caller: Any) -> Any:
            return await client.gate.submit(call)

        async def held(self, action: Any, message: Any, caller: Any) -> Any:
            return {"jsonrpc": "2.0", "id": message.id, "result": {"task": action.id}}

    client = talk(version=MODERN, tasks=AsTask())
    plain = await client.call()
    declared = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
    client.caller = replace(client.caller, capabilities=declared)
    task = await client.call()

    assert "content" in plain["result"]
    assert task["result"] == {"task": (await client.held()).id}


# what is judged ----------------------------------------------------------------------------


async def test_a_call_without_an_id_is_refused(talk: Start) -> None:
    client = talk()
    document = {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "read"}}

    with pytest.raises(MalformedCall, match="must have an `id`"):
        await client.send(message_of(document))
    assert client.files.ran == []


async def test_what_is_gated_besides_tools_is_refused_by_an_error(talk: Start) -> None:
    client = talk(gates=frozenset({"resources/read"}))
    message = client.message(method="resources/read", uri="file:///a")

    answer = await client.send(message)

    assert answer["error"]["code"] == 31403 and client.files.ran == []
    assert answer["error"]["message"].startswith("NOT EXECUTED YET.")
    assert (await client.held()).call.content.value == {"uri": "file:///a"}


async def test_a_server_is_listed_before_its_first_tool_is_judged(talk: Start) -> None:
    client = talk()
    client.files.page = 2

    await client.call("read")
    await client.call("read")

    assert len(client.files.lists) == 2 and client.listed.times == 1
    assert client.files.calls[0].mcp is not None
    assert client.files.calls[0].mcp.definition.startswith("sha256:")


async def test_what_cannot_be_listed_is_not_accepted(talk: Start) -> None:
    client = talk()
    client.files.fails = [UpstreamUnreachable("refused")]

    answer = await client.call("read")

    assert text(answer).startswith("NOT EXECUTED YET.") and client.files.ran == []
    held = await client.held()
    assert held.decision is not None and held.decision.reason == "definition_changed"


async def test_a_changed_definition_is_held(talk: Start) -> None:
    client = talk()
    client.listed.changed = {"read"}

    assert text(await client.call("read")).startswith("NOT EXECUTED YET.")
    assert client.files.ran == []
