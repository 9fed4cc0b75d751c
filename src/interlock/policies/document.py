"""The policy file as it is written: one frozen, strict pydantic tree.

A key that asks for a safeguard which this version does not enforce is refused, never ignored. The
reference, with what each part means, is docs/policy.md.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from .document_parts import (
    Duration,
    Identifier,
    LevelWord,
    Mode,
    Name,
    Names,
    Part,
    Preset,
    ReversibilityWord,
    Share,
    Some,
    StakeWord,
    Steps,
    Text,
    Values,
)
from .document_people import Approvals, LevelsEntry


def _no_host(value: object) -> object:
    raise PydanticCustomError(
        "unsupported", "is not used: name the `upstream`; its configuration knows the host"
    )


NoHost = Annotated[Any, BeforeValidator(_no_host)]


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
    method: Some
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


class McpEntry(Part):
    """Tools of an MCP server: a name, a glob (`*`, `{a,b}_*`), or a list of them."""

    server: Identifier
    tool: Some


class AnnotationsEntry(Part):
    """What the server says of its tools: it may raise, unless a pinned definition is trusted."""

    trust: Literal["raise_only", "full"] = "raise_only"
    pin: Names = ()


class UndoEntry(Part):
    tool: str = ""
    within: Duration | Literal[""] = ""
    reason: Text = ""
    arguments: dict[str, Name] = {}


class ToolEntry(Part):
    id: Identifier
    description: Text = ""
    http: HttpEntry | None = None
    mcp: McpEntry | None = None
    annotations: AnnotationsEntry | None = None
    args_schema: dict[str, Any] | None = None
    reversibility: ReversibilityWord = "irreversible"
    undo: UndoEntry | None = None
    facets: Annotated[dict[str, str | int | float], Field(min_length=1)]
    egress: bool = False
    target: Some | None = None
    taints: tuple[Literal["untrusted_content", "sensitive_data"], ...] = ()
    orphans: Literal["execute", "refuse"] = "execute"


class RuleEntry(Part):
    id: Identifier
    description: Text = ""
    tools: Some
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
    tools: Some
    when: str
    at_most: Literal["allow", "notify", "approve"]
    owner: Name
    reason: Annotated[str, Field(min_length=1, max_length=2000)]
    expires: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    mode: Mode = "enforce"


class RaiseBelow(Part):
    low: Share
    medium: Share
    high: Share
    critical: Share


class ConfidenceEntry(Part):
    missing: Share = 0.5
    raise_below: RaiseBelow
    use: Literal["claimed", "calibrated"] = "claimed"


class NoveltyEntry(Part):
    """The first call with this key within the memory raises."""

    key: Names = ("agent.id", "tool", "target")
    memory: Duration = "30d"
    raise_: Steps = Field(default=1, alias="raise")


Points = Annotated[int, Field(ge=0, le=1_000_000)]


class PointsEntry(Part):
    low: Points = 1
    medium: Points = 5
    high: Points = 20
    critical: Points = 50


class RaiseAt(Part):
    points: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    raise_: Steps = Field(alias="raise")


class SessionRiskEntry(Part):
    """Points of what a session has sent, by stake, halving every half life."""

    points: PointsEntry = PointsEntry()
    half_life: Duration = "30m"
    raise_at: Annotated[tuple[RaiseAt, ...], Field(min_length=1)]


class SessionEntry(Part):
    """What one session is, and how long its state is kept after its latest call."""

    scope: Literal["session", "agent"] | None = None
    memory: Duration | None = None


class Signals(Part):
    confidence: ConfidenceEntry | None = None
    novelty: NoveltyEntry | None = None
    session_risk: SessionRiskEntry | None = None
    session: SessionEntry = SessionEntry()


class LimitEntry(Part):
    """A budget: `count`, or `sum` with `max`, within `window`, for each value of `key`."""

    id: Identifier
    description: Text = ""
    tools: Some
    key: Names
    window: Duration
    count: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    sum: Annotated[str, Field(min_length=1)] | None = None
    max: Annotated[float, Field(gt=0, le=9_000_000_000, allow_inf_nan=False)] | None = None
    then: Literal["notify", "approve", "approve_dual", "deny"]
    mode: Mode = "enforce"


class Edit(Part):
    allow: dict[str, Names] | None = None
    must: Names = ()
    then: Literal["re_evaluate"] = "re_evaluate"


class Redactions(Part):
    """What is hidden: from approvers until revealed, and from logs and records."""

    approver: Names = ()
    logs: Names = ()
    detectors: tuple[Literal["iban", "card_number", "bearer_token"], ...] = ()


class AuditEntry(Part):
    """Which share of the calls that nobody has to decide is drawn for a look afterwards."""

    share: Share = 0.0
    tools: dict[str, Share] = {}


class RecordsEntry(Part):
    """How long records of decided calls are kept, for figures, exports and calibration."""

    keep: Duration | None = None
    keep_unreviewed: Duration | None = None


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
    limits: tuple[LimitEntry, ...] = ()
    exceptions: tuple[ExceptionEntry, ...] = ()
    signals: Signals = Signals()
    levels: LevelsEntry = LevelsEntry()
    approvals: Approvals = Approvals()
    edit: Edit = Edit()
    redact: Redactions = Redactions()
    audit: AuditEntry = AuditEntry()
    records: RecordsEntry = RecordsEntry()
    defaults: Defaults = Defaults()


class PresetDocument(Part):
    """A matrix that ships with Interlock."""

    description: Text
    matrix: MatrixEntry
