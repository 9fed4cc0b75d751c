"""JSON on lines of its own, where that is not much longer than the JSON itself. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_ALWAYS = 262_144  #: characters that may come of it, however short the JSON is
_LONGER = 2  #: times as long as the JSON may become what is longer than that


_PLAIN = frozenset({str, int, float, bool, type(None)})


def indents(value: Any) -> bool:
    """Say whether *value* may be shown as indented JSON: it does not become much longer by that.

    A short text of many brackets becomes a very long one: who writes it must not decide how much
    work it is to show it.
    """
    if _added(value, _ALWAYS) <= _ALWAYS // 2:
        return True
    size = len(compact(value))
    most = max(_ALWAYS, size * _LONGER)
    return size + _added(value, most) <= most


def indented(value: Any) -> str | None:
    """Return *value* as indented JSON; None where it becomes much longer by that."""
    return json.dumps(value, indent=2, ensure_ascii=False) if indents(value) else None


def compact(value: Any) -> str:
    """Return *value* as JSON on one line."""
    return json.dumps(value, ensure_ascii=False)


def _added(value: Any, most: int) -> int:
    """Return how many characters indenting adds, or more than *most* once it is more."""
    added, rest = 0, [(value, 1)]
    while rest and added <= most:
        each, depth = rest.pop()
        if not isinstance(each, (list, tuple, Mapping)) or not each:
            continue
        inside = each.values() if isinstance(each, Mapping) else each
        added += len(each) * (2 * depth + 1) + 2 * depth - 1
        rest += [(inner, depth + 1) for inner in inside if type(inner) not in _PLAIN]
    return added
