"""The compiled policy: what `policies/` makes of the YAML files and `evaluate` reads.

Everything here is immutable. Callables are compiled elsewhere and only called by the core.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from .actions import Body
from .decisions import Level, PolicyRef, Reversibility, Stake, Undo
from .matching import Catalogue
from .patterns import HttpMatch


class Indeterminate(Exception):
    """A condition cannot be evaluated: a value is missing, null, NaN or of another type.

    It says nothing about true or false; a raising rule then fires, an exception does not apply.
    """


Environment = dict[str, Any]
"""What a condition sees: `args`, `agent` and `call`; `vars` are constants of the condition."""

Condition = Callable[[Environment], bool]
"""Answers true or false, or raises `Indeterminate`."""

Value = Callable[[Environment], Any]
"""Answers a value, or raises `Indeterminate`."""

Validator = Callable[[Mapping[str, Any]], str]
"""Answers why the arguments do not fit the tool's schema, or an empty string."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Amounts up to and including `upto` have this stake; None: all above."""

    upto: float | None
    stake: Stake


@dataclass(frozen=True, slots=True, kw_only=True)
class Facet:
    """One reason why a call matters: a fixed class, or a number read from the arguments.

    With `value`, `bands` rise and the last is unbounded. `shown` is the class or expression.
    """

    name: str
    shown: str
    stake: Stake = Stake.CRITICAL
    value: Value | None = None
    bands: tuple[Band, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Raises stake, reversibility or level, or denies; never lowers. Without `when`: always."""

    id: str
    description: str = ""
    when: Condition | None = None
    at_least: Level = Level.ALLOW
    stake: Stake = Stake.LOW
    reversibility: Reversibility = Reversibility.READ_ONLY
    deny: str | None = None  #: the message for the agent
    effect: str = ""  #: in words
    shadow: bool = False  #: counted, not enforced


@dataclass(frozen=True, slots=True, kw_only=True)
class Exception_:
    """The only thing that lowers: to `at_most`, up to and including the day `expires` (UTC)."""

    id: str
    when: Condition
    at_most: Level
    owner: str
    reason: str
    expires: datetime.date
    shadow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One entry of the catalogue, with the rules and exceptions that can apply to it."""

    id: str
    description: str = ""
    match: HttpMatch
    args_schema: Mapping[str, Any] | None = None  #: JSON Schema as written, for forms and docs
    invalid: Validator | None = None
    casts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    #: argument -> integer|number|boolean, for text from path, query and form
    constants: frozenset[tuple[str, str]] = frozenset()  #: (source, name) told apart by; no args
    multi: frozenset[str] = frozenset()  #: query and form names that may repeat; lists
    bodies: frozenset[Body] = frozenset({Body.JSON, Body.FORM})
    #: kinds whose fields are arguments; OPAQUE: bodies of other kinds are taken unread
    reversibility: Reversibility = Reversibility.IRREVERSIBLE
    undo: Undo | None = None
    facets: tuple[Facet, ...] = ()
    egress: bool = False
    editable: tuple[str, ...] | None = None
    orphans: str = "execute"
    rules: tuple[Rule, ...] = ()
    exceptions: tuple[Exception_, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelSpec:
    """Who decides a held call, how many of them, and within which time (milliseconds)."""

    approvers: tuple[str, ...] = ()
    quorum: int = 1
    hold_ms: int = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """What holding means. `require_reason`: verdicts, and `approve_dual` for both approvals."""

    approve: LevelSpec = LevelSpec()
    approve_dual: LevelSpec = LevelSpec(quorum=2, hold_ms=4 * 3_600_000)
    require_reason: frozenset[str] = frozenset({"reject", "approve_dual"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """The agent's claim about itself: below `raise_below[stake]` the level rises one step."""

    missing: float = 0.5
    raise_below: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownTool:
    """What a call in no entry gets; `level` is never allow."""

    stake: Stake = Stake.CRITICAL
    reversibility: Reversibility = Reversibility.IRREVERSIBLE
    level: Level = Level.APPROVE


Matrix = tuple[tuple[Level, Level, Level, Level], ...]
"""Levels by reversibility (rows) and stake (columns); rises to the right and downwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySet:
    """All policy files together. Evaluation reads nothing else."""

    ref: PolicyRef
    matrix: Matrix
    tools: Mapping[str, Tool]
    catalogue: Catalogue
    rules: tuple[Rule, ...] = ()  #: all of them, for coverage and documentation
    exceptions: tuple[Exception_, ...] = ()
    unknown_rules: tuple[Rule, ...] = ()  #: rules for every tool; they raise unknown calls too
    confidence: Confidence | None = None
    levels: Levels = Levels()
    unknown_tool: UnknownTool = UnknownTool()
    shadow: bool = False  #: decide and count, never hold
