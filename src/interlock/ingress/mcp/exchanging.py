"""One message to a server, and its answer on the way back to the client."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from ...core.actions import McpTool, ToolCall
from ...core.errors import InterlockError, UpstreamError, UpstreamLost
from ...core.messages import JSON_TYPE, Kind, Message, message_of, write_message
from ...core.spelling import lax
from ...ports import Exchange
from ...relay import Relay
from ...tasks import Tasks
from . import answers, results, sampling
from .connections import Sessions
from .headers import EVENTS, LAST_EVENT, SESSION, forwarded
from .learning import LIST
from .opened import OwnAnswers
from .passing import (
    Change,
    Told,
    answering,
    pass_accepted,
    pass_answer,
    pass_refusal,
    pass_stream,
    read_whole,
)
from .reading import sent
from .replying import Coming, Reply, media, value
from .session import (
    NO_CAPABILITIES,
    Amending,
    Caller,
    Document,
    Live,
)

log = logging.getLogger("interlock.agents")

_REFUSED_LENGTH = 2**20  #: bytes of an answer that refuses a request


class Exchanges:
    """Sends what runs no tool, and passes on what comes back."""

    def __init__(
        self,
        sessions: Sessions,
        listing: Amending,
        read_on: Callable[[Relay], None],
        own: OwnAnswers,
    ) -> None:
        self._sessions = sessions
        self._listing = listing
        self._read_on = read_on
        self._own = own
        self._tasks = Tasks()

    async def pass_on(
        self, reply: Reply, caller: Caller, method: str, message: Message | None = None
    ) -> web.StreamResponse:
        """Pass a request of HTTP on, and its answer back."""
        async with self._exchange(caller, method, message) as answer:
            if method == "DELETE" and answer.status < 300:
                self._sessions.ended(caller.server.name, caller.session)
            if method == "GET":
                return await pass_stream(reply, answer, self._judging(caller, self._late(caller)))
            if message is not None and message.kind is Kind.REQUEST:
                change = self._judging(caller, answering(message.id))
                return await pass_answer(reply, answer, _told(message, caller), change)
            if answer.status < 300:
                return pass_accepted(answer)
            return await pass_refusal(answer, answering(None))

    def _late(self, caller: Caller) -> Change:
        """Return what lets a response pass where nothing was asked: only one that is resumed.

        Not one to a request that Interlock answers itself; a listing is amended here as well.
        """
        resumed = bool(value(caller.headers, LAST_EVENT))

        async def change(document: Document) -> Document | None:
            if "method" in document:
                return document
            if not resumed or self._own.holds(document.get("id"), caller):
                return None
            result = document.get("result")
            if not isinstance(result, Mapping) or not _lists(result):
                return document
            params = {"cursor": ""}  # which page it is, nobody knows
            asked = Message(kind=Kind.REQUEST, method=LIST, params=params, document={})
            return await self._amended(asked, document, caller)

        return change

    async def amended(self, reply: Reply, message: Message, caller: Caller) -> web.StreamResponse:
        """Pass a handshake or a listing on; its response comes back amended."""
        async with self._exchange(caller, "POST", message) as answer:

            async def change(document: Document) -> Document | None:
                if "method" in document or document.get("id") != message.id:
                    return document
                if message.method == "initialize":
                    self._began(answer, caller, document)
                return await self._amended(message, document, caller)

            changed = self._judging(caller, answering(message.id, change))
            return await pass_answer(reply, answer, _told(message, caller), changed)

    async def _amended(
        self, message: Message, document: Document, caller: Caller
    ) -> Document | None:
        result = document.get("result")
        if isinstance(result, Mapping) and _lists(result) and "tools" not in result:
            return None  # a list that only clients would read that ignore case
        try:
            amended = await self._listing.amend(message, document, caller)
        except InterlockError as error:  # what is not known is not accepted: calls will be held
            log.warning("what %s says of itself was not kept: %s", caller.server.name, error.detail)
            amended = document
        return dict(amended)  # written anew: what was read is what the client reads

    async def live(
        self, reply: Reply, live: Live, message: Message, caller: Caller
    ) -> web.StreamResponse:
        """Pass the answer to a judged call on, to whoever asked for it last."""
        relay, action = live.relay, live.action
        self._used(caller, relay.status)
        to = results.asker(message, caller)

        def told(lost: UpstreamLost) -> Document:
            return results.failure(lost, to, action)

        amend = answers.amender(live, message.id, to.progress, tell_edits=to.tell_edits)
        given = answers.sent_id(action) if live.foreign_id else message.id

        async def change(document: Document) -> Document | None:
            return document if amend is None else amend(document)

        async with self._reading(relay, outlives=not caller.modern and bool(action.votes)):
            if reply.began and not _is_message(relay):
                return await reply.say(await _refused(relay, message))
            changed = self._judging(caller, answering(given, change))
            return await pass_answer(reply, relay, told, changed)

    @asynccontextmanager
    async def _reading(self, relay: Relay, *, outlives: bool) -> AsyncIterator[None]:
        """End the answer with its reader, unless the tool's work *outlives* a client that goes."""
        try:
            yield
        except (ConnectionError, asyncio.CancelledError):
            if outlives:
                self._read_on(relay)
                raise
            async with relay:
                raise
        except BaseException:
            async with relay:
                raise
        async with relay:
            return

    @asynccontextmanager
    async def _exchange(
        self, caller: Caller, method: str, message: Message | None
    ) -> AsyncIterator[Exchange]:
        answer = await caller.server.upstream.pass_on(carrier(caller, method, message))
        try:
            self._used(caller, answer.status)
            yield answer
        finally:
            await answer.close()

    def _used(self, caller: Caller, status: int) -> None:
        if not caller.session:
            return
        if status < 300:
            self._sessions.worked(caller.server.name, caller.session, caller.agent.id)
        elif status == 404:
            self._sessions.ended(caller.server.name, caller.session)

    def _began(self, answer: Coming, caller: Caller, document: Document) -> None:
        session = value(answer.headers, SESSION)
        result = document.get("result")
        if not session or not isinstance(result, dict):
            return
        version = result.get("protocolVersion")
        agreed = version if isinstance(version, str) else ""
        name, agent = caller.server.name, caller.agent.id
        self._sessions.began(name, session, agent, agreed, caller.capabilities or NO_CAPABILITIES)

    def _judging(self, caller: Caller, change: Change) -> Change:
        """Answer requests to the client's model ourselves, where the server may make none."""
        if caller.server.sampling:
            return change

        async def refuse(document: Document) -> Document | None:
            if sampling.is_asked(document):
                self._tasks.spawn(_answer(caller, sampling.refusal(document)), "no-sampling")
                return None
            if "method" not in document:
                document = sampling.without_rounds(document)
            return await change(document)

        return refuse


def _lists(result: Mapping[str, Any]) -> bool:
    """Say whether a client could take a result for a listing of tools."""
    return any(lax(name) == "tools" for name in result)


def carrier(caller: Caller, method: str, message: Message | None) -> ToolCall:
    """Return what carries a request of HTTP to a server: no tool runs by it."""
    return ToolCall(
        agent=caller.agent,
        upstream=caller.server.name,
        method=method,
        target="/",
        headers=forwarded(caller.headers, caller.server, modern=caller.modern),
        body=b"" if message is None else write_message(sent(message)),
        mcp=McpTool(name="", session=caller.session),
    )


async def _answer(caller: Caller, document: Document) -> None:
    """Answer a request of the server. It goes on without one where it cannot be reached."""
    call = carrier(caller, "POST", message_of(document))
    try:
        exchange = await caller.server.upstream.pass_on(call)
        await exchange.close()
    except UpstreamError:
        return


def _told(message: Message, caller: Caller) -> Told:
    def told(lost: UpstreamLost) -> Document:
        return results.refused(lost.detail, message.id)

    return told


def _is_message(answer: Coming) -> bool:
    return answer.status == 200 and media(answer.headers) in (JSON_TYPE, EVENTS)


async def _refused(answer: Coming, message: Message) -> Document:
    """Return the refusal of a server as an event: the status of the stream is out already."""
    body = await read_whole(answer, _REFUSED_LENGTH)
    given = answers.response_in(body, message.id)
    if given is not None:
        return given
    text = f"The server answered with HTTP {answer.status}, so the call was not taken."
    if answer.status == 404:
        text += " Its session may have ended: initialize a new one and send the call again."
    return results.refused(text, message.id)
