"""What keeps people's decisions sound: caps, remembered refusals, grants, edits, redaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..core.decisions import Level
from ..core.durations import milliseconds
from ..core.rules import Caps, Condition, Environment, GrantSpec, Must, Redact, RepeatDenied
from .catalogue import Entry, missing
from .expression_types import Shape, merged
from .limits import LONGEST_MS, duration
from .problems import Source
from .selection import Path, Selection, arguments_of
from .settings import enforcing, exception_floor

MINUTE_MS = 60_000
_HEADERS = "request.headers."


def caps(sources: Sequence[Source]) -> Caps:
    """Return the lowest of each."""
    written = [source.model.approvals.caps for source in enforcing(sources)]
    return Caps(
        open_per_session=_lowest([each.open_per_session for each in written]),
        per_agent_per_hour=_lowest([each.per_agent_per_hour for each in written]),
    )


def _lowest(numbers: Sequence[int | None]) -> int | None:
    return min((each for each in numbers if each is not None), default=None)


def repeat_denied(sources: Sequence[Source]) -> RepeatDenied | None:
    """Return the longest memory of refusals, and the highest level that one raises to."""
    for source in sources:
        if entry := source.model.approvals.repeat_denied:
            path = ("approvals", "repeat_denied", "same_call_within")
            duration(entry.same_call_within, source, path, 1000, LONGEST_MS)
    written = [
        each.model.approvals.repeat_denied
        for each in enforcing(sources)
        if each.model.approvals.repeat_denied
    ]
    if not written:
        return None
    return RepeatDenied(
        within_ms=max(milliseconds(each.same_call_within) for each in written),
        then=max(Level[each.then.upper()] for each in written),
    )


def grants(sources: Sequence[Source], selection: Selection) -> Mapping[str, GrantSpec]:
    """Return what may be granted, by tool: the narrowest where several files say something.

    A file in shadow mode says nothing about the tools of files that are enforced.
    """
    found: dict[str, GrantSpec] = {}
    floor = exception_floor(sources)
    heard = enforcing(sources)
    for source in sources:
        for index, entry in enumerate(source.model.approvals.grants):
            path: Path = ("approvals", "grants", index)
            tools = selection.named(source, path, entry.tools)
            spec = GrantSpec(
                at_most=Level[entry.at_most.upper()],
                longest_ms=duration(
                    entry.longest, source, (*path, "longest"), MINUTE_MS, LONGEST_MS
                ),
                uses=entry.uses,
            )
            if spec.at_most < floor:
                source.refuse((*path, "at_most"), f"the floor of grants is {floor.word} (defaults)")
            for name in tools:
                if source in heard or selection.entries[name].tool.shadow:
                    found[name] = _narrowest(found.get(name, spec), spec)
    return found


def _narrowest(one: GrantSpec, other: GrantSpec) -> GrantSpec:
    return GrantSpec(
        at_most=max(one.at_most, other.at_most),
        longest_ms=min(one.longest_ms, other.longest_ms),
        uses=min(one.uses, other.uses),
    )


def musts(source: Source, entries: Mapping[str, Entry]) -> Mapping[str, tuple[Must, ...]]:
    """Return what edits have to keep to, by tool of this file: for tools that have the field."""
    mine = {
        name: entry
        for name, entry in entries.items()
        if entry.source is source and entry.tool.editable != ()
    }
    # What a tool that does not compile has, nobody knows: nothing is missing for certain.
    broken = any(
        tool.id not in entries or entries[tool.id].source is not source
        for tool in source.model.tools
    )
    found: dict[str, tuple[Must, ...]] = {}
    for index, text in enumerate(source.model.edit.must):
        path: Path = ("edit", "must", index)
        fields = arguments_of(text, "edited.args") | arguments_of(text, "original.args")
        having = {n: e for n, e in mine.items() if _has(e.shape, fields)}
        known = {} if broken else having or mine
        shape = merged(entry.shape for entry in known.values())
        condition = source.edit_condition(path, text, shape)
        if condition is None:
            continue
        if not fields:
            source.refuse(path, "it is about no argument: compare edited.args.NAME with something")
        elif not having and not broken:
            source.refuse(path, f"no tool of this file that may be edited has {_listed(fields)}")
        for name in having:
            found[name] = (*found.get(name, ()), Must(shown=text, holds=_where(fields, condition)))
    return found


def _has(shape: Shape, fields: frozenset[str]) -> bool:
    return shape.fields is None or any(not missing(name, shape) for name in fields)


def _listed(fields: frozenset[str]) -> str:
    return ", ".join(f"args.{name}" for name in sorted(fields))


def _where(fields: frozenset[str], condition: Condition) -> Condition:
    """Heed *condition* where the call has one of *fields*, before or after the edit."""

    def holds(seen: Environment) -> bool:
        before, after = seen["original"]["args"], seen["edited"]["args"]
        if not any(name in before or name in after for name in fields):
            return True
        return condition(seen)

    return holds


def redact(sources: Sequence[Source], selection: Selection) -> Redact:
    """Return all that any file wants to be hidden."""
    approver: dict[str, None] = {}
    logs: dict[str, None] = {}
    detectors: set[str] = set()
    for source in sources:
        written = source.model.redact
        for index, name in enumerate(written.approver):
            _check_hidden(name, source, ("redact", "approver", index), selection)
            approver[name] = None
        for index, name in enumerate(written.logs):
            lowered = name.lower() if name.startswith(_HEADERS) else name
            _check_log(lowered, source, ("redact", "logs", index), selection)
            logs[lowered] = None
        detectors |= set(written.detectors)
    return Redact(approver=tuple(approver), logs=tuple(logs), detectors=frozenset(detectors))


def _check_log(name: str, source: Source, path: Path, selection: Selection) -> None:
    if not name.startswith(_HEADERS):
        _check_hidden(name, source, path, selection)
    elif name == _HEADERS:
        source.refuse(path, "name the header, as in request.headers.authorization")


def _check_hidden(name: str, source: Source, path: Path, selection: Selection) -> None:
    argument = name.removeprefix("args.")
    if argument == name or not argument:
        also = " or request.headers.NAME" if path[1] == "logs" else ""
        source.refuse(path, f"{name!r} is not an argument: write args.NAME{also}")
        return
    if unknown := selection.unknown(argument, frozenset(selection.entries)):
        source.refuse(path, f"no tool has an argument {unknown}")
