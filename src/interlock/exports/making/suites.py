"""Suites of `interlock policy test` as strict YAML, each within the bounds of one file.

Written as JSON where YAML agrees with it. It does not in two places: characters beyond U+FFFF
are one escape, and a number with an exponent needs a point.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

MOST_BYTES = 900_000  #: of 1 MiB that is read
MOST_VALUES = 40_000  #: of 50,000 that are read
_DEEPEST, _LARGEST = 34, 2**53
_LONGEST_KEY = 1_000  #: characters as written, of 1,024 that YAML looks for its colon
_PAIR = re.compile(r"\\ud([89ab][0-9a-f]{2})\\ud([c-f][0-9a-f]{2})")
_LONE = re.compile(r"(?<!\\)((?:\\\\)*)\\ud[89a-f][0-9a-f]{2}")
_EXPONENT = re.compile(r"\A(-?[0-9]+)(?=e)")


def suites(cases: Iterable[bytes], policy: Sequence[str]) -> Iterator[str]:
    """Yield documents that hold *cases* (JSON, one each) and name *policy*, relative to them."""
    head = {"apiVersion": "interlock/v1", "kind": "PolicyTest", "policy": list(policy)}
    begin = "".join(f"{name}: {text(each)}\n" for name, each in head.items()) + "cases:\n"
    lines: list[str] = []
    size = values = 0
    for case in cases:
        read = json.loads(case)
        line = f"- {text(read)}\n"
        more = len(line.encode()), count(read)
        if lines and (size + more[0] > MOST_BYTES or values + more[1] > MOST_VALUES):
            yield begin + "".join(lines)
            lines, size, values = [], 0, 0
        lines.append(line)
        size, values = size + more[0], values + more[1]
    if lines:
        yield begin + "".join(lines)


def fits(case: str) -> bool:
    """Say whether a suite can hold *case*: it is no deeper, longer or larger than YAML is read."""
    read = json.loads(case)
    return len(case) < MOST_BYTES // 6 and count(read) < MOST_VALUES and _plain(read, 0)


def count(value: Any) -> int:
    """Return how many events YAML's reader sees in *value*."""
    if isinstance(value, dict):
        return 2 + len(value) + sum(map(count, value.values()))
    return 2 + sum(map(count, value)) if isinstance(value, list) else 1


def text(value: Any) -> str:
    """Return *value* as one line of YAML that reads back as the same."""
    if isinstance(value, dict):
        members = (f"{_text(name)}: {text(each)}" for name, each in value.items())
        return "{" + ", ".join(members) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(text, value)) + "]"
    if isinstance(value, str):
        return _text(value)
    said = json.dumps(value)
    return _EXPONENT.sub(r"\1.0", said) if isinstance(value, float) else said


def _text(value: str) -> str:
    said = _PAIR.sub(_one, json.dumps(value))
    return _LONE.sub(r"\1\\ufffd", said).replace("\x7f", "\\x7f")


def _one(found: re.Match[str]) -> str:
    high, low = int(found[1], 16), int(found[2], 16)
    return f"\\U{0x10000 + ((high - 0x800) << 10) + (low - 0xC00):08x}"


def _plain(value: Any, depth: int) -> bool:
    if isinstance(value, dict):
        short = all(len(_text(name)) <= _LONGEST_KEY for name in value)
        return depth < _DEEPEST and short and all(_plain(e, depth + 1) for e in value.values())
    if isinstance(value, list):
        return depth < _DEEPEST and all(_plain(each, depth + 1) for each in value)
    return type(value) is not int or abs(value) <= _LARGEST
