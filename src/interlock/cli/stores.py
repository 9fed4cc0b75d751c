"""Opening the configured store from a command: joins a running embedded one, or starts it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from ..keyfiles import derived_keys
from ..settings import Config
from ..store.embedded import EmbeddedStore
from ..store.keyring import RedisKeyRing
from ..store.redis import RedisStore
from ..store.same_secret import RedisSameSecret


@dataclass(frozen=True, slots=True)
class StandingClock:
    """The store's time when the command began (ms): commands are short."""

    now: int

    def now_ms(self) -> int:
        return self.now


@dataclass(frozen=True, slots=True)
class Opened:
    """An open store and its key ring; `now` in ms by the store's clock."""

    store: RedisStore
    keys: RedisKeyRing
    now: int
    secret: RedisSameSecret


@contextlib.asynccontextmanager
async def opened(config: Config) -> AsyncIterator[Opened]:
    """Open the store that *config* names. Raises StoreUnavailable and WeakGround."""
    async with contextlib.AsyncExitStack() as stack:
        if config.store.url is not None:
            url = config.store.url.reveal()
        else:
            embedded = EmbeddedStore(
                config.data,
                fsync=config.store.embedded.fsync,
                maxmemory=config.store.embedded.max_memory,
            )
            url = (await stack.enter_async_context(embedded)).url
        store = RedisStore(url, config.store.prefix)
        stack.push_async_callback(store.close)
        now = await store.now()
        derived = derived_keys(config)
        keys = RedisKeyRing(
            store.client,
            prefix=config.store.prefix,
            pepper=derived.pepper,
            clock=StandingClock(now),
        )
        secret = RedisSameSecret(store.client, key=derived.store, prefix=config.store.prefix)
        yield Opened(store, keys, now, secret)
