"""Every interleaving of the shipped Lua keeps the promises; every planted fault is found."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests.store.explorer import (
    AGENT,
    FAULTS,
    FINAL,
    PRACTICE_FAULTS,
    STOPPING_FAULTS,
    Bounds,
    Broken,
    Explorer,
)
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


@pytest.mark.parametrize("who", [AGENT, "-"])
def test_no_send_begins_and_nothing_is_taken_in_while_its_agent_is_stopped(
    client: redis.Redis, who: str
) -> None:
    bounds = Bounds(edits=1, crashes=0, stops=(who,))

    assert Explorer(client, 1, bounds=bounds).explore() > 300


@pytest.mark.parametrize("fault", STOPPING_FAULTS)
def test_a_planted_fault_in_stopping_is_found(client: redis.Redis, fault: str) -> None:
    with pytest.raises(Broken, match="stop"):
        Explorer(client, 1, fault, Bounds(edits=1, stops=(AGENT, "-"))).explore()


def test_an_escalation_changes_nothing_but_who_may_decide(client: redis.Redis) -> None:
    bounds = Bounds(edits=1, crashes=0, raises=1)

    assert Explorer(client, 2, bounds=bounds).explore() > 300


def test_no_interleaving_makes_anything_of_a_practice_call(client: redis.Redis) -> None:
    explorer = Explorer(client, 1, bounds=Bounds(decoy="a0"))

    assert explorer.explore() > 5
    assert explorer.reached == {"held", "cancelled", "expired"}


@pytest.mark.parametrize("fault", PRACTICE_FAULTS)
def test_a_planted_fault_in_practice_calls_is_found(client: redis.Redis, fault: str) -> None:
    with pytest.raises(Broken, match="practice|reached"):
        Explorer(client, 1, fault, Bounds(decoy="a0")).explore()
