"""What an agent proposes, and where that proposal stands."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .decisions import Decision


class State(enum.Enum):
    """Where an action stands. The transitions live in `lifecycle.TRANSITIONS`."""

    PROPOSED = "proposed"  #: received, not yet decided; never stored
    DENIED = "denied"  #: refused by policy
    HELD = "held"  #: waiting for people
    APPROVED = "approved"  #: cleared by policy or by people; not yet claimed
    REJECTED = "rejected"  #: refused by a person
    RESPONDED = "responded"  #: a person answered in the tool's place; nothing was sent
    EXPIRED = "expired"  #: nobody decided, or nobody sent, in time
    CANCELLED = "cancelled"  #: fenced before any send; will never be sent
    FORWARDING = "forwarding"  #: one worker owns the send
    ANSWERED = "answered"  #: the tool answered, whatever its status
    UNKNOWN = "unknown"  #: sent, outcome not known; never sent again by us
    RESOLVED = "resolved"  #: a person settled an unknown outcome


PENDING = frozenset({State.HELD, State.APPROVED, State.FORWARDING})
"""States in which a caller still waits for what becomes of its call."""


class Body(enum.Enum):
    """How the bytes of a body were read."""

    NONE = "none"  #: no body
    JSON = "json"  #: strict JSON; `Content.value` is the document
    FORM = "form"  #: application/x-www-form-urlencoded; `Content.value` is a mapping
    OPAQUE = "opaque"  #: bytes that policy cannot look into


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A parsed body: its kind, its media type and, for JSON and forms, its value."""

    kind: Body = Body.NONE
    media_type: str = ""
    value: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """Who proposes. `owner` is the person answerable for the agent; it may never approve."""

    id: str
    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the agent or its framework says about the call. Claims, never facts."""

    confidence: float | None = None  #: 0.0 to 1.0
    session: str = ""
    reason: str = ""
    task: str = ""
    traceparent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class McpTool:
    """Which tool of an MCP server is called, as the server described it when it was listed."""

    name: str
    definition: str = ""  #: `sha256:...` of the listed definition; empty: never listed
    annotations: Mapping[str, bool] = field(default_factory=dict)
    #: readOnlyHint, destructiveHint, idempotentHint, openWorldHint; claims of the server
    accepted: bool = True  #: False: what the server lists now is new, and nobody accepted it
    session: str = ""  #: of the connection that it is sent on; not part of what is approved
    command: str = ""  #: what its server on pipes was started as: two may have one name


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One call exactly as the agent asked for it.

    `target` is path and query as received, relative to the upstream, starting with `/`.
    `headers` are those that will be forwarded, as received. `path`, `query` and `content`
    are readings of the same bytes for policy; only `target`, `headers` and `body` are sent.
    """

    agent: Agent
    upstream: str
    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""  #: of an MCP call: the whole JSON-RPC message
    service: str = ""  #: the service that the request is signed for (AWS: `s3`, `ec2`)
    region: str = ""
    path: str = "/"  #: decoded once, canonical
    query: tuple[tuple[str, str], ...] = ()
    content: Content = field(default_factory=Content)
    context: Context = field(default_factory=Context)
    digest: str = ""  #: set by `digest.seal`
    mcp: McpTool | None = None
    #: of an MCP call: `upstream` is the server, `method` is MCP's, `target` is `/`, and
    #: `content` holds the arguments


class Verdict(enum.Enum):
    """What a person may answer."""

    APPROVE = "approve"
    EDIT = "edit"
    REJECT = "reject"
    RESPOND = "respond"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewer:
    """A person who may decide."""

    id: str
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One person's answer to what they saw: `digest` at `version`."""

    reviewer: Reviewer
    verdict: Verdict
    digest: str
    version: int
    message: str = ""
    reason_code: str = ""
    call: ToolCall | None = None  #: the edited call, sealed; set when `verdict` is EDIT
    policy: str = ""  #: SHA-256 of the policy that judged what was cleared
    at: int = 0  #: ms, by the store's clock
    looked_ms: int = 0  #: how long the person had the call in sight, as far as was seen
    step_up: str = ""  #: id of the authenticator that signed this very decision, if one did
    mac: str = ""  #: see `digest.clearance`; computed with a key that is not in the store


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """A person asked those who may decide later to decide now: policy's next escalation, early."""

    by: str
    message: str
    at: int  #: ms, by the store's clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The tool's answer (or a person's, in its place), as it is replayed to the agent."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    size: int = 0  #: bytes that the tool sent; more than `len(body)` where it was not kept
    complete: bool = True  #: False where the answer broke off
    changed: bool = False  #: others wrote it, or an earlier version: nothing of it is here

    @property
    def kept(self) -> bool:
        """Whether the answer can be replayed as it came."""
        return self.complete and len(self.body) == self.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A tool call on its way through the gate. Immutable; `version` counts its transitions."""

    id: str
    call: ToolCall  #: what will be sent: the original, or the latest edit
    original: ToolCall | None = None  #: what the agent asked for, where a person edited it
    state: State = State.PROPOSED
    version: int = 0
    decision: Decision | None = None
    held: Decision | None = None  #: what the call as asked was held by; set at its first edit
    votes: tuple[Review, ...] = ()  #: approvals of the present digest, one per person
    reviews: tuple[Review, ...] = ()  #: every review, oldest first
    created: int = 0  #: ms since the epoch, by the store's clock
    changed: int = 0  #: ms, time of the latest transition
    deadline: int = 0  #: ms; held and approved lapse, a forwarding lease ends; 0: none
    lapses: int = 0  #: ms; when the approval ends, however often its send is tried
    nonce: str = ""  #: of the worker that owns the send
    fence: int = 0  #: how many times a send was claimed
    answer: Answer | None = None
    cause: str = ""  #: why it is denied, rejected, cancelled, unknown or was not sent
    fingerprint: str = ""
    key: str = ""  #: the Idempotency-Key's hash, where one was sent
    digest: str = ""  #: of `call`
    raised: tuple[Raised, ...] = ()  #: oldest first
    same_since: int = 0  #: version from which on nothing but votes and escalations came
    seal: str = ""  #: MAC of what policy and people said; see `digest.seal_record`
    decoy_of: str = ""  #: a practice call: the rejected one that it is like; it is never sent
    drawn: bool = False  #: drawn for an audit afterwards; nothing that its agent reads tells it
    told: bytes = field(default=b"", repr=False)  #: sealed record of what was said of it afterwards

    @property
    def edited(self) -> bool:
        return self.original is not None

    @property
    def judged(self) -> Decision | None:
        """What policy said of the call as its agent asked for it, whatever people made of it."""
        return self.held or self.decision


class _Draft:
    """An action while it is being made: the same slots, which may still be written."""

    __slots__ = tuple(Action.__dataclass_fields__)


def evolve(action: Action, **changes: Any) -> Action:
    """Return *action* with *changes*: `dataclasses.replace`, at a tenth of its cost.

    Every call moves through several versions of its action, so this is on every call's way:
    hence no loop over the fields; a test says where one is missing.
    """
    new: Any = _Draft()
    new.id, new.call, new.original = action.id, action.call, action.original
    new.state, new.version, new.decision = action.state, action.version, action.decision
    new.held = action.held
    new.votes, new.reviews = action.votes, action.reviews
    new.created, new.changed = action.created, action.changed
    new.deadline, new.lapses = action.deadline, action.lapses
    new.nonce, new.fence = action.nonce, action.fence
    new.answer, new.cause = action.answer, action.cause
    new.fingerprint, new.key = action.fingerprint, action.key
    new.raised, new.same_since = action.raised, action.same_since
    new.digest, new.seal, new.decoy_of = action.digest, action.seal, action.decoy_of
    new.drawn, new.told = action.drawn, action.told
    for name, value in changes.items():
        setattr(new, name, value)
    new.__class__ = Action
    made: Action = new
    return made
