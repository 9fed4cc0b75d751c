"""What an edit changes, as people see it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..core.actions import ToolCall
from ..core.decisions import Decision
from ..core.masking import Masks, masked
from ..core.redaction import redact_headers, visible_line, visible_text
from . import models
from .views import target, value_text

Side = tuple[ToolCall, Decision, Masks]
"""A call, what policy read of it, and what is hidden of it."""


def differences(before: Side, after: Side) -> list[models.Difference]:
    """Return what an edit changes: arguments by name, then what else of the request differs."""
    (old, was, _), (new, now, _) = before, after
    names = dict.fromkeys((*was.arguments, *now.arguments))
    changes = [
        models.Difference(
            where=visible_line(name),
            before=_argument(name, before, after[2]),
            after=_argument(name, after, before[2]),
        )
        for name in names
        if not _same(was.arguments, now.arguments, name)
    ]
    for where, one, two in (
        ("method", old.method, new.method),
        ("request target", target(old, before[2]), target(new, after[2])),
        ("headers", _header_lines(old), _header_lines(new)),
    ):
        if one != two:
            changes.append(
                models.Difference(
                    where=where,
                    before=visible_text(after[2].text(before[2].text(one))),
                    after=visible_text(before[2].text(after[2].text(two))),
                )
            )
    return changes


def _argument(name: str, side: Side, other: Masks) -> str | None:
    """Return an argument of one side; what is hidden of the *other* is hidden here too."""
    _, decision, masks = side
    if name not in decision.arguments:
        return None
    value = decision.arguments[name]
    if name in masks:
        return visible_line(masked(value))
    return other.text(value_text(masks.value(value)))


def _same(one: Mapping[str, Any], two: Mapping[str, Any], name: str) -> bool:
    """Compare by JSON text: 1 and true, or 1 and 1.0, are not the same."""
    if (name in one) != (name in two):
        return False
    return json.dumps(one[name], sort_keys=True) == json.dumps(two[name], sort_keys=True)


def _header_lines(call: ToolCall) -> str:
    return "\n".join(f"{name}: {value}" for name, value in redact_headers(call.headers))
