"""What decided calls speak for changing in policy: thresholds, rules and grants, with evidence.

Nothing here changes anything: a finding is a proposal for a person, with its counts, some calls
to look at, and the bound that it rests on. What nobody looked at counts as wrong throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from .records import DecidedCall
from .risk import AT_THEIR_WORD, CONFIDENCE, Caught
from .tuning_habits import Grants, Rules, alone
from .tuning_thresholds import Stakes

CLOPPER_PEARSON = "Clopper-Pearson, one-sided, by stratum; fixed-sequence testing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is asked for. Shares from 0 to 1; `target`: of calls that are wrong and unreviewed."""

    target: float = 0.02
    confidence: float = CONFIDENCE
    missing: float = 0.5  #: policy's `signals.confidence.missing`
    use: str = "claimed"  #: policy's `signals.confidence.use`
    current: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    #: policy's `signals.confidence.raise_below`, by stake; empty: not known
    caught: Caught = AT_THEIR_WORD  #: what reviewers made of practice calls
    rule_floor: float = 0.02  #: a rule whose precision is surely below it is of no use
    grant_least: int = 10
    grant_days: int = 30
    frees: Callable[[DecidedCall, str], bool] = alone
    #: whether a held call would not be held without that rule; by default as records tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """`signals.confidence.raise_below` of one stake; `proposed` is None where none is safe.

    `bound` is what share of calls is wrong and unreviewed at most, at `proposed` (else at the
    strictest, 1.0); `estimate` is the unbiased guess of the same, `conformal` the threshold that
    keeps the target in the mean alone.
    """

    stake: str
    proposed: float | None
    current: float | None
    bound: float
    estimate: float
    conformal: float | None
    target: float
    confidence: float
    method: str
    calls: int  #: that the bound is over: see `decided_by`, and what shadow mode let through
    decided_by: int  #: sent or decided by people, and their level is up to a threshold
    reviewed: int  #: of those: held, so that people said right or wrong
    audited: int  #: drawn for an audit, of those that went through
    undecided: int  #: held or drawn, and nobody said right or wrong: they count as wrong
    unseen: int  #: went through without any chance of an audit: they count as wrong
    wrong: float | None  #: estimated share of these calls that are wrong, reviewed or not
    least_held: float  #: share that must be held at least to meet the target, whoever chooses
    saved: int  #: holds that would not have been
    added: int  #: holds that there would have been beside
    saved_ms: int  #: how long people looked at those saved
    examples: tuple[str, ...]  #: ids of some that would not have been held
    notes: tuple[str, ...]

    @property
    def changes(self) -> bool:
        """Whether another threshold is proposed, and it holds other calls."""
        other = self.proposed is not None and self.proposed != self.current
        return other and bool(self.saved or self.added)


@dataclass(frozen=True, slots=True, kw_only=True)
class UselessRule:
    """A rule which alone held calls that people then approved as they were.

    `bound`: its precision at most (each rule's for itself).
    """

    rule: str
    held: int  #: calls that it alone held
    decided: int
    changed: int  #: of those decided: edited, refused, answered by a person, or found wrong
    bound: float
    floor: float
    confidence: float
    method: str
    saved: int
    saved_ms: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorthGranting:
    """Calls of one agent to one tool with one target, all approved as they were by people."""

    agent: str
    tool: str
    target: Mapping[str, object]
    approved: int
    people: int  #: how many different people approved
    since: int  #: ms
    until: int  #: ms
    days: int
    saved: int  #: holds, had the grant been given after the first
    saved_ms: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All of it. Lists are largest first. `saved` of several findings may be of the same holds."""

    records: int
    since: int  #: ms, of `ended`; 0: no records
    until: int
    held: int
    thresholds: tuple[Threshold, ...]
    rules: tuple[UselessRule, ...]
    grants: tuple[WorthGranting, ...]
    left_out: int  #: groups of calls beyond what is kept in memory
    notes: tuple[str, ...]


class Tuner:
    """Reads records one at a time, in any order of ids and of rising `ended`; bounded memory."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.records = self.held = self.since = self.until = 0
        self.stakes = Stakes(settings.missing, settings.use)
        self.rules = Rules(settings.frees)
        self.grants = Grants(settings.grant_days)

    def add(self, record: DecidedCall) -> None:
        self.records += 1
        self.held += record.held
        self.since = min(self.since or record.ended, record.ended)
        self.until = max(self.until, record.ended)
        self.stakes.add(record)
        self.rules.add(record)
        self.grants.add(record)

    def findings(self) -> Findings:
        settings = self.settings
        return Findings(
            records=self.records,
            since=self.since,
            until=self.until,
            held=self.held,
            thresholds=tuple(self._thresholds()),
            rules=tuple(self._rules()),
            grants=tuple(self._grants()),
            left_out=self.rules.left_out + self.grants.left_out,
            notes=() if settings.caught.practised else (_BELIEVED,),
        )

    def _thresholds(self) -> Iterable[Threshold]:
        asked = self.settings
        for stake, seen in self.stakes.by.items():
            if not seen.decided_by:
                continue
            current = asked.current.get(stake)
            found = seen.choose(asked.target, asked.confidence, asked.caught, current)
            yield Threshold(
                stake=stake,
                proposed=found.threshold,
                current=current,
                bound=found.bound,
                estimate=found.estimate,
                conformal=found.conformal,
                target=asked.target,
                confidence=asked.confidence,
                method=CLOPPER_PEARSON,
                calls=seen.calls,
                decided_by=seen.decided_by,
                reviewed=seen.reviewed,
                audited=seen.audited,
                undecided=seen.undecided,
                unseen=seen.unseen,
                wrong=seen.wrong,
                least_held=found.least_held,
                saved=found.saved,
                added=found.added,
                saved_ms=found.saved_ms,
                examples=found.examples,
                notes=found.notes,
            )

    def _rules(self) -> Iterable[UselessRule]:
        asked = self.settings
        for rule, seen in self.rules.largest():
            most = seen.precision_at_most(asked.confidence, asked.caught)
            if most < asked.rule_floor:
                yield UselessRule(
                    rule=rule,
                    held=seen.held,
                    decided=seen.decided,
                    changed=seen.changed,
                    bound=most,
                    floor=asked.rule_floor,
                    confidence=asked.confidence,
                    method="Clopper-Pearson, one-sided",
                    saved=seen.held,
                    saved_ms=seen.looked_ms,
                    examples=tuple(seen.examples),
                )

    def _grants(self) -> Iterable[WorthGranting]:
        for key, seen in self.grants.largest(self.until, self.settings.grant_least):
            yield WorthGranting(
                agent=key[0],
                tool=key[1],
                target=seen.target,
                approved=seen.approved,
                people=len(seen.people),
                since=seen.since,
                until=seen.until,
                days=self.settings.grant_days,
                saved=seen.approved - 1,
                saved_ms=seen.looked_ms,
                examples=tuple(seen.examples),
            )


def tune(records: Iterable[DecidedCall], settings: Settings | None = None) -> Findings:
    """Return what *records* speak for; they are read once, in the order in which they ended."""
    tuner = Tuner(settings or Settings())
    for each in records:
        tuner.add(each)
    return tuner.findings()


_BELIEVED = (
    "Labels are taken at their word: nobody was given practice calls, so nothing is known of how"
    " much reviewers miss."
)
