"""What history says of a proposed change: which calls it would let through, and what they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..core.records import DecidedCall, label_of
from ..core.risk import AT_THEIR_WORD, Caught
from ..core.rules import PolicySet
from .replaying import BadCall, replayed
from .replaying_sums import went_wrong

Records = Callable[[], Iterator[DecidedCall]]
"""Recorded calls, from the first, as often as it is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Freed:
    """Calls that the policy in force stops, and a changed one would let through unreviewed."""

    calls: int = 0
    right: int = 0  #: that people found right as they were
    bad: int = 0  #: rejected, changed, found or reported wrong
    outside: int = 0  #: that are none of those which the change is about

    def most_bad(self, confidence: float, caught: Caught = AT_THEIR_WORD) -> float:
        """Return the largest share of these that is bad, as sure as *confidence*.

        Clopper and Pearson (Biometrika 26, 1934), one-sided; what nobody found right is bad.
        *caught*: what people made of practice calls; so many more as they may miss.
        """
        if not self.calls:
            return 0.0
        return caught.share_at_most(self.calls - self.right, self.calls, confidence)


def freed(
    history: Records, before: PolicySet, after: PolicySet, about: frozenset[str] | None = None
) -> Freed:
    """Judge again what was held or denied; *about*: ids of the calls that may be let through."""
    calls = right = bad = outside = 0
    for record in history():
        if record.level not in ("approve", "approve_dual", "deny"):
            continue
        try:
            # the new policy first: mostly it stops the call, and that is all there is to know
            if replayed(record, after).stopped_after or not replayed(record, before).stopped_after:
                continue
        except BadCall:
            continue
        label, wrong = label_of(record), went_wrong(record)
        calls += 1
        bad += wrong
        right += bool(label and label.right and not wrong)
        outside += about is not None and record.id not in about
    return Freed(calls=calls, right=right, bad=bad, outside=outside)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much a proposal may let through: bad and unreviewed calls, of *calls* in all.

    The share is bounded by *target*, as sure as *confidence*; each change's for itself.
    """

    calls: int
    target: float
    confidence: float
    caught: Caught = AT_THEIR_WORD

    def share(self, found: Freed) -> float:
        """Return the largest share of all calls that would be bad and go out unreviewed."""
        return found.most_bad(self.confidence, self.caught) * found.calls / max(self.calls, 1)

    def why_not(self, found: Freed) -> str:
        """Return why a change that frees *found* is not proposed; empty: it may be."""
        if found.outside:
            return f"it would let {found.outside} calls through that it is not about"
        share = self.share(found)
        if share > self.target:
            return (
                f"it would let {found.calls} calls through unreviewed, {found.bad} of them bad: at"
                f" most {share:.2%} of all calls, where {self.target:.2%} is the target"
            )
        return ""
