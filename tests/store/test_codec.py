"""Actions to bytes and back: nothing is lost, and no bytes make a sound action by accident."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.actions import (
    Action,
    Agent,
    Answer,
    Content,
    Context,
    McpTool,
    Raised,
    Review,
    Reviewer,
    State,
    ToolCall,
    Verdict,
)
from interlock.core.content import parse_content
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
from interlock.core.digest import digest, seal
from interlock.core.errors import MalformedCall
from interlock.core.events import Answered, Cancelled, Decided, NotSent, Resolved, Reviewed
from interlock.core.facts import Effects, Facts, Grant, Session
from interlock.core.messages import call_content, call_envelope
from interlock.store.codec import (
    DAMAGED,
    decode_action,
    decode_answer,
    decode_call,
    encode_answer,
    encode_call,
    encode_event,
    encode_record,
)
from interlock.store.decisions import SMALL
from tests.support.builders import a_call, a_decision, a_review, an_action

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
HEADER = st.text(st.characters(max_codepoint=255), max_size=10).map(
    lambda text: text.encode("latin-1").decode("utf-8", "surrogateescape")
)


def sealed_call(mcp: McpTool | None, **given: Any) -> ToolCall:
    call = replace(a_call(body=b""), mcp=mcp, **given)
    if mcp is not None:  # its body is a message, whose arguments are what is read of it
        body = call_envelope(mcp.name, {"path": given["upstream"]})
        call = replace(call, body=body, content=call_content(body))
    return seal(call)


CALLS = st.builds(
    sealed_call,
    agent=st.builds(Agent, id=WORDS, owner=WORDS),
    upstream=WORDS,
    method=st.sampled_from(["GET", "POST", "DELETE"]),
    headers=st.lists(st.tuples(HEADER, HEADER), max_size=3).map(tuple),
    service=WORDS,
    region=WORDS,
    context=st.builds(
        Context,
        confidence=st.none() | st.floats(0, 1),
        session=HEADER,
        reason=HEADER,
        task=HEADER,
        traceparent=WORDS,
    ),
    mcp=st.none()
    | st.builds(
        McpTool,
        name=WORDS,
        definition=WORDS,
        annotations=st.dictionaries(WORDS, st.booleans(), max_size=2),
        accepted=st.booleans(),
        session=WORDS,
    ),
)
VALUES = st.dictionaries(WORDS, st.integers() | WORDS | st.lists(st.none()), max_size=2)
GRANTS = st.builds(
    Grant,
    id=WORDS,
    key=WORDS,
    agent=WORDS,
    tool=WORDS,
    target=VALUES,
    by=WORDS,
    action_id=WORDS,
    created=st.integers(0),
    expires=st.integers(0),
    uses=st.integers(0, 9),
    used=st.integers(0, 9),
    reason=WORDS,
    mac=WORDS,
)
FACTS = st.builds(
    Facts,
    used=st.dictionaries(WORDS, st.integers(0, 2**62), max_size=2),
    familiar=st.none() | st.booleans(),
    session=st.none()
    | st.builds(
        Session,
        untrusted_content=st.booleans(),
        sensitive_data=st.booleans(),
        points=st.floats(0, 1e9),
        writes=st.integers(0),
        calls=st.integers(0),
    ),
    task=st.none() | WORDS,
    refused=st.booleans(),
    grant=st.none() | GRANTS,
)
DECISIONS = st.builds(
    Decision,
    level=st.sampled_from([Level.APPROVE, Level.APPROVE_DUAL, Level.DENY]),
    policy=st.builds(PolicyRef, name=WORDS, version=st.integers(0, 99), sha256=WORDS),
    tool=WORDS,
    description=WORDS,
    stake=st.sampled_from(Stake),
    reversibility=st.sampled_from(Reversibility),
    facet=WORDS,
    rules=st.lists(
        st.builds(RuleHit, id=WORDS, effect=WORDS, description=WORDS, indeterminate=WORDS),
        max_size=2,
    ).map(tuple),
    shadow=st.lists(WORDS, max_size=2).map(tuple),
    signals=st.lists(WORDS, max_size=2).map(tuple),
    exceptions=st.lists(WORDS, max_size=2).map(tuple),
    indeterminate=st.booleans(),
    reason=WORDS,
    message=WORDS,
    trace=st.lists(WORDS, max_size=2).map(tuple),
    arguments=st.dictionaries(WORDS, st.integers() | WORDS | st.floats(allow_nan=False)),
    sources=st.dictionaries(WORDS, st.sampled_from(["path", "query", "form", "json"])),
    undo=st.none()
    | st.builds(
        Undo,
        tool=WORDS,
        within=WORDS,
        reason=WORDS,
        arguments=st.lists(st.tuples(WORDS, WORDS), max_size=2).map(tuple),
    ),
    dwell_ms=st.integers(0, 10**9),
    step_up=st.booleans(),
    folded=st.booleans(),
    batch=st.booleans(),
    egress=st.booleans(),
    quorum=st.integers(1, 3),
    approvers=st.lists(WORDS, max_size=2).map(tuple),
    hold_ms=st.integers(0, 10**9),
    editable=st.none() | st.lists(WORDS, max_size=2).map(tuple),
    require_reason=st.frozensets(WORDS, max_size=2),
    orphans=st.sampled_from(["execute", "refuse"]),
    limits=st.lists(WORDS, max_size=2).map(tuple),
    target=st.none() | VALUES,
    grant=WORDS,
    grants=st.booleans(),
    remind_ms=st.integers(0, 10**9),
    escalate=st.lists(
        st.builds(Escalation, after_ms=st.integers(0), to=st.lists(WORDS).map(tuple)), max_size=2
    ).map(tuple),
    notify=st.lists(WORDS, max_size=2).map(tuple),
    redacted=st.lists(WORDS, max_size=2).map(tuple),
    facts=FACTS,
)
REVIEWS = st.builds(
    Review,
    reviewer=st.builds(Reviewer, id=WORDS, groups=st.frozensets(WORDS, max_size=2)),
    verdict=st.sampled_from(Verdict),
    digest=WORDS,
    version=st.integers(0, 99),
    message=WORDS,
    reason_code=WORDS,
    policy=WORDS,
    looked_ms=st.integers(0),
    step_up=WORDS,
    mac=WORDS,
)


def fields_of(action: Action) -> dict[bytes, bytes]:
    """The hash as the scripts keep it."""
    return {
        b"rec": encode_record(action),
        b"call": encode_call(action.call, keep_body=True),
        b"st": action.state.value.encode(),
        b"ver": str(action.version).encode(),
        b"digest": action.digest.encode(),
    }


@given(CALLS, DECISIONS, st.lists(REVIEWS, max_size=3).map(tuple), WORDS, WORDS)
def test_an_action_reads_back_as_it_was_written(
    call: ToolCall, decision: Decision, reviews: tuple[Review, ...], cause: str, of: str
) -> None:
    action = replace(
        an_action(call),
        state=State.HELD,
        decision=decision,
        held=decision if of else None,
        votes=reviews,
        reviews=reviews,
        cause=cause,
        decoy_of=of,
        same_since=len(cause),
        raised=tuple(Raised(by=each, message=of, at=1) for each in cause[:2]),
    )

    assert decode_action("a1", fields_of(action)) == action


@given(CALLS)
def test_a_call_read_back_has_the_digest_that_it_was_sealed_with(call: ToolCall) -> None:
    read = decode_call(encode_call(call, keep_body=True))

    assert digest(read) == read.digest == call.digest


@given(st.binary(max_size=200), st.integers(100, 599), st.booleans())
def test_an_answer_reads_back_byte_for_byte(body: bytes, status: int, complete: bool) -> None:
    answer = Answer(
        status=status,
        headers=(("X", "\udcff"), ("X", "2")),
        body=body,
        size=len(body) + 1,
        complete=complete,
    )

    assert decode_answer(encode_answer(answer)) == answer


def test_a_large_body_that_nobody_looks_at_is_left_out_and_cannot_pass_for_the_call() -> None:
    body = b'{"a": "' + b"x" * SMALL + b'"}'
    call = a_call(body=body)

    read = decode_call(encode_call(call, keep_body=False))

    assert read.body == b"" and digest(read) != read.digest
    assert decode_call(encode_call(call, keep_body=True)).body == body


def test_what_policy_sees_is_read_from_the_bytes_again_and_never_trusted() -> None:
    lie = replace(a_call(), path="/harmless", content=parse_content("application/json", b"{}"))

    read = decode_call(encode_call(lie, keep_body=True))

    assert read.path == "/pay" and read.content.value == {"amount": 900}


def test_a_decision_that_nobody_looks_at_one_by_one_is_stored_small() -> None:
    dull = a_decision(Level.ALLOW, trace=("long",) * 50)
    action = replace(an_action(), decision=dull)

    assert len(encode_record(action)) < 400
    read = decode_action("a1", fields_of(replace(action, state=State.APPROVED)))
    assert read.decision is not None and read.decision.level is Level.ALLOW


@pytest.mark.parametrize("more", [{"limits": ("daily",)}, {"grant": "g1"}])
def test_a_call_that_a_limit_or_a_grant_had_a_part_in_is_recorded_in_full(
    more: dict[str, Any],
) -> None:
    action = replace(an_action(), decision=a_decision(Level.ALLOW, trace=("why",), **more))

    read = decode_action("a1", fields_of(replace(action, state=State.APPROVED)))

    assert read.decision == action.decision


def test_who_is_told_and_what_is_hidden_is_recorded_of_every_call() -> None:
    dull = a_decision(Level.NOTIFY, notify=("ops",), redacted=("iban",))

    read = decode_action("a1", fields_of(replace(an_action(), decision=dull, state=State.APPROVED)))

    assert read.decision is not None
    assert (read.decision.notify, read.decision.redacted) == (("ops",), ("iban",))


def test_effects_are_for_the_store_and_no_part_of_the_record() -> None:
    effects = Effects(target="t1", repeat_ms=1)
    plain = replace(an_action(), decision=a_decision())
    marked = replace(an_action(), decision=a_decision(effects=effects))

    assert encode_record(plain) == encode_record(marked)


NEW = "limits target grant grants remind_ms escalate notify redacted facts".split()
NEW += "dwell_ms step_up folded batch".split()


def test_a_record_from_before_there_were_budgets_reads_as_one_without() -> None:
    action = replace(an_action(), state=State.HELD, decision=a_decision(), same_since=1)
    stored = fields_of(action)

    assert not json.loads(stored[b"rec"])["decision"].keys() & set(NEW)
    assert b"mcp" not in stored[b"call"]
    assert decode_action("a1", stored) == action


SEALED = an_action().digest
CLAIMS: dict[str, Any] = {
    "agent": Agent(id="bot"),
    "context": Context(),
    "content": Content(),
    "digest": "",
}
"""What is not sent: the owner, the agent's claims, how the body is read, the stored digest.

The seal on the record covers those.
"""
SOUND = fields_of(replace(an_action(), state=State.HELD, decision=a_decision()))


@given(st.sampled_from(sorted(SOUND)), st.data())
def test_damaged_bytes_are_an_error_that_is_expected_or_another_digest(
    name: bytes, data: st.DataObject
) -> None:
    good = SOUND[name]
    at = data.draw(st.integers(0, len(good) - 1))
    bad = good[:at] + data.draw(st.binary(max_size=3)) + good[at + 1 :]

    try:
        action = decode_action("a1", SOUND | {name: bad})
    except DAMAGED:
        return
    if digest(action.call) == SEALED:  # then nothing that is sent has changed
        assert replace(action.call, **CLAIMS) == replace(an_action().call, **CLAIMS)
    assert action.id == "a1"


@given(
    st.recursive(
        st.none() | st.integers() | WORDS, lambda x: st.lists(x) | st.dictionaries(WORDS, x)
    )
)
def test_any_json_in_place_of_the_record_is_an_error_that_is_expected(value: object) -> None:
    with pytest.raises(DAMAGED):
        decode_action("a1", SOUND | {b"rec": json.dumps(value).encode()})


@pytest.mark.parametrize("name", sorted(SOUND))
def test_a_missing_field_is_damage_and_no_default(name: bytes) -> None:
    rest = {key: value for key, value in SOUND.items() if key != name}

    if name in (b"ver", b"digest"):
        action = decode_action("a1", rest)
        assert action.version == 0 or action.digest == ""
    else:
        with pytest.raises(DAMAGED):
            decode_action("a1", rest)


def test_a_target_that_could_be_read_in_two_ways_is_damage() -> None:
    odd = encode_call(replace(a_call(), target="/a/../pay"), keep_body=True)

    with pytest.raises(MalformedCall):
        decode_call(odd)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (Decided(at=1, decision=a_decision()), {"level": "approve", "policy": "test@1"}),
        (NotSent(at=1, cause="refused"), {"cause": "refused"}),
        (Cancelled(at=1, by="bot", cause="x"), {"by": "bot"}),
        (Resolved(at=1, by="ann", happened=True, message="m"), {"happened": True, "by": "ann"}),
        (Answered(at=1, answer=Answer(status=201, size=3)), {"status": 201, "size": 3}),
        (
            Reviewed(at=1, review=a_review(an_action()), decision=a_decision()),
            {"reviewer": "ann", "verdict": "approve", "level": "approve"},
        ),
    ],
)
def test_an_event_is_told_in_words(event: Decided, said: dict[str, object]) -> None:
    told = json.loads(encode_event(event))

    assert told["event"] == type(event).__name__
    assert said.items() <= told.items()
