"""How often agents are right where they say how sure they are: fitted on decided calls.

Isotonic regression by pooling adjacent violators (Ayer et al., Ann. Math. Stat. 26, 1955) from
1,000 labels on; Platt's sigmoid (1999, as corrected by Lin, Lin and Weng, Machine Learning 68,
2007) from 50 on; nothing below. An agent and a tool with too few are pooled: all agents of the
tool, then all tools of the agent, then everything.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

FEWEST = 50  #: labels; fewer say nothing
ISOTONIC = 1_000  #: labels from which on no shape is assumed but that it rises
MOST_STEPS = 200  #: of one isotonic model
MOST_MODELS = 500  #: per kind: of the groups with most labels
GRID = 1_000  #: claims are read to three decimals

Key = tuple[str, str]  #: agent and tool; either empty: pooled over all
Cell = tuple[float, float, float]  #: a claim, what of its weight was right, its weight


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One labelled call. `confidence`: as claimed, 0 to 1; `weight`: see `records.Label`."""

    agent: str = ""
    tool: str = ""
    confidence: float
    right: bool
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Isotonic:
    """Steps (claim, share right), rising in both; between two claims the lower one holds."""

    of: int  #: labels
    steps: tuple[tuple[float, float], ...]

    def at(self, claimed: float) -> float:
        return self.steps[max(0, bisect_right(self.steps, (claimed, math.inf)) - 1)][1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Platt:
    """1 / (1 + exp(-(slope * claim + offset))); the slope is never negative."""

    of: int
    slope: float
    offset: float

    def at(self, claimed: float) -> float:
        return _sigmoid(self.slope * claimed + self.offset)


Model = Isotonic | Platt


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """What was fitted, by agent and tool (either empty: pooled). An `interlock` Confidences."""

    by: Mapping[Key, Model] = field(default_factory=lambda: MappingProxyType({}))

    def model(self, agent: str, tool: str) -> Model | None:
        """Return the most specific model for *tool*, called by *agent*."""
        for key in _pools(agent, tool):
            if key in self.by:
                return self.by[key]
        return None

    def calibrated(self, agent: str, tool: str, claimed: float) -> float | None:
        """Return how likely such a call is right; None: too little is known, or it is no claim."""
        if type(claimed) not in (int, float) or not 0 <= claimed <= 1:
            return None
        model = self.model(agent, tool)
        return None if model is None else min(1.0, max(0.0, model.at(_on_grid(claimed))))


def fit(points: Iterable[Point]) -> Models:
    """Return models of all groups that have enough labels. Reads *points* once.

    Memory is bounded by the number of groups, not of points: claims are read to three decimals.
    """
    callers: dict[Key, _Counted] = {}
    for each in points:
        counted = callers.get((each.agent, each.tool))
        if counted is None:
            counted = callers[each.agent, each.tool] = _Counted()
        counted.add(each)
    groups: dict[Key, _Counted] = {}
    for (agent, tool), counted in callers.items():
        for key in _pools(agent, tool):
            groups.setdefault(key, _Counted()).join(counted)
    return Models(by=MappingProxyType(dict(_fitted(groups))))


def isotonic(cells: Sequence[Cell]) -> list[Cell]:
    """Return *cells* pooled so that their shares rise, least squares by weight.

    Cells of one claim are pooled first. A pooled cell has the lowest claim of those in it.
    O(n log n).
    """
    pooled: list[list[float]] = []
    for claim, right, weight in _distinct(cells):
        pooled.append([claim, right, weight])
        # right/weight, compared without dividing: equal shares are one step.
        while len(pooled) > 1 and pooled[-2][1] * pooled[-1][2] >= pooled[-1][1] * pooled[-2][2]:
            _, right, weight = pooled.pop()
            pooled[-1][1] += right
            pooled[-1][2] += weight
    return [(claim, right, weight) for claim, right, weight in pooled]


def platt(cells: Sequence[Cell], labels: int) -> Platt:
    """Return the sigmoid that fits *cells* best, with Platt's smoothed targets.

    Weights are scaled to the number of *labels*, so that smoothing is that of so many.
    """
    scale = labels / sum(weight for _, _, weight in cells)
    scaled = [(x, right * scale, weight * scale) for x, right, weight in cells]
    rights = sum(right for _, right, _ in scaled)
    wrongs = sum(weight - right for _, right, weight in scaled)
    high, low = (rights + 1) / (rights + 2), 1 / (wrongs + 2)
    smoothed = [(x, right * high + (weight - right) * low, weight) for x, right, weight in scaled]
    slope, offset = _newton(smoothed)
    if slope < 0:
        # The surer it said it was, the more often it was wrong: its word tells nothing.
        share = sum(each[1] for each in smoothed) / sum(each[2] for each in smoothed)
        slope, offset = 0.0, math.log(share / (1 - share))
    return Platt(of=labels, slope=slope, offset=offset)


def pack_models(models: Models) -> dict[str, Any]:
    """Return *models* as JSON can say them."""
    return {"v": 1, "models": [[*key, _packed(model)] for key, model in models.by.items()]}


def unpack_models(packed: Any) -> Models:
    """Return the models that `pack_models` wrote.

    Raises:
        ValueError: it is none of ours, or a model does not rise from 0 to 1.
    """
    try:
        if packed["v"] != 1:
            raise ValueError(f"models of version {packed['v']!r}; this Interlock reads version 1")
        read = {
            (str(agent), str(tool)): _unpacked(model) for agent, tool, model in packed["models"]
        }
    except (TypeError, KeyError, AttributeError) as wrong:
        raise ValueError(f"no models of confidence: {wrong!r}") from wrong
    return Models(by=MappingProxyType(read))


class _Counted:
    """Labels of one group, by claim on the grid."""

    __slots__ = ("cells", "labels")

    def __init__(self) -> None:
        self.labels = 0
        self.cells: dict[float, list[float]] = {}

    def add(self, point: Point) -> None:
        self.labels += 1
        claim = _on_grid(point.confidence)
        cell = self.cells.get(claim)
        if cell is None:
            cell = self.cells[claim] = [0.0, 0.0]
        cell[0] += point.weight if point.right else 0.0
        cell[1] += point.weight

    def join(self, other: _Counted) -> None:
        self.labels += other.labels
        for claim, (right, weight) in other.cells.items():
            cell = self.cells.setdefault(claim, [0.0, 0.0])
            cell[0] += right
            cell[1] += weight

    def fitted(self) -> Model | None:
        if self.labels < FEWEST:
            return None
        cells = [(claim, right, weight) for claim, (right, weight) in self.cells.items()]
        if self.labels < ISOTONIC:
            return platt(cells, self.labels)
        return Isotonic(of=self.labels, steps=tuple(_steps(_few(isotonic(cells)))))


def _pools(agent: str, tool: str) -> Iterator[Key]:
    """Yield the groups of a call, the narrowest first; what nobody names is in the pools alone."""
    if agent and tool:
        yield agent, tool
    if tool:
        yield "", tool
    if agent:
        yield agent, ""
    yield "", ""


def _fitted(groups: Mapping[Key, _Counted]) -> Iterator[tuple[Key, Model]]:
    left: dict[tuple[bool, bool], int] = {}
    for key, counted in sorted(groups.items(), key=lambda each: (-each[1].labels, each[0])):
        kind = (bool(key[0]), bool(key[1]))
        left[kind] = left.get(kind, MOST_MODELS) - 1
        model = counted.fitted() if left[kind] >= 0 else None
        if model is not None:
            yield key, model


def _on_grid(claimed: float) -> float:
    return round(claimed * GRID) / GRID


def _distinct(cells: Sequence[Cell]) -> Iterator[Cell]:
    by: dict[float, list[float]] = {}
    for claim, right, weight in cells:
        cell = by.setdefault(claim, [0.0, 0.0])
        cell[0] += right
        cell[1] += weight
    for claim in sorted(by):
        yield claim, by[claim][0], by[claim][1]


def _few(cells: list[Cell]) -> list[Cell]:
    """Return at most MOST_STEPS cells: neighbours pooled, of about equal weight."""
    if len(cells) <= MOST_STEPS:
        return cells
    share = sum(weight for _, _, weight in cells) / (MOST_STEPS - 1)
    few: list[list[float]] = []
    before, last = 0.0, -1
    for claim, right, weight in cells:
        group = int(before / share)
        if group != last:
            few.append([claim, 0.0, 0.0])
        few[-1][1] += right
        few[-1][2] += weight
        before, last = before + weight, group
    return [(claim, right, weight) for claim, right, weight in few]


def _steps(cells: Iterable[Cell]) -> Iterator[tuple[float, float]]:
    highest = 0.0
    for claim, right, weight in cells:
        # A division may round two shares into the wrong order, and one beyond 1.
        highest = max(highest, min(1.0, right / weight))
        yield claim, highest


def _sigmoid(value: float) -> float:
    if value >= 0:
        return 1 / (1 + math.exp(-value))
    return math.exp(value) / (1 + math.exp(value))


def _newton(cells: Sequence[Cell]) -> tuple[float, float]:
    """Return slope and offset; Newton's method with backtracking, after Lin, Lin and Weng.

    *cells*: claim, weight times target, weight.
    """
    weight = sum(each[2] for each in cells)
    share = sum(each[1] for each in cells) / weight
    slope, offset = 0.0, math.log(share / (1 - share))
    loss = _loss(cells, slope, offset)
    for _ in range(100):
        g1 = g2 = h12 = 0.0
        h11 = h22 = 1e-12 * weight
        for x, target, each in cells:
            p = _sigmoid(slope * x + offset)
            bend, off = each * p * (1 - p), each * p - target
            g1, g2 = g1 + x * off, g2 + off
            h11, h12, h22 = h11 + x * x * bend, h12 + x * bend, h22 + bend
        if abs(g1) < 1e-9 * weight and abs(g2) < 1e-9 * weight:
            break
        det = h11 * h22 - h12 * h12
        d1, d2 = (h12 * g2 - h22 * g1) / det, (h12 * g1 - h11 * g2) / det
        step, falls = 1.0, g1 * d1 + g2 * d2
        while step >= 1e-10:
            new = _loss(cells, slope + step * d1, offset + step * d2)
            if new < loss + 1e-4 * step * falls:
                slope, offset, loss = slope + step * d1, offset + step * d2, new
                break
            step /= 2
        else:
            break
    return slope, offset


def _loss(cells: Sequence[Cell], slope: float, offset: float) -> float:
    """Return the cross entropy, written so that no exponential overflows."""
    total = 0.0
    for x, target, weight in cells:
        value = slope * x + offset
        total += weight * (max(value, 0.0) + math.log1p(math.exp(-abs(value)))) - target * value
    return total


def _packed(model: Model) -> dict[str, Any]:
    if isinstance(model, Platt):
        return {"of": model.of, "slope": model.slope, "offset": model.offset}
    return {"of": model.of, "steps": [list(each) for each in model.steps]}


def _unpacked(packed: Mapping[str, Any]) -> Model:
    of = packed["of"]
    if type(of) is not int or of < 0:
        raise ValueError(f"no number of labels: {of!r}")
    if "steps" not in packed:
        slope, offset = _number(packed["slope"]), _number(packed["offset"])
        if slope < 0:
            raise ValueError(f"a falling model: slope {slope}")
        return Platt(of=of, slope=slope, offset=offset)
    steps = tuple((_number(claim), _number(share)) for claim, share in packed["steps"])
    shares = [share for _, share in steps]
    if not 0 < len(steps) <= MOST_STEPS or list(steps) != sorted(steps) or shares != sorted(shares):
        raise ValueError(f"a model of {len(steps)} steps, or of steps that do not rise")
    if shares[0] < 0 or shares[-1] > 1:
        raise ValueError("a model that leaves the range from 0 to 1")
    return Isotonic(of=of, steps=steps)


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"no finite number: {value!r}")
    return float(value)
