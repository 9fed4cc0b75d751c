"""On which connection an MCP call came, and which it goes out on. Other calls have none."""

from __future__ import annotations

from dataclasses import replace

from .actions import Action, ToolCall, evolve
from .messages import MODERN


def elsewhere(call: ToolCall, again: ToolCall) -> bool:
    """Say whether *again* asks for an MCP call in another session than *call* came in."""
    here, there = call.mcp, again.mcp
    return here is not None and there is not None and here.session != there.session


def on_connection_of(action: Action, again: ToolCall) -> Action:
    """Send an MCP call on the connection on which its caller asks again: the old one is gone."""
    here, there = action.call.mcp, again.mcp
    if here is None or there is None or here.session == there.session:
        return action
    return evolve(action, call=replace(action.call, mcp=replace(here, session=there.session)))


def session_ended(call: ToolCall, status: int) -> bool:
    """Say whether an MCP server knows the session of *call* no more (MCP, Session Management)."""
    return call.mcp is not None and call.mcp.session != "" and status == 404


def ends_with_its_caller(call: ToolCall) -> bool:
    """Say whether a client that disconnects has cancelled *call*.

    It has since MCP 2026-07-28, and has not before (transports, Cancellation).
    """
    if call.mcp is None:
        return False
    said = [value for name, value in call.headers if name.lower() == "mcp-protocol-version"]
    return len(said) == 1 and said[0] >= MODERN
