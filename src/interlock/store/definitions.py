"""What MCP servers say of their tools, and what was accepted of it: ports.Definitions.

Each process answers from what it has read. What is listed here counts here at once, whether the
store takes it or not; what others listed or accepted is seen within POLL seconds. An acceptance
counts only with its MAC, whose key is not in the store, and a document only under its own hash.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeGuard, cast

from redis.asyncio import Redis

from ..core.digest import definition_mac
from ..core.errors import IllegalTransition, InvalidEdit, NotFound, StaleVersion, StoreUnavailable
from ..core.listings import (
    FIRST_USE,
    TOOLS,
    Accepted,
    Changes,
    Listed,
    ToolRecord,
    merged,
    read_listing,
)
from ..core.spelling import lax
from ..mcp_ports import Definition
from .connection import patiently
from .definitions_known import Compile, definition_of, unlisted
from .definitions_log import tell, tell_accepted, tell_first_use
from .lua import Script
from .records import decode_record, encode_record

POLL = 2.0  #: seconds between two looks for what other processes listed or accepted
ATTEMPTS = 20  #: how often a write is tried again that others came before
NAMES = 4 * TOOLS  #: names of one server's tools that a process remembers


@dataclass(slots=True)
class _Server:
    """What is known of one server: as the store had it at `version`, and what it does not have."""

    name: str
    version: int = 0
    met: bool = False  #: tools of it were listed to the end before, so no listing is its first
    last: bytes | None = None  #: the last whole listing, where all of it is in the store
    heard: bool = False  #: it was listed to its end here, maybe without a tool
    names: set[str] = field(default_factory=set)  #: that it ever listed, as `lax` reads them
    lost: bool = False  #: it listed tools of which nothing is known any more, in any process
    marked: bool = False  #: the store says so too
    fields: dict[bytes, bytes] = field(default_factory=dict)
    records: dict[str, ToolRecord] = field(default_factory=dict)
    owed: dict[str, Listed] = field(default_factory=dict)  #: listed, and not yet in the store
    first: frozenset[str] = frozenset()  #: the tools of a whole listing that is owed
    whole: bool = False  #: such a listing is owed
    shown: dict[str, Definition] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def unsaid(self) -> bool:
        """Whether the store does not have all that is known here."""
        return bool(self.owed) or self.whole or self.lost > self.marked


class StoredDefinitions:
    """ports.Definitions, and what people need: `records`, `waiting`, `accept`.

    *first_use*: servers whose first whole listing is accepted as it is; of all others every tool
    waits for a person. *key*: of the MACs of acceptances. `current` knows nothing before
    `refresh` was awaited; `run` keeps it fresh until it is cancelled.
    """

    def __init__(
        self,
        client: Redis,
        *,
        key: bytes,
        first_use: frozenset[str],
        compile_schema: Compile,
        prefix: str = "interlock",
    ) -> None:
        self._client = client
        self._prefix = "{" + prefix + "}"
        self._key = key
        self._first_use = first_use
        self._compile = compile_schema
        self._servers: dict[str, _Server] = {}
        self._write = Script("definitions")

    # ports.Definitions ---------------------------------------------------------------------

    def current(self, server: str, tool: str) -> Definition | None:
        place = self._servers.get(server)
        found = place.shown.get(tool) if place else None
        if found is None and place is not None and server in self._first_use:
            # by what was heard here: a record may be missing from the store for other reasons
            if place.heard and not place.lost and lax(tool) not in place.names:
                return unlisted(server, tool)
        return found

    def known(self, server: str) -> bool:
        place = self._servers.get(server)
        return place is not None and (place.met or place.heard)

    async def listed(self, server: str, tools: Sequence[Mapping[str, Any]], *, whole: bool) -> None:
        place = self._place(server)
        said = _exactly(tools)
        if whole and said == place.last and not place.owed and not place.whole:
            return  # as it was listed before, and as the store has had it since
        place.last = None
        found = read_listing(tools, place.records.keys() | place.owed.keys())
        place.owed |= found
        _remember(place, tools, found)
        if whole and found:  # what lists nothing yet was not used yet
            place.whole, place.first = True, frozenset(found)
        self._show(place)  # before anything else can be asked of it
        async with place.lock:
            await self._pay(place)
        if whole:
            place.last, place.heard = None if place.owed else said, True

    # people --------------------------------------------------------------------------------

    def records(self) -> tuple[ToolRecord, ...]:
        """Return every tool as this process knows it: what waits first, by server and name."""
        found = [each for place in self._servers.values() for each in _seen(place).values()]
        return tuple(sorted(found, key=lambda each: (not each.waits, each.server, each.tool)))

    def waiting(self) -> int:
        """Return how many tools wait for a person."""
        return sum(
            not each.accepted for place in self._servers.values() for each in place.shown.values()
        )

    async def accept(self, server: str, tool: str, hash: str, by: str) -> ToolRecord:
        """Accept what *server* lists of *tool*, as a person saw it under *hash*.

        The same again by the same person changes nothing.

        Raises:
            NotFound: there is no such tool.
            StaleVersion: the server lists something else by now.
            IllegalTransition: it is accepted already.
            InvalidEdit: it cannot be accepted.
            StoreUnavailable: nothing was accepted.
        """
        if server not in self._servers:
            await self.refresh()
        place = self._servers.get(server)
        if place is None:
            raise NotFound("No server of this name has listed a tool.")
        async with place.lock:
            await self._pay(place)
            for _ in range(ATTEMPTS):
                record = place.records.get(tool)
                if record is None:
                    raise NotFound("The server has listed no tool of this name.")
                if _repeated(record, hash, by):
                    return record
                after = replace(record, accepted=await self._sealed(record, by))
                if await self._kept(place, Changes(kept={tool: after})):
                    tell_accepted(after, by)
                    return after
                await self._load(place)
        raise StoreUnavailable("Others kept writing of this server; nothing was accepted.")

    async def _sealed(self, record: ToolRecord, by: str) -> Accepted:
        document = cast(Mapping[str, Any], record.listed.document)
        said = Accepted(hash=record.listed.hash, document=document, by=by, at=await self._now())
        return replace(said, mac=definition_mac(record.server, record.tool, said, self._key))

    # the store -----------------------------------------------------------------------------

    async def run(self) -> None:
        """Refresh every POLL seconds, until cancelled; a store that is away changes nothing."""
        while True:
            await asyncio.sleep(POLL)
            try:
                await self.refresh()
            except StoreUnavailable:
                continue  # what counts stays as it is; whoever writes hears of it

    async def refresh(self) -> None:
        """Read what other processes wrote, and write what the store did not take before.

        Raises:
            StoreUnavailable: it does not answer; what was known before still is.
        """
        name = f"{self._prefix}:definitions"
        versions = await self._hash(name)
        new = {server.decode("utf-8", "replace"): ver for server, ver in versions.items()}
        for server in new.keys() | self._servers.keys():
            place = self._place(server)
            if place.unsaid or new.get(server, b"0") != b"%d" % place.version:
                async with place.lock:
                    await self._pay(place)

    async def _pay(self, place: _Server) -> None:
        """Bring the store's record and ours together, under the lock."""
        key = self._at(place)
        for _ in range(ATTEMPTS):
            version = await patiently(lambda: self._client.hget(key, "ver"))
            if _number(version) != place.version:
                await self._load(place)
            if await self._settled(place):
                return
        raise StoreUnavailable("Others kept writing of this server; the listing was not kept.")

    async def _settled(self, place: _Server) -> bool:
        """Write what is owed; False where somebody else wrote first."""
        owed, whole, names = dict(place.owed), place.whole, place.first
        changes = merged(place.name, place.records, owed, 0)
        place.lost = place.lost or changes.full or bool(changes.forgotten)
        first = whole and not place.met
        if changes or first or place.lost > place.marked:
            now = await self._now()
            changes = merged(place.name, place.records, owed, now)
            if first and place.name in self._first_use:
                changes = self._as_first(place, changes, names, now)
            if not await self._kept(place, changes, whole=whole):
                await self._load(place)
                return False
            tell(place.name, changes)
            if first:
                tell_first_use(place.name, changes)
        place.owed = {name: said for name, said in place.owed.items() if owed.get(name) is not said}
        if whole:
            place.whole, place.first = False, frozenset()
        return True

    def _as_first(
        self, place: _Server, changes: Changes, names: frozenset[str], now: int
    ) -> Changes:
        """Accept what a first listing names, as far as it can be."""
        kept = dict(changes.kept)
        for name in names:
            record = kept.get(name) or place.records.get(name)
            if record is None or record.accepted or record.listed.document is None:
                continue
            listed = record.listed
            said = Accepted(hash=listed.hash, document=listed.document or {}, by=FIRST_USE, at=now)
            said = replace(said, mac=definition_mac(place.name, name, said, self._key))
            kept[name] = replace(record, accepted=said)
        return replace(changes, kept=kept)

    async def _kept(self, place: _Server, changes: Changes, *, whole: bool = False) -> bool:
        """Write *changes* to what was read; False where somebody else wrote since."""
        said = {name: encode_record(record) for name, record in changes.kept.items()}
        said |= dict.fromkeys(changes.forgotten - said.keys(), b"")
        lost = place.lost
        words: list[str | bytes | int] = [place.name, place.version, int(whole), int(lost)]
        for name, text in said.items():
            words += [name, text]
        answer = await patiently(lambda: self._write(self._client, self._prefix, *words))
        if answer[0] != b"OK":
            return False
        place.version, place.met = int(cast(int, answer[1])), place.met or whole
        place.marked = place.marked or lost
        for name in changes.forgotten:
            place.records.pop(name, None)
            place.fields.pop(_field(name), None)
        place.records |= changes.kept
        place.fields |= {_field(name): text for name, text in said.items() if text}
        self._show(place)
        return True

    async def _load(self, place: _Server) -> None:
        fields = await self._hash(self._at(place))
        place.last = None  # somebody wrote: the next listing is compared with what there is now
        place.records = {
            record.tool: record
            for name, text in fields.items()
            if (record := self._read(place, name, text)) is not None
        }
        place.fields = fields
        place.version = _number(fields.get(b"ver"))
        place.met = place.met or b"whole" in fields
        place.marked = b"lost" in fields
        place.lost = place.lost or place.marked
        self._show(place)

    def _read(self, place: _Server, name: bytes, text: bytes) -> ToolRecord | None:
        """Read one field; what is damaged or forged is as if it were not there."""
        if not name.startswith(b"t:"):
            return None
        tool = name[2:].decode("utf-8", "replace")
        if place.fields.get(name) == text:
            return place.records.get(tool)
        record = decode_record(place.name, tool, text)
        if record is None or record.accepted is None:
            return record
        mac = definition_mac(place.name, tool, record.accepted, self._key)
        genuine = hmac.compare_digest(mac.encode(), record.accepted.mac.encode())
        return record if genuine else replace(record, accepted=None)

    def _show(self, place: _Server) -> None:
        """Bring what `current` answers up to date."""
        shown: dict[str, Definition] = {}
        for name, record in _seen(place).items():
            before = place.shown.get(name)
            shown[name] = (
                before if _stands(before, record) else definition_of(record, self._compile)
            )
        place.shown = shown
        _remember(place, (), shown)

    def _place(self, server: str) -> _Server:
        return self._servers.setdefault(server, _Server(server))

    def _at(self, place: _Server) -> str:
        return f"{self._prefix}:d:{place.name}"

    async def _hash(self, name: str) -> dict[bytes, bytes]:
        return cast(dict[bytes, bytes], await patiently(lambda: self._client.hgetall(name)))

    async def _now(self) -> int:
        seconds, micros = await patiently(self._client.time)
        return int(seconds) * 1000 + int(micros) // 1000


def _seen(place: _Server) -> dict[str, ToolRecord]:
    """Return what the store has, with what was listed here since."""
    if not place.owed:
        return place.records
    changes = merged(place.name, place.records, place.owed, 0)
    kept = {name: each for name, each in place.records.items() if name not in changes.forgotten}
    return kept | dict(changes.kept)


def _stands(before: Definition | None, record: ToolRecord) -> TypeGuard[Definition]:
    """Say whether *before* is what *record* says, so that a compiled schema is kept."""
    if before is None or before.hash != record.listed.hash:
        return False
    whole = bool(before.document) == bool(record.listed.document)
    return whole and before.accepted != record.waits


def _field(tool: str) -> bytes:
    return b"t:" + tool.encode()


def _number(version: bytes | str | None) -> int:
    """Return a version; 0: there is none, -1: it is damaged, and nothing can be written."""
    try:
        return int(version or 0)
    except ValueError:
        return -1


def _repeated(record: ToolRecord, hash: str, by: str) -> bool:
    """Say whether this person accepted this before. Raises what `accept` does."""
    accepted, listed = record.accepted, record.listed
    if listed.hash != hash:
        raise StaleVersion("The server lists another definition by now; look at that one.")
    if accepted is not None and accepted.hash == hash:
        if accepted.by == by:
            return True
        raise IllegalTransition(f"{accepted.by} has accepted this definition already.")
    if listed.document is None:
        raise InvalidEdit(f"{listed.flaw} It cannot be shown in full, so nobody can accept it.")
    return False


def _exactly(tools: Sequence[Mapping[str, Any]]) -> bytes:
    """Return what only this very listing has: to Python, `1`, `1.0` and `true` are equal."""
    return hashlib.sha256(json.dumps(tools, separators=(",", ":")).encode()).digest()


def _remember(
    place: _Server, tools: Sequence[Mapping[str, Any]], known: Mapping[str, object]
) -> None:
    """Remember what the server named, so that none of it is ever taken for an unlisted tool."""
    names = [name for each in tools if isinstance(name := each.get("name"), str)]
    place.names.update(map(lax, [*names, *known]))
    place.lost = place.lost or any(name not in known for name in names)
    if len(place.names) > NAMES:
        place.lost, place.names = True, set()
