"""Whether `undo` names a call that can be made: the tool, and where its arguments come from."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.durations import milliseconds
from ..core.patterns import HttpMatch
from ..core.rules import Tool
from ..core.undo_values import source_of
from ..core.undoing import REMEMBERED_MS, needed, obstacle
from .catalogue import Entry, missing
from .positions import suggestion
from .problems import Source
from .selection import Path


def check_undo(entries: Mapping[str, Entry], known: frozenset[str]) -> None:
    """Leave a problem for each `undo` that names no tool of *known*, or a call that cannot be."""
    for entry in entries.values():
        undo = entry.tool.undo
        if undo is None:
            continue
        path: Path = (*entry.path, "undo")
        if undo.tool and undo.tool not in known:
            entry.source.refuse(
                (*path, "tool"), f"no tool {undo.tool!r}{suggestion(undo.tool, known)}"
            )
        elif undo.arguments:
            _check_button(entry, entries.get(undo.tool), path)


def _check_button(entry: Entry, undo: Entry | None, path: Path) -> None:
    """Check that a person's click can make the call."""
    written, source = entry.tool.undo, entry.source
    here: Path = (*path, "arguments")
    if written is None or not written.tool:
        source.refuse(here, "arguments of what? Add `tool: ID`, the one that undoes it")
        return
    if undo is None:
        return  # it has problems of its own
    if not isinstance(entry.tool.match, HttpMatch):
        source.refuse(here, "an MCP call is undone by the agent itself: leave `arguments` out")
    elif why := obstacle(undo.tool):
        source.refuse(here, f"no call of {written.tool} can be made from them: {why}")
    _check_window(written.within, source, path)
    _check_names(dict(written.arguments), undo, source, here)
    for name, text in written.arguments:
        _check_source(text, entry, (*here, name))


def _check_window(within: str, source: Source, path: Path) -> None:
    if not within:
        source.refuse(path, "say for how long it can be undone: `within: 24h`")
    elif milliseconds(within) > REMEMBERED_MS:
        source.refuse(
            (*path, "within"),
            f"{within} is too long for a button: that a call was undone is remembered for 24h;"
            " write 24h or less, or leave `arguments` out",
        )


def _check_names(given: Mapping[str, str], undo: Entry, source: Source, here: Path) -> None:
    for name in given:
        if why := missing(name, undo.shape):
            source.refuse((*here, name), f"{undo.tool.id} has no argument {why}", at_key=True)
    lacking = sorted(required(undo.tool) - set(given))
    if lacking:
        source.refuse(here, f"{undo.tool.id} needs {', '.join(lacking)} as well")


def required(tool: Tool) -> set[str]:
    """Return the arguments that every call of *tool* has."""
    schema = tool.args_schema or {}
    asked = schema.get("required")
    return {*needed(tool), *(asked if isinstance(asked, list) else ())}


def _check_source(text: str, entry: Entry, path: Path) -> None:
    try:
        kind, parts = source_of(text)
    except ValueError as error:
        entry.source.refuse(path, str(error))
        return
    if kind == "args" and (why := missing(parts[0], entry.shape)):
        entry.source.refuse(path, f"{entry.tool.id} has no argument {why}")
