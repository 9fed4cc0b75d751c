"""Who has to be told that a message cannot be taken, as far as that can be read. Pure."""

from __future__ import annotations

import json

from ...lines import Long

Id = str | int


def addressed(line: bytes) -> tuple[Id | None, bool]:
    """Return the id of a message that is not valid, and whether anybody waits for an answer."""
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return None, True
    if not isinstance(document, dict):
        return None, True
    given = document.get("id")
    usable = isinstance(given, str | int) and not isinstance(given, bool)
    is_response = "method" not in document and ("result" in document or "error" in document)
    return (given if usable else None), "id" in document and not is_response


def id_at_an_end(line: Long) -> Id | None:
    """Return the id that stands at the beginning of a message that was too long to keep."""
    head = line.head.decode("utf-8", "replace")
    at = head.find('"id"')
    if at < 0 or at > head.find('"params"') >= 0:
        return None
    try:
        given, _ = json.JSONDecoder().raw_decode(head[at + 4 :].lstrip(" :"))
    except ValueError:
        return None
    return given if isinstance(given, str | int) and not isinstance(given, bool) else None
