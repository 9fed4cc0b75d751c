"""What people send to decide a call, and what they get back; see `models`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from .models import Code, Digest, Message, Model, Warning_
from .models_call import Call, Difference
from .models_judged import Judgement
from .models_practice import Practice
from .models_signed import StepUp


class GrantRequest(Model):
    """Do not ask again: for this agent, this tool and this exact target."""

    scope: Literal["target", "arguments"] = Field(
        default="target", description="`arguments` only where policy names no target"
    )
    uses: int = Field(ge=1, le=1_000_000, description="how many calls in all; policy bounds it")
    lasts: str = Field(
        alias="for",
        pattern=r"^[1-9][0-9]{0,4}[smhd]$",
        description="how long, such as 30m, 8h or 7d; policy bounds it",
    )
    reason: str = Field(default="", max_length=1000)


class DecisionRequest(Model):
    """A person's decision about what they saw: the digest, and the version in If-Match."""

    type: Literal["approve", "edit", "reject", "respond"]
    digest: Digest
    edited_args: dict[str, Any] | None = Field(
        default=None, description="every argument of the edited call; needed for `edit`"
    )
    edited_digest: Digest | None = Field(
        default=None, description="of the previewed edit; refused where the edit gives another"
    )
    message: Message = Field(default="", description="the reason, or the answer for `respond`")
    reason_code: Code = ""
    grant: GrantRequest | None = Field(
        default=None, description="with `approve`, where `grant` of the item is there"
    )
    step_up: StepUp | None = Field(
        default=None, description="where policy asks for it: see `POST .../step-up`"
    )
    visible_ms: int = Field(
        default=0,
        ge=0,
        le=86_400_000,
        description="from the page: for how long the call was in sight since it told so last",
    )


class PreviewRequest(Model):
    """An edit to try."""

    edited_args: dict[str, Any]


class ResolveRequest(Model):
    """What a person found out about a call whose outcome is unknown."""

    happened: bool
    message: Message = Field(min_length=1)


class Preview(Model):
    """An edit as it would be sent and judged."""

    digest: str
    call: Call
    changes: list[Difference]
    decision: Judgement
    acceptable: bool
    why: str
    warnings: list[Warning_]


class Outcome(Model):
    """What became of a decision."""

    id: str
    state: str
    version: int
    digest: str
    votes: int
    quorum: int
    said: str
    replaced_grant: str = Field(
        default="", description="the id of the earlier grant that this one took the place of"
    )
    practice: Practice | None = Field(
        default=None, description="what it was, where it was a practice call"
    )
