"""An MCP server that does nothing, quickly: what stands before it is what is measured.

python benchmarks/mcp_upstream.py          # streamable HTTP on 127.0.0.1, prints its port
python benchmarks/mcp_upstream.py --stdio  # the same on pipes

Every version from 2024-11-05 to 2026-07-28 is answered, in JSON. `GET /count` says how many calls
of tools came. `POST /records/N` answers as a plain HTTP tool, so that both ways can be compared.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import logging
import signal
import sys
from typing import Any

import uvloop
from aiohttp import web

MODERN = "2026-07-28"
LEGACY = "2025-11-25"
RECORD = b'{"ok": true, "record": {"id": 7, "name": "seven", "tags": ["a", "b"], "total": 12.5}}'
SCHEMA = {
    "type": "object",
    "required": ["amount"],
    "properties": {"amount": {"type": "number"}, "note": {"type": "string"}},
}
TOOLS = [
    {
        "name": name,
        "description": f"Reads what the {name} says of a record, by its amount and a note.",
        "inputSchema": SCHEMA,
        "annotations": {"readOnlyHint": True},
    }
    for name in ("read", *(f"read_{number}" for number in range(1, 10)))
]
INFO = {"name": "fake", "version": "1"}
CAN: dict[str, Any] = {"tools": {"listChanged": False}}


class FakeServer:
    """Answers messages. `calls`: how many `tools/call` came."""

    def __init__(self) -> None:
        self.calls = 0

    def answer(self, message: dict[str, Any]) -> dict[str, Any] | None:
        """Return the response to *message*; None: it wants none."""
        if "id" not in message or "method" not in message:
            return None
        given = {"jsonrpc": "2.0", "id": message["id"]}
        params = message.get("params", {})
        result = self._result(message["method"], params)
        if result is None:
            return {**given, "error": {"code": -32601, "message": "Method not found"}}
        if "io.modelcontextprotocol/protocolVersion" in params.get("_meta", {}):
            result = {"resultType": "complete", **result}
            if message["method"] in ("tools/list", "server/discover"):
                result |= {"ttlMs": 60_000, "cacheScope": "public"}
        return {**given, "result": result}

    def _result(self, method: str, params: dict[str, Any]) -> dict[str, Any] | None:
        if method == "tools/call":
            self.calls += 1
            return {"content": [{"type": "text", "text": RECORD.decode()}], "isError": False}
        if method == "tools/list":
            return {"tools": TOOLS}
        if method == "initialize":
            asked = params.get("protocolVersion", LEGACY)
            agreed = asked if asked < MODERN else LEGACY
            return {"protocolVersion": agreed, "capabilities": CAN, "serverInfo": INFO}
        if method == "server/discover":
            return {"supportedVersions": [MODERN, LEGACY], "capabilities": CAN, "serverInfo": INFO}
        return {} if method == "ping" else None


class Endpoint:
    """The server over streamable HTTP."""

    def __init__(self) -> None:
        self._server = FakeServer()
        self._sessions = itertools.count(1)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/count":
            return web.json_response(self._server.calls)
        if request.path != "/mcp":
            await request.read()
            return web.Response(body=RECORD, content_type="application/json")
        if request.method != "POST":
            return web.Response(status=200 if request.method == "DELETE" else 405)
        message = json.loads(await request.read())
        answer = self._server.answer(message)
        if answer is None:
            return web.Response(status=202)
        response = web.Response(body=json.dumps(answer).encode(), content_type="application/json")
        if message["method"] == "initialize":
            response.headers["Mcp-Session-Id"] = f"session-{next(self._sessions)}"
        return response


async def serve() -> None:
    """Serve on 127.0.0.1 until SIGTERM; print the port."""
    logging.getLogger("aiohttp.server").disabled = True  # a load generator just hangs up at its end
    server = web.Server(Endpoint(), access_log=None)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0, backlog=1024)
    print(listener.sockets[0].getsockname()[1], flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    listener.close()
    await server.shutdown(1)


def pipes() -> None:
    """Answer lines until there are no more."""
    server, out = FakeServer(), sys.stdout.buffer
    for line in sys.stdin.buffer:
        answer = server.answer(json.loads(line))
        if answer is not None:
            out.write(json.dumps(answer).encode() + b"\n")
            out.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stdio", action="store_true", help="speak over pipes")
    if parser.parse_args().stdio:
        pipes()
    else:
        uvloop.run(serve())


if __name__ == "__main__":
    main()
