"""One policy file with its model, and the problems found in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..core.errors import Problem
from ..core.rules import Condition, Value
from .document import PolicyDocument
from .expression_syntax import ConditionError
from .expression_types import Shape
from .expressions import compile_condition, compile_edit_condition, compile_value
from .positions import Document


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A policy file as read: its bytes, its places and its model."""

    raw: bytes
    document: Document
    model: PolicyDocument
    problems: list[Problem] = field(default_factory=list, compare=False)

    @property
    def name(self) -> str:
        return self.model.metadata.name

    @property
    def shadow(self) -> bool:
        return self.model.mode == "shadow"

    def refuse(self, path: Sequence[str | int], message: str, *, at_key: bool = False) -> None:
        """Note that something is wrong at *path*."""
        self.problems.append(self.document.problem(path, message, at_key=at_key))

    def place(self, path: Sequence[str | int]) -> str:
        line, column = self.document.position(path)
        return f"{self.document.file}:{line}:{column}"

    def condition(self, path: Sequence[str | int], source: str, args: Shape) -> Condition | None:
        """Compile the condition at *path*; None, and a problem, where it is wrong."""
        try:
            return compile_condition(source, self.variables, args)
        except ConditionError as error:
            self._refuse_condition(path, error)
            return None

    def edit_condition(
        self, path: Sequence[str | int], source: str, args: Shape
    ) -> Condition | None:
        """Compile what an edit has to keep to; None, and a problem, where it is wrong."""
        try:
            return compile_edit_condition(source, self.variables, args)
        except ConditionError as error:
            self._refuse_condition(path, error)
            return None

    def value(self, path: Sequence[str | int], source: str, args: Shape) -> Value | None:
        """Compile the number at *path*; None, and a problem, where it is wrong."""
        try:
            return compile_value(source, self.variables, args)
        except ConditionError as error:
            self._refuse_condition(path, error)
            return None

    @property
    def variables(self) -> Mapping[str, Any]:
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in self.model.vars.items()
        }

    def _refuse_condition(self, path: Sequence[str | int], error: ConditionError) -> None:
        exact = self.document.within(path, error.column)
        if exact is None:
            self.refuse(path, f"{error} (character {error.column + 1} of the condition)")
            return
        self.problems.append(
            Problem(
                file=self.document.file,
                line=exact[0],
                column=exact[1],
                message=str(error),
                path=".".join(str(part) for part in path),
            )
        )
