"""The exact bounds of a share, against published tables."""

from __future__ import annotations

from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.core.binomial import at_least, at_most, tail


@pytest.mark.parametrize(
    ("hits", "tries", "lower"),
    [(81, 263, 0.2527), (15, 148, 0.0578), (0, 20, 0.0), (1, 29, 0.0009)],
)
def test_the_two_sided_bounds_are_those_of_newcombe_1998(
    hits: int, tries: int, lower: float
) -> None:
    """Statistics in Medicine 17, 857-872, table I, method 5 (Clopper-Pearson)."""
    assert round(at_least(hits, tries, 0.975), 4) == lower


@pytest.mark.parametrize("tries", [1, 10, 59, 500])
def test_where_all_hit_the_bound_is_a_root(tries: int) -> None:
    assert at_least(tries, tries) == pytest.approx(0.05 ** (1 / tries), rel=1e-9)


def test_59_of_59_are_needed_for_95_percent_with_95_percent() -> None:
    """The usual table of zero-failure tests."""
    assert at_least(58, 58) < 0.95 <= at_least(59, 59)


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(1, n), st.just(n))))
def test_at_the_bound_so_many_hits_are_as_improbable_as_asked(drawn: tuple[int, int]) -> None:
    hits, tries = drawn
    share = at_least(hits, tries)
    exact = sum(
        comb(tries, each) * share**each * (1 - share) ** (tries - each)
        for each in range(hits, tries + 1)
    )
    assert exact == pytest.approx(0.05, rel=1e-6)
    assert 0 < share < hits / tries


def test_what_is_no_share_is_refused() -> None:
    for hits, tries, confidence in ((-1, 3, 0.9), (4, 3, 0.9), (1, 3, 1.0), (1, 3, 0.0)):
        with pytest.raises(ValueError, match="no share"):
            at_least(hits, tries, confidence)
    assert (tail(0, 3, 0.2), tail(2, 3, 1.0), tail(2, 3, 0.0)) == (1.0, 1.0, 0.0)
    assert at_least(0, 0) == 0.0


@pytest.mark.parametrize(("hits", "tries", "upper"), [(81, 263, 0.3676), (15, 148, 0.1617)])
def test_the_upper_ends_are_those_of_newcombe_1998(hits: int, tries: int, upper: float) -> None:
    assert round(at_most(hits, tries, 0.975), 4) == upper


def test_where_none_hit_the_bound_is_a_root() -> None:
    assert at_most(0, 149) == pytest.approx(1 - 0.05 ** (1 / 149), rel=1e-9)
    assert at_most(0, 148) > 0.02 > at_most(0, 149)
    assert (at_most(0, 0), at_most(5, 5)) == (1.0, 1.0)


@given(
    st.integers(1, 80).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.floats(0.001, 0.999),
)
def test_a_tail_is_the_sum_of_its_terms(drawn: tuple[int, int], share: float) -> None:
    hits, tries = drawn
    exact = sum(
        comb(tries, each) * share**each * (1 - share) ** (tries - each)
        for each in range(hits, tries + 1)
    )
    assert tail(hits, tries, share) == pytest.approx(exact, rel=1e-9, abs=1e-14)


def test_a_million_tries_take_no_longer_than_their_spread() -> None:
    """The normal approximation is good to four places there."""
    low, high = at_least(300_000, 1_000_000, 0.975), at_most(300_000, 1_000_000, 0.975)
    half = 1.959964 * (0.3 * 0.7 / 1_000_000) ** 0.5
    assert (low, high) == (pytest.approx(0.3 - half, abs=1e-5), pytest.approx(0.3 + half, abs=1e-5))


@given(
    st.integers(1, 300_000).flatmap(lambda n: st.tuples(st.integers(1, n), st.just(n))),
    st.sampled_from((0.5, 0.9, 0.95, 0.975, 0.999)),
)
@settings(max_examples=40, deadline=None)
def test_the_bound_is_where_the_tail_is_as_asked(drawn: tuple[int, int], sure: float) -> None:
    hits, tries = drawn
    assert tail(hits, tries, at_least(hits, tries, sure)) == pytest.approx(1 - sure, rel=1e-5)
