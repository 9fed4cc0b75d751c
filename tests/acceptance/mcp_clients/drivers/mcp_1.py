"""Python `mcp` 1: its `ClientSession`, as most servers and frameworks still use it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial

from drivers.asking import Ask, Seen, Step, texts
from mcp import ClientSession, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client


async def drive(ask: Ask, seen: Seen) -> None:
    async def progressed(done: float, total: float | None, message: str | None) -> None:
        seen.progress.append(message)

    async with AsyncExitStack() as stack:
        if ask.command:
            command, *rest = ask.command
            opened = stdio_client(StdioServerParameters(command=command, args=rest, env=ask.env))
        elif ask.sse:
            opened = sse_client(ask.url, headers=ask.headers)
        else:
            http = await stack.enter_async_context(create_mcp_http_client(headers=ask.headers))
            opened = streamable_http_client(ask.url, http_client=http)
        reading, writing, *_ = await stack.enter_async_context(opened)
        limit = None if ask.timeout is None else timedelta(seconds=ask.timeout)
        session = await stack.enter_async_context(ClientSession(reading, writing, limit))
        seen.protocol = str((await session.initialize()).protocolVersion)
        seen.listed = [tool.name for tool in (await session.list_tools()).tools]

        async def call(step: Step) -> tuple[str, bool]:
            callback = progressed if ask.progress else None
            result = await session.call_tool(step.tool, step.args, progress_callback=callback)
            return texts(result.content), result.isError

        async for step in ask.steps():
            await seen.call(partial(call, step))
