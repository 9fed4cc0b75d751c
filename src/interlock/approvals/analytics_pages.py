"""The page of figures: what the API answers, drawn. It needs no script."""

from __future__ import annotations

from urllib.parse import urlencode

from aiohttp import web

from ..core.decisions import Level
from ..core.errors import NotFound
from ..core.identity import Kind
from . import analytics, charts
from .access import VISITOR, Route
from .analytics import EVERYBODY, FIELDS, USUAL
from .models_analytics import AnalyticsView, ShareView
from .sign_in import html

PEOPLE = frozenset({Kind.APPROVER, Kind.ADMIN})
SPANS = (
    ("1d", "the last day"),
    ("7d", "7 days"),
    ("30d", "30 days"),
    ("90d", "90 days"),
    ("365d", "a year"),
    ("0", "all time"),
)
"""How far back one may look: as asked for, in words."""


async def page(request: web.Request) -> web.Response:
    asked = analytics.query(request)
    fields = {name: asked.get(name, "") for name in FIELDS} | {"since": asked.get("since", USUAL)}
    try:
        view = await analytics.look(request, asked)
    except NotFound as error:  # no archive: the page says how to get one
        return html(request, "analytics.html", view=None, error=error, fields=fields)
    return html(
        request,
        "analytics.html",
        view=view,
        fields=fields,
        filtered=any(asked.get(name) for name in FIELDS if name != "since"),
        spans=SPANS,
        levels=[each.word for each in Level],
        everybody=request[VISITOR].principal.kind in EVERYBODY,
        passed=charts.passed(view),
        ended=charts.ended(view),
        span=charts.span,
        dots=charts.dots(view.reliability.bins),
        of_rates=charts.of_rates,
        most=_most(view),
        percent=percent,
        between=between,
        lasting=lasting,
        link=link,
    )


def percent(value: float | None) -> str:
    """Return a share in words: `7 %`, `0.4 %`, `none` where it is of nothing."""
    if value is None:
        return "–"
    shown = value * 100
    if shown in (0, 100) or 1 <= shown <= 99:
        return f"{shown:.0f} %"
    return "under 0.1 %" if shown < 0.1 else "over 99.9 %" if shown > 99.9 else f"{shown:.1f} %"


def between(share: ShareView) -> str:
    """Return the interval of a share in words: `2 to 20 %`."""
    low, high = percent(share.low), percent(share.high)
    return f"{low.removesuffix(' %')} to {high}" if share.of else ""


def lasting(ms: float) -> str:
    """Return a span of time in words, to two digits: `0.4 s`, `12 min`, `3.5 h`."""
    for unit, word in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min")):
        if ms >= unit:
            return f"{ms / unit:.1f}".removesuffix(".0") + f" {word}"
    return f"{ms / 1000:.1f}".removesuffix(".0") + " s"


def link(asked: dict[str, str], name: str, value: str) -> str:
    """Return the query that looks at *value* alone, besides what is asked for; empty: none does."""
    if not value:
        return ""
    return urlencode({each: text for each, text in asked.items() if text} | {name: value})


def _most(view: AnalyticsView) -> dict[str, int]:
    """Return the largest count of each list, for bars beside it."""
    lists = {"fields": view.fields, "reasons": view.reasons}
    return {name: max((each.count for each in every), default=1) for name, every in lists.items()}


ROUTES = (Route(method="GET", path="/analytics", handler=page, kinds=PEOPLE, page=True),)
