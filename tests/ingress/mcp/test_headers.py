"""What headers of MCP must say, by version, and which of a client's headers pass."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.errors import MalformedMessage
from interlock.core.messages import Message, message_of
from interlock.core.mirrors import encode_mirrored
from interlock.ingress.mcp.headers import (
    HEADER_MISMATCH,
    accepts,
    check,
    check_parameters,
    fields_of,
    forwarded,
    is_json,
    relevant,
    session_of,
    version_of,
)
from interlock.ingress.mcp.session import VERSION_KEY, Server
from interlock.mcp_ports import McpServer

NEW, OLD = "2026-07-28", "2025-11-25"


def a_message(method: str = "tools/call", version: Any = None, **params: Any) -> Message:
    if version is not None:
        params["_meta"] = {VERSION_KEY: version}
    return message_of({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})


def fields(**headers: str) -> dict[str, list[str]]:
    return fields_of(tuple((name.replace("_", "-"), value) for name, value in headers.items()))


def code_of(message: Message, said: dict[str, list[str]]) -> int:
    try:
        check(message, said)
    except MalformedMessage as refused:
        return refused.code
    return 0


GOOD = {"MCP_Protocol_Version": NEW, "Mcp_Method": "tools/call", "Mcp_Name": "pay"}


def test_headers_that_repeat_the_message_are_taken() -> None:
    assert code_of(a_message(version=NEW, name="pay"), fields(**GOOD)) == 0
    assert code_of(a_message(name="pay"), fields(**GOOD)) == 0  # the server refuses that itself


@pytest.mark.parametrize("name", ["MCP_Protocol_Version", "Mcp_Method", "Mcp_Name"])
@pytest.mark.parametrize("wrong", ["other", "", None])
def test_each_header_that_is_missing_or_differs_is_a_mismatch(name: str, wrong: str | None) -> None:
    said = {key: value for key, value in (GOOD | {name: wrong}).items() if value is not None}
    assert code_of(a_message(version=NEW, name="pay"), fields(**said)) == HEADER_MISMATCH


def test_a_header_that_is_there_twice_is_a_mismatch() -> None:
    twice = fields_of((("Mcp-Name", "pay"), ("mcp-name", "pay"))) | fields(
        MCP_Protocol_Version=NEW, Mcp_Method="tools/call"
    )
    assert code_of(a_message(version=NEW, name="pay"), twice) == HEADER_MISMATCH


@pytest.mark.parametrize("version", [None, OLD])
def test_stray_headers_of_an_older_client_mean_nothing(version: str | None) -> None:
    stray = fields(MCP_Protocol_Version=OLD, Mcp_Method="ping", Mcp_Name="other")
    assert code_of(a_message(version=version, name="pay"), stray) == 0


def test_a_client_cannot_pass_for_an_older_one() -> None:
    message = a_message(version=NEW, name="pay")
    for said in (fields(), fields(MCP_Protocol_Version=OLD), fields(Mcp_Name="other")):
        assert code_of(message, said) == HEADER_MISMATCH


def test_notifications_and_responses_need_no_headers() -> None:
    note = message_of({"jsonrpc": "2.0", "method": "notifications/x", "params": {}})
    answer = message_of({"jsonrpc": "2.0", "id": 1, "result": {}})
    for message in (note, answer):
        assert code_of(message, fields(MCP_Protocol_Version=NEW)) == 0
    assert code_of(note, fields(MCP_Protocol_Version=NEW, Mcp_Method="ping")) == HEADER_MISMATCH


@given(st.text(max_size=30).filter(lambda text: text.isprintable()))
def test_a_name_in_any_script_is_compared_as_it_was_meant(name: str) -> None:
    said = GOOD | {"Mcp_Name": encode_mirrored(name)}
    assert code_of(a_message(version=NEW, name=name), fields(**said)) == 0
    other = a_message(version=NEW, name=name + "x")
    assert code_of(other, fields(**said)) == HEADER_MISMATCH


def test_a_resource_is_named_by_its_uri() -> None:
    said = fields(MCP_Protocol_Version=NEW, Mcp_Method="resources/read", Mcp_Name="file:///a")
    assert code_of(a_message("resources/read", NEW, uri="file:///a"), said) == 0
    assert code_of(a_message("resources/read", NEW, uri="file:///b"), said) == HEADER_MISMATCH


@pytest.mark.parametrize(
    ("said", "fits"),
    [("42", True), ("42.0", True), ("43", False), ("42.5", False), ("4e1", False), ("", False)],
)
def test_numbers_are_compared_as_numbers(said: str, fits: bool) -> None:
    expected = (("Mcp-Param-Count", "42"),)
    if fits:
        check_parameters(fields(Mcp_Param_Count=said), expected)
        return
    with pytest.raises(MalformedMessage, match="list the tools"):
        check_parameters(fields(Mcp_Param_Count=said), expected)


def test_a_missing_parameter_is_a_mismatch_and_an_unknown_one_is_not() -> None:
    check_parameters(fields(Mcp_Param_Other="x"), ())
    with pytest.raises(MalformedMessage) as refused:
        check_parameters(fields(), (("Mcp-Param-Shelf", "top"),))
    assert refused.value.code == HEADER_MISMATCH


# what passes ---------------------------------------------------------------------------------

SHOP = Server(
    name="shop",
    upstream=cast(McpServer, None),
    forward=frozenset({"x-tenant", "authorization", "cookie"}),
    reserved=frozenset({"x-api-key"}),
)
RECEIVED = (
    ("Host", "gate"),
    ("Authorization", "Bearer ilk_agent_x"),
    ("Cookie", "a=b"),
    ("Interlock-Key", "ilk_agent_x"),
    ("Connection", "keep-alive"),
    ("Mcp-Session-Id", "s"),
    ("X-Api-Key", "mine"),
    ("X-Other", "o"),
    ("Accept", "a"),
    ("User-Agent", "u"),
    ("traceparent", "t"),
    ("X-Tenant", "x"),
    ("Last-Event-ID", "9"),
    ("MCP-Protocol-Version", NEW),
    ("Mcp-Method", "ping"),
    ("Mcp-Param-Shelf", "top"),
)
USUAL = {"Accept", "User-Agent", "traceparent", "X-Tenant", "MCP-Protocol-Version"}


def test_only_what_is_known_or_configured_passes() -> None:
    new = {name for name, _ in forwarded(RECEIVED, SHOP, modern=True)}
    old = {name for name, _ in forwarded(RECEIVED, SHOP, modern=False)}
    assert new == USUAL | {"Mcp-Method", "Mcp-Param-Shelf"}
    assert old == USUAL | {"Last-Event-ID"}
    assert relevant(RECEIVED, modern=True) == RECEIVED
    assert len(relevant(RECEIVED, modern=False)) == len(RECEIVED) - 2


def test_a_header_that_is_no_text_is_refused() -> None:
    with pytest.raises(MalformedMessage, match="UTF-8"):
        forwarded((("Accept", "\udcff"),), SHOP, modern=True)


def test_sessions_are_named_once_and_visibly() -> None:
    assert session_of(fields()) == ""
    assert session_of(fields(Mcp_Session_Id="a-b")) == "a-b"
    for bad in ((("Mcp-Session-Id", "a"),) * 2, (("Mcp-Session-Id", "a b"),)):
        with pytest.raises(MalformedMessage):
            session_of(fields_of(bad))


def test_the_version_is_that_of_the_message_or_of_a_header_with_a_date() -> None:
    assert version_of(a_message(version=NEW), fields(MCP_Protocol_Version=OLD)) == NEW
    assert version_of(a_message(), fields(MCP_Protocol_Version=OLD)) == OLD
    assert version_of(None, fields(MCP_Protocol_Version="zzz")) == ""


@pytest.mark.parametrize(
    ("kind", "taken"),
    [
        ("application/json", True),
        ("Application/JSON; charset=UTF-8", True),
        ("application/json; charset=utf-16", False),
        ("text/plain", False),
        ("", False),
    ],
)
def test_only_json_is_taken(kind: str, taken: bool) -> None:
    assert is_json(fields(Content_Type=kind)) is taken
    assert not is_json(fields(Content_Type=kind, Content_Encoding="gzip"))


def test_what_a_client_accepts_is_a_list() -> None:
    said = fields(Accept="application/json;q=0.9, text/event-stream")
    assert accepts(said, "text/event-stream") and not accepts(fields(), "text/event-stream")
