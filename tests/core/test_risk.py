"""Bounds on what goes through unreviewed and was not right."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.binomial import at_most
from interlock.core.risk import (
    AT_THEIR_WORD,
    Caught,
    Stratum,
    bound,
    conformal,
    estimate,
    least_held,
    loosest,
    merged,
)

NONE = Stratum(losses=0)
counts = st.integers(0, 40)
shares = st.sampled_from((0.02, 0.05, 0.1, 0.5, 1.0))


def test_one_stratum_alone_is_clopper_and_pearson() -> None:
    assert bound(Stratum(losses=3), (), 200) == at_most(3, 200, 0.95)


def test_the_doubt_is_split_evenly_and_samples_are_scaled_by_their_share() -> None:
    both = bound(Stratum(losses=3), [Stratum(losses=2, share=0.1)], 1000)
    assert both == pytest.approx(at_most(3, 1000, 0.975) + at_most(2, 1000, 0.975) / 0.1)


@given(counts, st.lists(st.builds(Stratum, losses=counts, share=shares), max_size=3))
def test_the_bound_is_above_the_estimate(losses: int, sampled: list[Stratum]) -> None:
    found = bound(Stratum(losses=losses), sampled, 500)
    assert found >= min(1.0, estimate([Stratum(losses=losses), *sampled], 500))
    assert 0 < found <= 1


@given(counts, counts, shares)
def test_one_more_loss_never_lowers_the_bound(reviewed: int, audited: int, share: float) -> None:
    found = [
        bound(Stratum(losses=reviewed + more), [Stratum(losses=audited + extra, share=share)], 500)
        for more, extra in ((0, 0), (1, 0), (1, 1))
    ]
    assert found == sorted(found)


@given(counts, st.integers(0, 60), st.integers(0, 60))
def test_reviewers_who_miss_only_raise_the_bound(losses: int, caught: int, missed: int) -> None:
    believed = bound(Stratum(losses=losses), (), 500)
    practised = Caught(caught=caught, missed=missed)
    assert bound(Stratum(losses=losses), (), 500, caught=practised) >= believed


def test_reviewers_who_caught_nothing_say_nothing() -> None:
    assert bound(NONE, (), 10_000, caught=Caught(caught=0, missed=5)) == 1.0
    assert bound(NONE, (), 10_000, caught=AT_THEIR_WORD) < 0.001


def test_half_caught_is_twice_as_many() -> None:
    much = Caught(caught=50_000, missed=50_000)
    inflated = bound(Stratum(losses=100), (), 10_000, caught=much)
    assert inflated == pytest.approx(2 * at_most(100, 10_000, 0.975), rel=0.02)


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_the_truth_is_below_the_bound_as_often_as_said(share: float) -> None:
    """400 histories of 2,000 calls: 3 % reviewed and wrong, 1 % unreviewed and wrong."""
    dice, above = Random(11), 0
    for _ in range(400):
        reviewed = sum(dice.random() < 0.03 for _ in range(500))
        audited = sum(dice.random() < 0.0133333 * share for _ in range(1500))
        seen = bound(Stratum(losses=reviewed), [Stratum(losses=audited, share=share)], 2000)
        above += seen < 0.03 * 500 / 2000 + 0.0133333 * 1500 / 2000
    assert above <= 400 * 0.05


def test_of_what_people_found_the_rest_is_what_they_may_miss() -> None:
    believed, half = Caught(caught=0, missed=0), Caught(caught=500, missed=500)
    assert believed.share_at_most(0, 600, 0.95) == pytest.approx(0.00498, abs=1e-5)
    assert half.share_at_most(6, 600, 0.95) > 2 * believed.share_at_most(6, 600, 0.975)
    assert Caught(caught=0, missed=9).share_at_most(0, 600, 0.95) == 1.0


@given(st.integers(0, 20), st.integers(0, 200), st.integers(0, 200))
def test_practice_never_lowers_what_is_wrong_at_most(wrong: int, caught: int, missed: int) -> None:
    made = Caught(caught=caught, missed=missed)
    least = Caught(caught=0, missed=0).share_at_most(wrong, 200, 0.95)
    assert least <= made.share_at_most(wrong, 200, 0.95) <= 1


def test_conformal_control_adds_the_largest_weight() -> None:
    strata = [Stratum(losses=3), Stratum(losses=2, share=0.1)]
    assert conformal(strata, 999) == pytest.approx((3 + 20 + 10) / 1000)
    assert conformal([], 0) == 1.0


def test_estimates_weigh_by_the_share() -> None:
    assert estimate([Stratum(losses=3), Stratum(losses=2, share=0.1)], 100) == pytest.approx(0.23)
    assert estimate([], 0) == 0.0


def test_what_must_be_held_where_too_much_is_wrong() -> None:
    assert least_held(0.129, 0.02) == pytest.approx(0.1112, abs=1e-4)
    assert least_held(0.01, 0.02) == 0.0
    assert least_held(1.0, 0.0) == 1.0
    assert least_held(1.0, 1.0) == 0.0


def test_the_sequence_ends_at_the_first_that_fails() -> None:
    assert loosest([1.0, 0.9, 0.8, 0.7], [True, True, False, True]) == 0.9
    assert loosest([1.0, 0.9], [False, True]) is None
    assert loosest([], []) is None


def test_shares_near_one_another_are_taken_together_and_counted_low() -> None:
    assert merged([0.05, 0.2, 0.05]) == {0.05: 0.05, 0.2: 0.2}
    assert merged([0.05, 0.06, 0.2, 1.0]) == {0.05: 0.05, 0.06: 0.05, 0.2: 0.2, 1.0: 1.0}


@given(st.lists(st.floats(0.001, 1), max_size=20))
def test_there_are_never_more_than_three(some: list[float]) -> None:
    found = merged(some)
    assert set(found) == set(some)
    assert len(set(found.values())) <= 3
    assert all(found[each] <= each for each in found)
    assert all(found[low] <= found[high] for low, high in pairwise(sorted(found)))
