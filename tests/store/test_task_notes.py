"""Notes on tasks, on a real store: one winner of each version, sealed, bounded, gone in time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from interlock.core.errors import CallTooLarge, QueueFull, StoreUnavailable
from interlock.store.redis import RedisStore
from interlock.store.task_notes import LONGEST, RedisTaskNotes

KEY = b"the key of notes, not in the store"
HOUR = 3_600_000


def notes_on(store: RedisStore, **more: Any) -> RedisTaskNotes:
    return RedisTaskNotes(store.client, **({"key": KEY, "prefix": store._prefix[1:-1]} | more))


@pytest.fixture
def notes(store: RedisStore) -> RedisTaskNotes:
    return notes_on(store)


async def test_a_note_is_read_as_it_was_written_by_any_process(
    store: RedisStore, notes: RedisTaskNotes
) -> None:
    nothing = await notes.get("bot", "t1")
    assert (nothing.version, nothing.content) == (0, b"")
    assert await notes.put("bot", "t1", b'{"a": 1}', version=0, keep_ms=HOUR)
    note = await notes_on(store).get("bot", "t1")
    assert (note.version, note.content) == (1, b'{"a": 1}')
    assert nothing.now <= note.now


async def test_of_two_that_follow_the_same_version_one_is_written(notes: RedisTaskNotes) -> None:
    assert await notes.put("bot", "t1", b"one", version=0, keep_ms=HOUR)
    won = await asyncio.gather(
        *(notes.put("bot", "t1", word, version=1, keep_ms=HOUR) for word in (b"two", b"three"))
    )
    assert sorted(won) == [False, True]
    assert not await notes.put("bot", "t1", b"late", version=0, keep_ms=HOUR)
    assert (await notes.get("bot", "t1")).content == (b"two" if won[0] else b"three")


async def test_a_note_ends_with_its_time_and_makes_room(store: RedisStore) -> None:
    notes = notes_on(store, most=1)
    assert await notes.put("bot", "t1", b"one", version=0, keep_ms=1)
    while (await notes.get("bot", "t1")).version:
        await asyncio.sleep(0)
    assert await notes.put("bot", "t2", b"two", version=0, keep_ms=HOUR)


async def test_one_agent_has_so_many_notes_and_takes_none_from_another(store: RedisStore) -> None:
    notes = notes_on(store, most=2)
    for task in ("t1", "t2"):
        assert await notes.put("bot", task, b"one", version=0, keep_ms=HOUR)
    with pytest.raises(QueueFull):
        await notes.put("bot", "t3", b"one", version=0, keep_ms=HOUR)
    assert await notes.put("bot", "t2", b"two", version=1, keep_ms=HOUR)
    assert await notes.put("cat", "t3", b"one", version=0, keep_ms=HOUR)


async def test_an_agent_that_keeps_too_much_gets_no_more_notes(
    store: RedisStore, notes: RedisTaskNotes
) -> None:
    await store.client.set(f"{store._prefix}:v:bot", 2**28)
    with pytest.raises(QueueFull):
        await notes.put("bot", "t1", b"one", version=0, keep_ms=HOUR)


async def test_a_note_that_is_too_long_is_not_kept(notes: RedisTaskNotes) -> None:
    with pytest.raises(CallTooLarge):
        await notes.put("bot", "t1", b"x" * (LONGEST + 1), version=0, keep_ms=HOUR)
    assert (await notes.get("bot", "t1")).version == 0


@pytest.mark.parametrize(
    "forged", [{"said": "other"}, {"mac": "0" * 64}, {"ver": "7"}, {"mac": "", "said": ""}]
)
async def test_a_note_that_was_changed_in_the_store_is_not_followed(
    store: RedisStore, notes: RedisTaskNotes, forged: dict[str, str]
) -> None:
    assert await notes.put("bot", "t1", b"one", version=0, keep_ms=HOUR)
    await store.client.hset(f"{store._prefix}:task:t1", mapping=forged)  # type: ignore[misc, arg-type]
    with pytest.raises(StoreUnavailable):
        await notes.get("bot", "t1")


async def test_a_note_counts_for_its_own_agent_task_and_key_alone(
    store: RedisStore, notes: RedisTaskNotes
) -> None:
    assert await notes.put("bot", "t1", b"one", version=0, keep_ms=HOUR)
    with pytest.raises(StoreUnavailable):
        await notes.get("cat", "t1")
    with pytest.raises(StoreUnavailable):
        await notes_on(store, key=b"another key of the same length...").get("bot", "t1")
    await store.client.copy(f"{store._prefix}:task:t1", f"{store._prefix}:task:t2")
    with pytest.raises(StoreUnavailable):
        await notes.get("bot", "t2")


async def test_a_short_key_is_refused(store: RedisStore) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        notes_on(store, key=b"short")
