"""pydantic-ai: a run of an Agent whose model asks for the tool, then reads what it is given."""

from __future__ import annotations

import sys
from typing import Any

from drivers.asking import Ask, Called, Seen
from fastmcp.client.transports import StdioTransport
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    RetryPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel


async def drive(ask: Ask, seen: Seen) -> None:
    if not ask.task:
        # as installed without the extra `mcp-tasks`: this toolset declares tasks if it finds them
        sys.modules["fastmcp_tasks"] = None  # type: ignore[assignment]
    async with _toolset(ask) as toolset:
        seen.protocol = toolset.client.protocol_version
        seen.listed = [tool.name for tool in await toolset.list_tools()]
        script = Script(ask)
        agent = Agent(FunctionModel(script), toolsets=[toolset])

        async def run() -> tuple[str | None, bool]:
            await agent.run("Use the tool.")
            return script.given[-1]

        await seen.call(run)
        _split(script, seen)


def _split(script: Script, seen: Seen) -> None:
    """One run makes all the calls; what the model was given each time comes before the last."""
    last = seen.calls.pop()
    earlier = script.given if last.error else script.given[:-1]
    seen.calls.extend(Called(told=told, is_error=bad, seconds=0.0) for told, bad in earlier)
    seen.calls.append(last)


def _toolset(ask: Ask) -> MCPToolset[Any]:
    limit = {} if ask.timeout is None else {"read_timeout": ask.timeout}
    if ask.command:
        command, *rest = ask.command
        return MCPToolset(StdioTransport(command=command, args=rest, env=ask.env), **limit)
    return MCPToolset(ask.url or "", headers=ask.headers, **limit)


class Script:
    """A model that calls the tool so many times, and keeps what it is given for each call."""

    __name__ = "script"

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.given: list[tuple[str, bool]] = []

    async def __call__(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        for part in messages[-1].parts:
            if isinstance(part, ToolReturnPart):
                self.given.append((part.model_response_str(), part.outcome != "success"))
            elif isinstance(part, RetryPromptPart):
                self.given.append((part.model_response(), True))
        if len(self.given) >= self.ask.times:
            return ModelResponse(parts=[TextPart("done")])
        return ModelResponse(parts=[ToolCallPart(self.ask.tool, self.ask.args)])
