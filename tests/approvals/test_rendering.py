"""How templates say what they are given."""

from __future__ import annotations

from interlock.approvals.rendering import between, lasting, percent

from .figures import DAY, some


def test_numbers_are_said_as_people_read_them() -> None:
    assert [percent(each) for each in (None, 0, 0.0004, 0.004, 0.07, 0.995, 0.9999, 1)] == [
        "–",
        "0 %",
        "under 0.1 %",
        "0.4 %",
        "7 %",
        "99.5 %",
        "over 99.9 %",
        "100 %",
    ]
    assert [lasting(each) for each in (0, 400, 59_000, 60_000, 5_400_000, 2 * DAY)] == [
        "0 s",
        "0.4 s",
        "59 s",
        "1 min",
        "1.5 h",
        "2 d",
    ]
    assert between(some().rules[2].precision) == "2 to 20 %"
