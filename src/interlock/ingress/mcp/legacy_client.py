"""The client's end of a stream of HTTP+SSE."""

from __future__ import annotations

import asyncio

from aiohttp import web

from ...core.sse import COMMENT, message_event
from .headers import EVENTS

KEEP = 15.0  #: seconds between two signs of life
PATIENCE = 60.0  #: seconds in which a client must have read what it was sent

_HEADERS = {
    "Content-Type": EVENTS,
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
    "Server": "interlock",
}


class LegacyClient:
    """Writes to the stream of one client; what is written to one that has gone is dropped."""

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request
        self._response = web.StreamResponse(headers=_HEADERS)
        self._ready = asyncio.Event()
        self._writing = asyncio.Lock()
        self._gone = False

    async def begin(self, endpoint: str) -> None:
        """Begin the stream, and say where messages go."""
        await self._response.prepare(self._request)
        await self._response.write(b"event: endpoint\ndata: " + endpoint.encode() + b"\n\n")
        self._ready.set()

    async def write(self, message: bytes) -> None:
        """Send one JSON-RPC message."""
        await self._write(message_event(message))

    async def keep(self) -> None:
        """Send signs of life, for as long as this runs."""
        while True:
            await asyncio.sleep(KEEP)
            await self._write(COMMENT)

    async def end(self) -> web.StreamResponse:
        """End the stream."""
        self._gone = True
        await self._response.write_eof()
        return self._response

    def leave(self) -> None:
        """The client has gone; whoever still waits to write to it need not."""
        self._gone = True
        self._ready.set()

    async def _write(self, data: bytes) -> None:
        await self._ready.wait()
        async with self._writing:
            if self._gone:
                return
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._response.write(data)
            except (ConnectionError, TimeoutError):  # it does not read: its end ends the rest
                self._gone = True
                if self._request.transport is not None:
                    self._request.transport.abort()
