"""Signals that raise: confidence, novelty, the risk of a session; merged so that none loosens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..core.decisions import Stake
from ..core.durations import milliseconds
from ..core.rules import Confidence, Novelty, SessionRisk
from .document import SessionRiskEntry, Signals
from .limits import LONGEST_MS, check_key, duration
from .problems import Source
from .selection import Selection
from .settings import enforcing, only

T = TypeVar("T")

MINUTE_MS = 60_000
LONGEST_MEMORY_MS = 366 * 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionState:
    """What one session is (`session` or `agent`), and how long its state is kept."""

    scope: str = "session"
    memory_ms: int = 86_400_000


def _heard(sources: Sequence[Source], read: Callable[[Signals], T | None]) -> list[T]:
    """Return what the files that enforce say of one signal."""
    said = [read(each.model.signals) for each in enforcing(sources)]
    return [each for each in said if each is not None]


def confidence(sources: Sequence[Source]) -> Confidence | None:
    """Return the strictest of all: no file can loosen another's signal."""
    for source in sources:
        _check_thresholds(source)
    written = _heard(sources, lambda signals: signals.confidence)
    if not written:
        return None
    low, medium, high, critical = (
        max(getattr(each.raise_below, stake.word) for each in written) for stake in Stake
    )
    return Confidence(
        missing=min(each.missing for each in written),
        raise_below=(low, medium, high, critical),
        # The lower of two numbers counts then, so that it never loosens.
        use="calibrated" if any(each.use == "calibrated" for each in written) else "claimed",
    )


def _check_thresholds(source: Source) -> None:
    confidence = source.model.signals.confidence
    if confidence is None:
        return
    for stake in list(Stake)[1:]:
        before = getattr(confidence.raise_below, Stake(stake - 1).word)
        if getattr(confidence.raise_below, stake.word) < before:
            source.refuse(
                ("signals", "confidence", "raise_below", stake.word),
                f"the threshold falls below {before:g} as the stake rises",
            )


def novelty(sources: Sequence[Source], selection: Selection) -> Novelty | None:
    """Return the strictest: the shortest memory and the most steps; the key must be one."""
    everything = frozenset(selection.entries)
    for source in sources:
        if entry := source.model.signals.novelty:
            path = ("signals", "novelty")
            check_key(entry.key, source, (*path, "key"), selection, everything)
            duration(entry.memory, source, (*path, "memory"), MINUTE_MS, LONGEST_MEMORY_MS)
            if not entry.key:
                source.refuse((*path, "key"), "what is new? Name at least one of agent.id, target")
    written = _heard(sources, lambda signals: signals.novelty)
    if not written:
        return None

    def key(source: Source) -> tuple[str, ...] | None:
        entry = source.model.signals.novelty
        return entry.key if entry else None

    return Novelty(
        key=only(enforcing(sources), "signals", key) or Novelty().key,
        memory_ms=min(milliseconds(each.memory) for each in written),
        steps=max(each.raise_ for each in written),
    )


def session_risk(sources: Sequence[Source]) -> SessionRisk | None:
    """Return the strictest: the most points, the slowest decay, the most steps at each point."""
    for source in sources:
        if entry := source.model.signals.session_risk:
            _check_risk(entry, source)
    written = _heard(sources, lambda signals: signals.session_risk)
    if not written:
        return None
    low, medium, high, critical = (
        max(getattr(each.points, stake.word) for each in written) for stake in Stake
    )
    return SessionRisk(
        points=(low, medium, high, critical),
        half_life_ms=max(milliseconds(each.half_life) for each in written),
        raise_at=_raise_at(written),
    )


def _raise_at(written: Sequence[SessionRiskEntry]) -> tuple[tuple[float, int], ...]:
    joined: list[tuple[float, int]] = []
    for points, steps in sorted((a.points, a.raise_) for each in written for a in each.raise_at):
        if not joined or steps > joined[-1][1]:
            joined = [each for each in joined if each[0] != points] + [(points, steps)]
    return tuple(joined)


def _check_risk(entry: SessionRiskEntry, source: Source) -> None:
    path = ("signals", "session_risk")
    duration(entry.half_life, source, (*path, "half_life"), 1000, LONGEST_MS)
    for stake in list(Stake)[1:]:
        before = getattr(entry.points, Stake(stake - 1).word)
        if getattr(entry.points, stake.word) < before:
            source.refuse(
                (*path, "points", stake.word), f"the points fall below {before} as the stake rises"
            )
    for index, at in enumerate(entry.raise_at[1:], 1):
        before_at = entry.raise_at[index - 1]
        if at.points <= before_at.points or at.raise_ <= before_at.raise_:
            source.refuse(
                (*path, "raise_at", index),
                f"points and raise must be above those before ({before_at.points:g}, "
                f"{before_at.raise_})",
            )


def session(sources: Sequence[Source]) -> SessionState:
    """Return the strictest: one session for an agent where a file says so, the longest memory."""
    found, base = [], SessionState()
    for source in sources:
        if memory := source.model.signals.session.memory:
            path = ("signals", "session", "memory")
            duration(memory, source, path, MINUTE_MS, LONGEST_MS)
    heard = [each.model.signals.session for each in enforcing(sources)]
    found = [milliseconds(each.memory) for each in heard if each.memory]
    return SessionState(
        scope="agent" if any(each.scope == "agent" for each in heard) else base.scope,
        memory_ms=max(found, default=base.memory_ms),
    )
