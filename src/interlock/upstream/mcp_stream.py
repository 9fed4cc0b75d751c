"""One stream of an MCP server: what was asked on it, and which answer belongs to whom."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

from ..core.errors import UpstreamError, UpstreamLost, UpstreamUnreachable
from ..core.messages import Kind, write_message
from ..lines import EDGE
from ..tasks import Tasks
from .credentials import Headers
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

log = logging.getLogger("interlock.mcp")

Deliver: TypeAlias = Callable[[Document], Awaitable[None]]
Post: TypeAlias = Callable[[bytes, Headers], Awaitable[None]]
"""Brings one message to the server. Raises UpstreamError where it was not taken."""


class SseStream:
    """Brings messages to a server by *post*, and takes what it says from *messages*.

    *headers* go with what passes; *patience* is the longest silence of a call, in seconds.
    """

    pump: asyncio.Task[None]

    def __init__(
        self,
        name: str,
        post: Post,
        messages: AsyncIterator[bytes],
        deliver: Deliver,
        *,
        headers: Headers,
        patience: float,
    ) -> None:
        self.gone = ""  #: why nothing can be sent any more
        self.ended = asyncio.Event()
        self._name = name
        self._post = post
        self._messages = messages
        self._deliver = deliver
        self._headers = headers
        self._patience = patience
        self._left = False
        self._asked = Outstanding(patience)
        self._told: set[str] = set()
        self._tasks = Tasks()

    # calls ---------------------------------------------------------------------------------

    async def call(self, body: bytes, headers: Headers) -> WholeAnswer:
        """POST a request and wait for its answer. Raises as ports.Upstream says."""
        request = json.loads(body)
        given = request.get("id")
        if not is_id(given):
            raise UpstreamUnreachable("This is no request, so nothing was sent.")
        await self._asked.own(given)
        self._check()
        return await self._exchanged(given, request, body, headers)

    async def passed(self, body: bytes) -> WholeAnswer:
        """POST what runs no tool, and wait for the answer where it is a request."""
        document = json.loads(body)
        if "method" in document and "id" in document:
            return await self.call(body, self._headers)
        await self.say(document)
        return WholeAnswer(b"", status=202)

    async def _exchanged(
        self, given: Id, request: Document, body: bytes, headers: Headers
    ) -> WholeAnswer:
        entry, answer = awaited(request)
        self._asked.add(given, entry)
        posting = self._tasks.spawn(self._posted(body, headers), "mcp-post")
        try:
            async with asyncio.timeout(self._patience) as entry.clock:
                document = await _first(answer, posting)
        except TimeoutError:
            posting.cancel()
            raise UpstreamLost(
                f"The server `{self._name}` did not answer in time: what it did is not known."
            ) from None
        finally:
            self._forget(given, entry)
        if document is None:
            why = self.gone or f"The server `{self._name}` gave no readable answer."
            raise UpstreamLost(f"{why} It was sent: what it did is not known.")
        return WholeAnswer(write_message(document))

    async def _posted(self, body: bytes, headers: Headers) -> UpstreamError | None:
        """Bring a message to the server; return what went wrong."""
        try:
            await self._post(body, headers)
        except UpstreamError as error:
            return error
        return None

    def _check(self) -> None:
        if self.gone:
            raise UpstreamUnreachable(f"{self.gone} Nothing was sent.")

    # what the client says ------------------------------------------------------------------

    async def ask(self, request: Document, answered: Answered) -> None:
        """Pass on a request; *answered* gets what comes of it.

        Raises:
            UpstreamError: it was not taken, or the server has gone.
        """
        given: Id = request["id"]
        self._check()
        if given in self._asked:
            raise UpstreamUnreachable("Another request with the same id is under way.")
        entry = Asked(answered, token_of(request))
        self._asked.add(given, entry)
        error = await self._brought(write_message(request))
        if error is not None and self._asked.has(given, entry):
            self._forget(given, entry)
            raise error

    async def say(self, message: Document) -> None:
        """Pass on a notification or a response. Raises as `ask`."""
        self._check()
        error = await self._brought(write_message(message))
        if error is not None:
            raise error

    async def _brought(self, body: bytes) -> UpstreamError | None:
        """As `_posted`; a client that goes away from its own POST does not cut ours off."""
        return await asyncio.shield(
            self._tasks.spawn(self._posted(body, self._headers), "mcp-post")
        )

    def busy(self, asked: Id) -> bool:
        """Say whether the server works on a request with this id."""
        return asked in self._asked

    def withdraw(self, asked: Id) -> None:
        """The client cancelled a request: what has not been sent never is, and nobody waits."""
        if self._asked.withdraw(asked) is not None:
            self._end_if_left()

    def settled(self, asked: Id) -> None:
        """The client's request has been answered: its id may come again."""
        self._asked.settled(asked)

    def heard(self) -> None:
        """The client and the server talk with each other: no call is silent."""
        self._asked.heard()

    def leave(self) -> None:
        """The client has gone. The stream stays until the calls under way are answered."""
        self._left = True
        self.gone = self.gone or "The client has closed its stream."
        for given, entry in self._asked.items():
            if not entry.waited:
                self._forget(given, entry)
        self._end_if_left()

    def lost(self, why: str) -> None:
        """The server does not take messages any more: the stream is of no use."""
        self.gone = self.gone or why
        self.pump.cancel()

    # what the server says ------------------------------------------------------------------

    async def run(self) -> None:
        """Read what the server says, until it says no more."""
        try:
            async for message in self._messages:
                await self._hear(message)
        except UpstreamLost as error:
            said = f"The stream of the server `{self._name}` broke off: {error.detail}"
            self.gone = self.gone or said
        except Exception:  # outermost: whoever waits is told that the stream has ended
            log.exception("the stream of the server `%s` could not be read on", self._name)

    async def end(self) -> None:
        """Tell everybody who waits that nothing comes any more."""
        self.gone = self.gone or f"The server `{self._name}` has ended its stream."
        await self._asked.end()
        self.ended.set()

    async def _hear(self, message: bytes) -> None:
        try:
            kind, document = read_said(message)
        except ValueError:
            self._once(
                "unreadable",
                "sends messages that are not JSON-RPC, or could be read in two ways; they are"
                " dropped",
            )
            if answers(message):
                await self._asked.fail(named_at_an_end(message[:EDGE], message[-EDGE:]))
            return
        if kind is Kind.RESPONSE:
            await self._answer(document)
        elif not self._left:
            self._asked.note(document)
            await self._deliver(document)

    async def _answer(self, document: Document) -> None:
        given = document.get("id")
        if given is None and "error" in document and not self._left:
            await self._deliver(document)  # it could not read something; nobody knows what
            return
        entry = self._asked.take(given)
        if entry is None:
            self._once("unasked", "answers what it was not asked; such answers are dropped")
            return
        await entry.answered(document)

    def _forget(self, asked: Id, entry: Asked) -> None:
        self._asked.forget(asked, entry)
        self._end_if_left()

    def _end_if_left(self) -> None:
        if self._left and not self._asked:
            self.pump.cancel()

    def _once(self, kind: str, what: str) -> None:
        if kind not in self._told:
            self._told.add(kind)
            log.warning("the server `%s` %s", self._name, what)


async def _first(
    answer: asyncio.Future[Document | None], posting: asyncio.Task[UpstreamError | None]
) -> Document | None:
    """Return the answer, which may come before the POST is answered. Raises what went wrong."""
    await asyncio.wait((answer, posting), return_when=asyncio.FIRST_COMPLETED)
    if answer.done() and answer.result() is not None:
        return answer.result()
    if posting.done():
        error = posting.result()
        if error is not None:
            raise error
    return await answer
