"""The FastMCP client; with `--task` it declares the tasks extension, and drives tasks by itself."""

from __future__ import annotations

from functools import partial

from drivers.asking import Ask, Seen, Step, texts
from fastmcp import Client
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from fastmcp.exceptions import ToolError


async def drive(ask: Ask, seen: Seen) -> None:
    if ask.task:
        import fastmcp_tasks  # noqa: F401 - importing it is how a FastMCP client declares tasks

    async def progressed(done: float, total: float | None, message: str | None) -> None:
        seen.progress.append(message)

    if ask.command:
        command, *rest = ask.command
        server = StdioTransport(command=command, args=rest, env=ask.env)
    else:
        server = StreamableHttpTransport(ask.url, headers=ask.headers)
    async with Client(server, timeout=ask.timeout, progress_handler=progressed) as client:
        seen.protocol = client.protocol_version
        seen.listed = [tool.name for tool in await client.list_tools()]

        async def call(step: Step) -> tuple[str, bool]:
            try:
                result = await client.call_tool(step.tool, step.args)
            except ToolError as told:  # how this client hands over a result that is an error
                return str(told), True
            return texts(result.content), False

        async for step in ask.steps():
            await seen.call(partial(call, step))
