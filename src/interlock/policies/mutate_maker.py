"""What mutants are, and how changes of a policy file are made: of words, numbers, lists, texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.durations import milliseconds
from .mutate_conditions import shifted, variants
from .positions import Document

Path = tuple[str | int, ...]
REMOVED = "\0removed"
"""Stands for "this key is not there" among the values of a change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One small change of one policy file. `kind` and `path` say what was changed, for proofs."""

    file: str
    line: int
    column: int
    kind: str
    path: Path
    what: str
    suggestion: str
    changes: tuple[tuple[Path, Any], ...]

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.what}"


class Maker:
    """Makes mutants of one policy file; each with the place of what it changes."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.data: Mapping[str, Any] = document.data

    # -- how mutants are made ---------------------------------------------------------------

    def change(
        self, kind: str, path: Path, value: Any, what: str, suggestion: str, *more: tuple[Path, Any]
    ) -> Mutant:
        place = self.document.key_positions.get(path) if value == REMOVED else None
        line, column = place or self.document.position(path)
        return Mutant(
            file=self.document.file,
            line=line,
            column=column,
            kind=kind,
            path=path,
            what=what,
            suggestion=suggestion,
            changes=((path, value), *more),
        )

    def lower(
        self, kind: str, path: Path, words: Sequence[str], who: str, suggestion: str
    ) -> Iterator[Mutant]:
        """Yield the word at *path* one step down in *words*, where there is one below it."""
        word = self.at(path)
        if word in words and (index := words.index(word)):
            less = words[index - 1]
            name = path[-1]
            yield self.change(kind, path, less, f"{who}: {name} {word} -> {less}", suggestion)

    def numbers(self, kind: str, path: Path, who: str, suggestion: str) -> Iterator[Mutant]:
        number = self.at(path)
        if type(number) in (int, float):
            for other in shifted(number):
                what = f"{who}: {path[-1]} {number:g} -> {other:g}"
                yield self.change(kind, path, other, what, suggestion)

    def remove(self, kind: str, path: Path, what: str, suggestion: str) -> Iterator[Mutant]:
        if self.at(path) is not None:
            yield self.change(kind, path, REMOVED, what, suggestion)

    def halved(self, kind: str, path: Path, who: str, suggestion: str) -> Iterator[Mutant]:
        """Yield half of the duration at *path*, where there is one."""
        written = self.at(path)
        try:
            half = milliseconds(str(written)) // 2000
        except ValueError:
            return  # none is written
        less = f"{half}s" if half < 1_000_000 else f"{half // 60}m"
        what = f"{who}: {path[-1]} {written} -> half of it"
        yield self.change(kind, path, less, what, suggestion)

    def items(self, kind: str, path: Path, who: str, suggestion: str) -> Iterator[Mutant]:
        """Yield the list at *path* without each of its items; at least one stays."""
        given = self.at(path)
        for index, item in enumerate(given if isinstance(given, list) else ()):
            if len(given) > 1:
                what = f"{who}: {item!r} dropped from {path[-1]}"
                yield self.change(kind, (*path, index), REMOVED, what, suggestion.format(item))

    def at(self, path: Path) -> Any:
        value: Any = self.data
        for part in path:
            if isinstance(value, Mapping):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
            else:
                return None
        return value

    def condition(self, path: Path, who: str) -> Iterator[Mutant]:
        source = self.at(path)
        for each in variants(source) if isinstance(source, str) else ():
            line, column = self.document.within(path, each.column) or self.document.position(path)
            yield Mutant(
                file=self.document.file,
                line=line,
                column=column,
                kind="condition",
                path=path,
                what=f"{who}: `{each.before}` -> `{each.after}`",
                suggestion=each.suggestion,
                changes=((path, each.text),),
            )
