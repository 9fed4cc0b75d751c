"""An MCP server behind the pipes of a child: one line, one JSON-RPC message.

Everything that goes to the child goes through here, so that no two requests are under way with
one id. Ids stay those of the client: other messages name them.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..core.actions import ToolCall
from ..core.errors import UpstreamError, UpstreamLost, UpstreamUnreachable
from ..core.messages import JSON_TYPE, Kind, write_message
from ..lines import EDGE, Long, lines
from .child import Child
from .mcp_said import answers, named_at_an_end, read_said

Document: TypeAlias = Mapping[str, Any]
Id: TypeAlias = str | int
Answered: TypeAlias = Callable[[Document | None], Awaitable[None]]
"""What is done with the answer to a request; None: the server has gone without one."""

CANCELLED_SECONDS = 2.0  #: how long a cancelled call may still answer
BUSY_SECONDS = 5.0  #: how long a call waits for its id, while another request has it
MOST_GONE = 1000  #: ids remembered of requests that ended without an answer
_PROGRESS = "notifications/progress"


@dataclass(slots=True)
class _Asked:
    """A request that the child has not answered."""

    answered: Answered
    token: Id | None = None
    clock: asyncio.Timeout | None = None  #: of a call: when silence ends it


@dataclass(frozen=True, slots=True)
class PipedAnswer:
    """ports.Exchange of a response that has come whole."""

    body: bytes
    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("Content-Type", JSON_TYPE),)

    async def chunks(self) -> AsyncIterator[bytes]:
        if self.body:
            yield self.body

    async def close(self) -> None:
        """There is nothing to close."""


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
    _asked: dict[Id, _Asked] = field(default_factory=dict)
    _withdrawn: set[Id] = field(default_factory=set)
    _past: OrderedDict[Id, Answered | None] = field(default_factory=OrderedDict)
    _told: set[str] = field(default_factory=set)
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _freed: asyncio.Event = field(default_factory=asyncio.Event)

    # ports.McpServer -----------------------------------------------------------------------

    def serves(self, call: ToolCall) -> bool:
        """Say whether it is a call of this pipe, and of what runs behind it."""
        if call.mcp is None or self.gone:
            return False
        return (call.mcp.session, call.mcp.command) == (self.session, self.command)

    async def send(self, call: ToolCall) -> PipedAnswer:
        """Send *call* and wait for its answer. Raises as ports.Upstream says."""
        request = json.loads(call.body)
        asked = request.get("id")
        if not isinstance(asked, str | int) or b"\n" in call.body:
            raise UpstreamUnreachable("This is not one request on one line; nothing was sent.")
        await self._own(asked)
        if asked in self._withdrawn:
            raise UpstreamUnreachable("The client cancelled it before it was sent.")
        return await self._exchanged(asked, request, call.body)

    async def pass_on(self, call: ToolCall) -> PipedAnswer:
        """Send what runs no tool, and wait for the answer where it is a request."""
        document = json.loads(call.body)
        if "method" not in document or "id" not in document:
            await self.say(document)
            return PipedAnswer(b"", status=202)
        return await self.send(call)

    async def _own(self, asked: Id) -> None:
        """Return once no other request has this id."""
        try:
            async with asyncio.timeout(BUSY_SECONDS):
                while asked in self._asked:
                    self._freed.clear()
                    await self._freed.wait()
        except TimeoutError:
            raise UpstreamUnreachable(
                "Another request with the same id is under way; nothing was sent."
            ) from None

    async def _exchanged(self, asked: Id, request: Document, body: bytes) -> PipedAnswer:
        answer: asyncio.Future[Document | None] = asyncio.get_running_loop().create_future()

        async def answered(document: Document | None) -> None:
            if not answer.done():
                answer.set_result(document)

        entry = _Asked(answered, token=_token(request))
        try:
            async with asyncio.timeout(self.patience) as entry.clock:
                await self._ask(asked, entry, body)
                document = await answer
        except TimeoutError:
            raise UpstreamLost(
                f"The server `{self.name}` did not answer in time: what it did is not known."
            ) from None
        finally:
            self._forget(asked, entry)
        if document is None:
            raise UpstreamLost(f"{self._why()} It was sent: what it did is not known.")
        return PipedAnswer(write_message(document))

    # what the client says ------------------------------------------------------------------

    async def ask(self, request: Document, answered: Answered) -> None:
        """Pass on a request; *answered* gets what comes of it.

        Raises:
            UpstreamError: it was not taken, or the server has gone.
        """
        asked: Id = request["id"]
        if asked in self._asked:
            raise UpstreamUnreachable("Another request with the same id is under way.")
        entry = _Asked(answered, token=_token(request))
        try:
            await self._ask(asked, entry, write_message(request))
        except UpstreamError:
            self._forget(asked, entry)
            raise

    async def say(self, message: Document) -> None:
        """Pass on a notification or a response. Raises UpstreamError: the server has gone."""
        await self._write(write_message(message))

    def busy(self, asked: Id) -> bool:
        """Say whether the server works on a request with this id."""
        return asked in self._asked

    def withdraw(self, asked: Id) -> None:
        """The client cancelled a request: what has not been sent never is, and nobody waits."""
        entry = self._asked.get(asked)
        if entry is None:
            self._withdrawn.add(asked)
        elif entry.clock is not None:
            entry.clock.reschedule(asyncio.get_running_loop().time() + CANCELLED_SECONDS)
        else:
            self._past_one(asked, entry.answered)
            self._forget(asked, entry)

    def settled(self, asked: Id) -> None:
        """The client's request has been answered: its id may come again."""
        self._withdrawn.discard(asked)

    def heard(self) -> None:
        """The client and the server talk with each other: no call is silent."""
        for entry in self._asked.values():
            self._renew(entry)

    # the pipe ------------------------------------------------------------------------------

    async def _ask(self, asked: Id, entry: _Asked, body: bytes) -> None:
        if self.gone:
            raise UpstreamUnreachable(f"{self._why()} Nothing was sent.")
        self._past.pop(asked, None)
        self._asked[asked] = entry
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
        while self._asked:
            _, entry = self._asked.popitem()
            await entry.answered(None)
        self._freed.set()

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
                await self._fail_named(line[:EDGE], line[-EDGE:])
            return
        if kind is Kind.RESPONSE:
            await self._answer(document)
        else:
            self._note(document)
            await self.deliver(document)

    def _note(self, document: Document) -> None:
        """A call whose server reports progress, or asks for something, is not silent."""
        if "id" in document:
            self.heard()
        elif document["method"] == _PROGRESS:
            params = document.get("params")
            token = params.get("progressToken") if isinstance(params, Mapping) else None
            for entry in self._asked.values():
                if token is not None and entry.token == token:
                    self._renew(entry)

    def _renew(self, entry: _Asked) -> None:
        if entry.clock is not None and not entry.clock.expired():
            entry.clock.reschedule(asyncio.get_running_loop().time() + self.patience)

    async def _answer(self, document: Document) -> None:
        asked = document.get("id")
        if asked is None and "error" in document:
            await self.deliver(document)  # it could not read something; nobody knows what
            return
        if isinstance(asked, str | int) and not isinstance(asked, bool):
            entry = self._asked.pop(asked, None)
            if entry is not None:
                self._freed.set()
                await entry.answered(document)
                return
            late = self._past.pop(asked, None)
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
        if not await self._fail_named(line.head, line.tail):
            for asked in tuple(self._asked):
                await self._fail(asked)

    async def _fail_named(self, head: bytes, tail: bytes) -> bool:
        """End the request that an unreadable answer names; say whether there was one."""
        asked = named_at_an_end(head, tail)
        if asked is None or asked not in self._asked:
            return False
        await self._fail(asked)
        return True

    async def _fail(self, asked: Id) -> None:
        entry = self._asked.pop(asked)
        self._freed.set()
        await entry.answered(None)

    def _forget(self, asked: Id, entry: _Asked) -> None:
        if self._asked.get(asked) is entry:
            del self._asked[asked]
            self._freed.set()

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


def _token(request: Document) -> Id | None:
    params = request.get("params")
    meta = params.get("_meta") if isinstance(params, Mapping) else None
    token = meta.get("progressToken") if isinstance(meta, Mapping) else None
    return token if isinstance(token, str | int) and not isinstance(token, bool) else None
