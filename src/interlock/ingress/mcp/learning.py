"""Lists the tools of a server before the first of them is judged: what it says of them is judged.

A client may call a tool that it knows from an earlier run, so that no listing of its own has
passed here. The listing goes over the caller's own connection, bounded in pages, bytes and time.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from typing import Any

from ...core.actions import McpTool, ToolCall
from ...core.errors import MalformedCall, StoreUnavailable, UpstreamError
from ...core.listings import LONGEST_LISTING, MOST_LISTED, size_of
from ...core.messages import Message, write_message
from ...mcp_ports import Definitions
from ...tasks import Tasks
from .asking import response_of
from .headers import METHOD, NAME, PARAM, forwarded
from .session import CAPABILITIES_KEY, VERSION_KEY, Caller

LIST = "tools/list"
PAGES = 50
BYTES = 8 * 2**20  #: of one page
SECONDS = 10.0  #: for all pages
PAUSE = 5.0  #: seconds after a listing that failed, before the next one is tried

_CLIENT_INFO = "io.modelcontextprotocol/clientInfo"
_SPOKEN = (VERSION_KEY, CAPABILITIES_KEY, _CLIENT_INFO)


class Learner:
    """Makes sure that a server has been listed; callers that come together share one listing."""

    def __init__(self, definitions: Definitions, running: Tasks) -> None:
        self._definitions = definitions
        self._running = running
        self._listing: dict[str, asyncio.Task[None]] = {}
        self._failed: dict[str, float] = {}  #: when, by this loop's clock
        self._ids = itertools.count(1)

    async def learn(self, message: Message, caller: Caller) -> None:
        """Return once the server of *caller* was listed, or that has failed."""
        name = caller.server.name
        if self._definitions.known(name) or self._failed_lately(name):
            return
        listing = self._listing.get(name)
        if listing is None:
            listing = self._running.spawn(self._list(message, caller), f"list-{name}")
            self._listing[name] = listing
            listing.add_done_callback(lambda _: self._listing.pop(name, None))
        await asyncio.shield(listing)

    def _failed_lately(self, name: str) -> bool:
        failed = self._failed.get(name)
        return failed is not None and asyncio.get_running_loop().time() - failed < PAUSE

    async def _list(self, message: Message, caller: Caller) -> None:
        try:
            async with asyncio.timeout(SECONDS):
                tools = await self._all_pages(message, caller)
                if tools is not None:
                    await self._definitions.listed(caller.server.name, tools, whole=True)
                    return
        except (TimeoutError, UpstreamError, StoreUnavailable, MalformedCall, RecursionError):
            pass  # what was not listed is not accepted, so that a person decides
        self._failed[caller.server.name] = asyncio.get_running_loop().time()

    async def _all_pages(self, message: Message, caller: Caller) -> list[Mapping[str, Any]] | None:
        tools: list[Mapping[str, Any]] = []
        cursor: str | None = None
        size = 0
        for _ in range(PAGES):
            page = await self._page(message, caller, cursor)
            listed = page.get("tools") if page is not None else None
            if page is None or not isinstance(listed, list):
                return None
            found = [tool for tool in listed if isinstance(tool, dict)]
            if len(tools) + len(listed) > MOST_LISTED:  # it would hold up everybody else
                return None
            tools, size = [*tools, *found], size + size_of(found)
            if size > LONGEST_LISTING:
                return None
            cursor = page.get("nextCursor")
            if not isinstance(cursor, str):
                return tools
        return None

    async def _page(
        self, message: Message, caller: Caller, cursor: str | None
    ) -> Mapping[str, Any] | None:
        given = f"interlock-list-{next(self._ids)}"
        params: dict[str, Any] = {} if cursor is None else {"cursor": cursor}
        said = {name: message.meta[name] for name in _SPOKEN if name in message.meta}
        if said:
            params["_meta"] = said
        document = {"jsonrpc": "2.0", "id": given, "method": LIST, "params": params}
        carrier = ToolCall(
            agent=caller.agent,
            upstream=caller.server.name,
            method="POST",
            target="/",
            headers=_headers(caller),
            body=write_message(document),
            mcp=McpTool(name="", session=caller.session),
        )
        exchange = await caller.server.upstream.pass_on(carrier)
        response = await response_of(exchange, given, BYTES)
        result = response.get("result") if response is not None else None
        return result if isinstance(result, dict) else None


def _headers(caller: Caller) -> tuple[tuple[str, str], ...]:
    """Return the caller's headers, saying of this message what they said of its own."""
    kept: list[tuple[str, str]] = []
    for name, value in forwarded(caller.headers, caller.server, modern=caller.modern):
        if name.lower() == METHOD:
            kept.append((name, LIST))
        elif name.lower() != NAME and not name.lower().startswith(PARAM):
            kept.append((name, value))
    return tuple(kept)
