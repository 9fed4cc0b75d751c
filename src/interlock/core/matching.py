"""Which catalogue entry a call belongs to: the smallest set of calls that contains it.

An entry is a set of calls (methods, path template, discriminators). One entry is more specific than
another where it is a subset of it; two that overlap without that are a clash, found when the
catalogue is built. Where only their paths cross (`/a/{x}` and `/{y}/b`), the few calls that both
would take are neither's. What an entry does not declare it does not take: a query parameter that
is not declared, or a header, form field or JSON field by which a neighbour is told apart, means
that the call is not this entry's. So no extra parameter moves a call into a laxer entry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from .actions import Body, ToolCall
from .graphql import Operation
from .naming import Names, named
from .neighbours import Group, neighbours, pairs, probes
from .patterns import (
    GraphQL,
    HttpMatch,
    Kind,
    McpMatch,
    Segment,
    fields,
    names,
    operations_apart,
    paths_cross,
    within,
)
from .reading import Reading


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
    """Entries whose paths have one form, found by their exact values."""

    probes: tuple[tuple[str, str], ...]
    exact: Mapping[tuple[str, str, str], tuple[_Entry, ...]]
    rest: tuple[_Entry, ...]


class _Node:
    """What may follow the segments so far: the catalogue's paths as a tree."""

    __slots__ = ("ends", "literals", "parameter", "tails")

    def __init__(self) -> None:
        self.literals: dict[str, _Node] = {}
        self.parameter: _Node | None = None
        self.ends: _Bucket | None = None
        self.tails: _Bucket | None = None

    def place(self, segments: tuple[Segment, ...]) -> _Node:
        """Return the node of a template's segments, made where there is none."""
        node = self
        for segment in segments:
            if segment.kind is Kind.LITERAL:
                node = node.literals.setdefault(segment.text, _Node())
            else:
                node.parameter = node.parameter or _Node()
                node = node.parameter
        return node

    def reach(self, path: list[str], at: int = 0) -> Iterator[_Bucket]:
        """Yield what *path* may mean; each node is visited once, so a long path costs no more."""
        if at == len(path):
            if self.ends is not None:
                yield self.ends
            return
        if self.tails is not None:
            yield self.tails
        literal = self.literals.get(path[at])
        if literal is not None:
            yield from literal.reach(path, at + 1)
        if self.parameter is not None:
            yield from self.parameter.reach(path, at + 1)


_NO_PATH: Mapping[str, str] = MappingProxyType({})


class Catalogue:
    """Finds the entry of a call; the time does not grow with entries elsewhere.

    Build it with `build`, which also says which entries clash.
    """

    __slots__ = ("_names", "_roots")

    def __init__(self, roots: Mapping[tuple[str, str], _Node], names: Names) -> None:
        self._roots = roots
        self._names = names

    def find(self, call: ToolCall) -> Found | Missing:
        """Return the entry of *call*: an MCP entry of an MCP tool, an HTTP entry of all others."""
        if call.mcp is not None:
            tool, because = self._names.find(call.upstream, call.mcp)
            return Found(tool=tool, path=_NO_PATH) if tool else Missing(because=because)
        reading = Reading(call)
        fitting = [entry for entry in self._candidates(reading) if _fits(entry, reading)]
        # A laxer entry never takes what a more specific one refuses for its query parameters.
        closest = fitting if len(fitting) == 1 else _closest(fitting)
        if len(closest) > 1:
            ids = " and ".join(entry.tool for entry in closest[:3])
            return Missing(because=f"{ids} both take this path; which is meant cannot be told")
        because = ""
        for entry in closest:
            undeclared = _undeclared(entry.match, reading)
            if undeclared is None:
                return Found(tool=entry.tool, path=_parameters(entry.match, reading.segments))
            because = f"{entry.tool} does not declare the query parameter {undeclared!r}"
        return Missing(because=because)

    def _candidates(self, reading: Reading) -> Iterator[_Entry]:
        root = self._roots.get((reading.call.upstream, reading.call.method))
        for bucket in root.reach(reading.segments) if root is not None else ():
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
    roots, clashes = _routes(https)
    found, unclear = named(mcps)
    clashes += [Clash(first=first, second=second) for first, second in unclear]
    return Catalogue(roots, found), tuple(clashes)


def _routes(
    matches: Mapping[str, HttpMatch],
) -> tuple[dict[tuple[str, str], _Node], list[Clash]]:
    near = list(neighbours(matches))
    entries = _closed(matches, near)
    clashes = [
        Clash(first=one, second=other)
        for mine, theirs in near
        for one, other in pairs(mine, theirs)
        if _clash(entries[one], entries[other])
    ]
    return _tree(entries), clashes


def _tree(entries: Mapping[str, _Entry]) -> dict[tuple[str, str], _Node]:
    roots: dict[tuple[str, str], _Node] = {}
    alike: dict[tuple[str, str, tuple[tuple[Kind, str], ...]], list[_Entry]] = {}
    for entry in entries.values():
        for method in entry.match.methods:
            form = tuple(map(_form, entry.match.segments))
            alike.setdefault((entry.match.upstream, method, form), []).append(entry)
    for (upstream, method, _), group in alike.items():
        root = roots.setdefault((upstream, method), _Node())
        segments = group[0].match.segments
        if segments and segments[-1].kind is Kind.TAIL:
            root.place(segments[:-1]).tails = _bucket(group)
        else:
            root.place(segments).ends = _bucket(group)
    return roots


def _form(segment: Segment) -> tuple[Kind, str]:
    """Parameters of two names are one form."""
    return segment.kind, segment.text if segment.kind is Kind.LITERAL else ""


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


def _fits(entry: _Entry, reading: Reading) -> bool:
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


def _discriminators_fit(match: HttpMatch, reading: Reading) -> bool:
    return (
        all(each.matches(reading.query.get(each.name)) for each in match.query)
        and all(each.matches(reading.header(each.name)) for each in match.headers)
        and all(each.matches(reading.field(Body.FORM, each.name)) for each in match.form)
        and all(each.matches(reading.field(Body.JSON, each.name)) for each in match.json)
    )


def _fields_fit(closed: frozenset[str], reading: Reading) -> bool:
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


def _undeclared(match: HttpMatch, reading: Reading) -> str | None:
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
    if within(a, b) != within(b, a) or paths_cross(a.segments, b.segments):
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
