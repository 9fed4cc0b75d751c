"""What a settings file holds and where it stands in the text, whatever its format.

`mcp_jsonc` and `mcp_toml` make these trees. A change is a tuple of edits, so that every byte that
no edit names stays as it was: comments, order, indentation, line ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ..core.errors import InvalidDocument, Problem

Path = tuple[str, ...]
MAX_DEPTH = 100


class Kind(StrEnum):
    """What a value is."""

    OBJECT = "object"
    ARRAY = "list"
    STRING = "text"
    SCALAR = "number, true, false, null or date"


class Layout(StrEnum):
    """How a key and its value are written."""

    JSON = "json"  #: `"key": value`, commas between
    STATEMENT = "statement"  #: TOML, `key = value` on a line of its own
    INLINE = "inline"  #: TOML, `key = value` within braces, commas between


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A value. `start` and `end` are offsets in the text, the end excluded."""

    kind: Kind
    start: int
    end: int
    scalar: Any = None  #: of STRING and SCALAR
    items: tuple[Node, ...] = ()  #: of ARRAY
    members: Mapping[str, Member] = field(default_factory=dict)  #: of OBJECT
    repeated: tuple[tuple[str, int], ...] = ()  #: keys given again, and where


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A key and its value. `prefix`: what stands before the last name of a dotted key of TOML."""

    start: int  #: where the key begins
    node: Node
    prefix: str = ""
    layout: Layout = Layout.JSON


@dataclass(frozen=True, slots=True)
class Edit:
    """Put `text` in the place of what stands from `start` to `end`."""

    start: int
    end: int
    text: str


def edited(text: str, edits: Iterable[Edit]) -> str:
    """Return *text* with *edits* made, which must not overlap."""
    parts, at = [], 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        if edit.start < at:
            raise ValueError(f"edits overlap at {edit.start}")
        parts += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join([*parts, text[at:]])


def plain(node: Node) -> Any:
    """Return the data alone, as a parser would."""
    if node.kind is Kind.OBJECT:
        return {key: plain(member.node) for key, member in node.members.items()}
    if node.kind is Kind.ARRAY:
        return [plain(item) for item in node.items]
    return node.scalar


def line_of(text: str, offset: int) -> int:
    """Return the line, from 1, in which *offset* is."""
    return text.count("\n", 0, offset) + 1


def unreadable(file: str, text: str, offset: int, message: str) -> InvalidDocument:
    """Return the error that says what is wrong at *offset* of *file*."""
    column = offset - (text.rfind("\n", 0, offset) + 1) + 1
    return InvalidDocument(
        (Problem(file=file, line=line_of(text, offset), column=column, message=message),)
    )
