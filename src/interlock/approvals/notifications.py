"""Notices that people were not told of: seen, sent again, dropped; and trying a channel out."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from aiohttp import web

from ..core.errors import Forbidden, NotFound
from ..core.redaction import visible_line
from ..people_ports import Entry, Outbox
from .access import PEOPLE, VISITOR, Route, check_token
from .bodies import answer, read
from .deps import DEPS, ApiDeps
from .identity import TELLING
from .models_notifications import (
    NoticeDone,
    NoticeView,
    NotificationList,
    TestOutcome,
    TestRequest,
)
from .rights import owns

audit = logging.getLogger("interlock.audit")
_ID = r"{id:[A-Za-z0-9_-]{1,64}}"
_MOST = 200


async def list_notifications(request: web.Request) -> web.Response:
    return answer(await notifications(request))


async def notifications(request: web.Request) -> NotificationList:
    """Return dead letters and what waits, without any argument of a call."""
    deps, session = request.app[DEPS], request[VISITOR].session
    dead: tuple[Entry, ...] = ()
    waiting, totals = dead, (0, 0)
    if deps.outbox is not None:
        dead, waiting = await deps.outbox.dead(_MOST), await deps.outbox.waiting(_MOST)
        totals = await deps.outbox.counts()
    return NotificationList(
        dead=[_view(each) for each in dead],
        dead_total=totals[1],
        waiting=[_view(each) for each in waiting],
        waiting_total=totals[0],
        channels=list(deps.channels.names()),
        csrf=session.token(TELLING) if session else "",
        now=await deps.store.now(),
    )


def _view(entry: Entry) -> NoticeView:
    return NoticeView(
        id=entry.id,
        channel=visible_line(entry.channel),
        notice=entry.why.value if entry.why else "digest",
        action_id=visible_line(entry.action),
        calls=1 if entry.why else len(entry.calls) + entry.more,
        created=entry.at,
        tries=entry.tries,
        failed=visible_line(entry.failed),
        due=entry.due,
        died=entry.died,
    )


async def retry(request: web.Request) -> web.Response:
    """Send a dead letter now, with all tries anew."""
    outbox, name = _named(request)
    if not await outbox.retry(name):
        raise NotFound(f"There is no dead letter {name}: it was sent again or dropped.")
    return answer(NoticeDone(id=name, outcome="waiting"))


async def drop(request: web.Request) -> web.Response:
    """Forget a notice, dead or waiting: nobody is told. Not for whose agent it is about."""
    outbox, name = _named(request)
    deps, who = request.app[DEPS], request[VISITOR].principal.id
    entry = await outbox.find(name)
    if entry is None:
        raise NotFound(f"There is no notice {name} (any more).")
    calls = (entry.action, *entry.calls) if entry.action else entry.calls
    await _check_dropping(deps, who, calls)
    if not await outbox.drop(name):
        raise NotFound(f"There is no notice {name} (any more).")
    said = (
        visible_line(who),
        visible_line(entry.channel),
        entry.why.value if entry.why else "digest",
    )
    about = visible_line(",".join(calls))
    audit.warning("notice %s dropped by=%s channel=%s notice=%s calls=%s", name, *said, about)
    return answer(NoticeDone(id=name, outcome="dropped"))


async def _check_dropping(deps: ApiDeps, who: str, calls: Sequence[str]) -> None:
    """Raise Forbidden where *who* owns an agent of *calls*, or stands in for who does."""
    people = {who, *(each.person for each in await deps.desk.stands_in(who))}
    for each in calls:
        action = await deps.gate.get(each)
        if action is not None and any(owns(action, person) for person in people):
            raise Forbidden(
                f"You own the agent of call {each}, or stand in for who does: somebody else drops"
                " what people are to be told of it."
            )


def _named(request: web.Request) -> tuple[Outbox, str]:
    """Return the outbox and which notice is asked for; a session needs its token."""
    check_token(request, request[VISITOR], TELLING)
    outbox, name = request.app[DEPS].outbox, request.match_info["id"]
    if outbox is None:
        raise NotFound(f"There is no notice {name}.")
    return outbox, name


async def test(request: web.Request) -> web.Response:
    """Send a sample through a channel, and say what its receiver answered."""
    deps = request.app[DEPS]
    check_token(request, request[VISITOR], TELLING)
    channel = (await read(request, TestRequest)).channel
    if channel not in deps.channels.names():
        there = ", ".join(deps.channels.names()) or "none"
        raise NotFound(f"There is no channel {visible_line(channel)}; there are: {there}.")
    why = await deps.channels.test(channel)
    said = TestOutcome(channel=channel, delivered=not why, why=visible_line(why))
    return answer(said)


ROUTES = (
    Route(method="GET", path="/v1/notifications", handler=list_notifications, kinds=PEOPLE),
    Route(method="POST", path="/v1/notifications/test", handler=test, kinds=PEOPLE),
    Route(method="POST", path=f"/v1/notifications/{_ID}/retry", handler=retry, kinds=PEOPLE),
    Route(method="DELETE", path=f"/v1/notifications/{_ID}", handler=drop, kinds=PEOPLE),
)
