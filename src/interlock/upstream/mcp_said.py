"""What an MCP server says, read so that its client cannot read something else. Pure.

It is the untrusted side: what a client might take for an answer, and we for a notification, would
reach the client unread.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from ..core.messages import Kind, server_kind

Id = str | int

_VALUE = rb'"id"\s*:\s*(-?\d+(?![\d.eE])|"(?:[^"\\]|\\.)*")'
_VERSION = rb'"jsonrpc"\s*:\s*"2.0"'
_FIRST = re.compile(rb"\s*\{\s*(?:" + _VERSION + rb"\s*,\s*)?" + _VALUE)
_ANSWER = re.compile(rb'"(?:result|error)"', re.IGNORECASE)
_LAST = re.compile(_VALUE + rb"\s*(?:,\s*" + _VERSION + rb")?\s*\}\s*$")


def read_said(message: bytes) -> tuple[Kind, dict[str, Any]]:
    """Return the message of a server and what it is; half of a surrogate pair is replaced.

    Raises:
        ValueError: it is not UTF-8, not JSON, has a key twice, or clients could differ about what
            it is.
    """
    try:
        document = json.loads(
            message.decode("utf-8"),
            object_pairs_hook=_once,
            parse_constant=_not_json,
            parse_float=_finite,
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None
    kind = server_kind(document)
    if kind is None:
        raise ValueError("no message, or one that could be two")
    if rb"\ud" in message.lower():
        text = json.dumps(document, ensure_ascii=False)
        document = json.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    return kind, document


def answers(message: bytes) -> bool:
    """Say whether a message that cannot be read may be an answer to somebody."""
    return _ANSWER.search(message) is not None


def named_at_an_end(head: bytes, tail: bytes) -> Id | None:
    """Return the id at the beginning or at the end of an answer that cannot be read."""
    found = _FIRST.match(head) or _LAST.search(tail)
    try:
        asked = json.loads(found[1]) if found else None
    except ValueError:
        return None
    return asked if isinstance(asked, str | int) else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key stands twice")
    return members


def _not_json(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number
