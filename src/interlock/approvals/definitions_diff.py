"""What changed in a tool's definition, line by line, as people may see it. Pure.

A server wrote all of it, and hides instructions in it where it can: every line is whole and
visible, and the work is bounded whatever the lines are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from ..core.listings import PARTS, ToolRecord
from ..core.lookalikes import warnings
from ..core.redaction import visible_line
from .models import Warning_
from .models_definitions import Line, Member

MATCHED = 40_000  #: pairs of lines that are compared to match two texts
WARNINGS = 50  #: of one definition
_SPACES = re.compile(r"( +)")

Sign = Literal[" ", "-", "+"]


def members(record: ToolRecord) -> list[Member]:
    """Return the members of what is listed and of what was accepted, and how they differ."""
    new = record.listed.document or {}
    old = record.accepted.document if record.accepted else {}
    if record.listed.document is None:
        new = old  # it is not kept: what is known is what was accepted
    return [_member(name, old.get(name), new.get(name)) for name in PARTS if name in {*old, *new}]


def _member(name: str, old: Any, new: Any) -> Member:
    before, after = _lines(old), _lines(new)
    if before == after:
        return Member(name=name, changed=False, diff=_all(" ", after), matched=True)
    start = _common(before, after)
    end = _common(before[start:][::-1], after[start:][::-1])
    was, now = before[start : len(before) - end], after[start : len(after) - end]
    matched = len(was) * len(now) <= MATCHED
    middle = list(_marked(_matched(was, now) if matched else _apart(was, now)))
    diff = _all(" ", before[:start]) + middle + _all(" ", before[len(before) - end :])
    return Member(name=name, changed=True, diff=diff, matched=matched)


def _lines(value: Any) -> list[str]:
    """Return a member as visible lines; a text that is split says so with tokens."""
    if value is None:
        return []
    if isinstance(value, str):
        *broken, last = value.split("\n")
        return [visible_line(f"{line}\n") for line in broken] + [visible_line(last)]
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
    return [visible_line(line) for line in text.split("\n")]


def _all(sign: Sign, lines: Sequence[str]) -> list[Line]:
    return [Line(sign=sign, parts=[line]) for line in lines]


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many of the first items are the same."""
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count


def _apart(was: Sequence[str], now: Sequence[str]) -> Iterator[tuple[Sign, str]]:
    yield from (("-", line) for line in was)
    yield from (("+", line) for line in now)


def _matched(was: Sequence[str], now: Sequence[str]) -> Iterator[tuple[Sign, str]]:
    """Yield the shortest diff: by the longest common subsequence, in time of both lengths."""
    longest = [[0] * (len(now) + 1) for _ in range(len(was) + 1)]
    for row in range(len(was) - 1, -1, -1):
        here, below = longest[row], longest[row + 1]
        for column in range(len(now) - 1, -1, -1):
            same = was[row] == now[column]
            here[column] = below[column + 1] + 1 if same else max(below[column], here[column + 1])
    row = column = 0
    while row < len(was) and column < len(now):
        if was[row] == now[column]:
            yield " ", was[row]
            row, column = row + 1, column + 1
        elif longest[row + 1][column] >= longest[row][column + 1]:
            yield "-", was[row]
            row += 1
        else:
            yield "+", now[column]
            column += 1
    yield from _apart(was[row:], now[column:])


def _marked(diff: Iterator[tuple[Sign, str]]) -> Iterator[Line]:
    """Yield lines; where as many came as went, with what differs between each two of them."""
    gone: list[str] = []
    new: list[str] = []
    for sign, text in diff:
        if sign == "-" and not new:
            gone.append(text)
        elif sign == "+":
            new.append(text)
        else:
            yield from _block(gone, new)
            gone, new = ([text], []) if sign == "-" else ([], [])
            if sign == " ":
                yield Line(sign=" ", parts=[text])
    yield from _block(gone, new)


def _block(gone: Sequence[str], new: Sequence[str]) -> Iterator[Line]:
    if len(gone) != len(new):
        yield from _all("-", gone)
        yield from _all("+", new)
        return
    pairs = [_between(was, now) for was, now in zip(gone, new, strict=True)]
    yield from (Line(sign="-", parts=was) for was, _ in pairs)
    yield from (Line(sign="+", parts=now) for _, now in pairs)


def _between(was: str, now: str) -> tuple[list[str], list[str]]:
    """Split two lines into what they begin with, what differs, and what they end with.

    Words stay whole, so that no token for something unseen is torn.
    """
    one, two = _SPACES.split(was), _SPACES.split(now)
    start = _common(one, two)
    end = _common(one[start:][::-1], two[start:][::-1])
    if start + end == 0:
        return [was], [now]
    return _three(one, start, end), _three(two, start, end)


def _three(words: Sequence[str], start: int, end: int) -> list[str]:
    last = len(words) - end
    return ["".join(words[:start]), "".join(words[start:last]), "".join(words[last:])]


def warned(record: ToolRecord) -> list[Warning_]:
    """Return what is made to be misread in what the server lists, names of members included."""
    found: dict[tuple[str, str], None] = {}
    for name, value in (record.listed.document or {"name": record.tool}).items():
        for text in _texts(value):
            found |= dict.fromkeys((name, warning) for warning in warnings(text))
            if len(found) > WARNINGS:
                more = ("definition", f"There are more than {WARNINGS} warnings; these are some.")
                return [Warning_(where=w, text=t) for w, t in [*[*found][:WARNINGS], more]]
    return [Warning_(where=where, text=text) for where, text in found]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield str(name)
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
