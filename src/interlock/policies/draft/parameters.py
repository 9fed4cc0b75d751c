"""Parameters and bodies of operations, trimmed to schemas that a policy file holds.

Kept: names, types, short enums, what is required. Left out: formats, patterns and what lies inside
objects, so that a draft never refuses a call that the tool would take.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .documents import References
from .operations import Parameters
from .yaml_text import one_line

MAX_PROPERTIES = 100
MAX_ENUM = 20
_MAX_PARTS = 400  # schemas joined by allOf, oneOf and anyOf within one body
_TYPES = frozenset({"string", "integer", "number", "boolean", "array", "object", "null"})
_SCALARS = frozenset({"string", "integer", "number", "boolean"})
# Interlock holds the credentials, so that agents may leave these out.
_CREDENTIALS = frozenset({"token", "key", "api_key", "apikey", "access_token"})
_JOINED = ("allOf", "oneOf", "anyOf")

Properties = dict[str, Mapping[str, Any]]


def of_http(
    references: References,
    parameters: Sequence[Mapping[str, Any]],
    body: Mapping[str, Any] | None,
    consumes: Sequence[str],
    in_path: tuple[str, ...],
) -> Parameters:
    """Return the parameters of an HTTP operation.

    `parameters` are resolved; `in_path` are the names of the template. `body` is the schema of the
    body, None where there is none, and `consumes` its media types.
    """
    properties: Properties = {}
    required: list[str] = []
    params: list[str] = []
    multi: list[str] = []
    texts: dict[str, str] = {}
    for each in parameters:
        if each.get("in") != "query" or not is_name(each.get("name")):
            continue
        name = each["name"]
        texts[name] = str(each.get("description") or "")
        properties |= _query(references, name, each, params, multi)
        if each.get("required") is True and name in properties and name not in _CREDENTIALS:
            required.append(name)
    # What neither JSON nor a form declares comes as bytes that policy does not look into.
    readable = not consumes or any(_is_readable(each) for each in consumes)
    bodies = None if body is None or readable else ("opaque",)
    in_query = tuple(texts)
    if body is not None and readable:
        is_form = bool(consumes) and all("form" in each for each in consumes)
        inside, needed = _of_body(references, body, texts)
        properties = {**inside, **properties}
        required += [each for each in needed if not is_form or _is_scalar(inside.get(each))]
    schema = _object(properties, required)
    return Parameters(
        schema=schema,
        in_query=in_query,
        params=tuple(dict.fromkeys(params)),
        multi=tuple(dict.fromkeys(multi)),
        bodies=bodies,
        in_path=in_path,
        texts=texts,
    )


def of_mcp(schema: Any) -> Parameters:
    """Return the parameters of an MCP tool from its `inputSchema`."""
    if not isinstance(schema, Mapping):
        return Parameters()
    texts: dict[str, str] = {}
    references = References(schema, "inputSchema")
    properties, required = _members(references, schema, texts)
    trimmed = _object(properties, required)
    own = schema.get("properties")
    is_whole = isinstance(own, Mapping) and own.keys() == properties.keys()
    if schema.get("additionalProperties") is False and trimmed and is_whole:
        trimmed = {**trimmed, "additionalProperties": False}
    return Parameters(schema=trimmed, texts=texts)


def _object(properties: Properties, required: Sequence[str]) -> dict[str, Any] | None:
    if not properties:
        return None
    kept = dict(list(properties.items())[:MAX_PROPERTIES])
    schema: dict[str, Any] = {"type": "object"}
    if needed := [name for name in dict.fromkeys(required) if name in kept]:
        schema["required"] = needed
    return {**schema, "properties": kept}


def is_name(name: Any) -> bool:
    """Whether a policy file can hold *name* as it is, and not as a pattern."""
    return (
        isinstance(name, str)
        and 0 < len(name) <= 150
        and name == one_line(name)
        and "*" not in name
    )


def _is_readable(media_type: str) -> bool:
    plain = media_type.partition(";")[0].strip().lower()
    return plain in (
        "application/json",
        "application/x-www-form-urlencoded",
        "*/*",
    ) or plain.endswith("+json")


def _is_type(kind: Any) -> bool:
    return isinstance(kind, str) and kind in _TYPES


def _is_scalar(schema: Mapping[str, Any] | None) -> bool:
    kind = (schema or {}).get("type")
    return isinstance(kind, str) and kind in _SCALARS


def _query(
    references: References,
    name: str,
    parameter: Mapping[str, Any],
    params: list[str],
    multi: list[str],
) -> Properties:
    """Return the property of a query parameter; lists and objects also go to *params*, *multi*."""
    schema = references.follow(parameter.get("schema") or parameter)
    kind = _type(references, schema)
    if kind == "array":
        if _is_repeated(parameter):
            params += [name, f"{name}[*]"]
            multi += [name, f"{name}[]"]
            return {name: {"type": "array"}}
        return {name: {"type": "string"}}
    if kind == "object" or parameter.get("style") == "deepObject" or "content" in parameter:
        params += [name, f"{name}[*]"]
        return {}
    return {name: _trimmed(references, schema)}


def _is_repeated(parameter: Mapping[str, Any]) -> bool:
    if "collectionFormat" in parameter or "schema" not in parameter:
        return parameter.get("collectionFormat") == "multi"
    return (
        parameter.get("explode", parameter.get("style", "form") in ("form", "deepObject")) is True
    )


def _of_body(
    references: References, body: Mapping[str, Any], texts: dict[str, str]
) -> tuple[Properties, list[str]]:
    schema = references.follow(body)
    if _type(references, schema) == "array":
        return {"body": {"type": "array"}}, []
    return _members(references, schema, texts)


def _members(
    references: References, schema: Mapping[str, Any], texts: dict[str, str]
) -> tuple[Properties, list[str]]:
    """Return the properties of an object, joined over allOf, oneOf and anyOf, and the required."""
    properties: Properties = {}
    required: list[str] = []
    for part, is_sure in _parts(references, schema):
        inside = part.get("properties")
        for name, inner in inside.items() if isinstance(inside, Mapping) else ():
            if not is_name(name) or len(properties) >= MAX_PROPERTIES:
                continue
            followed = references.follow(inner)
            trimmed = _trimmed(references, followed)
            # Two alternatives that differ take what either takes: anything, as far as we say.
            properties[name] = trimmed if properties.get(name, trimmed) == trimmed else {}
            texts.setdefault(name, str(followed.get("description") or ""))
        needed = part.get("required")
        if is_sure and isinstance(needed, list):
            required += [each for each in needed if isinstance(each, str)]
    return properties, required


def _parts(
    references: References, schema: Mapping[str, Any]
) -> Iterator[tuple[Mapping[str, Any], bool]]:
    """Yield the schemas that *schema* joins, and whether each surely holds; at most _MAX_PARTS."""
    left: list[tuple[Any, bool, int]] = [(schema, True, 0)]
    for _ in range(_MAX_PARTS):
        if not left:
            return
        node, is_sure, depth = left.pop(0)
        part = references.follow(node)
        yield part, is_sure
        for word in _JOINED if depth < 8 else ():
            inner = part.get(word)
            sure = is_sure and word == "allOf"
            left += [(each, sure, depth + 1) for each in (inner if isinstance(inner, list) else ())]


def _type(references: References, schema: Mapping[str, Any]) -> str:
    for part, _ in _parts(references, schema):
        kind = part.get("type")
        if isinstance(kind, list):
            named = [each for each in kind if each != "null"]
            kind = named[0] if len(named) == 1 else None
        if _is_type(kind):
            return str(kind)
        if "properties" in part:
            return "object"
    return ""


def _trimmed(references: References, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the type and the short enum of *schema*, with null where it is let in."""
    if any(word in schema for word in ("oneOf", "anyOf")) and "type" not in schema:
        return _joined(references, schema)
    kind: Any = schema.get("type")
    if isinstance(kind, list):
        kind = [each for each in kind if _is_type(each)]
    elif not _is_type(kind):
        kind = _type(references, schema)
    if not kind:
        return {}
    nullable = schema.get("nullable") is True or schema.get("x-nullable") is True
    if nullable and isinstance(kind, str) and kind != "null":
        kind = [kind, "null"]
    values = schema.get("enum")
    if isinstance(values, list) and 0 < len(values) <= MAX_ENUM and not nullable:
        if all(_is_plain(each, kind) for each in values):
            return {"type": kind, "enum": values}
    return {"type": kind}


def _joined(references: References, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the types that the alternatives allow, where each names one."""
    kinds: list[str] = []
    for word in ("oneOf", "anyOf"):
        inner = schema.get(word)
        for each in (inner if isinstance(inner, list) else [])[:20]:
            kind = references.follow(each).get("type")
            if not _is_type(kind):
                return {}
            kinds.append(str(kind))
    unique = list(dict.fromkeys(kinds))
    if not unique:
        return {}
    return {"type": unique[0] if len(unique) == 1 else unique}


def _is_plain(value: Any, kind: Any) -> bool:
    """Whether an enum's value is text that YAML and people can hold, of the schema's own type."""
    return kind == "string" and isinstance(value, str) and len(value) <= 80 and value.isprintable()
