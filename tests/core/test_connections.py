"""An MCP call belongs to the connection that its caller has now; other calls belong to none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from interlock.core.actions import McpTool, ToolCall
from interlock.core.connections import (
    elsewhere,
    ends_with_its_caller,
    on_connection_of,
    session_ended,
)
from interlock.core.messages import MODERN
from tests.support.builders import a_call, an_action


def over(session: str, *, protocol: str = "") -> ToolCall:
    headers = (("MCP-Protocol-Version", protocol),) if protocol else ()
    return replace(a_call(), mcp=McpTool(name="pay", session=session), headers=headers)


def test_only_mcp_calls_of_two_sessions_are_on_two_connections() -> None:
    assert elsewhere(over("one"), over("two"))
    assert not elsewhere(over("one"), over("one"))
    assert not elsewhere(over("one"), a_call())
    assert not elsewhere(a_call(), over("two"))


def test_a_call_is_sent_on_the_connection_that_asks_again_and_stays_what_it_was() -> None:
    action = an_action(over("gone"))
    moved = on_connection_of(action, over("here"))
    assert moved.call.mcp is not None and moved.call.mcp.session == "here"
    assert (moved.digest, moved.call.digest) == (action.digest, action.call.digest)
    assert replace(moved.call, mcp=action.call.mcp) == action.call


@pytest.mark.parametrize("again", [over("gone"), a_call()])
def test_a_call_that_is_asked_for_where_it_is_stays_there(again: ToolCall) -> None:
    action = an_action(over("gone"))
    assert on_connection_of(action, again) is action


def test_a_call_of_http_is_never_moved() -> None:
    action = an_action(a_call())
    assert on_connection_of(action, over("here")) is action


def test_a_session_has_ended_only_where_there_was_one_and_its_server_says_404() -> None:
    assert session_ended(over("one"), 404)
    assert not session_ended(over("one"), 400)
    assert not session_ended(over(""), 404)
    assert not session_ended(a_call(), 404)


@pytest.mark.parametrize(
    ("protocol", "ends"), [(MODERN, True), ("2099-01-01", True), ("2025-11-25", False), ("", False)]
)
def test_disconnecting_cancels_since_the_protocol_says_so(protocol: str, ends: bool) -> None:
    assert ends_with_its_caller(over("one", protocol=protocol)) is ends


def test_disconnecting_cancels_no_call_of_http_and_none_that_names_two_protocols() -> None:
    headers = (("MCP-Protocol-Version", MODERN),)
    assert not ends_with_its_caller(replace(a_call(), headers=headers))
    assert not ends_with_its_caller(replace(over("one"), headers=headers * 2))
