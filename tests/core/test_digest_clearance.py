"""A clearance: nobody without the key makes one, and it fits one decision only."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from interlock.core.actions import Review, Reviewer, Verdict
from interlock.core.digest import clearance, former_clearance
from tests.support.builders import a_review, an_action

KEY = b"k" * 32
REVIEW = a_review(an_action())
OTHERS = {
    "reviewer": Reviewer(id="mallory"),
    "verdict": Verdict.EDIT,
    "digest": "f" * 64,
    "policy": "f" * 64,
    "at": 7,
    "looked_ms": 7,
    "step_up": "key-1",
    "version": 7,
    "message": "It is fine, I asked olga.",
    "reason_code": "wrong-target",
}
UNBOUND = {"call", "mac"}
"""The edited call is bound by its digest."""


def test_every_field_of_a_review_is_bound() -> None:
    assert {field.name for field in fields(Review)} == OTHERS.keys() | UNBOUND


@pytest.mark.parametrize("name", OTHERS)
def test_a_clearance_fits_no_other_decision(name: str) -> None:
    other = replace(REVIEW, **{name: OTHERS[name]})  # type: ignore[arg-type]

    assert clearance(other, "a1", KEY) != clearance(REVIEW, "a1", KEY)


def test_a_clearance_fits_no_other_call_and_no_other_key() -> None:
    made = clearance(REVIEW, "a1", KEY)

    assert clearance(REVIEW, "a2", KEY) != made
    assert clearance(REVIEW, "a1", b"j" * 32) != made
    assert clearance(replace(REVIEW, mac=made), "a1", KEY) == made


def test_moving_bytes_between_fields_makes_another_clearance() -> None:
    one = replace(REVIEW, policy="ab", reviewer=Reviewer(id="c"))
    other = replace(REVIEW, policy="a", reviewer=Reviewer(id="bc"))

    assert clearance(one, "a1", KEY) != clearance(other, "a1", KEY)


def test_moving_words_into_the_reason_makes_another_clearance() -> None:
    one = replace(REVIEW, message="ab", reason_code="c")
    other = replace(REVIEW, message="a", reason_code="bc")

    assert clearance(one, "a1", KEY) != clearance(other, "a1", KEY)


def test_the_former_clearance_is_never_one_of_today() -> None:
    bare = replace(REVIEW, message="", reason_code="", version=0)

    assert former_clearance(bare, "a1", KEY) != clearance(bare, "a1", KEY)
    assert former_clearance(REVIEW, "a1", KEY) == former_clearance(bare, "a1", KEY)


@pytest.mark.parametrize("name", ["message", "reason_code", "step_up"])
def test_half_a_surrogate_pair_in_a_forged_review_is_no_error(name: str) -> None:
    forged = replace(REVIEW, **{name: "\ud800"})  # type: ignore[arg-type]

    assert clearance(forged, "a1", KEY) != clearance(REVIEW, "a1", KEY)
