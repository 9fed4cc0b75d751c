"""What a policy file says of people: who decides, how they look, what they are spared."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from .document_parts import Duration, Names, Part, Some


class EscalationEntry(Part):
    after: Duration
    to: Some


class LevelEntry(Part):
    approvers: Names = ()
    quorum: Annotated[int, Field(ge=1, le=10)] | None = None
    remind_after: Duration | None = None
    escalate: tuple[EscalationEntry, ...] = ()
    expire_after: Duration | None = None
    dwell: Duration | None = None
    step_up: Literal["webauthn"] | None = None
    fold: bool | None = None
    on_expire: Literal["deny"] = "deny"


class NotifyEntry(Part):
    to: Names = ()
    digest: Duration | None = None


class LevelsEntry(Part):
    notify: NotifyEntry = NotifyEntry()
    approve: LevelEntry = LevelEntry()
    approve_dual: LevelEntry = LevelEntry()


Count = Annotated[int, Field(ge=1, le=1_000_000)]


class CapsEntry(Part):
    """How many calls may wait for people; more are denied."""

    open_per_session: Count | None = None
    per_agent_per_hour: Count | None = None


class RepeatDeniedEntry(Part):
    """The same call again, soon after a person refused it."""

    same_call_within: Duration
    then: Literal["approve", "approve_dual", "deny"] = "deny"


class GrantsEntry(Part):
    """What a person may grant ("do not ask again") for these tools."""

    tools: Some
    at_most: Literal["allow", "notify", "approve"] = "notify"
    longest: Duration = "7d"
    uses: Count = 100


def _several(value: object) -> object:
    if isinstance(value, dict):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


Grants = Annotated[
    tuple[GrantsEntry, ...],
    BeforeValidator(_several, json_schema_input_type=GrantsEntry | list[GrantsEntry]),
]


def _no_bulk(value: object) -> object:
    if value in ("high", "critical"):
        raise PydanticCustomError(
            "bulk",
            "nobody approves calls of {stake} stake in bulk: each of them gets a look of its own;"
            " write low or medium",
            {"stake": value},
        )
    return value


class BatchEntry(Part):
    """Which calls may be approved together."""

    up_to: Annotated[Literal["low", "medium"], BeforeValidator(_no_bulk)]


class DecoysEntry(Part):
    """Practice calls beside real ones."""

    share: Annotated[float, Field(gt=0, le=0.2, allow_inf_nan=False)]


Reason = Annotated[str, Field(min_length=1, max_length=80)]


class Approvals(Part):
    separation: tuple[Literal["requester", "agent_owner"], ...] = ("requester", "agent_owner")
    require_reason: (
        tuple[Literal["approve", "approve_dual", "reject", "edit", "respond"], ...] | None
    ) = None
    caps: CapsEntry = CapsEntry()
    repeat_denied: RepeatDeniedEntry | None = None
    grants: Grants = ()
    batch: BatchEntry | None = None
    per_hour: Count | None = None
    rotate: bool | None = None
    decoys: DecoysEntry | None = None
    reasons: Annotated[dict[str, Reason], Field(min_length=1, max_length=12)] | None = None
