"""Which threshold of agents' confidence keeps what is wrong and unreviewed under a target.

A threshold decides calls that would be at notify: below it people decide. What is at allow goes
through under every threshold, what rules or the matrix hold is reviewed under every one.
"""

from __future__ import annotations

from dataclasses import dataclass

from .decisions import Stake
from .records import DecidedCall, label_of
from .risk import Caught, Stratum, bound, conformal, estimate, least_held, loosest, merged

THRESHOLDS = tuple(each / 100 for each in range(100, -1, -1))  #: strictest first; fixed beforehand
MOST_SHARES = 64  #: kept apart; beyond that a share counts as the power of two below it
EXAMPLES = 5
_SENT = frozenset({"answered", "resolved", "unknown"})
_HELD = frozenset({"approve", "approve_dual"})
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
        self.undecided = self.unseen = 0
        self.weight = self.wrong_weight = 0.0
        self.held = [0] * 101  #: by confidence alone
        self.went = [0] * 101
        self.looked_ms = [0] * 101
        self.seen = [0] * 101  #: wrong, of those held; and what nobody could have audited
        self.sampled: dict[float, list[int]] = {}  #: wrong, by the share that was audited
        self.examples: dict[int, list[str]] = {}

    @property
    def wrong(self) -> float | None:
        return self.wrong_weight / self.weight if self.weight else None

    def label(self, right: bool, weight: float) -> None:
        self.weight += weight
        self.wrong_weight += 0.0 if right else weight

    def review(self, record: DecidedCall, percent: int) -> None:
        """Count a call that people had to decide for its confidence alone."""
        label = label_of(record)
        self.held[percent] += 1
        self.looked_ms[percent] += sum(each.looked_ms for each in record.reviews)
        if label is None:
            self.undecided += 1
        else:
            self.reviewed += 1
        self.seen[percent] += label is None or not label.right
        examples = self.examples.setdefault(percent, [])
        if len(examples) < EXAMPLES:
            examples.append(record.id)

    def sample(self, record: DecidedCall, percent: int) -> None:
        """Count a call that went through; what was not sent did no harm."""
        if record.state not in _SENT:
            return
        if record.share <= 0:
            self.unseen += 1
            self.seen[percent] += 1
            return
        # Also where none was drawn: that no wrong one was seen there does not say much.
        wrong = self.sampled.setdefault(self._share(record.share), [0] * 101)
        if record.drawn:
            label = label_of(record)
            self.audited += label is not None
            self.undecided += label is None
            wrong[percent] += label is None or not label.right

    def _share(self, share: float) -> float:
        if share in self.sampled or len(self.sampled) < MOST_SHARES:
            return min(1.0, share)
        power = 1.0
        while power > share:
            power /= 2
        return power

    def choose(self, target: float, confidence: float, caught: Caught) -> Chosen:
        """Return the loosest threshold that keeps *target*, and what it changes."""
        strata = [self._losses(percent) for percent in range(100, -1, -1)]
        bounds = []
        for reviewed, sampled in strata:
            bounds.append(bound(reviewed, sampled, self.calls, confidence, caught))
            if bounds[-1] > target:
                break
        keeps = [each <= target for each in bounds] + [False] * (len(strata) - len(bounds))
        mean = [conformal([one, *rest], self.calls) <= target for one, rest in strata]
        threshold = loosest(THRESHOLDS, keeps)
        at = 0 if threshold is None else THRESHOLDS.index(threshold)
        needed = least_held(self.wrong or 0.0, target)
        percent = 100 - at
        return Chosen(
            threshold=threshold,
            bound=bounds[at],
            estimate=estimate([strata[at][0], *strata[at][1]], self.calls),
            conformal=loosest(THRESHOLDS, mean),
            least_held=needed,
            saved=sum(self.held[percent:]) if threshold is not None else 0,
            added=sum(self.went[:percent]) if threshold is not None else 0,
            saved_ms=sum(self.looked_ms[percent:]) if threshold is not None else 0,
            examples=self._examples(percent) if threshold is not None else (),
            notes=tuple(self._notes(threshold, bounds[0], target, needed)),
        )

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
        if self.unseen:
            notes.append(
                f"{self.unseen} calls went through without a chance of an audit; they count as"
                " wrong. Set `audit.share`, or look at records since it was set."
            )
        if self.undecided:
            notes.append(
                f"Of {self.undecided} calls that were held or drawn nobody said whether they were"
                " right; they count as wrong. Judge waiting audits, or end the records before them."
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
        if counts is None or not kind:
            return
        counts.calls += 1
        label = label_of(record)
        if label is not None:
            counts.label(label.right, label.weight)
        if kind == "open":
            counts.sample(record, 100)  # through under every threshold
            return
        if kind == "held":
            return
        percent = self._percent(record)
        counts.decided_by += 1
        if record.held:
            counts.review(record, percent)
        else:
            counts.went[percent] += 1
            counts.sample(record, percent)

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
