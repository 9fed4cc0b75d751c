"""What is made to be misread is named wherever the agent wrote it, and no card hides that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from interlock.approvals.deceptive import at_a_glance, told_by_card, warned
from interlock.core.actions import Action, evolve
from interlock.core.masking import NO_MASKS
from tests.support.builders import a_call, a_decision, an_action

BACKWARDS = "invoice\u202efdp.exe"  # reads as exe.pdf


def held(arguments: dict[str, Any] | None = None, **context: Any) -> Action:
    call = a_call()
    call = replace(call, context=replace(call.context, **context))
    decision = a_decision(arguments=arguments or {"amount": 900, "to": "bob"})
    return evolve(an_action(call), decision=decision)


def places(action: Action, task: str = "") -> list[str]:
    return [each.where for each in warned(action.call, action.decision, task, NO_MASKS)]


def test_a_plain_call_has_nothing_to_warn_of() -> None:
    assert places(held()) == []
    assert at_a_glance(held()) is False


@pytest.mark.parametrize(
    ("action", "where"),
    [
        (held(reason=BACKWARDS), "stated reason"),
        (held(session=BACKWARDS), "session"),
        (held({"to": BACKWARDS}), "argument to"),
        (held({"to": [{"name": BACKWARDS}]}), "argument to"),
        (held({"to": {BACKWARDS: 1}}), "argument to"),
    ],
)
def test_it_is_named_where_it_stands(action: Action, where: str) -> None:
    assert set(places(action)) == {where}
    assert at_a_glance(action) is True
    assert not told_by_card(action, NO_MASKS)


def test_the_users_request_is_looked_at_as_well() -> None:
    assert set(places(held(), task=BACKWARDS)) == {"user's task"}


def test_the_same_is_said_once() -> None:
    twice = held({"to": [BACKWARDS, BACKWARDS]})
    assert places(twice) == places(held({"to": BACKWARDS}))


def test_a_card_does_not_say_that_a_text_too_long_to_look_through_is_harmless() -> None:
    assert at_a_glance(held({"to": "a" * 100_001})) is None
    assert at_a_glance(held({"to": "ж" * 1_001})) is None
