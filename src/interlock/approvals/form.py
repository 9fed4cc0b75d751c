"""The edit form: one field per argument, from the tool's schema and the call's values. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..core.redaction import visible_line
from .indenting import indents
from .models_call import Argument
from .models_item import Item

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
    limits: str = ""  #: what the schema asks of it beside its type, in words
    bounds: tuple[tuple[str, str], ...] = ()  #: what is checked beside the field: name, number
    schema_text: str = ""  #: of an argument that is edited as JSON


_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
}
_FORMATS = {
    "date": "a date, as in 2026-11-23",
    "date-time": "a time, as in 2026-11-23T09:30:00Z",
    "time": "a time, as in 09:30:00Z",
    "email": "an e-mail address",
    "uri": "a URL",
    "uuid": "a UUID",
}
_DEEPEST = 4  #: references that are followed


def fields(item: Item, names: Mapping[str, Any]) -> tuple[Field, ...]:
    """Return the fields of *item*; *names* are its arguments as the agent wrote their names."""
    schema = item.args_schema or {}
    properties = schema.get("properties", {})
    required = schema.get("required", [])
    shown = {argument.name: argument for argument in item.arguments}
    ordered = [*names, *(name for name in properties if name not in names)]
    return tuple(
        _field(
            name,
            shown.get(visible_line(name)),
            _resolved(properties.get(name, {}), schema),
            name in required,
        )
        for name in ordered
    )


def _resolved(part: Any, schema: Mapping[str, Any]) -> Any:
    """Return *part*, or what it refers to within *schema* (`#/$defs/...`)."""
    for _ in range(_DEEPEST):
        reference = part.get("$ref") if isinstance(part, Mapping) else None
        if not isinstance(reference, str) or not reference.startswith("#/"):
            break
        found: Any = schema
        for name in reference[2:].split("/"):
            found = found.get(name) if isinstance(found, Mapping) else None
        if not isinstance(found, Mapping):
            break
        part = {**found, **{name: each for name, each in part.items() if name != "$ref"}}
    return part


def _limits(schema: Mapping[str, Any]) -> str:
    """Return in words what is asked of a value beside its type."""
    said = [words.format(schema[name]) for name, words in _BOUNDS.items() if name in schema]
    known = _FORMATS.get(str(schema.get("format")), "")
    if isinstance(schema.get("pattern"), str):
        said.append(f"matches {schema['pattern']}")
    return visible_line(", ".join([known, *said] if known else said))


def _bounds(schema: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    numbers = ((name, schema.get(name)) for name in _BOUNDS)
    return tuple(
        (name.lower(), json.dumps(value))
        for name, value in numbers
        if isinstance(value, int | float) and not isinstance(value, bool)
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
        limits=_limits(schema),
        bounds=_bounds(schema),
        schema_text=_pretty(schema) if kind == "json" and schema else "",
    )


def _text(argument: Argument | None) -> str:
    """Return the JSON to start from; what has parts on lines of their own."""
    if argument is None or not argument.json_text:
        return ""
    if isinstance(argument.value, dict | list) and indents(argument.value):
        return json.dumps(argument.value, indent=2)
    return argument.json_text


def _pretty(value: Any) -> str:
    return "\n".join(map(visible_line, json.dumps(value, indent=2).split("\n")))


def _control(
    schema: Mapping[str, Any], argument: Argument | None
) -> tuple[str, tuple[tuple[str, str], ...]]:
    kind, named = _type(schema, argument), _named(schema)
    if named:
        return "choice", named
    if kind == "boolean":
        return "choice", (("true", "true"), ("false", "false"))
    if kind in ("number", "integer"):
        return "number", ()
    if kind != "string":
        return "json", ()
    value = argument.value if argument else ""
    long = isinstance(value, str) and (len(value) > _LONG or "\n" in value)
    return ("long" if long else "text"), ()


def _named(schema: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the values that *schema* names, if it names all: by `enum`, or one by one."""
    values, ways = schema.get("enum"), schema.get("oneOf") or schema.get("anyOf")
    if isinstance(values, list):
        return tuple((json.dumps(each), visible_line(_shown(each))) for each in values)
    if isinstance(ways, list) and all(isinstance(way, Mapping) and "const" in way for way in ways):
        return tuple(
            (json.dumps(way["const"]), visible_line(str(way.get("title") or _shown(way["const"]))))
            for way in ways
        )
    return ()


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _word(schema: Mapping[str, Any]) -> str | None:
    """Return the one type that *schema* names, `null` apart."""
    said = schema.get("type")
    if isinstance(said, list):
        said = next((each for each in said if each != "null"), None) if len(said) <= 2 else None
    return said if isinstance(said, str) else None


def _type(schema: Mapping[str, Any], argument: Argument | None) -> str:
    said, value = _word(schema), argument.value if argument else None
    if argument is None:
        return said or ("json" if schema.keys() & {"oneOf", "anyOf", "properties"} else "string")
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return said if said and said != "string" else "string"
    return "json"


def _hint(schema: Mapping[str, Any], argument: Argument | None) -> str:
    return _word(schema) or _type(schema, argument)
