"""A server of HTTP+SSE that does what a test says, and remembers what reached it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

Play = Callable[[web.StreamResponse, dict[str, Any]], Awaitable[None]]


class Scripted:
    """A server that answers each POST as `play` says, on the stream that it is given."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.gets: list[web.BaseRequest] = []
        self.posts: list[web.BaseRequest] = []
        self.streams: list[web.StreamResponse] = []
        self.ended: list[asyncio.Event] = []
        self.first = b"event: endpoint\ndata: /said?session=secret%d\n\n"
        self.status = 202
        self.kind = "text/event-stream"
        self.play: Play = usual

    async def start(self) -> None:
        self._own = web.Server(self._handle, handler_cancellation=True)  # type: ignore[arg-type]
        self._site = await asyncio.get_running_loop().create_server(self._own, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{port_of(self._site)}/sse"

    async def stop(self) -> None:
        for each in self.ended:
            each.set()
        self._site.close()
        await self._own.shutdown(0.1)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "POST":
            self.posts.append(request)
            message = await request.json()
            self.got.append(message)
            number = int(request.query["session"].removeprefix("secret"))
            if self.status == 202:
                await self.play(self.streams[number], message)
            return web.Response(status=self.status, text="Accepted")
        response = web.StreamResponse(headers={"Content-Type": self.kind})
        self.gets.append(request)
        self.streams.append(response)
        self.ended.append(asyncio.Event())
        await response.prepare(request)
        number = len(self.streams) - 1
        await response.write(self.first.replace(b"%d", str(number).encode()))
        try:
            await self.ended[number].wait()
        finally:
            self.ended[number].set()
        return response


async def say(response: web.StreamResponse, document: Any) -> None:
    await response.write(b"event: message\ndata: " + json.dumps(document).encode() + b"\n\n")


def done(message: dict[str, Any], **result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


async def usual(response: web.StreamResponse, message: dict[str, Any]) -> None:
    """Answer every request, with what it was."""
    if "id" not in message or "method" not in message:
        return
    if message["method"] == "tools/list":
        tools = [{"name": n, "inputSchema": {"type": "object"}} for n in ("look", "buy")]
        await say(response, done(message, tools=tools))
    else:
        await say(response, done(message, did=message["method"]))


def port_of(site: asyncio.Server) -> int:
    port: int = site.sockets[0].getsockname()[1]
    return port
