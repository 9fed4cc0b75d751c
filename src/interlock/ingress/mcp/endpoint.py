"""MCP over streamable HTTP: `POST`, `GET` and `DELETE` of `/mcp/{server}`, in every version.

Each message is read strictly and written anew. What runs a tool is judged; listings and
handshakes are amended on their way back; the rest passes unseen, and with it the statuses by
which clients find out what a server speaks. Source: MCP 2024-11-05 to 2026-07-28, "Transports".
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from aiohttp import web

from ...core.actions import Agent
from ...core.errors import (
    CallRefused,
    InterlockError,
    MalformedCall,
    NotFound,
    Suspended,
    UpstreamLost,
)
from ...core.messages import (
    JSON_TYPE,
    MODERN,
    TOOLS_CALL,
    Kind,
    Message,
    arguments_of,
    read_message,
    write_message,
)
from ...core.mirrors import mirrored_params
from ...mcp_ports import Definitions
from ...relay import Relay
from ..admission import Admission, NotInvited
from ..problems import error_notice
from ..reading import body_of, headers_of
from . import headers as of
from . import results, sampling
from .amending import AMENDED
from .connections import Session, Sessions
from .exchanging import Exchanges
from .legacy import LegacyStreams
from .opened import OwnAnswers, Streams
from .reading import is_judged
from .replying import Reply, whole
from .session import (
    CAPABILITIES_KEY,
    NO_CAPABILITIES,
    Amending,
    Answering,
    Caller,
    Document,
    Holding,
    Live,
    Server,
    TaskServing,
)
from .stops import Stops
from .tasks_documents import GET as TASKS_GET
from .tasks_documents import status_of

log = logging.getLogger("interlock.agents")

_PATH = re.compile(r"/mcp/([A-Za-z0-9][A-Za-z0-9_.-]{0,63})/?(?:\?.*)?\Z", re.DOTALL)
_ALLOWED = ("GET", "POST", "DELETE")
_OWN_CODES = 31000  # and the HTTP status: outside of what JSON-RPC and MCP reserve
_READABLE = frozenset({"application/json", "application/*", of.EVENTS, "text/*", "*/*"})


class Learning(Answering, Protocol):
    """It also reads a server's list before headers are compared with it."""

    async def learn(self, message: Message, caller: Caller) -> None:
        """Have the server listed, so that what it says of its tools is known."""


@runtime_checkable
class Forgetful(Protocol):
    """A server that knows which of its sessions have ended: `upstream.mcp_http`."""

    def forgot(self, session: str) -> bool:
        """Say, once, that the server has ended a session."""


class Status(CallRefused):
    """A refusal with an HTTP status of its own."""

    def __init__(self, status: int, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.kind = status, kind


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """One HTTP request, read as far as its headers."""

    http: web.BaseRequest
    server: Server
    agent: Agent
    headers: of.Headers
    fields: of.Fields


class McpEndpoint:
    """Handles every request under `/mcp/`. Any error ends in a refusal, never in a forward.

    *listing* amends what a server answers to `initialize`, `server/discover` and `tools/list`.
    *holding* says how an agent's client is answered. *read_on* reads an answer to its end for the
    record. *tasks* serves tasks, where anybody does. *refused* is told the kind of each refusal.
    *stops* knows who is stopped.
    """

    def __init__(
        self,
        *,
        servers: Mapping[str, Server],
        calls: Learning,
        definitions: Definitions,
        listing: Amending,
        holding: Callable[[str], Holding],
        read_on: Callable[[Relay], None],
        refused: Callable[[str], None],
        stops: Stops,
        tasks: TaskServing | None = None,
        sessions: Sessions | None = None,
        legacy: LegacyStreams | None = None,
        streams: Streams | None = None,
    ) -> None:
        self._servers = servers
        self._legacy = legacy
        self._calls = calls
        self._tasks = tasks
        self._definitions = definitions
        self._holding = holding
        self._refused = refused
        self._stops = stops
        self._sessions = sessions or Sessions()
        self._streams = streams or Streams()
        self._own = OwnAnswers()
        self._exchanges = Exchanges(self._sessions, listing, read_on, self._own)

    async def __call__(self, request: web.BaseRequest, admission: Admission) -> web.StreamResponse:
        """Answer one request."""
        try:
            return await self._handled(await self._admitted(request, admission))
        except InterlockError as error:
            return self._refusal(error, None)
        except ConnectionError:
            if request.transport is not None and not request.transport.is_closing():
                raise
            return web.Response()  # the client has left, as it may: nobody reads this
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("refused a request of MCP because of an unexpected error")
            return self._refusal(InterlockError("Interlock failed; nothing was sent."), None)

    async def _admitted(self, request: web.BaseRequest, admission: Admission) -> _Request:
        try:
            admission.check_host(request)
        except NotInvited as error:
            raise Status(403, error.kind, error.detail) from None
        headers = headers_of(request)
        agent = await admission.agent(headers)
        named = _PATH.match(request.raw_path)
        if named is None and self._legacy is not None:
            named = self._legacy.named(request.raw_path)
        server = self._servers.get(named[1]) if named else None
        if server is None:
            known = ", ".join(sorted(self._servers)) or "none"
            raise NotFound(
                f"There is no MCP server at {request.raw_path[:80]!r}. Servers are at /mcp/NAME;"
                f" configured: {known}."
            )
        return _Request(
            http=request,
            server=server,
            agent=agent,
            headers=headers,
            fields=of.fields_of(headers),
        )

    async def _handled(self, asked: _Request) -> web.StreamResponse:
        if self._legacy is not None and self._legacy.serves(asked.server):
            return await self._legacy.handle(asked.http, asked.server, asked.agent, asked.headers)
        if asked.http.method == "POST":
            return await self._post(asked)
        if asked.http.method not in _ALLOWED:
            raise Status(405, "method-not-allowed", f"Use one of {', '.join(_ALLOWED)} here.")
        caller = self._caller(asked, None)
        reply = Reply(asked.http, streams=True)
        with self._streams.counted(asked.agent.id, asked.http.method):
            if asked.http.method == "DELETE":
                return await self._exchanges.pass_on(reply, caller, "DELETE")
            return await self._listening(reply, caller)

    async def _listening(self, reply: Reply, caller: Caller) -> web.StreamResponse:
        """Pass on what the server says unasked, until it ends, or somebody stops the agent."""
        await self._stops.check(caller.agent.id)
        try:
            async with self._stops.ending(caller.agent.id):
                return await self._exchanges.pass_on(reply, caller, "GET")
        except Suspended:
            if not reply.began:
                raise
            return await reply.end()

    async def _post(self, asked: _Request) -> web.StreamResponse:
        if not of.is_json(asked.fields):
            said = "Send the message as `Content-Type: application/json`, uncompressed."
            raise Status(415, "media-type", said)
        if "accept" in asked.fields and not any(of.accepts(asked.fields, m) for m in _READABLE):
            said = f"`Accept` must name `application/json` and `{of.EVENTS}`."
            raise Status(406, "not-acceptable", said)
        message = read_message(await body_of(asked.http, asked.server.max_body))
        reply = Reply(asked.http, streams=of.accepts(asked.fields, of.EVENTS))
        try:
            of.check(message, asked.fields)
            if not asked.server.sampling:
                message = sampling.undeclared(message)
            caller = self._caller(asked, message)
            try:
                return await self._routed(reply, message, caller, asked)
            except Suspended as error:
                return await self._stopped(reply, error, message, caller)
        except InterlockError as error:
            return await self._refuse(reply, error, message)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:  # it may have been sent: never say that it was not
            log.exception("could not answer a %s", message.method[:80])
            lost = UpstreamLost("Interlock failed while it passed the answer on.")
            return await self._refuse(reply, lost, message)

    async def _routed(
        self, reply: Reply, message: Message, caller: Caller, asked: _Request
    ) -> web.StreamResponse:
        judged, agent = is_judged(message, caller.server), caller.agent.id
        if not judged and message.method != TASKS_GET:
            await self._stops.check(agent, message)
        if self._tasks is not None and message.method.startswith("tasks/"):
            document = await self._tasks.answer(message, caller)
            if document is not None:
                return await reply.say(document, status_of(document))
        if judged:
            return await self._judged(reply, message, caller, asked.fields)
        await self._stops.check(agent, message)
        if message.method == "notifications/cancelled" and await self._calls.cancelled(
            message, caller
        ):
            return whole(202, (), b"")
        with self._streams.counted(agent, message.method):
            async with self._stops.ending(agent, message):
                if message.kind is Kind.REQUEST and message.method in AMENDED:
                    return await self._exchanges.amended(reply, message, caller)
                return await self._exchanges.pass_on(reply, caller, "POST", message)

    async def _judged(
        self, reply: Reply, message: Message, caller: Caller, fields: of.Fields
    ) -> web.StreamResponse:
        if caller.modern and message.method == TOOLS_CALL:
            await self._calls.learn(message, caller)  # what a header has to say, its schema says
            self._check_mirrored(message, caller, fields)
        with self._own.awaited(message, caller):
            given = await self._calls.answer(message, caller, reply)
        if isinstance(given, Live):
            return await self._exchanges.live(reply, given, message, caller)
        return await reply.say(given)

    def _check_mirrored(self, message: Message, caller: Caller, fields: of.Fields) -> None:
        definition = self._definitions.current(caller.server.name, str(message.params.get("name")))
        schema = definition.document.get("inputSchema") if definition is not None else None
        if isinstance(schema, Mapping):
            of.check_parameters(fields, mirrored_params(schema, arguments_of(message)))

    # who asks ------------------------------------------------------------------------------

    def _caller(self, asked: _Request, message: Message | None) -> Caller:
        version = of.version_of(message, asked.fields)
        session, known = "", None
        if version < MODERN:  # later versions have none, and servers ignore what is sent
            session = of.session_of(asked.fields)
            known = self._known(asked, session)
        if known is not None and known.version < MODERN:  # whatever its server says
            version = version or known.version
        return Caller(
            agent=asked.agent,
            server=asked.server,
            holding=self._holding(asked.agent.id),
            version=version or _offered(message),
            session=session,
            headers=of.relevant(asked.headers, modern=version >= MODERN and _repeats(message)),
            capabilities=_declared(message) or (known.capabilities if known else NO_CAPABILITIES),
        )

    def _known(self, asked: _Request, session: str) -> Session | None:
        if not session:
            return None
        upstream = asked.server.upstream
        known = self._sessions.find(asked.server.name, session)
        if known is not None and known.agent != asked.agent.id:
            raise NotFound("There is no such session of this agent; initialize a new one.")
        if isinstance(upstream, Forgetful) and upstream.forgot(session):
            self._sessions.ended(asked.server.name, session)
            raise NotFound("The server has ended this session; initialize a new one.")
        return known

    # refusing ------------------------------------------------------------------------------

    async def _stopped(
        self, reply: Reply, error: Suspended, message: Message, caller: Caller
    ) -> web.StreamResponse:
        """Refuse a request so that every client hands the words on; a 403 would ask for a key."""
        if message.kind is not Kind.REQUEST or reply.piped:
            raise error
        self._refused(error.kind)
        return await reply.say(results.failure(error, results.asker(message, caller)))

    async def _refuse(
        self, reply: Reply, error: InterlockError, message: Message
    ) -> web.StreamResponse:
        if not reply.began:
            return self._refusal(error, message.id)
        self._refused(error.kind)
        if reply.piped:
            return reply.cut()  # the server was speaking: nothing can be said in its name
        return await reply.say(_document(error, message.id))

    def _refusal(self, error: InterlockError, given: str | int | None) -> web.StreamResponse:
        self._refused(error.kind)
        extra: list[tuple[str, str]] = [("Server", "interlock"), ("Cache-Control", "no-store")]
        if error.status == 401:
            extra.append(("WWW-Authenticate", 'Bearer realm="interlock"'))
        if error.status == 405:
            extra.append(("Allow", ", ".join(_ALLOWED)))
        if error.status == 503:
            extra.append(("Retry-After", "5"))
        extra.append(("Content-Type", JSON_TYPE))
        return whole(error.status, extra, write_message(_document(error, given)))


def _document(error: InterlockError, given: str | int | None) -> Document:
    if isinstance(error, MalformedCall):
        return results.malformed(error, given)
    text = error_notice(error).detail
    return results.refused(text, given, _OWN_CODES + error.status)


def _declared(message: Message | None) -> Mapping[str, object] | None:
    """Return the capabilities that the client declares with this very message."""
    if message is None:
        return None
    inside = message.meta.get(CAPABILITIES_KEY)
    declared = message.params.get("capabilities") if message.method == "initialize" else inside
    return declared if isinstance(declared, Mapping) else None


def _repeats(message: Message | None) -> bool:
    """Say whether headers repeat what a message says: a GET, or a response, says nothing of it."""
    return message is not None and message.kind is not Kind.RESPONSE


def _offered(message: Message | None) -> str:
    if message is None or message.method != "initialize":
        return ""
    offered = message.params.get("protocolVersion")
    return offered if isinstance(offered, str) and offered < MODERN else ""
