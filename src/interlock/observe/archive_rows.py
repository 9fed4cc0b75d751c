"""Decided calls as rows of the archive: what is asked of many, in columns; the rest, packed.

Figures that one record alone decides are worked out here, once, when it is taken in; SQL only adds
them up. `FORMAT` changes with them: an archive of an older format is worked out anew.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

from ..core.analytics import (
    LEAST_LOOK_MS,
    READ_BYTES_PER_SECOND,
    came_of,
    found_wrong,
    overturned,
    went,
)
from ..core.records import DecidedCall, Said, label_of, pack, unpack

FORMAT = 3

SAID = (
    "STRUCT(who VARCHAR, verdict VARCHAR, given BIGINT, looked BIGINT, fast BOOLEAN,"
    " shared BOOLEAN, agreed BOOLEAN, reason VARCHAR)[]"
)
COLUMNS = {
    "id": "VARCHAR",
    "version": "INTEGER",
    "told": "INTEGER",
    "ended": "BIGINT",
    "agent": "VARCHAR",
    "tool": "VARCHAR",
    "level": "VARCHAR",
    "rules": "VARCHAR[]",
    "held": "BOOLEAN",
    "outcome": "VARCHAR",  #: of a held call, see `came_of`; empty: something else, or not held
    "denied": "BOOLEAN",
    "wrong": "BOOLEAN",
    "overturned": "BOOLEAN",  #: people say that it was wrong
    "unreviewed": "BOOLEAN",  #: it went through, and nobody was asked
    "drawn": "BOOLEAN",
    "audited": "BOOLEAN",
    "rightly": "BOOLEAN",  #: its label; NULL: it has none
    "weight": "DOUBLE",
    "confidence": "DOUBLE",
    "calibrated": "DOUBLE",
    "bin": "TINYINT",
    "first_look": "BIGINT",
    "to_decide": "BIGINT",
    "edited": "VARCHAR[]",
    "people": "VARCHAR[]",
    "said": SAID,
    "short": "BOOLEAN",
    "bytes": "INTEGER",  #: of `packed`
    "packed": "VARCHAR",
}
ID, SHORT, BYTES = (list(COLUMNS).index(name) for name in ("id", "short", "bytes"))
Row = tuple[Any, ...]
BINS = tuple(each / 10 for each in range(1, 10))  #: inner bounds of the reliability diagram
_KNOWN = frozenset(each.name for each in fields(DecidedCall))


def columns_of(records: Iterable[DecidedCall]) -> list[list[Any]]:
    """Return *records* column by column, in the order of `COLUMNS`."""
    return by_column([row_of(each) for each in records])


def by_column(rows: Sequence[Row]) -> list[list[Any]]:
    """Return *rows* column by column."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else []


def unpacked(text: str) -> DecidedCall:
    """Return the record whose `packed` column is *text*; raises as `records.unpack`.

    What an earlier version said of a call, and this one does not know, is left out.
    """
    said = json.loads(text)
    return unpack({name: each for name, each in said.items() if name in _KNOWN})


def row_of(record: DecidedCall) -> Row:
    """Return *record* as a row, in the order of `COLUMNS`."""
    label = label_of(record)
    packed = json.dumps(pack(record), separators=(",", ":"))
    return (
        record.id,
        record.version,
        record.told,
        record.ended,
        shown(record.agent),
        shown(record.tool),
        record.level,
        sorted({shown(each) for each in record.rules}),
        record.held,
        came_of(record) if record.held else "",
        record.state == "denied",
        found_wrong(record),
        overturned(record),
        record.level in ("allow", "notify") and went(record),
        record.drawn,
        record.audit is not None,
        label.right if label else None,
        label.weight if label else None,
        record.confidence,
        record.calibrated,
        None if record.confidence is None else bisect_right(BINS, record.confidence),
        _first_look(record),
        max(record.decided - record.created, 0) if record.held and record.reviews else None,
        sorted({shown(each) for each in record.edited}),
        sorted({each.who for each in record.reviews}),
        [_said(each, record) for each in record.reviews],
        record.short,
        len(packed),  # ASCII
        packed,
    )


def _said(said: Said, record: DecidedCall) -> dict[str, Any]:
    others = [each for each in record.reviews if each.who != said.who]
    return {
        "who": said.who,
        "verdict": said.verdict,
        "given": said.at,
        "looked": said.looked_ms,
        "fast": _fast(said.looked_ms, record.size),
        "shared": bool(others),
        "agreed": bool(others) and all(each.verdict == said.verdict for each in others),
        "reason": shown(said.reason_code),
    }


def _fast(looked_ms: int, size: int) -> bool:
    return looked_ms < LEAST_LOOK_MS or looked_ms * READ_BYTES_PER_SECOND < size * 1000


def _first_look(record: DecidedCall) -> int | None:
    seen = [each.at - each.looked_ms for each in record.reviews if each.looked_ms]
    return max(min(seen) - record.created, 0) if record.held and seen else None


def shown(text: str) -> str:
    """Return *text* as a column can hold it: a lone half of a character becomes `?`."""
    return text.encode("utf-8", "replace").decode()
