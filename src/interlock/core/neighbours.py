"""Which catalogue entries can meet: found by groups, so that large catalogues load quickly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement, product
from typing import Any

from .patterns import HttpMatch, fields, names, paths_overlap


def probes(match: HttpMatch) -> list[tuple[str, str, str]]:
    """Return the exact values of one discriminator: the entry is looked up by them."""
    kinds = (("form", match.form), ("json", match.json), ("header", match.headers))
    for kind, discriminators in (*kinds, ("query", match.query)):
        for each in discriminators:
            if all(pattern.exact for pattern in each.patterns):
                return [(kind, each.name, pattern.text) for pattern in each.patterns]
    return [("service", "", match.service)] if match.service else []


@dataclass(frozen=True, slots=True)
class Group:
    """Tools that differ in nothing but their discriminators."""

    match: HttpMatch  #: of one of them
    tools: tuple[str, ...]
    #: tools by the one exact value of their discriminator; None: all others
    values: Mapping[tuple[str, str], Mapping[str | None, tuple[str, ...]]]
    headers: frozenset[str]
    fields: frozenset[str]


def neighbours(matches: Mapping[str, HttpMatch]) -> Iterator[tuple[Group, Group]]:
    """Yield each pair of groups whose upstream, methods, path and service can coincide.

    Each group is its own neighbour as well.
    """
    alike: dict[Any, list[str]] = {}
    for tool, match in matches.items():
        key = (match.upstream, match.methods, match.segments, match.service)
        alike.setdefault(key, []).append(tool)
    groups = [_group(tools, matches) for tools in alike.values()]
    for one, other in combinations_with_replacement(groups, 2):
        a, b = one.match, other.match
        if (
            a.upstream == b.upstream
            and a.methods & b.methods
            and (not a.service or not b.service or a.service == b.service)
            and (one is other or paths_overlap(a.segments, b.segments))
        ):
            yield one, other


def _group(tools: list[str], matches: Mapping[str, HttpMatch]) -> Group:
    values: dict[tuple[str, str], dict[str | None, list[str]]] = {}
    by_tool = {tool: probes(matches[tool])[:2] for tool in tools}
    for kind, name, _ in {probe for each in by_tool.values() for probe in each}:
        values.setdefault((kind, name), {})
    for probe, by_value in values.items():
        for tool in tools:
            one = by_tool[tool][0] if len(by_tool[tool]) == 1 else None
            by_value.setdefault(one[2] if one and one[:2] == probe else None, []).append(tool)
    return Group(
        matches[tools[0]],
        tuple(tools),
        {
            probe: {value: tuple(each) for value, each in by_value.items()}
            for probe, by_value in values.items()
        },
        frozenset(name for tool in tools for name in names(matches[tool].headers)),
        frozenset(name for tool in tools for name in fields(matches[tool])),
    )


def pairs(one: Group, other: Group) -> Iterator[tuple[str, str]]:
    """Yield the pairs of tools that may meet: not those with two values of one discriminator."""
    if one is not other or len(one.values) != 1:
        yield from combinations(one.tools, 2) if one is other else product(one.tools, other.tools)
        return
    (by_value,) = one.values.values()
    rest = by_value.get(None, ())
    yield from combinations(rest, 2)
    for value, tools in by_value.items():
        if value is not None:
            yield from combinations(tools, 2)
            yield from product(tools, rest)
