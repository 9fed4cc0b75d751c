"""MCP over HTTP through Interlock: what passes, what is judged, and how each refusal reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web

from interlock.ingress.mcp.session import Holding
from interlock.store.redis import RedisStore
from tests.ingress.mcp.front import (
    LEGACY,
    MODERN,
    Front,
    call,
    event,
    events_in,
    modern,
    request,
    result,
    said,
    stream,
)

SESSION = {"Mcp-Session-Id": "s-1", "MCP-Protocol-Version": LEGACY}


@pytest.fixture
async def front(store: RedisStore) -> AsyncIterator[Front]:
    made = Front(store)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def fronts(store: RedisStore) -> AsyncIterator[Callable[..., Any]]:
    """Start fronts with settings of their own."""
    made: list[Front] = []

    async def start(**settings: Any) -> Front:
        made.append(Front(store, **settings))
        await made[-1].start()
        return made[-1]

    yield start
    for each in made:
        await each.stop()


# what passes ---------------------------------------------------------------------------------


async def test_an_allowed_call_gets_the_servers_own_answer(front: Front) -> None:
    status, _, answer = await front.post(call("look", 7, shelf="top"), headers=SESSION)

    assert (status, answer) == (200, result({"id": 7}, did="tools/call"))
    (asked,) = front.asked
    assert asked.path == "/mcp" and asked.message == call("look", 7, shelf="top")
    assert asked.headers["Mcp-Session-Id"] == "s-1"
    assert asked.headers["MCP-Protocol-Version"] == LEGACY
    assert asked.headers["Accept"] == "application/json, text/event-stream"
    assert asked.headers["Content-Type"] == "application/json"
    assert "Interlock-Key" not in asked.headers


@pytest.mark.parametrize("method", ["ping", "resources/read", "prompts/get", "x/y"])
async def test_what_runs_no_tool_passes_as_it_is(front: Front, method: str) -> None:
    status, _, answer = await front.post(request(method, "a", uri="file:///x"))
    assert (status, answer) == (200, result({"id": "a"}, did=method))


async def test_notifications_and_responses_of_the_client_pass_and_are_accepted(
    front: Front,
) -> None:
    for document in (
        request("notifications/initialized", None),
        {"jsonrpc": "2.0", "id": 4, "result": {"role": "assistant"}},
    ):
        status, _, answer = await front.post(document, headers=SESSION)
        assert (status, answer) == (202, None)
        assert front.asked[-1].message == document


@pytest.mark.parametrize("status", [400, 404, 405, 429, 500])
async def test_statuses_and_bodies_of_the_server_reach_the_client(
    front: Front, status: int
) -> None:
    async def refuse(http: web.Request, message: Any) -> web.StreamResponse:
        return said({"detail": "gone"}, status=status, **{"X-Own": "1"})

    front.script = refuse
    for document in (request("ping"), request("tools/list"), call("look")):
        given, headers, answer = await front.post(document)
        assert (given, answer, headers["X-Own"]) == (status, {"detail": "gone"}, "1")
    assert (await front.ask("GET"))[0] == status
    assert (await front.ask("DELETE", headers=SESSION))[0] == status


LOOSE = {"jsonrpc": "2.0", "method": "a"}


async def test_a_get_stream_passes_event_by_event_and_can_be_resumed(front: Front) -> None:
    more = asyncio.Event()

    async def events(http: web.Request, message: Any) -> web.StreamResponse:
        assert http.headers["Last-Event-ID"] == "41"
        response = await stream(http, b"id: 42\n" + event(LOOSE), end=False)
        await more.wait()
        await response.write(b": still there\n\n")
        return response

    front.script = events
    headers = {**SESSION, "Accept": "text/event-stream", "Last-Event-ID": "41"}
    async with front.open("GET", headers=headers) as answer:
        assert answer.headers["X-Accel-Buffering"] == "no"
        first = await answer.content.readuntil(b"\n\n")
        assert first == b"id: 42\n" + event(LOOSE)
        more.set()
        assert await answer.content.read() == b": still there\n\n"


async def test_a_message_is_written_anew_before_it_is_sent_on(front: Front) -> None:
    spaced = b'{ "jsonrpc" : "2.0", "id": 1, "method": "ping" }'
    async with front.open(
        "POST", headers={"Content-Type": "application/json"}, data=spaced
    ) as answer:
        assert answer.status == 200
    (asked,) = front.asked
    assert asked.headers["Content-Length"] == str(len(b'{"jsonrpc":"2.0","id":1,"method":"ping"}'))


async def test_headers_that_are_not_of_mcp_stay_here(fronts: Callable[..., Any]) -> None:
    front = await fronts(forward=frozenset({"x-tenant"}), reserved=frozenset({"x-api-key"}))
    headers = {
        "Cookie": "a=b",
        "X-Tenant": "t",
        "X-Api-Key": "mine",
        "X-Other": "o",
        "Interlock-Reason": "because",
        "traceparent": "00-1-2-01",
        "Mcp-Name": "stray of an old client",
        "Mcp-Param-Shelf": "stray",
    }
    await front.post(request("ping"), headers=headers)
    await front.post(call("look"), headers=headers)
    for asked in front.asked:
        assert asked.headers["X-Tenant"] == "t"
        gone = headers.keys() - {"X-Tenant", "traceparent"}
        assert not {name for name in gone if name in asked.headers}


@pytest.mark.parametrize("method", ["initialize", "server/discover", "tools/list"])
async def test_listings_and_handshakes_are_amended(front: Front, method: str) -> None:
    _, _, answer = await front.post(request(method, 3))
    assert answer == {**result({"id": 3}, did=method), "amended": True}
    assert front.listing.seen == [(method, result({"id": 3}, did=method))]


async def test_a_listing_in_a_stream_is_amended_and_the_rest_of_it_passes(front: Front) -> None:
    note = {"jsonrpc": "2.0", "method": "notifications/message", "params": {}}

    async def events(http: web.Request, message: Any) -> web.StreamResponse:
        answer = event(result(message, tools=[]), b"id: 9\r\n")
        return await stream(http, event(note), answer[:20], answer[20:])

    front.script = events
    _, _, answer = await front.post(request("tools/list", 3))
    assert answer == [note, {**result({"id": 3}, tools=[]), "amended": True}]


# what is judged ------------------------------------------------------------------------------


async def test_a_held_call_never_reaches_the_server_before_it_is_approved(front: Front) -> None:
    status, headers, answer = await front.post(call("buy", 7))
    assert status == 200 and headers["Content-Type"] == "application/json"
    assert answer["id"] == 7
    assert answer["result"]["content"][0]["text"].startswith("NOT EXECUTED YET")
    assert front.asked == []

    await front.approve()
    await front.world.quiet()
    _, _, answer = await front.post(call("buy", 8))
    assert answer == result({"id": 8}, did="tools/call")
    assert front.sent == ["tools/call"]


async def test_a_held_call_is_answered_in_its_stream_once_it_is_approved(
    fronts: Callable[..., Any],
) -> None:
    front = await fronts(holding=Holding(seconds=30))
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(front.post(call("buy", 7)))
        while not (await front._store.held(None, 1)).actions:
            await asyncio.sleep(0)
        await front.approve()
    status, _, answer = waiting.result()
    assert status == 200
    assert (answer[-1] if isinstance(answer, list) else answer) == result(
        {"id": 7}, did="tools/call"
    )


async def held(front: Front) -> None:
    while not (await front._store.held(None, 1)).actions:
        await asyncio.sleep(0)


async def test_a_sign_of_life_begins_the_stream_and_the_answer_ends_it(
    fronts: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interlock.ingress.mcp.waiting.KEEP", 0.01)
    front = await fronts(holding=Holding(seconds=30))
    document = call("buy", 7)
    document["params"]["_meta"] = {"progressToken": "p"}
    async with front.open("POST", document) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        first = await answer.content.readuntil(b"\n\n")
        assert b'"progressToken":"p"' in first
        await front.approve()
        assert events_in(await answer.read())[-1] == result({"id": 7}, did="tools/call")


async def test_a_session_that_died_while_people_decided_is_told(
    fronts: Callable[..., Any],
) -> None:
    front = await fronts(holding=Holding(seconds=30))
    front.script = gone
    async with asyncio.TaskGroup() as group:
        group.create_task(_approve_once_held(front))
        waiting = group.create_task(front.post(call("buy", 7), headers=SESSION))
    status, _, answer = waiting.result()
    said = answer["result"]["content"][0]["text"]
    assert status == 200 and said.startswith("NOT EXECUTED.") and "ended the session" in said
    front.asked.clear()
    status, _, answer = await front.post(call("buy", 8), headers=SESSION)
    assert status == 404 and "initialize a new one" in answer["error"]["message"]
    assert front.asked == []


async def test_a_session_that_died_is_told_in_the_stream_where_that_has_begun(
    fronts: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interlock.ingress.mcp.waiting.KEEP", 0.01)
    front = await fronts(holding=Holding(seconds=30))
    front.script = gone
    async with front.open("POST", call("buy", 7), headers=SESSION) as answer:
        await answer.content.readuntil(b"\n\n")
        await front.approve()
        (told,) = events_in(await answer.read())
    assert told["id"] == 7 and "ended the session" in told["result"]["content"][0]["text"]


async def gone(http: web.Request, message: Any) -> web.StreamResponse:
    return said({"jsonrpc": "2.0", "id": None, "error": {"code": 1, "message": "?"}}, 404)


async def test_who_asks_again_gets_the_stream_with_its_own_id(
    fronts: Callable[..., Any],
) -> None:
    front = await fronts(holding=Holding(seconds=0))
    note = {"jsonrpc": "2.0", "method": "notifications/message", "params": {}}

    async def events(http: web.Request, message: Any) -> web.StreamResponse:
        return await stream(http, event(note), event(result(message, n=1)))

    front.script = events
    await front.post(call("buy", 7))
    front.holding = Holding(seconds=30)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(front.post(call("buy", 8)))
        while not front.calls._waiting._open:
            await asyncio.sleep(0)
        await front.approve()
    _, _, answer = waiting.result()
    assert answer == [note, result({"id": 8}, n=1)]
    assert len(front.asked) == 1


async def test_an_older_client_that_leaves_finds_its_answer_when_it_asks_again(
    fronts: Callable[..., Any],
) -> None:
    front = await fronts(holding=Holding(seconds=30))
    go_on = asyncio.Event()

    async def slow(http: web.Request, message: Any) -> web.StreamResponse:
        response = await stream(http, b": working\n\n", end=False)
        await go_on.wait()
        await response.write(event(result(message, n=1)))
        return response

    front.script = slow
    async with asyncio.TaskGroup() as group:
        group.create_task(_approve_once_held(front))
        async with front.open("POST", call("buy", 7)) as answer:
            assert await answer.content.readuntil(b"\n\n") == b": working\n\n"
            answer.close()
    go_on.set()
    _, _, answer = await front.post(call("buy", 8))
    assert answer == result({"id": 8}, n=1)
    assert len(front.asked) == 1


async def _approve_once_held(front: Front) -> None:
    await held(front)
    await front.approve()


@pytest.mark.parametrize(
    "document",
    [
        [call("buy")],
        {k: v for k, v in call("buy").items() if k != "id"},
        {**call("buy"), "Method": "ping"},
        request("tools/call", 1, name="look", Name="buy"),
    ],
)
async def test_a_gated_call_reaches_the_server_in_no_disguise(front: Front, document: Any) -> None:
    status, _, answer = await front.post(document)
    assert status == 400 and answer["error"]["message"].startswith("NOT EXECUTED.")
    assert front.asked == []


async def test_other_methods_are_judged_where_the_settings_say_so(
    fronts: Callable[..., Any],
) -> None:
    front = await fronts(gates=frozenset({"resources/read"}))
    _, _, answer = await front.post(request("resources/read", 1, uri="file:///etc"))
    assert answer["error"]["code"] == 31403
    assert front.asked == []


async def test_a_client_of_2026_that_leaves_takes_its_request_along(front: Front) -> None:
    gone, began = asyncio.Event(), asyncio.Event()

    async def slow(http: web.Request, message: Any) -> web.StreamResponse:
        response = await stream(http, b": working\n\n", end=False)
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            gone.set()
            raise
        return response

    front.script = slow
    document, headers = modern(call("look"))
    headers["Mcp-Param-Shelf"] = "top"
    document["params"]["arguments"] = {"shelf": "top"}
    async with front.open("POST", document, headers=headers) as answer:
        assert await answer.content.readuntil(b"\n\n") == b": working\n\n"
        answer.close()
    await asyncio.wait_for(gone.wait(), 5)


async def test_tasks_of_ours_are_served_here_and_others_by_the_server(front: Front) -> None:
    class Ours:
        async def answer(self, message: Any, caller: Any) -> Any:
            if message.params["taskId"] != "ours":
                return None
            return {"jsonrpc": "2.0", "id": message.id, "error": {"code": -32602, "message": "?"}}

    front.endpoint._tasks = Ours()
    for task, status, reached in (("ours", 400, []), ("theirs", 200, ["tasks/get"])):
        document, headers = modern(request("tasks/get", 1, taskId=task))
        other = headers | {"Mcp-Name": "another"}  # it may be left out, but not be another one
        assert (await front.post(document, headers=other))[0] == 400
        given, _, _ = await front.post(document, headers=headers | {"Mcp-Name": task})
        assert (given, front.sent) == (status, reached)


# sessions ------------------------------------------------------------------------------------


async def begin(front: Front, session: str = "s-1", key: str = "ilk_agent_bot") -> None:
    async def greet(http: web.Request, message: Any) -> web.StreamResponse:
        agreed = result(message, protocolVersion=LEGACY)
        return said(agreed, **{"Mcp-Session-Id": session})

    usual, front.script = front.script, greet
    hello = request("initialize", 0, protocolVersion=LEGACY, capabilities={"roots": {}})
    _, headers, _ = await front.post(hello, key=key)
    assert headers["Mcp-Session-Id"] == session
    front.script = usual


async def test_the_session_of_one_agent_is_none_of_anothers(front: Front) -> None:
    await begin(front)
    front.asked.clear()
    for method, document in (("POST", call("look")), ("GET", None), ("DELETE", None)):
        status, _, answer = await front.ask(method, document, key="ilk_agent_eve", headers=SESSION)
        assert status == 404 and "initialize a new one" in answer["error"]["message"]
    assert front.asked == []
    assert (await front.post(call("look"), headers=SESSION))[0] == 200


async def test_a_session_that_another_process_saw_begin_goes_on_here(front: Front) -> None:
    assert (await front.post(call("look"), headers=SESSION))[0] == 200
    status, _, _ = await front.post(call("look"), key="ilk_agent_eve", headers=SESSION)
    assert status == 404


async def test_a_session_that_was_ended_belongs_to_nobody(front: Front) -> None:
    await begin(front)
    assert (await front.ask("DELETE", headers=SESSION))[0] == 202
    assert (await front.post(call("look"), key="ilk_agent_eve", headers=SESSION))[0] == 200


# refusals ------------------------------------------------------------------------------------


async def test_a_foreign_page_is_refused_with_an_error_of_json_rpc(front: Front) -> None:
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
        status, _, answer = await front.post(call("look"), headers=headers)
        assert status == 403 and answer["jsonrpc"] == "2.0" and answer["id"] is None
    assert front.asked == []


async def test_each_refusal_has_its_status_and_says_why(front: Front) -> None:
    look = call("look")
    json = {"Content-Type": "application/json"}
    for status, phrase, more in (
        (401, "Interlock-Key", {"key": None}),
        (404, "configured: shop", {"path": "/mcp/shops"}),
        (415, "application/json", {"headers": {"Content-Type": "text/plain"}}),
        (406, "Accept", {"headers": {"Accept": "text/html"}}),
        (400, "visible ASCII", {"headers": {"Mcp-Session-Id": "two words"}}),
    ):
        given, headers, answer = await front.post(look, **more)
        assert given == status and phrase in answer["error"]["message"], answer
        assert answer["error"]["message"].startswith("NOT EXECUTED.")
    for body in (b"{", b'{"jsonrpc":"2.0","jsonrpc":"2.0"}', b"\xff"):
        given, _, answer = await front.ask("POST", data=body, headers=json)
        assert (given, answer["error"]["code"], answer["id"]) == (400, -32700, None)
    given, headers, _ = await front.ask("PUT", look)
    assert (given, headers["Allow"]) == (405, "GET, POST, DELETE")
    assert front.asked == [] and "unauthenticated" in front.refused


async def test_a_body_that_is_too_large_is_not_read(fronts: Callable[..., Any]) -> None:
    front = await fronts(max_body=100)
    status, _, answer = await front.post(call("look", more="x" * 100))
    assert status == 413 and "100 bytes" in answer["error"]["message"]
    assert front.asked == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"Mcp-Name": "buy"},
        {"Mcp-Method": "tools/list"},
        {"MCP-Protocol-Version": LEGACY},
        {"Mcp-Param-Shelf": "bottom"},
    ],
)
async def test_headers_that_say_something_else_are_refused(
    front: Front, wrong: dict[str, str]
) -> None:
    document, headers = modern(call("look", 5, shelf="top"))
    headers["Mcp-Param-Shelf"] = "top"
    assert (await front.post(document, headers=headers))[0] == 200
    status, _, answer = await front.post(document, headers=headers | wrong)
    assert (status, answer["error"]["code"], answer["id"]) == (400, -32020, 5)
    assert len(front.asked) == 1


async def test_a_client_of_http_1_0_reads_a_stream_to_its_end(front: Front) -> None:
    async def events(http: web.Request, message: Any) -> web.StreamResponse:
        return await stream(http, event(result(message)))

    front.script = events
    body = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
    reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
    head = "POST /mcp/shop HTTP/1.0\r\nHost: 127.0.0.1\r\nInterlock-Key: ilk_agent_bot\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    answer = await reader.read()
    writer.close()
    assert answer.endswith(b"\r\n\r\n" + event(result({"id": 1})))


# bad days ------------------------------------------------------------------------------------


async def test_a_server_that_is_not_there_is_told_in_the_clients_words(front: Front) -> None:
    front._up_site.close()
    await front._up.shutdown(0.1)
    status, _, answer = await front.post(request("ping", 4))
    assert status == 502 and answer["id"] == 4 and "could not be reached" in str(answer)
    status, _, answer = await front.post(call("look", 5))
    assert status == 200 and answer["id"] == 5
    assert answer["result"]["content"][0]["text"].startswith("NOT EXECUTED.")


@pytest.mark.parametrize("body", ['{"jsonrpc":"2.0","id":99,"result":{}}', "{", '{"id":1}'])
async def test_an_answer_to_another_request_is_told_as_lost(front: Front, body: str) -> None:
    async def wrong(http: web.Request, message: Any) -> web.StreamResponse:
        return web.Response(text=body, content_type="application/json")

    front.script = wrong
    _, _, answer = await front.post(call("look", 5))
    assert answer["id"] == 5
    assert answer["result"]["content"][0]["text"].startswith("OUTCOME UNKNOWN.")
    for method in ("ping", "tools/list"):
        _, _, answer = await front.post(request(method, 6))
        assert answer["id"] == 6 and answer["error"]["code"] == 31403


async def test_a_stream_that_ends_without_an_answer_gets_one(front: Front) -> None:
    progress = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {}}

    async def dies(http: web.Request, message: Any) -> web.StreamResponse:
        return await stream(http, event(progress))

    front.script = dies
    _, _, answer = await front.post(call("look", 5))
    assert answer[0] == progress and answer[1]["id"] == 5
    assert answer[1]["result"]["content"][0]["text"].startswith("OUTCOME UNKNOWN.")
    _, _, answer = await front.post(request("ping", 6))
    assert answer[1]["error"]["message"] == "The server ended its answer without a response."


async def test_a_stream_that_can_be_resumed_ends_as_it_did(front: Front) -> None:
    async def polls(http: web.Request, message: Any) -> web.StreamResponse:
        return await stream(http, b"id: 1\nretry: 10\ndata:\n\n")

    front.script = polls
    for document in (call("look"), request("ping"), request("tools/list")):
        async with front.open("POST", document) as answer:
            assert await answer.read() in (b"id: 1\nretry: 10\ndata:\n\n",)


async def test_a_stream_that_breaks_off_within_an_event_is_told_as_lost(front: Front) -> None:
    async def dies(http: web.Request, message: Any) -> web.StreamResponse:
        response = await stream(http, b"data: {", end=False)
        assert http.transport is not None
        http.transport.close()
        return response

    front.script = dies
    _, _, answer = await front.post(call("look", 5))
    assert answer[0]["id"] == 5
    assert answer[0]["result"]["content"][0]["text"].startswith("OUTCOME UNKNOWN.")


# the client's model --------------------------------------------------------------------------


async def test_a_server_that_may_not_sample_is_refused_in_the_clients_place(
    fronts: Callable[..., Any],
) -> None:
    front = await fronts(sampling=False)
    refused = asyncio.Event()
    ask = {"jsonrpc": "2.0", "id": "s9", "method": "sampling/createMessage", "params": {}}

    async def asks(http: web.Request, message: Any) -> web.StreamResponse:
        if "method" not in message:
            refused.set()
            return web.Response(status=202)
        response = await stream(http, event(ask), end=False)
        await refused.wait()
        await response.write(event(result(message, done=True)))
        return response

    front.script = asks
    _, _, answer = await front.post(call("look", 5), headers=SESSION)
    assert answer == [result({"id": 5}, done=True)]
    refusal = front.asked[-1]
    assert refusal.message["id"] == "s9" and "sampling" in refusal.message["error"]["message"]
    assert refusal.headers["Mcp-Session-Id"] == "s-1"


async def test_a_question_to_the_clients_model_among_others_is_taken_out(
    fronts: Callable[..., Any],
) -> None:
    front = await fronts(sampling=False)
    ask = {"jsonrpc": "2.0", "id": 9, "method": "sampling/createMessage", "params": {}}
    note = {"jsonrpc": "2.0", "method": "notifications/message", "params": {}}

    async def batch(http: web.Request, message: Any) -> web.StreamResponse:
        return await stream(http, event([note, ask]), event(result(message)))

    front.script = batch
    assert (await front.post(request("ping", 5)))[2] == [note, result({"id": 5})]

    async def rounds(http: web.Request, message: Any) -> web.StreamResponse:
        inputs = {"a": {"method": "sampling/createMessage", "params": {}}}
        return said(result(message, resultType="input_required", inputRequests=inputs))

    front.script = rounds
    document, headers = modern(call("look", 6))
    _, _, answer = await front.post(document, headers=headers)
    assert answer["id"] == 6 and "sampling" in answer["error"]["message"]


async def test_a_client_declares_no_sampling_to_a_server_that_may_not(
    fronts: Callable[..., Any],
) -> None:
    front = await fronts(sampling=False)
    declared = {"sampling": {}, "roots": {}}
    await front.post(request("initialize", 0, protocolVersion=LEGACY, capabilities=declared))
    assert front.asked[-1].message["params"]["capabilities"] == {"roots": {}}
    document, headers = modern(call("look"), **declared)
    await front.post(document, headers=headers)
    meta = front.asked[-1].message["params"]["_meta"]
    assert meta["io.modelcontextprotocol/clientCapabilities"] == {"roots": {}}
    assert meta["io.modelcontextprotocol/protocolVersion"] == MODERN
