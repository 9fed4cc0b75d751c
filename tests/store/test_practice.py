"""What the store remembers of practice."""

from __future__ import annotations

import pytest

from interlock.core.practice import KEPT_MS, Figures, Practised
from interlock.store.practice import EACH, PEOPLE, RedisPractice
from interlock.store.redis import RedisStore
from tests.support.stores import fresh_prefix

NOW = 1_790_000_000_000


@pytest.fixture
def book(store: RedisStore) -> RedisPractice:
    return RedisPractice(store.client, prefix=fresh_prefix())


async def test_one_process_plants_at_a_time(book: RedisPractice) -> None:
    assert await book.take_turn(60_000)
    assert not await book.take_turn(60_000)


async def test_what_was_shown_lately_is_known(book: RedisPractice) -> None:
    await book.show("a1")

    assert await book.shown(["a0", "a1"]) == {"a1"}
    assert await book.shown([]) == frozenset()


async def test_figures_are_of_each_person_and_of_the_last_30_days(book: RedisPractice) -> None:
    await book.note("ann", "d0", Practised.MISSED, NOW - KEPT_MS - 1)
    await book.note("ann", "d1", Practised.CAUGHT, NOW - KEPT_MS)
    await book.note("ann", "d2", Practised.CAUGHT, NOW)
    await book.note("ann", "d2", Practised.CAUGHT, NOW)
    await book.note("ann", "d3", Practised.MISSED, NOW)
    await book.note("bob", "d4", Practised.NEITHER, NOW)

    assert await book.people(NOW) == ("ann", "bob")
    assert await book.figures(["ann", "bob", "eve"], NOW) == (
        Figures(person="ann", caught=2, missed=1),
        Figures(person="bob", caught=0, missed=0),
        Figures(person="eve", caught=0, missed=0),
    )


async def test_it_is_bounded(book: RedisPractice, store: RedisStore) -> None:
    own, people = book._own("p0"), f"{book._prefix}:people"
    await store.client.zadd(own, {f"x{each} caught": NOW - 9 for each in range(EACH)})
    await store.client.zadd(people, {f"p{each}": NOW - 9 for each in range(PEOPLE)})

    await book.note("p0", "d1", Practised.MISSED, NOW)
    await book.note("new", "d2", Practised.MISSED, NOW)

    assert await store.client.zcard(own) == EACH
    assert await store.client.zcard(people) == PEOPLE
    assert "new" in await book.people(NOW)
    assert 0 < await store.client.pttl(own) <= KEPT_MS
