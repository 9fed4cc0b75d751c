"""The JSON Schema of a tool's arguments as its records name it: of all of them, wherever they are.

Policy's `args_schema` need not say what is in the path or among declared query parameters; whoever
learns to call the tool has to know.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .core.patterns import HttpMatch, Kind, Pattern
from .core.rules import Tool

_TEXT: Mapping[str, Any] = {"type": "string"}
_TEXTS: Mapping[str, Any] = {"type": "array", "items": _TEXT}


def schema_of(tool: Tool) -> Mapping[str, Any] | None:
    """Return the schema of what *tool* is called with; None where nothing is known of it."""
    match, written = tool.match, tool.args_schema
    if not isinstance(match, HttpMatch):
        return written
    known: Mapping[str, Any] = (written or {}).get("properties") or {}
    path = [each.text for each in match.segments if each.kind is not Kind.LITERAL and each.text]
    asked = sorted(name for name in match.declared if ("query", name) not in tool.constants)
    more = {
        name: _TEXTS if name in tool.multi else _TEXT
        for name in (*path, *asked)
        if name not in known
    }
    alike = {_regex(each): _TEXT for each in match.declared_globs}
    if not (more or alike or path):
        return written
    schema = {"type": "object", **(written or {}), "properties": {**known, **more}}
    required = tuple(dict.fromkeys((*schema.get("required", ()), *path)))
    if required:
        schema["required"] = list(required)
    if alike:
        schema["patternProperties"] = {**alike, **schema.get("patternProperties", {})}
    return schema


def _regex(glob: Pattern) -> str:
    return "^" + ".*".join(map(re.escape, glob.text.split("*"))) + "$"
