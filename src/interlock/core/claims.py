"""What a server says of its own MCP tool: claims, which raise and never lower."""

from __future__ import annotations

from .actions import ToolCall
from .decisions import Reversibility
from .rules import Tool


def accepted(call: ToolCall, tool: Tool) -> bool:
    """Say whether the tool's definition is one that policy has pinned, or a person accepted."""
    if call.mcp is None:
        return True
    return call.mcp.definition in tool.pins if tool.pins else call.mcp.accepted


def reversibility(call: ToolCall, tool: Tool) -> Reversibility:
    """Return the catalogue's reversibility, raised by what the server says."""
    stated = tool.reversibility
    if call.mcp is None:
        return stated
    says = call.mcp.annotations
    if says.get("destructiveHint") is True:
        stated = max(stated, Reversibility.COMPENSABLE)
    # A pinned definition was read by whoever wrote the catalogue, contradiction and all.
    believed = tool.trusted and bool(tool.pins)
    if says.get("readOnlyHint") is False and not believed:
        if tool.reversibility is Reversibility.READ_ONLY:
            stated = Reversibility.IRREVERSIBLE
    return stated


def egress(call: ToolCall, tool: Tool | None) -> bool:
    """Say whether the call can carry data out; of an unknown tool it is assumed."""
    if tool is None or tool.egress:
        return True
    return call.mcp is not None and call.mcp.annotations.get("openWorldHint") is True
