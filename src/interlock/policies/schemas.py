"""`args_schema`: JSON Schema, compiled to a validator that fetches nothing, in linear time."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs

from ..core.rules import Validator
from .expression_types import Shape, of_schema
from .regexes import compile_regex

_KEYWORDS = frozenset(
    """$schema $id $defs $ref $anchor $comment title description default examples deprecated
    readOnly writeOnly type enum const format pattern minLength maxLength minimum maximum
    exclusiveMinimum exclusiveMaximum multipleOf items prefixItems contains minContains maxContains
    minItems maxItems uniqueItems properties patternProperties additionalProperties
    unevaluatedProperties unevaluatedItems propertyNames required dependentRequired
    dependentSchemas minProperties maxProperties allOf anyOf oneOf not if then else
    contentEncoding contentMediaType definitions additionalItems""".split()
)
_OF_SCHEMAS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_SCHEMAS = ("items", "contains", "not", "if", "then", "else", "propertyNames")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_CLOSED = ("additionalProperties", "unevaluatedProperties")
_CASTS = ("integer", "number", "boolean")

Wrong = tuple[tuple[str | int, ...], str]
"""A path within the schema, and what is wrong there."""


def wrong_keywords(schema: Any, path: tuple[str | int, ...] = ()) -> Iterator[Wrong]:
    """Yield keywords that JSON Schema does not know (it would ignore them) and remote `$ref`s."""
    if not isinstance(schema, Mapping):
        return
    for keyword, value in schema.items():
        here = (*path, keyword)
        if keyword not in _KEYWORDS:
            near = difflib.get_close_matches(keyword, sorted(_KEYWORDS), 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            yield here, f"unknown JSON Schema keyword {keyword!r}{hint}"
        elif keyword == "$ref" and not str(value).startswith("#"):
            yield here, "a $ref stays within the schema: start it with '#'"
        else:
            for step, inner in _inside(keyword, value):
                yield from wrong_keywords(inner, (*here, *step))


def _inside(keyword: str, value: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield the schemas that stand under a keyword."""
    if keyword in _OF_SCHEMAS and isinstance(value, Mapping):
        yield from (((name,), inner) for name, inner in value.items())
    elif keyword in _LISTS and isinstance(value, list):
        yield from (((index,), inner) for index, inner in enumerate(value))
    elif keyword in _SCHEMAS or keyword in _CLOSED:
        yield (), value


def compile_schema(schema: Mapping[str, Any], outside: frozenset[str]) -> Validator:
    """Compile *schema*; names in *outside* (path and declared parameters) are never "additional".

    Raises:
        ValueError: it is not a JSON Schema, or a pattern is not one of the linear engine.
    """
    try:
        validator = jsonschema_rs.Draft202012Validator(
            dict(schema),
            pattern_options=jsonschema_rs.RegexOptions(),
            offline=True,
        )
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise ValueError(str(error).splitlines()[0]) from None
    unnamed = outside - set(schema.get("properties") or ())
    drop = unnamed if any(word in schema for word in _CLOSED) else frozenset()

    def invalid(values: Mapping[str, Any]) -> str:
        if drop:
            values = {name: value for name, value in values.items() if name not in drop}
        if validator.is_valid(values):
            return ""
        return _first_error(validator, values)

    return invalid


def _first_error(validator: Any, values: Mapping[str, Any]) -> str:
    try:
        error = next(iter(validator.iter_errors(values)), None)
    except ValueError:  # for one, a lone surrogate, which has no UTF-8 to show
        error = None
    if error is None:
        return "a value is not one that JSON can carry"
    where = ".".join(str(part) for part in error.instance_path)
    return f"{where}: {error.message}"[:300] if where else str(error.message)[:300]


def casts(schema: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the arguments whose text in a path, query or form is read as a number or boolean."""
    properties = (schema or {}).get("properties") or {}
    return {
        name: inner["type"]
        for name, inner in properties.items()
        if isinstance(inner, Mapping) and inner.get("type") in _CASTS
    }


def arguments_shape(schema: Mapping[str, Any] | None, path: tuple[str, ...]) -> Shape:
    """Return what conditions may assume of a tool's arguments."""
    if schema is None:
        return Shape(kind="object")
    shape = of_schema({"type": "object", **schema})
    if shape.fields is None:
        return Shape(kind="object")
    fields = {**dict.fromkeys(path, Shape(kind="string")), **shape.fields}
    return Shape(kind="object", fields=fields, patterns=tuple(map(compile_regex, shape.patterns)))
