"""Python `mcp` 2: its `Client`, which negotiates the version, or is held to the old handshake."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial

from drivers.asking import Ask, Seen, Step, texts
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client


async def modern(ask: Ask, seen: Seen) -> None:
    await _drive(ask, seen, "auto")


async def legacy(ask: Ask, seen: Seen) -> None:
    await _drive(ask, seen, "legacy")


async def _drive(ask: Ask, seen: Seen, mode: str) -> None:
    async def progressed(done: float, total: float | None, message: str | None) -> None:
        seen.progress.append(message)

    async with AsyncExitStack() as stack:
        if ask.command:
            command, *rest = ask.command
            server = StdioServerParameters(command=command, args=rest, env=ask.env)
        else:
            http = await stack.enter_async_context(create_mcp_http_client(headers=ask.headers))
            server = streamable_http_client(ask.url, http_client=http)
        client = await stack.enter_async_context(
            Client(server, mode=mode, read_timeout_seconds=ask.timeout)
        )
        seen.protocol = client.protocol_version
        seen.listed = [tool.name for tool in (await client.list_tools()).tools]

        async def call(step: Step) -> tuple[str, bool]:
            callback = progressed if ask.progress else None
            result = await client.call_tool(step.tool, step.args, progress_callback=callback)
            return texts(result.content), result.is_error

        async for step in ask.steps():
            await seen.call(partial(call, step))
