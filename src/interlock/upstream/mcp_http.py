"""An MCP server over streamable HTTP: tools are called once each, everything else is passed on.

Calls and streams have a pool of connections each: streams that stay open for hours never keep a
call waiting. Source: MCP 2025-03-26 to 2026-07-28, "Transports".
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import replace
from urllib.parse import SplitResult, urljoin, urlsplit

from aiohttp.abc import AbstractResolver

from ..core.actions import ToolCall
from ..core.errors import UpstreamLost, UpstreamUnreachable
from ..core.messages import Kind, read_message
from .credentials import Headers
from .http import HttpExchange, HttpSettings, HttpUpstream

PROBE_SECONDS = 5.0  #: in which a server has to say whether it is at the other spelling
SESSION = "Mcp-Session-Id"
_OURS = frozenset({"content-type", SESSION.lower()})
_MOVED = frozenset({301, 302, 303, 307, 308})
_UNREAD = frozenset({307, 308})  # the request is to be sent elsewhere, as it is: it was not taken
_FORGOTTEN = 10_000  # sessions; the oldest go first
_BOTH = ("Accept", "application/json, text/event-stream")
_JSON = ("Content-Type", "application/json")


class McpHttpUpstream:
    """ports.McpServer at one endpoint. `settings.url` is the endpoint, exactly as it is called.

    A redirect between the URL with and without a slash at its end is found out once, by OPTIONS,
    before the first request; a call is never sent after a redirect.
    """

    def __init__(self, settings: HttpSettings, *, resolver: AbstractResolver | None = None) -> None:
        parts = urlsplit(settings.url)
        self._url = settings.url
        self._given = parts.path or "/"
        self._path = ""  #: where the server really is; empty: not found out yet
        self._finding = asyncio.Lock()
        self._gone: OrderedDict[str, None] = OrderedDict()
        here = replace(settings, url=f"{parts.scheme}://{parts.netloc}")
        self._calls = HttpUpstream(here, resolver=resolver)
        self._streams = HttpUpstream(replace(here, read_s=0), resolver=resolver)  # 0: any silence
        self._brief = HttpUpstream(replace(here, read_s=0, keep_alive_s=0), resolver=resolver)

    def serves(self, call: ToolCall) -> bool:
        """Any process can send a call over HTTP."""
        return True

    async def send(self, call: ToolCall) -> HttpExchange:
        """Send the message of *call* once, on its session.

        Raises:
            UpstreamUnreachable: provably nothing was executed.
            UpstreamLost: something may have been executed; the outcome is unknown.
        """
        headers = (*_without(call.headers, _OURS | {"accept"}), _JSON, _BOTH)
        path = self._path or await self._found(call)
        sent = replace(call, method="POST", target=path, headers=_on_session(call, headers))
        exchange = await self._taken(await self._calls.send(sent))
        if exchange.status == 404 and call.mcp is not None and call.mcp.session:
            self._gone[call.mcp.session] = None
            if len(self._gone) > _FORGOTTEN:
                self._gone.popitem(last=False)
        return exchange

    def forgot(self, session: str) -> bool:
        """Say, once, that the server has ended a session, which its client may not know yet.

        A call that waited for people is sent when its caller may have gone, so that the 404 by
        which servers say so reaches nobody.
        """
        if session not in self._gone:
            return False
        del self._gone[session]
        return True

    async def pass_on(self, call: ToolCall) -> HttpExchange:
        """Pass on what runs no tool. Raises as `send`; no silence ends the answer."""
        headers = _without(call.headers, _OURS)
        if call.body:
            headers = (*headers, _JSON)
        if call.method == "POST" and not any(name.lower() == "accept" for name, _ in headers):
            headers = (*headers, _BOTH)
        path = self._path or await self._found(call)
        sent = replace(call, target=path, headers=_on_session(call, headers))
        pool = self._streams if _is_answered(call) else self._brief
        return await self._taken(await pool.send(sent))

    async def close(self) -> None:
        """Close every connection. What is under way ends as UpstreamLost."""
        await self._calls.close()
        await self._streams.close()
        await self._brief.close()

    async def _taken(self, exchange: HttpExchange) -> HttpExchange:
        """Refuse a redirect: whoever followed it would go past the gate."""
        if exchange.status not in _MOVED:
            return exchange
        await exchange.close()
        self._path = ""  # it may have moved since it was found: look again before the next one
        place = _location(exchange.headers)
        said = (
            f"The MCP server at {self._url} redirects to {place or 'nowhere'}, and calls do not"
            " follow redirects. If it has moved, set the `url` of the server to where it is."
        )
        if exchange.status in _UNREAD:
            raise UpstreamUnreachable(f"{said} Nothing was executed.")
        raise UpstreamLost(said)

    async def _found(self, call: ToolCall) -> str:
        async with self._finding:
            if not self._path:
                self._path = await self._asked(call)
            return self._path

    async def _asked(self, call: ToolCall) -> str:
        """Return the path of the endpoint, with or without the slash at its end.

        Raises:
            UpstreamUnreachable: there is no connection; nothing is known.
        """
        probe = replace(call, method="OPTIONS", target=self._given, headers=(), body=b"")
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                exchange = await self._calls.send(probe)
        except (TimeoutError, UpstreamLost):
            return self._given  # it does not know OPTIONS
        await exchange.close()
        place = _location(exchange.headers) if exchange.status in _MOVED else ""
        if place and slash_only(self._url, place):
            return urlsplit(urljoin(self._url, place)).path
        return self._given


def slash_only(url: str, location: str) -> bool:
    """Say whether *location*, as a redirect of *url*, differs by the slash at its end only."""
    try:
        there, here = urlsplit(urljoin(url, location)), urlsplit(url)
        if _origin(there) != _origin(here):
            return False
    except ValueError:
        return False
    if there.query or there.fragment:
        return False
    return {there.path, here.path} == {there.path.rstrip("/"), there.path.rstrip("/") + "/"}


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None, bool]:
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, port, parts.username is None


def _location(headers: Headers) -> str:
    return next((value for name, value in headers if name.lower() == "location"), "")


def _without(headers: Headers, names: frozenset[str]) -> Headers:
    return tuple([pair for pair in headers if pair[0].lower() not in names])


def _on_session(call: ToolCall, headers: Headers) -> Headers:
    session = call.mcp.session if call.mcp is not None else ""
    return (*headers, (SESSION, session)) if session else headers


def _is_answered(call: ToolCall) -> bool:
    """Whether it is a request of JSON-RPC, or a stream.

    Servers say 202 to all else before they have looked at it, and may then drop the connection:
    the next message, of whatever session, must not be on it.
    """
    if call.method == "POST":
        return read_message(call.body).kind is Kind.REQUEST
    return call.method == "GET"
