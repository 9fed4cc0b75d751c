"""The HTTP requests of a suite: as a test writes them, or made from a tool and its arguments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from ..core.actions import Agent, Body, Content, ToolCall
from ..core.content import parse_content, parse_target
from ..core.matching import Found
from ..core.patterns import Discriminator, HttpMatch, Kind
from ..core.rules import PolicySet, Tool
from .suite_document import CallEntry

_FORM = "application/x-www-form-urlencoded"
_WITH_BODY = ("POST", "PUT", "PATCH")
_WITHOUT = ("GET", "HEAD")
Pairs = list[tuple[str, str]]


class BadCall(ValueError):
    """A test describes a call that cannot be made; the message says why."""


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


# ---- as a test writes them -------------------------------------------------------------------


def from_request(entry: CallEntry) -> ToolCall:
    """Return the request that *entry* is, as the client sends it.

    Raises:
        MalformedCall: the gate would refuse it.
    """
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


def rewritten(entry: CallEntry, changes: Mapping[str, Any], policy: PolicySet) -> CallEntry:
    """Return the request *entry* with the arguments *changes* (by name) where they stand in it.

    An argument that is not there yet goes to the body, or to the query where there is no body.

    Raises:
        BadCall: it has no place in this request.
    """
    for name, value in changes.items():
        entry = _with_argument(entry, name, value, policy)
    return entry


def _with_argument(entry: CallEntry, name: str, value: Any, policy: PolicySet) -> CallEntry:
    template = _template(entry, name, policy)
    if template is not None:
        path, mark, query = entry.path.partition("?")
        return entry.model_copy(
            update={"path": f"{_filled(template, path, name, value)}{mark}{query}"}
        )
    if name in entry.query:
        return entry.model_copy(update={"query": {**entry.query, name: _text(value)}})
    if any(name == each for each, _ in parse_target(entry.path)[1]):
        raise BadCall(f"args.{name} is set, but stands in the path: write it under `query`")
    if entry.form is not None:
        return entry.model_copy(update={"form": {**entry.form, name: _text(value)}})
    if "json_" in entry.model_fields_set:
        if not isinstance(entry.json_, Mapping):
            raise BadCall(f"args.{name} cannot be set: the `json` of the call is no object")
        return entry.model_copy(update={"json_": assigned(entry.json_, {name: value})})
    if entry.body is not None:
        raise BadCall(f"args.{name} cannot be set in a raw `body`: write it as json or form")
    return entry.model_copy(update={"query": {**entry.query, name: _text(value)}})


def _template(entry: CallEntry, name: str, policy: PolicySet) -> HttpMatch | None:
    """Return the entry of the catalogue that reads *name* from the path of this request."""
    found = policy.catalogue.find(from_request(entry))
    if not isinstance(found, Found) or name not in found.path:
        return None
    match = policy.tools[found.tool].match
    return match if isinstance(match, HttpMatch) else None


def _filled(template: HttpMatch, path: str, name: str, value: Any) -> str:
    written = path.split("/")[1:]
    for index, segment in enumerate(template.segments):
        if segment.kind is not Kind.LITERAL and segment.text == name:
            rest = [] if segment.kind is Kind.TAIL else written[index + 1 :]
            safe = "/" if segment.kind is Kind.TAIL else ""
            return "/" + "/".join([*written[:index], quote(_text(value), safe=safe), *rest])
    return path


# ---- from a tool and its arguments -----------------------------------------------------------


def from_arguments(
    tool: Tool, match: HttpMatch, args: Mapping[str, Any], entry: CallEntry
) -> ToolCall:
    """Return a request that *match* takes: path first, then body, or query where none is read.

    The method is the one that *entry* names, else one that carries what is left for a body.

    Raises:
        BadCall: *entry* names a method that the tool does not take.
        MalformedCall: the gate would refuse it.
    """
    left = dict(args)
    path = _path(match, left)
    method = _method(tool, match, entry, needs_body=bool(left or match.json or match.form))
    headers = {**_constants(match.headers), **entry.headers}
    query: Pairs = [*_constants(match.query).items()]
    body, media_type = b"", ""
    in_body = method in _WITH_BODY and bool(tool.bodies & {Body.JSON, Body.FORM})
    if match.form or (in_body and left and Body.JSON not in tool.bodies):
        media_type = _FORM
        body = urlencode([*_constants(match.form).items(), *_pairs(left, tool)]).encode()
    elif match.json or (in_body and left):
        media_type = "application/json"
        body = json.dumps({**left, **_nested(match.json)}).encode()
    else:
        query += _pairs(left, tool)
    target = quote(path) + (f"?{urlencode(query)}" if query else "")
    decoded, pairs = parse_target(target)
    return ToolCall(
        agent=Agent(id=""),
        upstream=match.upstream,
        method=method,
        target=target,
        headers=_headers(headers, media_type),
        body=body,
        service=match.service or entry.service,
        region=entry.region,
        path=decoded,
        query=pairs,
        content=parse_content(media_type, body) if body else Content(),
    )


def _method(tool: Tool, match: HttpMatch, entry: CallEntry, *, needs_body: bool) -> str:
    """Return the method: as asked, else the mildest that carries what there is to carry."""
    if "method" in entry.model_fields_set:
        if entry.method not in match.methods:
            taken = ", ".join(sorted(match.methods))
            raise BadCall(f"{tool.id} does not take method {entry.method}: it takes {taken}")
        return entry.method
    first, second = (_WITH_BODY, _WITHOUT) if needs_body else (_WITHOUT, _WITH_BODY)
    known = [each for each in (*first, *second) if each in match.methods]
    return known[0] if known else min(match.methods)


def _pairs(args: Mapping[str, Any], tool: Tool) -> Pairs:
    """Return *args* as text by name; the items of a list where the tool lets its name repeat."""
    return [
        (name, _text(each))
        for name, value in args.items()
        for each in (value if name in tool.multi and isinstance(value, list) else [value])
    ]


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
