"""A record as a line of a corpus: the call, who made it, and what was known of the past."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ...core.records import DecidedCall

EXCEEDED = 1_000_000_000.0  #: how much of a limit was used where it was exceeded: by how much is
#: on record for the store's own keys only
_CAPS = {"open_per_session": "open_in_session", "per_agent_per_hour": "holds_in_hour"}
_SESSION = ("untrusted_content", "sensitive_data", "points", "writes", "calls")


def moment(ms: int) -> str:
    """Return a time as suites and corpora write it."""
    at = datetime.fromtimestamp(ms // 1000, UTC)
    return at.isoformat().replace("+00:00", "Z")


def agent(record: DecidedCall) -> dict[str, Any]:
    """Return who made the call, and how sure they were."""
    said: dict[str, Any] = {"id": record.agent}
    if record.owner:
        said["owner"] = record.owner
    if record.confidence is not None:
        said["confidence"] = record.confidence
    return said


def facts(record: DecidedCall) -> dict[str, Any]:
    """Return what was known of the past, without what is as usual."""
    known = _read(record.facts)
    if not known.keys() - {"calibrated"}:  # not asked for, or lost: what fired says which
        asked = record.limits or {"novelty", "session_risk"} & set(record.signals)
        return {"unknown": True} if asked else _calibrated(record)
    said = _calibrated(record)
    if known.get("familiar") is False:
        said["familiar"] = False
    if known.get("refused"):
        said["refused"] = True
    said |= _exceeded(record)
    if known.get("grant"):
        said["grant"] = True
    session = known.get("session")
    if isinstance(session, Mapping):
        kept = {name: session[name] for name in _SESSION if session.get(name)}
        said |= {"session": kept} if kept else {}
    return said


def _calibrated(record: DecidedCall) -> dict[str, Any]:
    return {} if record.calibrated is None else {"calibrated": record.calibrated}


def _exceeded(record: DecidedCall) -> dict[str, Any]:
    said: dict[str, Any] = {
        field: int(EXCEEDED) for cap, field in _CAPS.items() if cap in record.limits
    }
    used = {limit: EXCEEDED for limit in record.limits if limit not in _CAPS}
    return said | ({"used": used} if used else {})


def _read(packed: Mapping[str, Any]) -> Mapping[str, Any]:
    text = packed.get("json")
    if not isinstance(text, str):
        return packed
    try:
        read = json.loads(text)
    except ValueError:
        return {}
    return read if isinstance(read, Mapping) else {}
