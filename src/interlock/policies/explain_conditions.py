"""The conditions of a policy with their places, and the value of every part of one for a call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.rules import Environment, Indeterminate
from .document import PolicyDocument
from .expression_syntax import Binary, Node, parse, walk
from .expression_trace import Part, explain_condition
from .expression_types import ANY
from .expressions import compile_node
from .load import policy_files
from .positions import load_model


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A rule's or exception's condition as it stands in its file; `when` None: always."""

    id: str
    when: str | None
    place: str
    variables: Mapping[str, Any]


def written(paths: Sequence[Path]) -> dict[str, Written]:
    """Return the conditions of the policy files *paths*, by the id of their rule or exception.

    Raises:
        InvalidDocument: with the problems of the first file that is not valid.
    """
    found: dict[str, Written] = {}
    for file in policy_files(paths):
        model, document = load_model(file.read_bytes(), str(file), PolicyDocument)
        variables = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in model.vars.items()
        }
        for section in ("rules", "exceptions"):
            for index, entry in enumerate(getattr(model, section)):
                line, column = document.position((section, index))
                found[entry.id] = Written(
                    id=entry.id,
                    when=entry.when,
                    place=f"{file}:{line}:{column}",
                    variables=variables,
                )
    return found


def parts(condition: Written, seen: Environment) -> tuple[Part, ...]:
    """Return the value of every part of *condition*, whole first; literals are left out."""
    if condition.when is None:
        return ()
    return explain_condition(condition.when, condition.variables, ANY, seen)


def compared_with(condition: Written, name: str) -> Iterator[float]:
    """Yield the numbers that *condition* compares `args.NAME` with."""
    if condition.when is None:
        return
    for node in walk(parse(condition.when)):
        if isinstance(node, Binary):
            sides = (node.left, node.right)
            for one, other in (sides, sides[::-1]):
                if one.text == f"args.{name}":
                    value = _number(other, condition.variables)
                    if value is not None:
                        yield value


def _number(node: Node, variables: Mapping[str, Any]) -> float | None:
    try:
        value = compile_node(node, variables)({})
    except (Indeterminate, KeyError):
        return None
    return value if type(value) in (int, float) else None
