"""A real MCP server on mcp 2: over streamable HTTP inside a test, or over stdio as a program."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError


@dataclass(kw_only=True)
class Running:
    """A server that runs, what reached its tools, and what ends the wait of the slow one.

    `refusing` answers every call with 403 before any tool sees it, as a gateway would.
    """

    url: str = ""
    calls: list[str] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)
    refusing: bool = False
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)


def tools(running: Running) -> MCPServer[Any]:
    """`add` answers, `fail` answers with an error, `slow` answers when it is released."""
    server: MCPServer[Any] = MCPServer("real")

    @server.tool(structured_output=False)
    async def add(a: int, b: int) -> str:
        running.calls.append("add")
        return f"the sum is {a + b}"

    @server.tool(structured_output=False)
    async def fail(path: str) -> str:
        running.calls.append("fail")
        raise ToolError(f"no such file: {path}")

    @server.tool(structured_output=False)
    async def slow(context: Context[Any, Any]) -> str:
        running.calls.append("slow")
        await context.report_progress(0, 1, "waiting")
        running.waiting.set()
        await running.release.wait()
        return "late"

    return server


@asynccontextmanager
async def over_http() -> AsyncIterator[Running]:
    """A server on a port of its own, until the end of the block."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        running = Running(url=f"http://127.0.0.1:{listening.getsockname()[1]}/mcp")
        app = tools(running).streamable_http_app()

        async def noting(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                return await app(scope, receive, send)
            key = dict(scope["headers"]).get(b"interlock-key")
            running.keys.add(None if key is None else key.decode())
            first = await receive()
            if running.refusing and b'"tools/call"' in first.get("body", b""):
                await send({"type": "http.response.start", "status": 403})
                return await send({"type": "http.response.body", "body": b"refused"})
            waiting = [first]
            return await app(scope, lambda: _next(waiting, receive), send)

        config = uvicorn.Config(noting, log_level="critical", ws="none", lifespan="on")
        server = _Server(config)
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve([listening]), name="mcp-server")
            try:
                yield running
            finally:
                running.release.set()
                server.should_exit = server.force_exit = True


async def _next(waiting: list[Any], receive: Any) -> Any:
    return waiting.pop() if waiting else await receive()


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to pytest."""
        yield


if __name__ == "__main__":
    tools(Running()).run("stdio")
