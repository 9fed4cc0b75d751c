"""JSON Schemas of the files that people write, for editors that complete and check YAML.

They are made from the models that read the files, and say what each key means. The loader checks
more than a schema can: names, conditions, places.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from .document import PolicyDocument
from .schema_files_texts import POLICY, SUITE
from .suite_document import SuiteDocument

_DIALECT = "http://json-schema.org/draft-07/schema#"  # the one that editors know best
_NEVER: JsonSchemaValue = {"not": {}}
_REFUSED = frozenset({"_no_host", "_refuse"})

_KINDS: Mapping[type, str] = {str: "string", bool: "boolean", int: "integer", float: "number"}

Rewrite = Callable[[str, JsonSchemaValue], JsonSchemaValue]
"""Given a validator's name and the schema of its result: the schema of what is written."""


def policy_schema() -> dict[str, Any]:
    """Return the JSON Schema of a policy file."""
    schema = schema_of(PolicyDocument, POLICY, "An Interlock policy file", _written)
    definitions = schema["$defs"]
    codes = definitions["Approvals"]["properties"]["reasons"]
    codes["propertyNames"] = {"pattern": "^[a-z0-9_]{1,40}$"}
    definitions["ToolEntry"]["oneOf"] = [{"required": ["http"]}, {"required": ["mcp"]}]
    return schema


def suite_schema() -> dict[str, Any]:
    """Return the JSON Schema of a test suite."""
    schema = schema_of(SuiteDocument, SUITE, "Tests of an Interlock policy", _written)
    settable = r"^((args|agent|session|facts|call)\..+|task)$"
    definitions = schema["$defs"]
    definitions["Case"]["properties"]["set"]["propertyNames"] = {"pattern": settable}
    row = definitions["Row"]
    row["patternProperties"] = {settable: {}}
    row["additionalProperties"] = False
    return schema


def schema_of(
    model: type[BaseModel],
    texts: Mapping[str, Mapping[str, str]],
    title: str,
    rewrite: Rewrite,
) -> dict[str, Any]:
    """Return the JSON Schema of *model*; *texts* say what its keys mean where it does not itself.

    *rewrite* knows the validators that read something else than what comes out of them.
    """

    class Generator(GenerateJsonSchema):
        def function_before_schema(
            self, schema: core_schema.BeforeValidatorFunctionSchema
        ) -> JsonSchemaValue:
            inner = self.generate_inner(schema["schema"])
            written = rewrite(_name(schema), inner)
            said = schema.get("json_schema_input_schema")
            return self.generate_inner(said) if written is inner and said else written

        def function_plain_schema(
            self, schema: core_schema.PlainValidatorFunctionSchema
        ) -> JsonSchemaValue:
            return rewrite(_name(schema), {})

        def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
            inner = self.generate_inner(schema["schema"])
            default = schema.get("default")
            kind = _KINDS.get(type(default))
            if kind is not None and kind == inner.get("type") and default != "":
                return {**inner, "default": default}
            return inner

        def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
            # A key with nothing behind it is a slip, though the loader takes it as left out.
            return self.generate_inner(schema["schema"])

    schema = model.model_json_schema(
        by_alias=True, mode="validation", schema_generator=Generator, ref_template="#/$defs/{model}"
    )
    for name, definition in (*schema.get("$defs", {}).items(), (model.__name__, schema)):
        _describe(definition, texts.get(name, {}), schema.get("$defs", {}))
    return {"$schema": _DIALECT, **schema, "title": title}


def _name(schema: Any) -> str:
    return str(getattr(schema["function"]["function"], "__name__", ""))


def _written(validator: str, inner: JsonSchemaValue) -> JsonSchemaValue:
    if validator in _REFUSED:
        return _NEVER
    if validator == "_listed":
        item = inner.get("items", {})
        return {"anyOf": [item, inner]}
    if validator == "_graphql":
        return {"anyOf": [{"type": "string"}, inner]}
    return inner


def _describe(
    definition: dict[str, Any], texts: Mapping[str, str], definitions: Mapping[str, Any]
) -> None:
    definition.pop("title", None)
    properties = definition.get("properties", {})
    for key in [key for key, value in properties.items() if value.get("not") == {}]:
        del properties[key]
    for key, value in properties.items():
        value.pop("title", None)
        if "anyOf" in value and "minLength" in value:  # of one or a list
            value["minItems"] = value.pop("minLength")
        named = definitions.get(str(value.get("$ref", "")).rpartition("/")[2], {})
        text = texts.get(key) or value.get("description") or named.get("description")
        if not text:
            continue
        if "$ref" in value:  # draft 7 reads nothing beside a $ref
            properties[key] = {"allOf": [{"$ref": value["$ref"]}], "description": text}
        else:
            value["description"] = text
