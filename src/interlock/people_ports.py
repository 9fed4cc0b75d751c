"""What the people's side and the channels need from the world, beside what the gate needs."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .core.decisions import PolicyRef
from .core.desk import Absence, Assignment, Colleague, Look, Looking, Suspension
from .core.identity import Kind
from .ports import Notice


class Desk(Protocol):
    """What people share about reviewing, in every process. Times in ms by the store's clock.

    Raises StoreUnavailable from every method when the store does not answer in time.
    """

    async def look(self, action_id: str, digest: str, person: str, visible_ms: int) -> Look:
        """Note that *person* has the call open, in sight for *visible_ms* since the last note.

        More than the time that has passed since then is not believed. *digest*: of the bytes that
        are looked at; once they are others, a look begins anew.
        """

    async def leave(self, action_id: str, person: str) -> None:
        """Note that *person* has closed it."""

    async def looked(self, action_id: str, digest: str, person: str) -> Look | None:
        """Return what is known of that person's look at these bytes, without noting anything."""

    async def looking(self, action_ids: Sequence[str]) -> tuple[tuple[Looking, ...], ...]:
        """Return who has each of *action_ids* open now."""

    async def reveal(self, action_id: str, person: str, digest: str) -> None:
        """Note that everything of the call with this digest was shown to *person*, on record."""

    async def revealed(self, action_id: str, person: str, digest: str) -> bool:
        """Say whether that was."""

    async def assign(self, action_id: str, assignment: Assignment) -> None:
        """Ask somebody; `to` empty: nobody any more."""

    async def assigned(self, action_ids: Sequence[str]) -> tuple[Assignment | None, ...]: ...

    async def settled(self, action_id: str) -> None:
        """Forget assignment and presence of a call that is decided."""

    async def approved(self, person: str, action_id: str) -> None:
        """Count an approval of *person*; the same call once."""

    async def practised(self, person: str, action_id: str) -> None:
        """Count the approval of a practice call: in their own `approvals`, not for colleagues."""

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

    async def suspended(self) -> tuple[Suspension, ...]:
        """Return who is stopped, latest first; some of them where they are very many."""

    async def stopped_count(self) -> int:
        """Return how many are stopped one by one, and one more where all are."""

    async def stops(self, agents: Iterable[str]) -> tuple[Suspension, ...]:
        """Return who of *agents* is stopped, and whether all are: every one, however many."""

    async def heard(self, agent: str) -> bool:
        """Say whether an agent of this name has called lately, or has calls held."""

    async def waiting(self, agents: Sequence[str]) -> tuple[int, ...]:
        """Return how many calls of each of *agents* are held."""


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

    async def find(self, entry_id: str) -> Entry | None:
        """Return it, without when it is due; None: there is none of this id."""

    async def retry(self, entry_id: str) -> bool:
        """Send a dead letter now, with all tries anew; False: there is none of this id."""

    async def drop(self, entry_id: str) -> bool:
        """Forget it, whether it waits or is dead; False: there is none of this id."""

    async def counts(self) -> tuple[int, int]:
        """Return how many wait, and how many are dead."""


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

    async def ask(self, person: str, subject: Sequence[str], *, session: str = "") -> Challenge:
        """Return a new question to *person*, good for one answer, for a few minutes.

        *session*: a name of the session that asks.

        Raises:
            TooMany: in this session, or by this person, very many were asked and not answered.
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
