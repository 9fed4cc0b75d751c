"""Follows the store's feed of decided calls into the archive, and drops there what is too old.

What was read and where to go on are written together, so that each record is taken in once, also
after a kill -9. Whatever fails is tried again, later and later; calls wait in the store meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import hashlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

from ..core.errors import StoreUnavailable
from ..core.records import DecidedCall
from ..learning_ports import Records
from .archive import FileArchive, Taken
from .archive_taking import UnfitRecord

log = logging.getLogger("interlock.archive")

BATCH = 500  #: entries that are read and written together
WAIT_MS = 1_000  #: that one read waits for entries
GATHER = 0.25  #: seconds in which entries gather: each write takes the disk and the processor
PAUSE, LONGEST_PAUSE = 1.0, 60.0  #: seconds between tries after an error
EVERY_MS = 3_600_000  #: between two looks for what is too old


class Without(enum.Enum):
    """Why no record is made of a call that is in the store."""

    UNVERIFIED = enum.auto()  #: nothing of it can be believed
    MOVED_ON = enum.auto()  #: its end has become another one since, which has an entry of its own


UNVERIFIED: Final = Without.UNVERIFIED
MOVED_ON: Final = Without.MOVED_ON


class Noting(Protocol):
    """The part of `interlock.noting.Noting` that reads entries."""

    def decode(self, entry: bytes) -> DecidedCall:
        """Return the record of *entry*. Raises ValueError where nobody with our key wrote it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where records come from.

    `found` returns the record of a call that the store ended by itself; None: it is gone;
    UNVERIFIED: it was changed, or did not end by itself. MOVED_ON: it did not stay as it ended.
    `keep` returns for how long policy keeps reviewed calls, and others, ms. `now`: ms, by the
    store's clock. The last three raise StoreUnavailable.
    """

    records: Records
    noting: Noting
    found: Callable[[str], Awaitable[DecidedCall | Without | None]]
    keep: Callable[[], tuple[int, int]]
    now: Callable[[], Awaitable[int]]


class Following:
    """Have it `run` where the archive is open.

    `lag`: seconds that the oldest entry that is not in the archive has waited, when that was last
    looked at; 0: none waits; None: nobody knows.
    """

    def __init__(
        self,
        archive: FileArchive,
        sources: Sources,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._archive, self._sources = archive, sources
        self._pause = pause
        self._behind = 0
        self._upto = ""
        self._swept = 0
        self.lag: float | None = None
        archive.behind = lambda: self._behind

    async def run(self) -> None:
        """Follow until cancelled."""
        pause, told = PAUSE, ""
        while True:
            try:
                taken = await self.step(WAIT_MS)
                pause, told, self._archive.stuck = PAUSE, "", False
                if 0 < taken < BATCH:
                    await self._pause(GATHER)
            except StoreUnavailable as error:
                await self._look()
                if error.detail != told:  # once, however often it is tried
                    log.error("%s %s", error.detail, error.help)
                    told = error.detail
                await self._pause(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
            except Exception:  # outermost: one bad record must not stop what keeps all others
                self._archive.stuck = True
                log.exception("following decided calls failed; again in %g s", LONGEST_PAUSE)
                await self._pause(LONGEST_PAUSE)

    async def step(self, wait_ms: int = 0) -> int:
        """Take in what there is, up to BATCH entries; return how many it was.

        Raises:
            StoreUnavailable: the store or the archive does not answer; nothing was taken in.
        """
        at, records = await self._archive.position(), self._sources.records
        feed = await records.read(at.upto, BATCH, wait_ms)
        if feed.next == at.upto and (feed.entries or feed.ended):  # for ever, and at once
            raise StoreUnavailable(
                "The feed of decided calls cannot be read on: it says the same again.",
                help="Find out who can write to the store; delete what they put into the feed.",
            )
        taken = 0
        if feed.next != at.upto or feed.lost:
            taken = await self._take(feed.entries, feed.ended, feed.next, feed.lost)
            if feed.lost and not at.upto:
                log.warning("a new archive was made; earlier decided calls are not in it")
            await records.archived(at.name, feed.next)
        self._upto = feed.next
        now = await self._measure()
        await self._forget(now)
        return taken

    async def behind(self) -> int:
        """Return how many entries of the feed are not in the archive; renews `lag`.

        Where the archive does not answer, it is as far as it was. Raises StoreUnavailable.
        """
        with contextlib.suppress(StoreUnavailable):
            self._upto = (await self._archive.position()).upto
        await self._measure()
        return self._behind

    async def _measure(self) -> int:
        """Look how much the archive lacks, and since when; return the store's time, ms."""
        self.lag = None
        records, now = self._sources.records, await self._sources.now()
        self._behind = await records.behind(self._upto)
        since = await records.oldest(self._upto) if self._behind else 0
        self.lag = max(now - since, 0) / 1000 if since else 0.0
        return now

    async def _look(self) -> None:
        with contextlib.suppress(StoreUnavailable):
            await self.behind()

    async def _take(
        self, entries: Iterable[bytes], ended: Iterable[str], upto: str, lost: int
    ) -> int:
        # in another thread: a batch of 500 takes as long as many calls
        known, forged = await asyncio.to_thread(_decoded, entries, self._sources.noting)
        for action_id in ended:
            record = await self._sources.found(action_id)
            if record is UNVERIFIED:
                forged += 1
            elif record is None:
                lost += 1
            elif record is not MOVED_ON:
                known.append(record)
        schemas = await self._schemas(known)
        taken = Taken(records=tuple(known), upto=upto, lost=lost, forged=forged, schemas=schemas)
        forged = await self._put(taken)
        if lost or forged:
            log.warning(
                "the feed of decided calls: %d were dropped before they were read, %d are forged",
                lost,
                forged,
            )
        return len(known)

    async def _put(self, taken: Taken) -> int:
        """Have *taken* written; return how much of it is forged, unfit records among it."""
        try:
            await self._archive.take(taken)
        except UnfitRecord:
            forged = taken.forged + await self._one_by_one(taken.records)
            await self._archive.take(replace(taken, records=(), forged=forged))
            return forged
        except StoreUnavailable:  # a full disk, a locked file: all of it is tried again
            self._archive.stuck = True
            raise
        return taken.forged

    async def _one_by_one(self, records: Iterable[DecidedCall]) -> int:
        """Take in what can be kept; return how many cannot. The place in the feed stays."""
        unfit, upto = 0, (await self._archive.position()).upto
        for each in records:
            try:
                await self._archive.take(Taken(records=(each,), upto=upto, schemas={}))
            except UnfitRecord:
                unfit += 1
        return unfit

    async def _schemas(self, records: Iterable[DecidedCall]) -> Mapping[str, str]:
        """Return the schemas that *records* name and the archive lacks, as far as there are any."""
        named = {each.schema for each in records} - {""}
        missing = await self._archive.missing(sorted(named)) if named else ()
        found = await self._sources.records.schemas(missing) if missing else {}
        return {
            name: document.decode()
            for name, document in found.items()
            if hashlib.sha256(document).hexdigest() == name
        }

    async def _forget(self, now: int) -> None:
        if now - self._swept < EVERY_MS:
            return
        reviewed, unreviewed = self._sources.keep()
        gone = await self._archive.forget(now - reviewed, now - unreviewed)
        self._swept = now
        if gone:
            log.info("%d decided calls were dropped: policy keeps them no longer", gone)


def _decoded(entries: Iterable[bytes], noting: Noting) -> tuple[list[DecidedCall], int]:
    """Return what *entries* say, and how many nobody with our key wrote."""
    known, forged = [], 0
    for entry in entries:
        try:
            known.append(noting.decode(entry))
        except ValueError:
            forged += 1
    return known, forged
