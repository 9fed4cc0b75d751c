"""The agents' listener: unmodified HTTP clients in, tools' own answers out.

`ANY /t/{upstream}/{path}` proposes a call; `/v1/calls/{id}` is where a held one is followed,
fetched and taken back, and its `/outcome` where its agent says how it turned out;
`PUT /v1/sessions/{id}` states what the user asked for; `/mcp/{server}` speaks MCP (`mcp.endpoint`).
Requests are routed on the target as received: nothing is decoded, normalised or matched by a
framework before it is judged.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from aiohttp import web

from ..callers import Submission
from ..core.actions import PENDING, Action, Agent
from ..core.errors import (
    InterlockError,
    MalformedCall,
    NotFound,
    StateUnavailable,
    StoreUnavailable,
    UpstreamLost,
)
from ..gate import Gate
from ..learning_ports import Audits
from ..ports import KeyRing
from ..relay import Relay
from . import problems
from .admission import Admission
from .outcome import OUTCOME_PATH, Outcomes
from .outcomes import (
    Answers,
    follow,
    render,
    render_error,
    render_failure,
    replay,
    with_header,
)
from .reading import body_of, headers_of, idempotency
from .sessions import LARGEST_BODY, SESSION_PATH, parse_task, session_named
from .wire import (
    AWS_SIGV4,
    Prefer,
    RawRequest,
    Settings,
    parse_call,
    parse_prefer,
    sigv4_scope,
)

log = logging.getLogger("interlock.agents")

LONGEST_WAIT = 600  #: seconds; more than any client's patience, less than a proxy's
ONE_WRITE = 65_536  #: bytes; longer answers are passed on piece by piece
PRESENCE = 8.0  #: seconds after its answer that a caller has to come back; it is told 5
_CALL = re.compile(r"/t/([a-z0-9][a-z0-9_.-]{0,63})(/.*|\?.*)?\Z", re.DOTALL)
_STATUS = re.compile(r"/v1/calls/([a-z0-9]{8,40})(/response)?\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How one upstream's callers are answered. `hold_seconds`: how long a connection is held."""

    name: str
    settings: Settings
    hold_seconds: float = 4.0
    answers: Answers = Answers()


McpListener = Callable[[web.BaseRequest, Admission], Awaitable[web.StreamResponse]]
"""Answers every request under `/mcp/`, refusals included."""


class AgentsListener:
    """Handles every request of the agents' listener; the outermost catch-all refuses."""

    def __init__(
        self,
        gate: Gate,
        keys: KeyRing,
        routes: Mapping[str, Route],
        *,
        anonymous: Agent | None,
        hosts: frozenset[str],
        refused: Callable[[str], None],
        mcp: McpListener | None = None,
        audits: Audits | None = None,
    ) -> None:
        self._gate = gate
        self._admission = Admission(keys, anonymous=anonymous, hosts=hosts)
        self._routes = routes
        self._refused = refused
        self._mcp = mcp
        self._outcomes = Outcomes(gate, audits) if audits is not None else None

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request. Any error ends in a refusal, never in a forward."""
        if self._mcp is not None and request.raw_path.startswith("/mcp/"):
            return await self._mcp(request, self._admission)
        route: Route | None = None
        try:
            self._admission.check_host(request)
            target = request.raw_path
            called = _CALL.match(target)
            if called:
                route = self._route(called[1])
                return await self._call(request, route, called[2] or "/")
            status = _STATUS.match(target)
            if status:
                return await self._follow(request, status[1], bool(status[2]))
            return await self._told(request, target)
        except InterlockError as error:
            self._refused(error.kind)
            return _response(_rendered_error(request, error, route))
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:
            log.exception("refused a call because of an unexpected error")
            unexpected = InterlockError(
                "Interlock failed while judging this call; nothing was sent."
            )
            self._refused(unexpected.kind)
            return _response(_rendered_error(request, unexpected, route))

    def _route(self, name: str) -> Route:
        route = self._routes.get(name)
        if route is None:
            known = ", ".join(sorted(self._routes)) or "none"
            raise NotFound(f"There is no upstream `{name}`. Configured: {known}.")
        return route

    # calling -------------------------------------------------------------------------------

    async def _call(
        self, request: web.BaseRequest, route: Route, target: str
    ) -> web.StreamResponse:
        headers = headers_of(request)
        agent = await self._admission.agent(headers)
        body = await body_of(request, route.settings.max_body)
        raw = RawRequest(
            method=request.method,
            target=target,
            version=(request.version.major, request.version.minor),
            headers=headers,
            body=body,
        )
        call = parse_call(raw, route.settings, agent=agent, upstream=route.name)
        prefer = parse_prefer(headers)
        submission = await self._gate.submit(call, key=idempotency(headers, agent))
        try:
            return await self._answer(request, route, submission, prefer)
        except (InterlockError, ConnectionError, asyncio.CancelledError):
            raise
        except Exception:  # the call may have been sent: never say that it was not
            log.exception("could not answer call %s", submission.action.id)
            lost = UpstreamLost("Interlock failed while it passed the answer on.")
            return _response(render_failure(submission.action, lost, route.answers))

    async def _answer(
        self, request: web.BaseRequest, route: Route, submission: Submission, prefer: Prefer
    ) -> web.StreamResponse:
        if submission.relay is not None:
            return await self._stream(request, route, submission.action, submission.relay)
        if submission.failure is not None:
            return _response(render_failure(submission.action, submission.failure, route.answers))
        action = await self._wait(submission.action, route.hold_seconds, prefer)
        return _response(_applied(render(action, route.answers), prefer))

    async def _wait(self, action: Action, usual: float, prefer: Prefer) -> Action:
        if action.state not in PENDING:
            return action
        seconds = _patience(usual, prefer)
        try:
            await self._gate.store.attend(action.id, seconds + PRESENCE)
            return await self._gate.wait(action, seconds) if seconds else action
        except StoreUnavailable as error:  # it may have been decided and sent meanwhile
            raise StateUnavailable from error

    async def _stream(
        self, request: web.BaseRequest, route: Route, action: Action, relay: Relay
    ) -> web.StreamResponse:
        if _small(relay) and not _bodiless(request.method, relay.status):
            return await self._whole(route, action, relay)
        response = web.StreamResponse(status=relay.status)
        for name, value in (*relay.headers, *problems.action_headers(action)):
            response.headers.add(name, value)
        length = response.headers.get("Content-Length")
        if length is None and not _bodiless(request.method, relay.status):
            response.enable_chunked_encoding()
        try:
            async with relay:
                await response.prepare(request)
                async for chunk in relay.chunks():
                    await response.write(chunk)
        except UpstreamLost as broken:
            # the status is out already: cutting the connection is the only honest end
            log.warning("the answer to call %s broke off: %s", action.id, broken.detail)
            if request.transport is not None:
                request.transport.abort()
            return response
        await response.write_eof()
        return response

    async def _whole(self, route: Route, action: Action, relay: Relay) -> web.StreamResponse:
        """Pass a short answer on in one write."""
        try:
            async with relay:
                body = b"".join([chunk async for chunk in relay.chunks()])
        except UpstreamLost as broken:
            return _response(render_failure(action, broken, route.answers))
        response = web.Response(status=relay.status, body=body)
        _add_headers(response, (*relay.headers, *problems.action_headers(action)))
        return response

    # what agents tell ----------------------------------------------------------------------

    async def _told(self, request: web.BaseRequest, target: str) -> web.StreamResponse:
        outcome, session = OUTCOME_PATH.match(target), SESSION_PATH.match(target)
        if outcome and self._outcomes is not None:
            agent = await self._admission.agent(headers_of(request))
            return _response(await self._outcomes.take(request, agent, outcome[1]))
        if session:
            return await self._state_task(request, session[1])
        raise NotFound(
            f"There is nothing at {target[:80]!r}. Call tools at /t/{{upstream}}/{{path}}."
        )

    async def _state_task(self, request: web.BaseRequest, segment: str) -> web.StreamResponse:
        headers = headers_of(request)
        agent = await self._admission.agent(headers)
        if request.method != "PUT":
            raise NotFound("Only PUT is possible here.")
        session = session_named(segment)
        body = await body_of(request, LARGEST_BODY)
        task = parse_task(request.headers.get("Content-Type", ""), body)
        await self._gate.state_task(agent.id, session, task)
        return web.Response(status=204, headers={"Server": "interlock"})

    # following -----------------------------------------------------------------------------

    async def _follow(
        self, request: web.BaseRequest, action_id: str, response: bool
    ) -> web.StreamResponse:
        headers = headers_of(request)
        agent = await self._admission.agent(headers)
        if request.method == "DELETE" and not response:
            cancelled = await self._gate.cancel(action_id, agent.id)
            return _response(follow(cancelled))
        if request.method not in ("GET", "HEAD"):
            raise NotFound("Only GET and DELETE are possible here.")
        try:
            action = await self._gate.of_agent(action_id, agent.id)
        except StoreUnavailable as error:
            raise StateUnavailable from error
        if action is None:
            raise NotFound(f"You have no call {action_id}.")
        prefer = parse_prefer(headers)
        seen = request.headers.get("If-None-Match", "")
        if seen in ("", f'"{action.version}"'):
            action = await self._wait(action, 0.0, prefer)
        route = self._routes.get(action.call.upstream)
        answers = route.answers if route else Answers()
        if response:
            return _response(_applied(replay(action, answers), prefer))
        if seen == f'"{action.version}"':
            return web.Response(status=304, headers={"ETag": seen})
        return _response(_applied(follow(action), prefer))


def _rendered_error(
    request: web.BaseRequest, error: InterlockError, route: Route | None
) -> problems.Rendered:
    if route is None:
        return render_error(error, Answers())
    service = ""
    if route.settings.service == AWS_SIGV4:
        service = _signed_for(request.headers.get("Authorization", ""))
    return render_error(error, route.answers, service, request.headers.get("Content-Type", ""))


def _signed_for(authorization: str) -> str:
    try:
        return sigv4_scope(authorization)[2]
    except MalformedCall:
        return ""  # that may be the very error that is told


def _patience(usual: float, prefer: Prefer) -> float:
    if prefer.wait is not None:
        return float(min(prefer.wait, LONGEST_WAIT))
    return 0.0 if prefer.respond_async else usual


def _applied(rendered: problems.Rendered, prefer: Prefer) -> problems.Rendered:
    if prefer.wait is not None:
        return with_header(rendered, "Preference-Applied", f"wait={min(prefer.wait, LONGEST_WAIT)}")
    if prefer.respond_async:
        return with_header(rendered, "Preference-Applied", "respond-async")
    return rendered


def _bodiless(method: str, status: int) -> bool:
    return method == "HEAD" or status in (204, 304) or status < 200


def _response(rendered: problems.Rendered) -> web.Response:
    response = web.Response(
        status=rendered.status, body=rendered.body, headers={"Server": "interlock"}
    )
    _add_headers(response, rendered.headers)
    return response


def _add_headers(response: web.Response, headers: Iterable[tuple[str, str]]) -> None:
    for name, value in headers:
        if name.lower() == "content-type":
            response.headers[name] = value  # in place of the one that aiohttp supposes
        elif name.lower() != "content-length":
            response.headers.add(name, value)


def _small(relay: Relay) -> bool:
    """Whether the whole answer is on its way already and fits in one write."""
    lengths = [value for name, value in relay.headers if name.lower() == "content-length"]
    return len(lengths) == 1 and lengths[0].isdecimal() and int(lengths[0]) <= ONE_WRITE


class _Handler(web.RequestHandler):
    """Refuses what is not HTTP without echoing it: it may hold a credential."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        self.log_exception("aiohttp could not answer a request", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("An answer is under way already; it cannot become another one.")
        if 400 <= status < 500:
            refused: InterlockError = MalformedCall("The request is not valid HTTP/1.1.")
        else:
            refused = UpstreamLost("Interlock failed while it answered.")
        response = _response(render_error(refused, Answers()))
        response.force_close()
        return response


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Handler(self, loop=self._loop, **self._kwargs)


def server(listener: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> web.Server:
    """Wrap *listener* in a server that hands bodies over as they came, and notices lost callers."""
    return _Server(
        listener,
        handler_cancellation=True,
        auto_decompress=False,
        access_log=None,
        keepalive_timeout=75.0,
        max_line_size=16_384,
        max_field_size=65_536,  # the user's request may come in a header, in any script
    )
