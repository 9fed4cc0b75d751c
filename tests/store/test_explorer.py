"""Every interleaving of the shipped Lua keeps the promises; every planted fault is found."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests.store.explorer import FAULTS, FINAL, Broken, Explorer
from tests.support.stores import Server


@pytest.fixture(scope="module")
def client() -> Iterator[redis.Redis]:
    server = Server("--appendonly", "no").start()
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        yield client
    server.stop()


@pytest.mark.parametrize("quorum", [1, 2])
def test_no_interleaving_breaks_the_shipped_script(client: redis.Redis, quorum: int) -> None:
    explorer = Explorer(client, quorum)

    assert explorer.explore() > 700
    assert explorer.reached == (FINAL | {"held", "approved", "forwarding", "unknown"}) - {
        "responded"
    }


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(client: redis.Redis, fault: str) -> None:
    with pytest.raises(Broken, match="hold"):
        Explorer(client, 2, fault).explore()
