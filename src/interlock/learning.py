"""What past decisions make of agents' confidence: fitted in one process, believed in all.

`Fitting` reads the archive where it is, and keeps what it finds in the store, sealed. `Calibration`
has the latest of that in memory, so that judging a call waits for nothing.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Protocol

from .core.calibration import Models, Point, fit
from .core.errors import StoreUnavailable
from .learning_ports import Labelled, Labels
from .ports import Clock

log = logging.getLogger("interlock.learning")

LOOK = 60.0  #: seconds between two looks: for newer models, and for what is due
EVERY_MS = 3_600_000  #: how often models are fitted at least
NEW_LABELS = 100  #: so many more than at the last time are worth another one
UNHEARD_MS = 24 * 3_600_000  #: how long models are believed while the store says nothing of them
OLDEST_MS = 7 * 24 * 3_600_000  #: older models are not believed: agents change
SMALLER_MS = 24 * 3_600_000  #: how long models of many more labels stay, see `Fitting`
PAGE = 2_000  #: labelled calls that are in memory at a time
_SHARE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """Models, and what they are of. Times in ms."""

    models: Models
    at: int  #: when they were fitted, by the clock of the process that did
    labels: int  #: calls that had a claim and a label
    newest: int  #: when the last of them ended; 0: there is none


class Refused(enum.Enum):
    """Why what the store has is not believed."""

    FORGED = "forged"  #: nobody with our key wrote it
    VERSION = "version"  #: written by an Interlock with other models
    LARGE = "large"  #: longer than any that we write
    OLDER = "older"  #: fitted before those that we have: somebody put them back


class Calibrations(Protocol):
    """Where models are kept for every process. Raises StoreUnavailable from every method."""

    async def mark(self) -> bytes:
        """Return what changes with the models; empty: there are none."""

    async def read(self) -> Fitted | Refused | None:
        """Return what is kept; None: nothing."""

    async def write(self, fitted: Fitted) -> None: ...


def _uncounted(what: str) -> None:
    """Nobody counts."""


class Calibration:
    """learning_ports.Confidences: the latest models, read each minute."""

    def __init__(
        self, kept: Calibrations, clock: Clock, refused: Callable[[str], None] = _uncounted
    ) -> None:
        self._kept = kept
        self._clock = clock
        self._refused = refused
        self._fitted: Fitted | None = None
        self._heard = 0  #: when the store last had nothing else to say, ms
        self._mark = b""

    @property
    def fitted(self) -> Fitted | None:
        """What is believed now; None: nothing."""
        fitted, now = self._fitted, self._clock.now_ms()
        if fitted is None or now - self._heard > UNHEARD_MS or now - fitted.at > OLDEST_MS:
            return None
        return fitted

    @property
    def age(self) -> float | None:
        """Seconds since the models that are believed were fitted; None: there are none."""
        fitted = self.fitted
        return None if fitted is None else max(0, self._clock.now_ms() - fitted.at) / 1000

    def calibrated(self, agent: str, tool: str, claimed: float) -> float | None:
        """Return how likely such a call is right; None: too little is known."""
        fitted = self.fitted
        return None if fitted is None else fitted.models.calibrated(agent, tool, claimed)

    async def run(self) -> None:
        """Read what is kept each minute, until cancelled."""
        while True:
            try:
                await self.refresh()
            except StoreUnavailable as error:
                log.warning("%s", error.detail)
            except Exception:  # outermost: models that cannot be read must not end the reading
                log.exception("models of confidence were not read; again in %g s", LOOK)
            await asyncio.sleep(LOOK)

    async def refresh(self) -> None:
        """Read what is kept, where it has changed. Raises StoreUnavailable."""
        mark = await self._kept.mark()
        if mark and mark == self._mark:
            self._heard = self._clock.now_ms()
            return
        read = await self._kept.read()
        if read is None:
            return
        if isinstance(read, Fitted) and self._newer(read):
            self._fitted, self._mark, self._heard = read, mark, self._clock.now_ms()
            return
        why = Refused.OLDER if isinstance(read, Fitted) else read
        self._refused(why.value)
        log.error("models of confidence in the store are not believed: %s", why.value)

    def _newer(self, read: Fitted) -> bool:
        known, now = self._fitted, self._clock.now_ms()
        # a clock that was ahead once must not keep out everything until then
        return known is None or read.at >= known.at or known.at > now


class Fitting:
    """Fits models of the archive's labelled calls, hourly or when there are many new ones.

    Models of many more labels, which another archive of this installation fitted, stay for a day:
    an archive that has only begun to read knows less. `counted` is told how each fit ended;
    `believe` is asked to read what was kept, so that this process need not wait for its next look.
    """

    def __init__(
        self,
        archive: Labels,
        kept: Calibrations,
        clock: Clock,
        counted: Callable[[str], None] = _uncounted,
        believe: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._archive = archive
        self._kept = kept
        self._clock = clock
        self._counted = counted
        self._believe = believe
        self._last: int | None = None  #: when the last fit was made, ms
        self._labels = 0  #: how many it was made of

    async def run(self) -> None:
        """Fit what is due, until cancelled."""
        while True:
            try:
                if await self.due():
                    await self.fit()
            except StoreUnavailable as error:
                self._counted("failed")
                log.warning("confidence was not fitted: %s", error.detail)
            except Exception:  # outermost: one bad record must not end all fitting
                self._counted("failed")
                log.exception("confidence was not fitted; again in %g s", LOOK)
            await asyncio.sleep(LOOK)

    async def due(self) -> bool:
        """Whether an hour has passed, or enough new labels have come. Raises StoreUnavailable."""
        now = self._clock.now_ms()
        if self._last is None or not 0 <= now - self._last < EVERY_MS:
            return True
        return await self._archive.labels() - self._labels >= NEW_LABELS

    async def fit(self) -> Fitted:
        """Fit all that the archive has and keep it; return it. Raises StoreUnavailable."""
        began = self._clock.now_ms()
        points = _Points(self._archive, asyncio.get_running_loop())
        try:
            models = await asyncio.to_thread(lambda: fit(points))
        finally:
            points.stop.set()
        fitted = Fitted(models=models, at=began, labels=points.labels, newest=points.newest)
        self._last, self._labels = began, points.labels
        await self._keep(fitted)
        return fitted

    async def _keep(self, fitted: Fitted) -> None:
        there = await self._kept.read()
        if (
            isinstance(there, Fitted)
            and fitted.labels < there.labels * _SHARE
            and 0 <= fitted.at - there.at < SMALLER_MS
        ):
            self._counted("fewer")
            log.info("models of %d labels stay: here are %d", there.labels, fitted.labels)
            return
        await self._kept.write(fitted)
        self._counted("kept")
        if self._believe is not None:
            await self._believe()


class _Points:
    """Labelled calls of an archive, page by page, for a thread to read while the loop goes on."""

    def __init__(self, archive: Labels, loop: asyncio.AbstractEventLoop) -> None:
        self._archive = archive
        self._loop = loop
        self.stop = threading.Event()
        self.labels = 0
        self.newest = 0  #: when the last of them ended, ms

    def __iter__(self) -> Iterator[Point]:
        after: str | None = None
        while not self.stop.is_set():
            page, began = self._page(after), monotonic()
            self.labels += len(page.points)
            self.newest = max(self.newest, page.newest)
            yield from page.points
            after = page.next
            if after is None:
                return
            sleep(monotonic() - began)  # half of the time at most: calls are judged meanwhile
        raise StoreUnavailable("Interlock is shutting down.")

    def _page(self, after: str | None) -> Labelled:
        asked = asyncio.run_coroutine_threadsafe(self._archive.labelled(after, PAGE), self._loop)
        try:
            return asked.result()
        except CancelledError:
            raise StoreUnavailable("Interlock is shutting down.") from None
