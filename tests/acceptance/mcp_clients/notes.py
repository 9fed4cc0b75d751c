"""A real MCP server on mcp 2 that writes down what it was asked to do: a program.

`python notes.py http` prints where it is, over streamable HTTP and over HTTP+SSE; `stdio` speaks
MCP on its pipes. What ran is in the file that RAN names, one line each.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn
from mcp.server.mcpserver import MCPServer

server: MCPServer[Any] = MCPServer("notes", log_level="ERROR")


def ran(what: str) -> None:
    with Path(os.environ["RAN"]).open("a") as file:
        file.write(what + "\n")


@server.tool(structured_output=False)
async def read(note: str) -> str:
    """Reads a note."""
    ran(f"read {note}")
    return f"what {note} says"


@server.tool(structured_output=False)
async def post(text: str) -> str:
    """Puts a text where all can read it."""
    ran(f"post {text}")
    return f"posted: {text}"


@server.tool(structured_output=False)
async def brief(text: str) -> str:
    """Puts a text where all can read it, before long."""
    ran(f"brief {text}")
    return f"posted: {text}"


@server.tool(structured_output=False)
async def wipe(folder: str) -> str:
    """Deletes all notes of a folder."""
    ran(f"wipe {folder}")
    return f"wiped: {folder}"


async def _serve() -> None:
    apps = {"mcp": server.streamable_http_app(), "sse": server.sse_app()}
    async with asyncio.TaskGroup() as group:
        for path, app in apps.items():
            listening = socket.create_server(("127.0.0.1", 0))
            print(f"{path} http://127.0.0.1:{listening.getsockname()[1]}/{path}", flush=True)
            config = uvicorn.Config(app, log_level="critical", ws="none")
            group.create_task(uvicorn.Server(config).serve([listening]), name=path)


if __name__ == "__main__":
    if sys.argv[1:] == ["stdio"]:
        server.run("stdio")
    else:
        asyncio.run(_serve())
