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
from .decisions import Escalation, Level, PolicyRef, Reversibility, Stake, Undo
from .matching import Catalogue
from .patterns import HttpMatch, McpMatch


class Indeterminate(Exception):
    """A condition cannot be evaluated: a value is missing, null, NaN or of another type.

    It says nothing about true or false; a raising rule then fires, an exception does not apply.
    """


Environment = dict[str, Any]
"""What a condition sees: `args`, `agent`, `call`, `session` and `task`; of an edit, `edited` and
`original`. `vars` are constants of the condition."""

Condition = Callable[[Environment], bool]
"""Answers true or false, or raises `Indeterminate`."""

Value = Callable[[Environment], Any]
"""Answers a value, or raises `Indeterminate`."""

Validator = Callable[[Mapping[str, Any]], str]
"""Answers why the arguments do not fit the tool's schema, or an empty string."""


def frame(parts: tuple[str, ...]) -> str:
    """Join *parts* with their lengths, so that no two lists of parts share one text."""
    return "".join([f"{len(part)}:{part}" for part in parts])


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A budget: how much of something may happen within a window, by `key`.

    `key`: paths such as agent.id, agent.owner, session.id, tool, target, args.NAME. Without
    `value` calls are counted. `maximum` is in millionths. More than that raises to `then`.
    """

    id: str
    description: str = ""
    key: tuple[str, ...]
    window_ms: int
    value: Value | None = None
    maximum: int
    then: Level
    shadow: bool = False
    name: str = field(init=False, repr=False, compare=False)  #: of its counters, values apart

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", frame((self.id, str(self.window_ms), *self.key)))

    @property
    def by_arguments(self) -> bool:
        """Whether the name of its counter depends on what the call's arguments are."""
        return any(path == "target" or path.startswith("args.") for path in self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Novelty:
    """The first call with this `key` (paths as in Limit) within the memory raises by `steps`."""

    key: tuple[str, ...] = ("agent.id", "tool", "target")
    memory_ms: int = 30 * 86_400_000
    steps: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRisk:
    """Points of what a session has sent, by stake, halving every half life; they raise."""

    points: tuple[int, int, int, int] = (1, 5, 20, 50)
    half_life_ms: int = 1_800_000
    raise_at: tuple[tuple[float, int], ...] = ()  #: (points, steps), both rising


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """How many calls may wait for people; more are denied, so that no loop floods them."""

    open_per_session: int | None = None
    per_agent_per_hour: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatDenied:
    """A call to a target that a person refused within the time is raised to `then`."""

    within_ms: int
    then: Level = Level.DENY


@dataclass(frozen=True, slots=True, kw_only=True)
class Must:
    """What an edit has to keep to: a condition over `edited.args` and `original.args`."""

    shown: str
    holds: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantSpec:
    """What a person may grant for a tool: to which level, for how long, how often."""

    at_most: Level = Level.NOTIFY
    longest_ms: int = 7 * 86_400_000
    uses: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Redact:
    """What is hidden: arguments from the approver until revealed, and from logs and records.

    Paths are args.NAME, or request.headers.NAME for logs. `detectors` name kinds of secrets.
    """

    approver: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()
    detectors: frozenset[str] = frozenset()  #: iban, card_number, bearer_token


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
    unfired: str = field(init=False, repr=False, compare=False)  #: line of the trace

    def __post_init__(self) -> None:
        object.__setattr__(self, "unfired", f"rule {self.id}: false")


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
    match: HttpMatch | McpMatch
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
    limits: tuple[Limit, ...] = ()
    target: tuple[str, ...] | None = None  #: the arguments that say what is acted on; None: all
    taints: frozenset[str] = frozenset()  #: untrusted_content, sensitive_data: what it reads
    trusted: bool = False  #: MCP: the pinned definition's annotations are believed
    pins: frozenset[str] = frozenset()  #: MCP: accepted definitions, `sha256:...`; empty: any
    must: tuple[Must, ...] = ()
    grants: GrantSpec | None = None
    asks: frozenset[str] = frozenset()  #: `session`, `task`: what its conditions read
    shadow: bool = False  #: from a file in shadow mode: what it asks for is counted, not enforced


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelSpec:
    """Who decides a held call, how many of them, and within which time (milliseconds)."""

    approvers: tuple[str, ...] = ()
    quorum: int = 1
    hold_ms: int = 3_600_000
    remind_ms: int = 0  #: remind after so long, again and again; 0: never
    escalate: tuple[Escalation, ...] = ()  #: rising
    dwell_ms: int = 0  #: see `decisions.Decision`, as the next two
    step_up: bool = False
    folded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """What holding means. `require_reason`: verdicts, and `approve_dual` for both approvals."""

    approve: LevelSpec = LevelSpec()
    approve_dual: LevelSpec = LevelSpec(quorum=2, hold_ms=4 * 3_600_000, folded=True)
    require_reason: frozenset[str] = frozenset({"reject", "approve_dual"})
    notify: tuple[str, ...] = ()  #: groups that are told of `notify` calls; empty: everybody
    digest_ms: int = 0  #: `notify` calls are told of together, so often; 0: one by one


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """How people's attention is spent.

    `batch`: the highest stake at which several calls may be approved together; None: none.
    `per_hour`: how many calls one person may approve in an hour; 0: any number. `rotate`: each
    held call is assigned to one of those who may decide it. `decoys`: the share of holds beside
    which a practice call is put. `reasons`: presets for rejecting, code to text.
    """

    batch: Stake | None = None
    per_hour: int = 0
    rotate: bool = False
    decoys: float = 0.0
    reasons: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Which share of the calls that nobody has to decide is drawn for a look afterwards.

    `tools`: of tools with a larger share than all, by id.
    """

    share: float = 0.0
    tools: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, tool: str) -> float:
        """Return the share of calls of *tool*; of unknown ones too."""
        return max(self.share, self.tools.get(tool, 0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long records of decided calls are kept: all of them, and those that nobody looked at."""

    keep_ms: int = 400 * 86_400_000
    unreviewed_ms: int = 30 * 86_400_000  #: never longer than `keep_ms`


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """The agent's claim about itself: below `raise_below[stake]` the level rises one step.

    `use`: `claimed`, or `calibrated`: the lower of the claim and what past decisions make of it.
    """

    missing: float = 0.5
    raise_below: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    use: str = "claimed"


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
    limits: tuple[Limit, ...] = ()  #: all of them, for coverage and documentation
    unknown_limits: tuple[Limit, ...] = ()  #: limits of every tool, which hold unknown calls too
    unknown_asks: frozenset[str] = frozenset()
    novelty: Novelty | None = None
    session_risk: SessionRisk | None = None
    session_scope: str = "session"  #: or "agent": all of an agent's calls are one session
    session_memory_ms: int = 86_400_000
    caps: Caps = Caps()
    repeat_denied: RepeatDenied | None = None
    redact: Redact = Redact()
    attention: Attention = Attention()
    audit: Audit = Audit()
    records: Retention = Retention()
    tracks_session: bool = field(init=False, repr=False, compare=False)
    #: whether anything reads what sessions did, so that calls have to leave it behind

    def __post_init__(self) -> None:
        asked = self.unknown_asks.union(*(tool.asks for tool in self.tools.values()))
        tracks = self.session_risk is not None or "session" in asked
        object.__setattr__(self, "tracks_session", tracks)
