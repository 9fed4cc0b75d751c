"""The columns of a set, as the front matter of its card declares them to `datasets`.

Arguments differ from tool to tool. Left to itself, `datasets` takes the types of the first 10 MB
and fails at the first tool that has others; declared as JSON, each call keeps its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Column = Mapping[str, Any]
TOOLS: Column = {"name": "tools", "dtype": "string"}
_FUNCTION = [{"name": "name", "dtype": "string"}, {"name": "arguments", "dtype": "json"}]
_SAID = [{"name": "role", "dtype": "string"}, {"name": "content", "dtype": "string"}]
_CALLS = {
    "name": "tool_calls",
    "list": [{"name": "type", "dtype": "string"}, {"name": "function", "struct": _FUNCTION}],
}


META: Column = {
    "name": "meta",
    "struct": [
        *({"name": name, "dtype": "string"} for name in ("id", "agent", "tool", "policy")),
        {"name": "ended", "dtype": "int64"},
        {"name": "status", "dtype": "int64"},
        {"name": "task_known", "dtype": "bool"},
        {"name": "confidence", "dtype": "float64"},
        {"name": "weight", "dtype": "float64"},
        {"name": "reviewers", "list": "string"},
    ],
}
"""What `--with-meta` adds to a line; trainers take no notice of it."""


def messages(name: str) -> Column:
    """Return a column of messages without calls."""
    return {"name": name, "list": _SAID}


def calls(name: str) -> Column:
    """Return a column of messages with calls."""
    return {"name": name, "list": [*_SAID, _CALLS]}


def anything(name: str) -> Column:
    """Return a column of JSON objects that differ."""
    return {"name": name, "list": "json"}
