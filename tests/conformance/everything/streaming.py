"""Tools that say something before they answer: logs, progress, a dropped stream, changed lists."""

from __future__ import annotations

import asyncio

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.prompts import Prompt
from mcp.server.mcpserver.tools import Tool

_STEP = 0.05  # seconds: long enough that each message is an event of its own


async def test_tool_with_logging(ctx: Context) -> str:
    """Logs three times, then answers."""
    for step in ("started", "processing data", "completed"):
        await ctx.info(f"Tool execution {step}")
        await asyncio.sleep(_STEP)
    return "Tool with logging executed successfully"


async def test_tool_with_progress(ctx: Context) -> str:
    """Reports progress 0, 50 and 100 of 100, then answers."""
    for done in (0, 50, 100):
        await ctx.report_progress(done, total=100, message=f"Completed step {done} of 100")
        await asyncio.sleep(_STEP)
    meta = ctx.request_context.meta
    return str(meta.get("progress_token") if meta else None)


async def test_reconnection(ctx: Context) -> str:
    """Closes its own stream half-way (SEP-1699): the client must come back for the answer."""
    await ctx.info("Before disconnect")
    await ctx.close_sse_stream()
    await asyncio.sleep(4 * _STEP)
    await ctx.info("After reconnect")
    return "Reconnection test completed"


def _passing() -> str:
    """Exists for a moment only."""
    return "passing"


async def test_trigger_tool_change(ctx: Context) -> str:
    """Changes the list of tools and says so to whoever listens (SEP-2575)."""
    server = ctx.mcp_server
    server.add_tool(_passing, name="test_passing_tool")
    server.remove_tool("test_passing_tool")
    await ctx.notify_tools_changed()
    return "tool list changed"


async def test_trigger_prompt_change(ctx: Context) -> str:
    """Changes the list of prompts and says so to whoever listens (SEP-2575)."""
    server = ctx.mcp_server
    server.add_prompt(Prompt.from_function(_passing, name="test_passing_prompt"))
    server.remove_prompt("test_passing_prompt")
    await ctx.notify_prompts_changed()
    return "prompt list changed"


TOOLS = tuple(
    Tool.from_function(function)
    for function in (
        test_tool_with_logging,
        test_tool_with_progress,
        test_reconnection,
        test_trigger_tool_change,
        test_trigger_prompt_change,
    )
)
