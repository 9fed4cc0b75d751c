"""Which values a field can have at all: the hours of a day, what the schema of a tool lets through.

A comparison that is true for none of them is a mistake wherever it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..core.rules import Indeterminate, Tool
from .expression_syntax import Binary, Node, Select, walk
from .expressions import compile_node, depends

_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_NEVER: Mapping[str, Callable[[Domain, float], bool]] = {
    "<": lambda domain, bound: bound <= domain.low,
    "<=": lambda domain, bound: bound < domain.low,
    ">": lambda domain, bound: bound >= domain.high,
    ">=": lambda domain, bound: bound > domain.high,
    "==": lambda domain, bound: not domain.holds(bound),
}
_ALWAYS: Mapping[str, Callable[[Domain, float], bool]] = {
    "<": lambda domain, bound: bound > domain.high,
    "<=": lambda domain, bound: bound >= domain.high,
    ">": lambda domain, bound: bound < domain.low,
    ">=": lambda domain, bound: bound <= domain.low,
    "!=": lambda domain, bound: not domain.holds(bound),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """What a field can be: one of `values`, or, without these, a number from `low` to `high`."""

    values: tuple[Any, ...] | None = None
    low: float = float("-inf")
    high: float = float("inf")
    whole: bool = False  #: no fractions
    there: bool = True  #: every call has it; without it a condition is indeterminate

    def holds(self, number: float) -> bool:
        """Whether *number* is one of a range."""
        return self.low <= number <= self.high and not (self.whole and number % 1)

    def __str__(self) -> str:
        if self.values is not None:
            shown = ", ".join(map(str, self.values[:8]))
            return f"one of {shown}{', ...' if len(self.values) > 8 else ''}"
        bounds = [
            f"{word} {bound:.15g}"
            for word, bound in (("at least", self.low), ("at most", self.high))
            if abs(bound) != float("inf")
        ]
        return " and ".join([*(["an integer"] if self.whole else []), *bounds])


Domains = Mapping[str, Domain]

CALL: Domains = {
    "call.hour": Domain(low=0, high=23, whole=True),
    "agent.confidence": Domain(low=0, high=1, there=False),
}


def domains(tools: Sequence[Tool]) -> Domains:
    """Return what is certain of the call and of those arguments that all of *tools* have.

    Of no tools nothing is: pass none where a pattern speaks of tools to come.
    """
    found: dict[str, Domain] = dict(CALL)
    each = [_arguments(tool) for tool in tools]
    for name in set.intersection(*(set(one) for one in each)) if each else ():
        joined = _joined([one[name] for one in each])
        if joined is not None:
            found[f"args.{name}"] = joined
    return found


def _arguments(tool: Tool) -> dict[str, Domain]:
    schema = tool.args_schema or {}
    if tool.shadow or "$ref" in schema:  # there what does not fit the schema is judged by rules
        return {}
    required = schema.get("required") or ()
    return {
        str(name): replace(domain, there=name in required)
        for name, inner in (schema.get("properties") or {}).items()
        if (domain := _domain(inner)) is not None
    }


def _domain(schema: Any) -> Domain | None:
    if not isinstance(schema, Mapping) or "$ref" in schema:
        return None
    if isinstance(schema.get("enum"), list):
        return Domain(values=tuple(schema["enum"]))
    if "const" in schema:
        return Domain(values=(schema["const"],))
    whole = schema.get("type") == "integer"
    if not whole and schema.get("type") != "number":
        return None
    low, high = _bound(schema, "minimum"), _bound(schema, "maximum")
    if not whole and low is None and high is None:
        return None
    return Domain(
        low=float("-inf") if low is None else low,
        high=float("inf") if high is None else high,
        whole=whole,
    )


def _bound(schema: Mapping[str, Any], name: str) -> float | None:
    value = schema.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _joined(each: Sequence[Domain]) -> Domain | None:
    there = all(domain.there for domain in each)
    listed = [domain.values for domain in each]
    if all(values is None for values in listed):
        return Domain(
            low=min(domain.low for domain in each),
            high=max(domain.high for domain in each),
            whole=all(domain.whole for domain in each),
            there=there,
        )
    if any(values is None for values in listed):
        return None
    values = [value for some in listed for value in some or ()]
    unique = [value for at, value in enumerate(values) if value not in values[:at]]
    return Domain(values=tuple(unique), there=there)


def answer(node: Node, known: Domains) -> bool | None:
    """Return what a comparison of one field with constants answers for every value of the field."""
    if not isinstance(node, Binary):
        return None
    for one, other in ((node.left, node.right), (node.right, node.left)):
        domain = known.get(one.text) if isinstance(one, Select) else None
        if domain is None or any(map(depends, walk(other))):
            continue
        if domain.values is not None:
            return _of_each(node, one.text, domain.values)
        if (number := _number(other)) is not None:
            op = node.op if one is node.left else _FLIPPED.get(node.op, "")
            return _of_range(op, domain, number)
    return None


def _number(node: Node) -> float | None:
    try:
        value = compile_node(node, {})({})
    except Indeterminate:
        return None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _of_each(node: Node, field: str, values: tuple[Any, ...]) -> bool | None:
    root, _, name = field.partition(".")
    condition = compile_node(node, {})
    try:
        answers = {condition({root: {name: value}}) for value in values}
    except Indeterminate:
        return None
    return answers.pop() if len(answers) == 1 else None


def _of_range(op: str, domain: Domain, bound: float) -> bool | None:
    if op in _NEVER and _NEVER[op](domain, bound):
        return False
    return True if op in _ALWAYS and _ALWAYS[op](domain, bound) else None


def impossible(node: Node, known: Domains) -> Iterator[tuple[Node, str]]:
    """Yield the comparisons with a value that the field never has, which are therefore not true.

    One with a bound of a schema, such as `args.n < 0` where 0 is the minimum, only says it again.
    """
    for part in walk(node):
        if not isinstance(part, Binary) or answer(part, known) is not False:
            continue
        field, other = part.left, part.right
        if not isinstance(field, Select):
            field, other = other, field
        domain = known[field.text]
        number = _number(other)
        again = number is not None and domain.values is None and domain.holds(number)
        if again and field.text not in CALL:
            continue
        yield part, f"{field.text} is {domain}, so `{part.text}` is never true"
