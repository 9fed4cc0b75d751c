"""Whether `interlock tune` keeps what it promises, where the truth is known.

python benchmarks/tuning.py [--runs 200] [--calls 3000 10000] [--seed 1]

An agent that claims too much, people of whom one drifts into rubber-stamping, a rule that is of
no use, calls that could be granted, audits of a random share. Prints tables for
docs/calibration.md.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from interlock.core.binomial import at_most
from interlock.core.records import Audited, DecidedCall, Said, Turned, label_of
from interlock.core.risk import Caught, loosest
from interlock.core.tuning import Findings, Settings, tune
from interlock.core.tuning_thresholds import THRESHOLDS

TARGET = 0.02
AUDITED = 0.1  #: share of calls that went through
PRESENT = 0.9  #: the threshold under which the records came about
LAPSED = 0.01  #: share of holds that nobody decided
FINE_REJECTED = 0.01  #: share of fine calls that people refuse
NOON = 1_790_000_000_000
PEOPLE = ("r-careful", "r-good", "r-drifting")
CLAIMS = tuple(each / 100 for each in range(70, 101))
LIKELY = tuple((claim - 0.69) ** 2.6 for claim in CLAIMS)
SUSPECT = 0.8  #: a reviewer who surely catches less is named


def harm(claim: float) -> float:
    """Return how likely such a call is wrong: twice as likely as the agent says, and more."""
    return min(0.95, 0.002 + 2 * (1 - claim))


def catches(person: str, passed: float) -> float:
    """Return which share of wrong calls *person* catches when *passed* of the time is over."""
    return {"r-careful": 0.98, "r-good": 0.96}.get(person, 0.98 - 0.6 * passed)


def true_risk(threshold: float | None) -> float:
    """Return the share of calls that are wrong and unreviewed under *threshold*; None: all held."""
    if threshold is None:
        return 0.0
    let = [
        like * harm(claim) for like, claim in zip(LIKELY, CLAIMS, strict=True) if claim >= threshold
    ]
    return sum(let) / sum(LIKELY)


@dataclass(slots=True)
class History:
    """What an installation saw in one run."""

    dice: random.Random
    calls: int
    caught: int = 0
    missed: int = 0
    records: list[DecidedCall] = field(default_factory=list)

    def make(self) -> History:
        for at in range(self.calls):
            passed = at / self.calls
            self._updated(at, passed)
            if at % 10 == 0:
                self._others(at, passed)
        return self

    def _updated(self, at: int, passed: float) -> None:
        """One call whose level the threshold decides."""
        dice = self.dice
        claim = dice.choices(CLAIMS, LIKELY)[0]
        wrong = dice.random() < harm(claim)
        if claim < PRESENT:
            self._held(at, passed, wrong, "crm.update", claim, "medium", ("confidence",))
            return
        drawn = dice.random() < AUDITED
        turned = Turned.WRONG if wrong else Turned.RIGHT
        audit = Audited(who="r-auditor", turned=turned, at=NOON) if drawn else None
        self.records.append(
            DecidedCall(
                id=f"u{at}",
                version=3,
                state="answered",
                created=NOON,
                ended=NOON + at * 60_000,
                agent="bot",
                upstream="crm",
                tool="crm.update",
                confidence=claim,
                level="notify",
                stake="medium",
                share=AUDITED,
                drawn=drawn,
                audit=audit,
            )
        )

    def _others(self, at: int, passed: float) -> None:
        """Calls that a rule or the matrix holds."""
        wrong = self.dice.random()
        self._held(at, passed, wrong < 0.0005, "notes.write", 0.95, "low", (), ("at-night",))
        self._held(at, passed, wrong < 0.3, "bank.pay", 0.95, "high", (), ("large",))
        to = "team@example.org" if at % 80 == 0 else f"{at}@example.org"
        harmful = wrong < 0.1 and at % 80 != 0
        self._held(at, passed, harmful, "mail.send", 0.95, "high", (), (), {"to": to})

    def _held(
        self,
        at: int,
        passed: float,
        wrong: bool,
        tool: str,
        claim: float,
        stake: str,
        signals: tuple[str, ...],
        rules: tuple[str, ...] = (),
        target: dict[str, object] | None = None,
    ) -> None:
        dice = self.dice
        person = dice.choice(PEOPLE)
        self._practise(person, passed)
        # One target is always fine and always seen to be: nobody refuses it by mistake.
        by_mistake = 0.0 if target and not str(target["to"])[0].isdigit() else FINE_REJECTED
        if rules == ("at-night",):
            by_mistake = 0.0
        refused = dice.random() < (catches(person, passed) if wrong else by_mistake)
        said = Said(
            who=person,
            verdict=("reject" if dice.random() < 0.7 else "edit") if refused else "approve",
            at=NOON,
            looked_ms=8_000,
        )
        lapsed = dice.random() < LAPSED
        self.records.append(
            DecidedCall(
                id=f"{tool}{at}",
                version=4,
                state="expired" if lapsed else "rejected" if refused else "answered",
                created=NOON,
                ended=NOON + at * 60_000,
                agent="bot",
                upstream=tool,
                tool=tool,
                confidence=claim,
                level="approve",
                stake=stake,
                rules=rules,
                signals=signals,
                target=target,
                reviews=() if lapsed else (said,),
            )
        )

    def _practise(self, person: str, passed: float) -> None:
        """One practice call for every twenty that a person decides."""
        if self.dice.random() < 0.05:
            if self.dice.random() < catches(person, passed):
                self.caught += 1
            else:
                self.missed += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What one way of choosing chose, what it thought the risk was, and what it is."""

    method: str
    threshold: float | None
    thought: float
    risk: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    choices: tuple[Choice, ...]
    findings: Findings


def run(seed: int, calls: int) -> Run:
    """Make one history and tune on it."""
    history = History(dice=random.Random(seed), calls=calls).make()
    caught = Caught(caught=history.caught, missed=history.missed)
    found = tune(history.records, Settings(target=TARGET, caught=caught))
    medium = next(each for each in found.thresholds if each.stake == "medium")
    updates = [each for each in history.records if each.stake == "medium"]
    weighted = _weighted(updates)
    choices = (
        _choice("labelled rows alone", *_best(_naive(updates))),
        _choice("audit-weighted", *_best(weighted)),
        _choice(
            "audit-weighted, conformal risk control",
            medium.conformal,
            _at(weighted, medium.conformal),
        ),
        _choice("tune: Clopper-Pearson, 95 %", medium.proposed, _at(weighted, medium.proposed)),
    )
    return Run(choices=choices, findings=found)


def _choice(method: str, threshold: float | None, thought: float) -> Choice:
    return Choice(method=method, threshold=threshold, thought=thought, risk=true_risk(threshold))


def _best(curve: list[float]) -> tuple[float | None, float]:
    threshold = loosest(THRESHOLDS, [each <= TARGET for each in curve])
    return threshold, _at(curve, threshold)


def _at(curve: list[float], threshold: float | None) -> float:
    return 0.0 if threshold is None else curve[THRESHOLDS.index(threshold)]


def _naive(records: list[DecidedCall]) -> list[float]:
    labels = [(each.confidence or 0.0, label_of(each)) for each in records]
    known = [(claim, 1.0, label.right) for claim, label in labels if label is not None]
    return _curve(known, len(known))


def _weighted(records: list[DecidedCall]) -> list[float]:
    labels = [(each.confidence or 0.0, label_of(each)) for each in records]
    known = [(claim, label.weight, label.right) for claim, label in labels if label is not None]
    return _curve(known, len(records))


def _curve(known: list[tuple[float, float, bool]], of: int) -> list[float]:
    by = dict.fromkeys(THRESHOLDS, 0.0)
    for claim, weight, right in known:
        by[claim] += 0.0 if right else weight
    total, curve = 0.0, []
    for each in THRESHOLDS:
        total += by[each]
        curve.append(total / of)
    return curve


def table(runs: list[Run], calls: int) -> Iterator[str]:
    for at, first in enumerate(runs[0].choices):
        chosen = [each.choices[at] for each in runs]
        risks = [each.risk for each in chosen]
        over = sum(each > TARGET for each in risks)
        bias = statistics.fmean(each.thought - each.risk for each in chosen)
        passes = statistics.fmean(through(each.threshold) for each in chosen)
        yield (
            f"| {calls:,} | {first.method} | {statistics.fmean(risks):.2%} | {max(risks):.2%} |"
            f" {bias:+.2%} | {passes:.0%} | {1 - over / len(runs):.1%} |"
        )


def through(threshold: float | None) -> float:
    """Return what share of calls goes through unreviewed under *threshold*."""
    if threshold is None:
        return 0.0
    let = sum(like for like, claim in zip(LIKELY, CLAIMS, strict=True) if claim >= threshold)
    return let / sum(LIKELY)


def finds(findings: Findings) -> tuple[bool, bool, bool]:
    """Say whether the useless rule was found, the useful one left alone, the grant found."""
    rules = {each.rule for each in findings.rules}
    grants = {str(each.target["to"]) for each in findings.grants}
    return "at-night" in rules, "large" not in rules, grants == {"team@example.org"}


_most = cache(at_most)


def exposed(dice: random.Random, rate: Callable[[int], float], most: int = 400) -> int | None:
    """Return after how many practice calls a reviewer is surely below SUSPECT; None: never."""
    caught = 0
    for shown in range(1, most + 1):
        caught += dice.random() < rate(shown)
        if _most(caught, shown) < SUSPECT:
            return shown
    return None


def drifting(shown: int) -> float:
    """Return what the drifting reviewer catches where the whole drift takes 60 practice calls."""
    return catches("r-drifting", min(1.0, shown / 60))


def exposing(seed: int, runs: int = 1000) -> Iterator[str]:
    dice = random.Random(seed)
    for rate in (0.3, 0.4, 0.5, 0.6, 0.9, 0.95):
        yield _exposing(f"{rate:.0%}", [exposed(dice, lambda _, r=rate: r) for _ in range(runs)])
    yield _exposing("98 % falling to 38 % over 60", [exposed(dice, drifting) for _ in range(runs)])


def _exposing(name: str, found: list[int | None]) -> str:
    never = 10**9
    counts = sorted(each or never for each in found)
    ends = [counts[int(len(counts) * share)] for share in (0.5, 0.95)]
    shown = " | ".join("-" if each == never else str(each) for each in ends)
    return f"| {name} | {shown} | {sum(each < never for each in counts) / len(counts):.1%} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--calls", type=int, nargs="+", default=[3000, 10_000])
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    print("| calls | threshold from | true risk, mean | worst | bias | unreviewed | kept |")
    print("|---:|---|---:|---:|---:|---:|---:|")
    counted = []
    for calls in asked.calls:
        runs = [run(asked.seed * 1_000_003 + at, calls) for at in range(asked.runs)]
        print("\n".join(table(runs, calls)), flush=True)
        shares = [
            statistics.fmean(each) for each in zip(*(finds(r.findings) for r in runs), strict=True)
        ]
        counted.append(f"| {calls:,} | " + " | ".join(f"{each:.1%}" for each in shares) + " |")
    print("\n| calls | useless rule found | useful rule left alone | grant found, and no other |")
    print("|---:|---:|---:|---:|")
    print("\n".join(counted))
    print("\n| catches | exposed after (median) | after (95 %) | exposed within 400 |")
    print("|---:|---:|---:|---:|")
    print("\n".join(exposing(asked.seed)))


if __name__ == "__main__":
    main()
