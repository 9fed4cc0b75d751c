"""A test suite as it is written, beside the policy that it tests."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag

from .document import LevelWord, Names, Part, ReversibilityWord, Share, StakeWord


class CallEntry(Part):
    """A call: by `tool` and `args`, or as HTTP (`method`, `path`, ...) run through matching."""

    tool: str | None = None
    args: dict[str, Any] = {}
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


class Expect(Part):
    """What a decision must be. `rules`, `shadow`, `exceptions`, `signals` are whole lists."""

    level: LevelWord | None = None
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
    set: dict[str, Any] = {}
    expect: Expect | None = None
    each: tuple[Row, ...] = ()


class Scope(Part):
    """Which calls a property speaks of."""

    tool: str = "*"
    egress: bool | None = None
    vary: str | None = None


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
