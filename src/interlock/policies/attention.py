"""How people's attention is spent: looks, signatures, batches, digests, practice, reasons."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from ..core.decisions import Stake
from ..core.durations import milliseconds
from ..core.rules import Attention, Levels, LevelSpec, PolicySet
from .document_people import Approvals, LevelEntry
from .limits import duration
from .problems import Source
from .selection import Path
from .settings import enforcing

T = TypeVar("T")
LONGEST_DWELL_MS = 600_000
DIGEST_MS = (60_000, 86_400_000)
_CODE = re.compile(r"[a-z0-9_]{1,40}\Z", re.ASCII)
_APPROVALS = "approvals"


def attention(sources: Sequence[Source]) -> Attention:
    """Return how attention is spent; what several files say of it must be the same."""
    for source in sources:
        _check_levels(source)
        _check_codes(source)
    batch = _same(sources, "batch", lambda written: written.batch)
    decoys = _same(sources, "decoys", lambda written: written.decoys)
    reasons = _same(sources, "reasons", lambda written: written.reasons) or {}
    return Attention(
        batch=Stake[batch.up_to.upper()] if batch else None,
        per_hour=_same(sources, "per_hour", lambda written: written.per_hour) or 0,
        rotate=bool(_same(sources, "rotate", lambda written: written.rotate)),
        decoys=decoys.share if decoys else 0.0,
        reasons=tuple(reasons.items()),
    )


def _same(sources: Sequence[Source], key: str, read: Callable[[Approvals], T | None]) -> T | None:
    """Return what the files that count say, where those that speak agree; else leave a problem."""
    found: T | None = None
    by: Source | None = None
    for source in enforcing(sources):
        value = read(source.model.approvals)
        if value is None:
            continue
        if by is None:
            found, by = value, source
        elif value != found:
            place = by.place((_APPROVALS, key))
            source.refuse((_APPROVALS, key), f"`{key}` differs from {place}: keep one of them")
    return found


def _check_codes(source: Source) -> None:
    for code in source.model.approvals.reasons or {}:
        if not _CODE.match(code):
            source.refuse(
                (_APPROVALS, "reasons", code),
                f"{code!r} is no code: write a-z, 0-9 and _ (at most 40), as in wrong_amount",
                at_key=True,
            )


# ---- levels ----------------------------------------------------------------------------------


def _check_levels(source: Source) -> None:
    written = source.model.levels
    if written.notify.digest:
        path: Path = ("levels", "notify", "digest")
        duration(written.notify.digest, source, path, *DIGEST_MS)
    _check_dwell(source, "approve", written.approve)
    _check_dwell(source, "approve_dual", written.approve_dual)
    _check_rising(source, written.approve, written.approve_dual)


def _check_dwell(source: Source, name: str, entry: LevelEntry) -> None:
    if entry.dwell is None:
        return
    path: Path = ("levels", name, "dwell")
    base: LevelSpec = getattr(Levels(), name)
    dwell = duration(entry.dwell, source, path, 1000, LONGEST_DWELL_MS)
    hold = milliseconds(entry.expire_after) if entry.expire_after else base.hold_ms
    if dwell >= hold:
        after = entry.expire_after or f"{base.hold_ms // 3_600_000}h, where nothing is said,"
        source.refuse(
            path,
            f"dwell asks for {entry.dwell} in sight, and the call expires after {after} before that"
            " can be: shorten `dwell`, or lengthen `expire_after`",
        )


def _check_rising(source: Source, one: LevelEntry, both: LevelEntry) -> None:
    """Refuse to ask less of a call where policy asks for more people."""
    path: Path = ("levels", "approve_dual")
    if one.dwell and both.dwell and milliseconds(both.dwell) < milliseconds(one.dwell):
        source.refuse(
            (*path, "dwell"),
            f"approve asks for {one.dwell}, and approve_dual for no less: write as much, or leave"
            " it out",
        )
    if one.fold and both.fold is False:
        source.refuse(
            (*path, "fold"), "approve folds already, and approve_dual does no less: leave it out"
        )


# ---- batches ---------------------------------------------------------------------------------


def check_batch(sources: Sequence[Source], policy: PolicySet) -> None:
    """Refuse a batch that no call is ever in: what `approve` asks for needs a look at each."""
    spec = policy.levels.approve
    asked = (
        (spec.dwell_ms, "`dwell`"),
        (spec.step_up, "`step_up`"),
        (spec.folded, "`fold`"),
        (spec.quorum > 1, "a `quorum` above 1"),
    )
    why = [name for holds, name in asked if holds]
    if policy.attention.batch is None or not why:
        return
    for source in enforcing(sources):
        if source.model.approvals.batch is not None:
            source.refuse(
                (_APPROVALS, "batch"),
                f"no call is ever approved in a batch: levels.approve has {' and '.join(why)};"
                " take one or the other out",
            )
