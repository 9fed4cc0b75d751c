"""Audits and reports afterwards, as the API takes and gives them; see `models`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .models import Card, Code, Digest, Message, Model
from .models_item import Item
from .operation import CSRF, IN_PATH, Operation, query


class AuditVerdict(Model):
    """Whether a call that went through was right, as somebody who looked at it says."""

    turned: Literal["right", "wrong"]
    digest: Digest
    reason_code: Code = ""
    message: Message = ""
    visible_ms: int = Field(
        default=0,
        ge=0,
        le=86_400_000,
        description="from a page: how long it was in sight since it was opened; believed as far as"
        " that is ago. With a key, the time since it was first read counts",
    )


class OutcomeReport(Model):
    """How a call turned out, as somebody found out later."""

    turned: Literal["right", "wrong"]
    message: Message = ""


class AuditCard(Model):
    """One call that waits for an audit."""

    card: Card
    status: int = Field(description="of the tool's answer; 0: it is not known")
    why: str = Field(description="why you may not judge it; empty: you may")


class AuditChanged(Model):
    """A call that waits for an audit and that nobody can judge: others changed its record."""

    id: str
    why: str


class AuditList(Model):
    """Calls that wait for an audit, oldest first; `total` counts all of them, changed ones too."""

    items: list[AuditCard]
    changed: list[AuditChanged] = Field(
        description="of this page, those whose record was changed outside Interlock: nothing else"
        " of them is shown, and nobody can judge them. Look who can write to the store"
    )
    next: str | None
    total: int
    now: int


class Judged(Model):
    """What whoever judged the audit said; `who` is a pseudonym."""

    turned: Literal["right", "wrong"]
    who: str
    you: bool
    at: int
    reason_code: str
    message: str


class ReportView(Model):
    """What was reported of a call that was sent; `by`: `agent`, or a pseudonym."""

    turned: Literal["right", "wrong"]
    by: str
    you: bool
    at: int
    message: str


class OutcomeView(Model):
    """How a call turned out, as far as the archive knows by now."""

    judged: Judged | None = Field(description="what its audit found, where it was drawn")
    reports: list[ReportView] = Field(description="oldest first")
    why: str = Field(description="why you cannot report; empty: you can")
    why_right: str = Field(description="why you cannot report that it was right; empty: you can")


class AuditItem(Model):
    """A call that was drawn: everything about it, and whether you may judge it."""

    item: Item
    share: float = Field(description="how likely a call like this one is drawn")
    why: str = Field(description="why you may not judge it; empty: you may")
    judged: Judged | None = Field(description="as far as the archive knows by now")
    reports: list[ReportView] = Field(description="what was reported of it, oldest first")
    csrf: str = Field(description="the token that judges it from a session; else empty")


class AuditSaid(Model):
    """What became of a verdict."""

    id: str
    turned: Literal["right", "wrong"]
    waiting: int = Field(description="how many calls still wait for an audit")


class OutcomeSaid(Model):
    """A report that was kept."""

    id: str
    turned: Literal["right", "wrong"]


OPERATIONS = (
    Operation(
        method="GET",
        path="/v1/audits",
        name="listAudits",
        summary="Calls that went through unreviewed and were drawn for a look afterwards",
        answers=AuditList,
        parameters=(
            query(
                "limit",
                {"type": "integer", "minimum": 1, "maximum": 200, "default": 50},
                "per page",
            ),
            query(
                "cursor",
                {"type": "string", "pattern": "^([0-9]{1,15}-[0-9A-Za-z_-]{1,64})?$"},
                "`next` of the page before",
            ),
        ),
        refusals=(400, 401, 403, 404, 421, 503),
    ),
    Operation(
        method="GET",
        path="/v1/audits/{id}",
        name="showAudit",
        summary="Everything about a call that was drawn, with the tool's answer",
        answers=AuditItem,
        parameters=(IN_PATH,),
        refusals=(401, 403, 404, 409, 421, 503),
    ),
    Operation(
        method="POST",
        path="/v1/audits/{id}",
        name="judgeAudit",
        summary="Say whether it was right (approvers and admins who do not own the agent)",
        answers=AuditSaid,
        takes=AuditVerdict,
        parameters=(IN_PATH, CSRF),
        refusals=(400, 401, 403, 404, 409, 412, 415, 421, 503),
    ),
    Operation(
        method="GET",
        path="/v1/approvals/{id}/outcome",
        name="showOutcome",
        summary="How a call turned out: what was reported of it, and what its audit found",
        answers=OutcomeView,
        parameters=(IN_PATH,),
        refusals=(401, 403, 404, 409, 421, 503),
    ),
    Operation(
        method="POST",
        path="/v1/approvals/{id}/outcome",
        name="reportOutcome",
        summary="Report how a call that was sent turned out; at most five reports of each are kept",
        answers=OutcomeSaid,
        takes=OutcomeReport,
        parameters=(IN_PATH, CSRF),
        refusals=(400, 401, 403, 404, 409, 415, 421, 429, 503),
    ),
)
