"""A test for each drafted entry: a call that it takes, and what the draft makes of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from .. import settings
from .operations import Drafted, Operation, Parameters
from .yaml_text import block, flow

_PARAMETER = re.compile(r"\{[^{}]*?(\.\.\.)?\}")
_SAMPLES: Mapping[str, Any] = {
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "array": [],
    "object": {},
    "null": None,
}


def case(drafted: Drafted) -> list[str]:
    """Return the lines of one case under `cases`."""
    operation, guess = drafted.operation, drafted.guess
    level = settings.preset("standard")[guess.reversibility][guess.stake]
    expect = {
        "tool": operation.id,
        "reversibility": guess.reversibility.word,
        "stake": guess.stake.word,
        "level": level.word,
    }
    lines = [f"  - name: {flow(operation.id)}"]
    lines += block("call", _http(operation) if operation.method else _tool(operation), 4)
    return [*lines, *block("expect", expect, 4)]


def _tool(operation: Operation) -> dict[str, Any]:
    return {"tool": operation.id, "args": _required(operation.parameters)}


def _http(operation: Operation) -> dict[str, Any]:
    path = quote(_PARAMETER.sub(_filled, operation.path), safe="/:$@!,;=()'~-._+&")
    call: dict[str, Any] = {"upstream": operation.upstream, "method": operation.method}
    parameters = operation.parameters
    required = _required(parameters)
    asked = {name: _text(value) for name, value in required.items() if name in parameters.in_query}
    sent = {name: value for name, value in required.items() if name not in asked}
    query = {**operation.query, **asked}
    call["path"] = path + (f"?{urlencode(query)}" if query else "")
    if sent:
        call["json"] = sent
    if parameters.bodies is not None:
        call |= {"body": "x", "content_type": "application/octet-stream"}
    return call


def _filled(found: re.Match[str]) -> str:
    return "a/b" if found[1] else "x1"


def _required(parameters: Parameters) -> dict[str, Any]:
    needed = (parameters.schema or {}).get("required") or ()
    return {name: _sample(parameters.properties.get(name) or {}) for name in needed}


def _sample(schema: Mapping[str, Any]) -> Any:
    if values := schema.get("enum"):
        return values[0]
    kind = schema.get("type", "string")
    kind = kind[0] if isinstance(kind, list) else kind
    return _SAMPLES.get(kind, "x")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value in (None, [], {}) else str(value)
