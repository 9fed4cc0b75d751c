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
_REQUEST: Mapping[str, Any] = {  #: what `_request` returns, as a schema
    "type": "object",
    "required": ["method", "upstream", "path"],
    "properties": {
        "method": {"type": "string"},
        "upstream": {"type": "string"},
        "path": {"type": "string"},
        "query": {"type": "object"},
        "json": {},
        "form": {"type": "object"},
        "body": {"type": "string"},
    },
}


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
    """Return name and arguments of the call as people edited it; None: nobody did.

    Arguments stand in the order of the proposed ones: a pair differs in what was edited alone.
    """
    if record.final is None:
        return None
    name, before = proposed(record)
    after = record.final_arguments if record.tool else _request(record.final)
    return name, _in_order_of(before, after)


def alike(record: DecidedCall) -> bool:
    """Say whether the edited call is, as far as a model writes it, the proposed one again."""
    return json.dumps(final(record)) == json.dumps(proposed(record))


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
    parameters = dict((schemas.get(record.schema) or {}) if record.tool else _REQUEST)
    parameters.setdefault("type", "object")
    parameters.setdefault("properties", {})  # OpenAI refuses an object's schema without them
    function: dict[str, Any] = {"name": function_name(record), "parameters": parameters}
    if record.description:
        function["description"] = record.description
    return [{"type": "function", "function": function}]


def schema_known(record: DecidedCall, schemas: Schemas) -> bool:
    """Say whether `tools` says which arguments the tool takes."""
    return not record.tool or bool(schemas.get(record.schema))


def tools_text(record: DecidedCall, schemas: Schemas) -> str:
    """Return `tools` as JSON in a text: Arrow would give every schema the keys of all others."""
    return json.dumps(tools(record, schemas), ensure_ascii=False)


def _request(request: Mapping[str, Any]) -> dict[str, Any]:
    return {name: request[name] for name in _OF_REQUEST if request.get(name) is not None}


def _in_order_of(before: Any, after: Any) -> Any:
    """Return *after* with its members in the order that they have in *before*, new ones last."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        names = [name for name in before if name in after]
        names += [name for name in after if name not in before]
        return {name: _in_order_of(before.get(name), after[name]) for name in names}
    if isinstance(before, list | tuple) and isinstance(after, list | tuple):
        known = [*before, *[None] * max(0, len(after) - len(before))]
        return [_in_order_of(one, other) for one, other in zip(known, after, strict=False)]
    return after
