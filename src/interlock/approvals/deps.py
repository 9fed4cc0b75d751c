"""What the people's side needs from the rest; `app` builds it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from aiohttp import web

from ..callers import Submission
from ..core.actions import Action, Review, ToolCall
from ..core.decisions import Decision
from ..core.errors import NotFound
from ..core.facts import Grant
from ..core.listings import ToolRecord
from ..core.rules import PolicySet
from ..granting import GrantAsked
from ..learning_ports import Archive, Audits, Confidences
from ..people_ports import Authenticators, Desk, Outbox, PoliciesSeen
from ..ports import KeyRing, Notice, PolicyState, Store
from ..practising import Book
from ..relay import Relay
from .identity import OneTimeLinks, Sessions
from .oidc_browsers import OidcDoor
from .slack import SlackDoor
from .turns import Turns

LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
QUICK_BYTES = 16_384  #: what shows a larger call is made in a thread: others do not wait for it
WHOLE_BYTES = 262_144  #: a larger call is shown only on request, and cannot be approved before


class Gate(Protocol):
    """The part of `interlock.gate.Gate` that people use."""

    @property
    def policy(self) -> PolicySet: ...

    policy_state: PolicyState

    async def get(self, action_id: str) -> Action | None: ...

    def read(self, call: ToolCall) -> Decision: ...

    async def judge(self, call: ToolCall, own: str = "") -> Decision: ...

    def genuine(self, action: Action) -> bool: ...

    async def preview(
        self, action: Action, arguments: Mapping[str, Any]
    ) -> tuple[ToolCall, Decision]: ...

    async def review(
        self, action_id: str, review: Review, *, grant: GrantAsked | None = None
    ) -> Action: ...

    async def submit(self, call: ToolCall, *, key: str = "") -> Submission: ...

    async def wait(self, action: Action, seconds: float) -> Action: ...

    def read_on(self, relay: Relay) -> None: ...

    async def grants(self, limit: int = 200) -> tuple[Grant, ...]: ...

    async def take_back(self, grant_id: str, by: str) -> Grant: ...

    async def resolve(self, action_id: str, by: str, happened: bool, message: str) -> Action: ...

    def tell(self, action: Action, why: Notice) -> None: ...

    async def escalate(self, action_id: str, by: str, message: str) -> Action: ...


class Definitions(Protocol):
    """What people see and accept of MCP servers' tools; `interlock.store.definitions` has it."""

    def records(self) -> tuple[ToolRecord, ...]:
        """Return every tool, what waits first."""

    def waiting(self) -> int: ...

    async def accept(self, server: str, tool: str, hash: str, by: str) -> ToolRecord: ...


class NoDefinitions:
    """There is no MCP server."""

    def records(self) -> tuple[ToolRecord, ...]:
        return ()

    def waiting(self) -> int:
        return 0

    async def accept(self, server: str, tool: str, hash: str, by: str) -> ToolRecord:
        raise NotFound("There is no MCP server here.")


class Channels(Protocol):
    """The channels that people are told through; `interlock.notify.delivery` has them."""

    def names(self) -> tuple[str, ...]: ...

    async def test(self, channel: str) -> str:
        """Send a sample; return why that failed, or an empty text. Raises KeyError."""


class NoChannels:
    """People are told through the log alone."""

    def names(self) -> tuple[str, ...]:
        return ()

    async def test(self, channel: str) -> str:
        raise KeyError(channel)


def _nothing() -> None:
    return None


def _uncounted(channel: str, why: str) -> None:
    return None


def _nobody(listener: Callable[[str], None]) -> Callable[[], None]:
    return lambda: None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiDeps:
    """Everything that the API and the page read.

    `url` is where people reach this listener, such as `http://127.0.0.1:8081`; its host, those
    of `hosts` and the local names are answered, every other Host gets 421. `upstreams` maps an
    upstream's name to its base URL, for display. `listen` registers a callback that gets the id
    of every action that moved and returns the way to end that (`RedisStore.listen`); without
    it the live page polls. `poll_seconds`: how often changes that nobody announced are looked
    for. `revealed` counts that hidden values were shown; `shadowed` says, by rule and level asked
    for, how often shadow mode fired, and for more than was given; `policy_files` names the files
    that the policy is read from; `policies_seen`: which were in force lately. `definitions`: of
    MCP servers' tools; `definition_accepted` counts that a person accepted one.
    `authenticators`: what people sign decisions with.
    `oidc`: the sign-in provider, if any.
    `slack`: how its buttons are heard; `channel_refused` counts, by channel and why, what was
    pressed there in vain. `outbox`: what people have still to be told of, through `channels`.
    `practice`: how people did with practice calls. `agents`: those that configuration names, and
    who owns them; None: it does not say.
    `archive`: decided calls; None: nothing keeps them here. `audits`: calls drawn for an audit.
    `confidences`: what past decisions make of agents' confidence. `pseudonym` answers what records
    say for a person.
    """

    gate: Gate
    store: Store
    keys: KeyRing
    sessions: Sessions
    links: OneTimeLinks
    desk: Desk
    url: str
    upstreams: Mapping[str, str] = field(default_factory=dict)
    hosts: frozenset[str] = frozenset()
    listen: Callable[[Callable[[str], None]], Callable[[], None]] = _nobody
    poll_seconds: float = 2.0
    whole_bytes: int = WHOLE_BYTES
    revealed: Callable[[], None] = _nothing
    shadowed: Callable[[], Mapping[tuple[str, str], tuple[int, int]]] = dict
    policy_files: Callable[[], Sequence[str]] = tuple
    policies_seen: PoliciesSeen | None = None
    definitions: Definitions = field(default_factory=NoDefinitions)
    definition_accepted: Callable[[], None] = _nothing
    slack: SlackDoor | None = None
    channel_refused: Callable[[str, str], None] = _uncounted
    turns: Turns = field(default_factory=Turns)
    authenticators: Authenticators | None = None
    oidc: OidcDoor | None = None
    outbox: Outbox | None = None
    channels: Channels = field(default_factory=NoChannels)
    practice: Book | None = None
    agents: Mapping[str, str | None] = field(default_factory=dict)
    archive: Archive | None = None
    audits: Audits | None = None
    confidences: Confidences | None = None
    pseudonym: Callable[[str], str] | None = None

    @property
    def secure(self) -> bool:
        """Whether people come over TLS."""
        return urlsplit(self.url).scheme == "https"

    @property
    def cookie(self) -> str:
        """The session cookie's name; `__Host-` needs TLS."""
        return "__Host-interlock" if self.secure else "interlock"

    @property
    def answered_hosts(self) -> frozenset[str]:
        own = urlsplit(self.url).hostname or ""
        return LOCAL_HOSTS | {host.lower() for host in self.hosts} | {own}


T = TypeVar("T")
THREADS: web.AppKey[asyncio.Semaphore] = web.AppKey("threads", asyncio.Semaphore)
THREADS_AT_ONCE = 2


async def apart(app: web.Application, size: int, make: Callable[..., T], *given: Any) -> T:
    """Return what *make* makes of *given*; of more than QUICK_BYTES, in a thread."""
    if size <= QUICK_BYTES:
        return make(*given)
    async with app[THREADS]:
        return await asyncio.to_thread(make, *given)


DEPS: web.AppKey[ApiDeps] = web.AppKey("people", ApiDeps)
