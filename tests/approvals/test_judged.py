"""What is acted on is shown within bounds, whatever an agent puts there."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.approvals.judged import TARGET_TEXT, TARGETS, showable, target
from interlock.core.masking import NO_MASKS, Masks

TASK = "Pay " + " ".join(f"person{number}" for number in range(100))


def test_only_the_first_values_are_looked_up_in_the_request() -> None:
    values = {f"to{number}": f"person{number}" for number in range(TARGETS * 3)}
    shown = target(values, NO_MASKS, TASK)
    assert [each.stated for each in shown] == [True] * TARGETS


def test_a_list_counts_as_many_values_as_it_holds() -> None:
    few, many = ([f"person{number}" for number in range(size)] for size in (15, 80))
    shown = target({"a": many, "b": few, "c": few, "d": "person1"}, NO_MASKS, TASK)
    assert [each.stated for each in shown] == [None, True, None, True]


def test_a_long_value_is_cut_and_says_so() -> None:
    (shown,) = target({"to": "x" * 100_000}, NO_MASKS, TASK)
    assert shown.visible == "x" * TARGET_TEXT + "… (100000 characters, see the arguments)"
    (listed,) = target({"to": ["x"] * 100_000}, NO_MASKS, TASK)
    assert len(listed.visible) < TARGET_TEXT + 60


def test_a_long_value_that_may_hold_something_hidden_is_hidden() -> None:
    hidden = {"to": "secret", "all": ["secret"] * 100_000}
    assert target(hidden, Masks(hidden, {}, ["to"]), "")[1].visible == "…"


@pytest.mark.parametrize(
    ("values", "fits"),
    [
        ({"to": "bob"}, True),
        ({f"a{number}": 1 for number in range(TARGETS + 1)}, False),
        ({"to": "x" * TARGET_TEXT}, False),
    ],
)
def test_what_cannot_be_shown_in_full_cannot_be_granted(values: dict[str, Any], fits: bool) -> None:
    assert showable(values) is fits
