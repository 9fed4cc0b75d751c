"""The archive of decided calls, in the process that serves people: opened, filled, learned from."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from .core.errors import StoreUnavailable
from .core.lifecycle import SETTLING
from .core.records import DecidedCall
from .core.redaction import visible_line
from .learning import Fitting
from .observe.archive import FILE, FileArchive
from .observe.following import MOVED_ON, UNVERIFIED, Following, Sources, Without
from .parts import Parts, calibrations_of
from .store.feed import RedisFeed
from .system import SystemClock
from .tasks import Tasks, stopped

log = logging.getLogger("interlock.archive")


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """The archive; `behind` answers how many entries of the feed are not in it."""

    archive: FileArchive
    behind: Callable[[], Awaitable[int]]


async def archived(parts: Parts, stack: AsyncExitStack) -> Archived:
    """Return the archive, followed and learned from until *stack* ends.

    Where it cannot be opened, the log says why; it is tried again, and answers so meanwhile.
    """
    config, store, gate = parts.config, parts.store, parts.gate
    archive = FileArchive(config.data / FILE)
    stack.push_async_callback(archive.close)
    feed = RedisFeed(store.url, config.store.prefix)
    stack.push_async_callback(feed.close)

    async def found(action_id: str) -> DecidedCall | Without | None:
        try:
            action = await store.get(action_id)
        except StoreUnavailable:  # one damaged record is left alone, a store that is down is not
            await store.now()
            return None
        if action is None:
            return None
        try:
            moved_on = action.state in SETTLING and gate.notes.vouched(action) is not None
            return MOVED_ON if moved_on else gate.notes.lapsed(action) or UNVERIFIED
        except Exception:  # outermost: one strange call must not stop what keeps all others
            log.exception("no record can be made of call %s", visible_line(action_id))
            return UNVERIFIED

    def keep() -> tuple[int, int]:
        kept = gate.policy.records
        return kept.keep_ms, kept.unreviewed_ms

    sources = Sources(records=feed, noting=gate.notes, found=found, keep=keep, now=store.now)
    following, learning = Following(archive, sources), parts.metrics.learning
    learning.know_archive(room=lambda: archive.room, lag=lambda: following.lag)
    fitting = Fitting(
        archive,
        calibrations_of(parts),
        SystemClock(),
        learning.fitted,
        parts.calibration.refresh,
    )
    tasks = Tasks()
    running = [tasks.spawn(following.run(), "archive"), tasks.spawn(fitting.run(), "calibration")]
    stack.push_async_callback(stopped, running)
    return Archived(archive=archive, behind=following.behind)
