"""Where the marks of a chart stand, in its own units. Pure: figures in, numbers out.

No text is drawn: words stand beside the marks in HTML, where they keep their size on any screen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, log10

from .models_analytics import AnalyticsView, BinView, DayView, TimesView

DAY_MS = 86_400_000
COLUMNS = 60  #: bars of a chart over time; more days are put together
WIDE, HIGH = 600, 100  #: units of a chart over time
_GAP = 0.15  #: of a bar's width
_FIRST_MS, _DECADES = 100, 7  #: times are drawn from 0.1 s to 10^6 s
PASSED = (("through", "went through"), ("held", "held for people"), ("denied", "denied by policy"))
ENDED = (
    ("approved", "approved"),
    ("edited", "edited"),
    ("rejected", "rejected"),
    ("responded", "answered by a person"),
    ("expired", "not decided in time"),
    ("other", "cancelled or unknown"),
)
"""Parts of a bar, as counted and in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A rectangle: which part of its bar it is, and where it stands."""

    part: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """Some days together: `start` of the first, ms, and how many calls of each part."""

    start: int
    counts: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Stacked:
    """A chart of stacked bars over time; `days`: in each bar. `parts`: those that there are."""

    columns: tuple[Column, ...]
    marks: tuple[Mark, ...]
    parts: tuple[tuple[str, str], ...]
    most: int
    days: int

    @property
    def total(self) -> int:
        return sum(each.total for each in self.columns)

    @property
    def last(self) -> int:
        """When the last bar ends, less a moment: a time of its last day, ms."""
        return self.columns[-1].start + self.days * DAY_MS - 1


def passed(view: AnalyticsView) -> Stacked | None:
    """Return calls over time by what policy made of them; None: there are none."""
    return _stacked(view.days, PASSED, _passed)


def ended(view: AnalyticsView) -> Stacked | None:
    """Return held calls over time by what became of them; None: there are none."""
    return _stacked(view.days, ENDED, _ended)


def _passed(day: DayView) -> dict[str, int]:
    through = max(day.calls - day.held - day.denied, 0)
    return {"through": through, "held": day.held, "denied": day.denied}


def _ended(day: DayView) -> dict[str, int]:
    return {name: getattr(day, name) for name, _ in ENDED}


def _stacked(
    days: Sequence[DayView],
    parts: tuple[tuple[str, str], ...],
    read: Callable[[DayView], dict[str, int]],
) -> Stacked | None:
    if not days:
        return None
    first, last = days[0].start, days[-1].start
    each = ceil(((last - first) // DAY_MS + 1) / COLUMNS)
    sums: dict[int, dict[str, int]] = {}
    for day in days:
        column = sums.setdefault((day.start - first) // DAY_MS // each, {})
        for name, count in read(day).items():
            column[name] = column.get(name, 0) + count
    columns = tuple(
        Column(start=first + number * each * DAY_MS, counts=sums.get(number, {}))
        for number in range(max(sums) + 1)
    )
    there = tuple(part for part in parts if any(each.counts.get(part[0]) for each in columns))
    most = max(each.total for each in columns)
    if not most:
        return None
    marks = tuple(
        mark
        for number, column in enumerate(columns)
        for mark in _bar(number, len(columns), column, there, most)
    )
    return Stacked(columns=columns, marks=marks, parts=there, most=most, days=each)


def _bar(
    number: int, of: int, column: Column, parts: Sequence[tuple[str, str]], most: int
) -> list[Mark]:
    step, top, marks = WIDE / of, float(HIGH), []
    for name, _ in parts:
        height = HIGH * column.counts.get(name, 0) / most
        top -= height
        if height:
            marks.append(
                Mark(
                    part=name,
                    x=round(step * (number + _GAP / 2), 2),
                    y=round(top, 2),
                    width=round(step * (1 - _GAP), 2),
                    height=round(height, 2),
                )
            )
    return marks


def of_rates(rates: Mapping[str, float | None]) -> tuple[Mark, ...]:
    """Return shares of one whole side by side, 100 units wide."""
    marks, left = [], 0.0
    for name, value in rates.items():
        width = 100 * (value or 0.0)
        if width:
            marks.append(Mark(part=name, x=round(left, 2), y=0, width=round(width, 2), height=8))
        left += width
    return tuple(marks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Three times on a scale by powers of ten, 100 units wide."""

    p50: float
    p90: float
    p99: float


def span(times: TimesView) -> Span | None:
    """Return where quantiles stand; None where they are of nothing."""
    if not times.of:
        return None
    return Span(p50=_on_scale(times.p50), p90=_on_scale(times.p90), p99=_on_scale(times.p99))


def _on_scale(ms: float) -> float:
    place = log10(max(ms, _FIRST_MS) / _FIRST_MS) / _DECADES
    return round(100 * min(place, 1.0), 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """One bin of the reliability diagram, 100 by 100 units; the size says how many calls."""

    x: float
    y: float
    radius: float
    few: bool


def dots(bins: Sequence[BinView]) -> tuple[Dot, ...]:
    """Return where claimed (to the right) and right (upwards) meet, for bins with calls."""
    there = [each for each in bins if each.of]
    most = max((each.of for each in there), default=1)
    return tuple(
        Dot(
            x=round(100 * each.stated, 2),
            y=round(100 - 100 * each.right, 2),
            radius=round(1.5 + 3 * (each.of / most) ** 0.5, 2),
            few=each.few,
        )
        for each in there
    )
