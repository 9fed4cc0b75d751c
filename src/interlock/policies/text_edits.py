"""Changes of a YAML file as text, which keep its comments and its layout.

Each change is verified: the new text is read again, and is taken only where its data is exactly
the old data with that one change. So no value, whatever is in it, can become anything but data.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..core.errors import InvalidDocument
from .positions import Document, load_yaml

Path = tuple[str | int, ...]
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\Z", re.ASCII)
_TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"\\]|\\.)*"|[^\s,\[\]{}#]+""", re.DOTALL)
_TO_THE_END = re.compile(r"[^\r\n]*(?:\r\n|\n|\r|\Z)")


class CannotEdit(ValueError):
    """The text cannot be changed so that nothing else changes; do it by hand."""


def set_value(document: Document, path: Path, value: Any, after: str = "") -> Document:
    """Return *document* with *value* at *path*; mappings on the way that are missing are made.

    *after*: the key behind which a new one is put, where that can be done.

    Raises:
        CannotEdit: it cannot be put there without changing more.
    """
    wanted = copy.deepcopy(document.data)
    inside, existing = _parent(wanted, path)
    inside[path[len(existing)]] = _nested(path[len(existing) + 1 :], value)
    return _verified(document, wanted, _settings(document, path, existing, value, after))


def add_item(document: Document, key: str, item: Mapping[str, Any]) -> Document:
    """Return *document* with *item* as the first of the list at the top-level *key*.

    Raises:
        CannotEdit: it cannot be put there without changing more.
    """
    wanted = copy.deepcopy(document.data)
    if not isinstance(wanted, dict) or not isinstance(wanted.get(key, []), list):
        raise CannotEdit(f"`{key}` is no list")
    if key in wanted:
        wanted[key] = [dict(item), *wanted[key]]
    else:
        wanted[key] = [dict(item)]
    return _verified(document, wanted, _additions(document, key, item))


def _verified(document: Document, wanted: Any, candidates: Iterator[str]) -> Document:
    for text in candidates:
        try:
            found = load_yaml(text, document.file)
        except (InvalidDocument, UnicodeError):
            continue
        # as JSON: 1 and True, 1 and 1.0 are not the same thing there, nor is the order of keys
        if json.dumps(found.data, sort_keys=True) == json.dumps(wanted, sort_keys=True):
            return found
    raise CannotEdit("its layout leaves no place for it")


# ---- where things stand ----------------------------------------------------------------------


def offset(text: str, position: tuple[int, int]) -> int:
    """Return the index in *text* of a line and column, both from 1."""
    line, column = position
    start = 0
    for _ in range(line - 1):
        found = _BREAK.search(text, start)
        if found is None:
            break
        start = found.end()
    return start + column - 1


def _parent(data: Any, path: Path) -> tuple[Any, Path]:
    """Return the innermost mapping or list on *path* that is there, and its own path."""
    inside: Any = data
    existing: Path = ()
    for part in path[:-1]:
        there = part in inside if isinstance(inside, dict) else isinstance(part, int)
        if not there:
            break
        inside, existing = inside[part], (*existing, part)
    if not isinstance(inside, dict):
        raise CannotEdit("it stands in no mapping")
    return inside, existing


def _nested(parts: Path, value: Any) -> Any:
    for part in reversed(parts):
        value = {part: value}
    return value


def _line_end(text: str, start: int) -> int:
    found = _TO_THE_END.match(text, start)
    return found.end() if found else len(text)


def _newline(text: str) -> str:
    found = _BREAK.search(text)
    return found[0] if found else "\n"


# ---- values ----------------------------------------------------------------------------------


def _settings(
    document: Document, path: Path, existing: Path, value: Any, after: str
) -> Iterator[str]:
    """Yield texts that may be the one that is wanted, the prettiest first."""
    text, key = document.text, path[len(existing)]
    place = (*existing, key)
    if place in document.positions:
        start = offset(text, document.positions[place])
        found = _TOKEN.match(text, start)
        if found is not None and len(place) == len(path):
            yield text[:start] + flow(value) + text[found.end() :]
        return
    written = flow(_nested(path[len(existing) + 1 :], value))
    start = offset(text, document.positions[existing])
    entry = f"{key}: {written}"
    if text[start : start + 1] == "{":
        inner = text[start + 1 :]
        yield f"{text[:start]}{{{entry}{', ' if inner.lstrip()[:1] != '}' else ''}{inner}"
        return
    yield from _lines(document, existing, entry, after)


def _lines(document: Document, existing: Path, entry: str, after: str) -> Iterator[str]:
    """Yield texts with *entry* as a line of its own in a mapping that is written in lines."""
    text = document.text
    keys = [path for path in document.key_positions if path[:-1] == existing]
    keys.sort(key=lambda path: (path[-1] != after, -document.key_positions[path][0]))
    for path in keys:
        line, column = document.key_positions[path]
        start = offset(text, (line, column))
        end = _line_end(text, start)
        before, rest = text[:end], text[end:]
        if not before.endswith(("\n", "\r")):
            before += _newline(text)
        yield f"{before}{' ' * (column - 1)}{entry}{_newline(text)}{rest}"
    for path in keys[-1:]:
        line, column = document.key_positions[path]
        start = offset(text, (line, column))
        yield f"{text[:start]}{entry}{_newline(text)}{' ' * (column - 1)}{text[start:]}"


# ---- lists -----------------------------------------------------------------------------------


def _additions(document: Document, key: str, item: Mapping[str, Any]) -> Iterator[str]:
    text, newline = document.text, _newline(document.text)
    where = document.key_positions.get((key,))
    if where is None:
        start = text if text.endswith(("\n", "\r")) or not text else text + newline
        yield f"{start}{newline}{key}:{newline}{_item(item, 2, newline)}"
        return
    value = offset(text, document.positions[key,])
    if text[value : value + 1] == "[":
        inner = text[value + 1 :].lstrip()
        if inner[:1] == "]":
            rest = inner[1:].lstrip(" ")
            lead = "" if rest[:1] in "\r\n" else newline
            added = _item(item, where[1] + 1, newline)
            yield f"{text[:value].rstrip(' ')}{newline}{added}{lead}{rest.lstrip(newline)}"
        yield f"{text[: value + 1]}{flow(dict(item))}, {text[value + 1 :]}"
        return
    first = document.positions.get((key, 0))
    if first is None:
        return
    line_start = offset(text, (first[0], 1))
    dash = text.find("-", line_start)
    indent = dash - line_start if 0 <= dash < line_start + first[1] else where[1] + 1
    end = _line_end(text, offset(text, where))
    yield f"{text[:end]}{_item(item, indent, newline)}{text[end:]}"


def _item(item: Mapping[str, Any], indent: int, newline: str) -> str:
    space = " " * indent
    lines = [
        f"{space}{'- ' if count == 0 else '  '}{name}: {flow(value)}"
        for count, (name, value) in enumerate(item.items())
    ]
    return newline.join(lines) + newline


# ---- scalars ---------------------------------------------------------------------------------


def flow(value: Any) -> str:
    """Return *value* as YAML in one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{flow(name)}: {flow(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str):
        return value if _PLAIN.match(value) and not _ambiguous(value) else quoted(value)
    return json.dumps(value)


def _ambiguous(value: str) -> bool:
    return value.lower() in ("yes", "no", "on", "off", "y", "n", "true", "false", "null")


def quoted(text: str) -> str:
    """Return *text* between double quotes, all but printable ASCII escaped.

    Source: YAML 1.2.2, 5.7 (escaped characters).
    """
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if " " <= character <= "~":
        return character
    point = ord(character)
    if point < 0x100:
        return f"\\x{point:02X}"
    return f"\\u{point:04X}" if point < 0x10000 else f"\\U{point:08X}"
