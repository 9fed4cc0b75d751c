"""What the OpenAPI document says about one route, and the parameters that many routes share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What the document says about one route."""

    method: str
    path: str
    name: str
    summary: str
    answers: type[BaseModel] | None
    takes: type[BaseModel] | None = None
    media_type: str = "application/json"
    parameters: tuple[Mapping[str, Any], ...] = ()
    refusals: tuple[int, ...] = (401, 403, 421, 503)
    open: bool = False  #: needs no sign-in
    headers: Mapping[str, str] = field(default_factory=dict)


def query(name: str, schema: Mapping[str, Any], description: str) -> Mapping[str, Any]:
    """Describe a parameter of the query."""
    return {"name": name, "in": "query", "schema": schema, "description": description}


IN_PATH = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
}
IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "schema": {"type": "string", "pattern": '^"[0-9]{1,9}"$'},
    "description": 'the version that was looked at, in quotes: the ETag, such as `"1"`',
}
CSRF = {
    "name": "Interlock-CSRF",
    "in": "header",
    "schema": {"type": "string"},
    "description": "`csrf` of the item or list; needed from a session, not with a key",
}
