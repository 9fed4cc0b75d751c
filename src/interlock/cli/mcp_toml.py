"""TOML 1.0 with every value's place; `tomllib` says what is valid, this says where it stands."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from typing import Any

from .mcp_nodes import MAX_DEPTH, Kind, Layout, Member, Node, unreadable

_SPACE = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_BLANK = re.compile(r"[ \t]*")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})'
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BARE = re.compile(r"[^,\]}#\r\n]+")
_PLACE = re.compile(r" ?\(at (?:line (\d+), column (\d+)|end of document)\)")


def scan_toml(text: str, file: str) -> Node:
    """Return what *text* holds. Tables may be spread; their place is where they are first named.

    Raises:
        InvalidDocument: it is not TOML.
    """
    if text.startswith("\ufeff"):
        text = " " + text[1:]  # a byte order mark; places stay
    try:
        deep = _deeper_than(tomllib.loads(text), MAX_DEPTH)
    except tomllib.TOMLDecodeError as error:
        raise unreadable(file, text, *_problem(text, str(error))) from None
    except RecursionError:
        deep = True
    if deep:
        raise unreadable(file, text, 0, f"is deeper than {MAX_DEPTH} levels")
    return _frozen(_Scanner(text).document())


def _deeper_than(data: Any, levels: int) -> bool:
    layer = [data]
    for _ in range(levels + 1):
        layer = [inner for value in layer for inner in _inside(value)]
    return bool(layer)


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _problem(text: str, said: str) -> tuple[int, str]:
    found = _PLACE.search(said)
    message = "is not TOML: " + (said[: found.start()] if found else said)
    if found is None or found[1] is None:
        return len(text), message
    lines = text.split("\n")
    return sum(len(line) + 1 for line in lines[: int(found[1]) - 1]) + int(found[2]) - 1, message


@dataclass(slots=True)
class _Table:
    """A table while it grows. `elements` of an array of tables: the last one is the current one."""

    start: int
    members: dict[str, _Slot] = field(default_factory=dict)
    elements: list[_Table] | None = None
    end: int = 0


@dataclass(slots=True)
class _Slot:
    start: int
    prefix: str
    value: Node | _Table
    layout: Layout


@dataclass(frozen=True, slots=True)
class _Key:
    names: tuple[str, ...]
    start: int
    last: int  #: where its last name begins


class _Scanner:
    """Reads text that is known to be valid."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def document(self) -> _Table:
        root = current = _Table(0, end=len(self.text))
        self._skip()
        while self.at < len(self.text):
            if self.text.startswith("[", self.at):
                current = self._header(root)
            else:
                self._pair(current, Layout.STATEMENT)
            self._skip()
        return root

    def _header(self, root: _Table) -> _Table:
        marks = 2 if self.text.startswith("[[", self.at) else 1
        start = self.at
        self.at += marks
        key = self._key()
        self.at += marks
        if marks == 1:
            return self._descend(root, key.names, start)
        parent = self._descend(root, key.names[:-1], start)
        slot = parent.members.get(key.names[-1])
        if slot is None:
            slot = _Slot(start, "", _Table(start, elements=[]), Layout.STATEMENT)
            parent.members[key.names[-1]] = slot
        assert isinstance(slot.value, _Table) and slot.value.elements is not None  # noqa: S101
        slot.value.elements.append(_Table(start))
        return slot.value.elements[-1]

    def _descend(self, table: _Table, names: tuple[str, ...], start: int) -> _Table:
        for name in names:
            slot = table.members.get(name)
            if slot is None:
                slot = table.members[name] = _Slot(start, "", _Table(start), Layout.STATEMENT)
            assert isinstance(slot.value, _Table)  # noqa: S101 (valid TOML)
            table = slot.value.elements[-1] if slot.value.elements else slot.value
        return table

    def _pair(self, table: _Table, layout: Layout) -> None:
        key = self._key()
        self.at = self.text.index("=", self.at) + 1
        self._blank()
        value = self._value()
        inner = self._descend(table, key.names[:-1], key.start)
        prefix = self.text[key.start : key.last]
        inner.members[key.names[-1]] = _Slot(key.start, prefix, value, layout)

    def _key(self) -> _Key:
        self._blank()
        start, names = self.at, []
        while True:
            last = self.at
            found = _STRING.match(self.text, self.at) or _BARE_KEY.match(self.text, self.at)
            assert found is not None  # noqa: S101 (valid TOML)
            names.append(_string(found[0]) if found[0][0] in "\"'" else found[0])
            self.at = found.end()
            self._blank()
            if not self.text.startswith(".", self.at):
                return _Key(tuple(names), start, last)
            self.at += 1
            self._blank()

    def _value(self) -> Node | _Table:
        start = self.at
        if self.text.startswith("{", start):
            return self._inline()
        if self.text.startswith("[", start):
            return self._array()
        found = _STRING.match(self.text, start)
        if found is not None:
            self.at = found.end()
            return Node(kind=Kind.STRING, start=start, end=self.at, scalar=_string(found[0]))
        bare = _BARE.match(self.text, start)
        assert bare is not None  # noqa: S101 (valid TOML)
        raw = bare[0].rstrip()
        self.at = start + len(raw)
        return Node(kind=Kind.SCALAR, start=start, end=self.at, scalar=_string(raw))

    def _inline(self) -> _Table:
        table = _Table(self.at)
        self.at += 1
        self._skip()
        while not self.text.startswith("}", self.at):
            self._pair(table, Layout.INLINE)
            self._skip()
            if self.text.startswith(",", self.at):
                self.at += 1
                self._skip()
        self.at += 1
        table.end = self.at
        return table

    def _array(self) -> Node:
        start, items = self.at, []
        self.at += 1
        self._skip()
        while not self.text.startswith("]", self.at):
            value = self._value()
            items.append(_frozen(value) if isinstance(value, _Table) else value)
            self._skip()
            if self.text.startswith(",", self.at):
                self.at += 1
                self._skip()
        self.at += 1
        return Node(kind=Kind.ARRAY, start=start, end=self.at, items=tuple(items))

    def _skip(self) -> None:
        found = _SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def _blank(self) -> None:
        found = _BLANK.match(self.text, self.at)
        self.at = found.end() if found else self.at


def _string(raw: str) -> Any:
    return tomllib.loads(f"v = {raw}")["v"]


def _frozen(table: _Table) -> Node:
    if table.elements is not None:
        items = tuple(_frozen(element) for element in table.elements)
        return Node(kind=Kind.ARRAY, start=table.start, end=table.end, items=items)
    members = {
        name: Member(
            start=slot.start,
            prefix=slot.prefix,
            node=_frozen(slot.value) if isinstance(slot.value, _Table) else slot.value,
            layout=slot.layout,
        )
        for name, slot in table.members.items()
    }
    return Node(kind=Kind.OBJECT, start=table.start, end=table.end, members=members)
