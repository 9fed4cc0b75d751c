"""langchain-mcp-adapters: the StructuredTool that it makes, invoked with a model's tool call."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from drivers.asking import Ask, Seen, Step
from langchain_core.messages import ToolMessage
from langchain_mcp_adapters.client import MultiServerMCPClient


async def drive(ask: Ask, seen: Seen) -> None:
    client = MultiServerMCPClient({"server": _connection(ask)})
    seen.protocol = str((await client.get_server_info())["server"].protocolVersion)
    tools = {tool.name: tool for tool in await client.get_tools()}
    seen.listed = list(tools)

    async def call(step: Step) -> tuple[str, bool]:
        asked = {"type": "tool_call", "id": "call_1", "name": step.tool, "args": step.args}
        message: ToolMessage = await tools[step.tool].ainvoke(asked)
        return message.text, message.status == "error"

    async for step in ask.steps():
        await seen.call(partial(call, step))


def _connection(ask: Ask) -> dict[str, Any]:
    limit = None if ask.timeout is None else timedelta(seconds=ask.timeout)
    session = {"session_kwargs": {"read_timeout_seconds": limit}}
    if ask.command:
        command, *rest = ask.command
        return {"transport": "stdio", "command": command, "args": rest, "env": ask.env, **session}
    return {"transport": "streamable_http", "url": ask.url, "headers": ask.headers, **session}
