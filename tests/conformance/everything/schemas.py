"""A tool whose input schema uses the words of JSON Schema 2020-12 that proxies lose."""

from __future__ import annotations

from typing import Any

from mcp.server.mcpserver.tools import Tool

_PHONE_OR_EMAIL: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


def json_schema_2020_12_tool() -> str:
    """Takes what its schema says, and answers its own name."""
    return "json_schema_2020_12_tool"


TOOLS = (
    Tool.from_function(json_schema_2020_12_tool).model_copy(update={"parameters": _PHONE_OR_EMAIL}),
)
