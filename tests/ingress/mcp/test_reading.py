"""Reading a JSON-RPC message as a call: what is judged, what is sent, what is only said."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from interlock.core.actions import Agent, Context, McpTool
from interlock.core.digest import digest, fingerprint
from interlock.core.errors import MalformedCall, MalformedMessage
from interlock.core.messages import Message, message_of
from interlock.ingress.mcp.reading import is_judged, read_call
from interlock.ingress.mcp.session import Caller, Holding, Server
from interlock.mcp_ports import Definition
from tests.ingress.mcp.conversation import FilesServer

SERVER = Server(name="files", upstream=FilesServer(), gates=frozenset({"resources/read"}))
CALLER = Caller(agent=Agent(id="bot"), server=SERVER, holding=Holding(), session="s1")
TRACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
LISTED = Definition(
    server="files",
    tool="write",
    hash="sha256:12",
    document={"annotations": {"readOnlyHint": False, "title": "x", "openWorldHint": "yes"}},
    accepted=True,
    invalid=lambda _: "",
)


def a_message(params: Any = None, *, method: str = "tools/call", **members: Any) -> Message:
    said = {"name": "write", "arguments": {"path": "a"}} if params is None else params
    return message_of({"jsonrpc": "2.0", "id": 1, "method": method, "params": said} | members)


def test_a_call_is_sent_as_it_was_read() -> None:
    call = read_call(a_message(), CALLER, LISTED)

    assert json.loads(call.body) == a_message().document
    assert call.content.value == {"path": "a"} and call.digest == digest(call)
    assert (call.upstream, call.method, call.target) == ("files", "tools/call", "/")
    assert call.mcp == McpTool(
        name="write", definition="sha256:12", annotations={"readOnlyHint": False}, session="s1"
    )


def test_a_tool_that_was_never_listed_is_not_accepted() -> None:
    tool = read_call(a_message(), CALLER, None).mcp

    assert tool is not None and (tool.definition, tool.accepted) == ("", False)


def test_what_is_gated_besides_tools_is_named_by_its_method() -> None:
    message = a_message({"uri": "file:///a", "_meta": {}}, method="resources/read")

    call = read_call(message, CALLER, None)

    assert is_judged(message, SERVER) and call.content.value == {"uri": "file:///a"}
    assert call.mcp is not None and call.mcp.name == "resources/read"
    assert not is_judged(a_message({}, method="prompts/get"), SERVER)


@pytest.mark.parametrize("name", [None, "", 1, ["write"], "resources/read"])
def test_a_call_must_name_a_tool(name: Any) -> None:
    with pytest.raises(MalformedMessage, match="name"):
        read_call(a_message({"name": name}), CALLER, LISTED)


# what is said about the call ----------------------------------------------------------------


def test_what_is_said_to_interlock_is_read_and_taken_out() -> None:
    meta = {
        "dev.interlock/reason": "rent is due",
        "dev.interlock/confidence": 1,
        "dev.interlock/session": "s9",
        "dev.interlock/task": "pay the rent",
        "dev.interlock/else": 1,
        "traceparent": TRACE,
        "progressToken": 3,
    }
    call = read_call(a_message({"name": "write", "_meta": meta}), CALLER, LISTED)

    assert call.context == Context(
        confidence=1.0, session="s9", reason="rent is due", task="pay the rent", traceparent=TRACE
    )
    said = json.loads(call.body)["params"]["_meta"]
    assert said == {"traceparent": TRACE, "progressToken": 3}


def test_where_nothing_else_was_said_no_meta_is_sent() -> None:
    call = read_call(a_message({"name": "a", "_meta": {"dev.interlock/reason": "x"}}), CALLER, None)

    assert json.loads(call.body)["params"] == {"name": "a"}


def test_why_a_model_called_is_its_reason_and_stays() -> None:
    invoked = {"io.modelcontextprotocol/aiInvocation": {"invocationReason": "to pay", "model": "m"}}

    call = read_call(a_message({"name": "a", "_meta": invoked}), CALLER, None)

    assert call.context.reason == "to pay"
    assert json.loads(call.body)["params"]["_meta"] == invoked


@pytest.mark.parametrize("said", [1, {"invocationReason": 5}, {"userIntent": " "}, {}])
def test_an_invocation_that_says_nothing_refuses_nothing(said: Any) -> None:
    meta = {"io.modelcontextprotocol/aiInvocation": said}

    assert read_call(a_message({"name": "a", "_meta": meta}), CALLER, None).context.reason == ""


@pytest.mark.parametrize(
    "meta",
    [
        {"dev.interlock/confidence": 1.1},
        {"dev.interlock/confidence": True},
        {"dev.interlock/confidence": "0.5"},
        {"dev.interlock/reason": 1},
        {"dev.interlock/reason": "x" * 2001},
        {"dev.interlock/session": "a b"},
        {"dev.interlock/task": ["x"]},
    ],
)
def test_what_is_said_wrongly_is_refused(meta: Any) -> None:
    with pytest.raises(MalformedMessage, match="dev.interlock/"):
        read_call(a_message({"name": "a", "_meta": meta}), CALLER, None)


def test_headers_may_say_it_but_not_something_else() -> None:
    caller = replace(CALLER, headers=(("Interlock-Reason", "rent"), ("Interlock-Session", "s2")))
    same = {"dev.interlock/reason": "rent"}
    other = {"dev.interlock/reason": "cake"}

    context = read_call(a_message({"name": "a", "_meta": same}), caller, None).context

    assert (context.reason, context.session) == ("rent", "s2")
    with pytest.raises(MalformedCall, match="`Interlock-Reason` differ"):
        read_call(a_message({"name": "a", "_meta": other}), caller, None)


def test_a_client_that_connects_anew_stays_in_its_session() -> None:
    first = read_call(a_message(), CALLER, LISTED)
    again = read_call(a_message(), replace(CALLER, session="s2"), LISTED)

    assert first.context.session == again.context.session == ""
    assert fingerprint(first) == fingerprint(again) and first.digest == again.digest


# two requests, one call ---------------------------------------------------------------------


def test_a_retry_with_another_id_and_token_is_the_same_call() -> None:
    first = a_message({"name": "write", "_meta": {"progressToken": 1}})
    again = a_message({"name": "write", "_meta": {"progressToken": 2}}, id=2)

    calls = [read_call(message, CALLER, LISTED) for message in (first, again)]

    assert fingerprint(calls[0]) == fingerprint(calls[1])


@pytest.mark.parametrize(
    "more", [{"task": {"ttl": 5}}, {"requestState": "s"}, {"inputResponses": {"x": {}}}]
)
def test_what_else_is_asked_is_part_of_the_call_and_is_sent(more: dict[str, Any]) -> None:
    plain = read_call(a_message({"name": "write"}), CALLER, LISTED)

    call = read_call(a_message({"name": "write"} | more), CALLER, LISTED)

    assert fingerprint(call) != fingerprint(plain)
    assert json.loads(call.body)["params"] == {"name": "write"} | more


def test_only_the_headers_of_mcp_pass() -> None:
    headers = (
        ("Accept", "application/json, text/event-stream"),
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Param-Region", "eu"),
        ("Mcp-Session-Id", "s1"),
        ("Authorization", "Bearer x"),
        ("Interlock-Key", "ilk_agent_x"),
        ("X-Tenant", "t"),
        ("Cookie", "c"),
    )
    server = replace(SERVER, forward=frozenset({"x-tenant"}))
    caller = replace(CALLER, server=server, version="2026-07-28", headers=headers)

    sent = read_call(a_message(), caller, LISTED).headers

    assert [name for name, _ in sent] == [
        "Accept",
        "MCP-Protocol-Version",
        "Mcp-Method",
        "Mcp-Param-Region",
        "X-Tenant",
    ]
