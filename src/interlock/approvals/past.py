"""What past decisions tell beside a held call: of each rule that fired, and of the agent's word.

Nothing waits for the archive: what was read in the last minute is shown, what was not is read in
the background and shown to whoever looks next. Without an archive, nothing is shown.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable

from aiohttp import web

from ..core.actions import Action
from ..core.analytics import FEW, Analytics, Bin, Group, Selected
from ..core.errors import InterlockError
from ..learning_ports import Archive
from ..tasks import Tasks, stopped
from .analytics_view import share
from .models_item import Item, LikeThis
from .models_judged import Precision, Rule

log = logging.getLogger("interlock")
FRESH = 60.0  #: seconds
_STALE = 3600.0  #: seconds; older figures are not shown
_MOST = 64  #: selections that are remembered
SINCE_MS = 90 * 86_400_000  #: how far back figures on a card go


class Past:
    """Figures of the archive, each read at most once a minute, one at a time."""

    def __init__(
        self, archive: Archive | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._archive = archive
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, Analytics]] = OrderedDict()
        self._reading: dict[str, asyncio.Task[None]] = {}
        self._one = asyncio.Lock()
        self._tasks = Tasks()
        self._complained = False

    def of(self, agent: str, now: int) -> Analytics | None:
        """Return what is known of *agent*'s calls (empty: all), at once; None: nothing yet.

        *now*: ms, by the store's clock. What is not fresh is read again behind the scenes.
        """
        if self._archive is None:
            return None
        at, found = self._known.get(agent, (float("-inf"), None))
        age = self._clock() - at
        if age > FRESH and agent not in self._reading and len(self._reading) < _MOST:
            selected = Selected(since=max(now - SINCE_MS, 0), agent=agent)
            reading = self._read(self._archive, selected)
            self._reading[agent] = self._tasks.spawn(reading, "figures beside calls")
        return found if age <= _STALE else None

    async def _read(self, archive: Archive, selected: Selected) -> None:
        try:
            async with self._one:
                found = await archive.analytics(selected)
            self._known[selected.agent] = (self._clock(), found)
            self._known.move_to_end(selected.agent)
            self._complained = False
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
        except InterlockError as error:  # it is an extra: the call is shown without it
            log.info("no figures beside calls: %s", error.detail)
        except Exception as error:  # outermost: nobody else sees what this task ends with
            self._complain(error)
        finally:
            self._reading.pop(selected.agent, None)

    def _complain(self, error: Exception) -> None:
        """Log a defect once, until figures are read again."""
        if not self._complained:
            log.error("no figures beside calls, by a defect of the archive", exc_info=error)
        self._complained = True

    async def settled(self) -> None:
        """Return once nothing is being read any more."""
        await asyncio.gather(*self._reading.values(), return_exceptions=True)

    async def close(self) -> None:
        await stopped(list(self._reading.values()))


PAST: web.AppKey[Past] = web.AppKey("past", Past)


def on_item(past: Past, item: Item, action: Action, now: int) -> Item:
    """Return *item* with what past decisions tell of its rules and of the agent's confidence."""
    update: dict[str, object] = {}
    every, own = past.of("", now), past.of(action.call.agent.id, now)
    if item.decision is not None and every is not None and action.decision is not None:
        ids = [hit.id for hit in action.decision.rules]
        update["decision"] = item.decision.model_copy(
            update={"rules": _with_precision(item.decision.rules, ids, every.rules)}
        )
    claimed = action.call.context.confidence
    calibrated = action.decision.facts.calibrated if action.decision else None
    if claimed is not None:
        like = _like_this(claimed, own, every)
        told = {"calibrated": calibrated, "past": like}
        update["context"] = item.context.model_copy(update=told)
    return item.model_copy(update=update)


def _with_precision(shown: list[Rule], ids: list[str], groups: tuple[Group, ...]) -> list[Rule]:
    known = {group.name: group.precision for group in groups}
    made = []
    for rule, name in zip(shown, ids, strict=True):
        found = known.get(name)
        if found is None or not found.of:
            made.append(rule)
            continue
        told = Precision(**share(found).model_dump())
        made.append(rule.model_copy(update={"precision": told}))
    return made


def _like_this(claimed: float, own: Analytics | None, every: Analytics | None) -> LikeThis | None:
    """Return the calls that claimed as much: those of the agent where they are not too few."""
    mine, all_ = _bin(claimed, own), _bin(claimed, every)
    chosen = mine if mine and (mine.of >= FEW or all_ is None) else all_
    if chosen is None:
        return None
    return LikeThis(
        agent=chosen is mine,
        low=chosen.low,
        high=chosen.high,
        right=chosen.right,
        of=chosen.of,
        few=chosen.of < FEW,
    )


def _bin(claimed: float, found: Analytics | None) -> Bin | None:
    bins = found.reliability.bins if found is not None else ()
    return next(
        (
            each
            for each in bins
            if each.of and (each.low <= claimed < each.high or claimed == each.high == 1)
        ),
        None,
    )
