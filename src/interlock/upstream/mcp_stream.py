"""One stream of an MCP server: what was asked on it, and which answer belongs to whom."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeGuard

from ..core.errors import UpstreamError, UpstreamLost, UpstreamUnreachable
from ..core.messages import JSON_TYPE, Kind, write_message
from ..lines import EDGE
from ..tasks import Tasks
from .credentials import Headers
from .mcp_said import answers, named_at_an_end, read_said

log = logging.getLogger("interlock.mcp")

Document: TypeAlias = Mapping[str, Any]
Id: TypeAlias = str | int
Deliver: TypeAlias = Callable[[Document], Awaitable[None]]
Answered: TypeAlias = Callable[[Document | None], Awaitable[None]]
"""What is done with the answer to a request; None: the server has gone without one."""
Post: TypeAlias = Callable[[bytes, Headers], Awaitable[None]]
"""Brings one message to the server. Raises UpstreamError where it was not taken."""

CANCELLED_SECONDS = 2.0  #: how long a cancelled call may still answer
BUSY_SECONDS = 5.0  #: how long a call waits for its id, while another request has it
_PROGRESS = "notifications/progress"


@dataclass(frozen=True, slots=True)
class WholeAnswer:
    """ports.Exchange of a response that has come whole."""

    body: bytes
    status: int = 200
    headers: Headers = (("Content-Type", JSON_TYPE),)

    async def chunks(self) -> AsyncIterator[bytes]:
        if self.body:
            yield self.body

    async def close(self) -> None:
        """There is nothing to close."""


@dataclass(slots=True, eq=False)
class _Asked:
    """A request that the server has not answered. `clock`: of a call, when silence ends it."""

    answered: Answered
    token: Id | None = None
    clock: asyncio.Timeout | None = None
    waited: bool = False  #: whether somebody waits for it besides the client


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
        self._asked: dict[Id, _Asked] = {}
        self._withdrawn: set[Id] = set()
        self._freed = asyncio.Event()
        self._told: set[str] = set()
        self._tasks = Tasks()

    # calls ---------------------------------------------------------------------------------

    async def call(self, body: bytes, headers: Headers) -> WholeAnswer:
        """POST a request and wait for its answer. Raises as ports.Upstream says."""
        request = json.loads(body)
        given = request.get("id")
        if not _is_id(given):
            raise UpstreamUnreachable("This is no request, so nothing was sent.")
        await self._own(given)
        if given in self._withdrawn:
            raise UpstreamUnreachable("The client cancelled it before it was sent.")
        self._check()
        return await self._exchanged(given, _token(request), body, headers)

    async def passed(self, body: bytes) -> WholeAnswer:
        """POST what runs no tool, and wait for the answer where it is a request."""
        document = json.loads(body)
        if "method" in document and "id" in document:
            return await self.call(body, self._headers)
        await self.say(document)
        return WholeAnswer(b"", status=202)

    async def _own(self, given: Id) -> None:
        """Return once no other request has this id."""
        try:
            async with asyncio.timeout(BUSY_SECONDS):
                while given in self._asked:
                    self._freed.clear()
                    await self._freed.wait()
        except TimeoutError:
            raise UpstreamUnreachable(
                "Another request with the same id is under way; nothing was sent."
            ) from None

    async def _exchanged(
        self, given: Id, token: Id | None, body: bytes, headers: Headers
    ) -> WholeAnswer:
        answer: asyncio.Future[Document | None] = asyncio.get_running_loop().create_future()

        async def answered(document: Document | None) -> None:
            if not answer.done():
                answer.set_result(document)

        entry = self._asked[given] = _Asked(answered, token, waited=True)
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
        entry = self._asked[given] = _Asked(answered, _token(request))
        error = await self._brought(write_message(request))
        if error is not None and self._asked.get(given) is entry:
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
        entry = self._asked.get(asked)
        if entry is None:
            self._withdrawn.add(asked)
        elif entry.clock is not None:
            entry.clock.reschedule(asyncio.get_running_loop().time() + CANCELLED_SECONDS)
        else:
            self._forget(asked, entry)

    def settled(self, asked: Id) -> None:
        """The client's request has been answered: its id may come again."""
        self._withdrawn.discard(asked)

    def heard(self) -> None:
        """The client and the server talk with each other: no call is silent."""
        for entry in self._asked.values():
            self._renew(entry)

    def leave(self) -> None:
        """The client has gone. The stream stays until the calls under way are answered."""
        self._left = True
        self.gone = self.gone or "The client has closed its stream."
        for given, entry in tuple(self._asked.items()):
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
        while self._asked:
            _, entry = self._asked.popitem()
            await entry.answered(None)
        self._freed.set()
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
                await self._fail(named_at_an_end(message[:EDGE], message[-EDGE:]))
            return
        if kind is Kind.RESPONSE:
            await self._answer(document)
        elif not self._left:
            self._note(document)
            await self._deliver(document)

    async def _answer(self, document: Document) -> None:
        given = document.get("id")
        if given is None and "error" in document and not self._left:
            await self._deliver(document)  # it could not read something; nobody knows what
            return
        entry = self._asked.pop(given, None) if _is_id(given) else None
        if entry is None:
            self._once("unasked", "answers what it was not asked; such answers are dropped")
            return
        self._freed.set()
        await entry.answered(document)

    async def _fail(self, given: Id | None) -> None:
        """An answer cannot be read: whoever waits for it must not wait on."""
        entry = self._asked.pop(given, None) if given is not None else None
        if entry is not None:
            self._freed.set()
            await entry.answered(None)

    def _note(self, document: Document) -> None:
        """A call whose server reports progress, or asks for something, is not silent."""
        if "id" in document:
            self.heard()
        elif document["method"] == _PROGRESS:
            token = _mapping(document.get("params")).get("progressToken")
            for entry in self._asked.values():
                if token is not None and entry.token == token:
                    self._renew(entry)

    def _renew(self, entry: _Asked) -> None:
        if entry.clock is not None and not entry.clock.expired():
            entry.clock.reschedule(asyncio.get_running_loop().time() + self._patience)

    def _forget(self, asked: Id, entry: _Asked) -> None:
        if self._asked.get(asked) is entry:
            del self._asked[asked]
            self._freed.set()
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


def _is_id(given: Any) -> TypeGuard[Id]:
    return isinstance(given, str | int) and not isinstance(given, bool)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _token(request: Document) -> Id | None:
    token = _mapping(_mapping(request.get("params")).get("_meta")).get("progressToken")
    return token if _is_id(token) else None
