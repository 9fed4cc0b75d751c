"""Entries of `tools/list`, read into operations."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...core.definitions import definition_hash
from . import parameters
from .openapi import unique
from .operations import DraftError, Operation

MAX_TOOLS = 2000
_NAME = re.compile(r"[A-Za-z0-9_./-]{1,128}\Z")
_HINTS = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")


def read_tools(
    tools: Sequence[Mapping[str, Any]], server: str
) -> tuple[list[Operation], list[str]]:
    """Return the tools of a server in their order, and names that no policy entry can hold.

    Raises:
        DraftError: the server lists no tool, or too many.
    """
    if not tools:
        raise DraftError("the server lists no tools")
    if len(tools) > MAX_TOOLS:
        raise DraftError(f"the server lists {len(tools)} tools; at most {MAX_TOOLS} are drafted")
    taken: set[str] = set()
    seen: set[str] = set()
    found: list[Operation] = []
    odd: list[str] = []
    for tool in tools:
        name = str(tool.get("name", ""))
        if not _NAME.match(name) or name in seen:
            odd.append(name)
            continue
        seen.add(name)
        found.append(_operation(tool, name, server, unique(f"{server}.{name}", taken)))
    return found, odd


def _operation(tool: Mapping[str, Any], name: str, server: str, known_as: str) -> Operation:
    hints = tool.get("annotations")
    listed = hints if isinstance(hints, Mapping) else {}
    return Operation(
        key=name,
        id=known_as,
        upstream=server,
        name=name,
        description=str(tool.get("description") or tool.get("title") or ""),
        parameters=parameters.of_mcp(tool.get("inputSchema")),
        annotations={each: listed[each] for each in _HINTS if isinstance(listed.get(each), bool)},
        definition=definition_hash(tool),
    )
