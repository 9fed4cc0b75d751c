"""A client on pipes, and the messages between it and its server: only judged ones are held.

Every line of the client is read strictly and written anew. What the server says passes as it is,
but for its lists and greetings, which are amended, and for lines that are not MCP.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from ...core.actions import Agent
from ...core.errors import (
    InterlockError,
    MalformedMessage,
    Suspended,
    UpstreamError,
    UpstreamLost,
)
from ...core.messages import INVALID_REQUEST, MODERN, Kind, Message, read_message, write_message
from ...lines import Long
from ...tasks import Tasks
from . import sampling
from .addressing import addressed, id_at_an_end
from .amending import AMENDED
from .answers import amender
from .channel import ClientChannel, Write
from .reading import is_judged, sent
from .results import Asker, asker, failure, malformed, refused
from .session import (
    CAPABILITIES_KEY,
    NO_CAPABILITIES,
    VERSION_KEY,
    Amending,
    Answering,
    Caller,
    Document,
    Holding,
    Live,
    Server,
    TaskServing,
)
from .stops import Stops, passes
from .tasks_documents import GET as TASKS_GET
from .unanswered import Unanswered

log = logging.getLogger("interlock.mcp")

LOOK = 0.05  #: seconds between two looks whether a cancelled call is held by now
INTERNAL_ERROR, TOO_MANY = -32603, 31429
CANCELLED = "notifications/cancelled"
INITIALIZE = "initialize"
TASKS_ASKED = "tasks/"

Id = str | int
Answered = Callable[[Document | None], Awaitable[None]]


class Pipe(Protocol):
    """The server's side: see upstream.mcp_stdio.PipedServer."""

    async def ask(self, request: Document, answered: Answered) -> None: ...

    async def say(self, message: Document) -> None: ...

    def busy(self, asked: Id) -> bool: ...

    def withdraw(self, asked: Id) -> None: ...

    def settled(self, asked: Id) -> None: ...

    def heard(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """What judging needs; there once the gate is up."""

    agent: Agent
    holding: Holding
    calls: Answering
    listing: Amending
    stops: Stops
    tasks: TaskServing | None = None


class Conversation:
    """One client and one server. `hear` takes what the client says, `deliver` what the server does.

    *judging* is there once the gate is up; what has to be judged waits for it. *session* names
    this connection, *tell* is given sentences for people.
    """

    def __init__(
        self,
        *,
        server: Server,
        session: str,
        pipe: Pipe,
        write: Write,
        judging: asyncio.Future[Judging],
        tell: Callable[[str], None],
    ) -> None:
        self._server = server
        self._session = session
        self._pipe = pipe
        self._write = write
        self._judging = judging
        self._tell = tell
        self._channel = ClientChannel(write)
        self._told: set[str] = set()  #: kinds of trouble
        self._tasks = Tasks()
        self._open = Unanswered()
        self._dropped: set[Id] = set()  #: those of them that the client has cancelled
        self._version = ""  #: that `initialize` agreed on
        self._capabilities: Any = NO_CAPABILITIES

    # the client ----------------------------------------------------------------------------

    async def hear(self, line: bytes | Long) -> None:
        """Take one line of the client."""
        if isinstance(line, Long):
            await self._too_long(line)
            return
        try:
            message = read_message(line)
        except MalformedMessage as error:
            await self._malformed(error, line)
            return
        try:
            await self._take(message, len(line))
        except UpstreamError as error:
            if message.kind is Kind.REQUEST:
                await self._answer(message, self._gone(message, error))

    async def _take(self, message: Message, size: int) -> None:
        if message.kind is Kind.REQUEST:
            await self._request(message, size)
        elif message.method == CANCELLED:
            await self._cancel(message)
        elif is_judged(message, self._server):
            self._once(
                "notification",
                f"`{message.method}` must have an `id`; a notification of it was dropped.",
            )
        elif passes(message):
            if message.kind is Kind.RESPONSE:
                self._pipe.heard()
            await self._pipe.say(sent(message))
        else:
            await self._soon(self._notify(message), "notify")

    async def _request(self, message: Message, size: int) -> None:
        asked = message.id
        assert asked is not None  # noqa: S101 -- requests have one
        if asked in self._open or self._pipe.busy(asked):
            text = f"A request with the id {json.dumps(asked)} is under way; give each its own."
            # with its id it would be taken for the answer to the other request that waits
            given = None if asked in self._open else asked
            await self._send(refused(text, given, INVALID_REQUEST))
            return
        if much := self._open.refuses(size):
            await self._send(refused(much, asked, TOO_MANY))
            return
        if not self._server.sampling:
            message = sampling.undeclared(message)
        self._open.add(asked, message, size)
        if message.method == INITIALIZE:
            declared = message.params.get("capabilities")
            self._capabilities = declared if isinstance(declared, dict) else NO_CAPABILITIES
        if is_judged(message, self._server) or message.method.startswith(TASKS_ASKED):
            self._tasks.spawn(self._judge(message), f"judge-{asked}")
        elif passes(message):
            await self._pipe.ask(sent(message), self._to(message))
        else:
            await self._soon(self._ask(message), f"ask-{asked}")

    async def _soon(self, passing: Coroutine[Any, Any, None], name: str) -> None:
        """Do what needs to know who is stopped: in order, once the gate is up."""
        if self._judging.done():
            await passing
        else:
            self._tasks.spawn(passing, name)

    async def _ask(self, message: Message) -> None:
        """Pass a request on that nobody judges, unless its agent is stopped."""
        try:
            judging = await asyncio.shield(self._judging)
            await judging.stops.check(judging.agent.id, message)
            if self._open.get(message.id) is message:  # or it was cancelled meanwhile
                await self._pipe.ask(sent(message), self._to(message))
        except UpstreamError as error:
            await self._answer(message, self._gone(message, error))
        except InterlockError as error:
            await self._answer(message, failure(error, Asker(id=message.id, tool=False)))

    async def _notify(self, message: Message) -> None:
        try:
            judging = await asyncio.shield(self._judging)
            await judging.stops.check(judging.agent.id, message)
            await self._pipe.say(sent(message))
        except InterlockError as error:
            self._once("not-passed", f"`{message.method}` was dropped: {error.detail}")

    def _to(self, message: Message) -> Answered:
        """Return what is done with the server's answer to a request that passed."""

        async def answered(document: Document | None) -> None:
            if document is None:
                await self._answer(message, self._gone(message, None))
            elif message.method == INITIALIZE:
                self._agree(document)
                await self._answer(message, document)
            elif message.method in AMENDED:
                self._tasks.spawn(self._amend(message, document), "amend")
            else:
                await self._answer(message, document)

        return answered

    def _agree(self, document: Document) -> None:
        result = document.get("result")
        if isinstance(result, dict):
            version = result.get("protocolVersion")
            self._version = version if isinstance(version, str) else ""

    def _gone(self, message: Message, error: UpstreamError | None) -> Document:
        why = error.detail if error else "The server ended before it answered."
        return refused(why, message.id, INTERNAL_ERROR)

    async def _cancel(self, message: Message) -> None:
        """A client takes a request back: a held one is cancelled here, others at the server."""
        asked = message.params.get("requestId")
        request = self._open.get(asked)
        if request is None or asked is None:
            await self._pipe.say(sent(message))
            return
        if not is_judged(request, self._server):
            await self._pipe.say(sent(message))
            self._pipe.withdraw(asked)
            self._open.close(asked)
            return
        self._dropped.add(asked)
        sent_already = self._pipe.busy(asked)
        self._pipe.withdraw(asked)
        if sent_already:
            await self._pipe.say(sent(message))
        elif self._judging.done():
            self._tasks.spawn(self._take_back(message, asked), "take-back")

    async def _take_back(self, message: Message, asked: Id) -> None:
        """Take a call back once it is held, unless it is settled before: it is never sent."""
        try:
            judging = await self._judging
            caller = self._caller(message, judging)
            while asked in self._dropped and not self._pipe.busy(asked):
                if await judging.calls.cancelled(message, caller):
                    self._pipe.settled(asked)  # others may wait for the same call
                    return
                await asyncio.sleep(LOOK)  # it is being judged
        except InterlockError as error:
            self._once("take-back", f"A cancelled call could not be taken back: {error.detail}")

    # judging -------------------------------------------------------------------------------

    def _caller(self, message: Message, judging: Judging) -> Caller:
        version = message.meta.get(VERSION_KEY)
        version = version if isinstance(version, str) else self._version
        declared = self._capabilities
        if version >= MODERN:
            declared = message.meta.get(CAPABILITIES_KEY)
        return Caller(
            agent=judging.agent,
            server=self._server,
            holding=judging.holding,
            version=version,
            session=self._session,
            capabilities=declared if isinstance(declared, dict) else NO_CAPABILITIES,
        )

    async def _judge(self, message: Message) -> None:
        document: Document | None
        try:
            document = await self._judged(message)
        except MalformedMessage as error:
            document = malformed(error, message.id)
        except Suspended as error:
            document = failure(error, Asker(id=message.id, tool=False))
        except Exception as error:  # outermost: whatever it is, the client is not left waiting
            text = "Interlock failed while it judged this call; what became of it is in its log."
            if isinstance(error, InterlockError):
                text = error.detail
            else:
                log.exception("a call could not be judged")
            document = refused(text, message.id, INTERNAL_ERROR)
        if document is not None:
            await self._answer(message, document)

    async def _judged(self, message: Message) -> Document | None:
        """Return the answer to what is judged, or is asked of a task; None: the server answers."""
        judging = await asyncio.shield(self._judging)
        if message.id in self._dropped:  # cancelled before anybody was asked
            return refused("The client cancelled this call. It was not sent.", message.id)
        caller = self._caller(message, judging)
        judged = is_judged(message, self._server)
        if not judged and message.method != TASKS_GET:
            await judging.stops.check(judging.agent.id, message)
        told = await judging.tasks.answer(message, caller) if judging.tasks else None
        if told is not None:
            return told
        if not judged:
            await judging.stops.check(judging.agent.id, message)
            await self._pipe.ask(sent(message), self._to(message))
            return None
        answer = await judging.calls.answer(message, caller, self._channel)
        if not isinstance(answer, Live):
            return answer
        to = asker(message, caller)
        try:
            async with answer.relay as relay:
                body = b"".join([chunk async for chunk in relay.chunks()])
            document = json.loads(body)
        except UpstreamLost as error:
            return failure(error, to, answer.action)
        change = amender(answer, message.id, to.progress, tell_edits=to.tell_edits)
        return document if change is None else change(document)

    async def _amend(self, message: Message, document: Document) -> None:
        try:
            judging = await asyncio.shield(self._judging)
            caller = self._caller(message, judging)
            document = await judging.listing.amend(message, document, caller)
        except InterlockError as error:  # what is not known is not accepted: calls will be held
            self._once("listing", f"What the server says of its tools was not kept: {error.detail}")
        except Exception:  # outermost: the client is not left waiting
            log.exception("an answer of the server could not be read")
        await self._answer(message, document)

    # the server ----------------------------------------------------------------------------

    async def deliver(self, document: Document) -> None:
        """Pass on what the server says unasked."""
        if self._server.sampling or not sampling.is_asked(document):
            await self._send(document)
        elif "id" in document:
            with suppress(UpstreamError):  # it has gone; so has its question
                await self._pipe.say(sampling.refusal(document))

    # the way back --------------------------------------------------------------------------

    async def _answer(self, message: Message, document: Document) -> None:
        asked = message.id
        assert asked is not None  # noqa: S101 -- requests have one
        self._open.close(asked)
        self._pipe.settled(asked)
        if not self._server.sampling:
            document = sampling.without_rounds(document)
        dropped = asked in self._dropped
        self._dropped.discard(asked)
        if not dropped:
            await self._send(document)

    async def _send(self, document: Document) -> None:
        await self._write(write_message(document))

    async def _malformed(self, error: MalformedMessage, line: bytes) -> None:
        """Answer what cannot be taken, where it can be told who waits."""
        given, waits = addressed(line)
        if waits and given not in self._open:
            await self._send(malformed(error, given))
        else:
            self._once("malformed", f"A message of the client was dropped: {error.detail}")

    async def _too_long(self, line: Long) -> None:
        text = (
            f"This message has {line.size} bytes; more than {self._server.max_body} are not taken"
            " (`agents.max_body`)."
        )
        found = id_at_an_end(line)
        await self._send(refused(text, found, INVALID_REQUEST))

    def _once(self, kind: str, text: str) -> None:
        """Tell of the first trouble of a kind: a client may make any number of them."""
        if kind not in self._told:
            self._told.add(kind)
            self._tell(text)

    @property
    def waiting(self) -> bool:
        """Whether answers of ours are under way."""
        return len(self._tasks) > 0

    async def settle(self, seconds: float) -> int:
        """Wait until every request is answered that is judged; return how many are not."""
        return await self._tasks.drain(seconds)
