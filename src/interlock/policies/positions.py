"""Strict YAML: plain data plus the line and column of every key and value.

YAML's surprises (duplicate keys, anchors, `no` as False, `012` as 10, second documents, tags,
bombs) are problems here, never other values. All values that come out are what JSON has: dict,
list, str, int, float, bool, None. The only other reader of YAML is `draft.documents`, which takes
what other people's API descriptions hold.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pydantic
import yaml

from ..core.errors import InvalidDocument, Problem
from .wording import suggestion, worded
from .yaml_hazards import LOADER, at, hazards, unreadable

__all__ = [
    "Document",
    "load_model",
    "load_yaml",
    "problems_from_pydantic",
    "suggestion",
    "validated",
]

Path = tuple[str | int, ...]
Model = TypeVar("Model", bound=pydantic.BaseModel)

MAX_BYTES = 1 << 20
MAX_PROBLEMS = 100
_MAX_INT = 2**53

_INT = re.compile(r"-?(?:0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+]?[0-9]+)?\Z")
_AMBIGUOUS = re.compile(
    r"""(?: yes | no | on | off | y | n | true | false | null
      | [-+]?0[0-9_]+ | [-+]?0[xob][0-9a-f_]+ | [-+]?[0-9][0-9_]*_[0-9_]*(?:\.[0-9_]*)?
      | [-+]?[0-9]+(?::[0-5]?[0-9])+(?:\.[0-9]*)? | [-+]?\.(?:inf|nan)
      | \+[0-9.]+ | [-+]?[0-9]+e[-+]?[0-9]+ | [-+]?\.[0-9]+ | [-+]?[0-9]+\. ) \Z""",
    re.IGNORECASE | re.VERBOSE,
)
_CUT = re.compile(r"[ \t]*[#,]")
_WORDS: Mapping[str, bool | None] = {
    "": None,
    "~": None,
    "null": None,
    "true": True,
    "false": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One YAML file: its data, and where everything in it stands (lines and columns from 1).

    A path is a tuple of mapping keys and list indexes, as pydantic's `loc`. `key_positions` holds
    the place of a mapping's key, `positions` that of the value, `cuts` that of a `#` or `,` which
    ended a text without quotes.
    """

    file: str
    data: Any = None
    text: str = ""
    positions: Mapping[Path, tuple[int, int]] = field(default_factory=dict)
    key_positions: Mapping[Path, tuple[int, int]] = field(default_factory=dict)
    cuts: Mapping[Path, tuple[int, int]] = field(default_factory=dict)

    def position(self, path: Sequence[str | int] = ()) -> tuple[int, int]:
        """Return the place of the value at *path*, or of its nearest parent that exists."""
        return self.positions.get(self.existing(path), (1, 1))

    def existing(self, path: Sequence[str | int]) -> Path:
        """Return *path* without the parts that name nothing in the data (pydantic's union tags)."""
        found: Path = ()
        for part in path:
            if (*found, part) in self.positions:
                found = (*found, part)
        return found

    def within(self, path: Sequence[str | int], offset: int) -> tuple[int, int] | None:
        """Return the place of character *offset* of the string at *path*; None where YAML's
        quoting or folding makes it unknowable."""
        line, column = self.position(path)
        value = self._value(path)
        lines = self.text.splitlines()
        if not isinstance(value, str) or line > len(lines):
            return None
        source = lines[line - 1]
        for start in (column - 1, column):  # plain, then quoted
            if source[start : start + len(value)] == value:
                return line, start + offset + 1
        if source[column - 1 : column] == "|":
            before, rest = value[:offset].count("\n"), value[:offset].rpartition("\n")[2]
            number = line + before
            if number < len(lines):
                indent = len(lines[number]) - len(lines[number].lstrip(" "))
                return number + 1, indent + len(rest) + 1
        return None

    def _value(self, path: Sequence[str | int]) -> Any:
        value = self.data
        for part in self.existing(path):
            value = value[part]
        return value

    def problem(self, path: Sequence[str | int], message: str, *, at_key: bool = False) -> Problem:
        """Return a problem at the value of *path*, or at its key."""
        found = self.existing(path)
        line, column = (at_key and self.key_positions.get(found)) or self.position(found)
        return Problem(
            file=self.file,
            line=line,
            column=column,
            message=message,
            path=".".join(str(part) for part in path),
        )


def load_yaml(text: str | bytes, file: str) -> Document:
    """Read one strict YAML document; *file* names it in problems.

    Raises:
        InvalidDocument: with every problem that was found, each with file, line and column.
    """
    decoded = _decoded(text, file)
    try:
        problems = list(hazards(decoded, file))
        if problems:
            raise InvalidDocument(tuple(problems[:MAX_PROBLEMS]))
        node = yaml.compose(decoded, Loader=LOADER)
    except yaml.YAMLError as error:
        raise InvalidDocument((unreadable(decoded, file, error),)) from None
    if node is None:
        return Document(file=file, text=decoded, positions={(): (1, 1)})
    builder = _Builder(file, decoded)
    data = builder.build(node, ())
    if builder.problems:
        raise InvalidDocument(tuple(builder.problems[:MAX_PROBLEMS]))
    return Document(
        file=file,
        data=data,
        text=decoded,
        positions=builder.positions,
        key_positions=builder.key_positions,
        cuts=builder.cuts,
    )


def load_model(text: str | bytes, file: str, model: type[Model]) -> tuple[Model, Document]:
    """Read one strict YAML document and validate it as *model*.

    Raises:
        InvalidDocument: with every problem of the YAML or, where that is sound, of the model.
    """
    document = load_yaml(text, file)
    return validated(document, model), document


def validated(document: Document, model: type[Model]) -> Model:
    """Validate *document* as *model*, strictly, in JSON's terms (lists fit tuple fields).

    Raises:
        InvalidDocument: with every problem, each with file, line and column.
    """
    data = {} if document.data is None else document.data
    try:
        return model.model_validate_json(json.dumps(data), strict=True)
    except pydantic.ValidationError as error:
        raise InvalidDocument(problems_from_pydantic(error, document, model)) from None


def problems_from_pydantic(
    error: pydantic.ValidationError, document: Document, model: type[pydantic.BaseModel]
) -> tuple[Problem, ...]:
    """Translate pydantic's errors into problems in document order, with suggestions for keys."""
    errors = error.errors(include_url=False, include_context=True)
    problems = {
        document.problem(path, message, at_key=at_key): None
        for path, message, at_key in worded(errors, model, document.existing)
    }
    return tuple(sorted(problems, key=lambda problem: (problem.line, problem.column)))


def _decoded(text: str | bytes, file: str) -> str:
    try:
        data = text if isinstance(text, bytes) else text.encode()
        if len(data) > MAX_BYTES:
            raise InvalidDocument((at(None, file, "the file is larger than 1 MiB: split it"),))
        return data.decode("utf-8-sig")
    except UnicodeError:
        raise InvalidDocument(
            (at(None, file, "the file is not UTF-8: save it as UTF-8"),)
        ) from None


class _Builder:
    """Turns PyYAML's nodes into plain data; collects problems instead of stopping at one."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self.problems: list[Problem] = []
        self.positions: dict[Path, tuple[int, int]] = {}
        self.key_positions: dict[Path, tuple[int, int]] = {}
        self.cuts: dict[Path, tuple[int, int]] = {}

    def build(self, node: Any, path: Path) -> Any:
        self.positions[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
        if isinstance(node, yaml.ScalarNode):
            self._note_cut(node, path)
            return self._scalar(node)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(child, (*path, index)) for index, child in enumerate(node.value)]
        return self._mapping(node, path)

    def _note_cut(self, node: Any, path: Path) -> None:
        end = node.end_mark
        found = None if node.style else _CUT.match(self.text, end.index)
        if found:
            self.cuts[path] = end.line + 1, end.column + len(found[0])

    def _refuse(self, node: Any, message: str) -> None:
        self.problems.append(at(node.start_mark, self.file, message))

    def _scalar(self, node: Any) -> Any:
        value: str = node.value
        # Plain is None in the pure loader and '' in libyaml; quoted and block are always strings.
        if node.style:
            return value
        if value in _WORDS:
            return _WORDS[value]
        if _INT.match(value):
            return self._integer(node, value)
        if _FLOAT.match(value):
            number = float(value)
            if not math.isfinite(number):
                self._refuse(node, f"number {value!r} is too large")
            return number
        if _AMBIGUOUS.match(value):
            self._refuse(
                node,
                f"ambiguous plain value {value!r}: quote it, or write true, false or a decimal",
            )
        return value

    def _integer(self, node: Any, value: str) -> int:
        if len(value) > 17 or abs(int(value)) > _MAX_INT:
            self._refuse(node, f"integer {value[:20]} is beyond 2^53: quote it")
            return 0
        return int(value)

    def _mapping(self, node: Any, path: Path) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for key_node, child in node.value:
            key = self._key(key_node)
            if key is None:
                continue
            if key in built:
                first = self.key_positions[(*path, key)][0]
                self._refuse(key_node, f"duplicate key {key!r} (first at line {first})")
                continue
            mark = key_node.start_mark
            self.key_positions[(*path, key)] = (mark.line + 1, mark.column + 1)
            built[key] = self.build(child, (*path, key))
        return built

    def _key(self, node: Any) -> str | None:
        if not isinstance(node, yaml.ScalarNode):
            self._refuse(node, "a key must be a plain string")
            return None
        key: str = node.value
        if node.style:
            return key
        if key == "<<":
            self._refuse(node, "merge key <<: write the values out")
            return None
        if key in _WORDS or _INT.match(key) or _FLOAT.match(key) or _AMBIGUOUS.match(key):
            self._refuse(node, f"key {key!r} is not plainly a string: quote it")
            return None
        return key
