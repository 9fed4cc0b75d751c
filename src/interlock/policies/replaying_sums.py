"""What a replay comes to: what the new policy catches, what it asks of people, what changes.

Memory is bounded: sums only, and no more than MOST_NAMES tools and reasons by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..core.analytics import FEW, Share
from ..core.decisions import Level
from ..core.records import DecidedCall, Turned, label_of
from .replaying import LOOSER, STRICTER, Replayed, people

MOST_NAMES = 500
MOST_EXAMPLES = 10
OTHERS = "(others)"
DAY_MS = 86_400_000


@dataclass(slots=True, kw_only=True)
class Side:
    """Calls of one kind of record (those that people decided, or the others), over their days.

    The two are kept for different times, so each is divided by the days that it covers.
    """

    calls: int = 0
    held_before: int = 0
    held_after: int = 0
    people_before: int = 0
    people_after: int = 0
    first: int = 0  #: ms
    last: int = 0

    def add(self, each: Replayed) -> None:
        created = each.record.created
        self.first = min(self.first or created, created)
        self.last = max(self.last, created)
        self.calls += 1
        self.held_before += each.held_before
        self.held_after += each.held_after
        self.people_before += people(each.before, each.record.quorum)
        self.people_after += people(each.after.level, each.after.quorum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Burden:
    """What is asked of people in a day: calls held, and decisions (two where two are needed)."""

    holds: float
    decisions: float


@dataclass(slots=True, kw_only=True)
class Sums:
    """The sums of a replay; `add` one call after the other."""

    calls: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    masked: Counter[str] = field(default_factory=Counter)  #: of those: calls that are masked
    levels: Counter[tuple[Level, Level]] = field(default_factory=Counter)  #: before, after
    tools: dict[str, Counter[str]] = field(default_factory=dict)
    reasons: dict[str, Counter[str]] = field(default_factory=dict)  #: by kind; why, how often
    unrecorded: Counter[str] = field(default_factory=Counter)
    newly_held: int = 0
    freed: int = 0  #: held before; now nobody is asked, and it goes out
    freed_right: int = 0  #: of those, the ones that people found right
    freed_wrong: int = 0
    bad: int = 0  #: rejected, changed, found or reported wrong
    bad_before: int = 0  #: of those, held or denied then
    bad_after: int = 0  #: of those, held or denied now
    weight: float = 0.0  #: of bad calls of which a sum over all calls can be estimated
    weight_before: float = 0.0
    weight_after: float = 0.0
    weighted: bool = False  #: whether a call that was drawn for an audit is among them
    unusable: int = 0
    why_unusable: list[str] = field(default_factory=list)
    held_side: Side = field(default_factory=Side)
    other_side: Side = field(default_factory=Side)

    def add(self, each: Replayed) -> None:
        """Count one call."""
        self.calls += 1
        self.kinds[each.kind] += 1
        self.masked[each.kind] += each.record.masked
        self.levels[each.before, each.after.level] += 1
        tool = each.after.tool or each.record.tool or "(unknown)"
        self.tools.setdefault(self._name(self.tools, tool), Counter())[each.kind] += 1
        for name in each.unrecorded:
            self.unrecorded[name if len(self.unrecorded) < MOST_NAMES else OTHERS] += 1
        if each.kind in (LOOSER, STRICTER):
            why = self.reasons.setdefault(each.kind, Counter())
            why[self._name(why, each.why or "the matrix or levels")] += 1
        self.newly_held += each.held_after and each.before < Level.APPROVE
        (self.held_side if each.record.held else self.other_side).add(each)
        self._judged(each)

    def cannot(self, record: DecidedCall, why: str) -> None:
        """Count a call that cannot be judged again."""
        self.unusable += 1
        if len(self.why_unusable) < MOST_EXAMPLES:
            self.why_unusable.append(f"{record.id}: {why}")

    def _judged(self, each: Replayed) -> None:
        label, bad = label_of(each.record), went_wrong(each.record)
        if each.held_before and not each.stopped_after:
            self.freed += 1
            self.freed_wrong += bad
            self.freed_right += bool(label and label.right and not bad)
        if not bad:
            return
        before, after = each.before >= Level.APPROVE, each.stopped_after
        self.bad += 1
        self.bad_before += before
        self.bad_after += after
        if label is not None:
            self.weight += label.weight
            self.weight_before += label.weight * before
            self.weight_after += label.weight * after
            self.weighted |= not each.record.held

    def _name(self, known: Mapping[str, object], name: str) -> str:
        return name if name in known or len(known) < MOST_NAMES else OTHERS

    @property
    def catch(self) -> Share:
        """Of the calls known to be bad, those that the new policy holds or denies."""
        return Share(hits=self.bad_after, of=self.bad)

    @property
    def catch_before(self) -> Share:
        return Share(hits=self.bad_before, of=self.bad)

    @property
    def catch_weighted(self) -> tuple[float, float] | None:
        """Return the same for all calls, before and after, as audits let estimate it."""
        if not self.weighted or not self.weight:
            return None
        return self.weight_before / self.weight, self.weight_after / self.weight

    @property
    def days(self) -> float:
        """How many days the records cover; at least one."""
        return max(self._covered(self.held_side), self._covered(self.other_side))

    @property
    def one_sided(self) -> bool:
        """Whether calls that nobody decided are on record for a much shorter time."""
        if not self.held_side.calls or not self.other_side.calls:
            return False
        return self._covered(self.held_side) > 1.5 * self._covered(self.other_side) + 1

    @property
    def burden(self) -> tuple[Burden, Burden]:
        """Return what people had to do in a day, and what they would have had to do."""
        sides = [(side, self._covered(side)) for side in (self.held_side, self.other_side)]
        before = Burden(
            holds=sum(side.held_before / days for side, days in sides),
            decisions=sum(side.people_before / days for side, days in sides),
        )
        after = Burden(
            holds=sum(side.held_after / days for side, days in sides),
            decisions=sum(side.people_after / days for side, days in sides),
        )
        return before, after

    def _covered(self, side: Side) -> float:
        """Return the days that *side* covers; of few calls nobody can tell, so: all of them."""
        both = (self.held_side, self.other_side)
        last = max(each.last for each in both)
        first = min(each.first for each in both if each.calls) if self.calls else last
        if side.calls >= FEW:
            first = side.first
        return max((last - first) / DAY_MS, 1.0)


def went_wrong(record: DecidedCall) -> bool:
    """Whether people rejected or changed the call, or somebody found or reported it wrong."""
    label = label_of(record)
    if label is not None:
        return not label.right
    told = [each.turned for each in record.reports]
    if record.audit is not None:
        told.append(record.audit.turned)
    return Turned.WRONG in told or record.verdict in ("reject", "edit")
