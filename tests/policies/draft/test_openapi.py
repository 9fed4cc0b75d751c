"""Documents of APIs: what is read of them, and what is refused."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from interlock.policies.draft import documents
from interlock.policies.draft.documents import read_document
from interlock.policies.draft.drafting import draft_openapi
from interlock.policies.draft.operations import DraftError, Operation

from .building import api, drafted, operation


def only(paths: dict[str, Any], **members: Any) -> Operation:
    (found,) = drafted(paths, **members).drafted
    return found.operation


def refusal(raw: bytes) -> str:
    with pytest.raises(DraftError) as caught:
        draft_openapi(raw, "api.json", "api")
    return str(caught.value)


def test_path_query_and_body_become_one_schema() -> None:
    body = {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string", "format": "x", "pattern": "(?=a)"}},
    }
    number = {"name": "limit", "in": "query", "required": True, "schema": {"type": "integer"}}
    entry = operation(
        "renamePet",
        parameters=[number],
        requestBody={"content": {"application/json": {"schema": body}}},
    )
    found = only({"/pets/{pet.id}": {"post": entry}})
    assert found.path == "/pets/{pet_id}"
    assert found.parameters.schema == {
        "type": "object",
        "required": ["limit", "name"],
        "properties": {"name": {"type": "string"}, "limit": {"type": "integer"}},
    }


def test_swagger_2_is_read_too() -> None:
    document = {
        "swagger": "2.0",
        "basePath": "/v1",
        "consumes": ["application/json"],
        "paths": {
            "/pets": {
                "post": {
                    "operationId": "createPet",
                    "parameters": [
                        {"name": "pet", "in": "body", "schema": {"$ref": "#/definitions/P"}}
                    ],
                },
                "get": {
                    "parameters": [
                        {
                            "name": "tag",
                            "in": "query",
                            "type": "array",
                            "collectionFormat": "multi",
                        },
                        {"name": "ids", "in": "query", "type": "array"},
                    ]
                },
            }
        },
        "definitions": {"P": {"properties": {"name": {"type": "string", "enum": ["a", "b"]}}}},
    }
    created, listed = (
        each.operation
        for each in draft_openapi(json.dumps(document).encode(), "a.json", "api").drafted[::-1]
    )
    if created.method == "GET":
        created, listed = listed, created
    assert created.path == "/v1/pets"
    assert created.parameters.properties == {"name": {"type": "string", "enum": ["a", "b"]}}
    assert "tag" in listed.parameters.multi
    assert listed.parameters.properties["ids"] == {"type": "string"}


def test_yaml_is_read_as_openapi_means_it() -> None:
    text = """
openapi: 3.0.0
paths:
  /switch:
    post:
      operationId: on
      summary: Switch. 2026-01-01
      parameters:
        - {name: on, in: query, schema: {type: string, enum: [on, off, no]}}
"""
    (found,) = draft_openapi(text.encode(), "a.yaml", "api").drafted
    assert found.operation.parameters.properties == {
        "on": {"type": "string", "enum": ["on", "off", "no"]}
    }


def test_the_path_of_the_first_server_is_part_of_the_paths() -> None:
    servers = [{"url": "https://{host}/{v}/", "variables": {"v": {"default": "v2"}}}]
    found = drafted({"/pets": {"get": operation("list")}}, servers=servers)
    assert found.drafted[0].operation.path == "/v2/pets"
    assert found.notes == ("Paths begin with /v2: set the upstream's url without it.",)


def test_a_path_parameter_never_meets_a_body_member_of_its_name() -> None:
    schema = {"properties": {"id": {"type": "string"}}}
    body = {"content": {"application/json": {"schema": schema}}}
    found = only({"/pets/{id}": {"put": operation("updatePet", requestBody=body)}})
    assert found.path == "/pets/{path_id}"


def test_what_no_template_tells_apart_is_one_entry_and_the_gravest() -> None:
    found = drafted(
        {
            "/pets/{id}.json": {"post": operation("renamePet", "Update a pet.")},
            "/pets/{id}:sell": {"post": operation("sellPet", "Sell a pet.")},
        }
    )
    (one,) = found.drafted
    assert one.operation.path == "/pets/{id}"
    assert one.guess.reversibility.word == "irreversible"
    assert one.guess.confirm == ("do these belong together?",)


def test_paths_that_cross_stay_entries_of_their_own() -> None:
    found = drafted(
        {
            "/pets/{id}/toys": {"get": operation("listToys")},
            "/pets/dogs/{name}": {"get": operation("getDog")},
            "/pets/{id}": {"get": operation("getPet")},
        }
    )
    assert [each.operation.path for each in found.drafted] == [
        "/pets/{id}/toys",
        "/pets/dogs/{name}",
        "/pets/{id}",
    ]


def test_files_are_sent_as_bytes_that_policy_does_not_read() -> None:
    body = {"content": {"image/png": {"schema": {"type": "string"}}}}
    found = only({"/pets/{id}/photo": {"put": operation("setPhoto", requestBody=body)}})
    assert found.parameters.bodies == ("opaque",)


def test_credentials_in_the_query_may_be_left_out() -> None:
    token = {"name": "token", "in": "query", "required": True, "schema": {"type": "string"}}
    schema = only({"/pets": {"get": operation("list", parameters=[token])}}).parameters.schema
    assert schema is not None and "required" not in schema


# ---- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"[]", "not a mapping at the top"),
        (b"{", "api.json:1:2: not JSON"),
        (b"a: [", "not YAML"),
        (b"\xff\xfe", "not UTF-8 at byte 0"),
        (b"{}", "no `openapi: 3.x`"),
        (b'{"openapi": "3.0.0"}', "no `paths`"),
        (b'{"openapi": "4.0", "paths": {}}', "no `openapi: 3.x`"),
        (b'{"openapi": "3.0.0", "paths": {"/a": {}}}', "hold no operations"),
        (b"[" * 100_000, "nested"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"a: &x [1]\nb: *x\n", r"api.json:2:4: YAML aliases \(\*x\) are not followed"),
        (b"a: !!python/name:os.system x\n", "not YAML"),
    ],
)
def test_what_is_no_document_is_refused_with_its_place(raw: bytes, message: str) -> None:
    assert re.search(message, refusal(raw))


def test_a_document_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_BYTES", 10)
    with pytest.raises(DraftError, match="Draft from a part of it"):
        read_document(b" " * 11, "api.json")


@pytest.mark.parametrize("remote", ["https://evil.example/x.json", "other.yaml#/a", "/etc/passwd"])
def test_a_reference_to_elsewhere_is_refused_and_nothing_is_fetched(remote: str) -> None:
    message = refusal(api({"/a": {"get": operation("list", parameters=[{"$ref": remote}])}}))
    assert "leads outside the document" in message and "bundle" in message


def test_a_path_that_no_entry_can_hold_is_refused() -> None:
    assert "is over 400 characters" in refusal(api({"/a" * 300: {"get": {}}}))


def test_more_operations_than_are_drafted_are_refused() -> None:
    paths = {f"/p{number}": {"get": {}} for number in range(5001)}
    assert "5001 operations; at most 5000" in refusal(api(paths))


def test_a_reference_to_nothing_is_refused() -> None:
    message = refusal(api({"/a": {"$ref": "#/components/none"}}))
    assert "leads to nothing" in message


def test_references_in_a_circle_are_refused() -> None:
    components = {"a": {"$ref": "#/x/b"}, "b": {"$ref": "#/x/a"}}
    assert "leads back to itself" in refusal(api({"/a": {"$ref": "#/x/a"}}, x=components))


def test_a_schema_that_holds_itself_is_read() -> None:
    tree: dict[str, Any] = {
        "properties": {"left": {"$ref": "#/x/tree"}, "name": {"type": "string"}}
    }
    body = {"content": {"application/json": {"schema": {"$ref": "#/x/tree"}}}}
    found = drafted({"/a": {"post": operation("createTree", requestBody=body)}}, x={"tree": tree})
    properties = found.drafted[0].operation.parameters.properties
    assert properties == {"left": {"type": "object"}, "name": {"type": "string"}}


def test_schemas_that_multiply_are_read_in_bounded_time() -> None:
    """Thirty levels of ten alternatives stand for 10^30 schemas."""
    levels = {f"s{n}": {"allOf": [{"$ref": f"#/x/s{n + 1}"}] * 10} for n in range(30)}
    levels["s30"] = {"properties": {"deep": {"type": "string"}}}  # type: ignore[dict-item]
    body = {"content": {"application/json": {"schema": {"$ref": "#/x/s0"}}}}
    found = drafted({"/a": {"post": operation("createA", requestBody=body)}}, x=levels)
    assert len(found.drafted) == 1


def test_an_endless_number_of_properties_is_cut() -> None:
    properties = {f"p{n}": {"type": "string"} for n in range(5000)}
    body = {"content": {"application/json": {"schema": {"properties": properties}}}}
    found = only({"/a": {"post": operation("createA", requestBody=body)}})
    assert len(found.parameters.properties) == 100
