"""The document and the routes say the same."""

from __future__ import annotations

import re

import jsonschema_rs

from interlock.approvals import api, openapi
from interlock.core.identity import Kind

from .world import World


def plain(path: str) -> str:
    return re.sub(r"\{(\w+):[^{}]+(\{[^{}]+\})?\}", r"{\1}", path)


def test_every_route_is_described_and_every_description_is_a_route() -> None:
    described = {(operation.method, operation.path) for operation in openapi.OPERATIONS}
    routed = {(route.method, plain(route.path)) for route in api.ROUTES}
    assert described == routed


def test_what_needs_no_sign_in_is_marked_so() -> None:
    opened = {operation.path for operation in openapi.OPERATIONS if operation.open}
    assert opened == {route.path for route in api.ROUTES if route.kinds is None}


def test_every_reference_leads_somewhere() -> None:
    document = openapi.document("http://127.0.0.1:8081")
    names = set(re.findall(r"#/components/schemas/(\w+)", repr(document)))
    assert names <= set(document["components"]["schemas"])
    assert "Item" in names


def test_every_model_has_a_name_of_its_own_in_the_document() -> None:
    names = openapi.document("http://127.0.0.1:8081")["components"]["schemas"]
    assert [name for name in names if "__" in name] == []


async def test_what_is_answered_fits_the_document(world: World) -> None:
    document = openapi.document(world.url)
    key = await world.key(Kind.APPROVER)
    action = await world.hold()
    await world.definitions.listed("files", [{"name": "read"}], whole=True)
    await world.definitions.listed("files", [{"name": "read", "title": "R"}], whole=True)
    for path, model in (
        ("/v1/approvals", "Queue"),
        (f"/v1/approvals/{action.id}", "Item"),
        ("/v1/approvals/nothing", "Problem"),
        ("/v1/definitions", "DefinitionList"),
        ("/v1/people", "PeopleList"),
        ("/v1/me", "Me"),
        ("/v1/agents", "AgentList"),
        ("/v1/practice", "PracticeReport"),
        ("/v1/history", "Past"),
    ):
        answer = await (await world.ask("GET", path, key=key)).json()
        schema = {
            "$ref": f"#/components/schemas/{model}",
            "components": document["components"],
        }
        assert jsonschema_rs.is_valid(schema, answer), path
