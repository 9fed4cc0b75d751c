"""Durations as policies write them."""

from __future__ import annotations

import re

_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"([0-9]+)(ms|s|m|h|d)\Z", re.ASCII)


def milliseconds(duration: str) -> int:
    """Return a duration such as `90s`, `60m` or `4h` in milliseconds.

    Raises:
        ValueError: it is none.
    """
    found = _DURATION.match(duration)
    if found is None:
        raise ValueError(f"{duration!r} is not a duration such as 90s, 60m or 4h")
    return int(found[1]) * _UNITS[found[2]]


def written(ms: int) -> str:
    """Return a duration in the largest unit that it is a whole number of: `90s`, `4h`."""
    unit, size = next((unit, size) for unit, size in reversed(_UNITS.items()) if ms % size == 0)
    return f"{ms // size}{unit}"
