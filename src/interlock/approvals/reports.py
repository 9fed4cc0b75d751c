"""How calls turned out once they were sent: what was reported of them, and reporting it.

People who may decide calls report; auditors read. A report changes nothing of the call: it goes
into its record.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Literal

from aiohttp import web

from ..core import reporting
from ..core.actions import Action, State
from ..core.errors import Forbidden, IllegalTransition, NotFound, TooMany
from ..core.masking import Masks
from ..core.records import Audited, Reported, Turned
from ..core.redaction import visible_line, visible_text
from . import showing
from .access import PEOPLE, VISITOR, Route, Visitor, check_token
from .bodies import answer, read
from .deps import DEPS, ApiDeps
from .identity import deciding as to_decide
from .models_audits import Judged, OutcomeReport, OutcomeSaid, OutcomeView, ReportView
from .pseudonyms import pseudonym
from .rights import barred_after

SENT = frozenset({State.ANSWERED, State.UNKNOWN, State.RESOLVED})
"""How calls stand that may have turned out in some way."""
_NOT_SENT = "It was not sent, so it did not turn out in any way."
_FULL = f"{reporting.MOST} people reported on it already, and no more reports are taken."
_NONE_KEPT = "Nothing keeps here how calls turn out."
log = logging.getLogger("interlock.audit")


async def show_outcome(request: web.Request) -> web.Response:
    action = await showing.shown_action(request)
    return answer(await said(request.app[DEPS], request[VISITOR], action))


async def said(deps: ApiDeps, visitor: Visitor, action: Action) -> OutcomeView:
    """Return how *action* turned out, as its record says, and whether *visitor* may report."""
    record = await deps.archive.get(action.id) if deps.archive else None
    own = pseudonym(deps, visitor.principal.id)
    found = record.reports if record else ()
    others = [each for each in found if each.by != own]
    why = _why(deps, visitor, action, others)
    masks = showing.masked_for(deps, showing.readable(deps, action))
    return OutcomeView(
        judged=_judged(record.audit, own, masks) if record and record.audit else None,
        reports=[_report(each, own, masks) for each in found],
        why=why,
        why_right=why or await _why_right(deps, visitor, action, others),
    )


async def _why_right(
    deps: ApiDeps, visitor: Visitor, action: Action, others: Sequence[Reported] = ()
) -> str:
    """Return why *visitor* may not report it as right, beside what `_why` says; or nothing."""
    who = visitor.principal
    stands = await deps.desk.stands_in(who.id)
    why = barred_after(action, who, await deps.store.now(), stands)
    return why or (_FULL if reporting.full(others) else "")


def _why(deps: ApiDeps, visitor: Visitor, action: Action, others: Sequence[Reported]) -> str:
    if action.state not in SENT:
        return _NOT_SENT
    if deps.audits is None:
        return _NONE_KEPT
    if visitor.principal.kind not in PEOPLE:
        return "Auditors read; approvers and admins report."
    return _FULL if reporting.all_wrong(others) else ""


def _judged(audit: Audited, own: str, masks: Masks) -> Judged:
    return Judged(
        turned=_word(audit.turned),
        who=visible_line(audit.who),
        you=audit.who == own,
        at=audit.at,
        reason_code=visible_line(audit.reason_code),
        message=visible_text(masks.text(audit.message)),
    )


def _report(report: Reported, own: str, masks: Masks) -> ReportView:
    return ReportView(
        turned=_word(report.turned),
        by=visible_line(report.by),
        you=report.by == own,
        at=report.at,
        message=visible_text(masks.text(report.message)),
    )


def _word(turned: Turned) -> Literal["right", "wrong"]:
    return "right" if turned is Turned.RIGHT else "wrong"


async def report_outcome(request: web.Request) -> web.Response:
    """Keep how a call turned out, as a person found out."""
    asked = await read(request, OutcomeReport)
    action = await showing.shown_action(request)
    check_token(request, request[VISITOR], to_decide(action.digest))
    return answer(await reported(request.app[DEPS], request[VISITOR], action, asked))


async def reported(
    deps: ApiDeps, visitor: Visitor, action: Action, asked: OutcomeReport
) -> OutcomeSaid:
    """Keep what *visitor* reports of *action*.

    Raises:
        NotFound: nothing keeps reports here.
        IllegalTransition: it was not sent.
        Forbidden: they may not say that it was right.
        TooMany: as many people as are kept reported of it already.
    """
    if deps.audits is None:
        raise NotFound(_NONE_KEPT)
    if action.state not in SENT:
        raise IllegalTransition(_NOT_SENT)
    who = visitor.principal.id
    why = await _why_right(deps, visitor, action) if asked.turned == "right" else ""
    if why:
        raise Forbidden(f"{why} That it turned out wrong, you may report.")
    report = Reported(
        by=pseudonym(deps, who),
        turned=Turned(asked.turned),
        at=await deps.store.now(),
        message=asked.message,
    )
    if not await deps.audits.report(action.id, report):
        raise TooMany(f"{_FULL} Nothing was noted.")
    log.info("call %s reported %s by=%s", action.id, asked.turned, visible_line(who))
    return OutcomeSaid(id=action.id, turned=asked.turned)


_PATH = r"/v1/approvals/{id:[A-Za-z0-9_-]{1,64}}/outcome"
ROUTES = (
    Route(method="GET", path=_PATH, handler=show_outcome, kinds=PEOPLE),
    Route(method="POST", path=_PATH, handler=report_outcome, kinds=PEOPLE),
)
