"""openai-agents: a run of an Agent whose model asks for the tool, then reads what it is given."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from agents import Agent, Model, ModelResponse, RunConfig, Runner, Usage
from agents.mcp import MCPServerStdio, MCPServerStreamableHttp
from drivers.asking import Ask, Seen, Step
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage
from openai.types.responses import ResponseOutputText as Text


async def drive(ask: Ask, seen: Seen) -> None:
    async with _server(ask) as server:
        seen.protocol = getattr(server.session, "protocol_version", None)
        seen.listed = [tool.name for tool in await server.list_tools()]
        agent = Agent(name="agent", mcp_servers=[server])

        async def call(step: Step) -> tuple[str | None, None]:
            model = Scripted(step)
            config = RunConfig(model=model, tracing_disabled=True)
            await Runner.run(agent, "Use the tool.", run_config=config)
            return model.told, None  # this framework marks no result as an error

        async for step in ask.steps():
            await seen.call(partial(call, step))


def _server(ask: Ask) -> MCPServerStdio | MCPServerStreamableHttp:
    settings: dict[str, Any] = {"max_retry_attempts": ask.retries}
    if ask.timeout is not None:
        settings["client_session_timeout_seconds"] = ask.timeout
    if ask.command:
        command, *rest = ask.command
        return MCPServerStdio({"command": command, "args": rest, "env": ask.env}, **settings)
    return MCPServerStreamableHttp({"url": ask.url or "", "headers": ask.headers}, **settings)


class Scripted(Model):
    """A model that calls the tool once, keeps what it is given, and says that it is done."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.told: str | None = None

    async def get_response(self, **request: Any) -> ModelResponse:
        given = request["input"]
        outputs = [
            x for x in given if isinstance(x, dict) and x.get("type") == "function_call_output"
        ]
        if not outputs:
            return _response(
                ResponseFunctionToolCall(
                    type="function_call",
                    call_id="call_1",
                    name=self.step.tool,
                    arguments=json.dumps(self.step.args),
                )
            )
        self.told = _told(outputs[-1]["output"])
        said = Text(type="output_text", text="done", annotations=[])
        return _response(
            ResponseOutputMessage(
                id="said", type="message", role="assistant", status="completed", content=[said]
            )
        )

    def stream_response(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
        raise NotImplementedError("the driver never streams")


def _response(output: Any) -> ModelResponse:
    return ModelResponse(output=[output], usage=Usage(), response_id=None)


def _told(output: Any) -> str:
    if isinstance(output, str):
        return output
    return "\n".join(part.get("text", f"[{part['type']}]") for part in output)
