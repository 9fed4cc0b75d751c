"""What is kept of a decided call for learning: one record each, without secrets.

A record is made when a call has ended, and made anew when more becomes known of it (an unknown
outcome is settled, whoever audits it or the agent says how it turned out). Whoever reads records
takes the one with the highest `version` and `told`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

_EMPTY: Mapping[str, Any] = MappingProxyType({})
BY_AGENT = "agent"  #: who reported, where it was the agent


class Turned(enum.Enum):
    """How a call turned out, as somebody said afterwards."""

    RIGHT = "right"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One person's verdict on a call. `who` is a pseudonym: the same for the same person here."""

    who: str
    verdict: str  #: approve | edit | reject | respond
    at: int  #: ms, by the store's clock
    looked_ms: int = 0  #: how long they had it in sight, as far as was seen
    reason_code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """A person's verdict on a call that went through unreviewed."""

    who: str
    turned: Turned
    at: int
    looked_ms: int = 0
    reason_code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """What the agent, or a person, reported of a call afterwards. An agent's word is a claim."""

    by: str  #: `agent`, or a person's pseudonym
    turned: Turned
    at: int
    message: str = ""
    changed: int = 0  #: how often they had said something of it before: the latest word stands


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedCall:
    """One decided call. Times in ms since the epoch, by the store's clock.

    `request` and `final` are calls as `policies.corpus` reads them (`CallEntry`); `final` is None
    where nobody edited it. `arguments` are those that policy read, by name, of `request`;
    `edited` names those that differ in `final`, whose are `final_arguments`. All is masked as
    policy says for records (`redact.logs`, detectors); `masked` says that something is.
    """

    id: str
    version: int
    told: int = 0  #: how many reports and audits came after it had ended
    state: str  #: a final state, or `unknown`
    created: int
    ended: int
    agent: str
    owner: str = ""
    upstream: str
    tool: str  #: catalogue id, else the MCP tool's name; empty: nobody names it
    description: str = ""
    schema: str = ""  #: SHA-256 of the arguments' JSON Schema, which is kept once; empty: none
    request: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    final: Mapping[str, Any] | None = None
    arguments: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    final_arguments: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    edited: tuple[str, ...] = ()  #: paths such as `args.amount`
    masked: bool = False
    short: bool = False  #: what its agent makes large is left out: it had its share of the day
    size: int = 0  #: bytes of the body as it came
    session: str = ""
    reason: str = ""  #: the agent's
    task: str = ""  #: the user's own request
    confidence: float | None = None  #: as claimed
    calibrated: float | None = None  #: as past decisions corrected it then
    level: str  #: allow | notify | approve | approve_dual | deny
    would_be: str = ""  #: in shadow mode: what it would have been
    stake: str = ""
    reversibility: str = ""
    facet: str = ""
    rules: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()
    exceptions: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    grant: str = ""  #: id of the grant that lowered it
    target: Mapping[str, Any] | None = None  #: the arguments that its tool declares; see target_of
    why: str = ""  #: machine word: unknown_tool, args_schema_mismatch ...
    policy: str = ""  #: `name@version`
    policy_sha256: str = ""
    facts: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)  #: of the past, as packed
    quorum: int = 1
    reviews: tuple[Said, ...] = ()  #: oldest first
    cause: str = ""
    status: int = 0  #: of the tool's answer; 0: none
    share: float = 0.0  #: how likely a call like this one was to be audited; 0: never
    drawn: bool = False  #: whether it was drawn for an audit
    audit: Audited | None = None
    reports: tuple[Reported, ...] = ()

    @property
    def held(self) -> bool:
        """Whether people had to decide it, whatever became of that."""
        return self.level in ("approve", "approve_dual")

    @property
    def verdict(self) -> str:
        """What people made of it: approve, edit, reject, respond; empty where nobody decided.

        What enough people approved is approved, whether or not it was sent in time.
        """
        said = [each.verdict for each in self.reviews]
        for strongest in ("reject", "respond", "edit"):
            if strongest in said:
                return strongest
        unfinished = self.state in ("expired", "cancelled") and not self._enough
        return "approve" if self.reviews and not unfinished else ""

    @property
    def _enough(self) -> bool:
        return len({each.who for each in self.reviews}) >= self.quorum

    @property
    def decided(self) -> int:
        """When the last verdict was given, ms; 0: nobody gave one."""
        return self.reviews[-1].at if self.reviews else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Whether the call as the agent proposed it was right, and for how many calls that speaks.

    `weight`: 1 for a call that people decided; 1/share for one drawn for an audit (Horvitz and
    Thompson, JASA 47, 1952), so that sums over labels estimate sums over all calls.
    """

    right: bool
    weight: float


def label_of(record: DecidedCall) -> Label | None:
    """Return what is known of how right the proposed call was; None: nothing, or too little.

    Right: approved as it was, sent or not, or found right in an audit. Not right: rejected,
    edited, or found or reported wrong, whoever approved it. An agent's report can only count
    against it.
    """
    weight = 1.0
    if not record.held:
        if not record.drawn or record.audit is None or record.share <= 0:
            return None
        weight = 1 / record.share
    if any(each.turned is Turned.WRONG for each in record.reports):
        return Label(right=False, weight=weight)
    if record.audit is not None:
        return Label(right=record.audit.turned is Turned.RIGHT, weight=weight)
    if record.verdict in ("", "respond"):
        return None
    return Label(right=record.verdict == "approve", weight=weight)


def target_of(record: DecidedCall) -> Mapping[str, Any]:
    """Return what the call as proposed acts on, as a grant would be bound to it.

    The arguments that the tool declares as its target, else all of them; empty: nobody says.
    """
    if record.why == "unknown_tool":
        return _EMPTY
    return record.arguments if record.target is None else record.target


def pack(record: DecidedCall) -> dict[str, Any]:
    """Return *record* as JSON can say it, without what is as usual."""
    packed: dict[str, Any] = {}
    for each in _FIELDS:
        value = getattr(record, each.name)
        if each.name in _ALWAYS or value != _USUAL[each.name]:
            packed[each.name] = _plain(value)
    return packed


def unpack(packed: Mapping[str, Any]) -> DecidedCall:
    """Return the record that `pack` wrote.

    Raises:
        TypeError, ValueError, KeyError, AttributeError: it is none.
    """
    rest = dict(packed)
    rest["reviews"] = tuple(Said(**each) for each in rest.get("reviews", ()))
    rest["reports"] = tuple(
        Reported(**{**each, "turned": Turned(each["turned"])}) for each in rest.get("reports", ())
    )
    audit = rest.get("audit")
    if audit is not None:
        rest["audit"] = Audited(**{**audit, "turned": Turned(audit["turned"])})
    for name in ("edited", "rules", "signals", "exceptions", "limits"):
        rest[name] = tuple(rest.get(name, ()))
    return DecidedCall(**rest)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Said | Audited | Reported):
        said = {each.name: getattr(value, each.name) for each in fields(value)}
        return {
            name: each
            for name, each in said.items()
            if each or name in ("who", "by", "at", "verdict")
        } | ({} if isinstance(value, Said) else {"turned": value.turned.value})
    return value


_FIELDS = fields(DecidedCall)
_ALWAYS = frozenset("id version state created ended agent upstream tool level".split())
_USUAL: Mapping[str, Any] = {
    each.name: (each.default_factory() if callable(each.default_factory) else each.default)
    for each in _FIELDS
}
