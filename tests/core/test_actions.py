"""Actions are immutable; the fast way to the next version of one forgets no field."""

from __future__ import annotations

import dataclasses

import pytest

from interlock.core.actions import Action, Answer, State, evolve
from tests.support.builders import a_call, a_decision


def full() -> Action:
    """Return an action in which no field has its default."""
    call = a_call()
    return Action(
        id="a1",
        call=call,
        original=call,
        state=State.ANSWERED,
        version=3,
        decision=a_decision(),
        held=a_decision(),
        votes=("vote",),  # type: ignore[arg-type]
        reviews=("review",),  # type: ignore[arg-type]
        created=1,
        changed=2,
        deadline=4,
        lapses=5,
        nonce="n",
        fence=6,
        answer=Answer(status=200),
        cause="c",
        fingerprint="f",
        key="k",
        digest="d",
        seal="s",
        raised=("raised",),  # type: ignore[arg-type]
        same_since=7,
        decoy_of="a0",
        drawn=True,
        told=b"t",
    )


def test_every_field_is_taken_over() -> None:
    action = full()

    for field in dataclasses.fields(Action):
        default = field.default
        assert getattr(action, field.name) != default, f"give {field.name} a value in this test"
    assert evolve(action) == action
    assert evolve(action) is not action


def test_only_what_is_named_changes() -> None:
    action = full()

    for field in dataclasses.fields(Action):
        changed = evolve(action, **{field.name: "other"})
        assert changed == dataclasses.replace(action, **{field.name: "other"})


def test_what_was_made_is_an_action_that_cannot_be_changed() -> None:
    made = evolve(full(), version=4)

    assert type(made) is Action
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.version = 5  # type: ignore[misc]


def test_a_field_that_there_is_none_of_is_refused() -> None:
    with pytest.raises(AttributeError):
        evolve(full(), nonesuch=1)
