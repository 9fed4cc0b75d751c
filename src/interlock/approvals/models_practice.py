"""How people did with practice calls, as the API says it; see `models`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .models import Model
from .operation import Operation


class Practice(Model):
    """It was a practice call, made from one that people rejected; it would never be sent."""

    outcome: Literal["caught", "missed", "neither", "unanswered"] = Field(
        description="rejected; approved or edited; answered in the tool's place; by nobody"
    )
    right: bool = Field(description="the person did not let it through")
    said: str = Field(description="how it ended, in words for whoever asks")
    by: list[str] = Field(description="who rejected the real one")
    at: int = Field(description="when they did, ms; 0: it is kept no more")
    why: str = Field(description="why they did; empty: it is kept no more")
    reason_code: str = Field(description="the preset reason that they chose; empty: none")
    original: str = Field(description="the id of the real one; empty: it is kept no more")


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
