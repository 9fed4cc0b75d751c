"""Who speaks with which MCP server, how it is answered, and the way back to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ...core.actions import Action, Agent
from ...core.messages import MODERN, Message
from ...mcp_ports import McpServer
from ...relay import Relay

Document = Mapping[str, Any]
"""One JSON-RPC message."""

VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"
TASKS = "io.modelcontextprotocol/tasks"
NO_CAPABILITIES: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """How an agent's client is answered while people decide. Times in seconds.

    `rounds`: how often a request may be answered with a state to come back with (2026-07-28).
    `errors`: whether refusals are marked `isError`. `tasks`: whether a client that declares the
    tasks extension gets a task, and `task_after` how long such a client waits for a tool before it
    gets one too; 0: as long as it takes. `own_tools`: whether it is offered `interlock_wait` and
    its kind.
    """

    seconds: float = 4.0
    rounds: int = 0
    round_seconds: float = 20.0
    errors: bool = False
    tasks: bool = True
    task_after: float = 0.0
    own_tools: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One MCP server as agents see it.

    `gates` are methods that are judged besides `tools/call`. `sampling`: whether it may ask the
    client's model. `hide_denied`: tools that policy always denies are not listed.
    `forward`: lower-case names of the client's headers that pass, besides those of MCP.
    """

    name: str
    upstream: McpServer
    gates: frozenset[str] = frozenset()
    sampling: bool = True
    hide_denied: bool = False
    own_tools: bool = True
    tell_edits: bool = True
    forward: frozenset[str] = frozenset()
    reserved: frozenset[str] = frozenset()  #: headers that the credential writes, lower case
    max_body: int = 2**20  #: bytes
    command: str = ""  #: what it was started as, where it is on pipes; no secret is in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who sent a message, and on which connection. `capabilities` are those of its client."""

    agent: Agent
    server: Server
    holding: Holding
    version: str = ""  #: protocol version of this message; empty: not known
    session: str = ""
    headers: tuple[tuple[str, str], ...] = ()  #: as received
    capabilities: Mapping[str, Any] = field(default_factory=lambda: NO_CAPABILITIES)

    @property
    def modern(self) -> bool:
        return self.version >= MODERN


class Channel(Protocol):
    """The way back to a client whose request is held."""

    @property
    def streams(self) -> bool:
        """Whether anything can be sent before the response itself."""

    async def keep(self, progress: Document | None) -> None:
        """Send a progress notification, or where there is none a comment, if it streams."""


class Amending(Protocol):
    """Reads and amends what a server says of itself and of its tools: `amending.Listings`."""

    async def amend(self, message: Message, answer: Document, caller: Caller) -> Document: ...


class TaskServing(Protocol):
    """Who serves tasks: `tasks.ServedTasks`."""

    async def answer(self, message: Message, caller: Caller) -> Document | None:
        """Answer what a client asks of its tasks; None: it is for the server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """The server's own answer on its way. `foreign_id`: its id is not that of the asker."""

    relay: Relay
    action: Action
    foreign_id: bool = False


class Answering(Protocol):
    """What answers the messages that are judged: `calls.Calls`."""

    async def answer(self, message: Message, caller: Caller, channel: Channel) -> Document | Live:
        """Return the response, or the server's own answer on its way."""

    async def cancelled(self, message: Message, caller: Caller) -> bool:
        """Take a held request back that a notification names; say whether that is all to do."""
