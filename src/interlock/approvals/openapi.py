"""The OpenAPI 3.1 document of the people's API, from the models and one table. Pure."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from ..core.actions import State
from . import (
    models,
    models_analytics,
    models_audits,
    models_credentials,
    models_decisions,
    models_definitions,
    models_desk,
    models_feedback,
    models_item,
    models_notifications,
    models_policy,
    models_practice,
    openapi_channels,
    openapi_desk,
    openapi_sign_in,
    undo,
)
from .operation import CSRF, IF_MATCH, IN_PATH, Operation, query

_REF = "#/components/schemas/{model}"
_REFUSALS = {
    400: "malformed, or a member that is not known",
    401: "no valid key and no session",
    403: "not for this kind of key, not for this person, or asked by another site's page",
    404: "no such call",
    409: "already decided; `current` says by whom",
    410: "the time to decide is over; `current` says what became of it",
    412: "not the version or digest that was looked at; `current` is the call now",
    415: "not JSON",
    421: "this listener is not known by that Host",
    422: "the edit does not fit, a reason is missing, or policy does not let this be granted",
    428: "no If-Match",
    429: "you have approved as many calls in this hour as policy lets you; see Retry-After",
    503: "the store does not answer; nothing has changed",
}


_OF_TOOL = tuple(
    {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    for name in ("server", "tool")
)
_DEFINITIONS = (
    query("server", {"type": "string"}, "only this server's"),
    query("tool", {"type": "string"}, "only the tool of this name"),
    query("state", {"enum": ["waiting", "accepted"]}, "only what waits, or what is accepted"),
    query("limit", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}, "per page"),
    query(
        "offset",
        {"type": "integer", "minimum": 0, "maximum": 100_000_000, "default": 0},
        "`next` of the page before",
    ),
)
_CURSOR = "^([0-9]{1,20}-[0-9A-Za-z_-]{1,64})?$"  # a form sends empty ones: left out
_STATES = ["recent", *(state.value for state in State)]
_LIST = (
    query("state", {"enum": _STATES, "default": "held"}, "in this state; `recent`: decided lately"),
    query("level", {"enum": ["allow", "notify", "approve", "approve_dual", "deny"]}, "asked for"),
    query("agent", {"type": "string"}, "only this agent's"),
    query("tool", {"type": "string"}, "only this catalogue entry's"),
    query("text", {"type": "string"}, "only those whose card has this in it, in any case"),
    query("mine", {"enum": ["yes"]}, "only what you may decide and nobody else is asked to"),
    query("limit", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}, "per page"),
    query(
        "cursor",
        {"type": "string", "pattern": _CURSOR},
        "`next` of the page before",
    ),
)

OPERATIONS = (
    Operation(
        method="GET",
        path="/v1/approvals",
        name="listApprovals",
        summary="Held calls, highest stake first, then oldest first",
        answers=models.Queue,
        parameters=_LIST,
        refusals=(400, 401, 403, 421, 503),
    ),
    Operation(
        method="GET",
        path="/v1/approvals/{id}",
        name="showApproval",
        summary="Everything about one call",
        answers=models_item.Item,
        parameters=(IN_PATH,),
        refusals=(401, 403, 404, 421, 503),
        headers={"ETag": "the version, in quotes; send it as If-Match with the decision"},
    ),
    Operation(
        method="POST",
        path="/v1/approvals/{id}/preview",
        name="previewEdit",
        summary="An edit as it would be sent and judged; changes nothing",
        answers=models_decisions.Preview,
        takes=models_decisions.PreviewRequest,
        parameters=(IN_PATH,),
        refusals=(400, 401, 403, 404, 409, 415, 421, 422, 503),
    ),
    Operation(
        method="POST",
        path="/v1/approvals/{id}/decision",
        name="decide",
        summary="Approve, edit, reject, or answer in the tool's place",
        answers=models_decisions.Outcome,
        takes=models_decisions.DecisionRequest,
        parameters=(IN_PATH, IF_MATCH, CSRF),
        refusals=tuple(_REFUSALS),
        headers={"ETag": "the version after the decision"},
    ),
    Operation(
        method="POST",
        path="/v1/approvals/{id}/resolve",
        name="resolve",
        summary="Settle a call whose outcome is unknown (admins)",
        answers=models_decisions.Outcome,
        takes=models_decisions.ResolveRequest,
        parameters=(IN_PATH, CSRF),
        refusals=(400, 401, 403, 404, 409, 415, 421, 503),
    ),
    Operation(
        method="POST",
        path="/v1/approvals/{id}/reveal",
        name="reveal",
        summary="Everything about one call, with what policy hides; recorded (whoever may decide)",
        answers=models_item.Item,
        parameters=(IN_PATH, CSRF),
        refusals=(401, 403, 404, 409, 421, 503),
        headers={"ETag": "the version, in quotes; send it as If-Match with the decision"},
    ),
    Operation(
        method="GET",
        path="/v1/grants",
        name="listGrants",
        summary="Grants that hold, newest first",
        answers=models_policy.GrantList,
    ),
    Operation(
        method="DELETE",
        path="/v1/grants/{id}",
        name="revokeGrant",
        summary="End a grant at once",
        answers=models_policy.GrantView,
        parameters=(IN_PATH, CSRF),
        refusals=(401, 403, 404, 421, 503),
    ),
    Operation(
        method="GET",
        path="/v1/definitions",
        name="listDefinitions",
        summary="What MCP servers say of their tools: what waits to be accepted first",
        answers=models_definitions.DefinitionList,
        parameters=_DEFINITIONS,
        refusals=(400, 401, 403, 421, 503),
    ),
    Operation(
        method="POST",
        path="/v1/definitions/{server}/{tool}/accept",
        name="acceptDefinition",
        summary="Accept what a server says of a tool, as it was looked at",
        answers=models_definitions.DefinitionView,
        takes=models_definitions.AcceptRequest,
        parameters=(*_OF_TOOL, CSRF),
        refusals=(400, 401, 403, 404, 409, 412, 415, 421, 422, 503),
    ),
    Operation(
        method="GET",
        path="/v1/policy",
        name="showPolicy",
        summary="The policy in force, what is on trial, and what is wrong with its files",
        answers=models_policy.PolicyView,
        refusals=(401, 403, 421),
    ),
    *models_credentials.OPERATIONS,
    *openapi_desk.OPERATIONS,
    *openapi_sign_in.OPERATIONS,
    *openapi_channels.OPERATIONS,
    *models_notifications.OPERATIONS,
    *models_practice.OPERATIONS,
    *models_feedback.OPERATIONS,
    *models_analytics.OPERATIONS,
    *models_audits.OPERATIONS,
    *undo.OPERATIONS,
    Operation(
        method="GET",
        path="/v1/events",
        name="followQueue",
        summary="The queue whenever it changes, as server-sent events of `Tick`",
        answers=models_desk.Tick,
        media_type="text/event-stream",
        parameters=({"name": "Last-Event-ID", "in": "header", "schema": {"type": "string"}},),
    ),
    Operation(
        method="GET",
        path="/openapi.json",
        name="document",
        summary="This document",
        answers=None,
        refusals=(421,),
        open=True,
    ),
)


def document(url: str) -> dict[str, Any]:
    """Return the document; *url* is where this listener is reached."""
    every: dict[type[BaseModel], Literal["validation"]] = {models.Problem: "validation"}
    for operation in OPERATIONS:
        every |= {m: "validation" for m in (operation.answers, operation.takes) if m is not None}
    _, schemas = models_json_schema(list(every.items()), ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Interlock: the people's API",
            "version": "1",
            "description": "See held calls and decide them. An agent's key is refused everywhere.",
        },
        "servers": [{"url": url}],
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}],
    }


def _described(operation: Operation) -> dict[str, Any]:
    good: dict[str, Any] = {"description": operation.summary}
    schema = _of(operation.answers) if operation.answers else {"type": "object"}
    good["content"] = {operation.media_type: {"schema": schema}}
    if operation.headers:
        good["headers"] = {
            name: {"description": text, "schema": {"type": "string"}}
            for name, text in operation.headers.items()
        }
    told: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": list(operation.parameters),
        "responses": {"200": good}
        | {str(status): _refusal(status) for status in operation.refusals},
    }
    if operation.takes:
        content = {"application/json": {"schema": _of(operation.takes)}}
        told["requestBody"] = {"required": True, "content": content}
    if operation.open:
        told["security"] = []
    return told


def _refusal(status: int) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": _of(models.Problem)}}
    return {"description": _REFUSALS[status], "content": content}


def _of(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}
