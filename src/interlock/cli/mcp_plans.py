"""What installing or undoing makes of each server in a client's settings: texts in, texts out."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from ..core.errors import InterlockError, InvalidDocument
from .mcp_entries import (
    URL_KEYS,
    Entry,
    Guarded,
    entries_in,
    guarded,
    literal,
    rerouted,
    rewrapped,
    unwrapped,
    wrapped,
)
from .mcp_jsonc import scan_jsonc
from .mcp_nodes import Edit, Kind, Node, Path, edited, plain
from .mcp_toml import scan_toml

_BRIDGES = ("mcp-remote", "mcp-proxy", "supergateway", "mcp-scan", "mcp-guardian", "toolhive")
_SHOWN = frozenset({"command", "path", "args", "type", "source", "cwd", "transport", *URL_KEYS})


class Fate(StrEnum):
    """What becomes of a server."""

    CHANGED = "changed"
    ALREADY = "already"  #: as asked for before
    LEFT = "left"  #: cannot be changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One server: what becomes of it, and why. `add`: a server that interlock.yaml lacks."""

    entry: Entry
    fate: Fate
    said: str
    edits: tuple[Edit, ...] = ()
    words: tuple[str, ...] = ()  #: what it must start afterwards
    add: Lacking | None = None


@dataclass(frozen=True, slots=True)
class Lacking:
    """A server that interlock.yaml would need: a line of `servers:` and those below it."""

    name: str
    url: str
    sse: bool  #: it speaks HTTP+SSE, of 2024-11-05


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """How servers are reached through Interlock.

    `servers`: name to URL, from interlock.yaml. `upstreams`: names that mean other things there.
    """

    program: tuple[str, ...]
    config: str
    address: str
    servers: Mapping[str, str]
    upstreams: frozenset[str] = frozenset()

    def head(self, server: str) -> tuple[str, ...]:
        """Return what is started before a server's own command."""
        return (*self.program, "mcp", "--config", self.config, "--server", server, "--")

    def url(self, server: str) -> str:
        """Return where the server of this name is, through Interlock."""
        return f"{self.address}/mcp/{server}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A client's settings file, read."""

    file: str
    text: str
    tree: Node
    entries: tuple[Entry, ...]
    places: tuple[tuple[str, ...], ...]

    def again(self, text: str) -> Settings:
        """Return the same file with another *text*. Raises InvalidDocument."""
        return read_settings(self.file, text, self.places)


def read_settings(file: str, text: str, places: tuple[tuple[str, ...], ...]) -> Settings:
    """Return what *text* says; TOML where *file* ends in `.toml`, else JSON with comments.

    Raises:
        InvalidDocument: it is neither, or where servers should be is something else.
    """
    tree = (scan_toml if file.lower().endswith(".toml") else scan_jsonc)(text, file)
    entries = entries_in(tree, places, text, file)
    return Settings(file=file, text=text, tree=tree, entries=entries, places=places)


def legal_name(name: str, taken: Collection[str]) -> str:
    """Return *name* as interlock.yaml takes names, and unlike each of *taken*."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    legal = re.sub(r"[^a-z0-9_.-]+", "-", letters).lstrip("_.-").rstrip("-")[:64] or "server"
    count, found = 1, legal
    while found in taken:
        count += 1
        found = f"{legal[: 63 - len(str(count))]}-{count}"
    return found


def installed(settings: Settings, chosen: Sequence[Entry], gate: Gate) -> tuple[Outcome, ...]:
    """Return what installing makes of the *chosen* servers."""
    names = _names(settings.entries, gate)
    return tuple(
        _installed(entry, names[_same_server(entry)], gate, settings.text) for entry in chosen
    )


def _same_server(entry: Entry) -> tuple[str, bool]:
    """Return what entries share that are one server: in two projects of one file, for example."""
    return entry.name, entry.url is not None


def _names(entries: Sequence[Entry], gate: Gate) -> dict[tuple[str, bool], str]:
    """Give each server a name for interlock.yaml; those that have one already keep it."""
    names: dict[tuple[str, bool], str] = {}
    for entry in entries:
        known = _known(entry, gate)
        if known and known not in names.values():
            names.setdefault(_same_server(entry), known)
    # Those that are legal as they are come first, so that no other takes their name.
    for entry in sorted(entries, key=lambda entry: legal_name(entry.name, ()) != entry.name):
        if _same_server(entry) not in names:
            taken = {*names.values(), *gate.upstreams, *(() if entry.url else gate.servers)}
            names[_same_server(entry)] = legal_name(entry.name, taken)
    return names


def _known(entry: Entry, gate: Gate) -> str:
    found = guarded(entry.words)
    if found:
        return found.server
    prefix = gate.url("")
    return entry.address[len(prefix) :] if entry.address.startswith(prefix) else ""


def _installed(entry: Entry, name: str, gate: Gate, text: str) -> Outcome:
    if entry.problem:
        return Outcome(entry=entry, fate=Fate.LEFT, said=entry.problem)
    if entry.url is not None:
        return _installed_url(entry, name, gate)
    found = guarded(entry.words)
    if found is not None:
        return _installed_again(entry, found, gate, text)
    head = gate.head(name)
    return Outcome(
        entry=entry,
        fate=Fate.CHANGED,
        said=f"started by Interlock as {name!r}{_behind(entry.words)}",
        edits=wrapped(entry, head, text),
        words=(*head, *entry.words),
    )


def _behind(words: Sequence[str]) -> str:
    for bridge in _BRIDGES:
        if any(bridge in word for word in words):
            return f", which stands in front of {bridge}"
    return ""


def _installed_again(entry: Entry, found: Guarded, gate: Gate, text: str) -> Outcome:
    words = entry.words
    head, old = gate.head(found.server), words[: found.cut + 1]
    module = next((at for at in range(1, 4) if words[at : at + 2] == ("mcp", "--config")), 0)
    ours = bool(found.cut and module) and old == (
        *words[:module],
        "mcp",
        "--config",
        words[module + 2],
        "--server",
        found.server,
        "--",
    )
    if ours and old != head:
        return Outcome(
            entry=entry,
            fate=Fate.CHANGED,
            said=f"started by Interlock as {found.server!r}, now as this installation would",
            edits=rewrapped(entry, found.cut, head, text),
            words=(*head, *words[found.cut + 1 :]),
        )
    if found.cut and words[: len(gate.program)] == gate.program:
        return Outcome(entry=entry, fate=Fate.ALREADY, said="is started by Interlock already")
    # Any program may be called `interlock`; only this one is known to judge what passes.
    said = (
        f"`{' '.join(old[:3])} ...` is not this Interlock: take it out (`--undo`), install again"
        if found.cut
        else "it is started by `interlock mcp` without a command after `--`: write one"
    )
    return Outcome(entry=entry, fate=Fate.LEFT, said=said)


def _installed_url(entry: Entry, name: str, gate: Gate) -> Outcome:
    known = _known(entry, gate)
    if known:
        lost = "" if known in gate.servers else f", but {gate.config} has no server {known!r}"
        said = f"goes through Interlock already{lost}"
        return Outcome(entry=entry, fate=Fate.ALREADY, said=said)
    if "${" in entry.address or entry.address.startswith("$"):
        said = "its url has a variable, which only the client knows: write the url itself"
        return Outcome(entry=entry, fate=Fate.LEFT, said=said)
    listed = gate.servers.get(name)
    if listed is not None and _same(listed, entry.address):
        return Outcome(
            entry=entry,
            fate=Fate.CHANGED,
            said=f"goes to {gate.url(name)}; its headers are sent to Interlock now",
            edits=rerouted(entry, literal(gate.url(name))),
            words=(gate.url(name),),
        )
    why = f"has no server {name!r}" if listed is None else f"has another url for {name!r}"
    return Outcome(
        entry=entry,
        fate=Fate.LEFT,
        said=f"{gate.config} {why}",
        add=Lacking(name, entry.address, sse=_type(entry) == "sse"),
    )


def _type(entry: Entry) -> object:
    member = entry.node.members.get("type")
    return member.node.scalar if member else None


def _same(one: str, other: str) -> bool:
    return _parts(one) == _parts(other)


def _parts(url: str) -> tuple[Any, ...]:
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return (url,)
    user = parts.username, parts.password
    return parts.scheme, user, parts.hostname, port, parts.path.rstrip("/"), parts.query


Past = Callable[[Path], "tuple[Entry, str] | None"]


def undone(
    settings: Settings, chosen: Sequence[Entry], gate: Gate, past: Past
) -> tuple[Outcome, ...]:
    """Return what undoing makes of the *chosen* servers.

    *past* gives an entry as it was before, and the text of its file, from the newest backup in
    which Interlock does not have it; None where there is none.
    """
    return tuple(
        _undone(entry, gate, past, settings.text) for entry in chosen if is_guarded(entry, gate)
    )


def _undone(entry: Entry, gate: Gate, past: Past, text: str) -> Outcome:
    before = past(entry.where)
    if entry.url is not None:
        return _undone_url(entry, gate, before)
    found = guarded(entry.words)
    if found is None or not found.cut:
        said = "has no command after `--` that could be put back; change it by hand"
        return Outcome(entry=entry, fate=Fate.LEFT, said=said)
    had_args = before is None or before[0].args is not None
    return Outcome(
        entry=entry,
        fate=Fate.CHANGED,
        said="put back",
        edits=unwrapped(entry, found.cut, text, had_args=had_args),
        words=entry.words[found.cut + 1 :],
    )


def _undone_url(entry: Entry, gate: Gate, before: tuple[Entry, str] | None) -> Outcome:
    raw, url = "", gate.servers.get(_known(entry, gate), "")
    if before is not None and before[0].url is not None:
        node = before[0].url.node
        raw, url = before[1][node.start : node.end], node.scalar
    if not url:
        said = "its own url is neither in a backup nor in interlock.yaml; change it by hand"
        return Outcome(entry=entry, fate=Fate.LEFT, said=said)
    edits = rerouted(entry, raw or literal(url))
    return Outcome(entry=entry, fate=Fate.CHANGED, said="put back", edits=edits, words=(url,))


def is_guarded(entry: Entry, gate: Gate) -> bool:
    """Whether *entry* goes through Interlock, as far as its text tells."""
    return guarded(entry.words) is not None or bool(_known(entry, gate))


def changed(settings: Settings, outcomes: Sequence[Outcome]) -> Settings:
    """Return the settings with every outcome's edits made, read again.

    Raises:
        InterlockError: reading it again shows anything but what was meant. Nothing is lost by a
            form of file that this program reads wrongly.
    """
    text = edited(settings.text, [edit for outcome in outcomes for edit in outcome.edits])
    meant = {each.entry.where: each.words for each in outcomes if each.words}
    try:
        after = settings.again(text)
        right = _as_meant(after, meant) and _rest(settings, meant) == _rest(after, meant)
    except InvalidDocument:
        right = False
    if not right:
        raise InterlockError(
            f"{settings.file} is written in a way that Interlock cannot change safely."
            " Nothing was done.",
            help="Change the entries by hand, and please report this.",
        )
    return after


def _as_meant(after: Settings, meant: Mapping[Path, tuple[str, ...]]) -> bool:
    now = {entry.where: entry.words or (entry.address,) for entry in after.entries}
    return all(now.get(where) == words for where, words in meant.items())


def _rest(settings: Settings, meant: Mapping[Path, object]) -> str:
    """Return all data but what is meant to change, as text: NaN is unequal to itself."""
    data = plain(settings.tree)
    for where in meant:
        entry = data
        for key in where:
            entry = entry[key]
        holder = entry["command"] if isinstance(entry.get("command"), dict) else entry
        for key in ("command", "path", "args") if holder is not entry else ("command", "args"):
            holder.pop(key, None)
        for key in URL_KEYS:
            entry.pop(key, None)
    return repr(data)


def shown_diff(before: Settings, after: Settings) -> str:
    """Return the change as a unified diff; texts that say nothing of how servers start are `***`.

    Settings hold secrets (`env`, `headers`, accounts), and a diff shows the lines around.
    """
    old, new = (_masked(each).split("\n") for each in (before, after))
    title = f"{before.file} (afterwards)"
    return "\n".join(difflib.unified_diff(old, new, before.file, title, n=2, lineterm=""))


def _masked(settings: Settings) -> str:
    shown = {entry.where for entry in settings.entries}
    edits: list[Edit] = []
    _mask(settings.tree, (), shown, edits)
    return edited(settings.text, edits)


def _mask(node: Node, where: Path, shown: set[Path], edits: list[Edit]) -> None:
    if node.kind is Kind.STRING and node.scalar:
        edits.append(Edit(node.start, node.end, '"***"'))
    for item in node.items:
        _mask(item, where, shown, edits)
    for key, member in node.members.items():
        below = (*where, key)
        entry = where in shown or (where and where[-1] == "command" and where[:-1] in shown)
        if not (entry and key in _SHOWN and member.node.kind is not Kind.OBJECT):
            _mask(member.node, below, shown, edits)
