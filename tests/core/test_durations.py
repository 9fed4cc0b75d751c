"""Durations as policies write them, and back."""

from __future__ import annotations

import pytest

from interlock.core.durations import milliseconds, written


@pytest.mark.parametrize(
    ("text", "ms"),
    [("1ms", 1), ("90s", 90_000), ("2m", 120_000), ("4h", 14_400_000), ("7d", 7 * 86_400_000)],
)
def test_a_duration_is_read_and_written(text: str, ms: int) -> None:
    assert milliseconds(text) == ms and written(ms) == text


@pytest.mark.parametrize("text", ["", "5", "5 s", "s", "1.5h", "-1s", "5w", "٣s", "5s\n"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration such as 90s, 60m or 4h"):
        milliseconds(text)


def test_the_largest_whole_unit_is_written() -> None:
    assert [written(ms) for ms in (60_000, 90_000, 3_600_000, 90_000_000)] == [
        "1m",
        "90s",
        "1h",
        "25h",
    ]
