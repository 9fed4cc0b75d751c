from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from hypothesis import settings

from interlock.store.redis import RedisStore
from tests.support.stores import Server, fresh_prefix

if TYPE_CHECKING:
    from playwright.async_api import Browser

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


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """One browser for all tests: to start one and its driver takes as long as most of them."""
    from tests.approvals.browser import a_browser

    async with a_browser() as browser:
        yield browser
