"""What channels remember of calls, on a real store."""

from __future__ import annotations

import pytest

from interlock.core.errors import StoreUnavailable
from interlock.store.channel_notes import RedisChannelNotes
from interlock.store.connection import connect
from interlock.store.redis import RedisStore


def notes_on(store: RedisStore) -> RedisChannelNotes:
    return RedisChannelNotes(store.client, prefix=store._prefix[1:-1])


async def test_a_note_is_read_by_any_process_and_replaced(store: RedisStore) -> None:
    notes = notes_on(store)
    assert await notes.noted("slack", "a1") == ""
    await notes.note("slack", "a1", "first", 60_000)
    await notes.note("slack", "a1", "zweite: ü", 60_000)
    assert await notes_on(store).noted("slack", "a1") == "zweite: ü"
    assert await notes.noted("slack", "a2") == "" and await notes.noted("teams", "a1") == ""


async def test_a_note_is_not_kept_for_ever(store: RedisStore) -> None:
    await notes_on(store).note("slack", "a1", "x", 60_000)
    left = await store.client.pttl(f"{store._prefix}:said:slack:a1")
    assert 0 < left <= 60_000


async def test_a_store_that_is_gone_is_said_to_be(store: RedisStore) -> None:
    client = connect("unix:///nowhere/s.sock")
    with pytest.raises(StoreUnavailable):
        await RedisChannelNotes(client).noted("slack", "a1")
    await client.aclose()
