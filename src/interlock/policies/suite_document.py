"""A test suite as it is written, beside the policy that it tests."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag

from .document_parts import Duration, LevelWord, Names, Part, ReversibilityWord, Share, StakeWord

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Whole = Annotated[int, Field(ge=0)]
Taint = Literal["untrusted_content", "sensitive_data"]


class McpCallEntry(Part):
    """A `tools/call` as it would arrive from an MCP client, run through matching."""

    server: str
    tool: str
    definition: str = ""
    annotations: dict[str, bool] = {}


class CallEntry(Part):
    """A call: by `tool` and `args`, or run through matching, as HTTP or as MCP with `args`."""

    tool: str | None = None
    args: dict[str, Any] = {}
    mcp: McpCallEntry | None = None
    upstream: str = ""
    method: str = "GET"
    path: str = "/"
    query: dict[str, str] = {}
    headers: dict[str, str] = {}
    body: str | None = None
    json_: Any = Field(default=None, alias="json")
    form: dict[str, str] | None = None
    content_type: str = ""
    service: str = ""
    region: str = ""


class AgentEntry(Part):
    id: str = "agent"
    owner: str = ""
    confidence: Share | None = None


class SessionEntry(Part):
    """What the session has done so far. Nothing, where a case says nothing."""

    id: str = "session"
    untrusted_content: bool = False
    sensitive_data: bool = False
    points: Amount = 0.0
    writes: Whole = 0
    calls: Whole = 0


class GrantEntry(Part):
    """A person's "do not ask again" for the target of the call."""

    id: str = "grant"
    by: str = "person"
    reason: str = ""


class FactsEntry(Part):
    """What the store would answer about the past. Where a case says nothing: a familiar target,
    nothing used, nothing refused, nothing granted, nobody waiting, a fresh session."""

    unknown: bool = False  #: the store's answer is missing, as for what it lost
    familiar: bool = True
    used: dict[str, Amount] = {}  #: by limit: calls, or the sum of what it adds up
    refused: bool = False
    grant: Annotated[
        Annotated[bool, Tag("whether")] | Annotated[GrantEntry, Tag("entry")],
        Discriminator(lambda value: "whether" if isinstance(value, bool) else "entry"),
    ] = False
    open_in_session: Whole = 0
    holds_in_hour: Whole = 0
    calibrated: Share | None = None  #: what past decisions make of the agent's confidence
    session: SessionEntry = SessionEntry()


class Expect(Part):
    """What a decision must be. Lists are whole lists, in any order."""

    level: LevelWord | None = None
    level_at_least: LevelWord | None = None
    stake: StakeWord | None = None
    reversibility: ReversibilityWord | None = None
    facet: str | None = None
    rules: Names | None = None
    shadow: Names | None = None
    exceptions: Names | None = None
    signals: Names | None = None
    indeterminate: bool | None = None
    reason: str | None = None
    message: str | None = None  #: a part of it
    tool: str | None = None
    would_be: LevelWord | None = None
    limits: Names | None = None
    grant: (
        Annotated[
            Annotated[bool, Tag("whether")] | Annotated[str, Tag("id")],
            Discriminator(lambda value: "id" if isinstance(value, str) else "whether"),
        ]
        | None
    ) = None
    egress: bool | None = None
    taints: tuple[Taint, ...] | None = None
    target: Names | None = None  #: the names of the arguments that a grant is bound to
    approvers: Names | None = None
    quorum: int | None = None
    expire_after: Duration | None = None  #: how long it is held
    dwell: Duration | None = None  #: how long a person must have had it in sight
    step_up: bool | None = None
    folded: bool | None = None
    batch: bool | None = None
    audit: Share | None = None  #: how likely it is drawn for an audit
    windows: dict[str, Duration] | None = None  #: of limits that count the call, by id


class Row(Part):
    """One row of `each`: what it sets, and what it expects."""

    model_config = ConfigDict(strict=True, frozen=True, extra="allow")

    expect: Expect


def _kind(value: object) -> str:
    return "name" if isinstance(value, str) else "entry"


class Case(Part):
    name: str
    call: Annotated[
        Annotated[str, Tag("name")] | Annotated[CallEntry, Tag("entry")], Discriminator(_kind)
    ]
    agent: Annotated[
        Annotated[str, Tag("name")] | Annotated[AgentEntry, Tag("entry")], Discriminator(_kind)
    ] = AgentEntry()
    now: str | None = None
    task: str | None = None  #: the user's own request, for `stated(x)`
    facts: FactsEntry = FactsEntry()
    set: dict[str, Any] = {}
    expect: Expect | None = None
    each: tuple[Row, ...] = ()


class Scope(Part):
    """Which calls a property speaks of."""

    tool: str = "*"
    egress: bool | None = None
    vary: str | None = None
    session: SessionEntry = SessionEntry()


class Property(Part):
    name: str
    for_: Scope = Field(alias="for")
    monotone: Literal["level"] | None = None
    monotone_down: Literal["level"] | None = None
    level_at_least: LevelWord | None = None


class Fixtures(Part):
    agents: dict[str, AgentEntry] = {}
    calls: dict[str, CallEntry] = {}


class Coverage(Part):
    """Percentages below which a run fails."""

    rules: Annotated[float, Field(ge=0, le=100)] = 0
    limits: Annotated[float, Field(ge=0, le=100)] = 0
    matrix_cells: Annotated[float, Field(ge=0, le=100)] = 0


class SuiteDocument(Part):
    """One suite file."""

    api_version: Literal["interlock/v1"] = Field(alias="apiVersion")
    kind: Literal["PolicyTest"]
    policy: Names
    coverage: Coverage = Coverage()
    now: str = "2026-01-01T12:00:00Z"
    fixtures: Fixtures = Fixtures()
    cases: tuple[Case, ...] = ()
    properties: tuple[Property, ...] = ()
