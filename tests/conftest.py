from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import settings

from interlock.store.redis import RedisStore
from tests.support.stores import Server, fresh_prefix

# how long an example takes says only how busy the machine is
settings.register_profile("untimed", parent=settings(), deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One real Valkey for all tests that do not hurt it; each uses keys of its own."""
    server = Server().start()
    yield server
    server.stop()


@pytest.fixture
async def store(server: Server) -> AsyncIterator[RedisStore]:
    store = RedisStore(server.url, prefix=fresh_prefix())
    yield store
    await store.close()


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server that this test alone may kill, pause or fill."""
    # every write is in the file before its answer: with `everysec`, kill -9 during an fsync can
    # lose the last acknowledged writes (seen: 1 of 60 kills under load)
    server = Server("--appendfsync", "always").start()
    yield server
    server.stop()
