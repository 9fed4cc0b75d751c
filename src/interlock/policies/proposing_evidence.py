"""What history says of a proposed change: which calls it would let through, and what they were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ..core.binomial import at_most
from ..core.numbers import number_of
from ..core.records import DecidedCall, label_of
from ..core.risk import AT_THEIR_WORD, Caught, merged
from ..core.rules import PolicySet
from ..core.tuning_thresholds import apart, sent
from .replaying import BadCall, replayed
from .replaying_sums import went_wrong

Records = Callable[[], Iterator[DecidedCall]]
"""Recorded calls, from the first, as often as it is called."""

DAY_MS = 86_400_000


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


@dataclass(slots=True, kw_only=True)
class Passing:
    """What goes out unreviewed already, of the calls that policy looks at and that came to an end.

    These were sent, or people decided them. What policy allows, denies, or an agent took back or
    let expire is not among them: whoever makes more of those must not dilute a share.
    """

    calls: int = 0
    tools: Counter[str] = field(default_factory=Counter)
    unseen: int = 0  #: went out without a chance of an audit: they count as wrong
    wrong: Counter[float] = field(default_factory=Counter)  #: by the share that was audited

    def add(self, record: DecidedCall) -> None:
        """Count one recorded call."""
        if record.level == "allow" and not record.would_be:
            return
        if not (bool(record.verdict) if record.held else sent(record)):
            return
        self.calls += 1
        self.tools[record.tool] += 1
        if record.held:
            return
        if record.share <= 0:
            self.unseen += 1
            return
        share = apart(record.share, self.wrong)
        label = label_of(record)
        # Drawn and not judged counts as wrong; a share of which none was drawn is kept, with 0.
        self.wrong[share] += record.drawn and (label is None or not label.right)

    def at_most(self, confidence: float) -> float:
        """Return the share of `calls` that goes out wrong and unreviewed at most.

        By stratum of the audited share, as in `core.risk`.
        """
        shares = merged(self.wrong)
        strata = Counter[float]()
        for share, wrong in self.wrong.items():
            strata[shares[share]] += wrong
        parts = [(wrong, share) for share, wrong in strata.items()]
        if self.unseen:
            parts.append((self.unseen, 1.0))
        sure = 1 - (1 - confidence) / max(1, len(parts))
        return min(1.0, sum(at_most(wrong, self.calls, sure) / share for wrong, share in parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much a proposal may let through: bad and unreviewed calls, of *calls* in all.

    What goes through already (`present`, at half of the doubt) and all changes together stay under
    *target*; the other half is split evenly among the *looks*: the changes that may be taken.
    """

    calls: int
    target: float
    confidence: float
    caught: Caught = AT_THEIR_WORD
    present: float = 0.0
    looks: int = 1

    def share(self, found: Freed) -> float:
        """Return the largest share of all calls that would be bad and newly go out unreviewed."""
        sure = 1 - (1 - self.confidence) / (2 * self.looks)
        return found.most_bad(sure, self.caught) * found.calls / max(self.calls, 1)

    def why_not(self, found: Freed, spent: float = 0.0, tool: int | None = None) -> str:
        """Return why a change that frees *found* is not proposed; empty: it may be.

        *spent*: what the changes before it let through at most. *tool*: how many calls there are
        of the one tool that it is about; of these alone the target holds as well.
        """
        if found.outside:
            return f"it would let {number_of(found.outside, 'call')} through that it is not about"
        if not found.calls:
            return ""
        calls = number_of(found.calls, "call")
        newly = f"it would let {calls} through unreviewed, {found.bad} of them bad"
        share = self.share(found)
        if share > self.target:
            return (
                f"{newly}: at most {share:.2%} of all calls, where {self.target:.2%} is the target"
            )
        if self.present + spent + share > self.target:
            return (
                f"{newly}: newly let through at most {share:.2%} of all calls. With"
                f" {self.present:.2%} that may go through wrong already and {spent:.2%} of the"
                f" changes before it, that is more than the target of {self.target:.2%}"
            )
        if tool is not None:
            most = found.most_bad(self.confidence, self.caught) * found.calls / max(tool, 1)
            if most > self.target:
                return (
                    f"{newly}: at most {most:.2%} of the {tool} calls of its tool, where"
                    f" {self.target:.2%} is the target"
                )
        return ""


def judged_since(history: Records, unreviewed_ms: int) -> int:
    """Return from when on *history* has the calls that nobody looked at as well, ms; 0: all of it.

    Those are kept for a shorter time (*unreviewed_ms* by policy) than what was held or audited:
    before, what is forgotten would count as right.
    """
    first = last = oldest = 0
    for record in history():
        first = min(first or record.ended, record.ended)
        last = max(last, record.ended)
        if not (record.held or record.drawn or record.audit):
            oldest = min(oldest or record.ended, record.ended)
    since = max(0, last - unreviewed_ms)
    if oldest - first > DAY_MS:
        since = max(since, oldest)
    return since if since > first else 0


def from_then(history: Records, since: int) -> Records:
    """Return *history* without what ended before *since* (ms)."""
    return lambda: (record for record in history() if record.ended >= since)
