"""Who is stopped: one hash, {p}:stopped, that put.lua looks into at every way to a send.

A field is an agent's id, or `-` for all of them; its value is JSON: by, reason, at (ms).
"""

from __future__ import annotations

import json

from ..core.desk import Suspension
from .codec import DAMAGED


def stopped_key(prefix: str) -> str:
    """Return the hash's key; *prefix* with its braces."""
    return f"{prefix}:stopped"


def suspension(agent: str, text: bytes) -> Suspension:
    """Read the field of *agent*. What cannot be read stops it just as well."""
    try:
        said = json.loads(text)
        by, reason, at = str(said["by"]), str(said["reason"]), int(said["at"])
    except DAMAGED:
        by, reason, at = "", "", 0
    return Suspension(agent=agent, by=by, reason=reason, at=at)
