"""Audits: people judge, afterwards, a random share of the calls that went through by themselves.

Approvers and admins judge, whoever does not own the agent; auditors read. Nothing is sent, stopped
or undone by it: a verdict goes into the record of the call.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping

from aiohttp import web

from ..core.actions import Action
from ..core.desk import Absence
from ..core.errors import Forbidden, IllegalTransition, MalformedCall, NotFound, StaleVersion
from ..core.identity import Principal
from ..core.records import Audited, Turned
from ..core.redaction import visible_line
from ..learning_ports import Audits, Changed
from . import reports, showing
from .access import PEOPLE, VISITOR, Route, Visitor, check_token
from .bodies import answer, read
from .deciding import looked_ms
from .deps import DEPS, ApiDeps
from .identity import auditing
from .models_audits import (
    AuditCard,
    AuditChanged,
    AuditItem,
    AuditList,
    AuditSaid,
    AuditVerdict,
)
from .models_item import Item
from .pseudonyms import pseudonym
from .rights import barred_after

log = logging.getLogger("interlock.audit")
_ID = r"{id:[A-Za-z0-9_-]{1,64}}"
_CURSOR = re.compile(r"[0-9]{1,15}-[0-9A-Za-z_-]{1,64}", re.ASCII)
_NOT_WAITING = (
    "It does not wait for an audit: it was judged, has not ended yet, waited for longer than calls"
    " are kept, or too many calls of its agent waited when it was drawn."
)
_CHANGED = "It was changed outside Interlock, so nobody can judge it."
_MOST, _USUAL = 200, 50


def kept_here(deps: ApiDeps) -> Audits:
    """Return the audits; raises NotFound where there are none."""
    if deps.audits is None:
        raise NotFound("No calls are kept for audits here.")
    return deps.audits


# reading ------------------------------------------------------------------------------------


async def list_audits(request: web.Request) -> web.Response:
    return answer(await listed(request, request.query))


async def listed(request: web.Request, query: Mapping[str, str]) -> AuditList:
    """Return calls that wait for an audit, as the query asks."""
    deps, who = request.app[DEPS], request[VISITOR].principal
    audits, (limit, cursor) = kept_here(deps), _asked(query)
    found, following = await audits.waiting(cursor, limit)
    shown, changed = _parted(deps, found)
    stands = await deps.desk.stands_in(who.id)
    now = await deps.store.now()
    return AuditList(
        items=[
            AuditCard(
                card=card,
                status=action.answer.status if action.answer else 0,
                why=refused(action, who, now, stands),
            )
            for card, action in zip(await showing.cards(deps, shown), shown, strict=True)
        ],
        changed=changed,
        next=following,
        total=await audits.count(),
        now=now,
    )


def _parted(
    deps: ApiDeps, found: Iterable[Action | Changed]
) -> tuple[list[Action], list[AuditChanged]]:
    """Return what can be shown of *found*, and which of them nobody can judge."""
    shown, changed = [], []
    for each in found:
        if isinstance(each, Action) and deps.gate.genuine(each):
            shown.append(showing.readable(deps, each))
        else:
            changed.append(AuditChanged(id=each.id, why=_CHANGED))
    if changed:
        said = visible_line(", ".join(each.id for each in changed))
        log.warning("calls that wait for an audit were changed outside Interlock: %s", said)
    return shown, changed


def _asked(query: Mapping[str, str]) -> tuple[int, str | None]:
    asked = {name: value for name, value in query.items() if value}
    if len(set(query)) != len(query) or query.keys() - {"limit", "cursor"}:
        raise MalformedCall("Only `limit` and `cursor` may be given, each once.")
    limit, cursor = asked.get("limit", str(_USUAL)), asked.get("cursor")
    if not re.fullmatch("[0-9]{1,3}", limit, re.ASCII) or not 1 <= int(limit) <= _MOST:
        raise MalformedCall(f"`limit` must be a number from 1 to {_MOST}.")
    if cursor is not None and not _CURSOR.fullmatch(cursor):
        raise MalformedCall("`cursor` must be the `next` of an earlier answer.")
    return int(limit), cursor


async def show_audit(request: web.Request) -> web.Response:
    action = await drawn(request)
    return answer(await shown(request, action, await showing.item_of(request, action)))


async def drawn(request: web.Request) -> Action:
    """Return the call that the path names, where it was drawn and its record is ours.

    While it waits for an auditor, with all that was kept for one: its body and the tool's answer.
    """
    return as_drawn(await named(request))


async def named(request: web.Request) -> Action:
    """Return the call that the path names, drawn or not, where its record is ours."""
    audits = request.app[DEPS].audits
    kept = await audits.get(request.match_info["id"]) if audits else None
    return showing.trusted(request, kept or await showing.found(request))


def as_drawn(action: Action) -> Action:
    """Return *action*; raises NotFound where it was not drawn."""
    if not action.drawn:
        raise NotFound("This call was not drawn for an audit.")
    return action


async def shown(request: web.Request, action: Action, item: Item) -> AuditItem:
    """Return *item* with what there is to know for judging it afterwards."""
    deps, visitor = request.app[DEPS], request[VISITOR]
    said, why = await reports.said(deps, visitor, action), await _refused(deps, visitor, action)
    session = visitor.session
    if not why:  # a verdict says how long this lay before them; the page may tell it shorter
        await deps.desk.look(action.id, action.digest, visitor.principal.id, 0)
    return AuditItem(
        item=item,
        share=action.decision.audit_share if action.decision else 0.0,
        why=why,
        judged=said.judged,
        reports=said.reports,
        csrf=session.token(auditing(action.id)) if session and not why else "",
    )


async def _refused(deps: ApiDeps, visitor: Visitor, action: Action) -> str:
    who = visitor.principal
    why = refused(action, who, await deps.store.now(), await deps.desk.stands_in(who.id))
    audits = kept_here(deps)
    if not why and await audits.get(action.id) is None:
        return _NOT_WAITING
    return why


def refused(action: Action, who: Principal, now: int, stands: tuple[Absence, ...]) -> str:
    """Return why *who* may not judge what became of *action*; or nothing. Pure."""
    if who.kind not in PEOPLE:
        return "Auditors read; approvers and admins judge."
    grant = action.decision.facts.grant if action.decision and action.decision.grant else None
    if grant is not None and grant.by == who.id:
        return "You granted that calls like this one go through, so somebody else has to judge."
    return barred_after(action, who, now, stands)


# judging ------------------------------------------------------------------------------------


async def judge_audit(request: web.Request) -> web.Response:
    """Keep a verdict on a call that was drawn."""
    asked = await read(request, AuditVerdict)
    check_token(request, request[VISITOR], auditing(request.match_info["id"]))
    action = await drawn(request)
    return answer(await judged(request.app[DEPS], request[VISITOR], action, asked))


async def judged(deps: ApiDeps, visitor: Visitor, action: Action, asked: AuditVerdict) -> AuditSaid:
    """Keep what *visitor* says of *action*.

    Raises:
        Forbidden: it is not theirs to judge.
        StaleVersion: they looked at other bytes.
        IllegalTransition: somebody else judged it first, or it does not wait for that.
    """
    audits, who = kept_here(deps), visitor.principal
    why = refused(action, who, await deps.store.now(), await deps.desk.stands_in(who.id))
    if why:
        raise Forbidden(why)
    if asked.digest != action.digest:
        raise StaleVersion("This is not the call that you looked at; load it again.")
    verdict = Audited(
        who=pseudonym(deps, who.id),
        turned=Turned(asked.turned),
        at=await deps.store.now(),
        looked_ms=await looked_ms(deps, visitor, action.id, action.digest, asked.visible_ms),
        reason_code=asked.reason_code,
        message=asked.message,
    )
    if not await audits.judge(action.id, verdict):
        raise IllegalTransition(_NOT_WAITING)
    log.info("call %s judged %s by=%s", action.id, asked.turned, visible_line(who.id))
    return AuditSaid(id=action.id, turned=asked.turned, waiting=await audits.count())


ROUTES = (
    Route(method="GET", path="/v1/audits", handler=list_audits, kinds=PEOPLE),
    Route(method="GET", path=f"/v1/audits/{_ID}", handler=show_audit, kinds=PEOPLE),
    Route(method="POST", path=f"/v1/audits/{_ID}", handler=judge_audit, kinds=PEOPLE),
)
