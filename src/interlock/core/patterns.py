"""The set of calls that a catalogue entry describes, and how two such sets relate."""

from __future__ import annotations

import enum
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pattern:
    """A string where `*` stands for any run of characters. Matching takes linear time."""

    text: str

    @property
    def exact(self) -> bool:
        return "*" not in self.text

    def matches(self, value: str) -> bool:
        if self.exact:
            return value == self.text
        head, *middle, tail = self.text.split("*")
        if len(value) < len(head) + len(tail):
            return False
        if not (value.startswith(head) and value.endswith(tail)):
            return False
        at, end = len(head), len(value) - len(tail)
        for part in middle:
            at = value.find(part, at, end)
            if at < 0:
                return False
            at += len(part)
        return True

    def includes(self, other: Pattern) -> bool:
        """Whether every string of *other* is one of ours (sound; a star only fits in a star)."""
        return self.matches(other.text)

    def overlaps(self, other: Pattern) -> bool:
        """Whether some string may match both (never wrongly False)."""
        if self.exact or other.exact:
            return self.includes(other) or other.includes(self)
        heads = self.text.partition("*")[0], other.text.partition("*")[0]
        tails = self.text.rpartition("*")[2], other.text.rpartition("*")[2]
        return (heads[0].startswith(heads[1]) or heads[1].startswith(heads[0])) and (
            tails[0].endswith(tails[1]) or tails[1].endswith(tails[0])
        )


@dataclass(frozen=True, slots=True)
class Discriminator:
    """A named part of the call that must have one of these values."""

    name: str
    patterns: tuple[Pattern, ...]

    def matches(self, value: object) -> bool:
        return isinstance(value, str) and any(each.matches(value) for each in self.patterns)

    def includes(self, other: Discriminator) -> bool:
        return all(any(ours.includes(each) for ours in self.patterns) for each in other.patterns)

    def overlaps(self, other: Discriminator) -> bool:
        return any(ours.overlaps(each) for ours in self.patterns for each in other.patterns)

    @property
    def constant(self) -> str | None:
        """The only value, where there is only one."""
        if len(self.patterns) == 1 and self.patterns[0].exact:
            return self.patterns[0].text
        return None


class Kind(enum.Enum):
    LITERAL = "literal"
    PARAMETER = "parameter"  #: one segment, not empty
    TAIL = "tail"  #: one or more segments, last only


@dataclass(frozen=True, slots=True)
class Segment:
    kind: Kind
    text: str  #: the literal, or the parameter's name


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphQL:
    """One GraphQL operation per call. The name is the agent's own label; `fields` are what runs."""

    name: Pattern = Pattern("*")
    type: str = ""  #: query, mutation, subscription; empty: any
    fields: frozenset[str] = frozenset()  #: the root fields that it may select; empty: any


@dataclass(frozen=True, slots=True, kw_only=True)
class McpMatch:
    """Tools of an MCP server, by their names: one, several, or patterns of names."""

    server: str
    tool: Discriminator

    @property
    def upstream(self) -> str:
        return self.server


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpMatch:
    """The set of HTTP calls that is one tool."""

    upstream: str
    methods: frozenset[str]
    segments: tuple[Segment, ...]
    service: str = ""
    headers: tuple[Discriminator, ...] = ()  #: names in lower case
    query: tuple[Discriminator, ...] = ()
    form: tuple[Discriminator, ...] = ()
    json: tuple[Discriminator, ...] = ()  #: dotted names
    graphql: GraphQL | None = None
    template: str = ""  #: `segments` as text; a tail is `{name...}`
    absent_headers: tuple[Pattern, ...] = ()  #: names in lower case that must not occur
    declared: frozenset[str] = frozenset()  #: names of query parameters that it takes
    declared_globs: tuple[Pattern, ...] = ()

    def declares(self, name: str) -> bool:
        return name in self.declared or any(glob.matches(name) for glob in self.declared_globs)


def fields(match: HttpMatch) -> set[str]:
    return names(match.form) | names(match.json) | ({"query"} if match.graphql else set())


def names(discriminators: tuple[Discriminator, ...]) -> set[str]:
    return {each.name for each in discriminators}


def paths_overlap(one: tuple[Segment, ...], other: tuple[Segment, ...]) -> bool:
    for a, b in zip(one, other, strict=False):
        if Kind.TAIL in (a.kind, b.kind):
            return True
        if a.kind is b.kind is Kind.LITERAL and a.text != b.text:
            return False
        if a.kind is not b.kind and "" in (a.text, b.text):
            return False
    return len(one) == len(other)


def _path_within(inner: tuple[Segment, ...], outer: tuple[Segment, ...]) -> bool:
    for index, segment in enumerate(outer):
        if index >= len(inner):
            return False
        mine = inner[index]
        if segment.kind is Kind.TAIL:
            return True
        if mine.kind is Kind.TAIL:
            return False
        if segment.kind is Kind.LITERAL and mine != segment:
            return False
    return len(inner) == len(outer)


def paths_cross(one: tuple[Segment, ...], other: tuple[Segment, ...]) -> bool:
    """Whether each takes paths that the other does not, and both take some: `/a/{x}`, `/{y}/b`."""
    return not (_path_within(one, other) or _path_within(other, one)) and paths_overlap(one, other)


def within(inner: HttpMatch, outer: HttpMatch) -> bool:
    """Whether *inner* is a subset of *outer*, as far as what they are told apart by goes."""
    return (
        inner.methods <= outer.methods
        and outer.service in ("", inner.service)
        and _path_within(inner.segments, outer.segments)
        and _all_within(inner.headers, outer.headers)
        and _all_within(inner.query, outer.query)
        and _all_within(inner.form, outer.form)
        and _all_within(inner.json, outer.json)
        and _operation_within(inner.graphql, outer.graphql)
    )


def _all_within(inner: tuple[Discriminator, ...], outer: tuple[Discriminator, ...]) -> bool:
    mine = {each.name: each for each in inner}
    return all(each.name in mine and each.includes(mine[each.name]) for each in outer)


def _operation_within(inner: GraphQL | None, outer: GraphQL | None) -> bool:
    if outer is None:
        return True
    return (
        inner is not None
        and outer.name.includes(inner.name)
        and outer.type in ("", inner.type)
        and (not outer.fields or bool(inner.fields) and inner.fields <= outer.fields)
    )


def operations_apart(a: GraphQL, b: GraphQL) -> bool:
    if a.type and b.type and a.type != b.type:
        return True
    if a.fields and b.fields and not a.fields & b.fields:
        return True
    return not a.name.overlaps(b.name)
