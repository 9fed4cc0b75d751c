"""How people did with practice calls, as the API says it; see `models`."""

from __future__ import annotations

from pydantic import Field

from .models import Model
from .operation import Operation


class PersonPractice(Model):
    """What one person made of practice calls in the last 30 days."""

    person: str
    caught: int = Field(description="rejected")
    missed: int = Field(description="approved or edited")
    sure: float = Field(
        ge=0,
        le=1,
        description="the share that they catch at least, with a confidence of 95 % (one-sided,"
        " exact: Clopper and Pearson)",
    )


class PracticeReport(Model):
    """Everybody who practised, for admins and auditors; yourself, for anybody else."""

    items: list[PersonPractice]
    since: int
    now: int


OPERATIONS = (
    Operation(
        method="GET",
        path="/v1/practice",
        name="showPractice",
        summary="How people did with practice calls: everybody (admins, auditors), or yourself",
        answers=PracticeReport,
    ),
)
