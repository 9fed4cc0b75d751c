"""A person's edit of an MCP call changes its arguments, and nothing else of the message."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.actions import Agent, McpTool, ToolCall
from interlock.core.decisions import Decision, Level, PolicyRef
from interlock.core.digest import digest, seal
from interlock.core.errors import InvalidEdit
from interlock.core.mcp_edits import apply_mcp_edit
from interlock.core.messages import call_content, write_message

REF = PolicyRef(name="p", version=1, sha256="0" * 64)
SCHEMA = {"properties": {"to": {"type": "string", "x-mcp-header": "To"}}}
HEADERS = (("Mcp-Name", "pay"), ("Mcp-Param-To", "bob"), ("Accept", "application/json"))


def asked(**params: Any) -> ToolCall:
    sent = {"name": "pay", "arguments": {"to": "bob", "amount": 5}, **params}
    body = write_message({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": sent})
    return seal(
        ToolCall(
            agent=Agent(id="bot"),
            upstream="bank",
            method="tools/call",
            target="/",
            body=body,
            content=call_content(body),
            mcp=McpTool(name="pay", definition="sha256:aa"),
        )
    )


def judged(call: ToolCall, editable: tuple[str, ...] | None = None) -> Decision:
    arguments = call.content.value
    sources = dict.fromkeys(arguments, "json")
    return Decision(
        level=Level.APPROVE, policy=REF, arguments=arguments, sources=sources, editable=editable
    )


def test_only_the_arguments_change():
    call = asked(_meta={"progressToken": 1}, inputResponses={"sure": {"action": "accept"}})
    edited = apply_mcp_edit(call, judged(call), {"to": "bob", "amount": 4}, None)

    before, after = json.loads(call.body), json.loads(edited.body)
    assert after["params"].pop("arguments") == {"to": "bob", "amount": 4}
    before["params"].pop("arguments")
    assert after == before
    assert edited.content.value == {"to": "bob", "amount": 4}
    assert edited.digest == digest(edited) != call.digest


def test_headers_that_repeat_an_argument_follow_the_edit():
    """Fault caught: an edited call that its server refuses, or routes by the old value."""
    call = replace(asked(), headers=HEADERS)
    edited = apply_mcp_edit(call, judged(call), {"to": "J\u00e9r\u00f4me", "amount": 5}, SCHEMA)

    assert dict(edited.headers) == {
        "Mcp-Name": "pay",
        "Accept": "application/json",
        "Mcp-Param-To": "=?base64?SsOpcsO0bWU=?=",
    }


def test_without_the_schema_an_edit_of_mirrored_arguments_is_refused():
    call = replace(asked(), headers=HEADERS)

    with pytest.raises(InvalidEdit, match="reject it"):
        apply_mcp_edit(call, judged(call), {"to": "eve", "amount": 5}, None)


def test_what_may_not_be_edited_is_refused():
    call = asked()

    with pytest.raises(InvalidEdit, match="`to` may not be edited"):
        apply_mcp_edit(call, judged(call, ("amount",)), {"to": "eve", "amount": 5}, None)


def test_an_edit_that_changes_nothing_is_refused():
    call = asked()

    with pytest.raises(InvalidEdit, match="changes nothing"):
        apply_mcp_edit(call, judged(call), dict(call.content.value), None)


@pytest.mark.parametrize("value", [float("nan"), 2**70, {"A": 1, "a": 2}])
def test_what_servers_could_read_in_two_ways_is_no_edit(value: object):
    call = asked()

    with pytest.raises(InvalidEdit):
        apply_mcp_edit(call, judged(call), {"to": "bob", "amount": value}, None)


@given(st.dictionaries(st.sampled_from(["to", "amount", "new"]), st.integers(0, 9) | st.text()))
def test_an_edit_is_what_it_says_or_refused(arguments: dict[str, object]):
    call = asked()
    try:
        edited = apply_mcp_edit(call, judged(call), arguments, None)
    except InvalidEdit:
        return
    assert json.loads(edited.body)["params"]["arguments"] == arguments
