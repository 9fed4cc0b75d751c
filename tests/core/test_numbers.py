"""One thing is not called as several are."""

from __future__ import annotations

import pytest

from interlock.core.numbers import number_of


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 rules"), (1, "1 rule"), (2, "2 rules"), (1001, "1001 rules")]
)
def test_only_one_is_called_one(count: int, said: str) -> None:
    assert number_of(count, "rule") == said


@pytest.mark.parametrize(("count", "said"), [(1, "1 person is"), (3, "3 people are")])
def test_what_no_s_makes_many_is_named_as_it_is(count: int, said: str) -> None:
    assert number_of(count, "person is", "people are") == said
