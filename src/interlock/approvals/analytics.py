"""What decided calls tell: for people who may read it, from the archive."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from aiohttp import web

from ..core.analytics import Selected
from ..core.decisions import Level
from ..core.durations import milliseconds
from ..core.errors import Forbidden, MalformedCall, NotFound
from ..core.identity import Principal
from ..core.practice import Figures
from ..learning_ports import Archive
from ..ports import Store
from . import practice
from .access import OVERSEERS, PEOPLE, VISITOR, Route
from .analytics_view import Around, view
from .bodies import answer
from .deps import DEPS, ApiDeps
from .models_analytics import AnalyticsView, QueueNow
from .pseudonyms import by_pseudonym, pseudonym
from .queries import filters

USUAL = "30d"  #: how far back one looks where nothing else is said
FIELDS = ("since", "until", "agent", "tool", "rule", "level", "reviewer")
_STEP = 10_000  #: ms; whoever asks for the last 30 days within them asks the same
_AGO = re.compile(r"[1-9][0-9]{0,3}[smhd]", re.ASCII)
_MS = re.compile(r"[0-9]{1,15}", re.ASCII)
_WHO = re.compile(r"r-[0-9a-f]{12}", re.ASCII)


async def show(request: web.Request) -> web.Response:
    return answer(await look(request, query(request)))


def query(request: web.Request) -> dict[str, str]:
    """Return what is asked for; each once, and nothing else. Raises MalformedCall."""
    return filters(request, FIELDS)


async def look(request: web.Request, asked: Mapping[str, str]) -> AnalyticsView:
    """Return what *asked* selects, as far as the visitor may read it.

    Raises:
        NotFound: nothing keeps decided calls here.
        MalformedCall: a filter makes no sense.
        Forbidden: it asks for what a colleague did.
    """
    deps, who = request.app[DEPS], request[VISITOR].principal
    archive = kept_here(deps)
    now = await deps.store.now()
    selected = _selected(asked, now, _reviewer(asked, who, pseudonym(deps, who.id)))
    found, around = await archive.analytics(selected), await _around(deps, archive, who, now)
    return await asyncio.to_thread(view, found, around)  # intervals of many calls take long


def kept_here(deps: ApiDeps) -> Archive:
    """Return the archive; raises NotFound where there is none."""
    if deps.archive is None:
        raise NotFound(
            "No process of this installation keeps decided calls where this one could read them.",
            help="`interlock serve` keeps them in its data directory; see docs/analytics.md.",
        )
    return deps.archive


def _reviewer(asked: Mapping[str, str], who: Principal, own: str) -> str:
    wanted = asked.get("reviewer", "")
    if wanted == "me":
        return own or "r-unknown"  # matches nobody
    if wanted and not _WHO.fullmatch(wanted):
        raise MalformedCall("`reviewer` must be a pseudonym such as r-0123456789ab, or `me`.")
    if wanted and wanted != own and who.kind not in OVERSEERS:
        raise Forbidden("What a colleague did, admins and auditors read; you read your own: `me`.")
    return wanted


def _selected(asked: Mapping[str, str], now: int, reviewer: str) -> Selected:
    level = asked.get("level", "")
    if level and level not in {each.word for each in Level}:
        raise MalformedCall("`level` must be one of " + ", ".join(each.word for each in Level))
    return Selected(
        since=_time("since", asked.get("since", USUAL), now, 0),
        until=_time("until", asked.get("until", "0"), now, 1),
        agent=asked.get("agent", ""),
        tool=asked.get("tool", ""),
        rule=asked.get("rule", ""),
        level=level,
        reviewer=reviewer,
    )


def _time(name: str, text: str, now: int, days: int) -> int:
    """Return a time in ms: so long ago, ms since the epoch, or a day and *days* more."""
    if _AGO.fullmatch(text):
        return max(now - now % _STEP - milliseconds(text), 0)
    if _MS.fullmatch(text):
        return int(text)
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
        return max(int((day + timedelta(days=days)).timestamp() * 1000), 0)
    except (ValueError, OverflowError):
        raise MalformedCall(
            f"`{name}` must be so long ago, such as 30d, a day such as 2026-03-01, or ms since the"
            " epoch."
        ) from None


async def _around(deps: ApiDeps, archive: Archive, who: Principal, now: int) -> Around:
    every = who.kind in OVERSEERS
    figures = await practice.figures(deps, who, now)
    people = by_pseudonym(deps, await _people(deps, who, figures))
    named = {person: pseudo for pseudo, person in people.items()}
    return Around(
        now=now,
        kept=await archive.kept(),
        queue=await _queue(deps.store, now),
        people=people,
        practice={named[each.person]: each for each in figures if each.person in named},
        own=pseudonym(deps, who.id),
        all_reviewers=every,
    )


async def _queue(store: Store, now: int) -> QueueNow:
    held = (await store.held(None, 1)).total
    oldest = await store.oldest()
    return QueueNow(held=held, oldest_ms=max(now - oldest, 0) if oldest else 0)


async def _people(deps: ApiDeps, who: Principal, figures: tuple[Figures, ...]) -> set[str]:
    """Return whom the visitor may hear of by name."""
    if who.kind not in OVERSEERS:
        return {who.id}
    here = {each.id for each in await deps.desk.colleagues()}
    return here | {each.person for each in figures} | {who.id}


ROUTES = (Route(method="GET", path="/v1/analytics", handler=show, kinds=PEOPLE),)
