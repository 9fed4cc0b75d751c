"""How much of a policy its tests touch: which rules fire, which cells of the matrix are reached."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ..core.decisions import Decision, Reversibility, Stake
from ..core.rules import PolicySet

Cell = tuple[Reversibility, Stake]


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """How many of the cases touched one part of the policy. `kind`: rule, limit, exception..."""

    kind: str
    id: str
    cases: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What the cases of a suite touched. Percentages are of what the policy has."""

    parts: tuple[Touched, ...]
    cells: tuple[tuple[Cell, int], ...]  #: all sixteen

    @property
    def rules(self) -> float:
        """Percent of rules and exceptions that fire in some case."""
        return self._percent("rule", "exception")

    @property
    def limits(self) -> float:
        """Percent of limits that some case would exceed."""
        return self._percent("limit")

    @property
    def matrix_cells(self) -> float:
        """Percent of the sixteen cells that some case reaches."""
        return 100 * sum(count > 0 for _, count in self.cells) / len(self.cells)

    def untouched(self, *kinds: str) -> tuple[str, ...]:
        """Return the ids of the parts of these *kinds* that no case touched."""
        return tuple(each.id for each in self.parts if each.kind in kinds and not each.cases)

    def _percent(self, *kinds: str) -> float:
        known = [each for each in self.parts if each.kind in kinds]
        return 100 * sum(each.cases > 0 for each in known) / len(known) if known else 100.0


@dataclass(slots=True)
class Seen:
    """Counts what decisions touched."""

    parts: Counter[tuple[str, str]] = field(default_factory=Counter)
    cells: Counter[Cell] = field(default_factory=Counter)

    def add(self, decision: Decision) -> None:
        self.parts.update(set(_touched(decision)))
        if decision.tool and not decision.reason:
            self.cells[decision.reversibility, decision.stake] += 1

    def coverage(self, policy: PolicySet) -> Coverage:
        """Return what was touched of all that *policy* has."""
        parts = tuple(
            Touched(kind=kind, id=name, cases=self.parts[kind, name])
            for kind, name in _parts(policy)
        )
        cells = [(row, stake) for row in Reversibility for stake in Stake]
        return Coverage(parts=parts, cells=tuple((cell, self.cells[cell]) for cell in cells))


def _touched(decision: Decision) -> Iterator[tuple[str, str]]:
    yield from (("rule", hit.id) for hit in decision.rules)
    for name in decision.shadow:  # rules and limits in shadow mode count as well
        yield from (("rule", name), ("limit", name))
    yield from (("exception", name) for name in decision.exceptions)
    yield from (("limit", name) for name in decision.limits)
    yield from (("signal", name) for name in decision.signals)


def _parts(policy: PolicySet) -> Iterator[tuple[str, str]]:
    yield from _all("rule", (rule.id for rule in policy.rules))
    yield from _all("exception", (each.id for each in policy.exceptions))
    yield from _all("limit", (limit.id for limit in policy.limits))
    yield from _all("signal", signals(policy))


def signals(policy: PolicySet) -> Iterator[str]:
    """Yield the names of the signals that *policy* uses."""
    for name in ("confidence", "novelty", "session_risk", "repeat_denied"):
        if getattr(policy, name) is not None:
            yield name


def _all(kind: str, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    return ((kind, name) for name in names)
