"""The calls of a suite: from what a test writes to the `ToolCall` that the gate would judge."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

from ..core.actions import Agent, Content, Context, ToolCall
from ..core.content import parse_content, parse_target
from ..core.errors import MalformedCall
from ..core.patterns import Discriminator, HttpMatch, Kind
from ..core.rules import PolicySet, Tool
from .suite_document import AgentEntry, CallEntry

_FORM = "application/x-www-form-urlencoded"
_BODIES = frozenset({"POST", "PUT", "PATCH"})


class BadCall(ValueError):
    """A test describes a call that cannot be made; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a case sets: parts of `args`, `agent` and `call`."""

    args: Mapping[str, Any]
    agent: Mapping[str, Any]
    call: Mapping[str, Any]


def setting(assignments: Mapping[str, Any]) -> Setting:
    """Sort assignments such as `args.amount: 5` by their root.

    Raises:
        BadCall: the root is none that can be set.
    """
    roots: dict[str, dict[str, Any]] = {"args": {}, "agent": {}, "call": {}}
    for name, value in assignments.items():
        root, _, rest = name.partition(".")
        if root not in roots or not rest:
            known = "args.*, agent.* and call.*; facts about a session come in a later version"
            raise BadCall(f"{name!r} cannot be set: set {known}")
        roots[root][rest] = value
    return Setting(**roots)


def make_call(entry: CallEntry, agent: AgentEntry, changes: Setting, policy: PolicySet) -> ToolCall:
    """Return the call that *entry* describes, with *changes* made.

    Raises:
        BadCall: it cannot be made, or is not one that an agent could send.
    """
    who = agent.model_copy(update=dict(changes.agent))
    try:
        if entry.tool is None:
            call = _from_http(entry)
        elif entry.tool in policy.tools:
            call = _from_arguments(policy.tools[entry.tool], {**entry.args, **changes.args}, entry)
        else:
            call = ToolCall(
                agent=Agent(id=""), upstream="unknown", method="POST", target="/", path="/"
            )
    except MalformedCall as refused:
        raise BadCall(f"the gate would refuse this call: {refused.detail}") from None
    known = {name: value for name, value in changes.call.items() if name in ("service", "region")}
    unknown = set(changes.call) - set(known) - {"hour"}
    if unknown:
        raise BadCall(f"call.{min(unknown)} cannot be set: write it into the call")
    return replace(
        call,
        agent=Agent(id=who.id, owner=who.owner),
        context=Context(confidence=who.confidence),
        **known,
    )


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
        headers=tuple(entry.headers.items()),
        body=body,
        service=entry.service,
        region=entry.region,
        path=path,
        query=query,
        content=parse_content(media_type, body),
    )


def _body(entry: CallEntry) -> tuple[bytes, str]:
    if "json_" in entry.model_fields_set:
        return json.dumps(entry.json_).encode(), entry.content_type or "application/json"
    if entry.form is not None:
        return urlencode(entry.form).encode(), entry.content_type or _FORM
    return (entry.body or "").encode(), entry.content_type


def _from_arguments(tool: Tool, args: Mapping[str, Any], entry: CallEntry) -> ToolCall:
    """Write a call that matches *tool*: path first, then body, or query where there is none."""
    match = tool.match
    left = dict(args)
    path = _path(match, left)
    query = _constants(match.query)
    headers = tuple(_constants(match.headers).items())
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
        headers=(*headers, *entry.headers.items()),
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
