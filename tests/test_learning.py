"""Models of confidence are fitted where the archive is, and believed only while they hold."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from interlock.core.calibration import Models, Platt
from interlock.core.errors import StoreUnavailable
from interlock.core.records import DecidedCall
from interlock.learning import (
    EVERY_MS,
    NEW_LABELS,
    OLDEST_MS,
    PAGE,
    SMALLER_MS,
    UNHEARD_MS,
    Calibration,
    Fitted,
    Fitting,
    Refused,
)
from interlock.learning_ports import Labelled
from tests.support.archive import MemoryArchive
from tests.support.records import NOON, audited, record, said, unreviewed

HALF = Models(by={("", ""): Platt(of=60, slope=0.0, offset=0.0)})


@dataclass
class Clock:
    now: int = NOON

    def now_ms(self) -> int:
        return self.now


@dataclass
class Kept:
    """learning.Calibrations in memory; `down` refuses, as a store that does not answer."""

    there: Fitted | Refused | None = None
    down: bool = False
    reads: int = 0
    wrote: list[Fitted] = field(default_factory=list)

    async def mark(self) -> bytes:
        self._ask()
        return repr(self.there).encode() if self.there is not None else b""

    async def read(self) -> Fitted | Refused | None:
        self._ask()
        self.reads += 1
        return self.there

    async def write(self, fitted: Fitted) -> None:
        self._ask()
        self.there = fitted
        self.wrote.append(fitted)

    def _ask(self) -> None:
        if self.down:
            raise StoreUnavailable


def fitted(models: Models = HALF, at: int = NOON, labels: int = 60) -> Fitted:
    return Fitted(models=models, at=at, labels=labels, newest=at)


# believing ----------------------------------------------------------------------------------


async def test_nothing_is_known_before_models_were_read() -> None:
    calibration = Calibration(Kept(fitted()), Clock())
    assert calibration.calibrated("bot", "bank.pay", 0.9) is None
    assert calibration.age is None
    await calibration.refresh()
    assert calibration.calibrated("bot", "bank.pay", 0.9) == 0.5
    assert calibration.age == 0


async def test_models_that_stay_are_not_read_again() -> None:
    kept = Kept(fitted())
    calibration = Calibration(kept, Clock())
    for _ in range(3):
        await calibration.refresh()
    assert kept.reads == 1


async def test_newer_models_take_the_place_of_older_ones() -> None:
    kept, clock = Kept(fitted()), Clock()
    calibration = Calibration(kept, clock)
    await calibration.refresh()
    kept.there = fitted(Models(), at=NOON + 1)
    await calibration.refresh()
    assert calibration.calibrated("bot", "bank.pay", 0.9) is None


async def test_models_outlast_a_store_that_is_down_for_a_day_and_no_longer() -> None:
    kept, clock = Kept(fitted()), Clock()
    calibration = Calibration(kept, clock)
    await calibration.refresh()
    kept.down = True
    clock.now += UNHEARD_MS
    with pytest.raises(StoreUnavailable):
        await calibration.refresh()
    assert calibration.calibrated("bot", "bank.pay", 0.9) == 0.5
    clock.now += 1
    assert calibration.calibrated("bot", "bank.pay", 0.9) is None
    assert calibration.age is None

    kept.down = False
    await calibration.refresh()
    assert calibration.calibrated("bot", "bank.pay", 0.9) == 0.5


async def test_models_that_the_store_lost_are_believed_for_a_day() -> None:
    kept, clock = Kept(fitted()), Clock()
    calibration = Calibration(kept, clock)
    await calibration.refresh()
    kept.there = None
    clock.now += UNHEARD_MS
    await calibration.refresh()
    assert calibration.calibrated("bot", "bank.pay", 0.9) == 0.5
    clock.now += 1
    assert calibration.calibrated("bot", "bank.pay", 0.9) is None


async def test_old_models_are_not_believed_however_often_they_are_read() -> None:
    kept, clock = Kept(fitted()), Clock(NOON + OLDEST_MS)
    calibration = Calibration(kept, clock)
    await calibration.refresh()
    assert calibration.calibrated("bot", "bank.pay", 0.9) == 0.5
    clock.now += 1
    await calibration.refresh()
    assert calibration.calibrated("bot", "bank.pay", 0.9) is None


@pytest.mark.parametrize("why", [Refused.FORGED, Refused.VERSION, Refused.LARGE])
async def test_what_is_refused_is_counted_and_changes_nothing(why: Refused) -> None:
    refused: list[str] = []
    kept = Kept(fitted())
    calibration = Calibration(kept, Clock(), refused.append)
    await calibration.refresh()
    kept.there = why
    await calibration.refresh()
    assert refused == [why.value]
    assert calibration.calibrated("bot", "bank.pay", 0.9) == 0.5


async def test_models_that_somebody_put_back_are_not_believed() -> None:
    refused: list[str] = []
    kept, clock = Kept(fitted(Models(), at=NOON + EVERY_MS)), Clock(NOON + EVERY_MS)
    calibration = Calibration(kept, clock, refused.append)
    await calibration.refresh()
    kept.there = fitted(HALF, at=NOON)
    await calibration.refresh()
    assert refused == ["older"]
    assert calibration.calibrated("bot", "bank.pay", 0.9) is None


async def test_a_clock_that_was_ahead_once_keeps_nothing_out() -> None:
    kept, clock = Kept(fitted(Models(), at=NOON + OLDEST_MS)), Clock()
    calibration = Calibration(kept, clock)
    await calibration.refresh()
    kept.there = fitted(HALF, at=NOON)
    await calibration.refresh()
    assert calibration.calibrated("bot", "bank.pay", 0.9) == 0.5


# fitting ------------------------------------------------------------------------------------


def decided(count: int, *, first: int = 0) -> list[DecidedCall]:
    """Calls claimed at 0.9, of which every other one was rejected."""
    return [
        record(
            id=f"c{first + each:06}",
            ended=NOON + first + each,
            confidence=0.9,
            reviews=(said("approve" if each % 2 else "reject"),),
        )
        for each in range(count)
    ]


def fitting(
    archive: MemoryArchive, kept: Kept | None = None, clock: Clock | None = None
) -> tuple[Fitting, Kept, list[str]]:
    kept, counted = kept or Kept(), []
    return Fitting(archive, kept, clock or Clock(), counted.append), kept, counted


async def test_what_people_decided_is_fitted_page_by_page_and_kept() -> None:
    archive = MemoryArchive(decided(2 * PAGE + 10))
    fits, kept, counted = fitting(archive)
    made = await fits.fit()
    assert archive.pages == 3
    assert (made.labels, made.newest) == (2 * PAGE + 10, NOON + 2 * PAGE + 9)
    assert kept.there == made and counted == ["kept"]

    calibration = Calibration(kept, Clock())
    await calibration.refresh()
    known = calibration.calibrated("bot", "bank.pay", 0.9)
    assert known == pytest.approx(0.5, abs=0.01)


async def test_who_fits_models_believes_them_at_once() -> None:
    kept = Kept()
    calibration = Calibration(kept, Clock())
    fits = Fitting(MemoryArchive(decided(60)), kept, Clock(), believe=calibration.refresh)
    await fits.fit()
    assert calibration.calibrated("bot", "bank.pay", 0.9) == pytest.approx(0.5, abs=0.05)


async def test_calls_without_a_claim_or_a_label_teach_nothing() -> None:
    rest = [
        record(id="x1", confidence=None),
        record(id="x2", reviews=(), state="expired"),
        unreviewed(id="x3"),
    ]
    fits, _, _ = fitting(MemoryArchive([*decided(60), *rest]))
    assert (await fits.fit()).labels == 60


async def test_the_loop_goes_on_while_models_are_fitted() -> None:
    fits, _, _ = fitting(MemoryArchive(decided(4 * PAGE)))
    made, turns = asyncio.ensure_future(fits.fit()), 0
    while not made.done():
        turns += 1
        await asyncio.sleep(0)
    assert (await made).labels == 4 * PAGE
    assert turns > 8  # two for each page at least


async def test_an_archive_that_breaks_off_changes_nothing() -> None:
    fits, kept, counted = fitting(MemoryArchive(decided(2 * PAGE), broken={2}), Kept(fitted()))
    with pytest.raises(StoreUnavailable):
        await fits.fit()
    assert kept.wrote == [] and counted == []
    assert await fits.due()  # it is tried again at the next look


async def test_models_are_due_at_the_start_and_then_hourly() -> None:
    clock = Clock()
    fits, _, _ = fitting(MemoryArchive(decided(60)), clock=clock)
    assert await fits.due()
    await fits.fit()
    clock.now += EVERY_MS - 1
    assert not await fits.due()
    clock.now += 1
    assert await fits.due()


async def test_a_clock_that_is_set_back_holds_nothing_up() -> None:
    clock = Clock()
    fits, _, _ = fitting(MemoryArchive(decided(60)), clock=clock)
    await fits.fit()
    clock.now -= 1
    assert await fits.due()


async def test_enough_new_labels_are_worth_a_fit_before_the_hour_is_over() -> None:
    archive = MemoryArchive(decided(60))
    fits, _, _ = fitting(archive)
    await fits.fit()
    archive.records += decided(NEW_LABELS - 1, first=60)
    assert not await fits.due()
    assert not await fits.due()  # none is counted twice
    archive.records += decided(1, first=60 + NEW_LABELS - 1)
    assert await fits.due()
    assert (await fits.fit()).labels == 60 + NEW_LABELS
    assert not await fits.due()


async def test_audits_of_old_calls_are_new_labels() -> None:
    waiting = [unreviewed(id=f"d{n:04}", share=0.5, drawn=True) for n in range(NEW_LABELS)]
    archive = MemoryArchive([*decided(60), *waiting])
    fits, _, _ = fitting(archive)
    await fits.fit()
    assert not await fits.due()
    archive.records = [*decided(60), *(replace(each, audit=audited()) for each in waiting)]
    assert await fits.due()


async def test_an_archive_that_knows_much_less_does_not_undo_what_another_fitted() -> None:
    clock = Clock()
    fits, kept, counted = fitting(MemoryArchive(decided(60)), Kept(fitted(labels=1000)), clock)
    await fits.fit()
    assert kept.wrote == [] and counted == ["fewer"]
    clock.now += SMALLER_MS
    await fits.fit()
    assert [each.labels for each in kept.wrote] == [60] and counted == ["fewer", "kept"]


async def test_what_is_forged_is_replaced() -> None:
    fits, kept, counted = fitting(MemoryArchive(decided(60)), Kept(Refused.FORGED))
    made = await fits.fit()
    assert kept.there == made and counted == ["kept"]


async def test_a_store_that_does_not_answer_is_told_of() -> None:
    fits, kept, _ = fitting(MemoryArchive(decided(60)), Kept(down=True))
    with pytest.raises(StoreUnavailable):
        await fits.fit()
    assert kept.there is None


class Endless(MemoryArchive):
    """An archive that goes on for ever."""

    async def labelled(self, after: str | None, limit: int) -> Labelled:
        page = await super().labelled(None, limit)
        return replace(page, next="again")


async def test_a_fit_that_is_cancelled_ends_its_thread() -> None:
    archive = Endless(decided(3))
    fits, kept, _ = fitting(archive)
    running = asyncio.ensure_future(fits.fit())
    while archive.pages < 3:
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.get_running_loop().shutdown_default_executor()  # waits for its threads
    assert kept.wrote == []


async def test_both_go_on_where_the_store_fails_and_end_when_they_are_cancelled() -> None:
    kept = Kept(down=True)
    fits, _, counted = fitting(MemoryArchive(decided(60)), kept)
    running = [
        asyncio.ensure_future(fits.run()),
        asyncio.ensure_future(Calibration(kept, Clock()).run()),
    ]
    while not counted:
        await asyncio.sleep(0)
    assert counted == ["failed"]
    assert not any(each.done() for each in running)
    for each in running:
        each.cancel()
    assert all(
        isinstance(each, asyncio.CancelledError)
        for each in await asyncio.gather(*running, return_exceptions=True)
    )
