from collections.abc import AsyncIterator

import pytest

from interlock.store.redis import RedisStore
from tests.support.stores import Server, fresh_prefix

from .world import World, a_world


@pytest.fixture
async def world(server: Server) -> AsyncIterator[World]:
    prefix = fresh_prefix()
    store = RedisStore(server.url, prefix=prefix)
    async with a_world(store, prefix) as world:
        yield world
    await store.close()
