"""Analytics as the API says them; `figures.DEFINITIONS` says what each figure is."""

from __future__ import annotations

from pydantic import Field

from ..core.decisions import Level
from .models import Model
from .operation import Operation, query


class ShareView(Model):
    """*hits* of *of*, with the exact 95 % interval."""

    hits: int
    of: int
    value: float | None = Field(description="None where it is of nothing")
    low: float
    high: float
    few: bool = Field(description="a small sample")


class TimesView(Model):
    """Quantiles in ms, of *of* calls; 0 where it is of none."""

    of: int
    p50: float
    p90: float
    p99: float
    few: bool = Field(description="a small sample")


class Rates(Model):
    """Shares of the held calls; None where nothing was held."""

    approved: float | None
    edited: float | None
    rejected: float | None
    responded: float | None
    expired: float | None


class GroupView(Model):
    """The calls of one rule, tool, agent or level."""

    id: str = Field(description="its name as filters take it; empty: they cannot")
    name: str = Field(description="as people may see it; empty: none was named")
    calls: int
    held: int
    approved: int
    edited: int
    rejected: int
    responded: int
    expired: int
    cancelled: int
    denied: int
    wrong: int
    rates: Rates
    precision: ShareView
    few: bool = Field(description="few held calls: the rates are of a small sample")


class PracticeView(Model):
    """What somebody made of practice calls in the last 30 days."""

    caught: ShareView
    sure: float = Field(description="the share that they catch at least, 95 %, one-sided")


class ReviewingView(Model):
    """What one reviewer did; `who` empty: all together."""

    who: str = Field(description="a pseudonym: the same person has the same one in exports")
    person: str = Field(description="their name, where they are known here; empty: not")
    you: bool
    decided: int
    approved: int
    edited: int
    rejected: int
    responded: int
    fast: ShareView
    streak: int
    agreed: ShareView
    to_decide: TimesView
    overturned: int
    practice: PracticeView | None = Field(description="None: they decided no practice call")


class TallyView(Model):
    name: str
    count: int


class BinView(Model):
    """Calls whose claimed confidence lies in [low, high[; the last one includes its end."""

    low: float
    high: float
    of: int
    weight: float
    stated: float
    right: float
    few: bool


class ReliabilityView(Model):
    of: int
    bins: list[BinView]
    brier: float | None
    brier_calibrated: float | None
    error: float | None
    few: bool


class AuditingView(Model):
    unreviewed: int
    drawn: int
    judged: ShareView
    wrong: float | None = Field(description="`audit_estimate` of the definitions")


class DayView(Model):
    """One UTC day that begins at `start`, ms."""

    start: int
    calls: int
    held: int
    approved: int
    edited: int
    rejected: int
    responded: int
    expired: int
    other: int = Field(description="held, and cancelled or still unknown")
    denied: int


class QueueNow(Model):
    held: int
    oldest_ms: int = Field(description="how long the oldest has been held; 0: none is")


class KeptView(Model):
    """What the archive holds; `lost`: calls that came into no figure, because nobody read them."""

    records: int
    oldest: int
    newest: int
    behind: int
    lost: int
    forged: int


class AskedFor(Model):
    """What was asked for, as it was understood; times in ms, 0: no bound."""

    since: int
    until: int
    agent: str
    tool: str
    rule: str
    level: str
    reviewer: str


class AnalyticsView(Model):
    """What decided calls tell of agents, policy and reviewing."""

    now: int
    asked: AskedFor
    kept: KeptView
    records: int
    queue: QueueNow
    total: GroupView
    levels: list[GroupView]
    rules: list[GroupView]
    tools: list[GroupView]
    agents: list[GroupView]
    everybody: ReviewingView
    reviewers: list[ReviewingView] = Field(
        description="everybody, for admins and auditors; yourself, for approvers"
    )
    first_look: TimesView
    to_decide: TimesView
    fields: list[TallyView]
    reasons: list[TallyView]
    reliability: ReliabilityView
    auditing: AuditingView
    days: list[DayView]
    left_out: dict[str, int]
    definitions: dict[str, str] = Field(description="what each figure is, by its name here")


LONGEST = 200  #: characters of one filter
_TEXT = {"type": "string", "maxLength": LONGEST}
_WHEN = {
    "anyOf": [
        {"type": "string", "pattern": "^([1-9][0-9]{0,3}[smhd]|[0-9]{1,15})?$"},
        {"type": "string", "format": "date"},
    ]
}
_PARAMETERS = (
    query("since", _WHEN | {"default": "30d"}, "ended not before: 30d ago, a day, or ms; 0: all"),
    query("until", _WHEN, "ended before: 1d ago, ms, or with that UTC day"),
    query("agent", _TEXT, "only this agent's"),
    query("tool", _TEXT, "only this tool's"),
    query("rule", _TEXT, "only those for which this rule fired"),
    query("level", {"enum": [level.word for level in Level]}, "only those with this level"),
    query(
        "reviewer",
        {"type": "string", "pattern": "^(me|r-[0-9a-f]{12})?$"},
        "only those that this pseudonym had to do with; `me`: yourself",
    ),
)

OPERATIONS = (
    Operation(
        method="GET",
        path="/v1/analytics",
        name="showAnalytics",
        summary="What decided calls tell of agents, policy and reviewing, each with its sample",
        answers=AnalyticsView,
        parameters=_PARAMETERS,
        refusals=(400, 401, 403, 404, 421, 503),
    ),
)
