"""Calls of tools, as conversations of a client with a gate: what is told, and what ever ran."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from interlock.core.actions import State, Verdict
from interlock.core.digest import fingerprint
from interlock.core.errors import MalformedCall, UpstreamLost, UpstreamUnreachable
from interlock.core.messages import message_of
from interlock.ingress.mcp import waiting
from interlock.ingress.mcp.reading import read_call
from interlock.ingress.mcp.rounds import Round, issue
from interlock.ingress.mcp.session import MODERN, Holding
from interlock.ports import Limits
from interlock.store.redis import RedisStore
from tests.ingress.mcp.conversation import KEY, Talk, text
from tests.support.stores import Server, fresh_prefix

A_MINUTE = Holding(seconds=60.0)
CALL = "dev.interlock/call"
Start = Callable[..., Talk]


@pytest.fixture
async def talk(store: RedisStore) -> AsyncIterator[Start]:
    """Return what starts a conversation; all are ended after the test."""
    begun: list[Talk] = []

    def start(**more: Any) -> Talk:
        begun.append(Talk(store, name=f"t{len(begun)}", **more))
        return begun[-1]

    yield start
    for each in begun:
        await each.calls.close(10)
        await each.gate.close(10)


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
    await client.call()
    await client.world.quiet()

    assert text(told).startswith("NOT EXECUTED. This call is approved")
    assert len(client.files.ran) == 1


async def test_a_task_is_given_where_the_client_declares_them(talk: Start) -> None:
    async def as_task(action: Any, message: Any, caller: Any) -> Any:
        return {"jsonrpc": "2.0", "id": message.id, "result": {"task": action.id}}

    client = talk(version=MODERN, tasks=as_task)
    plain = await client.call()
    declared = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
    client.caller = replace(client.caller, capabilities=declared)
    task = await client.call()

    assert "content" in plain["result"]
    assert task["result"] == {"task": (await client.held()).id}


# going away --------------------------------------------------------------------------------


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


# rounds ------------------------------------------------------------------------------------

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


# own tools ---------------------------------------------------------------------------------


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
