"""What an MCP server says of its tool raises and never lowers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from interlock.core.actions import Body, Content, McpTool, ToolCall
from interlock.core.claims import accepted, egress, reversibility
from interlock.core.decisions import Decision, Level, Reversibility
from interlock.core.evaluate import decide, prepare
from interlock.core.facts import Facts
from interlock.core.rules import GrantSpec, Rule, Tool
from tests.core.building import NOON, a_grant, judge, mcp, mcp_call, policy

READ = Tool(id="read", match=mcp("mail", "get_*"), reversibility=Reversibility.READ_ONLY)
PINNED = replace(READ, trusted=True, pins=frozenset({"sha256:aa"}))


def asked(definition: str = "", **hints: Any) -> ToolCall:
    return replace(
        mcp_call("mail", "get_all", id="7"),
        mcp=McpTool(name="get_all", definition=definition, annotations=hints),
    )


@pytest.mark.parametrize("declared", list(Reversibility))
@pytest.mark.parametrize("destructive", [True, False, None])
@pytest.mark.parametrize("read_only", [True, False, None])
def test_no_annotation_lowers_what_the_catalogue_says(
    declared: Reversibility, destructive: bool | None, read_only: bool | None
) -> None:
    """Fault caught: believing a server that calls its own tool harmless."""
    said = asked(destructiveHint=destructive, readOnlyHint=read_only)

    assert reversibility(said, replace(READ, reversibility=declared)) >= declared


def test_a_destructive_tool_is_at_least_compensable() -> None:
    assert reversibility(asked(destructiveHint=True), READ) is Reversibility.COMPENSABLE
    assert reversibility(asked(destructiveHint="yes"), READ) is Reversibility.READ_ONLY


def test_a_server_that_denies_being_read_only_is_believed_unless_its_definition_is_pinned() -> None:
    said = asked(readOnlyHint=False)

    assert reversibility(said, READ) is Reversibility.IRREVERSIBLE
    assert reversibility(said, PINNED) is Reversibility.READ_ONLY
    assert reversibility(said, replace(PINNED, pins=frozenset())) is Reversibility.IRREVERSIBLE


def test_an_open_world_carries_data_out() -> None:
    assert not egress(asked(), READ)
    assert egress(asked(openWorldHint=True), READ)
    assert egress(asked(openWorldHint=False), replace(READ, egress=True))
    assert egress(asked(openWorldHint=False), None)


def test_a_rule_sees_the_egress_that_the_server_admits() -> None:
    leak = Rule(id="leak", when=lambda seen: seen["call"]["egress"], at_least=Level.APPROVE)
    compiled = policy(replace(READ, rules=(leak,)))

    quiet, open_ = judge(compiled, asked()), judge(compiled, asked(openWorldHint=True))

    assert (quiet.level, quiet.egress) == (Level.ALLOW, False)
    assert (open_.level, open_.egress) == (Level.APPROVE, True)


def decision(definition: str, tool: Tool = PINNED) -> Decision:
    return judge(policy(tool), asked(definition))


@pytest.mark.parametrize("definition", ["", "sha256:bb", "sha256:AA"])
def test_a_changed_definition_is_an_unknown_tool(definition: str) -> None:
    """Fault caught: judging a tool by its old entry after its text was swapped."""
    assert not accepted(asked(definition), PINNED)
    judged = decision(definition)
    assert (judged.level, judged.reason, judged.tool) == (Level.APPROVE, "definition_changed", "")
    assert "is not one that policy has pinned for read" in judged.message


@pytest.mark.parametrize("rule", [Rule(id="r", deny="No."), Rule(id="r", at_least=Level(3))])
def test_a_tool_frees_itself_from_nothing_by_changing_its_definition(rule: Rule) -> None:
    """Fault caught: a server whose tool is denied, and that redefines it to be merely unknown."""
    tool = replace(PINNED, rules=(rule,))

    before, after = decision("sha256:aa", tool), decision("sha256:bb", tool)

    assert after.level >= before.level >= Level.APPROVE_DUAL
    assert (after.reason, after.tool, after.editable) == ("definition_changed", "", ())


def test_a_grant_for_a_tool_does_not_outlive_its_definition() -> None:
    tool = replace(PINNED, grants=GrantSpec(), rules=())
    prepared = prepare(asked("sha256:bb"), policy(tool))
    grant = a_grant(prepared, "read")

    judged = decide(prepared, Facts(grant=grant), NOON)

    assert (judged.level, judged.grant, judged.grants) == (Level.APPROVE, "", False)


def test_a_pinned_definition_is_the_tool() -> None:
    assert (decision("sha256:aa").level, decision("sha256:aa").tool) == (Level.ALLOW, "read")


def test_the_arguments_of_an_mcp_call_are_its_content() -> None:
    judged = judge(policy(READ), asked())

    assert (judged.arguments, judged.sources) == ({"id": "7"}, {"id": "json"})
    without = replace(asked(), content=Content(kind=Body.NONE), query=(("x", "1"),))
    assert judge(policy(READ), without).arguments == {}
    listed = replace(asked(), content=Content(kind=Body.JSON, value=[1]))
    assert judge(policy(READ), listed).arguments == {"body": [1]}


def test_an_mcp_call_is_named_by_its_tool_in_the_trace_and_to_the_agent() -> None:
    known = judge(policy(READ), asked())
    unknown = judge(policy(READ), mcp_call("mail", "drop"))

    assert known.trace[0] == "tool read: mail get_all"
    assert unknown.message == "No policy entry covers drop on 'mail'."
