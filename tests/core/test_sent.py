"""Who only writes to the store changes nothing of a call that nobody had to decide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from interlock.core.actions import Action, Agent, McpTool, evolve
from interlock.core.decisions import Level, Reversibility, Stake
from interlock.core.facts import NO_FACTS
from interlock.core.sent import covered, seal_sent, whole
from tests.support.builders import a_call, a_decision, a_review, an_action

KEY = b"a key that is not in the store.."
Change = Callable[[Action], Action]


def sent() -> Action:
    call = replace(a_call(), mcp=McpTool(name="pay", annotations={"readOnlyHint": False}))
    return evolve(an_action(call), decision=a_decision(Level.NOTIFY, audit_share=0.05))


def of_call(**changes: Any) -> Change:
    return lambda action: replace(action, call=replace(action.call, **changes))


def of_context(**changes: Any) -> Change:
    return lambda action: of_call(context=replace(action.call.context, **changes))(action)


def of_tool(**changes: Any) -> Change:
    def change(action: Action) -> Action:
        assert action.call.mcp is not None
        return of_call(mcp=replace(action.call.mcp, **changes))(action)

    return change


def of_decision(**changes: Any) -> Change:
    def change(action: Action) -> Action:
        assert action.decision is not None
        return replace(action, decision=replace(action.decision, **changes))

    return change


COVERED: dict[str, Change] = {
    "id": lambda action: replace(action, id="a2"),
    "digest": lambda action: replace(action, digest="0" * 64),
    "whether it was drawn": lambda action: replace(action, drawn=True),
    "practice": lambda action: replace(action, decoy_of="a9"),
    "no decision": lambda action: replace(action, decision=None),
    "agent": of_call(agent=Agent(id="other", owner="olga")),
    "owner": of_call(agent=Agent(id="bot", owner="ann")),
    "upstream": of_call(upstream="mail"),
    "method": of_call(method="PUT"),
    "target": of_call(target="/pay?to=eve"),
    "headers": of_call(headers=(("Content-Type", "text/plain"),)),
    "no tool of MCP": of_call(mcp=None),
    "confidence": of_context(confidence=0.1),
    "session": of_context(session="s2"),
    "reason": of_context(reason="rent was due"),
    "tool of MCP": of_tool(name="wire"),
    "what its server said of it": of_tool(annotations={"readOnlyHint": True}),
    "whether that was accepted": of_tool(accepted=False),
    "level": of_decision(level=Level.ALLOW),
    "stake": of_decision(stake=Stake.LOW),
    "reversibility": of_decision(reversibility=Reversibility.REVERSIBLE),
    "tool": of_decision(tool="bank.read"),
    "what is hidden": of_decision(redacted=("to",)),
    "share of audits": of_decision(audit_share=0.0),
    "calibrated": of_decision(facts=replace(NO_FACTS, calibrated=0.5)),
    "level in shadow mode": of_decision(would_be=Level.DENY),
}
NOT_COVERED: dict[str, Change] = {
    "arguments": of_decision(arguments={"amount": 1}),
    "target of policy": of_decision(target={"to": "eve"}),
    "reason of policy": of_decision(reason="because"),
    "reviews": lambda action: replace(action, reviews=(a_review(action),)),
}


@pytest.mark.parametrize("change", COVERED.values(), ids=COVERED)
def test_what_was_sent_and_why_is_under_the_seal(change: Change) -> None:
    action = sent()
    assert seal_sent(change(action), KEY) != seal_sent(action, KEY)


@pytest.mark.parametrize("change", NOT_COVERED.values(), ids=NOT_COVERED)
def test_what_no_seal_covers_is_taken_out_before_anybody_believes_it(change: Change) -> None:
    action = sent()
    forged = change(action)
    assert seal_sent(forged, KEY) == seal_sent(action, KEY)
    assert covered(forged) == covered(action)


def test_without_the_key_there_is_no_seal() -> None:
    assert seal_sent(sent(), KEY) != seal_sent(sent(), b"another key ....................")


def test_a_call_without_a_decision_is_covered_as_it_is() -> None:
    action = an_action()
    assert covered(action) is action


def test_a_body_that_was_kept_is_the_one_that_was_sent() -> None:
    call = a_call()
    assert whole(call)
    assert not whole(replace(call, body=b'{"amount": 1}'))
    assert whole(replace(call, body=b"")), "it was too large to be kept"
    assert not whole(replace(a_call(body=b""), target="/pay?to=eve"))
