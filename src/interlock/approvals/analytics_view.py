"""Analytics as people may see them: names made visible, people named where they are known. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ..core.analytics import (
    FEW,
    Analytics,
    Day,
    Group,
    Reliability,
    Reviewing,
    Selected,
    Share,
    Tally,
    Times,
)
from ..core.practice import Figures
from ..core.redaction import visible_line
from ..learning_ports import Kept
from .figures import DEFINITIONS
from .models_analytics import (
    LONGEST,
    AnalyticsView,
    AskedFor,
    AuditingView,
    BinView,
    DayView,
    GroupView,
    KeptView,
    PracticeView,
    QueueNow,
    Rates,
    ReliabilityView,
    ReviewingView,
    ShareView,
    TallyView,
    TimesView,
)

_NOTHING = Share(hits=0, of=0)
_NO_TIMES = Times(of=0, p50=0, p90=0, p99=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What is shown beside the archive's figures.

    `people`: names by pseudonym, as far as the visitor may know them; `practice`: figures by
    pseudonym, of the same; `all_reviewers`: whether the visitor reads of everybody, else only
    of `own`, their pseudonym.
    """

    now: int
    kept: Kept
    queue: QueueNow
    people: Mapping[str, str]
    practice: Mapping[str, Figures]
    own: str
    all_reviewers: bool


def view(found: Analytics, around: Around) -> AnalyticsView:
    """Return *found* for whoever *around* says."""
    return AnalyticsView(
        now=around.now,
        asked=_asked(found.selected),
        kept=_kept(around.kept),
        records=found.records,
        queue=around.queue,
        total=_group(found.total),
        levels=[_group(each) for each in found.levels],
        rules=[_group(each) for each in found.rules],
        tools=[_group(each) for each in found.tools],
        agents=[_group(each) for each in found.agents],
        everybody=_reviewing(found.everybody, around),
        reviewers=_reviewers(found, around),
        first_look=_times(found.first_look),
        to_decide=_times(found.to_decide),
        fields=_tallies(found.fields),
        reasons=_tallies(found.reasons),
        reliability=_reliability(found.reliability),
        auditing=AuditingView(
            unreviewed=found.auditing.unreviewed,
            drawn=found.auditing.drawn,
            judged=share(found.auditing.judged),
            wrong=found.auditing.wrong,
        ),
        days=[_day(each) for each in sorted(found.days, key=lambda each: each.start)],
        left_out=dict(found.left_out),
        definitions=dict(DEFINITIONS),
    )


def share(found: Share) -> ShareView:
    low, high = _interval(found.hits, found.of)
    return ShareView(
        hits=found.hits, of=found.of, value=found.value, low=low, high=high, few=found.few
    )


@lru_cache(maxsize=4096)
def _interval(hits: int, of: int) -> tuple[float, float]:
    """Return the interval, once for the same numbers: it takes long where they are large."""
    found = Share(hits=hits, of=of)
    return found.low, found.high


def _asked(selected: Selected) -> AskedFor:
    return AskedFor(
        since=selected.since,
        until=selected.until,
        agent=visible_line(selected.agent),
        tool=visible_line(selected.tool),
        rule=visible_line(selected.rule),
        level=visible_line(selected.level),
        reviewer=visible_line(selected.reviewer),
    )


def _kept(kept: Kept) -> KeptView:
    return KeptView(
        records=kept.records,
        oldest=kept.oldest,
        newest=kept.newest,
        behind=kept.behind,
        lost=kept.lost,
        forged=kept.forged,
    )


def _group(group: Group) -> GroupView:
    held = group.held

    def rate(count: int) -> float | None:
        return count / held if held else None

    return GroupView(
        id=_for_filters(group.name),
        name=visible_line(group.name),
        calls=group.calls,
        held=held,
        approved=group.approved,
        edited=group.edited,
        rejected=group.rejected,
        responded=group.responded,
        expired=group.expired,
        cancelled=group.cancelled,
        denied=group.denied,
        wrong=group.wrong,
        rates=Rates(
            approved=rate(group.approved),
            edited=rate(group.edited),
            rejected=rate(group.rejected),
            responded=rate(group.responded),
            expired=rate(group.expired),
        ),
        precision=share(group.precision),
        few=held < FEW,
    )


def _for_filters(name: str) -> str:
    """Return *name* where a query can carry it; agents and servers make some of them."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return ""
    return name if len(name) <= LONGEST else ""


def _reviewers(found: Analytics, around: Around) -> list[ReviewingView]:
    """Return those whom the visitor may read of; also who has practised, and decided nothing."""
    wanted = found.selected.reviewer
    rows = {
        each.who: each for each in found.reviewers if around.all_reviewers or each.who == around.own
    }
    for who, figures in around.practice.items():
        if who and figures.caught + figures.missed and (not wanted or wanted == who):
            rows.setdefault(who, _idle(who))
    return [_reviewing(each, around) for each in rows.values()]


def _idle(who: str) -> Reviewing:
    return Reviewing(
        who=who,
        decided=0,
        approved=0,
        edited=0,
        rejected=0,
        responded=0,
        fast=_NOTHING,
        streak=0,
        agreed=_NOTHING,
        to_decide=_NO_TIMES,
    )


def _reviewing(each: Reviewing, around: Around) -> ReviewingView:
    return ReviewingView(
        who=visible_line(each.who),
        person=visible_line(around.people.get(each.who, "")) if each.who else "",
        you=bool(each.who) and each.who == around.own,
        decided=each.decided,
        approved=each.approved,
        edited=each.edited,
        rejected=each.rejected,
        responded=each.responded,
        fast=share(each.fast),
        streak=each.streak,
        agreed=share(each.agreed),
        to_decide=_times(each.to_decide),
        overturned=each.overturned,
        practice=_practice(each.who, around),
    )


def _practice(who: str, around: Around) -> PracticeView | None:
    """Return how *who* did with practice calls; of all together, the sum of who is known."""
    every = list(around.practice.values())
    if not who and not around.all_reviewers:
        return None
    own = [around.practice[who]] if who in around.practice else []
    chosen = every if not who else own
    caught = sum(each.caught for each in chosen)
    of = caught + sum(each.missed for each in chosen)
    if not of:
        return None
    sure = Figures(person=who, caught=caught, missed=of - caught).sure
    return PracticeView(caught=share(Share(hits=caught, of=of)), sure=sure)


def _times(times: Times) -> TimesView:
    return TimesView(of=times.of, p50=times.p50, p90=times.p90, p99=times.p99, few=times.of < FEW)


def _tallies(tallies: Sequence[Tally]) -> list[TallyView]:
    return [TallyView(name=visible_line(each.name), count=each.count) for each in tallies]


def _reliability(found: Reliability) -> ReliabilityView:
    return ReliabilityView(
        of=found.of,
        bins=[
            BinView(
                low=each.low,
                high=each.high,
                of=each.of,
                weight=each.weight,
                stated=each.stated,
                right=each.right,
                few=each.of < FEW,
            )
            for each in found.bins
        ],
        brier=found.brier,
        brier_calibrated=found.brier_calibrated,
        error=found.error,
        few=found.of < FEW,
    )


def _day(day: Day) -> DayView:
    known = day.approved + day.edited + day.rejected + day.responded + day.expired
    return DayView(
        start=day.start,
        calls=day.calls,
        held=day.held,
        approved=day.approved,
        edited=day.edited,
        rejected=day.rejected,
        responded=day.responded,
        expired=day.expired,
        other=max(day.held - known, 0),
        denied=day.denied,
    )
