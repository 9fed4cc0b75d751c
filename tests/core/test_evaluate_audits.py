"""Which calls are drawn for a look afterwards, and with which share: as the judge says it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from interlock.core.actions import ToolCall
from interlock.core.decisions import Level
from interlock.core.rules import Audit, Environment, Rule, UnknownTool
from tests.core.building import PAY, call, judge, mcp, mcp_call, policy


def test_the_share_of_audits_is_that_of_the_tool_or_of_all_whichever_is_larger() -> None:
    audit = Audit(share=0.05, tools={"pay": 0.2})

    def share(asked: ToolCall, **settings: Any) -> float:
        return judge(policy(PAY, audit=audit, **settings), asked).audit_share

    assert share(call(amount=10)) == 0.2
    assert share(call(amount=100)) == 0.0  # a person decides
    assert share(call("elsewhere")) == 0.0
    told = {"unknown_tool": UnknownTool(level=Level.NOTIFY)}
    assert share(call("elsewhere"), **told) == 0.05
    assert share(call(amount=100), shadow=True) == 0.2  # goes through, whatever it would be


def test_a_tool_with_another_definition_than_was_pinned_is_audited_as_before() -> None:
    """Fault caught: a server that changes a definition to be looked at less."""
    tool = replace(PAY, match=mcp("files", "pay"), pins=frozenset({"sha256:a"}), facets=())
    settings: dict[str, Any] = {
        "audit": Audit(share=0.05, tools={"pay": 0.2}),
        "unknown_tool": UnknownTool(level=Level.NOTIFY),
    }

    decision = judge(policy(tool, **settings), mcp_call("files", "pay", "sha256:b"))

    assert (decision.reason, decision.level) == ("definition_changed", Level.NOTIFY)
    assert decision.audit_share == 0.2


def test_what_cannot_be_judged_is_not_drawn() -> None:
    def broken(seen: Environment) -> bool:
        raise ZeroDivisionError

    rule = Rule(id="broken", when=broken, at_least=Level.APPROVE)
    decision = judge(policy(replace(PAY, rules=(rule,)), audit=Audit(share=1.0)), call(amount=1))

    assert (decision.reason, decision.audit_share) == ("evaluation_error", 0.0)
