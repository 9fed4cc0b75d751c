"""learning_ports.Records: the feed of decided calls, a stream that put.lua writes.

Its entries are numbered `<epoch>-<number>`, without a gap within an epoch: whatever was dropped
before it was read is counted. Their ids are times, so that entries that follow a crash in which the
store lost its latest ones are read too. A place is `<id>,<epoch>-<number>`.

Whoever can write to the store can add entries: a number counts only as far as the store has come,
and where put.lua began the feed anew, because of an id that no time has, it is read from its start.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

from redis.exceptions import ResponseError

from ..learning_ports import Feed
from .connection import connect, patiently
from .lua import Script

log = logging.getLogger("interlock.archive")

T = TypeVar("T")

LONGEST_WAIT = 1000  #: ms that one read may wait
FORGOTTEN = 7 * 86_400_000  #: ms after which an archive that is not heard of holds up nothing
_START, _BEGIN = (0, 0), "0-0"
_LARGEST = 2**53  #: number, epoch or time that Lua writes exactly; also of entries lost in one read
_PLACE = re.compile(r"([0-9]{1,20}-[0-9]{1,20}),([0-9]{1,20}-[0-9]{1,20})\Z")
_NUMBER = re.compile(rb"[0-9]{1,20}-[0-9]{1,20}\Z")
_NAME = re.compile(r"[\x21-\x7e]{1,128}\Z")


class RedisFeed:
    """Implements learning_ports.Records, on connections of its own: `close` it."""

    def __init__(self, url: str, prefix: str = "interlock") -> None:
        self._prefix = "{" + prefix + "}"
        self._key = f"{self._prefix}:feed"
        self._client = connect(url)
        self._tail = connect(url, patience=LONGEST_WAIT / 1000 + 5)
        self._script = Script("feed")
        self._renewed = ""  #: the place of which the log has said that it is none any more

    async def close(self) -> None:
        await self._client.aclose()
        await self._tail.aclose()

    async def read(self, after: str, limit: int, wait_ms: int) -> Feed:
        """Return what follows *after* (empty: from the start), at most *limit* entries.

        Waits up to *wait_ms* (at most LONGEST_WAIT) where there is nothing yet. An entry that is
        neither a record nor an id comes as an empty one.

        Raises:
            StoreUnavailable: it did not answer.
        """
        wait = max(0, min(wait_ms, LONGEST_WAIT))
        place, at = _place(after)
        rows = await self._follow(place, limit, wait)
        if not rows and await self._is_gone(place):
            place, rows = _BEGIN, await self._follow(_BEGIN, limit, 0)
        latest = await self._latest() if rows else None
        entries, ended, lost = [], [], 0
        for name, fields in rows:
            place, found = name.decode(), _numbers(fields.get(b"n", b""))
            if found is not None and _may_be(found, latest):  # else it is none of ours
                lost += _between(at, found)
                at = found
            if b"id" in fields:
                ended.append(fields[b"id"].decode("utf-8", "replace"))
            else:
                entries.append(fields.get(b"note", b""))
        following = f"{place},{at[0]}-{at[1]}" if rows else after
        lost = min(lost, _LARGEST)
        return Feed(entries=tuple(entries), ended=tuple(ended), next=following, lost=lost)

    async def _follow(
        self, place: str, limit: int, wait: int
    ) -> list[tuple[bytes, Mapping[bytes, bytes]]]:
        block = {"block": wait} if wait else {}
        client = self._tail if wait else self._client
        answer: Any = await _asked(
            lambda: client.xread({self._key: place}, count=max(1, limit), **block)
        )
        return list(_rows(answer))

    async def _is_gone(self, place: str) -> bool:
        """Say whether the feed has not come as far as *place*: it was begun anew meanwhile."""
        if place == _BEGIN:
            return False

        async def ask() -> Any:
            try:
                return await self._client.xinfo_stream(self._key)
            except ResponseError:
                return None  # there is no feed yet

        found: Any = await _asked(ask)
        if found is None or _of(found["last-generated-id"].decode()) >= _of(place):
            return False
        if self._renewed != place:
            self._renewed = place
            log.error(
                "the feed of decided calls was begun anew, and is read from its start: somebody"
                " put entries of a time to come into it, or the store lost its latest ones"
            )
        return True

    async def _latest(self) -> tuple[int, int] | None:
        """Return the number of the latest entry that was written; None: nobody can tell."""
        keys = [f"{self._key}:epoch", f"{self._key}:n"]
        epoch, number = await _asked(lambda: self._client.mget(keys))
        return _numbers(b"%s-%s" % (epoch or b"", number or b""))

    async def behind(self, after: str) -> int:
        """Return how many entries follow *after*, dropped ones included where that is known."""
        _, at = _place(after)
        latest = await self._latest()
        if latest is not None and latest[0] == at[0] and latest[1] >= at[1]:
            return latest[1] - at[1]
        return int(await _asked(lambda: self._client.xlen(self._key)))

    async def oldest(self, after: str) -> int:
        """Return when the first entry that follows *after* was written, ms, by the store's clock.

        0: there is none.
        """
        place, _ = _place(after)
        if _of(place)[0] > _LARGEST:
            return 0
        rows: Any = await _asked(lambda: self._client.xrange(self._key, f"({place}", count=1))
        return int(rows[0][0].partition(b"-")[0]) if rows else 0

    async def archived(self, name: str, upto: str) -> None:
        """Note how far the archive *name* has read; what every archive has is dropped.

        *name*: 1 to 128 visible ASCII characters. An archive that was not heard of for FORGOTTEN
        holds up nothing.

        Raises:
            ValueError: it is no name.
        """
        if not _NAME.match(name):
            raise ValueError("an archive is named by 1 to 128 visible ASCII characters")
        place, at = _place(upto)
        if at != _START and _of(place)[0] <= _LARGEST:
            said = (name, place, FORGOTTEN)
            await _asked(lambda: self._script(self._client, self._prefix, *said))

    async def schemas(self, hashes: Sequence[str]) -> Mapping[str, bytes]:
        """Return the schemas of *hashes*, as far as they are kept, as JSON."""
        if not hashes:
            return {}
        key, names = f"{self._prefix}:schemas", list(hashes)
        found: Any = await _asked(lambda: self._client.hmget(key, names))
        return {name: text for name, text in zip(names, found, strict=True) if text is not None}


async def _asked(ask: Callable[[], Any]) -> Any:
    return await patiently(cast(Callable[[], Awaitable[Any]], ask))


def _place(after: str) -> tuple[str, tuple[int, int]]:
    """Return the id to read on behind, and the number of its entry."""
    found = _PLACE.match(after)
    numbers = _numbers(found[2].encode()) if found else None
    return (found[1], numbers) if found and numbers else (_BEGIN, _START)


def _numbers(said: bytes) -> tuple[int, int] | None:
    if not _NUMBER.match(said):
        return None
    epoch, _, number = said.partition(b"-")
    return (int(epoch), int(number)) if max(int(epoch), int(number)) <= _LARGEST else None


def _of(place: str) -> tuple[int, int]:
    time, _, number = place.partition("-")
    return int(time), int(number)


def _may_be(found: tuple[int, int], latest: tuple[int, int] | None) -> bool:
    """Say whether an entry may have the number *found* where the *latest* one has that."""
    return latest is not None and found[0] == latest[0] and found[1] <= latest[1]


def _between(before: tuple[int, int], after: tuple[int, int]) -> int:
    """Return how many entries were dropped; where the store went back in time, none."""
    missing = after[1] - before[1] if after[0] == before[0] else after[1]
    return max(0, missing - 1)


def _rows(answer: Any) -> Iterator[tuple[bytes, Mapping[bytes, bytes]]]:
    """Read the rows of XREAD, whichever protocol the connection speaks."""
    streams = answer.values() if isinstance(answer, dict) else [rows for _, rows in answer or ()]
    for rows in streams:
        for row in rows if not rows or isinstance(rows[0], tuple) else rows[0]:
            yield row[0], row[1] or {}
