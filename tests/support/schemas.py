"""JSON Schemas as their readers meet them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def undescribed(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield the keys that have no description, as Model.key."""
    for name, definition in (*schema.get("$defs", {}).items(), ("", schema)):
        for key, value in definition.get("properties", {}).items():
            if not value.get("description"):
                yield f"{name}.{key}"
