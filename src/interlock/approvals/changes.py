"""How one call differs from another, as people see it. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ..core.actions import ToolCall
from ..core.decisions import Decision
from ..core.masking import Masks, masked
from ..core.messages import read_message
from ..core.numbers import number_of
from ..core.redaction import redact_headers, visible_line, visible_text
from .models_call import Difference
from .views import target, value_text

CONTEXT = 3  #: lines that are shown around those that differ
Side = tuple[ToolCall, Decision, Masks]
"""A call, what policy read of it, and what is hidden of it."""


def differences(before: Side, after: Side) -> list[Difference]:
    """Return what an edit changes: arguments by name, then what else of the request differs."""
    (old, was, _), (new, now, _) = before, after
    names = dict.fromkeys((*was.arguments, *now.arguments))
    changes = [
        Difference(
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
        ("headers", *_header_lines(old, new)),
    ):
        if one != two:
            changes.append(
                Difference(
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


def same_target(one: Decision, two: Decision) -> bool:
    """Say whether both act on the same, as policy names it."""
    first, second = (json.dumps(dict(each.target or {}), sort_keys=True) for each in (one, two))
    return first == second


def compared(before: Side, after: Side) -> list[Difference]:
    """Return how a call differs from an earlier one; nothing: it is the same request.

    Beside `differences`, this says where the bytes of the body differ although what policy reads
    of them does not: two requests are never called the same that are not.
    """
    changes = differences(before, after)
    (old, _, _), (new, _, _) = before, after
    for where, one, two in (
        ("tool of the server", old.mcp.name if old.mcp else "", new.mcp.name if new.mcp else ""),
        ("signed for", f"{old.service} {old.region}", f"{new.service} {new.region}"),
    ):
        if one != two:
            told = Difference(where=where, before=visible_text(one), after=visible_text(two))
            changes.append(told)
    if not changes and _sent(old) != _sent(new):
        changes.append(Difference(where="body", before=_bytes(old), after=_bytes(new)))
    return [in_context(each) for each in changes]


def in_context(change: Difference) -> Difference:
    """Return *change* with CONTEXT lines around what differs: those that are the same are left."""
    if change.before is None or change.after is None:
        return change
    one, two = change.before.split("\n"), change.after.split("\n")
    least = min(len(one), len(two))
    above = next((n for n in range(least) if one[n] != two[n]), least)
    left = least - above
    below = next((n for n in range(left) if one[-1 - n] != two[-1 - n]), left)
    above, below = max(above - CONTEXT, 0), max(below - CONTEXT, 0)
    told = {
        "before": "\n".join(one[above : len(one) - below]),
        "after": "\n".join(two[above : len(two) - below]),
        "same_above": above,
        "same_below": below,
    }
    return change.model_copy(update=told)


def _sent(call: ToolCall) -> object:
    """Return what is compared of a body: of an MCP call all but the number of the message."""
    if call.mcp is None:
        return call.body
    document = dict(read_message(call.body).document)
    return json.dumps(document | {"id": 0}, sort_keys=True)


def _bytes(call: ToolCall) -> str:
    size = number_of(len(call.body), "byte")
    return f"{size}, SHA-256 {hashlib.sha256(call.body).hexdigest()[:16]}…"


def _header_lines(old: ToolCall, new: ToolCall) -> tuple[str, str]:
    """Return the headers of each that the other has not."""
    one, two = (
        [f"{name}: {value}" for name, value in redact_headers(call.headers)] for call in (old, new)
    )
    only = [line for line in one if line not in two], [line for line in two if line not in one]
    if not any(only) and one != two:  # their order, or how often they come
        only = one, two
    return "\n".join(only[0]), "\n".join(only[1])
