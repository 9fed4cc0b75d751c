"""Small changes to conditions, as text: what a test of the condition should notice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from .expression_syntax import (
    Binary,
    ConditionError,
    Literal,
    Logic,
    Loop,
    Node,
    Unary,
    parse,
    walk,
)

_EDGES = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
_OPPOSITES = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A condition that differs in one place. `before` and `after` are that place, `text` is all."""

    text: str
    column: int
    before: str
    after: str
    suggestion: str


def variants(source: str) -> Iterator[Variant]:
    """Yield conditions that differ from *source* in one place; nothing where it is no condition."""
    try:
        tree = parse(source)
    except ConditionError:
        return
    seen = {source}
    for node in walk(tree):
        for after, suggestion in _changes(node):
            end = node.column + len(node.text)
            text = f"{source[: node.column]}{after}{source[end:]}"
            if text not in seen:
                seen.add(text)
                yield Variant(
                    text=text,
                    column=node.column,
                    before=node.text,
                    after=after,
                    suggestion=suggestion,
                )


def _changes(node: Node) -> Iterator[tuple[str, str]]:
    if isinstance(node, Logic):
        yield from _without_an_operand(node)
    elif isinstance(node, Binary):
        yield from _compared_otherwise(node)
    elif isinstance(node, Literal) and type(node.value) in (int, float):
        for number in shifted(node.value):
            yield json.dumps(number), f"add cases on both sides of {json.dumps(node.value)}"
    elif isinstance(node, Unary) and node.op == "!":
        yield (
            f"({node.operand.text})",
            f"add a case in which `{node.operand.text}` is true and one in which it is false",
        )
    elif isinstance(node, Loop):
        other = "all" if node.name == "exists" else "exists"
        text = f"{node.target.text}.{other}({node.variable}, {node.condition.text})"
        yield text, "add a case with a list in which only one item matches"


def _without_an_operand(node: Logic) -> Iterator[tuple[str, str]]:
    word = "false" if node.op == "&&" else "true"
    for index, dropped in enumerate(node.operands):
        kept = [f"({each.text})" for at, each in enumerate(node.operands) if at != index]
        rest = "false and the rest is true" if node.op == "&&" else "true and the rest is false"
        yield (
            kept[0] if len(kept) == 1 else f"({f' {node.op} '.join(kept)})",
            f"add a case in which only `{dropped.text}` is {word}"
            if len(node.operands) == 2
            else f"add a case in which `{dropped.text}` is {rest}",
        )


def _compared_otherwise(node: Binary) -> Iterator[tuple[str, str]]:
    left, right = node.left.text, node.right.text
    if node.op in _EDGES:
        yield (
            f"{left} {_EDGES[node.op]} {right}",
            f"add a case in which {left} is exactly {right}",
        )
    if node.op in _OPPOSITES:
        yield (
            f"{left} {_OPPOSITES[node.op]} {right}",
            f"add a case in which `{node.text}` is true and one in which it is false",
        )
    elif node.op == "in":
        yield (
            f"!({node.text})",
            f"add a case in which `{node.text}` is true and one in which it is false",
        )


def shifted(number: float) -> tuple[float, ...]:
    """Return *number* a little lower and a little higher: by a tenth, integers by at least 1."""
    if type(number) is int:
        step = max(1, abs(number) // 10)
        return number - step, number + step
    step_ = abs(number) / 10 or 0.1
    return round(number - step_, 9), round(number + step_, 9)
