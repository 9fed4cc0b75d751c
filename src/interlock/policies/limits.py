"""Limits: how much may happen within a window, compiled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..core.decisions import Level
from ..core.durations import milliseconds
from ..core.durations import written as shown
from ..core.facts import MILLION
from ..core.rules import Limit, Value
from .document import LimitEntry
from .expressions import asks
from .positions import suggestion
from .problems import Source
from .selection import Path, Selection, arguments_of

KEYS = ("agent.id", "agent.owner", "session.id", "tool", "target")
SHORTEST_MS = 1000
LONGEST_MS = 90 * 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limited:
    """A limit, the tools that it counts, and what it must know of the past beside its counter."""

    limit: Limit
    tools: frozenset[str]
    everything: bool  #: unknown tools too
    asks: frozenset[str]


def compile_limits(source: Source, selection: Selection) -> Iterator[Limited]:
    """Yield the limits of one file; what is wrong with them is left in *source*."""
    for index, entry in enumerate(source.model.limits):
        path: Path = ("limits", index)
        tools = selection.named(source, path, entry.tools)
        check_key(entry.key, source, (*path, "key"), selection, tools)
        window = duration(entry.window, source, (*path, "window"), SHORTEST_MS, LONGEST_MS)
        maximum = _maximum(entry, source, path)
        value = _value(entry, source, path, selection, tools)
        yield Limited(
            limit=Limit(
                id=entry.id,
                description=entry.description,
                key=entry.key,
                window_ms=window,
                value=value,
                maximum=maximum,
                then=Level[entry.then.upper()],
                shadow=entry.mode == "shadow" or source.shadow,
            ),
            tools=tools,
            everything="*" in entry.tools,
            asks=frozenset() if entry.sum is None or value is None else asks(entry.sum),
        )


def _maximum(entry: LimitEntry, source: Source, path: Path) -> int:
    if entry.count is not None:
        if entry.sum is not None or entry.max is not None:
            source.refuse((*path, "count"), "count calls, or sum something up to `max`: not both")
        return entry.count * MILLION
    if entry.sum is None and entry.max is None:
        source.refuse(path, f"limit {entry.id!r} limits nothing: add `count`, or `sum` and `max`")
    elif entry.max is None:
        source.refuse((*path, "sum"), "a sum needs `max`: how much is too much?")
    elif entry.sum is None:
        source.refuse((*path, "max"), "`max` of what? Add `sum`, or write `count` to count calls")
    return round((entry.max or 0) * MILLION)


def _value(
    entry: LimitEntry, source: Source, path: Path, selection: Selection, tools: frozenset[str]
) -> Value | None:
    if entry.sum is None:
        return None
    value = source.value((*path, "sum"), entry.sum, selection.shape(tools))
    if value is None:
        return None
    if lacking := selection.lacking(sorted(arguments_of(entry.sum)), tools):
        source.refuse((*path, "sum"), f"its calls could never be summed: {lacking}")
    return value


def check_key(
    key: tuple[str, ...],
    source: Source,
    path: Path,
    selection: Selection,
    tools: frozenset[str],
) -> None:
    """Refuse paths that name nothing; an argument that a call has not is null in its key."""
    for index, part in enumerate(key):
        here = (*path, index)
        name = part.removeprefix("args.")
        if part in key[:index]:
            source.refuse(here, f"{part!r} is already in the key")
        elif part in KEYS:
            continue
        elif name == part or not name:
            hint = suggestion(part, KEYS) or f"; known: {', '.join(KEYS)}, args.NAME"
            source.refuse(here, f"unknown part of a key {part!r}{hint}")
        elif unknown := selection.unknown(name, tools):
            source.refuse(here, f"none of its tools has an argument {unknown}")


def duration(written: str, source: Source, path: Path, shortest_ms: int, longest_ms: int) -> int:
    """Return a duration in milliseconds; one out of bounds is a problem."""
    found = milliseconds(written)
    if found < shortest_ms:
        source.refuse(path, f"{written} is too short: at least {shown(shortest_ms)}")
    elif found > longest_ms:
        source.refuse(path, f"{written} is too long: at most {shown(longest_ms)}")
    return found
