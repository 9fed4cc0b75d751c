"""What the gate needs from the world. Adapters implement these ports."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from .core.actions import Action, Answer, ToolCall
from .core.decisions import PolicyRef
from .core.desk import Suspension
from .core.events import Event
from .core.facts import NO_EFFECTS, Effects, Facts, Grant, Needs
from .core.identity import KeyRecord, Kind, Principal


class Put(enum.Enum):
    """What became of a write. Every value but OK means: nothing was written."""

    OK = "OK"
    JOIN = "JOIN"  #: the same call is already known; `Stored.id` names it
    REUSED = "REUSED"  #: the Idempotency-Key belongs to another call
    FULL = "FULL"  #: too many held calls
    STALE = "STALE"  #: somebody else moved it first
    ILLEGAL = "ILLEGAL"  #: its state does not allow this
    LAPSED = "LAPSED"  #: its deadline has passed; the store ended it
    EARLY = "EARLY"  #: its deadline has not passed
    DIGEST = "DIGEST"  #: not the bytes that were seen or approved
    SELF = "SELF"  #: the requester or its owner
    VOTED = "VOTED"  #: this person already counts
    QUORUM = "QUORUM"  #: the votes do not add up to the state asked for
    NONCE = "NONCE"  #: the send belongs to another worker
    SUSPENDED = "SUSPENDED"  #: a person stopped this agent, or all of them
    FACTS = "FACTS"  #: others used up a budget, a cap or a grant meanwhile: judge again


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The store's answer to a write: times in ms by its clock."""

    outcome: Put
    id: str
    state: str
    version: int
    now: int
    deadline: int
    created: int
    lapsed: str = ""  #: the state that the store ended on the way, if any


NOTE_LATER = b"-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One transition to write: `before` is what it is based on, `nonce` makes a repeat harmless.

    `effects`: what a new or an edited call reserves and leaves behind; an edit's take the place
    of those that the call had. Later transitions apply or free them by themselves. `note`: the
    sealed record of a call that ends here, for the feed; NOTE_LATER: whoever reads the feed makes
    it. `schema`: of its arguments, by its hash.
    """

    before: Action
    event: Event
    after: Action
    nonce: str
    effects: Effects = NO_EFFECTS
    note: bytes = b""
    schema: tuple[str, bytes] = ("", b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds and windows that the store applies when it takes a call in."""

    held_per_agent: int = 1000
    held_in_all: int = 100_000
    tasks_per_agent: int = 1000  #: sessions whose user's request is kept, at any time
    kept_per_agent: int = 2**28  #: bytes that one agent can make the store keep, by and large
    join_window_ms: int = 600_000  #: how long a settled call answers identical retries
    keep_ms: int = 3_600_000  #: how long a finished call that no person saw is kept
    keep_keyed_ms: int = 86_400_000  #: the same with an Idempotency-Key, which lives as long
    keep_reviewed_ms: int = 2_592_000_000  #: how long a finished call that was held is kept


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedOut:
    """What the suites of a policy touched when it was tried out last."""

    suites: int
    passed: int  #: cases and properties
    cells: int  #: of the sixteen of the matrix
    parts: tuple[tuple[str, str, int], ...]  #: kind, id, by how many cases; `rule`, `limit`, ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyState:
    """Which policy is in force, and what is wrong with the files where it is not theirs."""

    ref: PolicyRef
    loaded_at: int  #: ms
    problems: tuple[str, ...] = ()  #: of the files as they are now; empty: they are in force
    failed_at: int = 0  #: ms; when they were first found to be wrong; 0: they are not
    vanished: tuple[str, ...] = ()  #: `rule NAME`: what the policy before had and this one has not
    tested: TriedOut | None = None  #: None: it was not tried out here


@dataclass(frozen=True, slots=True, kw_only=True)
class Durability:
    """What the store survives: `memory` < `process` (kill -9) < `disk` < `replicated`."""

    grade: str
    detail: str
    eviction: str  #: the store's maxmemory-policy; anything but noeviction may lose holds
    writable: bool = True
    full: bool = False  #: it refuses writes for lack of memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One page of held actions and the cursor of the next, or None."""

    actions: tuple[Action, ...]
    next: str | None
    total: int


class Store(Protocol):
    """Raises StoreUnavailable from every method when the store does not answer in time."""

    async def put(self, change: Change) -> Stored: ...

    async def get(self, action_id: str) -> Action | None: ...

    async def changed(self, action_id: str, version: int, seconds: float) -> None:
        """Return when *action_id* has moved past *version*, at its deadline, or after *seconds*."""

    def release(self) -> None:
        """End every wait of this process: it is about to stop."""

    async def held(self, cursor: str | None, limit: int) -> Listed: ...

    async def oldest(self) -> int:
        """Return when the hold that waits longest was created, ms; 0 where none is open."""

    async def held_of(self, agent: str, cursor: str | None, limit: int) -> Listed:
        """Return held calls of one agent, in the queue's order; `total` counts those of all."""

    async def recent(self, limit: int) -> tuple[Action, ...]: ...

    async def unknown(self, limit: int) -> tuple[Action, ...]:
        """Actions whose outcome a person has to settle, oldest first."""

    async def session(self, action: Action, limit: int) -> tuple[Action, ...]: ...

    async def search(self, wanted: Searched, cursor: str | None, limit: int) -> Listed:
        """Return calls that were held and are settled (or unknown), latest first, without answers.

        A page may be short though there is more: `next` says so. `total`: of all that there are
        to look through. Practice calls are never found.

        Raises:
            MalformedCall: the cursor is none of ours.
        """

    def seal_answers(self, key: bytes) -> None:
        """Keep tools' answers under MACs of *key* from now on, and read none without."""

    async def attach(self, action_id: str, answer: Answer) -> None:
        """Keep the answer to a call that was drawn for an audit; only auditors come to see it."""

    async def like(self, action: Action) -> Action | None:
        """Return the latest other call that people approved with the same tool and upstream.

        One of the same agent, to the same target, where there is one; without its answer.
        """

    async def keyed(self, keys: Sequence[str]) -> tuple[Action | None, ...]:
        """Return the call that each idempotency key stands for; without its answer."""

    async def ready(self) -> tuple[str, ...]:
        """Ids that were approved and never claimed: a crash may have come between."""

    async def due(self, limit: int) -> tuple[str, ...]: ...

    async def history(self, action_id: str) -> tuple[Mapping[str, str], ...]:
        """Every transition, oldest first: version, at (ms), from, to, event (JSON)."""

    async def attend(self, action_id: str, seconds: float) -> None:
        """Note that a caller waits for *action_id*, for *seconds* from now."""

    async def attended(self, action_ids: Sequence[str]) -> tuple[bool, ...]: ...

    async def leave(self, action_id: str) -> None:
        """Note that the caller has cancelled by leaving; `attend` says that it is back."""

    async def left(self, action_id: str) -> bool: ...

    async def facts(self, needs: Needs) -> Facts:
        """Answer what policy must know of the past, in one round trip."""

    async def state_task(self, agent_id: str, session: str, task: str, keep_ms: int) -> None:
        """Keep the user's own request for a session, in place of an earlier one."""

    async def give(self, grant: Grant) -> None:
        """Keep a grant until it ends; it takes the place of one with the same key."""

    async def grants(self, limit: int) -> tuple[Grant, ...]:
        """Grants that have not ended, newest first."""

    async def take_back(self, grant_id: str) -> Grant | None:
        """End a grant now; return it, or None where there is none."""

    async def remind(self, limit: int) -> tuple[str, ...]:
        """Ids of held calls that people have to be told of again now; each is returned once."""

    async def stopped(self, agent: str) -> Suspension | None:
        """Return why nothing of *agent* is sent: its own suspension, or that of all agents."""

    async def look_for_stops(self) -> None:
        """See who is stopped now: what was seen is held to, whatever becomes of it."""

    async def now(self) -> int: ...

    async def durability(self) -> Durability: ...


class Exchange(Protocol):
    """An answer as it arrives. `close` is safe to call at any time."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> tuple[tuple[str, str], ...]: ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes. Raises UpstreamLost where it breaks off."""

    async def close(self) -> None: ...


class Upstream(Protocol):
    def serves(self, call: ToolCall) -> bool:
        """Say whether this process can send *call*: a server on pipes belongs to one process."""

    async def send(self, call: ToolCall) -> Exchange:
        """Send *call* once, byte for byte.

        Raises:
            UpstreamUnreachable: provably nothing was sent.
            UpstreamLost: something may have been sent; the outcome is unknown.
        """


class Notice(enum.Enum):
    """Why people are told of an action."""

    HELD = "held"
    SENT = "sent"  #: of level notify: it was let through
    REMINDER = "reminder"
    ESCALATED = "escalated"  #: more people may decide now
    ASKED = "asked"  #: somebody is asked to decide it
    SETTLED = "settled"  #: what people were told of waits no more: decided, expired, cancelled


class Notifier(Protocol):
    async def notify(self, action: Action, why: Notice) -> None: ...


class Observer(Protocol):
    """A reader of transitions: metrics, log, live page. Must not fail and must not wait."""

    def transition(self, before: Action, event: Event, after: Action) -> None: ...

    def timed(self, what: str, seconds: float) -> None:
        """`decision`: judging took so long; `added`: all of ours before a send took so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """What to look for among calls that people had to do with; empty fields match everything.

    `text` occurs in tool, destination, arguments or reasons (not case sensitive). Times in ms.
    """

    agent: str = ""
    tool: str = ""
    state: str = ""
    by: str = ""  #: a person who had to do with it
    text: str = ""
    since: int = 0
    until: int = 0
    hidden: tuple[str, ...] = ()  #: paths of `redact.approver` now; `text` never looks there


class Clock(Protocol):
    def now_ms(self) -> int:
        """Ms since the epoch, by this machine; the store's clock decides about deadlines."""


class Ids(Protocol):
    def action_id(self) -> str: ...

    def nonce(self) -> str: ...

    def draw(self) -> float:
        """Return a number from 0 to below 1, each as likely, that nobody can foresee."""


class KeyRing(Protocol):
    """API keys: `ilk_<kind>_<key id>_<secret>`. Only a keyed hash is stored."""

    async def create(
        self, kind: Kind, subject: str, owner: str, groups: tuple[str, ...], expires: int
    ) -> tuple[str, KeyRecord]:
        """Return the key, to be shown once, and its record. `expires` in ms, 0: never."""

    async def verify(self, key: str) -> Principal | None:
        """Return whose key this is, or None where it is unknown, expired or revoked."""

    async def records(self) -> tuple[KeyRecord, ...]: ...

    async def revoke(self, key_id: str) -> bool: ...
