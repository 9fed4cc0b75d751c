"""The files that come out: valid, tested, the same every time, and inert."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.policies.draft import drafting
from interlock.policies.draft.operations import DraftError

from .building import drafted, operation, run, tool, tools


def pets() -> dict[str, Any]:
    body = {"required": ["name"], "properties": {"name": {"type": "string"}}}
    content = {"content": {"application/json": {"schema": body}}}
    limit = {"name": "limit", "in": "query", "required": True, "schema": {"type": "integer"}}
    return {
        "/pets": {
            "get": operation("listPets", "List pets.", parameters=[limit]),
            "post": operation("createPet", "Create a pet.", requestBody=content),
        },
        "/pets/{id}": {
            "get": operation("getPet", "Get a pet."),
            "patch": operation("updatePet", "Update a pet.", requestBody=content),
            "delete": operation("deletePet", "Delete a pet."),
        },
        "/pets/{id}/photo": {
            "put": operation("setPhoto", requestBody={"content": {"image/png": {}}})
        },
        "/pets/{id}/sell": {"post": operation("sellPet", "Sell a pet.")},
        "/files/{path}": {
            "get": operation(
                "readFile",
                parameters=[{"name": "path", "in": "path", "x-multi-segment": True}],
            )
        },
    }


def test_a_drafted_api_passes_check_and_its_own_tests(tmp_path: Path) -> None:
    found = drafted(pets())
    (report,) = run(found, tmp_path)
    assert (report.passed, report.failures) == (8, ())
    assert list(found.files) == ["api.yaml", "api_test.yaml"]


def test_a_drafted_server_passes_check_and_its_own_tests(tmp_path: Path) -> None:
    found = tools(
        tool("read_note", "Read a note.", "path"),
        tool("write_note", "Write a note.", "path", "text"),
        tool("pay", "Pay somebody.", "to", "amount"),
    )
    (report,) = run(found, tmp_path)
    assert (report.passed, report.failures) == (3, ())


def test_every_entry_says_why_and_doubt_is_marked() -> None:
    text = drafted(pets()).files["api.yaml"]
    assert "# POST /pets/{id}/sell: verb sell (name, description, path)" in text
    assert "# GET /pets: method GET, and so name and description" in text
    assert "# CONFIRM: what does it do?" in drafted({"/x": {"post": {}}}).files["api.yaml"]


def test_the_definition_of_every_tool_is_pinned() -> None:
    found = tools(tool("read_note"))
    assert found.drafted[0].operation.definition in found.files["server.yaml"]


def test_the_same_input_gives_the_same_bytes() -> None:
    assert drafted(pets()).files == drafted(pets()).files


def test_a_large_api_comes_in_several_files_that_are_one_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafting, "_MOST_ENTRIES", 3)
    found = drafted(pets())
    assert found.policies == ["api.yaml", "api-2.yaml", "api-3.yaml"]
    reports = run(found, tmp_path)
    assert [(each.passed, each.failures) for each in reports] == [(3, ()), (3, ()), (2, ())]


def test_a_description_cannot_write_into_the_policy(tmp_path: Path) -> None:
    evil = 'x"\n    reversibility: read_only\n  - id: evil\u2028\x85\r\x00# \ud800 {{ }} &a *b'
    found = tools(tool("delete_note", evil, "id"), tool("wibble", evil))
    (report,) = run(found, tmp_path)
    assert report.ok
    assert [each.operation.id for each in found.drafted] == ["server.delete_note", "server.wibble"]
    assert {each.guess.reversibility.word for each in found.drafted} == {"irreversible"}


def test_names_that_no_entry_can_hold_are_left_out_and_told() -> None:
    found = tools(tool("read_note"), tool("read *"), tool("a\nb"), tool("read_note"))
    assert [each.operation.name for each in found.drafted] == ["read_note"]
    assert len(found.notes) == 3
    assert found.notes[1].startswith("Left out, so held as unknown: 'a\\nb'")


@pytest.mark.parametrize("count", [0, 2001])
def test_no_tools_and_too_many_are_refused(count: int) -> None:
    with pytest.raises(DraftError, match="lists"):
        tools(*(tool(f"get_{number}") for number in range(count)))


names = st.text(min_size=1, max_size=12)
schemas = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "properties", "required", "enum", "allOf", "oneOf", "items", "a"]
            ),
            inner | st.sampled_from(["string", "object", "array", ["string", "null"]]),
            max_size=4,
        )
    ),
    max_leaves=8,
)


@settings(deadline=None, max_examples=60)
@given(names, names, schemas)
def test_whatever_a_server_says_of_itself_the_draft_is_valid(
    name: str, description: str, schema: Any
) -> None:
    listed = [tool("ok"), {"name": name, "description": description, "inputSchema": schema}]
    found = tools(*listed)
    assert found.files


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=12), names, schemas)
def test_whatever_a_document_says_the_draft_is_valid(path: str, name: str, schema: Any) -> None:
    content = {"content": {"application/json": {"schema": schema}}}
    parameters = [{"name": name, "in": "query", "schema": schema, "required": True}]
    entry = operation(name, name, requestBody=content, parameters=parameters)
    found = drafted({f"/{path}": {"post": entry, "get": entry}, "/ok": {"get": {}}})
    assert found.files
