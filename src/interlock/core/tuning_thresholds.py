"""Which threshold of agents' confidence keeps what is wrong and unreviewed under a target.

A threshold decides calls that would be at notify: below it people decide. Its bound is over those
alone that were sent or that people decided. Anything else costs an agent nothing to make more of:
reads, denied calls, and calls that it cancels or lets expire never make a share smaller.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from .decisions import Stake
from .numbers import number_of
from .records import DecidedCall, Label, label_of
from .risk import Caught, Stratum, bound, conformal, estimate, least_held, loosest, merged

THRESHOLDS = tuple(each / 100 for each in range(100, -1, -1))  #: strictest first; fixed beforehand
LEAST_RIGHT = 10  #: calls found right that a step to a looser threshold rests on
MOST_SHARES = 64  #: kept apart; beyond that a share counts as the power of two below it
EXAMPLES = 5
_SENT = frozenset({"answered", "resolved", "unknown"})
_HELD = frozenset({"approve", "approve_dual"})
_STOPPED = _HELD | {"deny"}
_RAISES = frozenset({"novelty", "session_risk", "repeat_denied"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """See `tuning.Threshold`."""

    threshold: float | None
    bound: float
    estimate: float
    conformal: float | None
    least_held: float
    saved: int
    added: int
    saved_ms: int
    examples: tuple[str, ...]
    notes: tuple[str, ...]


class Counts:
    """Calls of one stake, by claimed percent (0 to 100)."""

    def __init__(self) -> None:
        self.calls = self.decided_by = self.reviewed = self.audited = 0
        self.undecided = self.unseen = self.shadowed = 0
        self.weight = self.wrong_weight = 0.0
        self.held = [0] * 101  #: by confidence alone
        self.went = [0] * 101
        self.looked_ms = [0] * 101
        self.right = [0] * 101  #: found right by people or in audits
        self.lost = [0] * 101  #: held, and nobody said right or wrong
        self.seen = [0] * 101  #: wrong, of those held; and what nobody could have audited
        self.sampled: dict[float, list[int]] = {}  #: wrong, by the share that was audited
        self.examples: dict[int, list[str]] = {}

    @property
    def wrong(self) -> float | None:
        return self.wrong_weight / self.weight if self.weight else None

    def add(self, record: DecidedCall, percent: int) -> None:
        """Count a call whose level the threshold decides."""
        if record.held:
            self._review(record, percent)
        elif sent(record):
            self.decided_by += 1
            (self.held if record.would_be in _HELD else self.went)[percent] += 1
            self.sample(record, percent)

    def _review(self, record: DecidedCall, percent: int) -> None:
        """Count a call that people had to decide for its confidence alone."""
        label = label_of(record)
        self.held[percent] += 1
        self.looked_ms[percent] += sum(each.looked_ms for each in record.reviews)
        examples = self.examples.setdefault(percent, [])
        if len(examples) < EXAMPLES:
            examples.append(record.id)
        if label is None or not record.verdict:
            self.undecided += 1
            self.lost[percent] += 1
            self.seen[percent] += 1
            return
        self.calls += 1
        self.decided_by += 1
        self.reviewed += 1
        self._label(label)
        self.right[percent] += label.right
        self.seen[percent] += not label.right

    def sample(self, record: DecidedCall, percent: int) -> None:
        """Count a call that went out unreviewed."""
        self.calls += 1
        self.shadowed += bool(record.would_be)
        if record.share <= 0:
            self.unseen += 1
            self.seen[percent] += 1
            return
        # Also where none was drawn: that no wrong one was seen there does not say much.
        wrong = self.sampled.setdefault(apart(record.share, self.sampled), [0] * 101)
        if not record.drawn:
            return
        label = label_of(record)
        if label is None:
            self.undecided += 1
            wrong[percent] += 1
            return
        self.audited += 1
        self._label(label)
        self.right[percent] += label.right
        wrong[percent] += not label.right

    def _label(self, label: Label) -> None:
        self.weight += label.weight
        self.wrong_weight += 0.0 if label.right else label.weight

    def choose(
        self, target: float, confidence: float, caught: Caught, current: float | None = None
    ) -> Chosen:
        """Return the loosest threshold that keeps *target*, and what it changes.

        It is one that calls found right speak for; *current* is kept where it keeps the target and
        nothing speaks for a looser one.
        """
        strata = [self._losses(percent) for percent in range(100, -1, -1)]
        tries = [self._tries(percent) for percent in range(100, -1, -1)]
        bounds = []
        for (reviewed, sampled), calls in zip(strata, tries, strict=True):
            bounds.append(bound(reviewed, sampled, calls, confidence, caught))
            if bounds[-1] > target:
                break
        keeps = [each <= target for each in bounds] + [False] * (len(strata) - len(bounds))
        mean = [
            conformal([one, *rest], calls) <= target
            for (one, rest), calls in zip(strata, tries, strict=True)
        ]
        at = self._chosen(keeps, current)
        threshold = None if at is None else THRESHOLDS[at]
        at = at or 0
        needed = least_held(self.wrong or 0.0, target)
        percent = 100 - at
        return Chosen(
            threshold=threshold,
            bound=bounds[at],
            estimate=estimate([strata[at][0], *strata[at][1]], tries[at]),
            conformal=loosest(THRESHOLDS, mean),
            least_held=needed,
            saved=sum(self.held[percent:]) if threshold is not None else 0,
            added=sum(self.went[:percent]) if threshold is not None else 0,
            saved_ms=sum(self.looked_ms[percent:]) if threshold is not None else 0,
            examples=self._examples(percent) if threshold is not None else (),
            notes=tuple(self._notes(threshold, bounds[0], target, needed)),
        )

    def _chosen(self, keeps: list[bool], current: float | None) -> int | None:
        """Return the place in THRESHOLDS of the last one that is kept and that labels speak for."""
        kept = keeps.index(False) if False in keeps else len(keeps)
        if not kept:
            return None
        chosen = fresh = 0
        for at in range(1, kept):
            fresh += self.right[100 - at]
            if fresh >= LEAST_RIGHT:
                chosen, fresh = at, 0
        if current is not None and 0 <= current <= 1:
            now = 100 - math.ceil(current * 100 - 1e-9)
            if chosen < now < kept:
                return now
        return chosen

    def _tries(self, percent: int) -> int:
        """Return how many calls a bound is over where *percent* suffices.

        What nobody decided counts as one where it would go out, and then as wrong.
        """
        return self.calls + sum(self.lost[percent:])

    def _losses(self, percent: int) -> tuple[Stratum, list[Stratum]]:
        """Return what would go through wrong and unreviewed where *percent* suffices."""
        shares = merged(self.sampled)
        by = dict.fromkeys(sorted(set(shares.values())), 0)
        for share, wrong in self.sampled.items():
            by[shares[share]] += sum(wrong[percent:])
        sampled = [Stratum(losses=losses, share=share) for share, losses in by.items()]
        return Stratum(losses=sum(self.seen[percent:])), sampled

    def _examples(self, percent: int) -> tuple[str, ...]:
        found = [each for at in range(percent, 101) for each in self.examples.get(at, ())]
        return tuple(found[:EXAMPLES])

    def _notes(
        self, threshold: float | None, strictest: float, target: float, needed: float
    ) -> list[str]:
        notes = []
        if threshold is None:
            notes.append(
                f"No threshold keeps {target:.2%}: even at 1.0 up to {strictest:.2%} may be wrong"
                " and unreviewed."
            )
        if needed > 0:
            notes.append(
                f"{self.wrong or 0:.2%} of the calls are wrong, as far as is known: at least"
                f" {needed:.2%} of them must be held, however they are chosen."
            )
        if self.shadowed:
            notes.append(
                f"{number_of(self.shadowed, 'call was', 'calls were')} judged in shadow mode and"
                " went out: what a threshold decides is counted as it would be once enforced, what"
                " else would be held counts as gone out. Tune again once it is enforced."
            )
        if self.unseen:
            notes.append(
                f"{number_of(self.unseen, 'call')} went through without a chance of an audit, and"
                " counted as wrong. Set `audit.share`, or look at records since it was set."
            )
        if self.undecided:
            notes.append(
                f"Of {number_of(self.undecided, 'call that was', 'calls that were')} held or drawn"
                " nobody said whether right or wrong; counted as wrong. Judge waiting audits, or"
                " end the records before them."
            )
        return notes


class Stakes:
    """Calls by stake. *missing*, *use*: as policy reads confidence."""

    def __init__(self, missing: float, use: str) -> None:
        self._missing = missing
        self._use = use
        self.by = {stake.word: Counts() for stake in Stake}

    def add(self, record: DecidedCall) -> None:
        counts, kind = self.by.get(record.stake), bare(record)
        if counts is None:
            return
        if kind == "free":
            counts.add(record, self._percent(record))
        elif record.would_be in _STOPPED and sent(record) and not record.held:
            counts.sample(record, 100)  # went out in shadow mode, under every threshold

    def _percent(self, record: DecidedCall) -> int:
        claimed = self._missing if record.confidence is None else record.confidence
        if self._use == "calibrated" and record.calibrated is not None:
            claimed = min(claimed, record.calibrated)
        # 0.29 * 100 is less than 29.
        return int(claimed * 100 + 1e-9) if 0 <= claimed <= 1 else 0


def bare(record: DecidedCall) -> str:
    """Return what the call's level would be without the signal of confidence.

    `free`: notify, so that a threshold decides; `open`: it goes through in any case; `held`: it is
    held in any case; empty: policy denies it.
    """
    level = record.would_be or record.level
    if level == "deny":
        return ""
    if record.exceptions or record.grant or record.why:
        return "held" if level in _HELD else "open"
    if "confidence" in record.signals:
        return "free" if level == "approve" and not _RAISES.intersection(record.signals) else "held"
    return {"allow": "open", "notify": "free"}.get(level, "held")


def sent(record: DecidedCall) -> bool:
    """Whether the call reached its tool, or may have."""
    return record.state in _SENT and record.level != "deny"


def apart(share: float, known: Collection[float]) -> float:
    """Return the share that calls of *share* are counted with, so that few are kept apart."""
    if share in known or len(known) < MOST_SHARES:
        return min(1.0, share)
    power = 1.0
    while power > share:
        power /= 2
    return power
