"""One policy file with its model, and the problems found in it."""

from __future__ import annotations

import re
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

_STRING = re.compile(r"""r"[^"\n]*"|r'[^'\n]*'|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'""")
_CUT = {
    "#": "in YAML ' #' begins a comment, so this condition ends here: put all of it in quotes",
    ",": "within [...] and {...} a comma ends a text, so this condition ends here: put all of it "
    "in quotes",
}


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
            self._refuse_condition(path, source, error)
            return None

    def edit_condition(
        self, path: Sequence[str | int], source: str, args: Shape
    ) -> Condition | None:
        """Compile what an edit has to keep to; None, and a problem, where it is wrong."""
        try:
            return compile_edit_condition(source, self.variables, args)
        except ConditionError as error:
            self._refuse_condition(path, source, error)
            return None

    def value(self, path: Sequence[str | int], source: str, args: Shape) -> Value | None:
        """Compile the number at *path*; None, and a problem, where it is wrong."""
        try:
            return compile_value(source, self.variables, args)
        except ConditionError as error:
            self._refuse_condition(path, source, error)
            return None

    @property
    def variables(self) -> Mapping[str, Any]:
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in self.model.vars.items()
        }

    def _refuse_condition(
        self, path: Sequence[str | int], source: str, error: ConditionError
    ) -> None:
        cut = self.document.cuts.get(tuple(path))
        if cut is not None and _open(source):
            self._refuse_at(cut, path, _CUT[self._character(cut)])
            return
        exact = self.document.within(path, error.column)
        if exact is None:
            self.refuse(path, f"{error} (character {error.column + 1} of the condition)")
            return
        self._refuse_at(exact, path, str(error))

    def _refuse_at(self, at: tuple[int, int], path: Sequence[str | int], message: str) -> None:
        self.problems.append(
            Problem(
                file=self.document.file,
                line=at[0],
                column=at[1],
                message=message,
                path=".".join(str(part) for part in path),
            )
        )

    def _character(self, place: tuple[int, int]) -> str:
        return self.document.text.splitlines()[place[0] - 1][place[1] - 1]


def _open(condition: str) -> bool:
    """Whether *condition* ends within a string or a bracket: YAML has cut it."""
    rest = _STRING.sub("", condition)
    return bool(re.search("[\"']", rest)) or any(
        rest.count(opening) > rest.count(closing) for opening, closing in ("()", "[]")
    )
