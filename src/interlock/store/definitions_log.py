"""What the log says of tools that servers list, and of who accepted them."""

from __future__ import annotations

import logging

from ..core.listings import FIRST_USE, Changes, ToolRecord
from ..core.redaction import visible_line

log = logging.getLogger("interlock.definitions")

_NAMED = 8  #: tools that a line of the log names


def tell(server: str, changes: Changes) -> None:
    """Say which tools wait to be accepted."""
    waits = sorted(name for name, record in changes.kept.items() if record.waits)
    if waits:
        names = ", ".join(visible_line(name) for name in waits[:_NAMED])
        more = f" and {len(waits) - _NAMED} more" if len(waits) > _NAMED else ""
        log.warning("%s lists tools that wait to be accepted: %s%s", server, names, more)


def tell_first_use(server: str, changes: Changes) -> None:
    """Say how many tools the first listing of *server* has made accepted."""
    marks = [each.accepted.by for each in changes.kept.values() if each.accepted]
    count = marks.count(FIRST_USE)
    if count:
        log.warning("definitions of %s accepted by=%s tools=%d", server, FIRST_USE, count)


def tell_accepted(record: ToolRecord, by: str) -> None:
    """Say who accepted what."""
    said = (record.server, record.tool, by)
    log.warning(
        "definition of %s %s accepted by=%s hash=%s",
        *map(visible_line, said),
        record.listed.hash,
    )
