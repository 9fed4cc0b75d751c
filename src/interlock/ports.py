"""What the gate needs from the world. Adapters implement these ports."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from .core.actions import Action, ToolCall
from .core.decisions import PolicyRef
from .core.desk import Absence, Assignment, Colleague, Look, Looking, Suspension
from .core.events import Event
from .core.facts import NO_EFFECTS, Effects, Facts, Grant, Needs
from .core.identity import KeyRecord, Kind, Principal
from .core.rules import Validator


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One transition to write: `before` is what it is based on, `nonce` makes a repeat harmless.

    `effects`: what a new or an edited call reserves and leaves behind; an edit's take the place
    of those that the call had. Later transitions apply or free them by themselves.
    """

    before: Action
    event: Event
    after: Action
    nonce: str
    effects: Effects = NO_EFFECTS


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
class PolicySeen:
    """A policy that came into force, and what put it there."""

    ref: PolicyRef
    at: int  #: ms
    by: str  #: `start` or `reload`
    host: str


class PoliciesSeen(Protocol):
    """The policies that were in force lately. Nothing is decided by it.

    Raises StoreUnavailable from every method when the store does not answer in time.
    """

    async def note(self, ref: PolicyRef, by: str) -> None:
        """Note that *ref* decides from now on; nothing where it was the last one already."""

    async def seen(self) -> tuple[PolicySeen, ...]:
        """Return them, the latest first."""


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

    async def like(self, action: Action) -> Action | None:
        """Return the latest other call that people approved with the same tool and upstream.

        One of the same agent where there is one; without its answer.
        """

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


class McpServer(Upstream, Protocol):
    """An MCP server: its tools are called by `send`, everything else is passed on."""

    async def pass_on(self, call: ToolCall) -> Exchange:
        """Pass on what runs no tool: `method` is that of HTTP, and nothing is recorded.

        Silence does not end it: streams of a server may be quiet for hours.

        Raises:
            UpstreamUnreachable, UpstreamLost: as `send`.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What an MCP server says of one of its tools, as it was listed last.

    `document` is the entry of `tools/list` as it came. `invalid` says why arguments do not fit
    its inputSchema, or an empty text.
    """

    server: str
    tool: str
    hash: str  #: see `core.definitions`
    document: Mapping[str, Any] = field(repr=False)
    accepted: bool
    invalid: Validator = field(repr=False, compare=False)


class Definitions(Protocol):
    """What MCP servers said of their tools, and which of it people accepted."""

    def current(self, server: str, tool: str) -> Definition | None:
        """Return what *server* says of *tool*; None: not known. Answers at once.

        A tool that a server does not list, where its first listing was accepted, has an empty
        hash and counts as accepted: it says nothing that could change.
        """

    def known(self, server: str) -> bool:
        """Say whether *server* was ever listed to its end."""

    async def listed(self, server: str, tools: Sequence[Mapping[str, Any]], *, whole: bool) -> None:
        """Take note of a listing; *whole*: of all pages of it, so that it is a first listing.

        The first whole listing of a server is accepted, where configuration says so; what is new
        or different later is not, until a person accepts it.

        Raises:
            StoreUnavailable: it was not kept; what is not known is not accepted.
        """


class Notice(enum.Enum):
    """Why people are told of an action."""

    HELD = "held"
    SENT = "sent"  #: of level notify: it was let through
    REMINDER = "reminder"
    ESCALATED = "escalated"  #: more people may decide now
    SETTLED = "settled"  #: what people were told of waits no more: decided, expired, cancelled


class Notifier(Protocol):
    async def notify(self, action: Action, why: Notice) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Something that people have to be told of through one channel. Times in ms.

    `why` None: of several calls together, which are `calls`, and `more` besides since `since`.
    `tries`: how often it was claimed. `failed` says why the last try failed; `due`: when it is
    tried again, or until when somebody tries now; `died`: since when it is not tried any more.
    """

    id: str
    channel: str
    why: Notice | None
    action: str
    version: int
    at: int
    tries: int
    failed: str = ""
    calls: tuple[str, ...] = ()
    more: int = 0
    since: int = 0
    due: int = 0
    died: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How many entries of one channel can be sent now; `digest_ms`: how often its digest is."""

    channel: str
    most: int
    digest_ms: int = 0


class Outbox(Protocol):
    """What people have still to be told of: durable, bounded, without arguments and secrets.

    Raises StoreUnavailable from every method when the store does not answer in time.
    """

    async def put(
        self, action_id: str, version: int, why: Notice, channels: Sequence[str]
    ) -> tuple[str, ...]:
        """Have each channel told; return those that were not taken because too many wait.

        One that waits already for the same notice of the same version is enough.
        """

    async def collect(self, action_id: str, channels: Sequence[str]) -> None:
        """Have each channel told of it in its next digest."""

    async def claim(self, rooms: Sequence[Room], lease_ms: int) -> tuple[Entry, ...]:
        """Return what is due; it is due again after the lease, unless somebody says otherwise."""

    async def done(self, entry: Entry) -> None: ...

    async def again(self, entry: Entry, after_ms: int, why: str) -> None: ...

    async def bury(self, entry: Entry, why: str) -> None:
        """Try it no more: it becomes a dead letter. Only the newest are kept."""

    async def forsaken(self, channels: Sequence[str], older_ms: int) -> int:
        """Bury what no channel of *channels* serves and is older; return how many that were."""

    async def waiting(self, limit: int) -> tuple[Entry, ...]:
        """Return what waits, newest first."""

    async def dead(self, limit: int) -> tuple[Entry, ...]:
        """Return the dead letters, newest first."""

    async def retry(self, entry_id: str) -> bool:
        """Send a dead letter now, with all tries anew; False: there is none of this id."""

    async def drop(self, entry_id: str) -> bool:
        """Forget it, whether it waits or is dead; False: there is none of this id."""

    async def counts(self) -> tuple[int, int]:
        """Return how many wait, and how many are dead."""


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


class Desk(Protocol):
    """What people share about reviewing, in every process. Times in ms by the store's clock.

    Raises StoreUnavailable from every method when the store does not answer in time.
    """

    async def look(self, action_id: str, person: str, visible_ms: int) -> Look:
        """Note that *person* has the call open, in sight for *visible_ms* since the last note.

        More than the time that has passed since then is not believed.
        """

    async def leave(self, action_id: str, person: str) -> None:
        """Note that *person* has closed it."""

    async def looked(self, action_id: str, person: str) -> Look | None:
        """Return what is known of that person's look, without noting anything."""

    async def looking(self, action_ids: Sequence[str]) -> tuple[tuple[Looking, ...], ...]:
        """Return who has each of *action_ids* open now."""

    async def assign(self, action_id: str, assignment: Assignment) -> None:
        """Ask somebody; `to` empty: nobody any more."""

    async def assigned(self, action_ids: Sequence[str]) -> tuple[Assignment | None, ...]: ...

    async def settled(self, action_id: str) -> None:
        """Forget assignment and presence of a call that is decided."""

    async def approved(self, person: str, action_id: str) -> None:
        """Count an approval of *person*; the same call once."""

    async def approvals(self, person: str) -> tuple[int, int]:
        """Return how many calls they approved in the last hour, and when the oldest was, ms."""

    async def greet(self, person: str, groups: Sequence[str]) -> None:
        """Note that *person* is an approver here, and of which groups."""

    async def colleagues(self) -> tuple[Colleague, ...]: ...

    async def go_away(self, absence: Absence) -> None: ...

    async def come_back(self, person: str) -> None: ...

    async def stands_in(self, person: str) -> tuple[Absence, ...]:
        """Return the genuine absences in which *person* stands in now."""

    async def away(self, person: str) -> Absence | None:
        """Return the genuine absence of *person* that holds now."""

    async def suspend(self, suspension: Suspension) -> None:
        """Stop an agent. Once this returns, no send of it starts."""

    async def resume(self, agent: str) -> bool: ...

    async def suspended(self) -> tuple[Suspension, ...]: ...

    async def waiting(self, agents: Sequence[str]) -> tuple[int, ...]:
        """Return how many calls of each of *agents* are held."""


class Clock(Protocol):
    def now_ms(self) -> int:
        """Ms since the epoch, by this machine; the store's clock decides about deadlines."""


class Ids(Protocol):
    def action_id(self) -> str: ...

    def nonce(self) -> str: ...


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


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskNote:
    """What is noted of a task beside its action. `version` 0: nothing is, and `content` is empty.

    `now`: ms, by the store's clock, when it was read.
    """

    version: int
    content: bytes = field(repr=False)
    now: int


class TaskNotes(Protocol):
    """Small durable notes on tasks that agents poll; nobody without a key can write a valid one.

    Raises StoreUnavailable from every method when the store does not answer in time.
    """

    async def get(self, agent_id: str, task: str) -> TaskNote:
        """Return the note on *task*.

        Raises:
            StoreUnavailable: also where it is not what Interlock wrote for this agent and task.
        """

    async def put(
        self, agent_id: str, task: str, content: bytes, *, version: int, keep_ms: int
    ) -> bool:
        """Write the note that follows *version*; False: somebody else wrote first.

        Raises:
            CallTooLarge: it is longer than a note may be.
            QueueFull: this agent has too many notes, or makes the store keep too much.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticator:
    """A security key or passkey that a person signs decisions with. Times in ms, store's clock."""

    id: str  #: base64url, as browsers name it
    person: str
    public_key: bytes = field(repr=False)  #: a COSE key (RFC 9052)
    label: str  #: what its person calls it
    transports: tuple[str, ...] = ()  #: how a browser reaches it: usb, nfc, internal ...
    synced: bool = False  #: it may be copied to other devices of its person
    backed_up: bool = False  #: and is
    sign_count: int = 0  #: that its latest signature gave; 0: it does not count
    created: int
    used: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """What a person was asked to sign: `subject` says all that the signature is good for."""

    id: str
    nonce: bytes = field(repr=False)
    subject: tuple[str, ...]
    expires: int  #: ms, by the store's clock


class Added(enum.Enum):
    """What became of a new authenticator."""

    OK = "OK"
    KNOWN = "KNOWN"  #: this person has it, or had it once
    OTHERS = "OTHERS"  #: it was to be the first, and is not


class Authenticators(Protocol):
    """People's authenticators. Nobody without a key writes one, or a question, that counts.

    Raises StoreUnavailable from every method when the store does not answer in time.
    """

    async def of(self, person: str) -> tuple[Authenticator, ...]:
        """Return the genuine authenticators of *person*, oldest first."""

    async def add(self, made: Authenticator, *, first: bool) -> Added:
        """Keep a new one; *first*: only while its person has none. Raises TooMany."""

    async def signed(self, before: Authenticator, after: Authenticator) -> bool:
        """Note a use; False: it was used or removed meanwhile."""

    async def remove(self, which: Authenticator, at: int) -> bool:
        """Take it away for good; False: it was used or removed meanwhile."""

    async def ask(self, person: str, subject: Sequence[str]) -> Challenge:
        """Return a new question to *person*, good for one answer, for a few minutes.

        Raises:
            TooMany: they were asked very often in these minutes.
        """

    async def take(self, challenge_id: str) -> Challenge | None:
        """Use a question up, in all processes; None: unknown, used, too old, or not ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """Who signed in, as what, and for how long at most. Times in ms since the epoch.

    `kinds`: what they may be here, by the groups that they had; one session is one of these.
    """

    person: str
    kind: Kind
    groups: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ()
    by: str = ""  #: what signed them in, as configuration had it then
    opened: int
    used: int  #: when it was used last, to about a minute
    ends: int


class SignIns(Protocol):
    """Who is signed in, in every process; nobody without a key writes one that counts.

    Raises StoreUnavailable from every method when the store does not answer in time.
    """

    async def keep(self, name: str, who: SignedIn) -> None:
        """Keep a session under the SHA-256 (hex) of what its browser shows."""

    async def get(self, name: str) -> SignedIn | None:
        """Return a genuine session that has not ended, and note that it is used."""

    async def end(self, name: str) -> None: ...

    async def end_all(self, person: str) -> int:
        """End every session of *person*, everywhere; return how many there were."""

    async def listed(self) -> tuple[SignedIn, ...]:
        """Return every session that has not ended, those that end first first."""

    async def once(self, name: str, keep_ms: int) -> bool:
        """Say whether *name* (SHA-256, hex) is seen for the first time in *keep_ms*."""
