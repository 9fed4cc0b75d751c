"""What speaking MCP needs from the world, beside what the gate needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from .core.actions import ToolCall
from .core.rules import Validator
from .ports import Exchange, Upstream


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


class NothingListed:
    """Definitions of an installation without MCP servers."""

    def current(self, server: str, tool: str) -> Definition | None:
        return None

    def known(self, server: str) -> bool:
        return False

    async def listed(self, server: str, tools: Sequence[Mapping[str, Any]], *, whole: bool) -> None:
        """There is nothing to take note of."""


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
