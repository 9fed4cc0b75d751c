"""JSON with comments and trailing commas, as VS Code and Zed write it, with every value's place."""

from __future__ import annotations

import json
import re
from typing import NoReturn

from .mcp_nodes import MAX_DEPTH, Kind, Member, Node, unreadable

_SPACE = re.compile(r"(?:[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_SCALAR = re.compile(
    r"(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null)(?![\w.+-])", re.ASCII
)
_WORD = re.compile(r"[^\s,:\[\]{}\"]{1,20}|.", re.DOTALL)


def scan_jsonc(text: str, file: str) -> Node:
    """Return what *text* holds; a byte order mark at its start is left out.

    Raises:
        InvalidDocument: it is not JSON, or deeper than 100 levels.
    """
    return _Scanner(text, file).document()


class _Scanner:
    def __init__(self, text: str, file: str) -> None:
        self.text, self.file = text, file
        self.at = 1 if text.startswith("\ufeff") else 0

    def document(self) -> Node:
        self._skip()
        if self.at == len(self.text):
            self._fail("is empty: expected `{`")
        node = self._value(0)
        self._skip()
        if self.at < len(self.text):
            self._fail(f"{self._seen()} after the end of the value")
        return node

    def _value(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            self._fail(f"is deeper than {MAX_DEPTH} levels")
        head = self.text[self.at : self.at + 1]
        if head == "{":
            return self._object(depth)
        if head == "[":
            return self._array(depth)
        return self._string() if head == '"' else self._scalar()

    def _object(self, depth: int) -> Node:
        start = self._take("{")
        members: dict[str, Member] = {}
        repeated: list[tuple[str, int]] = []
        while not self._closes("}"):
            if not self.text.startswith('"', self.at):
                self._fail(f"expected a key in double quotes, found {self._seen()}")
            key = self._string()
            if key.scalar in members:
                repeated.append((key.scalar, key.start))
            self._skip()
            self._take(":")
            self._skip()
            members[key.scalar] = Member(start=key.start, node=self._value(depth + 1))
            self._comma("}")
        return Node(
            kind=Kind.OBJECT,
            start=start,
            end=self.at,
            members=members,
            repeated=tuple(repeated),
        )

    def _array(self, depth: int) -> Node:
        start = self._take("[")
        items = []
        while not self._closes("]"):
            items.append(self._value(depth + 1))
            self._comma("]")
        return Node(kind=Kind.ARRAY, start=start, end=self.at, items=tuple(items))

    def _string(self) -> Node:
        start, found = self.at, _STRING.match(self.text, self.at)
        if found is None:
            self._fail("a text in double quotes does not end in its line")
        try:
            value = json.loads(found[0])
        except ValueError:
            self._fail(f"{found[0][:40]} has a wrong escape: write a backslash as \\\\")
        self.at = found.end()
        return Node(kind=Kind.STRING, start=start, end=self.at, scalar=value)

    def _scalar(self) -> Node:
        start, found = self.at, _SCALAR.match(self.text, self.at)
        if found is None:
            self._fail(f"expected a value, found {self._seen()}")
        try:
            value = json.loads(found[0])
        except ValueError:
            self._fail("the number is too long")  # Python reads at most 4300 digits
        self.at = found.end()
        return Node(kind=Kind.SCALAR, start=start, end=self.at, scalar=value)

    def _closes(self, mark: str) -> bool:
        self._skip()
        if self.at == len(self.text):
            self._fail(f"ends before the closing `{mark}`")
        if not self.text.startswith(mark, self.at):
            return False
        self.at += 1
        return True

    def _comma(self, closing: str) -> None:
        self._skip()
        if self.text.startswith(",", self.at):
            self.at += 1
        elif not self.text.startswith(closing, self.at):
            self._fail(f"expected `,` or `{closing}`, found {self._seen()}")

    def _take(self, mark: str) -> int:
        if not self.text.startswith(mark, self.at):
            self._fail(f"expected `{mark}`, found {self._seen()}")
        self.at += 1
        return self.at - 1

    def _skip(self) -> None:
        found = _SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at
        if self.text.startswith("/*", self.at):
            self._fail("a comment that begins with `/*` has no `*/`")

    def _seen(self) -> str:
        found = _WORD.match(self.text, self.at)
        return f"`{found[0]}`" if found else "the end of the file"

    def _fail(self, message: str) -> NoReturn:
        raise unreadable(self.file, self.text, self.at, message)
