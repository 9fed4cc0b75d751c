from collections.abc import AsyncIterator, Iterator

import pytest

from interlock.store.redis import RedisStore
from tests.support.stores import Server, fresh_prefix


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
    server = Server().start()
    yield server
    server.stop()
