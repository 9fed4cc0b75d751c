"""Which calls are good examples, which are bad ones, and where people agreed."""

from __future__ import annotations

from ...core.records import DecidedCall, Turned, label_of
from .messages import alike

_LAPSED = frozenset({"expired", "cancelled"})


def right(record: DecidedCall) -> bool | None:
    """Say whether the proposed call was right; None: nobody knows."""
    label = label_of(record)
    return None if label is None else label.right


def lapsed(record: DecidedCall) -> bool:
    """Say whether it ended before people had decided it; enough approvals count, sent or not."""
    return record.state in _LAPSED and record.verdict != "approve"


def wrong_later(record: DecidedCall) -> bool:
    """Say whether whoever judged its audit, or anybody else, found it wrong afterwards."""
    audited = record.audit is not None and record.audit.turned is Turned.WRONG
    return audited or any(each.turned is Turned.WRONG for each in record.reports)


def corrected(record: DecidedCall) -> bool:
    """Say whether people edited the call, and nobody found the edited one wrong."""
    return record.verdict == "edit" and record.final is not None and not wrong_later(record)


def agreed(record: DecidedCall) -> bool:
    """Say whether two people or more judged it, and all of them the same way.

    An edit counts as letting it pass: whoever approved the edited call agreed to it.
    """
    sides: dict[str, set[bool]] = {}
    for said in record.reviews:
        sides.setdefault(said.who, set()).add(said.verdict in ("approve", "edit"))
    if record.audit is not None:
        sides.setdefault(record.audit.who, set()).add(record.audit.turned is Turned.RIGHT)
    for report in record.reports:
        if report.by != "agent":
            sides.setdefault(report.by, set()).add(report.turned is Turned.RIGHT)
    return len(sides) > 1 and len(set[bool]().union(*sides.values())) == 1


def useless(record: DecidedCall) -> str:
    """Return why nobody trains on a record that nothing else keeps from it."""
    if record.verdict == "respond":
        return "answered in the tool's place"
    if record.verdict == "edit":
        if wrong_later(record):
            return "edited, but found wrong later"
        same = "edited, and then as models write it the same again"
        return same if alike(record) else "edited: no use for it"
    if not record.request:
        return "its request is not on record"
    if right(record) is None:
        return "no label: nobody said enough of it"
    return "not edited: there is no better call" if right(record) else "not right: no good example"
