"""The edit form: one field per argument, from the tool's schema and the call's values. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..core.redaction import visible_line
from .models import Argument, Item

_LONG = 60  #: characters; longer texts get a larger field


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One argument to edit. `json_text` is sent as it is while nobody touches the field."""

    name: str  #: visible
    name_json: str
    kind: str  #: text | long | number | choice | json
    hint: str  #: its type, in words
    description: str
    value: str  #: what the control starts with
    json_text: str  #: empty: not in the call
    choices: tuple[tuple[str, str], ...] = ()  #: JSON, shown
    required: bool = False
    editable: bool = True


def fields(item: Item, names: Mapping[str, Any]) -> tuple[Field, ...]:
    """Return the fields of *item*; *names* are its arguments as the agent wrote their names."""
    schema = item.args_schema or {}
    properties = schema.get("properties", {})
    required = schema.get("required", [])
    shown = {argument.name: argument for argument in item.arguments}
    ordered = [*names, *(name for name in properties if name not in names)]
    return tuple(
        _field(name, shown.get(visible_line(name)), properties.get(name, {}), name in required)
        for name in ordered
    )


def _field(name: str, argument: Argument | None, schema: Any, required: bool) -> Field:
    schema = schema if isinstance(schema, Mapping) else {}
    value = argument.value if argument else None
    kind, choices = _control(schema, argument)
    return Field(
        name=visible_line(name),
        name_json=json.dumps(name),
        kind=kind,
        hint=_hint(schema, argument),
        description=str(schema.get("description", "")),
        value=value if isinstance(value, str) and kind != "json" else _text(argument),
        json_text=argument.json_text if argument else "",
        choices=choices,
        required=required,
        editable=argument.editable if argument else True,
    )


def _text(argument: Argument | None) -> str:
    return argument.json_text if argument else ""


def _control(
    schema: Mapping[str, Any], argument: Argument | None
) -> tuple[str, tuple[tuple[str, str], ...]]:
    kind = _type(schema, argument)
    if isinstance(schema.get("enum"), list):
        return "choice", tuple(
            (json.dumps(each), visible_line(str(each))) for each in schema["enum"]
        )
    if kind == "boolean":
        return "choice", (("true", "true"), ("false", "false"))
    if kind in ("number", "integer"):
        return "number", ()
    if kind != "string":
        return "json", ()
    value = argument.value if argument else ""
    long = isinstance(value, str) and (len(value) > _LONG or "\n" in value)
    return ("long" if long else "text"), ()


def _type(schema: Mapping[str, Any], argument: Argument | None) -> str:
    said = schema.get("type")
    value = argument.value if argument else None
    if argument is None:
        return said if isinstance(said, str) else "string"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string" if said in (None, "string") or not isinstance(said, str) else said
    return "json"


def _hint(schema: Mapping[str, Any], argument: Argument | None) -> str:
    said = schema.get("type")
    return said if isinstance(said, str) else _type(schema, argument)
