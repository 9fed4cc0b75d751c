"""One thing at a time for each person, and nothing is kept of those who do nothing."""

from __future__ import annotations

import gc

from interlock.approvals.turns import Turns


async def test_one_person_has_one_lock_and_another_has_another() -> None:
    turns = Turns()
    async with turns.of("ann") as _:
        assert turns.of("ann").locked()
        assert not turns.of("bob").locked()


async def test_whoever_waits_and_whoever_holds_share_a_lock() -> None:
    turns = Turns()
    lock = turns.of("ann")
    async with lock:
        assert turns.of("ann") is lock


async def test_nothing_is_kept_of_a_person_who_is_done() -> None:
    turns = Turns()
    async with turns.of("ann"):
        pass
    gc.collect()
    assert len(turns._locks) == 0
