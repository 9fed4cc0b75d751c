"""Seals of calls that nobody had to decide: no field that a record or an auditor sees is open."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from interlock.core.actions import Action, Agent, State
from interlock.core.clearance import Seals
from interlock.core.decisions import Level
from tests.support.builders import a_call, a_decision, an_action

SEALS = Seals(b"k" * 32)


def sent(**changes: Any) -> Action:
    """Return a sealed call that went through."""
    call = a_call()
    decision = a_decision(level=Level.ALLOW, audit_share=0.1)
    made = replace(
        an_action(),
        call=call,
        original=None,
        decision=decision,
        state=State.ANSWERED,
        digest=call.digest,
    )
    return replace(SEALS.sealed(replace(made, drawn=True)), **changes)


def test_what_goes_through_is_sealed_and_vouched_for() -> None:
    action = sent()

    assert action.seal
    assert SEALS.genuine(action)
    ours = SEALS.vouched(action)
    assert ours is not None and ours.call == action.call
    assert ours.decision is not None and dict(ours.decision.arguments) == {}


@pytest.mark.parametrize(
    "change",
    [
        {"id": "a-copy"},
        {"seal": ""},
        {"seal": "\u00e9"},
        {"call": replace(a_call(), agent=Agent(id="other"))},
        {"call": replace(a_call(), body=b'{"to": "x"}')},
        {"decision": a_decision(level=Level.ALLOW, audit_share=0.2)},
        {"decision": a_decision(level=Level.NOTIFY, audit_share=0.1)},
        {"decision": a_decision(level=Level.APPROVE, audit_share=0.1)},
        {"decision": a_decision(level=Level.ALLOW, audit_share=0.1, tool="other.tool")},
    ],
)
def test_whatever_is_changed_in_the_store_breaks_the_seal(change: dict[str, Any]) -> None:
    changed = sent(**change)

    assert not SEALS.genuine(changed)
    assert SEALS.vouched(changed) is None


def test_another_key_seals_nothing_of_ours() -> None:
    assert Seals(b"j" * 32).vouched(sent()) is None
