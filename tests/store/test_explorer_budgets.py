"""In every interleaving of two calls the counters are what the calls are; every fault is found."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests.store.explorer import Broken
from tests.store.explorer_budgets import FAULTS, Budgets
from tests.support.stores import Server


@pytest.fixture(scope="module")
def client() -> Iterator[redis.Redis]:
    server = Server("--appendonly", "no").start()
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        yield client
    server.stop()


def test_no_interleaving_of_two_calls_miscounts_a_share(client: redis.Redis) -> None:
    budgets = Budgets(client)

    assert budgets.explore() > 1500
    assert budgets.refused > 300


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(client: redis.Redis, fault: str) -> None:
    with pytest.raises(Broken):
        Budgets(client, fault).explore()
