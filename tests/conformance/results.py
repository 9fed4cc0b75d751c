"""What the suite found: its checks as data, their totals, and what one run lost beside another."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_FOLDER = re.compile(r"(?:server-)?(?P<scenario>.+)-\d{4}-\d\d-\d\dT[\d-]+Z")
PASSED, FAILED = "SUCCESS", "FAILURE"
ENDED, BROKE = "ENDED", "BROKE"  # of a client; our words, in no total
_GOOD = (PASSED, ENDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing the suite looked at, and how it went.

    *part* is `server`, `tasks` or `client` and a protocol version; *nth* tells checks of one id
    in one scenario apart; *status* is the suite's word (SUCCESS, FAILURE, WARNING, INFO, SKIPPED),
    or ours of how a client ended (ENDED, BROKE).
    """

    part: str
    scenario: str
    id: str
    nth: int
    status: str
    message: str = ""

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What makes it the same check in another run."""
        return (self.part, self.scenario, self.id, self.nth)

    @property
    def name(self) -> str:
        """The key, for people."""
        again = f" #{self.nth + 1}" if self.nth else ""
        return f"{self.part}: {self.scenario}: {self.id}{again}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A check that passes in one run and not in another."""

    check: Check
    instead: str

    def __str__(self) -> str:
        return f"{self.check.name}: {self.instead}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """How many checks passed, how many failed; warnings and skipped ones count as neither."""

    passed: int
    failed: int

    def __str__(self) -> str:
        return f"{self.passed}/{self.passed + self.failed}"


def read(part: str, folder: Path) -> tuple[Check, ...]:
    """Every check in every `checks.json` below *folder*, which holds one run."""
    paths = sorted(folder.glob("*/checks.json"))
    return tuple(check for path in paths for check in _read_scenario(part, path))


def _read_scenario(part: str, path: Path) -> Iterator[Check]:
    matched = _FOLDER.fullmatch(path.parent.name)
    if not matched:
        raise ValueError(f"{path.parent}: not a folder of the suite")
    seen: Counter[str] = Counter()
    for check in json.loads(path.read_text()):
        yield Check(
            part=part,
            scenario=matched["scenario"],
            id=check["id"],
            nth=seen[check["id"]],
            status=check["status"],
            message=check.get("errorMessage") or "",
        )
        seen[check["id"]] += 1


def client_end(part: str, scenario: str, *, well: bool) -> Check:
    """That the client of a client scenario ended by itself, and with 0."""
    return Check(
        part=part, scenario=scenario, id="client-end", nth=0, status=ENDED if well else BROKE
    )


def totals(checks: Iterable[Check]) -> Totals:
    """Counts *checks*."""
    counted = Counter(check.status for check in checks)
    return Totals(passed=counted[PASSED], failed=counted[FAILED])


def compare(direct: Iterable[Check], through: Iterable[Check]) -> tuple[Lost, ...]:
    """Every check that passes *direct* and does not pass *through*."""
    there = {check.key: check for check in through}
    return tuple(
        Lost(check=check, instead=_instead(there.get(check.key)))
        for check in direct
        if check.status in _GOOD and _instead(there.get(check.key))
    )


def _instead(check: Check | None) -> str:
    if check is None:
        return "not reached"
    return "" if check.status in _GOOD else f"{check.status} {check.message}".strip()


def lines(checks: Iterable[Check]) -> Iterator[str]:
    """One line for each scenario, then one for each part's total."""
    grouped: dict[str, dict[str, list[Check]]] = {}
    for check in checks:
        grouped.setdefault(check.part, {}).setdefault(check.scenario, []).append(check)
    for part, scenarios in grouped.items():
        for scenario, its in scenarios.items():
            failed = [check.id for check in its if check.status in (FAILED, BROKE)]
            yield f"{part}  {scenario}  {totals(its)}" + "".join(f"  {id}" for id in failed)
        everything = [check for its in scenarios.values() for check in its]
        yield f"{part}: {totals(everything)} checks in {len(scenarios)} scenarios"


def save(checks: Iterable[Check], path: Path) -> None:
    """Writes which checks pass, to be compared with later; of a run in which nothing failed."""
    kept: dict[str, dict[str, list[str]]] = {}
    for check in checks:
        if check.status in _GOOD:
            kept.setdefault(check.part, {}).setdefault(check.scenario, []).append(check.id)
    path.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


def load(path: Path) -> tuple[Check, ...]:
    """The checks that `save` wrote, all of them passing."""
    return tuple(
        Check(part=part, scenario=scenario, id=id, nth=ids[:place].count(id), status=PASSED)
        for part, scenarios in json.loads(path.read_text()).items()
        for scenario, ids in scenarios.items()
        for place, id in enumerate(ids)
    )
