"""`args_schema`: strict, offline, linear, and never a surprise."""

from __future__ import annotations

import math
import socket
from typing import Any

import pytest

from interlock.policies.schemas import casts, compile_schema, wrong_keywords

NONE: frozenset[str] = frozenset()


def test_what_fits_is_fine_and_what_does_not_is_named() -> None:
    invalid = compile_schema(
        {"required": ["a"], "properties": {"a": {"type": "array", "items": {"maxLength": 2}}}}, NONE
    )

    assert invalid({"a": ["x"]}) == ""
    assert invalid({}) == '"a" is a required property'
    assert invalid({"a": ["x", "long"]}).startswith("a.1: ")


@pytest.mark.parametrize("value", [math.nan, math.inf, "\ud800", {"\ud800": 1}, ["\ud800"]])
def test_what_json_cannot_carry_never_fits(value: Any) -> None:
    assert compile_schema({"properties": {"a": {"maxLength": 0, "type": "string"}}}, NONE)(
        {"a": value}
    )


def test_a_reference_never_leaves_the_machine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        reference = f"http://127.0.0.1:{listener.getsockname()[1]}/schema"

        with pytest.raises(ValueError, match="."):
            compile_schema({"$ref": reference}, NONE)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_hostile_pattern_takes_no_time() -> None:
    invalid = compile_schema({"properties": {"a": {"pattern": "^(a+)+$"}}}, NONE)

    assert invalid({"a": "a" * 100_000 + "!"})


def test_keywords_that_json_schema_would_ignore_are_found_anywhere() -> None:
    schema = {
        "properties": {"required": {"typ": "string"}},
        "anyOf": [{"requird": []}],
        "items": {"$ref": "other.json"},
    }

    assert [(path, message) for path, message in wrong_keywords(schema)] == [
        (
            ("properties", "required", "typ"),
            "unknown JSON Schema keyword 'typ'; did you mean 'type'?",
        ),
        (
            ("anyOf", 0, "requird"),
            "unknown JSON Schema keyword 'requird'; did you mean 'required'?",
        ),
        (("items", "$ref"), "a $ref stays within the schema: start it with '#'"),
    ]


def test_only_plain_scalars_are_cast() -> None:
    schema = {
        "properties": {"a": {"type": "integer"}, "b": {"type": ["integer", "null"]}, "c": True}
    }

    assert casts(schema) == {"a": "integer"}
    assert casts(None) == {}
