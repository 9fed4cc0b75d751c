"""Which catalogue entry a call belongs to: the smallest set of calls that contains it.

An entry is a set of calls (methods, path template, discriminators). One entry is more specific than
another where it is a subset of it; two that overlap without that are a clash, found when the
catalogue is built. What an entry does not declare it does not take: a query parameter that is not
declared, or a header, form field or JSON field by which a neighbour is told apart, means that the
call is not this entry's. So no extra parameter moves a call into a laxer entry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from .actions import Body, ToolCall
from .graphql import Operation, read_operation
from .naming import Names, named
from .neighbours import Group, neighbours, pairs, probes
from .patterns import (
    GraphQL,
    HttpMatch,
    Kind,
    McpMatch,
    Pattern,
    Segment,
    fields,
    names,
    operations_apart,
    within,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The entry that a call belongs to, and the path's parameters."""

    tool: str
    path: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """No entry takes the call; `because` says which nearly did, or is empty."""

    because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clash:
    """Two entries that can match one call, neither more specific."""

    first: str
    second: str


@dataclass(frozen=True, slots=True)
class _Entry:
    tool: str
    match: HttpMatch
    #: names by which neighbours are told apart and that this entry does not mention
    closed_headers: frozenset[str] = frozenset()
    closed_fields: frozenset[str] = frozenset()  #: of a form or a JSON body, dotted

    @property
    def plain(self) -> bool:
        """Whether it has no discriminators, as most entries."""
        match = self.match
        return not (match.query or match.headers or match.form or match.json)


@dataclass(frozen=True, slots=True)
class _Bucket:
    """Entries that share upstream, method and first segment, found by their exact values."""

    probes: tuple[tuple[str, str], ...]
    exact: Mapping[tuple[str, str, str], tuple[_Entry, ...]]
    rest: tuple[_Entry, ...]


class _Reading:
    """What the matcher needs to know of a call, read at most once."""

    __slots__ = ("body", "call", "headers", "operation", "query", "segments")

    def __init__(self, call: ToolCall) -> None:
        self.call = call
        path = call.path.removeprefix("/")
        self.segments = path.split("/") if path else []
        self.query: dict[str, str | None] = {}
        for name, value in call.query:
            self.query[name] = None if name in self.query else value
        self.headers: dict[str, str | None] | None = None
        self.body = call.content.value if isinstance(call.content.value, Mapping) else None
        self.operation: Operation | None | bool = False

    def header(self, name: str) -> str | None:
        return self._all_headers().get(name)

    def has_header(self, name: str) -> bool:
        return name in self._all_headers()

    def has_any_header(self, pattern: Pattern) -> bool:
        return any(pattern.matches(name) for name in self._all_headers())

    def _all_headers(self) -> dict[str, str | None]:
        if self.headers is None:
            self.headers = {}
            for name, value in self.call.headers:
                key = name.lower()
                # A repeated header has no one value, so that it matches no discriminator.
                self.headers[key] = None if key in self.headers else value.strip()
        return self.headers

    def field(self, kind: Body, name: str) -> Any:
        if self.call.content.kind is not kind or self.body is None:
            return None
        if kind is Body.FORM:
            return self.body.get(name)
        value: Any = self.body
        for part in name.split("."):
            if not isinstance(value, Mapping) or part not in value:
                return None
            value = value[part]
        return value

    def graphql(self) -> Operation | None:
        if self.operation is False:
            is_json = self.call.content.kind is Body.JSON
            self.operation = read_operation(self.body) if is_json and self.body else None
        return self.operation if isinstance(self.operation, Operation) else None

    def value(self, probe: tuple[str, str]) -> Any:
        kind, name = probe
        if kind == "form":
            return self.field(Body.FORM, name)
        if kind == "json":
            return self.field(Body.JSON, name)
        if kind == "query":
            return self.query.get(name)
        return self.header(name) if kind == "header" else self.call.service


_NO_PATH: Mapping[str, str] = MappingProxyType({})


class Catalogue:
    """Finds the entry of a call; the time does not grow with entries elsewhere.

    Build it with `build`, which also says which entries clash.
    """

    __slots__ = ("_buckets", "_names")

    def __init__(self, buckets: Mapping[tuple[str, str, str], _Bucket], names: Names) -> None:
        self._buckets = buckets
        self._names = names

    def find(self, call: ToolCall) -> Found | Missing:
        """Return the entry of *call*: an MCP entry of an MCP tool, an HTTP entry of all others."""
        if call.mcp is not None:
            tool, because = self._names.find(call.upstream, call.mcp)
            return Found(tool=tool, path=_NO_PATH) if tool else Missing(because=because)
        reading = _Reading(call)
        fitting = [entry for entry in self._candidates(reading) if _fits(entry, reading)]
        # A laxer entry never takes what a more specific one refuses for its query parameters.
        closest = fitting if len(fitting) == 1 else _closest(fitting)
        because = ""
        for entry in closest:
            undeclared = _undeclared(entry.match, reading)
            if undeclared is None:
                return Found(tool=entry.tool, path=_parameters(entry.match, reading.segments))
            because = f"{entry.tool} does not declare the query parameter {undeclared!r}"
        return Missing(because=because)

    def _candidates(self, reading: _Reading) -> Iterator[_Entry]:
        call = reading.call
        first = reading.segments[0] if reading.segments else ""
        for key in dict.fromkeys((f"={first}", "*")):
            bucket = self._buckets.get((call.upstream, call.method, key))
            if bucket is None:
                continue
            yield from bucket.rest
            for probe in bucket.probes:
                value = reading.value(probe)
                if isinstance(value, str):
                    yield from bucket.exact.get((*probe, value), ())


def _closest(fitting: list[_Entry]) -> list[_Entry]:
    return [
        each
        for each in fitting
        if not any(other is not each and within(other.match, each.match) for other in fitting)
    ]


def build(matches: Mapping[str, HttpMatch | McpMatch]) -> tuple[Catalogue, tuple[Clash, ...]]:
    """Return the catalogue of *matches* (by tool id), and every pair that clashes."""
    https = {tool: match for tool, match in matches.items() if isinstance(match, HttpMatch)}
    mcps = {tool: match for tool, match in matches.items() if isinstance(match, McpMatch)}
    buckets, clashes = _routes(https)
    found, unclear = named(mcps)
    clashes += [Clash(first=first, second=second) for first, second in unclear]
    return Catalogue(buckets, found), tuple(clashes)


def _routes(
    matches: Mapping[str, HttpMatch],
) -> tuple[dict[tuple[str, str, str], _Bucket], list[Clash]]:
    groups: dict[tuple[str, str, str], list[str]] = {}
    for tool, match in matches.items():
        for method in match.methods:
            groups.setdefault((match.upstream, method, _first(match)), []).append(tool)
    near = list(neighbours(matches))
    entries = _closed(matches, near)
    clashes = [
        Clash(first=one, second=other)
        for mine, theirs in near
        for one, other in pairs(mine, theirs)
        if _clash(entries[one], entries[other])
    ]
    buckets = {key: _bucket([entries[tool] for tool in tools]) for key, tools in groups.items()}
    return buckets, clashes


def _first(match: HttpMatch) -> str:
    if not match.segments:
        return "="
    segment = match.segments[0]
    return f"={segment.text}" if segment.kind is Kind.LITERAL else "*"


def _bucket(entries: list[_Entry]) -> _Bucket:
    exact: dict[tuple[str, str, str], list[_Entry]] = {}
    rest = []
    for entry in entries:
        keys = probes(entry.match)
        for key in keys:
            exact.setdefault(key, []).append(entry)
        if not keys:
            rest.append(entry)
    kinds = tuple(dict.fromkeys((kind, name) for kind, name, _ in exact))
    return _Bucket(kinds, {key: tuple(each) for key, each in exact.items()}, tuple(rest))


def _closed(matches: Mapping[str, HttpMatch], near: list[tuple[Group, Group]]) -> dict[str, _Entry]:
    headers: dict[str, set[str]] = {tool: set() for tool in matches}
    inside: dict[str, set[str]] = {tool: set() for tool in matches}
    for one, other in near:
        for mine, theirs in ((one, other), (other, one)):
            for tool in mine.tools:
                headers[tool] |= theirs.headers
                inside[tool] |= theirs.fields
    return {
        tool: _Entry(
            tool,
            match,
            frozenset(headers[tool] - names(match.headers)),
            frozenset(
                name
                for name in inside[tool] - fields(match)
                if not match.declares(name.partition(".")[0])
            ),
        )
        for tool, match in matches.items()
    }


def _fits(entry: _Entry, reading: _Reading) -> bool:
    """Whether everything but the closed set of query parameters fits."""
    match = entry.match
    return (
        (not match.service or match.service == reading.call.service)
        and _path_fits(match.segments, reading.segments)
        and (entry.plain or _discriminators_fit(match, reading))
        and (match.graphql is None or _operation_fits(match.graphql, reading.graphql()))
        and not (entry.closed_headers and any(map(reading.has_header, entry.closed_headers)))
        and not (match.absent_headers and any(map(reading.has_any_header, match.absent_headers)))
        and (not entry.closed_fields or _fields_fit(entry.closed_fields, reading))
    )


def _discriminators_fit(match: HttpMatch, reading: _Reading) -> bool:
    return (
        all(each.matches(reading.query.get(each.name)) for each in match.query)
        and all(each.matches(reading.header(each.name)) for each in match.headers)
        and all(each.matches(reading.field(Body.FORM, each.name)) for each in match.form)
        and all(each.matches(reading.field(Body.JSON, each.name)) for each in match.json)
    )


def _fields_fit(closed: frozenset[str], reading: _Reading) -> bool:
    kind = reading.call.content.kind
    if kind is Body.NONE:
        return True
    # A batch, a bare value or unreadable bytes may hold the field by which neighbours differ.
    if kind is Body.OPAQUE or reading.body is None:
        return False
    return all(reading.field(kind, name) is None for name in closed)


def _operation_fits(wanted: GraphQL, operation: Operation | None) -> bool:
    return (
        operation is not None
        and wanted.name.matches(operation.name)
        and wanted.type in ("", operation.type)
        and (not wanted.fields or operation.fields <= wanted.fields)
    )


def _undeclared(match: HttpMatch, reading: _Reading) -> str | None:
    for name in reading.query:
        if not match.declares(name):
            return name
    return None


def _path_fits(template: tuple[Segment, ...], path: list[str]) -> bool:
    for index, segment in enumerate(template):
        if index >= len(path):
            return False
        if segment.kind is Kind.TAIL:
            return any(path[index:])
        if segment.kind is Kind.LITERAL:
            if path[index] != segment.text:
                return False
        elif not path[index]:
            return False
    return len(template) == len(path)


def _parameters(match: HttpMatch, path: list[str]) -> dict[str, str]:
    return {
        segment.text: path[index] if segment.kind is Kind.PARAMETER else "/".join(path[index:])
        for index, segment in enumerate(match.segments)
        if segment.kind is not Kind.LITERAL
    }


def _clash(one: _Entry, other: _Entry) -> bool:
    a, b = one.match, other.match
    if within(a, b) != within(b, a):
        return False
    return not (_disjoint(one, other) or _disjoint(other, one))


def _disjoint(one: _Entry, other: _Entry) -> bool:
    """Whether a discriminator of *one* keeps every call of *one* out of *other*."""
    a, b = one.match, other.match
    if a.form and (b.json or b.graphql):
        return True
    if any(not b.declares(each.name) for each in a.query):
        return True
    if any(absent.matches(name) for absent in b.absent_headers for name in names(a.headers)):
        return True
    if names(a.headers) & other.closed_headers or fields(a) & other.closed_fields:
        return True
    if a.graphql and b.graphql and operations_apart(a.graphql, b.graphql):
        return True
    pairs = ((a.headers, b.headers), (a.query, b.query), (a.form, b.form), (a.json, b.json))
    return any(
        x.name == y.name and not x.overlaps(y)
        for mine, theirs in pairs
        for x in mine
        for y in theirs
    )
