"""A person's "do not ask again": when it lowers a call, and when one may be given."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from .actions import Body, ToolCall
from .facts import Facts, Grant
from .judging import LEVELS, Judging
from .messages import asked
from .patterns import HttpMatch
from .reading import Reading
from .rules import GrantSpec, Tool

# They differ between two calls of one kind, and say nothing of what is done.
_PASSING = frozenset(
    "accept accept-charset accept-encoding accept-language amz-sdk-invocation-id amz-sdk-request"
    " baggage content-digest content-length content-md5 content-type correlation-id date"
    " idempotency-key request-id traceparent tracestate"
    " user-agent x-amz-content-sha256 x-amz-date x-amz-user-agent x-amzn-trace-id"
    " x-correlation-id x-request-id".split()
)
_PASSING_PREFIXES = ("x-amz-checksum-",)
_ARGUMENTS = frozenset({"name", "arguments"})


def how_called(
    call: ToolCall, tool: Tool, path: Mapping[str, str], target: Mapping[str, Any]
) -> tuple[str, ...]:
    """Return how *tool* is called, beside what the call acts on: one grant is for one such way.

    Method, place, name, what tells entries apart, headers, and the target as it was written: to a
    tool `9.0` may be another thing than `9`. *path*: the parameters of the path, as text.
    """
    headers = sorted(
        [name.lower(), value.strip()]
        for name, value in call.headers
        if not _passing(name.lower(), call)
    )
    said = [
        [call.upstream, call.method, call.service, call.region],
        [call.mcp.name, call.mcp.definition, _beside_arguments(call)] if call.mcp else [],
        [headers, _content_type(call)],
        [target, list(_written(call, path, target))],
        list(_told_apart(call, tool.match)) if isinstance(tool.match, HttpMatch) else [],
    ]
    text = json.dumps(said, sort_keys=True, default=dict)
    return (hashlib.sha256(text.encode()).hexdigest(),)


def _passing(name: str, call: ToolCall) -> bool:
    if call.mcp is not None and name.startswith("mcp-"):
        return True  # they say again what the message says
    return name in _PASSING or name.startswith(_PASSING_PREFIXES)


def _beside_arguments(call: ToolCall) -> list[list[Any]]:
    """Return what else an MCP call asks for, such as answers to questions of its tool."""
    return sorted([name, each] for name, each in asked(call).items() if name not in _ARGUMENTS)


def _content_type(call: ToolCall) -> list[str]:
    content = call.content
    # The boundary of a multipart body is another one in every call.
    whole = content.kind is Body.OPAQUE and not content.media_type.startswith("multipart/")
    written = [value for name, value in call.headers if name.lower() == "content-type" and whole]
    return [content.kind.value, content.media_type, *written]


def _written(
    call: ToolCall, path: Mapping[str, str], target: Mapping[str, Any]
) -> Iterator[list[str]]:
    form = (call.content.value if call.content.kind is Body.FORM else None) or {}
    for name in sorted(target):
        if name in path:
            yield ["path", name, path[name]]
        if name in form:
            yield ["form", name, form[name]]
        yield from (["query", name, value] for other, value in call.query if other == name)


def _told_apart(call: ToolCall, match: HttpMatch) -> Iterator[object]:
    """Yield what the call has where entries are told apart; one value of several is one way."""
    reading = Reading(call)
    for kind in ("header", "query", "form", "json"):
        for each in getattr(match, "headers" if kind == "header" else kind):
            yield [kind, each.name, reading.value((kind, each.name))]
    if match.graphql is not None and reading.body is not None:
        yield [reading.body.get("query"), reading.body.get("operationName")]


def grantable(tool: Tool | None, judging: Judging) -> bool:
    """Say whether a grant would lower calls like this one."""
    return (
        tool is not None
        and tool.grants is not None
        and judging.level > tool.grants.at_most
        and not judging.settled
    )


def apply_grant(
    facts: Facts, call: ToolCall, tool: Tool, key: str, at: datetime, judging: Judging
) -> None:
    """Lower to what policy lets a grant do, where nothing fired and nothing is in doubt.

    *key*: of calls like this one; a grant for any other does not count. That it is genuine is
    checked by whoever fetched it.
    """
    grant = facts.grant
    if grant is None or tool.grants is None or not grantable(tool, judging):
        return
    if not _covers(grant, call, tool, tool.grants, key, at):
        judging.notes.append(f"grant {grant.id}: not for this call, or ended")
        return
    if judging.level > grant.level or judging.stake > grant.stake:
        judging.notes.append(f"grant {grant.id}: given for a call of less weight")
        return
    judging.grant = grant.id
    judging.level = tool.grants.at_most
    judging.notes.append(f"grant {grant.id} of {grant.by}: at most {LEVELS[judging.level]}")


def _covers(
    grant: Grant, call: ToolCall, tool: Tool, spec: GrantSpec, key: str, at: datetime
) -> bool:
    # Policy may have become stricter since a person granted it.
    ends = min(grant.expires, grant.created + spec.longest_ms)
    return (
        bool(key)
        and grant.key == key
        and grant.agent == call.agent.id
        and grant.tool == tool.id
        and grant.used < min(grant.uses, spec.uses)
        and ends > at.timestamp() * 1000
    )
