"""What decided calls tell, counted by the archive's SQL.

Every figure is what `core.analytics` says that it is; those of one record were worked out when it
was taken in (`archive_rows`). All of it reads one temporary table: the calls that are selected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..core.analytics import (
    MOST,
    MOST_DAYS,
    Analytics,
    Auditing,
    Bin,
    Day,
    Group,
    Reliability,
    Reviewing,
    Selected,
    Share,
    Tally,
    Times,
)

Row = tuple[Any, ...]
Ask = Callable[[str, Sequence[Any]], list[Row]]
"""Runs one statement and returns its rows."""

DAY_MS = 86_400_000
NO_TIMES = Times(of=0, p50=0, p90=0, p99=0)
CAME = ("approved", "edited", "rejected", "responded", "expired", "cancelled")

_QUANTILES = "[0.5, 0.9, 0.99]"
_ALIKE = "held, outcome, denied, wrong"
_SUMS = (
    "sum(n)::BIGINT, coalesce(sum(n) FILTER (held), 0)::BIGINT, "
    + ", ".join(f"coalesce(sum(n) FILTER (outcome = '{each}'), 0)::BIGINT" for each in CAME)
    + ", coalesce(sum(n) FILTER (denied), 0)::BIGINT, coalesce(sum(n) FILTER (wrong), 0)::BIGINT"
)
# Calls that are alike are counted first: few rows are left for everything that is asked of them.
_GROUPS = """
SELECT name, {sums}, count(*) OVER () FROM (
  SELECT {what} AS name, {alike}, count(*) AS n FROM {calls} GROUP BY ALL) GROUP BY name {top}"""
_RULES = """
SELECT name, {sums}, count(*) OVER () FROM (
  SELECT name, {alike}, count(*) AS n
  FROM (SELECT unnest(rules) AS name, {alike} FROM {calls} WHERE len(rules) > 0) GROUP BY ALL
  UNION ALL
  SELECT '' AS name, {alike}, count(*) AS n FROM {calls} WHERE len(rules) = 0 GROUP BY ALL)
GROUP BY name {top}"""
_TIMES = """
SELECT count(first_look), quantile_cont(first_look, {quantiles}),
       count(to_decide), quantile_cont(to_decide, {quantiles})
FROM {calls} WHERE held"""
_FIELDS = """
SELECT CASE WHEN tool = '' THEN field ELSE tool || ': ' || field END AS name,
       count(*) AS hits, count(*) OVER ()
FROM (SELECT tool, unnest(edited) AS field FROM {calls} WHERE len(edited) > 0)
GROUP BY name ORDER BY hits DESC, name LIMIT {most}"""
_REASONS = """
SELECT each.reason AS name, count(*) AS hits, count(*) OVER ()
FROM (SELECT unnest(said) AS each FROM {calls} WHERE len(said) > 0)
WHERE each.verdict IN ('reject', 'edit') AND each.reason != ''
GROUP BY name ORDER BY hits DESC, name LIMIT {most}"""
_SAID = """
SELECT grouping(who), coalesce(who, ''), count(*),
       count(*) FILTER (verdict = 'approve'), count(*) FILTER (verdict = 'edit'),
       count(*) FILTER (verdict = 'reject'), count(*) FILTER (verdict = 'respond'),
       count(*) FILTER (verdict = 'approve' AND looked > 0 AND fast),
       count(*) FILTER (verdict = 'approve' AND looked > 0),
       count(*) FILTER (agreed), count(*) FILTER (shared),
       count(*) FILTER (looked > 0), quantile_cont(looked, {quantiles}) FILTER (looked > 0),
       count(*) FILTER (verdict = 'approve' AND overturned)
FROM (SELECT unnest(said, recursive := true), overturned FROM {calls} WHERE len(said) > 0)
GROUP BY GROUPING SETS ((), (who))"""
_STREAKS = """
SELECT who, max(length) FROM (
  SELECT who, run, count(*) FILTER (approved) AS length FROM (
    SELECT who, approved, count(*) FILTER (NOT approved)
             OVER (PARTITION BY who ORDER BY given, id, place) AS run
    FROM (SELECT id, place, one.who AS who, one.given AS given, one.verdict = 'approve' AS approved
          FROM (SELECT id, generate_subscripts(said, 1) AS place, unnest(said) AS one
                FROM {calls} WHERE len(said) > 0)))
  GROUP BY who, run)
GROUP BY who"""
_BINS = """
SELECT bin, count(*), sum(weight), sum(weight * confidence), sum(weight) FILTER (rightly),
       sum(weight * (confidence - rightly::INTEGER) ** 2),
       sum(weight) FILTER (calibrated IS NOT NULL),
       sum(weight * (calibrated - rightly::INTEGER) ** 2)
FROM {calls} WHERE rightly IS NOT NULL AND confidence IS NOT NULL GROUP BY bin ORDER BY bin"""
_AUDITS = """
SELECT count(*), count(*) FILTER (drawn), count(weight), count(*) FILTER (NOT rightly),
       sum(weight), sum(weight) FILTER (NOT rightly)
FROM {calls} WHERE unreviewed"""
# Names are the agents' to choose: of 100,000 only the ones that are shown leave the database.
_TOP = f"ORDER BY sum(n) DESC, name LIMIT {MOST}"
_OF = {"total": "''", "levels": "level", "tools": "tool", "agents": "agent"}
_DAY = f"ended // {DAY_MS} * {DAY_MS}"


def written(sql: str, calls: str = "calls", what: str = "tool", top: str = "") -> str:
    """Return a statement of this module, of the table *calls*, grouped by *what*."""
    said = {"calls": calls, "what": what, "top": top, "most": MOST}
    return sql.format(sums=_SUMS, alike=_ALIKE, quantiles=_QUANTILES, **said)


def analytics(ask: Ask, selected: Selected) -> Analytics:
    """Return what the selected calls of the table `calls` tell. Raises what *ask* raises."""
    counting = _Counting(ask, selected)
    groups = counting.groups()
    everybody, reviewers = counting.reviewing()
    first_look, to_decide = counting.times()
    lists = {name: each for name, each in groups.items() if name != "total"} | {
        "reviewers": reviewers
    }
    lists |= {
        "fields": counting.tallies("fields", _FIELDS),
        "reasons": counting.tallies("reasons", _REASONS),
    }
    total = groups["total"][0]
    return Analytics(
        selected=selected,
        records=total.calls,
        total=total,
        levels=tuple(groups["levels"]),
        rules=tuple(groups["rules"][:MOST]),
        tools=tuple(groups["tools"][:MOST]),
        agents=tuple(groups["agents"][:MOST]),
        everybody=everybody,
        reviewers=tuple(reviewers[:MOST]),
        first_look=first_look,
        to_decide=to_decide,
        fields=tuple(lists["fields"][:MOST]),
        reasons=tuple(lists["reasons"][:MOST]),
        reliability=counting.reliability(),
        auditing=counting.auditing(),
        days=tuple(counting.days[-MOST_DAYS:]),
        left_out={
            name: many - most
            for name, many, most in (
                *((name, counting.many.get(name, len(each)), MOST) for name, each in lists.items()),
                ("days", len(counting.days), MOST_DAYS),
            )
            if many > most
        },
    )


def condition(selected: Selected) -> tuple[str, list[Any]]:
    """Return *selected* as an SQL condition on the table `calls`, and what its `?` stand for."""
    said = [
        ("ended >= ?", selected.since),
        ("ended < ?", selected.until),
        ("agent = ?", selected.agent),
        ("tool = ?", selected.tool),
        ("list_contains(rules, ?)", selected.rule),
        ("level = ?", selected.level),
        ("list_contains(people, ?)", selected.reviewer),
    ]
    asked = [(text, value) for text, value in said if value]
    return " AND ".join(text for text, _ in asked) or "true", [value for _, value in asked]


class _Counting:
    def __init__(self, ask: Ask, selected: Selected) -> None:
        self._ask_sql = ask
        where, self._values = condition(selected)
        self._calls = f"(SELECT * FROM calls WHERE {where})"  # noqa: S608 (constants)
        self.days: list[Day] = []
        self.many: dict[str, int] = {}  #: how many rows each list has in all

    def _ask(self, sql: str, what: str = "", top: str = "") -> list[Row]:
        # `{calls}` may stand in it twice, each time with its values
        values = self._values * sql.count("{calls}")
        return self._ask_sql(written(sql, self._calls, what, top), values)

    def _groups(self, name: str, sql: str, what: str = "") -> list[Group]:
        rows = self._ask(sql, what, _TOP)
        self.many[name] = rows[0][-1] if rows else 0
        return [_group(name, counts) for name, *counts, _ in rows]

    def groups(self) -> dict[str, list[Any]]:
        """Return groups of each list, largest first; fills `days`."""
        found: dict[str, list[Any]] = {"rules": self._groups("rules", _RULES)}
        for name, what in _OF.items():
            found[name] = self._groups(name, _GROUPS, what)
        self.days = sorted(
            (_day(start, counts) for start, *counts, _ in self._ask(_GROUPS, _DAY)),
            key=lambda each: each.start,
        )
        for each in found.values():
            each.sort(key=lambda one: (-one.calls, one.name))
        found["total"] = found["total"] or [_group("", [0] * 10)]
        return found

    def reviewing(self) -> tuple[Reviewing, list[Reviewing]]:
        streaks: dict[str, int] = dict(self._ask(_STREAKS))
        longest = max(streaks.values(), default=0)
        everybody, people = _reviewing("", [0] * 10 + [None, 0], 0), []
        for all_together, who, *counts in self._ask(_SAID):
            if all_together:
                everybody = _reviewing("", counts, longest)
            else:
                people.append(_reviewing(who, counts, streaks[who]))
        return everybody, sorted(people, key=lambda each: (-each.decided, each.who))

    def times(self) -> tuple[Times, Times]:
        ((looks, look, decisions, decide),) = self._ask(_TIMES)
        return _times(looks, look), _times(decisions, decide)

    def tallies(self, name: str, sql: str) -> list[Tally]:
        rows = self._ask(sql)
        self.many[name] = rows[0][-1] if rows else 0
        return [Tally(name=name, count=count) for name, count, _ in rows]

    def reliability(self) -> Reliability:
        rows = self._ask(_BINS)
        bins = tuple(_bin(*row[:5]) for row in rows)
        weight = sum(each.weight for each in bins)
        corrected = sum(row[6] or 0.0 for row in rows)
        if not weight:
            return Reliability(of=0, bins=(), brier=None, brier_calibrated=None, error=None)
        return Reliability(
            of=sum(each.of for each in bins),
            bins=bins,
            brier=sum(row[5] for row in rows) / weight,
            brier_calibrated=sum(row[7] or 0.0 for row in rows) / corrected if corrected else None,
            error=sum(each.weight * abs(each.stated - each.right) for each in bins) / weight,
        )

    def auditing(self) -> Auditing:
        ((calls, drawn, judged, wrong, weight, wrong_weight),) = self._ask(_AUDITS)
        return Auditing(
            unreviewed=calls,
            drawn=drawn,
            judged=Share(hits=wrong, of=judged),
            wrong=(wrong_weight or 0.0) / weight if weight else None,
        )


def _group(name: str, counts: Sequence[int]) -> Group:
    calls, held, *came, denied, wrong = counts
    named = dict(zip(CAME, came, strict=True))
    return Group(name=name, calls=calls, held=held, denied=denied, wrong=wrong, **named)


def _day(start: int, counts: Sequence[int]) -> Day:
    calls, held, approved, edited, rejected, responded, expired, _, denied, _ = counts
    return Day(
        start=start,
        calls=calls,
        held=held,
        approved=approved,
        edited=edited,
        rejected=rejected,
        responded=responded,
        expired=expired,
        denied=denied,
    )


def _reviewing(who: str, counts: Sequence[Any], streak: int) -> Reviewing:
    decided, approved, edited, rejected, responded, fast, seen, agreed, shared = counts[:9]
    looks, quantiles, overturned = counts[9:]
    return Reviewing(
        who=who,
        decided=decided,
        approved=approved,
        edited=edited,
        rejected=rejected,
        responded=responded,
        fast=Share(hits=fast, of=seen),
        streak=streak,
        agreed=Share(hits=agreed, of=shared),
        to_decide=_times(looks, quantiles),
        overturned=overturned,
    )


def _times(of: int, quantiles: Sequence[float] | None) -> Times:
    if not of or quantiles is None:
        return NO_TIMES
    p50, p90, p99 = quantiles
    return Times(of=of, p50=p50, p90=p90, p99=p99)


def _bin(place: int, of: int, weight: float, stated: float, right: float | None) -> Bin:
    return Bin(
        low=place / 10,
        high=(place + 1) / 10,
        of=of,
        weight=weight,
        stated=stated / weight,
        right=(right or 0.0) / weight,
    )
