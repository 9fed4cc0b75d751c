"""The page of figures: what the API answers, drawn. It needs no script."""

from __future__ import annotations

from urllib.parse import urlencode

from aiohttp import web

from ..core.decisions import Level
from ..core.errors import NotFound
from . import analytics, charts
from .access import OVERSEERS, PEOPLE, VISITOR, Route
from .analytics import FIELDS, USUAL
from .models_analytics import AnalyticsView
from .sign_in import html

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
        everybody=request[VISITOR].principal.kind in OVERSEERS,
        passed=charts.passed(view),
        ended=charts.ended(view),
        span=charts.span,
        dots=charts.dots(view.reliability.bins),
        of_rates=charts.of_rates,
        most=_most(view),
        link=link,
    )


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
