"""An MCP server behind the pipes of a child: one line, one JSON-RPC message.

Everything that goes to the child goes through here.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from ..core.actions import ToolCall
from ..core.errors import UpstreamError, UpstreamLost, UpstreamUnreachable
from ..core.messages import Kind, write_message
from ..lines import EDGE, Long, lines
from .child import Child
from .mcp_outstanding import (
    Answered,
    Asked,
    Document,
    Id,
    Outstanding,
    WholeAnswer,
    awaited,
    is_id,
    token_of,
)
from .mcp_said import answers, named_at_an_end, read_said

MOST_GONE = 1000  #: ids remembered of requests that ended without an answer


@dataclass(slots=True, kw_only=True)
class PipedServer:
    """ports.McpServer: *child* is the server *name*, for calls of *session* alone.

    `patience`: the longest silence of a call, in seconds; `longest`: bytes of one message.
    `deliver` gets what is no answer: the server's requests and notifications. `tell` is given a
    sentence for people, once for each kind of trouble.
    """

    name: str
    session: str
    child: Child
    patience: float
    longest: int
    deliver: Callable[[Document], Awaitable[None]]
    tell: Callable[[str], None]
    command: str = ""  #: what the child was started as: its calls are none of another command
    gone: str = ""  #: why nothing can be sent any more
    _asked: Outstanding = field(init=False)
    _past: OrderedDict[Id, Answered | None] = field(default_factory=OrderedDict)
    _told: set[str] = field(default_factory=set)
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self._asked = Outstanding(self.patience)

    # ports.McpServer -----------------------------------------------------------------------

    def serves(self, call: ToolCall) -> bool:
        """Say whether it is a call of this pipe, and of what runs behind it."""
        if call.mcp is None or self.gone:
            return False
        return (call.mcp.session, call.mcp.command) == (self.session, self.command)

    async def send(self, call: ToolCall) -> WholeAnswer:
        """Send *call* and wait for its answer. Raises as ports.Upstream says."""
        request = json.loads(call.body)
        asked = request.get("id")
        if not isinstance(asked, str | int) or b"\n" in call.body:
            raise UpstreamUnreachable("This is not one request on one line; nothing was sent.")
        await self._asked.own(asked)
        return await self._exchanged(asked, request, call.body)

    async def pass_on(self, call: ToolCall) -> WholeAnswer:
        """Send what runs no tool, and wait for the answer where it is a request."""
        document = json.loads(call.body)
        if "method" not in document or "id" not in document:
            await self.say(document)
            return WholeAnswer(b"", status=202)
        return await self.send(call)

    async def _exchanged(self, asked: Id, request: Document, body: bytes) -> WholeAnswer:
        entry, answer = awaited(request)
        try:
            async with asyncio.timeout(self.patience) as entry.clock:
                await self._ask(asked, entry, body)
                document = await answer
        except TimeoutError:
            raise UpstreamLost(
                f"The server `{self.name}` did not answer in time: what it did is not known."
            ) from None
        finally:
            self._asked.forget(asked, entry)
        if document is None:
            raise UpstreamLost(f"{self._why()} It was sent: what it did is not known.")
        return WholeAnswer(write_message(document))

    # what the client says ------------------------------------------------------------------

    async def ask(self, request: Document, answered: Answered) -> None:
        """Pass on a request; *answered* gets what comes of it.

        Raises:
            UpstreamError: it was not taken, or the server has gone.
        """
        asked: Id = request["id"]
        if asked in self._asked:
            raise UpstreamUnreachable("Another request with the same id is under way.")
        entry = Asked(answered, token_of(request))
        try:
            await self._ask(asked, entry, write_message(request))
        except UpstreamError:
            self._asked.forget(asked, entry)
            raise

    async def say(self, message: Document) -> None:
        """Pass on a notification or a response. Raises UpstreamError: the server has gone."""
        await self._write(write_message(message))

    def busy(self, asked: Id) -> bool:
        """Say whether the server works on a request with this id."""
        return asked in self._asked

    def withdraw(self, asked: Id) -> None:
        """The client cancelled a request: what has not been sent never is, and nobody waits."""
        entry = self._asked.withdraw(asked)
        if entry is not None:
            self._past_one(asked, entry.answered)

    def settled(self, asked: Id) -> None:
        """The client's request has been answered: its id may come again."""
        self._asked.settled(asked)

    def heard(self) -> None:
        """The client and the server talk with each other: no call is silent."""
        self._asked.heard()

    # the pipe ------------------------------------------------------------------------------

    async def _ask(self, asked: Id, entry: Asked, body: bytes) -> None:
        if self.gone:
            raise UpstreamUnreachable(f"{self._why()} Nothing was sent.")
        self._past.pop(asked, None)
        self._asked.add(asked, entry)
        await self._write(body)

    async def _write(self, line: bytes) -> None:
        if self.gone:
            raise UpstreamUnreachable(f"{self._why()} Nothing was sent.")
        try:
            async with self._writing:
                self.child.input.write(line + b"\n")
                await self.child.input.drain()
        except (OSError, RuntimeError):
            raise UpstreamLost(f"{self._why()} What became of it is not known.") from None

    async def run(self) -> None:
        """Read what the server says, until it says no more."""
        try:
            async for line in lines(self.child.output.read, self.longest):
                if isinstance(line, Long):
                    await self._lose(line)
                else:
                    await self._hear(line)
        finally:
            await self.end()

    async def end(self) -> None:
        """Nothing comes any more: everybody who waits is told."""
        self.gone = self.gone or f"The server `{self.name}` has ended."
        await self._asked.end()

    async def _hear(self, line: bytes) -> None:
        try:
            kind, document = read_said(line)
        except ValueError:
            self._once(
                "garbage",
                "writes lines to stdout that are not JSON-RPC, or could be read in two ways; they"
                " are dropped",
            )
            if answers(line):
                await self._asked.fail(named_at_an_end(line[:EDGE], line[-EDGE:]))
            return
        if kind is Kind.RESPONSE:
            await self._answer(document)
        else:
            self._asked.note(document)
            await self.deliver(document)

    async def _answer(self, document: Document) -> None:
        asked = document.get("id")
        if asked is None and "error" in document:
            await self.deliver(document)  # it could not read something; nobody knows what
            return
        entry = self._asked.take(asked)
        if entry is not None:
            await entry.answered(document)
            return
        late = self._past.pop(asked, None) if is_id(asked) else None
        if late is not None:
            await late(document)
            return
        self._once("unasked", "answers what it was not asked; such answers are dropped")

    async def _lose(self, line: Long) -> None:
        """An answer was too long: whoever waits for it must not wait on."""
        self._once(
            "long",
            f"sent a message of {line.size} bytes; more than {self.longest} (`max_answer`) are"
            " not taken",
        )
        if b'"method"' in line.head:
            return
        if not await self._asked.fail(named_at_an_end(line.head, line.tail)):
            for asked, _ in self._asked.items():
                await self._asked.fail(asked)

    def _past_one(self, asked: Id, answered: Answered) -> None:
        self._past[asked] = answered
        if len(self._past) > MOST_GONE:
            self._past.popitem(last=False)

    def _why(self) -> str:
        return self.gone or f"The server `{self.name}` gave no readable answer."

    def _once(self, kind: str, what: str) -> None:
        if kind not in self._told:
            self._told.add(kind)
            self.tell(f"The server `{self.name}` {what}.")
