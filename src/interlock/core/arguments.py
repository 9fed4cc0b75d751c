"""The arguments of a call, under one naming, from path, query, form and JSON body.

`args` is one namespace: path parameters by their name in the template, query parameters and form
fields by name, members of a JSON object by name. A JSON body that is not an object is `args.body`.
The same name from two places is fine where the values are the same text and ambiguous otherwise:
which of the two the tool would take is not ours to guess.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .actions import Body, ToolCall
from .claims import egress
from .facts import NO_FACTS, Facts
from .rules import Environment, Tool

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})\Z")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,15})?\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The arguments by name, and where each came from: path, query, form or json.

    `ambiguous` says, for the agent, what cannot be read in one way; it is empty otherwise.
    """

    values: dict[str, Any]
    sources: dict[str, str]
    ambiguous: str = ""


def read_arguments(call: ToolCall, path: Mapping[str, str], tool: Tool | None) -> Arguments:
    """Collect the arguments of *call*; *path* holds the parameters of the path.

    Text from path, query and form becomes a number or a boolean where the tool's schema says so
    and the text is a plain decimal, `true` or `false`.
    """
    body = call.content.value
    if type(body) is dict and _only_body(call, path, tool):
        return Arguments(values=dict(body), sources=dict.fromkeys(body, "json"))
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    ambiguous = ""
    constants = _constants(tool)
    for name, value, source in _all(call, path, tool):
        if (source, name) in constants:
            continue
        if isinstance(value, _Repeated):
            ambiguous = ambiguous or (
                f"The {source} field {name!r} occurs more than once. Send it once."
            )
        elif name in values and not _same(values[name], value):
            ambiguous = ambiguous or (
                f"The argument {name!r} has one value in the {sources[name]} and another in the "
                f"{source}. Send it once, or the same value in both."
            )
        values[name], sources[name] = value, source
    return Arguments(values=values, sources=sources, ambiguous=ambiguous)


def environment(
    call: ToolCall,
    tool: Tool | None,
    values: Mapping[str, Any],
    at: datetime,
    facts: Facts = NO_FACTS,
) -> Environment:
    """Return what conditions see of a call at the time *at* (aware; `call.hour` is UTC).

    What is not known of the session is missing. `task` is the user's request: the one that is
    stored for the session, else the one that came with the call, else None.
    """
    agent: dict[str, Any] = {"id": call.agent.id, "owner": call.agent.owner}
    if call.context.confidence is not None:
        agent["confidence"] = call.context.confidence
    return {
        "args": values,
        "agent": agent,
        "call": {
            "tool": tool.id if tool else "",
            "egress": egress(call, tool),
            "hour": at.hour if at.tzinfo is UTC else at.astimezone(UTC).hour,
            "method": call.method,
            "path": call.path,
            "upstream": call.upstream,
            "service": call.service,
            "region": call.region,
            "size": len(call.body),
            "content_type": call.content.media_type,
        },
        "session": _session(call, facts),
        "task": (call.context.task if facts.task is None else facts.task) or None,
    }


def _session(call: ToolCall, facts: Facts) -> dict[str, Any]:
    session = facts.session
    if session is None:
        return {"id": call.context.session}
    return {
        "id": call.context.session,
        "untrusted_content": session.untrusted_content,
        "sensitive_data": session.sensitive_data,
        "points": session.points,
        "writes": session.writes,
        "calls": session.calls,
    }


def _only_body(call: ToolCall, path: Mapping[str, str], tool: Tool | None) -> bool:
    """Say whether all arguments are members of a JSON body, as of most calls; nothing can clash."""
    if call.mcp is not None:
        return True
    if path or call.query or call.content.kind is not Body.JSON:
        return False
    return tool is None or (not tool.constants and Body.JSON in tool.bodies)


class _Repeated(list[str]):
    """The values of a name that may not repeat, but does."""


def _all(
    call: ToolCall, path: Mapping[str, str], tool: Tool | None
) -> Iterator[tuple[str, Any, str]]:
    if call.mcp is not None:
        yield from _members({} if call.content.value is None else call.content.value)
        return
    casts: Mapping[str, str] = tool.casts if tool else {}
    multi = tool.multi if tool else frozenset()
    for name, text in path.items():
        yield name, _cast(text, casts.get(name)), "path"
    for name, texts in _grouped(call.query).items():
        yield name, _texts(name, texts, casts, multi), "query"
    content = call.content
    if tool is not None and content.kind not in tool.bodies:
        return  # bytes that this tool stores or passes on; nothing in them is an argument
    if content.kind is Body.FORM and isinstance(content.value, Mapping):
        for name, value in content.value.items():
            texts = [value] if isinstance(value, str) else list(value)
            yield name, _texts(name, texts, casts, multi), "form"
    elif content.kind is Body.JSON:
        yield from _members(content.value)


def _members(value: Any) -> Iterator[tuple[str, Any, str]]:
    """Yield the members of a JSON object, or any other value as `body`."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield name, each, "json"
    else:
        yield "body", value, "json"


def _grouped(pairs: tuple[tuple[str, str], ...]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in pairs:
        grouped.setdefault(name, []).append(value)
    return grouped


def _texts(name: str, texts: list[str], casts: Mapping[str, str], multi: frozenset[str]) -> Any:
    if name in multi:
        return texts
    return _cast(texts[0], casts.get(name)) if len(texts) == 1 else _Repeated(texts)


def _cast(text: str, kind: str | None) -> Any:
    """Read *text* as *kind* where that is plain; else leave it to the schema to refuse it."""
    if kind == "boolean" and text in ("true", "false"):
        return text == "true"
    if kind in ("integer", "number") and _INTEGER.match(text):
        return int(text)
    if kind == "number" and _NUMBER.match(text):
        return float(text)
    return text


def _same(one: Any, other: Any) -> bool:
    return _text(one) == _text(other)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _constants(tool: Tool | None) -> frozenset[tuple[str, str]]:
    return tool.constants if tool else frozenset()
