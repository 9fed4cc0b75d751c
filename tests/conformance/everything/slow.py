"""The tools of the suite's `tasks-*` scenarios, as ordinary tools that know nothing of tasks.

A proxy that makes tasks of slow calls can serve the scenarios with them. What they do is told
apart by time alone: an answer comes either at once (some milliseconds) or not before `SLOW`,
so any threshold between 0.1 and 0.4 s gives the tasks that the scenarios expect.
"""

from __future__ import annotations

import asyncio

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    InputRequest,
    InputRequiredResult,
)

from tests.conformance.everything.inputs import answered, form

SLOW = 0.8  # seconds
TASKS = "io.modelcontextprotocol/tasks"


def greet(name: str) -> str:
    """Greets, at once."""
    return f"Hello, {name}!"


async def slow_compute(seconds: float, label: str = "") -> str:
    """Answers after *seconds*."""
    await asyncio.sleep(seconds)
    return f"Computed {label or 'nothing'} in {seconds:g} s"


async def failing_job(ctx: Context) -> str:
    """Fails after a while; serves only clients that declare the tasks extension."""
    declared = ctx.client_capabilities
    if declared is None or TASKS not in (declared.extensions or {}):
        raise MCPError(
            code=MISSING_REQUIRED_CLIENT_CAPABILITY,
            message=f"This tool needs a client that declares the extension {TASKS}",
            data={"requiredCapabilities": {"extensions": {TASKS: {}}}},
        )
    await asyncio.sleep(SLOW)
    raise ToolError("This job always fails")


async def protocol_error_job() -> str:
    """Answers a JSON-RPC error after a while."""
    await asyncio.sleep(SLOW)
    raise MCPError(code=INTERNAL_ERROR, message="This job breaks the protocol by intention")


async def confirm_delete(filename: str, ctx: Context) -> str | InputRequiredResult:
    """Deletes nothing, after a while, and only where the user confirms."""
    confirmed = answered(ctx, "confirm", "confirm")
    if ctx.request_state == filename and confirmed is not None:
        return f"Deleted {filename}" if confirmed else f"Kept {filename}"
    await asyncio.sleep(SLOW)
    question = form(f"Delete {filename}?", confirm="boolean")
    return InputRequiredResult(input_requests={"confirm": question}, request_state=filename)


async def multi_input(ctx: Context) -> str | InputRequiredResult:
    """Needs two answers of the user at once, after a while."""
    first, second = (answered(ctx, key, "name") for key in ("first", "second"))
    if first is not None and second is not None:
        return f"Both were given: {first}, {second}"
    await asyncio.sleep(SLOW)
    questions: dict[str, InputRequest] = {
        key: form(f"The {key} name?", name="string", confirm="boolean")
        for key in ("first", "second")
    }
    return InputRequiredResult(input_requests=questions, request_state="two at once")


async def test_tool_with_task(ctx: Context) -> str | InputRequiredResult:
    """Asks for a name at once; when it has one, it takes a while."""
    name = answered(ctx, "user_name", "name")
    if name is None:
        question = form("What is your name?", name="string")
        return InputRequiredResult(input_requests={"user_name": question}, request_state="asked")
    await asyncio.sleep(SLOW)
    return f"Hello, {name}!"


TOOLS = tuple(
    Tool.from_function(function)
    for function in (
        greet,
        slow_compute,
        failing_job,
        protocol_error_job,
        confirm_delete,
        multi_input,
        test_tool_with_task,
    )
)
