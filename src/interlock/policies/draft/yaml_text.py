"""Plain data as YAML that the strict reader takes: quoted where in doubt, wrapped where long."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping
from typing import Any

WIDTH = 100
_SAFE = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*\Z")
_WORDS = frozenset("yes no on off y n true false null".split())


def scalar(value: Any) -> str:
    """Return a scalar as YAML."""
    if not isinstance(value, str):
        return json.dumps(value)
    if _SAFE.match(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(one_line(value), ensure_ascii=False)


def one_line(text: str) -> str:
    """Return *text* on one line, without characters that do not print."""
    plain = " ".join(text.split())
    return plain if plain.isprintable() else "".join(c for c in plain if c.isprintable())


def flow(value: Any) -> str:
    """Return *value* in one line."""
    if isinstance(value, Mapping):
        inside = ", ".join(f"{scalar(name)}: {flow(each)}" for name, each in value.items())
        return f"{{{inside}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(flow, value))}]"
    return scalar(value)


def block(name: str, value: Any, indent: int) -> list[str]:
    """Return `name: value`, in one line where that fits."""
    lead = f"{' ' * indent}{scalar(name)}:"
    line = f"{lead} {flow(value)}"
    if len(line) <= WIDTH or not isinstance(value, Mapping) or not value:
        return [line]
    return [lead, *(line for key, each in value.items() for line in block(key, each, indent + 2))]


def comment(text: str, indent: int) -> list[str]:
    """Return *text* as a comment, wrapped; no line of it can be anything else."""
    lead = f"{' ' * indent}# "
    return textwrap.wrap(
        one_line(text),
        WIDTH,
        initial_indent=lead,
        subsequent_indent=f"{lead}  ",
        break_long_words=True,
        break_on_hyphens=False,
    )
