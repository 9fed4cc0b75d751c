"""What every part of a condition was for one call: for people who ask why a rule fired."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..core.rules import Environment, Indeterminate, Value
from .expression_syntax import ListLiteral, Literal, Loop, Name, Node, children, parse
from .expression_types import Shape
from .expressions import Compiler, compile_condition

MAX_SHOWN = 80
_ROOTS = ("args", "agent", "call", "session", "vars")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a condition: how it was written, from which column (0: the first), its value.

    `doubt` says why it has none. `depth` counts from the whole condition, which has 0.
    """

    text: str
    column: int
    depth: int
    value: Any = None
    doubt: str = ""

    @property
    def shown(self) -> str:
        """The value as JSON, shortened, or `indeterminate: why`."""
        if self.doubt:
            return f"indeterminate: {self.doubt}"
        text = json.dumps(self.value, ensure_ascii=False)
        return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"


def explain_condition(
    source: str, variables: Mapping[str, Any], args_shape: Shape, seen: Environment
) -> tuple[Part, ...]:
    """Return the parts of *source* in the order in which they were written, the whole first.

    Literals and the bare names of roots are left out. What is inside `exists` or `all` has the
    value that it had for the last item that was looked at. Linear in the size of the condition
    and of the lists that it goes through: each part is evaluated once.

    Raises:
        ConditionError: the condition is wrong.
    """
    compile_condition(source, variables, args_shape)
    recorder = _Recorder(variables)
    return tuple(_parts(parse(source), recorder, seen, depth=0, looping=False))


class _Recorder(Compiler):
    """Compiles conditions that note what each of their parts answered last."""

    def __init__(self, variables: Mapping[str, Any]) -> None:
        super().__init__(variables)
        self.found: dict[int, tuple[Any, str]] = {}

    def compile(self, node: Node) -> Value:
        inner, found, key = super().compile(node), self.found, id(node)

        def noted(seen: Environment) -> Any:
            try:
                value = inner(seen)
            except Indeterminate as doubt:
                found[key] = None, str(doubt) or "cannot be evaluated"
                raise
            found[key] = value, ""
            return value

        return noted

    def answer(self, node: Node, seen: Environment) -> tuple[Any, str]:
        if id(node) not in self.found:
            try:
                self.compile(node)(seen)
            except Indeterminate:
                pass  # noted
        return self.found[id(node)]


def _parts(
    node: Node, recorder: _Recorder, seen: Environment, *, depth: int, looping: bool
) -> Iterator[Part]:
    if isinstance(node, Literal | ListLiteral) or (isinstance(node, Name) and node.name in _ROOTS):
        return
    if looping:  # its variable stands for nothing outside the loop
        value, doubt = recorder.found.get(id(node), (None, "not looked at"))
    else:
        value, doubt = recorder.answer(node, seen)
    yield Part(text=node.text, column=node.column, depth=depth, value=value, doubt=doubt)
    for child in children(node):
        inside = looping or (isinstance(node, Loop) and child is node.condition)
        yield from _parts(child, recorder, seen, depth=depth + 1, looping=inside)
