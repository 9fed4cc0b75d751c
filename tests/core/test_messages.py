"""What a JSON-RPC message says is read in one way, or not at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.errors import MalformedMessage
from interlock.core.messages import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    PARSE_ERROR,
    Kind,
    arguments_of,
    call_content,
    call_envelope,
    read_message,
    read_sent,
    server_kind,
    with_arguments,
    write_message,
)

CALL = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "pay"}}


def refused(body: bytes) -> MalformedMessage:
    with pytest.raises(MalformedMessage) as caught:
        read_message(body)
    return caught.value


def said(**changed: Any) -> bytes:
    return json.dumps({**CALL, **changed}).encode()


def test_a_request_a_notification_and_a_response_are_told_apart():
    request = read_message(said())
    notification = read_message(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')
    response = read_message(b'{"jsonrpc":"2.0","id":"a","result":{}}')

    assert (request.kind, request.id, request.method) == (Kind.REQUEST, 7, "tools/call")
    assert (notification.kind, notification.id) == (Kind.NOTIFICATION, None)
    assert (response.kind, response.id) == (Kind.RESPONSE, "a")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", PARSE_ERROR),
        (b"\xff", PARSE_ERROR),
        (b'{"jsonrpc":"2.0","id":1,"method":"a","method":"tools/call"}', PARSE_ERROR),
        (b'{"jsonrpc":"2.0","id":1,"method":"a","Method":"tools/call"}', PARSE_ERROR),
        (b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":NaN}}', PARSE_ERROR),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"x","params":' + b"[" * 99 + b"]" * 99 + b"}",
            PARSE_ERROR,
        ),
        (b"[" + said() + b"]", INVALID_REQUEST),
        (b'"tools/call"', INVALID_REQUEST),
        (b'{"id":1,"method":"tools/call"}', INVALID_REQUEST),
        (said(id=None), INVALID_REQUEST),
        (said(id=True), INVALID_REQUEST),
        (said(id=1.5), INVALID_REQUEST),
        (said(id={"a": 1}), INVALID_REQUEST),
        (said(method=""), INVALID_REQUEST),
        (said(method=["tools/call"]), INVALID_REQUEST),
        (said(result={}), INVALID_REQUEST),
        (said(extra=1), INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":1}', INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":1,"result":{},"error":{}}', INVALID_REQUEST),
        (said(params=[]), INVALID_PARAMS),
        (said(params=None), INVALID_PARAMS),
        (said(params={"name": "pay", "_meta": []}), INVALID_PARAMS),
    ],
)
def test_what_is_no_plain_message_is_refused_with_its_code(body: bytes, code: int):
    assert refused(body).code == code


@pytest.mark.parametrize("spelt", ["Method", "METHOD", "Params", "ID"])
def test_a_response_cannot_carry_a_call_for_a_reader_that_ignores_case(spelt: str):
    """Fault caught: a server in Go takes `Method` for `method`, and the gate sees a response."""
    body = {"jsonrpc": "2.0", "result": {}, spelt: "tools/call"}

    assert refused(json.dumps(body).encode()).code == INVALID_REQUEST


@pytest.mark.parametrize(
    "spelt", ["Name", "NAME", "Arguments", "argument\u017f", "RequestState", "_META"]
)
def test_params_that_another_reader_takes_for_known_ones_are_refused(spelt: str):
    assert "spell it" in refused(said(params={"uri": "a", spelt: {}})).detail


@pytest.mark.parametrize("spelt", ["name ", "\ufeffname", "na\u00adme", "name\0", "task\u200b"])
def test_params_that_another_reader_tidies_up_are_refused(spelt: str):
    assert "spell it" in refused(said(params={"name": "look", spelt: "wipe"})).detail


@pytest.mark.parametrize(
    "method",
    [
        *(
            "Tools/Call",
            " tools/call",
            "tools/call\n",
            "tools/call\0x",
            "tools//call",
            "/tools/call",
        ),
        *("tools/call/", "tools.call", "toolsCall", "ｔools/call", "tools%2Fcall", "tools\\call"),
        *("Resources/Read", "prompts.get"),
        *("Tasks/Update", "tasks.update", "tasks_update", "tasksUpdate"),
    ],
)
def test_a_method_that_a_server_may_take_for_a_judged_one_is_refused(method: str):
    notification = {"jsonrpc": "2.0", "method": method}

    assert refused(said(method=method)).code == INVALID_REQUEST
    assert refused(json.dumps(notification).encode()).code == INVALID_REQUEST


@pytest.mark.parametrize(
    "method",
    [
        *("ping", "server/discover", "sampling/createMessage", "notifications/tools/list_changed"),
        *("resources/templates/list", "$/cancelRequest", "rpc.discover", "x-vendor/do:it"),
    ],
)
def test_methods_of_others_pass(method: str):
    assert read_message(said(method=method)).method == method


def test_arguments_that_are_no_object_are_refused():
    message = read_message(said(params={"name": "pay", "arguments": "all"}))

    with pytest.raises(MalformedMessage) as caught:
        arguments_of(message)
    assert caught.value.code == INVALID_PARAMS


def test_a_call_without_arguments_has_none():
    assert arguments_of(read_message(said())) == {}
    assert arguments_of(read_message(said(params={"name": "pay", "arguments": None}))) == {}


def test_what_is_judged_of_other_methods_are_their_params():
    read = {"uri": "file:///etc/passwd", "_meta": {"progressToken": 1}}
    message = read_message(said(method="resources/read", params=read))

    assert arguments_of(message) == {"uri": "file:///etc/passwd"}
    assert with_arguments(message, {"uri": "file:///tmp"})["params"] == {
        "uri": "file:///tmp",
        "_meta": {"progressToken": 1},
    }


def test_an_envelope_is_read_back_as_the_call_that_it_is():
    assert call_content(call_envelope("pay", {"to": "bob"})).value == {"to": "bob"}


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="ascii"), max_size=4), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(json_values)
def test_what_was_read_is_what_is_written(value: Any):
    """Fault caught: a message that reaches the server as another one than was judged."""
    body = said(params={"name": "pay", "arguments": {"a": value}})
    try:
        message = read_message(body)
    except MalformedMessage:
        return  # names that differ in case only
    written = write_message(message.document)

    assert json.loads(written) == json.loads(body)
    assert read_message(written) == message


# what servers send -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ({"id": 1, "method": "ping"}, Kind.REQUEST),
        ({"method": "notifications/x", "params": {}}, Kind.NOTIFICATION),
        ({"id": "a", "result": {}}, Kind.RESPONSE),
        ({"id": None, "error": {"code": 1, "message": ""}}, Kind.RESPONSE),
        ({"id": 1, "result": {}, "vendor": 1}, Kind.RESPONSE),
        ({"id": 1, "method": "x", "result": {}}, None),
        ({"id": 1, "method": "x", "error": {}}, None),
        ({"id": 1, "result": {}, "error": {}}, None),
        ({"method": "x", "Result": {}, "id": 1}, None),
        ({"id": 1, "method": "x", "params": 5}, None),
        ({"id": 1, "method": 5}, None),
        ({"id": None, "method": "x"}, None),
        ({"id": 1.0, "result": {}}, None),
        ({"id": True, "result": {}}, None),
        ({"result": {}}, None),
        ({"id": 1}, None),
        ({"jsonrpc": "1.0", "id": 1, "result": {}}, None),
    ],
)
def test_a_message_of_a_server_is_one_thing_to_every_client_or_nothing(
    document: dict[str, Any], kind: Kind | None
) -> None:
    assert server_kind({"jsonrpc": "2.0", **document}) is kind


def test_what_is_no_object_is_no_message_of_a_server() -> None:
    assert [server_kind(each) for each in (None, 1, "x", [])] == [None] * 4


def test_numbers_of_any_size_may_come_from_a_server() -> None:
    assert read_sent(b'{"a":1e400,"b":' + b"9" * 99 + b"}")["b"] == int("9" * 99)


@pytest.mark.parametrize(
    "sent", [b"\xff", b"{", b"NaN", b'{"a":1,"a":2}', b'{"x":[{"a":1,"a":2}]}', b"[" * 100_000]
)
def test_what_readers_could_differ_about_is_not_read(sent: bytes) -> None:
    with pytest.raises(MalformedMessage):
        read_sent(sent)
