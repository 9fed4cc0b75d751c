"""Everything that is sent is in the digest; everything that a person clears is in the clearance."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.actions import (
    Action,
    Agent,
    Body,
    Content,
    Context,
    McpTool,
    Review,
    Reviewer,
    ToolCall,
    Verdict,
)
from interlock.core.content import parse_content, parse_target
from interlock.core.decisions import (
    Decision,
    Escalation,
    Level,
    PolicyRef,
    Reversibility,
    RuleHit,
    Stake,
    Undo,
)
from interlock.core.digest import clearance, digest, fingerprint, seal, seal_record
from interlock.core.facts import Facts, Grant, Session
from interlock.core.messages import call_envelope, write_message
from interlock.store.decisions import pack_decision, read_decision

CALL = ToolCall(
    agent=Agent(id="bot", owner="ann"),
    upstream="pay",
    method="POST",
    target="/v1/a?x=1",
    headers=(("Content-Type", "text/plain"),),
    body=b"hello",
    service="s3",
    region="eu-west-1",
)
OTHERS = {
    "agent": Agent(id="other"),
    "upstream": "mail",
    "method": "PUT",
    "target": "/v1/a?x=2",
    "headers": (("content-type", "text/plain"),),
    "body": b"hello ",
    "service": "iam",
    "region": "us-east-1",
    "mcp": McpTool(name="x"),
}
READINGS = {
    "path": "/other",
    "query": (("a", "b"),),
    "content": Content(kind=Body.OPAQUE),
    "context": Context(confidence=1.0),
    "digest": "0" * 64,
}


def test_every_field_of_a_call_is_either_sent_or_a_reading():
    assert {field.name for field in fields(ToolCall)} == OTHERS.keys() | READINGS.keys()


@pytest.mark.parametrize("name", OTHERS)
def test_another_byte_to_send_is_another_digest(name):
    assert digest(replace(CALL, **{name: OTHERS[name]})) != digest(CALL)


@pytest.mark.parametrize("name", READINGS)
def test_a_claim_or_a_reading_is_not_part_of_the_digest(name):
    assert digest(replace(CALL, **{name: READINGS[name]})) == digest(CALL)


def test_a_sealed_call_carries_its_digest():
    assert seal(CALL).digest == digest(CALL) == digest(seal(CALL))


pieces = st.text(st.characters(max_codepoint=0x7F), max_size=3)
calls = st.builds(
    replace,
    st.just(CALL),
    method=pieces,
    target=pieces,
    service=pieces,
    region=pieces,
    headers=st.lists(st.tuples(pieces, pieces), max_size=2).map(tuple),
    body=st.binary(max_size=3),
)


@given(calls, calls)
def test_two_calls_share_a_digest_only_where_every_sent_field_agrees(one, other):
    same = all(getattr(one, name) == getattr(other, name) for name in OTHERS)
    assert (digest(one) == digest(other)) == same


def test_bytes_cannot_move_between_neighbours():
    assert digest(replace(CALL, method="PO", target="ST/")) != digest(
        replace(CALL, method="POST", target="/")
    )
    assert digest(replace(CALL, headers=(("A", "B"), ("C", "D")), body=b"")) != digest(
        replace(CALL, headers=(("A", "B"),), body=b"CD")
    )


REVIEW = Review(
    reviewer=Reviewer(id="ann"), verdict=Verdict.APPROVE, digest=digest(CALL), version=1
)
CLEARED = (REVIEW, "a1", b"key")


@pytest.mark.parametrize(
    ("index", "value"),
    [
        (0, replace(REVIEW, reviewer=Reviewer(id="bob"))),
        (0, replace(REVIEW, verdict=Verdict.REJECT)),
        (0, replace(REVIEW, digest="0" * 64)),
        (0, replace(REVIEW, policy="p2")),
        (0, replace(REVIEW, looked_ms=1)),
        (0, replace(REVIEW, step_up="key-1")),
        (1, "a2"),
        (2, b"other"),
    ],
)
def test_a_clearance_holds_for_one_review_of_one_action_under_one_policy(index, value):
    parts = list(CLEARED)
    parts[index] = value
    assert clearance(*parts) != clearance(*CLEARED)
    assert len(clearance(*CLEARED)) == 64


JSON = ("Content-Type", "application/json")


def mark(method="POST", target="/a", *headers, body=b'{"a":1}', session="s", agent="bot"):
    path, query = parse_target(target)
    media_type = dict(headers).get("Content-Type", "")
    return fingerprint(
        ToolCall(
            agent=Agent(id=agent),
            upstream="pay",
            method=method,
            target=target,
            headers=headers,
            body=body,
            path=path,
            query=query,
            content=parse_content(media_type, body),
            context=Context(session=session),
        )
    )


def test_a_retry_written_differently_has_the_same_fingerprint():
    first = mark("POST", "/a%20b", JSON, body=b'{"a":1,"b":2}')
    again = mark("POST", "/%61%20b", JSON, ("traceparent", "x"), body=b'{ "b": 2, "a": 1 }')
    assert first == again


@pytest.mark.parametrize(
    "other",
    [
        lambda: mark("PUT", "/a", JSON),
        lambda: mark("POST", "/b", JSON),
        lambda: mark("POST", "/a?x=1", JSON),
        lambda: mark("POST", "/a", JSON, body=b'{"a":2}'),
        lambda: mark("POST", "/a", JSON, body=b'{"a":1.0}'),
        lambda: mark("POST", "/a", JSON, body=b'{"a":true}'),
        lambda: mark("POST", "/a", JSON, body=b'{"a":"1"}'),
        lambda: mark("POST", "/a", ("Content-Type", "text/plain")),
        lambda: mark("POST", "/a", JSON, ("Range", "bytes=0-1")),
        lambda: mark("POST", "/a", JSON, ("X-Amz-Target", "DynamoDB.DeleteTable")),
        lambda: mark("POST", "/a", JSON, session="t"),
        lambda: mark("POST", "/a", JSON, agent="other"),
    ],
)
def test_another_call_has_another_fingerprint(other):
    assert other() != mark("POST", "/a", JSON)


def test_the_digest_of_an_http_call_never_changes():
    """Fault caught: a new part that voids every approval that is waiting."""
    assert digest(CALL) == "708b0124747d600dffc930c465b1b6b9cc10c7ceeb8185e9a37ba104dab9dd4b"
    assert fingerprint(CALL) == "56f157642a9c453760713296beb5300663c6227349b5f7fbe7f9158ea0d34103"


TOOL = replace(
    CALL, mcp=McpTool(name="send", definition="sha256:aa"), body=call_envelope("send", {"to": "a"})
)


@pytest.mark.parametrize(
    "mcp", [None, McpTool(name="drop", definition="sha256:aa"), McpTool(name="send")]
)
def test_another_tool_or_another_definition_of_it_is_another_digest(mcp):
    """Fault caught: a tool that is redefined between its approval and its send."""
    assert digest(replace(TOOL, mcp=mcp)) != digest(TOOL)


def test_what_the_server_claims_of_a_tool_is_no_part_of_the_digest():
    claimed = replace(TOOL, mcp=replace(TOOL.mcp, annotations={"readOnlyHint": True}))

    assert digest(claimed) == digest(TOOL)


@pytest.mark.parametrize(
    ("member", "value"),
    [("arguments", {"to": "b"}), ("inputResponses", {"sure": True}), ("task", {"ttl": 1})],
)
def test_all_that_an_mcp_call_asks_for_makes_it_another_call(member, value):
    """Fault caught: a continuation with an answer that nobody judged joins an approved call."""
    params = {"name": "send", "arguments": {"to": "a"}, member: value}
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}

    assert fingerprint(replace(TOOL, body=write_message(asked))) != fingerprint(TOOL)


def test_a_retry_of_an_mcp_call_is_the_same_call_on_whatever_connection_it_comes():
    params = {"name": "send", "arguments": {"to": "a"}, "_meta": {"progressToken": 7}}
    again = {"jsonrpc": "2.0", "id": "x-2", "method": "tools/call", "params": params}
    retried = replace(
        TOOL,
        body=write_message(again),
        headers=(("Mcp-Param-To", "a"),),
        mcp=replace(TOOL.mcp, session="another"),
    )

    assert fingerprint(retried) == fingerprint(TOOL)


def test_the_connection_is_no_part_of_what_is_approved():
    moved = replace(TOOL, mcp=replace(TOOL.mcp, session="another"))

    assert digest(moved) == digest(TOOL)


@pytest.mark.parametrize(
    "changed", [{"accepted": False}, {"session": "x"}, {"annotations": {"a": True}}]
)
def test_the_record_of_an_mcp_call_is_sealed_with_all_that_is_known_of_its_tool(changed):
    """Fault caught: who can write to the store calls a changed definition accepted."""
    known = Action(id="a1", call=TOOL, digest=digest(TOOL), decision=DECIDED)
    forged = replace(known, call=replace(TOOL, mcp=replace(TOOL.mcp, **changed)))

    assert seal_record(forged, b"k") != seal_record(known, b"k")


def test_calls_of_two_tools_are_never_joined():
    assert fingerprint(TOOL) != fingerprint(CALL)
    assert fingerprint(replace(TOOL, mcp=McpTool(name="drop"))) != fingerprint(TOOL)
    assert fingerprint(replace(TOOL, mcp=McpTool(name="send"))) == fingerprint(TOOL)


DECIDED = Decision(level=Level.APPROVE, policy=PolicyRef(name="p", version=1, sha256="0" * 64))
UNSEALED = {"effects", "hold_ms"}
"""What nobody decides by; the store's clock and scripts guard how long a call is held."""
SAID = {
    "audit_share": 0.05,
    "level": Level.APPROVE_DUAL,
    "policy": PolicyRef(name="q", version=1, sha256="0" * 64),
    "tool": "t",
    "description": "d",
    "stake": Stake.LOW,
    "reversibility": Reversibility.READ_ONLY,
    "facet": "f",
    "rules": (RuleHit(id="r", effect="e"),),
    "signals": ("novelty",),
    "exceptions": ("x",),
    "reason": "unknown_tool",
    "message": "m",
    "trace": ("t",),
    "arguments": {"a": 1},
    "sources": {"a": "json"},
    "quorum": 2,
    "approvers": ("ops",),
    "editable": (),
    "require_reason": frozenset(),
    "orphans": "refuse",
    "limits": ("l",),
    "target": {},
    "grant": "g",
    "grants": True,
    "remind_ms": 1,
    "escalate": (Escalation(after_ms=1, to=("leads",)),),
    "notify": ("ops",),
    "redacted": ("a",),
    "egress": True,
    "indeterminate": True,
    "undo": Undo(reason="Ask for it back."),
    "dwell_ms": 1,
    "step_up": True,
    "folded": True,
    "batch": True,
    "shadow": ("r",),
    "would_be": Level.ALLOW,
    "facts": Facts(task="Pay eve."),
}
GRANT = Grant(
    id="g1",
    key="k",
    agent="bot",
    tool="t",
    target={"to": ["bob"]},
    by="ann",
    action_id="a0",
    level=2,
    stake=1,
    created=1,
    expires=2,
    uses=3,
)
FACTS = Facts(
    used={"k": 1, "l": 2}, familiar=False, session=Session(points=0.1), task="Pay bob.", grant=GRANT
)
PASTS = {
    "calibrated": 0.5,
    "used": {"k": 1},
    "familiar": True,
    "session": Session(points=0.1, untrusted_content=True),
    "task": "Pay eve.",
    "refused": True,
    "grant": replace(GRANT, target={"to": ["eve"]}),
}


def sealed(decision):
    return seal_record(
        Action(id="a1", call=seal(CALL), digest=digest(CALL), decision=decision), b""
    )


def test_every_field_of_a_decision_is_sealed_or_decides_nothing():
    assert {field.name for field in fields(Decision)} == SAID.keys() | UNSEALED


@pytest.mark.parametrize("name", SAID)
def test_whoever_writes_to_the_store_changes_nothing_that_people_decide_on(name):
    """Fault caught: widening who may decide, or showing what was hidden, in the store."""
    assert sealed(replace(DECIDED, **{name: SAID[name]})) != sealed(DECIDED)


def test_where_the_arguments_of_an_undo_come_from_is_sealed():
    """Fault caught: an undo whose amount is taken from elsewhere, in the store."""
    undo = Undo(tool="refund", arguments=(("amount", "args.amount"),))
    other = replace(undo, arguments=(("amount", "answer.balance"),))

    assert sealed(replace(DECIDED, undo=undo)) != sealed(replace(DECIDED, undo=other))


def test_whoever_writes_to_the_store_makes_no_call_of_a_practice_call():
    call = Action(id="a1", call=seal(CALL), digest=digest(CALL), decision=DECIDED)

    assert seal_record(replace(call, decoy_of="a0"), b"") != seal_record(call, b"")


def test_what_held_a_call_before_its_edit_is_sealed_and_seals_without_it_hold():
    call = Action(id="a1", call=seal(CALL), digest=digest(CALL), decision=DECIDED)
    held = replace(call, held=DECIDED)
    other = replace(call, held=replace(DECIDED, reason=DECIDED.reason + "!"))

    assert len({seal_record(each, b"") for each in (call, held, other)}) == 3


def test_every_fact_of_the_past_is_sealed():
    assert {field.name for field in fields(Facts)} == PASTS.keys()


@pytest.mark.parametrize("name", PASTS)
def test_whoever_writes_to_the_store_forges_nothing_of_the_past(name):
    """Fault caught: another request of the user in the record, which then states the recipient."""
    known = replace(DECIDED, facts=FACTS)

    assert sealed(replace(known, facts=replace(FACTS, **{name: PASTS[name]}))) != sealed(known)


def test_the_seal_of_what_was_known_survives_the_store():
    """Fault caught: a seal that the order of members or a mapping of another type breaks."""
    packed = pack_decision(replace(DECIDED, facts=FACTS), keep=True)
    read = read_decision(json.loads(json.dumps(packed)))
    turned = replace(FACTS, used=MappingProxyType({"l": 2, "k": 1}))

    assert sealed(read) == sealed(replace(DECIDED, facts=FACTS))
    assert sealed(replace(DECIDED, facts=turned)) == sealed(read)
