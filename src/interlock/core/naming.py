"""Which catalogue entry a call of an MCP tool belongs to: by server and name.

An exact name beats a pattern, and a pattern beats a wider one. Two entries that share a name
without that are a clash, found when the catalogue is built. A name that only a pattern takes, and
that a lax server could read as one of a closer entry, is in none: `Wipe` is no way past `wipe`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from .actions import McpTool
from .patterns import McpMatch, Pattern
from .spelling import lax


@dataclass(frozen=True, slots=True)
class _Server:
    """The entries of one server; patterns with the narrower ones first. `lax`: as read laxly."""

    exact: Mapping[str, str]
    globs: tuple[tuple[Pattern, str], ...]
    lax_exact: Mapping[str, str]
    lax_globs: tuple[tuple[Pattern, str], ...]


class Names:
    """Finds the entry of an MCP tool. Build it with `named`."""

    __slots__ = ("_servers",)

    def __init__(self, servers: Mapping[str, _Server]) -> None:
        self._servers = servers

    def find(self, server: str, tool: McpTool) -> tuple[str, str]:
        """Return the entry's id, or an empty one and why there is none."""
        known = self._servers.get(server)
        if known is None:
            return "", ""
        exact = known.exact.get(tool.name)
        if exact is not None:
            return exact, ""
        closest = _closest(known.globs, tool.name)
        if len(closest) > 1:
            return "", f"{' and '.join(sorted(closest))} both take it"
        if not closest:
            return "", ""
        (entry,) = closest
        other = _meant(known, lax(tool.name), entry)
        if other:
            return "", f"some servers take its name for one of {other}, which is written otherwise"
        return entry, ""


def _closest(globs: tuple[tuple[Pattern, str], ...], name: str) -> set[str]:
    fitting = [(glob, entry) for glob, entry in globs if glob.matches(name)]
    return {
        entry for glob, entry in fitting if not any(_narrower(other, glob) for other, _ in fitting)
    }


def _meant(known: _Server, name: str, entry: str) -> str:
    """Return the entry that a lax reader finds closer to *name* than *entry*; or an empty one."""
    exact = known.lax_exact.get(name, entry)
    if exact != entry:
        return exact
    closest = _closest(known.lax_globs, name)
    return "" if not closest or entry in closest else min(closest)


def named(matches: Mapping[str, McpMatch]) -> tuple[Names, tuple[tuple[str, str], ...]]:
    """Return what finds the entries of *matches* (by tool id), and the pairs that clash."""
    servers: dict[str, list[tuple[Pattern, str]]] = {}
    for entry, match in matches.items():
        patterns = servers.setdefault(match.server, [])
        patterns += [(pattern, entry) for pattern in dict.fromkeys(match.tool.patterns)]
    clashes = [pair for patterns in servers.values() for pair in _clashes(patterns)]
    return Names({server: _server(each) for server, each in servers.items()}), tuple(
        dict.fromkeys(clashes)
    )


def _server(patterns: list[tuple[Pattern, str]]) -> _Server:
    exact = {pattern.text: entry for pattern, entry in patterns if pattern.exact}
    globs = tuple((pattern, entry) for pattern, entry in patterns if not pattern.exact)
    return _Server(
        exact,
        globs,
        {lax(name): entry for name, entry in exact.items()},
        tuple((Pattern(lax(glob.text)), entry) for glob, entry in globs),
    )


def _narrower(one: Pattern, other: Pattern) -> bool:
    return other.includes(one) and not one.includes(other)


def _clashes(patterns: list[tuple[Pattern, str]]) -> Iterator[tuple[str, str]]:
    taken: dict[str, str] = {}
    for pattern, entry in patterns:
        if pattern.exact and taken.setdefault(pattern.text, entry) != entry:
            yield taken[pattern.text], entry
    globs = [(pattern, entry) for pattern, entry in patterns if not pattern.exact]
    for (one, mine), (other, theirs) in combinations(globs, 2):
        if mine != theirs and one.overlaps(other) and one.includes(other) == other.includes(one):
            yield mine, theirs
