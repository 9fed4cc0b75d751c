"""ports.Outbox on Redis: notices survive crashes, and each is claimed by one process at a time."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, cast

from redis.asyncio import Redis

from ..people_ports import Entry, Room
from ..ports import Notice
from .connection import patiently
from .lua import Script

MOST = 100_000  #: entries that may wait
KEPT = 1000  #: dead letters that are kept
LONGEST = 300  #: characters of a reason
FORSAKEN = "no channel of this name is configured any more"


class RedisOutbox:
    """ports.Outbox. Methods raise StoreUnavailable when the store does not answer."""

    def __init__(
        self, client: Redis, prefix: str = "interlock", *, most: int = MOST, kept: int = KEPT
    ) -> None:
        self._client = client
        self._prefix = "{" + prefix + "}"
        self._most = most
        self._kept = kept
        self._script = Script("outbox")

    async def put(
        self, action_id: str, version: int, why: Notice, channels: Sequence[str]
    ) -> tuple[str, ...]:
        found = await self._run("put", action_id, version, why.value, self._most, *channels)
        pairs = zip(channels, found, strict=True)
        return tuple(channel for channel, outcome in pairs if outcome == b"FULL")

    async def collect(self, action_id: str, channels: Sequence[str]) -> None:
        await self._run("collect", action_id, *channels)

    async def claim(self, rooms: Sequence[Room], lease_ms: int) -> tuple[Entry, ...]:
        asked = [part for room in rooms for part in (room.channel, room.most, room.digest_ms)]
        rows = await self._run("claim", secrets.token_hex(8), lease_ms, *asked)
        entries = _entries(rows)
        if len(entries) < len(rows):  # what nobody can read must not take the room of others
            for name in _names(rows) - {entry.id for entry in entries}:
                await self.drop(name)
        return entries

    async def done(self, entry: Entry) -> None:
        await self._run("done", entry.id, entry.tries)

    async def again(self, entry: Entry, after_ms: int, why: str) -> None:
        await self._run("again", entry.id, entry.tries, after_ms, why[:LONGEST])

    async def bury(self, entry: Entry, why: str) -> None:
        await self._run("bury", entry.id, entry.tries, self._kept, why[:LONGEST])

    async def forsaken(self, channels: Sequence[str], older_ms: int) -> int:
        found = await self._run("forsaken", older_ms, self._kept, FORSAKEN, *channels)
        return int(cast(bytes, found[0]))

    async def waiting(self, limit: int) -> tuple[Entry, ...]:
        return _entries(await self._run("list", "all", limit))

    async def dead(self, limit: int) -> tuple[Entry, ...]:
        return _entries(await self._run("list", "dead", limit), dead=True)

    async def find(self, entry_id: str) -> Entry | None:
        rows = await self._run("find", entry_id)
        return next(iter(_entries(rows if rows != [b"GONE"] else [])), None)

    async def retry(self, entry_id: str) -> bool:
        return await self._run("retry", entry_id) == [b"OK"]

    async def drop(self, entry_id: str) -> bool:
        return await self._run("drop", entry_id) == [b"OK"]

    async def counts(self) -> tuple[int, int]:
        all_, dead = (f"{self._prefix}:outbox:{name}" for name in ("all", "dead"))
        waiting = await patiently(lambda: self._client.zcard(all_))
        return int(waiting), int(await patiently(lambda: self._client.zcard(dead)))

    async def _run(self, *arguments: str | int) -> list[object]:
        return await patiently(lambda: self._script(self._client, self._prefix, *arguments))


def _names(rows: Sequence[Any]) -> set[str]:
    return {row[0].decode() for row in rows}


def _entries(rows: Sequence[Any], *, dead: bool = False) -> tuple[Entry, ...]:
    """Return the entries that can be read; others have gone meanwhile, or were damaged."""
    entries = []
    for name, flat, *at in rows:
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        with contextlib.suppress(KeyError, ValueError):  # bad UTF-8 is a ValueError
            entries.append(_entry(name.decode(), fields, [int(float(each)) for each in at], dead))
    return tuple(entries)


def _entry(name: str, fields: Mapping[bytes, bytes], at: Sequence[int], dead: bool) -> Entry:
    said = {name.decode(): value.decode() for name, value in fields.items()}
    return Entry(
        id=name,
        channel=said["channel"],
        why=None if said["notice"] == "digest" else Notice(said["notice"]),
        action=said["action"],
        version=int(said["version"]),
        at=int(said["at"]),
        tries=int(said["tries"]),
        failed=said["why"],
        calls=tuple(said["calls"].split()),
        more=int(said["more"]),
        since=int(said["since"]),
        due=at[1] if at and not dead else 0,
        died=at[0] if at and dead else 0,
    )
