"""A server whose tool runs only as a task; in the second Python environment, which has FastMCP.

It prints its URL. The task is done once a line comes in on stdin.
"""

import asyncio
import socket
import sys

import uvicorn
from fastmcp import FastMCP
from fastmcp.utilities.tasks import TaskConfig
from fastmcp_tasks import TasksExtension

server = FastMCP("tasks")
server.add_extension(TasksExtension(url="memory://"))


@server.tool(task=TaskConfig(mode="required"))
async def tasked() -> str:
    await asyncio.to_thread(sys.stdin.readline)
    return "done as a task"


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(f"http://127.0.0.1:{listening.getsockname()[1]}/mcp", flush=True)
        config = uvicorn.Config(server.http_app(path="/mcp"), log_level="critical", ws="none")
        uvicorn.Server(config).run([listening])
