"""One hash for what an MCP server says that a tool is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

PARTS = ("name", "title", "description", "inputSchema", "outputSchema", "annotations")
"""The members that say what a tool is: those that its hash covers."""


def definition_hash(tool: Mapping[str, Any]) -> str:
    """Return `sha256:` and 64 hex digits over the definition of *tool*, an entry of `tools/list`.

    Covers name, title, description, both schemas and the annotations, as JSON with sorted keys,
    without spaces and in UTF-8. A part that is null counts as one that is missing; icons, `_meta`
    and members that MCP does not define do not count.
    """
    parts = {name: tool[name] for name in PARTS if tool.get(name) is not None}
    annotations = parts.get("annotations")
    if isinstance(annotations, Mapping):
        parts["annotations"] = {
            name: value for name, value in annotations.items() if value is not None
        }
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"
