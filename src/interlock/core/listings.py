"""What MCP servers list of their tools, against what was accepted of it. Pure.

A server is hostile here: it may list any number of tools, of any size, twice, or differently each
time. What is kept of one server is bounded, and what does not fit is never accepted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeGuard

from .definitions import PARTS as PARTS
from .definitions import definition_hash

TOOLS = 1000  #: tools of one server that are kept
LONGEST_NAME = 256  #: bytes of UTF-8 of a tool's name; MCP recommends at most 128 characters
LARGEST = 131_072  #: bytes of one definition, as JSON
LARGEST_IN_ALL = 8_388_608  #: bytes of what one server lists, as JSON
MOST_LISTED = 5000  #: tools of one listing that is looked into at all
LONGEST_LISTING = 8_388_608  #: bytes of one such listing, as JSON
FIRST_USE = "first-use"  #: who accepted the first listing

_TWICE = "The server lists this name twice, each time with another definition."


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A definition that counts: `by` a person, or `first-use`, `at` ms by the store's clock."""

    hash: str
    document: Mapping[str, Any] = field(repr=False)
    by: str
    at: int
    mac: str = ""  #: see `digest.definition_mac`


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What a server listed last of one tool.

    `document` has the members of PARTS alone; None: it is not kept, and `flaw` says why it cannot
    be accepted. `size` in bytes of JSON, `since` ms: when this definition was first seen.
    """

    hash: str
    document: Mapping[str, Any] | None = field(repr=False)
    size: int
    since: int = 0
    flaw: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRecord:
    """All that is known of one tool."""

    server: str
    tool: str
    listed: Listed
    accepted: Accepted | None = None

    @property
    def waits(self) -> bool:
        """Whether a person has to accept it before it is a tool that policy knows."""
        return self.accepted is None or self.accepted.hash != self.listed.hash


Records = Mapping[str, ToolRecord]
"""What is known of a server's tools, by their names."""


def size_of(tools: Sequence[Any]) -> int:
    """Return the bytes of a listing as JSON. Raises RecursionError for one nested too deeply."""
    return len(json.dumps(tools, separators=(",", ":")))


def oversized(tools: Sequence[Any]) -> str:
    """Say how a listing is too long to be looked into: hashing it would hold up everybody else.

    Returns nothing where it is not.
    """
    if len(tools) > MOST_LISTED:
        return f"it has {len(tools)} tools, and at most {MOST_LISTED} are taken"
    try:
        size = size_of(tools)
    except RecursionError:
        return "it is nested too deeply"
    if size > LONGEST_LISTING:
        return f"it has {size} bytes as JSON, and at most {LONGEST_LISTING} are taken"
    return ""


def read_listing(tools: Sequence[Any], known: Collection[str]) -> dict[str, Listed]:
    """Return what a listing says, by name; beside *known* tools, TOOLS others at most.

    An entry without a usable name is passed over: nothing under such a name is ever accepted.
    """
    found: dict[str, Listed] = {}
    new = 0
    for entry in tools:
        name = entry.get("name") if isinstance(entry, Mapping) else None
        if not usable(name):
            continue
        if name not in found:
            new += name not in known
            if new > TOOLS and name not in known:
                continue
            found[name] = _listed(entry)
        elif found[name].hash != (other := _listed(entry)).hash:
            found[name] = _twice(found[name], other)
    return found


def usable(name: Any) -> TypeGuard[str]:
    """Say whether *name* can name a tool here: text of 1 to LONGEST_NAME bytes of UTF-8."""
    if not isinstance(name, str) or not name or len(name) > LONGEST_NAME:
        return False
    try:
        return len(name.encode()) <= LONGEST_NAME
    except UnicodeEncodeError:  # half of a surrogate pair
        return False


def _listed(entry: Mapping[str, Any]) -> Listed:
    document = {name: entry[name] for name in PARTS if entry.get(name) is not None}
    size = len(json.dumps(document, separators=(",", ":")))
    if size > LARGEST:
        flaw = f"The definition has {size} bytes; of more than {LARGEST} nothing is kept."
        return Listed(hash=definition_hash(entry), document=None, size=size, flaw=flaw)
    return Listed(hash=definition_hash(entry), document=document, size=size)


def _twice(one: Listed, other: Listed) -> Listed:
    both = hashlib.sha256("".join(sorted((one.hash, other.hash))).encode()).hexdigest()
    return Listed(hash=f"sha256:{both}", document=None, size=one.size + other.size, flaw=_TWICE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What a listing changes: records to keep, names to forget. `full`: some had no place."""

    kept: Records
    forgotten: frozenset[str] = frozenset()
    full: bool = False

    def __bool__(self) -> bool:
        return bool(self.kept or self.forgotten)


def merged(server: str, known: Records, listing: Mapping[str, Listed], now: int) -> Changes:
    """Return what *listing* changes of what is *known*; *now* in ms.

    What is listed last counts, whatever was before. A tool that is gone stays known. Where there
    is no more room, tools that nobody accepted and that are not listed make way, oldest first;
    what then has no place is not kept.
    """
    changed: dict[str, ToolRecord] = {}
    forgotten: set[str] = set()
    full = False
    leaving = _leaving(known, listing)
    count, total = len(known), sum(_weight(record.listed) for record in known.values())
    for name, said in listing.items():
        before = known.get(name)
        if before is not None and _same(before.listed, said):
            continue
        if before is None and count >= TOOLS:
            if not leaving:
                full = True
                continue
            gone = leaving.pop()
            forgotten.add(gone)
            count, total = count - 1, total - _weight(known[gone].listed)
        count += before is None
        total -= _weight(before.listed) if before else 0
        record = _noted(server, name, before, said, now, LARGEST_IN_ALL - total)
        total += _weight(record.listed)
        if before is None or not _same(before.listed, record.listed):
            changed[name] = record
    return Changes(kept=changed, forgotten=frozenset(forgotten), full=full)


def _same(before: Listed, now: Listed) -> bool:
    """Say whether nothing has to be noted; what had no room before may have some by now."""
    kept = before.document is not None or now.document is None
    return before.hash == now.hash and kept


def _leaving(known: Records, listing: Mapping[str, Listed]) -> list[str]:
    """Return the tools that may be forgotten, the oldest last."""
    may = [name for name, each in known.items() if each.accepted is None and name not in listing]
    return sorted(may, key=lambda name: known[name].listed.since, reverse=True)


def _noted(
    server: str, name: str, before: ToolRecord | None, said: Listed, now: int, room: int
) -> ToolRecord:
    if _weight(said) > room:
        flaw = f"What the server lists has more than {LARGEST_IN_ALL} bytes; this is not kept."
        said = replace(said, document=None, flaw=flaw)
    accepted = before.accepted if before else None
    return ToolRecord(server=server, tool=name, listed=replace(said, since=now), accepted=accepted)


def _weight(listed: Listed) -> int:
    return listed.size if listed.document is not None else 0
