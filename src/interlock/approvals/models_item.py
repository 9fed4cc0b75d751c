"""Everything about one call, on one page; see `models`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from .models import Card, Model, Warning_
from .models_call import Argument, Call, Difference
from .models_desk import Asked, Load, Looker, Stopped
from .models_judged import GrantOffer, Judgement
from .models_practice import Practice
from .models_undo import ToolAnswer, UndoneBy, UndoOffer


class LikeThis(Model):
    """Calls that claimed about as much: how many of them were right."""

    agent: bool = Field(description="only those of this agent; else those of all agents")
    low: float = Field(description="they claimed at least this")
    high: float = Field(description="and less than this, or this much where it is 1")
    right: float
    of: int
    few: bool = Field(description="a small sample")


class Claims(Model):
    """What the agent or its framework says about the call. Not verified by anybody."""

    untrusted: Literal[True] = True
    confidence: float | None
    reason: str
    task: str = Field(description="the user's request, as the agent's framework passed it on")
    task_of: Literal["session", "call", ""] = Field(description="what the request came with")
    session: str
    traceparent: str
    calibrated: float | None = Field(
        default=None, description="`confidence` as past decisions corrected it at the time"
    )
    past: LikeThis | None = Field(default=None, description="None: not known, or of no call")


class Vote(Model):
    by: str
    verdict: str
    message: str
    reason_code: str
    digest: str
    counts: bool = Field(description="an approval of the call as it is now")


class Moment(Model):
    """One transition."""

    version: int
    at: int
    before: str
    after: str
    what: str


class Compared(Model):
    """The latest call of this kind that people approved, and how this one differs from it."""

    id: str
    agent: str
    by: list[str]
    at: int
    same: bool = Field(description="nothing of the request differs")
    first_to: str = Field(
        default="", description="what it acts on, where none of that kind was approved for it"
    )
    undone: UndoneBy | None = Field(default=None, description="the approved one was undone")
    changes: list[Difference] = Field(description="`before`: the one that was approved")


class Rights(Model):
    """What this visitor may do now, and why not."""

    approve: bool
    edit: bool
    reject: bool
    respond: bool
    reveal: bool = Field(description="have shown what policy hides; it is recorded")
    edit_after_reveal: bool = Field(description="no edit yet: it needs what is hidden here")
    why: str


class Item(Model):
    """Everything about one action."""

    card: Card
    owner: str
    call: Call
    arguments: list[Argument]
    changes: list[Difference] = Field(description="against what the agent asked for, once edited")
    decision: Judgement | None
    context: Claims
    warnings: list[Warning_]
    votes: list[Vote]
    history: list[Moment]
    earlier: list[Card] = Field(description="earlier calls of the same session, newest first")
    args_schema: dict[str, Any] | None
    may: Rights
    redacted: list[str] = Field(description="arguments that are hidden here; see `reveal`")
    grant: GrantOffer | None
    compared: Compared | None = Field(
        default=None, description="with the last approved one; None: there is none"
    )
    looked_ms: int = Field(default=0, description="how long this person had it in sight")
    looking: list[Looker] = Field(default=[], description="who else has it open now")
    assigned: Asked | None = None
    stopped: Stopped | None = None
    practice: Practice | None = Field(default=None, description="only once it is decided")
    load: Load | None = Field(default=None, description="where policy bounds it")
    undo: UndoOffer | None = Field(default=None, description="where the tool has answered")
    answer: ToolAnswer | None = Field(default=None, description="where the tool has answered")
    whole: bool
    csrf: str = Field(description="the token that decides this call from a session; else empty")
    now: int
