"""The words of a decision: levels, stakes, reversibility, and the reasons that it carries."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from .facts import NO_EFFECTS, NO_FACTS, Effects, Facts

_EMPTY: Mapping[str, Any] = MappingProxyType({})


class Level(enum.IntEnum):
    """What policy asks for, ordered by oversight."""

    ALLOW = 0
    NOTIFY = 1
    APPROVE = 2
    APPROVE_DUAL = 3
    DENY = 4

    @property
    def word(self) -> str:
        return self.name.lower()


class Stake(enum.IntEnum):
    LOW = 0
    MEDIUM = 1
    HIGH = 2
    CRITICAL = 3

    @property
    def word(self) -> str:
        return self.name.lower()


class Reversibility(enum.IntEnum):
    READ_ONLY = 0
    REVERSIBLE = 1
    COMPENSABLE = 2
    IRREVERSIBLE = 3

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRef:
    """Which policy decided. `sha256` covers every file of the set."""

    name: str
    version: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleHit:
    """A rule that fired. `indeterminate` says why it could not be evaluated, or is empty."""

    id: str
    effect: str  #: in words: "at least approve", "deny", "stake high"
    description: str = ""
    indeterminate: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """How the action is undone: another tool, within a time, or a reason why no undo is named.

    `arguments` of that tool, each by where its value comes from: `args.NAME` of the call, or
    `answer.PATH` of what the tool answered (JSON members, dots between them).
    """

    tool: str = ""
    within: str = ""
    reason: str = ""
    arguments: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """Who may decide as well, once a call has been held for so long."""

    after_ms: int
    to: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The machine's answer and why. Expected outcomes are values: this one never raises."""

    level: Level
    policy: PolicyRef
    tool: str = ""  #: catalogue id; empty where the call is in no entry
    description: str = ""  #: the catalogue's plain-language line about the tool
    stake: Stake = Stake.CRITICAL
    reversibility: Reversibility = Reversibility.IRREVERSIBLE
    facet: str = ""  #: the facet or rule that decided the stake
    rules: tuple[RuleHit, ...] = ()
    shadow: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()
    exceptions: tuple[str, ...] = ()
    indeterminate: bool = False
    reason: str = ""  #: machine word where no rule decided: unknown_tool, args_schema_mismatch ...
    message: str = ""  #: for the agent, in imperative English
    trace: tuple[str, ...] = ()  #: one line per step, for people
    arguments: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    sources: Mapping[str, str] = field(
        default_factory=lambda: _EMPTY
    )  #: argument -> path|query|form|json
    undo: Undo | None = None
    egress: bool = False
    quorum: int = 1
    approvers: tuple[str, ...] = ()  #: groups; empty: any approver
    hold_ms: int = 3_600_000
    editable: tuple[str, ...] | None = None  #: arguments that an edit may change; None: all
    require_reason: frozenset[str] = frozenset({"reject"})  #: verdicts (and `approve_dual`)
    orphans: str = "execute"  #: approved after the caller went away: execute | refuse
    would_be: Level | None = None  #: what a policy in shadow mode would have asked for
    limits: tuple[str, ...] = ()  #: budgets that this call would exceed, and caps that it meets
    target: Mapping[str, Any] | None = None  #: the arguments that a grant or refusal is bound to
    grant: str = ""  #: the grant that lowered the level
    grants: bool = False  #: whether a person may grant calls like this one
    remind_ms: int = 0
    escalate: tuple[Escalation, ...] = ()
    notify: tuple[str, ...] = ()  #: groups to tell; empty: everybody
    redacted: tuple[str, ...] = ()  #: arguments that are hidden from approvers until revealed
    dwell_ms: int = 0  #: how long a person must have had it in sight before they approve
    step_up: bool = False  #: an approval needs a signature of the person's authenticator
    folded: bool = False  #: what the machine made of it is folded until the person has judged
    batch: bool = False  #: may be approved together with others, each listed by id
    audit_share: float = 0.0  #: how likely it is drawn for an audit afterwards; 0: never
    facts: Facts = NO_FACTS  #: what was known of the past
    effects: Effects = NO_EFFECTS  #: for the store; neither recorded nor sealed
