"""What decided calls tell of agents, policy and reviewing. `definitions` says what each figure is.

Every figure carries how many calls it is of; `Share` adds the exact 95 % interval, so that nobody
reads much into little.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from .binomial import at_least
from .records import BY_AGENT, DecidedCall, Turned

FEW = 30  #: a figure of fewer calls is marked as a small sample
READ_BYTES_PER_SECOND = 200  #: ten times as fast as people read; faster was not read
LEAST_LOOK_MS = 1000  #: nobody judges faster, however short the call
MOST = 50  #: rows of a list
MOST_DAYS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """Which records are looked at; empty fields match everything. Times in ms, by `ended`."""

    since: int = 0
    until: int = 0  #: exclusive; 0: no end
    agent: str = ""
    tool: str = ""
    rule: str = ""
    level: str = ""
    reviewer: str = ""  #: a pseudonym


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """*hits* of *of*; `low` and `high` are the exact two-sided 95 % interval."""

    hits: int
    of: int

    @property
    def value(self) -> float | None:
        """None where it is of nothing."""
        return self.hits / self.of if self.of else None

    @property
    def low(self) -> float:
        return at_least(self.hits, self.of, 0.975) if self.of else 0.0

    @property
    def high(self) -> float:
        return 1 - at_least(self.of - self.hits, self.of, 0.975) if self.of else 1.0

    @property
    def few(self) -> bool:
        return self.of < FEW


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Counts of the calls of one rule, tool, agent or level (`name`; empty: none named).

    `approved`..`cancelled` are of held calls, see `came_of`; they and `otherwise` add up to `held`.
    Of rules, a call counts for each that it names, and for the empty name where it names none.
    """

    name: str
    calls: int
    held: int
    approved: int
    edited: int
    rejected: int
    responded: int
    expired: int
    cancelled: int
    denied: int  #: refused by policy
    wrong: int  #: found or reported wrong after they went through, see `found_wrong`

    @property
    def otherwise(self) -> int:
        """Held calls that ended without a verdict and without time running out, or are unknown."""
        decided = self.approved + self.edited + self.rejected + self.responded
        return self.held - decided - self.expired - self.cancelled

    @property
    def precision(self) -> Share:
        """The share of decided holds that people changed or refused: what holding was good for."""
        changed = self.edited + self.rejected + self.responded
        return Share(hits=changed, of=changed + self.approved)


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Quantiles of durations in ms, of *of* calls; 0 where it is of none.

    Between two calls they are interpolated linearly: type 7 of Hyndman and Fan (The American
    Statistician 50, 1996), as `statistics.quantiles(method="inclusive")`.
    """

    of: int
    p50: float
    p90: float
    p99: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewing:
    """What one reviewer did (`who`: a pseudonym), or all of them together (empty).

    Counted are verdicts: on a call that needs two people there are two, on an edited one more.
    """

    who: str
    decided: int
    approved: int
    edited: int
    rejected: int
    responded: int
    fast: Share  #: approvals that took less time than reading takes, of those whose look was seen
    streak: int  #: the longest run of one person's approvals, one after the other
    agreed: Share  #: same as every other person's, of verdicts on calls that others judged too
    to_decide: Times  #: how long they had it in sight, where that was seen
    overturned: int = 0  #: approvals of calls that people found wrong later, see `overturned`


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    name: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Labelled calls whose claimed confidence lies in [low, high[ (the last: ]): weighted."""

    low: float
    high: float
    of: int
    weight: float
    stated: float  #: mean of what was claimed
    right: float  #: share that was right


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """How far agents' confidence can be believed. Brier (1950); `error`: expected calibration
    error, the weighted mean distance between stated and right over ten bins of equal width."""

    of: int
    bins: tuple[Bin, ...]  #: those with calls in them
    brier: float | None
    brier_calibrated: float | None  #: of the same calls, where a calibrated value was recorded
    error: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Auditing:
    """Calls that went through unreviewed, and what audits of a random share of them found.

    `wrong` weighs each judged call by 1/share and divides by the sum of the weights (Hajek, 1971):
    it speaks for calls whose share was above 0, also while some that were drawn are not judged yet.
    """

    unreviewed: int  #: allow or notify, and sent
    drawn: int
    judged: Share  #: wrong, of those judged
    wrong: float | None  #: estimated share of unreviewed calls that were wrong; None: none judged


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """Calls that ended on one UTC day; `start` in ms."""

    start: int
    calls: int
    held: int
    approved: int
    edited: int
    rejected: int
    responded: int
    expired: int
    denied: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Analytics:
    """Everything, for one selection. Lists are largest first (groups by calls, reviewers by
    verdicts; then by name) and hold `MOST` rows; `days`: those that have calls, oldest first, the
    latest `MOST_DAYS`. `left_out` counts, by list, the rest."""

    selected: Selected
    records: int
    total: Group
    levels: tuple[Group, ...]
    rules: tuple[Group, ...]
    tools: tuple[Group, ...]
    agents: tuple[Group, ...]
    everybody: Reviewing
    reviewers: tuple[Reviewing, ...]
    first_look: (
        Times  #: from held to the first look, at the latest: a verdict less its time in sight
    )
    to_decide: Times  #: from held to the last verdict
    fields: tuple[Tally, ...]  #: most-edited arguments: `tool: args.amount`
    reasons: tuple[Tally, ...]  #: reason codes of verdicts that reject or edit
    reliability: Reliability
    auditing: Auditing
    days: tuple[Day, ...]
    left_out: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Rows left out of a list, by its name."""


def came_of(record: DecidedCall) -> str:
    """Return what a held call came to: approved, edited, rejected, responded, expired, cancelled.

    What people said counts first: an edit that nobody confirmed in time is `edited`. Empty: none of
    these, such as a hold that a newer policy refused, or one whose approval is not on record.
    A call that enough people approved, and that was not sent in time, is `approved`.
    """
    if record.verdict:
        return _CAME[record.verdict]
    if record.state == "expired" and len(record.reviews) >= record.quorum:
        return "approved"
    return record.state if record.state in ("expired", "cancelled") else ""


def went(record: DecidedCall) -> bool:
    """Say whether the call was sent, as far as is known."""
    return record.state in ("answered", "unknown", "resolved")


def found_wrong(record: DecidedCall) -> bool:
    """Say whether a call that went through was found or reported wrong, by anybody."""
    said = [each.turned for each in record.reports]
    if record.audit is not None:
        said.append(record.audit.turned)
    return went(record) and Turned.WRONG in said


def overturned(record: DecidedCall) -> bool:
    """Say whether people found or reported a call wrong that went through.

    An agent's word alone says nothing of who approved its call: it chooses of whom to say it.
    """
    said = [each.turned for each in record.reports if each.by != BY_AGENT]
    if record.audit is not None:
        said.append(record.audit.turned)
    return went(record) and Turned.WRONG in said


_CAME = {"approve": "approved", "edit": "edited", "reject": "rejected", "respond": "responded"}
