"""The calls of a suite: from what a test writes to the `ToolCall` that the gate would judge."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

from ..core.actions import Agent, Content, Context, McpTool, ToolCall
from ..core.content import parse_content, parse_target
from ..core.errors import MalformedCall
from ..core.patterns import Discriminator, HttpMatch, Kind, McpMatch
from ..core.rules import PolicySet
from .positions import suggestion
from .suite_document import AgentEntry, CallEntry

_FORM = "application/x-www-form-urlencoded"
_BODIES = frozenset({"POST", "PUT", "PATCH"})


class BadCall(ValueError):
    """A test describes a call that cannot be made; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a case sets: parts of `args`, `agent`, `call`, `session` and `facts`, and `task`."""

    args: Mapping[str, Any]
    agent: Mapping[str, Any]
    call: Mapping[str, Any]
    session: Mapping[str, Any]
    facts: Mapping[str, Any]
    task: str | None = None


_ROOTS = ("args", "agent", "call", "session", "facts")
_SETTABLE = "args.NAME, agent.*, session.*, facts.*, call.hour, call.service, call.region or task"


def setting(assignments: Mapping[str, Any]) -> Setting:
    """Sort assignments such as `args.amount: 5` by their root.

    Raises:
        BadCall: the root is none that can be set.
    """
    roots: dict[str, dict[str, Any]] = {root: {} for root in _ROOTS}
    task: str | None = None
    for name, value in assignments.items():
        root, _, rest = name.partition(".")
        if name == "task" and isinstance(value, str):
            task = value
        elif root in roots and rest:
            roots[root][rest] = value
        else:
            hint = suggestion(root, (*_ROOTS, "task"))
            raise BadCall(f"{name!r} cannot be set{hint or f': set {_SETTABLE}'}")
    return Setting(**roots, task=task)


def make_call(entry: CallEntry, agent: AgentEntry, changes: Setting, policy: PolicySet) -> ToolCall:
    """Return the call that *entry* describes, with *changes* made.

    Raises:
        BadCall: it cannot be made, or is not one that an agent could send.
    """
    who = _agent(agent, changes.agent)
    args = assigned(entry.args, changes.args)
    try:
        call = _call(entry, args, policy)
    except MalformedCall as refused:
        raise BadCall(f"the gate would refuse this call: {refused.detail}") from None
    known = {name: value for name, value in changes.call.items() if name in ("service", "region")}
    unknown = set(changes.call) - set(known) - {"hour"}
    if unknown:
        raise BadCall(
            f"call.{min(unknown)} cannot be set: write it into the call "
            "(call.hour, call.service and call.region can be set)"
        )
    return replace(
        call,
        agent=Agent(id=who.id, owner=who.owner),
        context=Context(
            confidence=who.confidence,
            session=str(changes.session.get("id", "session")),
            task=changes.task or "",
        ),
        **known,
    )


def _agent(agent: AgentEntry, changes: Mapping[str, Any]) -> AgentEntry:
    unknown = set(changes) - set(AgentEntry.model_fields)
    if unknown:
        name = min(unknown)
        known = ", ".join(f"agent.{each}" for each in AgentEntry.model_fields)
        hint = suggestion(name, AgentEntry.model_fields) or f": set {known}"
        raise BadCall(f"agent.{name} cannot be set{hint}")
    return agent.model_copy(update=dict(changes))


def _call(entry: CallEntry, args: Mapping[str, Any], policy: PolicySet) -> ToolCall:
    if entry.mcp is not None:
        wanted = entry.mcp
        return _of_mcp(wanted.server, wanted.tool, args, wanted.definition, wanted.annotations)
    if entry.tool is None:
        return _from_http(entry)
    if entry.tool not in policy.tools:
        return ToolCall(agent=Agent(id=""), upstream="unknown", method="POST", target="/", path="/")
    tool = policy.tools[entry.tool]
    if isinstance(tool.match, McpMatch):
        name = tool.match.tool.patterns[0].text.replace("*", "x")
        return _of_mcp(tool.match.server, name, args, min(tool.pins, default=""), {})
    return _from_arguments(tool.match, args, entry)


def _of_mcp(
    server: str, tool: str, args: Mapping[str, Any], definition: str, hints: Mapping[str, bool]
) -> ToolCall:
    body = json.dumps(args).encode()
    return ToolCall(
        agent=Agent(id=""),
        upstream=server,
        method="POST",
        target="/",
        path="/",
        body=body,
        content=parse_content("application/json", body),
        mcp=McpTool(name=tool, definition=definition, annotations=dict(hints)),
    )


def assigned(args: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return *args* with *changes* by name; `a.b` reaches into an object `a` that is there."""
    new = dict(args)
    for name, value in changes.items():
        root, _, rest = name.partition(".")
        if rest and name not in new and isinstance(new.get(root), Mapping):
            new[root] = assigned(new[root], {rest: value})
        else:
            new[name] = value
    return new


def _from_http(entry: CallEntry) -> ToolCall:
    target = entry.path
    if entry.query:
        target += ("&" if "?" in target else "?") + urlencode(entry.query)
    path, query = parse_target(target)
    body, media_type = _body(entry)
    return ToolCall(
        agent=Agent(id=""),
        upstream=entry.upstream,
        method=entry.method,
        target=target,
        headers=_headers(entry.headers, media_type if body else ""),
        body=body,
        service=entry.service,
        region=entry.region,
        path=path,
        query=query,
        content=parse_content(media_type, body),
    )


def _headers(written: Mapping[str, str], media_type: str) -> tuple[tuple[str, str], ...]:
    """Return the headers with the body's type, as every client sends it."""
    if media_type and "content-type" not in {name.lower() for name in written}:
        return (*written.items(), ("Content-Type", media_type))
    return tuple(written.items())


def _body(entry: CallEntry) -> tuple[bytes, str]:
    if "json_" in entry.model_fields_set:
        return json.dumps(entry.json_).encode(), entry.content_type or "application/json"
    if entry.form is not None:
        return urlencode(entry.form).encode(), entry.content_type or _FORM
    return (entry.body or "").encode(), entry.content_type


def _from_arguments(match: HttpMatch, args: Mapping[str, Any], entry: CallEntry) -> ToolCall:
    """Write a call that *match* takes: path first, then body, or query where there is none."""
    left = dict(args)
    path = _path(match, left)
    query = _constants(match.query)
    headers = {**_constants(match.headers), **entry.headers}
    method = min(match.methods)
    content, body = Content(), b""
    if match.form:
        form = {**_constants(match.form), **{name: _text(value) for name, value in left.items()}}
        body = urlencode(form).encode()
        content = parse_content(_FORM, body)
    elif method in _BODIES and (left or match.json):
        document = {**left, **_nested(match.json)}
        body = json.dumps(document).encode()
        content = parse_content("application/json", body)
    else:
        query |= {name: _text(value) for name, value in left.items()}
    target = quote(path) + (f"?{urlencode(query)}" if query else "")
    decoded, pairs = parse_target(target)
    return ToolCall(
        agent=Agent(id=""),
        upstream=match.upstream,
        method=method,
        target=target,
        headers=_headers(headers, content.media_type),
        body=body,
        service=match.service or entry.service,
        region=entry.region,
        path=decoded,
        query=pairs,
        content=content,
    )


def _path(match: HttpMatch, left: dict[str, Any]) -> str:
    parts = []
    for segment in match.segments:
        if segment.kind is Kind.LITERAL:
            parts.append(segment.text)
        else:
            # A parameter that the test does not care about gets some value.
            parts.append(_text(left.pop(segment.text, "x")))
    return "/" + "/".join(parts)


def _constants(discriminators: tuple[Discriminator, ...]) -> dict[str, str]:
    return {each.name: each.patterns[0].text.replace("*", "x") for each in discriminators}


def _nested(discriminators: tuple[Discriminator, ...]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for name, value in _constants(discriminators).items():
        *parents, last = name.split(".")
        inside = document
        for parent in parents:
            inside = inside.setdefault(parent, {})
        inside[last] = value
    return document


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
