"""What holds for all files of a policy: matrix, levels, defaults, identity.

Where files may differ, the strictest counts, so that their order does not matter and none loosens
another; where that has no meaning, differing is a problem. Files in shadow mode hold nothing: what
they say here counts only where all files are in shadow mode.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import TypeVar

from ..core.decisions import Escalation, Level, PolicyRef, Reversibility, Stake
from ..core.durations import milliseconds
from ..core.rules import Levels, LevelSpec, Matrix, UnknownTool
from .document import MatrixEntry, PresetDocument, UnknownToolEntry
from .document_people import LevelEntry, NotifyEntry
from .positions import load_model
from .problems import Source

T = TypeVar("T")

PRESETS = ("lenient", "standard", "strict")


def matrix(sources: Sequence[Source]) -> Matrix:
    """Return the matrix that the files give, or the standard one."""
    return only(sources, "matrix", _matrix_of) or preset("standard")


def shadow(sources: Sequence[Source]) -> bool:
    """Whether all files only decide and count."""
    return bool(sources) and all(source.shadow for source in sources)


def enforcing(sources: Sequence[Source]) -> Sequence[Source]:
    """Return the files whose settings count: those that are enforced, or all where none is."""
    return [source for source in sources if not source.shadow] or sources


def exception_floor(sources: Sequence[Source]) -> Level:
    """Return the lowest level that an exception or a grant may lower to."""
    written = (source.model.defaults.exception_floor for source in enforcing(sources))
    return max(Level[each.upper()] for each in written)


@cache
def preset(name: str) -> Matrix:
    """Return the matrix of a preset: lenient, standard or strict."""
    file = resources.files("interlock.policies") / "presets" / f"{name}.yaml"
    model, _ = load_model(file.read_bytes(), f"{name}.yaml", PresetDocument)
    return _matrix(model.matrix)


def _matrix(entry: MatrixEntry) -> Matrix:
    rows = []
    for row in Reversibility:
        words: tuple[str, ...] = getattr(entry, row.word)
        low, medium, high, critical = (Level[word.upper()] for word in words)
        rows.append((low, medium, high, critical))
    return tuple(rows)


def only(sources: Sequence[Source], section: str, read: Callable[[Source], T | None]) -> T | None:
    """Return what the files say, where those that speak agree; else leave a problem."""
    found: T | None = None
    by: Source | None = None
    for source in sources:
        value = read(source)
        if value is None:
            continue
        if by is not None and value != found:
            source.refuse(
                (section,), f"`{section}` differs from {by.place((section,))}: keep one of them"
            )
        elif by is None:
            found, by = value, source
    return found


def _matrix_of(source: Source) -> Matrix | None:
    written = source.model.matrix
    if written is None:
        return None
    if isinstance(written, str):
        return preset(written)
    matrix = _matrix(written)
    for row in Reversibility:
        for stake in Stake:
            _check_cell(matrix, row, stake, source)
    return matrix


def levels(sources: Sequence[Source]) -> Levels:
    """Return what holding means; groups and times must be the same wherever they are written."""
    for source in sources:
        if set(source.model.approvals.separation) != {"requester", "agent_owner"}:
            source.refuse(
                ("approvals", "separation"),
                "the requester and the agent's owner never approve: write both or leave it out",
            )
        for name in ("approve", "approve_dual"):
            _check_level(source, name)
    base, heard = Levels(), enforcing(sources)
    reasons = only(heard, "approvals", lambda source: source.model.approvals.require_reason)
    told = only(heard, "levels", _told)
    approve = _level(heard, "approve", base.approve)
    return Levels(
        approve=approve,
        approve_dual=_no_less(_level(heard, "approve_dual", base.approve_dual), approve),
        require_reason=base.require_reason if reasons is None else frozenset(reasons),
        notify=told.to if told else (),
        digest_ms=milliseconds(told.digest) if told and told.digest else 0,
    )


def _no_less(both: LevelSpec, one: LevelSpec) -> LevelSpec:
    """Where a call is raised to two people, each of them looks as one alone would have to."""
    return replace(
        both,
        dwell_ms=max(both.dwell_ms, one.dwell_ms),
        step_up=both.step_up or one.step_up,
        folded=both.folded or one.folded,
    )


def _told(source: Source) -> NotifyEntry | None:
    entry = source.model.levels.notify
    return None if entry == NotifyEntry() else entry


def _level(sources: Sequence[Source], name: str, base: LevelSpec) -> LevelSpec:
    def written(source: Source) -> LevelEntry | None:
        entry: LevelEntry = getattr(source.model.levels, name)
        return None if entry == LevelEntry() else entry

    entry = only(sources, "levels", written) or LevelEntry()
    return LevelSpec(
        approvers=entry.approvers,
        quorum=base.quorum if entry.quorum is None else entry.quorum,
        hold_ms=milliseconds(entry.expire_after) if entry.expire_after else base.hold_ms,
        remind_ms=milliseconds(entry.remind_after) if entry.remind_after else 0,
        escalate=tuple(
            Escalation(after_ms=milliseconds(each.after), to=each.to) for each in entry.escalate
        ),
        dwell_ms=milliseconds(entry.dwell) if entry.dwell else 0,
        step_up=entry.step_up is not None,
        folded=base.folded if entry.fold is None else entry.fold,
    )


def _check_level(source: Source, name: str) -> None:
    entry: LevelEntry = getattr(source.model.levels, name)
    base: LevelSpec = getattr(Levels(), name)
    path = ("levels", name)
    if entry.quorum is not None and entry.quorum < base.quorum:
        source.refuse((*path, "quorum"), f"{name} needs {base.quorum} people")
    hold = milliseconds(entry.expire_after) if entry.expire_after else base.hold_ms
    if entry.remind_after and milliseconds(entry.remind_after) >= hold:
        source.refuse((*path, "remind_after"), "the call has expired by then: remind earlier")
    if entry.escalate and not entry.approvers:
        source.refuse(
            (*path, "escalate"), "every approver may decide already: name `approvers` first"
        )
    before = 0
    for index, step in enumerate(entry.escalate):
        here, after = (*path, "escalate", index, "after"), milliseconds(step.after)
        if after <= before:
            source.refuse(here, f"{step.after} is not later than the step before: list them rising")
        if after >= hold:
            source.refuse(here, f"the call has expired after {step.after}: escalate earlier")
        before = after


def unknown_tool(sources: Sequence[Source]) -> UnknownTool:
    written = [
        source.model.defaults.unknown_tool
        for source in enforcing(sources)
        if source.model.defaults.unknown_tool
    ] or [UnknownToolEntry()]
    return UnknownTool(
        stake=max(Stake[each.stake.upper()] for each in written),
        reversibility=max(Reversibility[each.reversibility.upper()] for each in written),
        level=max(Level[each.level.upper()] for each in written),
    )


def reference(sources: Sequence[Source]) -> PolicyRef:
    hashed = hashlib.sha256(b"interlock-policy-1")
    for source in sources:
        hashed.update(len(source.raw).to_bytes(8, "big"))
        hashed.update(source.raw)
    return PolicyRef(
        name="+".join(source.name for source in sources),
        version=max((source.model.metadata.version for source in sources), default=0),
        sha256=hashed.hexdigest(),
    )


def _check_cell(matrix: Matrix, row: Reversibility, stake: Stake, source: Source) -> None:
    cell = matrix[row][stake]
    beside = matrix[row][stake - 1] if stake else Level.ALLOW
    above = matrix[row - 1][stake] if row else Level.ALLOW
    if cell < max(beside, above):
        source.refuse(
            ("matrix", row.word, int(stake)),
            f"oversight falls: {row.word} x {stake.word} is {cell.word}, but its neighbour to the "
            f"left or above is {max(beside, above).word}",
        )
