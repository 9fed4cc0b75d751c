"""Templates that can take the same call, neither more specific: made one entry, the gravest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ...core import matching
from ...core.patterns import Discriminator, HttpMatch, Kind, Pattern, Segment
from .openapi import joined
from .operations import DraftError, Operation

_ROUNDS = 50
_PARAMETER = re.compile(r"\{([^{}]*?)(\.\.\.)?\}\Z")


def without_overlaps(operations: Sequence[Operation]) -> list[Operation]:
    """Return *operations*, those that clash joined under a template that takes both.

    Raises:
        DraftError: the paths overlap in so many ways that no end is found.
    """
    left = {each.id: each for each in operations}
    for _ in range(_ROUNDS):
        _, clashes = matching.build({name: _match(each) for name, each in left.items()})
        if not clashes:
            return list(left.values())
        for clash in clashes:
            if clash.first in left and clash.second in left:
                left[clash.first] = _both(left[clash.first], left.pop(clash.second))
    raise DraftError("the paths overlap in too many ways: draft from a part of the document")


def _match(operation: Operation) -> HttpMatch:
    query = tuple(Discriminator(name, (Pattern(value),)) for name, value in operation.query.items())
    parameters = operation.parameters
    return HttpMatch(
        upstream=operation.upstream,
        methods=frozenset({operation.method}),
        segments=_segments(operation.path),
        query=query,
        declared=frozenset({*parameters.properties, *parameters.params, *operation.query}),
    )


def _segments(path: str) -> tuple[Segment, ...]:
    text = path.removeprefix("/")
    return tuple(map(_segment, text.split("/"))) if text else ()


def _segment(part: str) -> Segment:
    found = _PARAMETER.match(part)
    if found is None:
        return Segment(Kind.LITERAL, part)
    return Segment(Kind.TAIL if found[2] else Kind.PARAMETER, found[1])


def _both(one: Operation, other: Operation) -> Operation:
    members = [*(one.members or (one,)), *(other.members or (other,))]
    path = _general(_segments(one.path), _segments(other.path))
    names = tuple(s.text for s in _segments(path) if s.kind is not Kind.LITERAL)
    both = joined(members, one.id)
    query = one.query if one.query == other.query else {}
    return replace(both, path=path, query=query, parameters=replace(both.parameters, in_path=names))


def _general(one: tuple[Segment, ...], other: tuple[Segment, ...]) -> str:
    """Return the narrowest template that takes what either takes."""
    parts: list[str] = []
    names: set[str] = set()
    for a, b in zip(one, other, strict=False):
        if a.kind is b.kind is Kind.LITERAL and a.text == b.text:
            parts.append(a.text)
            continue
        name = next((s.text for s in (a, b) if s.kind is not Kind.LITERAL), "segment")
        name = name if name not in names else f"{name}_{len(parts)}"
        names.add(name)
        if Kind.TAIL in (a.kind, b.kind):
            return "/" + "/".join([*parts, f"{{{name}...}}"])
        parts.append(f"{{{name}}}")
    return "/" + "/".join(parts)
