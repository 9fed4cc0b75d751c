"""What decided calls tell of agents, policy and reviewing. `definitions` says what each figure is.

Every figure carries how many calls it is of; `Share` adds the exact 95 % interval, so that nobody
reads much into little.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from .binomial import at_least

FEW = 30  #: a figure of fewer calls is marked as a small sample
READ_BYTES_PER_SECOND = 200  #: ten times as fast as people read; faster was not read
LEAST_LOOK_MS = 1000  #: nobody judges faster, however short the call


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

    `approved`..`cancelled` are of held calls and add up to `held`, with those still unknown.
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
    wrong: int  #: found or reported wrong after they went through

    @property
    def precision(self) -> Share:
        """The share of decided holds that people changed or refused: what holding was good for."""
        changed = self.edited + self.rejected + self.responded
        return Share(hits=changed, of=changed + self.approved)


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Quantiles of durations in ms, of *of* calls; 0 where it is of none."""

    of: int
    p50: float
    p90: float
    p99: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewing:
    """What one reviewer did (`who`: a pseudonym), or all of them together (empty)."""

    who: str
    decided: int
    approved: int
    edited: int
    rejected: int
    responded: int
    fast: Share  #: approvals that took less time than reading takes, of those whose look was seen
    streak: int  #: the longest run of approvals, one after the other
    agreed: Share  #: verdicts on calls that another person judged as well, and the same way
    to_decide: Times  #: how long they had it in sight
    overturned: int = 0  #: approved by them, and found or reported wrong later


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
    bins: tuple[Bin, ...]
    brier: float | None
    brier_calibrated: float | None  #: of the same calls, where a calibrated value was recorded
    error: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Auditing:
    """Calls that went through unreviewed, and what audits of a random share of them found."""

    unreviewed: int
    drawn: int
    judged: Share  #: wrong, of those judged
    wrong: float | None  #: estimated share of all unreviewed calls that were wrong (weighted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One UTC day; `start` in ms."""

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
    """Everything, for one selection. Lists are largest first and bounded; `left_out` counts."""

    selected: Selected
    records: int
    total: Group
    levels: tuple[Group, ...]
    rules: tuple[Group, ...]
    tools: tuple[Group, ...]
    agents: tuple[Group, ...]
    everybody: Reviewing
    reviewers: tuple[Reviewing, ...]
    first_look: Times  #: from held to the first look that was seen
    to_decide: Times  #: from held to the last verdict
    fields: tuple[Tally, ...]  #: most-edited arguments: `tool: args.amount`
    reasons: tuple[Tally, ...]  #: reason codes of rejections and edits
    reliability: Reliability
    auditing: Auditing
    days: tuple[Day, ...]
    left_out: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Rows of rules, tools, agents, reviewers."""
