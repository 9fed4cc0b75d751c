"""Calls that come again and again with one target: what they have in common, as a condition.

An exception is only as wide as what was seen and approved: the agent, every argument of the
target exactly, every other argument within what it was, and no argument more.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .expression_syntax import MAX_LENGTH

MOST_VALUES = 4  #: of an argument that is no number, and differs between calls
_LONGEST = 300  #: characters of one text
_NAME = re.compile(r"(?!(?:true|false|null|in)\Z)[A-Za-z_][A-Za-z0-9_]*\Z", re.ASCII)
_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\\": "\\\\", "'": "\\'"}


class TooWide(ValueError):
    """What the calls have in common cannot be said in a condition that is narrow enough."""


@dataclass(slots=True, kw_only=True)
class Repeated:
    """Approved calls of one agent to one target of one tool."""

    agent: str
    tool: str
    target: Mapping[str, Any]
    calls: int = 0
    names: frozenset[str] = frozenset()
    ids: list[str] = field(default_factory=list)  #: the first few
    claimed: float | None = None  #: the least confidence; None: not each call claimed one
    _seen: dict[str, dict[str, Any]] = field(default_factory=dict)  #: JSON text -> value, by name
    _ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    _differ: bool = False

    def add(
        self, call_id: str, arguments: Mapping[str, Any], confidence: float | None = None
    ) -> None:
        """Take one more call into account; *confidence*: what its agent claimed."""
        if not self.calls:
            self.claimed = confidence
        elif confidence is None or self.claimed is None:
            self.claimed = None
        else:
            self.claimed = min(self.claimed, confidence)
        names = frozenset(arguments)
        self._differ |= bool(self.calls) and names != self.names
        self.names = names
        self.calls += 1
        if len(self.ids) < 5:
            self.ids.append(call_id)
        for name, value in arguments.items():
            if name not in self.target:
                self._note(name, value)

    def _note(self, name: str, value: Any) -> None:
        values = self._seen.setdefault(name, {})
        if len(values) <= MOST_VALUES:
            values[json.dumps(value, sort_keys=True)] = value
        if type(value) in (int, float) and math.isfinite(value):
            low, high = self._ranges.get(name, (value, value))
            self._ranges[name] = min(low, value), max(high, value)
        else:
            self._ranges[name] = -math.inf, math.inf

    @property
    def fixed(self) -> frozenset[str]:
        """Names of the arguments that are the same in each call."""
        one = (name for name, values in self._seen.items() if len(values) == 1)
        return frozenset(self.target).union(one)

    def condition(self, *beside: str) -> str:
        """Return what holds for these calls, and for none that is wider, and *beside*.

        Raises:
            TooWide: they differ in more than numbers and a few values, or cannot be written.
        """
        if self._differ:
            raise TooWide("its calls do not have the same arguments")
        parts = [f"agent.id == {text(self.agent)}"]
        for name, value in sorted(self.target.items()):
            if name in self.names:  # one that is not there is shut out by the size
                parts += _equal(_path(name), value, name)
        for name in sorted(self._seen):
            parts += self._within(name)
        parts.append(f"size(args) == {len(self.names)}")
        if self.claimed is not None:
            parts.append(f"agent.confidence >= {number(self.claimed)}")
        parts += beside
        written = " && ".join(parts)
        if len(written) > MAX_LENGTH:
            raise TooWide("its condition would be longer than a condition may be")
        return written

    def _within(self, name: str) -> Iterator[str]:
        path, values = _path(name), self._seen[name]
        low, high = self._ranges[name]
        if len(values) == 1:
            yield from _equal(path, next(iter(values.values())), name)
        elif math.isfinite(low) and math.isfinite(high):
            yield f"{path} >= {number(low)}"
            yield f"{path} <= {number(high)}"
        elif len(values) <= MOST_VALUES and all(isinstance(each, str) for each in values.values()):
            listed = ", ".join(text(each) for _, each in sorted(values.items()))
            yield f"{path} in [{listed}]"
        else:
            raise TooWide(f"its argument {name!r} is another one in each call")


def _path(name: str) -> str:
    return f"args.{name}" if _NAME.match(name) else f"args[{text(name)}]"


def _equal(path: str, value: Any, name: str) -> Iterator[str]:
    if isinstance(value, str):
        yield f"{path} == {text(value)}"
    elif value is None or isinstance(value, bool):
        yield f"{path} == {json.dumps(value)}"
    elif type(value) in (int, float) and math.isfinite(value):
        yield f"{path} == {number(value)}"
    else:
        raise TooWide(f"its argument {name!r} is no text or number")


def text(value: str) -> str:
    """Return *value* as a text of a condition. Raises TooWide where it is too long."""
    if len(value) > _LONGEST:
        raise TooWide("a text in it is too long to read")
    return "'" + "".join(_ESCAPES.get(each, each) for each in value) + "'"


def number(value: float) -> str:
    """Return *value* as a number of a condition. Raises TooWide where it has none."""
    written = repr(int(value)) if float(value).is_integer() and abs(value) < 2**53 else repr(value)
    if "e" in written or "E" in written:
        raise TooWide("a number in it is too large or too small to write")
    return written
