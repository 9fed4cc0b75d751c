"""The policy file as it is written: one frozen, strict pydantic tree.

A key that asks for a safeguard which this version does not enforce is refused, never ignored.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

StakeWord = Literal["low", "medium", "high", "critical"]
ReversibilityWord = Literal["read_only", "reversible", "compensable", "irreversible"]
LevelWord = Literal["allow", "notify", "approve", "approve_dual", "deny"]
Mode = Literal["enforce", "shadow"]
Preset = Literal["lenient", "standard", "strict"]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$")]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(max_length=2000)]
Duration = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,5}(ms|s|m|h|d)$")]


def _refuse(value: object) -> object:
    raise PydanticCustomError(
        "unsupported",
        "is not supported in this version; a policy never asks in vain, so take it out",
    )


def _no_host(value: object) -> object:
    raise PydanticCustomError(
        "unsupported", "is not used: name the `upstream`; its configuration knows the host"
    )


def _listed(value: object) -> object:
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


Unsupported = Annotated[Any, BeforeValidator(_refuse)]
NoHost = Annotated[Any, BeforeValidator(_no_host)]
Names = Annotated[tuple[Name, ...], BeforeValidator(_listed)]
Values = Annotated[tuple[Annotated[str, Field(max_length=500)], ...], BeforeValidator(_listed)]


class Part(BaseModel):
    """A part of a policy file: strict, immutable, no unknown keys."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", populate_by_name=False)


class Metadata(Part):
    name: Identifier
    version: Annotated[int, Field(ge=1)]
    owner: Text = ""
    description: Text = ""


class MatrixEntry(Part):
    read_only: Annotated[tuple[LevelWord, ...], Field(min_length=4, max_length=4)]
    reversible: Annotated[tuple[LevelWord, ...], Field(min_length=4, max_length=4)]
    compensable: Annotated[tuple[LevelWord, ...], Field(min_length=4, max_length=4)]
    irreversible: Annotated[tuple[LevelWord, ...], Field(min_length=4, max_length=4)]


class BandEntry(Part):
    upto: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    stake: StakeWord


def _shape(value: object) -> str:
    return "bands" if isinstance(value, list | tuple) else "classes"


StakeTable = Annotated[
    Annotated[dict[str, StakeWord], Tag("classes")]
    | Annotated[tuple[BandEntry, ...], Tag("bands")],
    Discriminator(_shape),
]


class GraphQLEntry(Part):
    name: Name = "*"
    type: Literal["query", "mutation", "subscription", ""] = ""
    fields_: Names = Field(default=(), alias="fields")


def _graphql(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


class HttpEntry(Part):
    upstream: Identifier
    method: Annotated[Names, Field(min_length=1)]
    path: Annotated[str, Field(pattern=r"^/", max_length=500)]
    service: str = ""
    header: dict[str, Values] = {}
    without_header: Names = ()
    query: dict[str, Values] = {}
    form: dict[str, Values] = {}
    json_: dict[str, Values] = Field(default={}, alias="json")
    graphql: Annotated[GraphQLEntry | None, BeforeValidator(_graphql)] = None
    params: Names = ()
    multi: Names = ()
    body: tuple[Literal["json", "form", "opaque"], ...] | None = None
    host: NoHost = None


class UndoEntry(Part):
    tool: str = ""
    within: Duration | Literal[""] = ""
    reason: Text = ""


class ToolEntry(Part):
    id: Identifier
    description: Text = ""
    http: HttpEntry
    args_schema: dict[str, Any] | None = None
    reversibility: ReversibilityWord = "irreversible"
    undo: UndoEntry | None = None
    facets: Annotated[dict[str, str | int | float], Field(min_length=1)]
    egress: bool = False
    orphans: Literal["execute", "refuse"] = "execute"
    mcp: Unsupported = None
    annotations: Unsupported = None
    taints: Unsupported = None


class RuleEntry(Part):
    id: Identifier
    description: Text = ""
    tools: Annotated[Names, Field(min_length=1)]
    when: str | None = None
    at_least: Literal["notify", "approve", "approve_dual"] | None = None
    stake: StakeWord | None = None
    reversibility: ReversibilityWord | None = None
    deny: Annotated[str, Field(min_length=1, max_length=2000)] | None = None
    mode: Mode = "enforce"
    refs: Names = ()


class ExceptionEntry(Part):
    id: Identifier
    description: Text = ""
    tools: Annotated[Names, Field(min_length=1)]
    when: str
    at_most: Literal["allow", "notify", "approve"]
    owner: Name
    reason: Annotated[str, Field(min_length=1, max_length=2000)]
    expires: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    mode: Mode = "enforce"


Share = Annotated[float, Field(ge=0, le=1)]


class RaiseBelow(Part):
    low: Share
    medium: Share
    high: Share
    critical: Share


class ConfidenceEntry(Part):
    missing: Share = 0.5
    raise_below: RaiseBelow


class Signals(Part):
    confidence: ConfidenceEntry | None = None
    novelty: Unsupported = None
    session_risk: Unsupported = None


class LevelEntry(Part):
    approvers: Names = ()
    quorum: Annotated[int, Field(ge=1, le=10)] | None = None
    expire_after: Duration | None = None
    on_expire: Literal["deny"] = "deny"
    remind_after: Unsupported = None
    escalate: Unsupported = None


class LevelsEntry(Part):
    approve: LevelEntry = LevelEntry()
    approve_dual: LevelEntry = LevelEntry()
    notify: Unsupported = None


class Approvals(Part):
    separation: tuple[Literal["requester", "agent_owner"], ...] = ("requester", "agent_owner")
    require_reason: (
        tuple[Literal["approve", "approve_dual", "reject", "edit", "respond"], ...] | None
    ) = None
    caps: Unsupported = None
    repeat_denied: Unsupported = None


class Edit(Part):
    allow: dict[str, Names] | None = None
    must: Unsupported = None
    then: Literal["re_evaluate"] = "re_evaluate"


class UnknownToolEntry(Part):
    stake: StakeWord = "critical"
    reversibility: ReversibilityWord = "irreversible"
    level: Literal["notify", "approve", "approve_dual", "deny"] = "approve"


class Indeterminates(Part):
    in_rule: Literal["fires"] = "fires"
    in_exception: Literal["does_not_apply"] = "does_not_apply"


class Defaults(Part):
    unknown_tool: UnknownToolEntry | None = None
    args_schema_mismatch: Literal["deny"] = "deny"
    indeterminate: Indeterminates = Indeterminates()
    store_unavailable: Literal["deny"] = "deny"
    exception_floor: Literal["allow", "notify", "approve"] = "notify"


Scalar = str | int | float | bool


class PolicyDocument(Part):
    """One policy file."""

    api_version: Literal["interlock/v1"] = Field(alias="apiVersion")
    kind: Literal["Policy"]
    metadata: Metadata
    mode: Mode = "enforce"
    matrix: (
        Annotated[
            Annotated[Preset, Tag("preset")] | Annotated[MatrixEntry, Tag("matrix")],
            Discriminator(lambda value: "preset" if isinstance(value, str) else "matrix"),
        ]
        | None
    ) = None
    stake: dict[str, StakeTable] = {}
    vars: dict[str, Scalar | tuple[Scalar, ...]] = {}
    tools: tuple[ToolEntry, ...] = ()
    rules: tuple[RuleEntry, ...] = ()
    exceptions: tuple[ExceptionEntry, ...] = ()
    signals: Signals = Signals()
    levels: LevelsEntry = LevelsEntry()
    approvals: Approvals = Approvals()
    edit: Edit = Edit()
    defaults: Defaults = Defaults()
    limits: Unsupported = None
    redact: Unsupported = None


class PresetDocument(Part):
    """A matrix that ships with Interlock."""

    description: Text
    matrix: MatrixEntry
