"""A policy as it is written: its texts, and where things stand in its files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.decisions import Level
from ..core.rules import PolicySet
from .document import LimitEntry, PolicyDocument
from .explain import Book
from .explain_conditions import Written
from .load import policy_files
from .positions import Document, load_model

LOOSER, STRICTER, CHANGED = "looser", "stricter", "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting in which two policies differ; `changed`: which way cannot be said."""

    kind: str  #: looser | stricter | changed
    what: str
    place: str  #: file:line of NEW, or of OLD where only that has it; empty: nowhere written


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """The files of one policy, beside what they compile to."""

    policy: PolicySet
    written: Mapping[str, Written]
    files: Sequence[tuple[PolicyDocument, Document]]

    def place(self, *path: str | int) -> str:
        """Return file:line of *path*, or of what is above it; `""` where no file has its section.

        In lists of things with names a name stands for its index: `("limits", "per-day", "max")`.
        """
        best: tuple[int, str] = (0, "")
        for _, document in self.files:
            depth, found = _deepest(document, path)
            if depth > best[0]:
                line, _ = document.key_positions.get(found) or document.position(found)
                best = depth, f"{document.file}:{line}"
        return best[1]

    @property
    def floor(self) -> Level:
        """Return the lowest level that an exception or a grant may lower to."""
        enforced = [model for model, _ in self.files if model.mode == "enforce"]
        heard = enforced or [model for model, _ in self.files]
        return max(Level[model.defaults.exception_floor.upper()] for model in heard)

    def limits(self) -> Iterator[LimitEntry]:
        """Yield the limits of all files."""
        for model, _ in self.files:
            yield from model.limits


def sheet(book: Book, paths: Sequence[Path]) -> Sheet:
    """Return the policy files *paths*, which *book* was opened with.

    Raises:
        InvalidDocument: with the problems of the first file that is not valid.
    """
    files = [
        load_model(file.read_bytes(), str(file), PolicyDocument) for file in policy_files(paths)
    ]
    return Sheet(policy=book.policy, written=book.written, files=files)


def _deepest(document: Document, path: Sequence[str | int]) -> tuple[int, tuple[str | int, ...]]:
    """Return how much of *path* the document has, and where that stands."""
    value: Any = document.data
    found: tuple[str | int, ...] = ()
    for depth, part in enumerate(path):
        key: str | int = part
        if isinstance(value, list) and isinstance(part, str):
            names = [each.get("id") if isinstance(each, Mapping) else each for each in value]
            key = names.index(part) if part in names else -1
        inside = isinstance(value, list) and type(key) is int and 0 <= key < len(value)
        if not inside and not (isinstance(value, Mapping) and key in value):
            return depth, found
        value, found = value[key], (*found, key)
    return len(path), found
