"""Decisions to JSON and back: what is learned from them, and what was recorded before that."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.decisions import Decision, Level, PolicyRef
from interlock.core.facts import NO_FACTS, Facts, Session, asked_of
from interlock.store.decisions import pack_decision, read_decision

LET_THROUGH = Decision(level=Level.ALLOW, policy=PolicyRef(name="p", version=1, sha256="0"))
HELD = replace(LET_THROUGH, level=Level.APPROVE, reason="unknown_tool", arguments={"to": "bob"})
PAST = Facts(used={"k": 1}, familiar=False, session=Session(points=1.5), task="Pay bob.")


def again(decision: Decision) -> Decision:
    packed: dict[str, Any] = json.loads(json.dumps(pack_decision(decision, keep=True)))
    return read_decision(packed)


@given(
    decision=st.sampled_from([LET_THROUGH, HELD]),
    facts=st.sampled_from([NO_FACTS, PAST]),
    calibrated=st.none() | st.floats(0, 1),
    share=st.floats(0, 1),
)
def test_what_is_learned_from_a_call_is_read_back(
    decision: Decision, facts: Facts, calibrated: float | None, share: float
) -> None:
    """Fault caught: an audit whose share is lost, so that nobody knows for how many it stands."""
    known = replace(facts, calibrated=calibrated)
    found = again(replace(decision, facts=known, audit_share=share))

    assert (found.audit_share, found.facts.calibrated) == (share, calibrated)
    if decision is HELD:
        assert found == replace(decision, facts=known, audit_share=share)


@pytest.mark.parametrize("decision", [LET_THROUGH, HELD])
def test_what_says_nothing_takes_no_room(decision: Decision) -> None:
    packed = pack_decision(decision, keep=True)

    assert not {"calibrated", "audit_share", "facts"} & packed.keys()


@pytest.mark.parametrize("decision", [LET_THROUGH, replace(HELD, facts=PAST)])
def test_a_record_from_before_is_read_as_never_drawn_and_never_corrected(
    decision: Decision,
) -> None:
    found = again(decision)

    assert (found.audit_share, found.facts.calibrated) == (0.0, None)
    assert found == decision


def test_a_number_alone_is_no_answer_of_the_store() -> None:
    found = again(replace(HELD, facts=replace(NO_FACTS, calibrated=0.5)))

    assert not asked_of(found.facts) and not asked_of(again(HELD).facts)
    assert asked_of(again(replace(HELD, facts=PAST)).facts)
