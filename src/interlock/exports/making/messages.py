"""A record as a conversation: what the user asked, what the agent said and called.

There is no system message: the agent's own is not on record, and ours would be trained on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ...core.records import DecidedCall
from .format import Schemas

Message = dict[str, Any]
UNKNOWN = "http_request"  #: names a call that policy has no tool for
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST = 64  #: characters of a function's name that OpenAI takes
_OF_REQUEST = ("method", "upstream", "path", "query", "json", "form", "body")


def prompt(record: DecidedCall) -> list[Message]:
    """Return what came before the call: the user's own request, or that it is not known."""
    text = record.task or f"Do what is needed next with the tool {function_name(record)}."
    return [{"role": "user", "content": text}]


def proposed(record: DecidedCall) -> tuple[str, dict[str, Any]]:
    """Return name and arguments of the call as the agent proposed it."""
    if not record.tool:
        return UNKNOWN, _request(record.request)
    return function_name(record), dict(record.arguments)


def final(record: DecidedCall) -> tuple[str, dict[str, Any]] | None:
    """Return name and arguments of the call as people edited it; None: nobody did."""
    if record.final is None:
        return None
    if not record.tool:
        return UNKNOWN, _request(record.final)
    return function_name(record), dict(record.final_arguments)


def saying(record: DecidedCall, call: tuple[str, dict[str, Any]]) -> list[Message]:
    """Return the agent's message: its stated reason, and *call* with a mapping of arguments."""
    name, arguments = call
    function = {"name": name, "arguments": arguments}
    return [
        {
            "role": "assistant",
            "content": record.reason,
            "tool_calls": [{"type": "function", "function": function}],
        }
    ]


def function_name(record: DecidedCall) -> str:
    """Return the tool's name as models are given it: the MCP tool's own, else the catalogue's."""
    mcp = record.request.get("mcp")
    own = str(mcp.get("tool") or "") if isinstance(mcp, Mapping) else ""
    return _NOT_IN_NAMES.sub("_", own or record.tool)[:_LONGEST] or UNKNOWN


def tools(record: DecidedCall, schemas: Schemas) -> list[dict[str, Any]]:
    """Return the tool that was called; which others the agent had is not on record."""
    schema = schemas.get(record.schema) or {"type": "object"}
    function: dict[str, Any] = {"name": function_name(record), "parameters": dict(schema)}
    if record.description:
        function["description"] = record.description
    return [{"type": "function", "function": function}]


def tools_text(record: DecidedCall, schemas: Schemas) -> str:
    """Return `tools` as JSON in a text: Arrow would give every schema the keys of all others."""
    return json.dumps(tools(record, schemas), ensure_ascii=False)


def _request(request: Mapping[str, Any]) -> dict[str, Any]:
    return {name: request[name] for name in _OF_REQUEST if request.get(name) is not None}
