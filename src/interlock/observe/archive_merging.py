"""What becomes of the archive's rows as entries come: facts that stand are kept. Pure.

Every entry is genuine, and may still be of a past that somebody put back into the store: how a call
ended is written once, and what was said of it afterwards is added to, never taken away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ..core.actions import State
from ..core.lifecycle import FINAL, SETTLING
from ..core.records import DecidedCall
from ..core.reporting import together
from ..noting_entries import TOLD

_UNKNOWN = State.UNKNOWN.value
_FINAL = frozenset(each.value for each in FINAL)
_SETTLING = frozenset(each.value for each in SETTLING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What entries make of the records that are known."""

    changed: Mapping[str, DecidedCall]  #: by id
    without: int  #: entries that speak of calls without a record
    contrary: tuple[str, ...]  #: calls of which an entry says what cannot be, one for each entry


def merged(known: Mapping[str, DecidedCall], entries: Iterable[DecidedCall]) -> Merged:
    """Return what *entries* change. *known*: the rows of the calls that they speak of.

    A record of a call that has ended for good is replaced by none: an entry adds how the call
    turned out, or that its unknown outcome was settled, and nothing else.
    """
    changed: dict[str, DecidedCall] = {}
    without, contrary = 0, []
    for each in entries:
        before = changed.get(each.id, known.get(each.id))
        if before is None and each.state == TOLD:
            without += 1
            continue
        after = each if before is None else _telling(_after(before, each), each)
        if after != before:
            changed[each.id] = after
        if before is not None and (_ended_otherwise(before, each) or _told_otherwise(before, each)):
            contrary.append(each.id)
    return Merged(changed=changed, without=without, contrary=tuple(contrary))


def _after(before: DecidedCall, entry: DecidedCall) -> DecidedCall:
    """Return how the call ended, with what was told of it *before*."""
    if entry.state == TOLD or entry.version <= before.version:
        return before
    if before.version == 0:  # the store's word alone
        return replace(entry, told=before.told, audit=before.audit, reports=before.reports)
    if before.state != _UNKNOWN or entry.state not in _SETTLING:
        return before
    return replace(
        before,
        version=entry.version,
        state=entry.state,
        ended=entry.ended,
        cause=entry.cause,
        status=entry.status,
    )


def _telling(record: DecidedCall, entry: DecidedCall) -> DecidedCall:
    """Add what *entry* tells: a verdict stands once it is there, of each reporter the latest word.

    The number may have been set back with the call: it says nothing of what is more.
    """
    return replace(
        record,
        told=max(record.told, entry.told),
        audit=record.audit or entry.audit,
        reports=together(record.reports, entry.reports),
    )


def _ended_otherwise(before: DecidedCall, entry: DecidedCall) -> bool:
    """Say whether *entry* has the call end again, after it had ended for good."""
    if before.version == 0 or entry.version == 0 or entry.state == TOLD:
        return False
    if before.state == _UNKNOWN:
        return entry.version > before.version and entry.state not in _SETTLING
    if entry.state == _UNKNOWN:
        return entry.version > before.version
    same = (entry.version, entry.state) == (before.version, before.state)
    return before.state in _FINAL and not same


def _told_otherwise(before: DecidedCall, entry: DecidedCall) -> bool:
    """Say whether *entry* was made by somebody who did not know what was told *before*."""
    if entry.told > before.told:
        return before.audit is not None and entry.audit != before.audit
    after = _telling(before, entry)
    return (after.audit, after.reports) != (before.audit, before.reports)
