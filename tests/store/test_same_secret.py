"""Which secret made the store, on a real one."""

from __future__ import annotations

from interlock.store.redis import RedisStore
from interlock.store.same_secret import RedisSameSecret


def secret_of(store: RedisStore, secret: bytes) -> RedisSameSecret:
    return RedisSameSecret(store.client, key=secret, prefix=store._prefix[1:-1])


async def test_the_first_secret_is_the_stores_and_no_other_fits(store: RedisStore) -> None:
    first, other = secret_of(store, b"first"), secret_of(store, b"other")

    assert await other.fits()  # nobody has made it yet
    assert await first.keep()
    assert await first.keep() and await secret_of(store, b"first").fits()
    assert not await other.keep() and not await other.fits()


async def test_a_secret_that_was_changed_on_purpose_takes_its_place(store: RedisStore) -> None:
    first, new = secret_of(store, b"first"), secret_of(store, b"new")
    await first.keep()

    await new.replace()
    assert await new.keep()
    assert not await first.fits()
