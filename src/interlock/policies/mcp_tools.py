"""MCP tools in the catalogue: by server and name, and how far their annotations are believed."""

from __future__ import annotations

import re

from ..core.patterns import Discriminator, McpMatch, Pattern
from .document import AnnotationsEntry, McpEntry, ToolEntry
from .problems import Source

Path = tuple[str | int, ...]

_BRACES = re.compile(r"\{[^{}]*\}|[^{}]+|[{}]")
_MCP_NAME = re.compile(r"[A-Za-z0-9_./*-]{1,128}\Z")
_PIN = re.compile(r"sha256:[0-9a-f]{64}\Z")
MAX_ALTERNATIVES = 100


def mcp_match(mcp: McpEntry, source: Source, path: Path) -> McpMatch:
    """Return which tools of which server an entry is; its globs are written out."""
    names: list[str] = []
    for index, text in enumerate(mcp.tool):
        try:
            names += alternatives(text)
        except ValueError as error:
            source.refuse((*path, "tool", index), str(error))
    return McpMatch(
        server=mcp.server,
        tool=Discriminator("tool", tuple(map(Pattern, dict.fromkeys(names)))),
    )


def alternatives(text: str) -> list[str]:
    """Return the patterns that a glob of tool names stands for: `{a,b}_*` is `a_*` and `b_*`.

    Raises:
        ValueError: it is not a name of MCP tools with `*` and un-nested braces, or is too much.
    """
    found = [""]
    for part in _BRACES.findall(text):
        options = part[1:-1].split(",") if part.startswith("{") and part.endswith("}") else [part]
        found = [before + option for before in found for option in options]
        if len(found) > MAX_ALTERNATIVES:
            raise ValueError(f"{text!r} stands for more than {MAX_ALTERNATIVES} names: split it")
    for each in found:
        if not _MCP_NAME.match(each):
            raise ValueError(
                f"{text!r} is not the name of a tool: write letters, digits, `_-./`, `*` for any "
                "run of them, and alternatives as in {list,get}_*"
            )
    return found


def mcp_pins(entry: ToolEntry, source: Source, path: Path) -> frozenset[str]:
    """Return the definitions that an entry accepts; empty: any."""
    annotations = entry.annotations or AnnotationsEntry()
    here = (*path, "annotations")
    if entry.annotations is not None and entry.mcp is None:
        source.refuse(here, "`annotations` are of MCP tools: take them out", at_key=True)
    if annotations.trust == "full" and not annotations.pin:
        source.refuse(
            (*here, "trust"),
            "trust without `pin` would believe whatever the server says tomorrow: pin the "
            "definition (sha256:...), or leave `trust` out",
        )
    for index, pin in enumerate(annotations.pin):
        if not _PIN.match(pin):
            source.refuse(
                (*here, "pin", index),
                f"{pin!r} is not the hash of a definition: write sha256: and 64 digits of 0-9a-f",
            )
    return frozenset(annotations.pin)
