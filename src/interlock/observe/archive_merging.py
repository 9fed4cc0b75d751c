"""What becomes of the archive's rows as entries come: facts that stand are kept. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ..core.records import DecidedCall
from ..noting_entries import TOLD


def merged(
    known: Mapping[str, DecidedCall], entries: Iterable[DecidedCall]
) -> tuple[dict[str, DecidedCall], int]:
    """Return the records that change, by id, and how many entries speak of calls without one.

    *known*: the rows of the calls that *entries* speak of. An entry that says how a call turned
    out, or that its unknown outcome was settled, adds that to the record, and nothing else.
    """
    changed: dict[str, DecidedCall] = {}
    without = 0
    for each in entries:
        before = changed.get(each.id, known.get(each.id))
        if before is None and each.state == TOLD:
            without += 1
            continue
        after = each if before is None else _after(before, each)
        if after is not before:
            changed[each.id] = after
    return changed, without


def _after(before: DecidedCall, entry: DecidedCall) -> DecidedCall:
    if entry.state == TOLD:
        return _telling(before, entry)
    if (entry.version, entry.told) <= (before.version, before.told):
        return before
    if entry.state != "resolved" or before.version == 0:
        return entry
    settled = replace(
        before, version=entry.version, state=entry.state, ended=entry.ended, cause=entry.cause
    )
    return _telling(settled, entry)


def _telling(record: DecidedCall, entry: DecidedCall) -> DecidedCall:
    if entry.told <= record.told:
        return record
    return replace(record, told=entry.told, audit=entry.audit, reports=entry.reports)
