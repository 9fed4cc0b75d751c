"""What policies compare with: the constants of their conditions, and which field each is for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .explain_conditions import Written
from .expression_syntax import Binary, Call, ListLiteral, Literal, Node, Select, parse, walk


def constants(written: Sequence[Mapping[str, Written]]) -> Iterator[Any]:
    """Yield every constant of every condition, and every value of `vars`."""
    for node, _ in _nodes(written):
        if isinstance(node, Literal):
            yield node.value
        elif isinstance(node, ListLiteral):
            yield from node.values
    for texts in written:
        for text in texts.values():
            for value in text.variables.values():
                yield from value if isinstance(value, list) else [value]


def compared(written: Sequence[Mapping[str, Written]], field: str) -> Iterator[Any]:
    """Yield what *field*, such as `call.hour`, is compared with."""
    for node, variables in _nodes(written):
        if isinstance(node, Binary):
            for one, other in ((node.left, node.right), (node.right, node.left)):
                if one.text == field:
                    yield from _values(other, variables)


def _values(node: Node, variables: Mapping[str, Any]) -> Iterator[Any]:
    if isinstance(node, Literal):
        yield node.value
    elif isinstance(node, ListLiteral):
        yield from node.values
    elif isinstance(node, Select) and node.text.startswith("vars."):
        value = variables.get(node.field)
        yield from value if isinstance(value, list) else [value]


def _nodes(
    written: Sequence[Mapping[str, Written]],
) -> Iterator[tuple[Node, Mapping[str, Any]]]:
    for texts in written:
        for text in texts.values():
            for node in walk(parse(text.when)) if text.when else ():
                yield node, text.variables


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Arguments and an agent that fit a condition, as far as it says so plainly."""

    args: Mapping[str, Any]
    agent: Mapping[str, Any]


def wishes(ids: set[str], texts: Mapping[str, Written]) -> Iterator[Wish]:
    """Yield what fits each of the rules and exceptions *ids*."""
    for name in sorted(ids & set(texts)):
        found: dict[str, dict[str, Any]] = {"args": {}, "agent": {}}
        when = texts[name].when
        for node in walk(parse(when)) if when else ():
            place, value = _wanted(node, texts[name].variables)
            root, _, field = place.partition(".")
            if root in found and field and "." not in field:
                found[root].setdefault(field, value)
        if any(found.values()):
            yield Wish(args=found["args"], agent=found["agent"])


def _wanted(node: Node, variables: Mapping[str, Any]) -> tuple[str, Any]:
    """Return a field and a value that makes this part of a condition true, or an empty name."""
    if isinstance(node, Binary) and isinstance(node.left, Select) and node.op in ("==", "in"):
        if items := list(_values(node.right, variables)):
            return node.left.text, items[0]
    if isinstance(node, Call) and node.name in ("startsWith", "endsWith", "contains"):
        field, text = node.arguments
        if isinstance(text, Literal):
            return field.text, text.value
    return "", None
