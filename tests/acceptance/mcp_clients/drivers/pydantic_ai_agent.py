"""pydantic-ai: a run of an Agent whose model asks for the tool, then reads what it is given."""

from __future__ import annotations

import sys
from typing import Any

from drivers.asking import Ask, Seen, described
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
        agent = Agent(FunctionModel(Script(ask, seen)), toolsets=[toolset])
        try:
            await agent.run("Use the tool.")
        except Exception as error:
            if seen.begun is None:
                raise
            seen.ends(error=described(error))


def _toolset(ask: Ask) -> MCPToolset[Any]:
    limit = {} if ask.timeout is None else {"read_timeout": ask.timeout}
    if ask.command:
        command, *rest = ask.command
        return MCPToolset(StdioTransport(command=command, args=rest, env=ask.env), **limit)
    return MCPToolset(ask.url or "", headers=ask.headers, **limit)


class Script:
    """A model that makes one call after another, and tells what it is given for each."""

    __name__ = "script"

    def __init__(self, ask: Ask, seen: Seen) -> None:
        self.steps = ask.steps()
        self.seen = seen

    async def __call__(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        for part in messages[-1].parts:
            if isinstance(part, ToolReturnPart):
                self.seen.ends(told=part.model_response_str(), is_error=part.outcome != "success")
            elif isinstance(part, RetryPromptPart):
                self.seen.ends(told=part.model_response(), is_error=True)
        step = await anext(self.steps, None)
        if step is None:
            return ModelResponse(parts=[TextPart("done")])
        self.seen.begins()
        return ModelResponse(parts=[ToolCallPart(step.tool, step.args)])
