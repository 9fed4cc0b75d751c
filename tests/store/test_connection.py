"""redis-py's traps: repeats that nobody asked for, replies for the wrong caller, odd errors."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis.exceptions
from redis.asyncio import Redis

from interlock.core.actions import State
from interlock.core.errors import StoreUnavailable
from interlock.core.events import Claimed, Decided, Event, Reviewed
from interlock.core.lifecycle import step
from interlock.ports import Change, Put
from interlock.store.connection import _MEANING, ATTEMPTS, Lane, connect, patiently, translated
from interlock.store.redis import RedisStore
from tests.support.builders import a_decision, a_review, an_action
from tests.support.proxy import Proxy, proxy
from tests.support.stores import Server, fresh_prefix


@pytest.fixture
async def lossy(server: Server, tmp_path: Path) -> AsyncIterator[Proxy]:
    async with proxy(server.url, tmp_path) as made:
        yield made


@pytest.fixture
async def store(lossy: Proxy) -> AsyncIterator[RedisStore]:
    store = RedisStore(lossy.url, fresh_prefix())
    await store.now()
    yield store
    await store.close()


EVENTS = ["hold", "approve", "claim"]


async def happen(store: RedisStore, name: str) -> Put:
    at = await store.now()
    action = await store.get("a1") or an_action()
    events: dict[str, Event] = {
        "hold": Decided(at=at, decision=a_decision()),
        "approve": Reviewed(at=at, review=a_review(action), decision=a_decision()),
        "claim": Claimed(at=at, nonce="w1", lease_ms=60_000),
    }
    nonce = "w1" if name == "claim" else name
    before = action
    after, _ = step(before, events[name])
    stored = await store.put(Change(before=before, event=events[name], after=after, nonce=nonce))
    return stored.outcome


@pytest.mark.parametrize("name", EVENTS)
@pytest.mark.parametrize("times", [1, ATTEMPTS - 1])
async def test_a_lost_reply_changes_nothing(
    store: RedisStore, lossy: Proxy, name: str, times: int
) -> None:
    steps = EVENTS[: EVENTS.index(name) + 1]
    for step_ in steps[:-1]:
        await happen(store, step_)
    lossy.lose_reply(b"EVALSHA\r\n$40\r\n" + store._put._sha.encode(), times)

    assert await happen(store, name) is Put.OK

    action = await store.get("a1")
    assert lossy.sprung == times
    assert action is not None and action.version == len(steps)
    assert len(await store.history("a1")) == len(steps)


async def test_a_command_that_never_arrived_is_asked_again(store: RedisStore, lossy: Proxy) -> None:
    lossy.lose_command(store._put._sha.encode())

    assert await happen(store, "hold") is Put.OK
    assert lossy.sprung == 1


async def test_after_too_many_lost_replies_the_store_is_unavailable_and_the_write_stands(
    store: RedisStore, lossy: Proxy
) -> None:
    lossy.lose_reply(store._put._sha.encode(), ATTEMPTS)

    with pytest.raises(StoreUnavailable, match="Nothing was sent"):
        await happen(store, "hold")

    action = await store.get("a1")
    assert action is not None and action.state is State.HELD and action.version == 1


async def test_the_driver_repeats_nothing_by_itself(lossy: Proxy) -> None:
    async with connect(lossy.url) as client:
        await client.set("counter", 0)
        lossy.lose_reply(b"INCRBY\r\n")

        with pytest.raises(redis.exceptions.ConnectionError):
            await client.incr("counter")

        assert await client.get("counter") == b"1"


async def test_with_the_drivers_own_repeats_the_same_loss_counts_twice(lossy: Proxy) -> None:
    """The fault that `connect` switches off: without it, the test above would fail."""
    async with Redis(unix_socket_path=lossy.url.removeprefix("unix://")) as client:
        await client.set("counter", 0)
        lossy.lose_reply(b"INCRBY\r\n")

        assert await client.incr("counter") == 2


async def test_a_cancelled_command_never_leaves_its_reply_to_the_next_user(lossy: Proxy) -> None:
    names = [f"k{n}" for n in range(204)]
    async with connect(lossy.url) as client:
        await client.mset({name: name for name in names})
        for number, (name, other) in enumerate(zip(names, names[1:] + names[:1], strict=True)):
            lossy.delay = asyncio.Event()
            asked = asyncio.ensure_future(client.get(name))
            for _ in range(number % 6):  # cancelled at another point each time
                await asyncio.sleep(0)
            asked.cancel()
            following = asyncio.ensure_future(client.get(other))
            lossy.delay.set()

            assert await following == other.encode()
            assert (await asyncio.gather(asked, return_exceptions=True))[0] != other.encode()


async def test_more_commands_than_connections_wait_their_turn(store: RedisStore) -> None:
    await happen(store, "hold")

    found = await asyncio.gather(*(store.get("a1") for _ in range(300)))

    assert all(action is not None and action.state is State.HELD for action in found)


# the lane ----------------------------------------------------------------------------------

ECHO = "return ARGV[1]"


@pytest.fixture
async def lane(lossy: Proxy) -> AsyncIterator[Lane]:
    lane = Lane(lossy.url)
    yield lane
    await lane.close()


async def test_the_lane_repeats_nothing_by_itself(lane: Lane, lossy: Proxy) -> None:
    sha = (await lane.script_load("return redis.call('INCR', KEYS[1])")).decode()
    assert await lane.evalsha(sha, 1, "counter-of-the-lane") == 1
    lossy.lose_reply(b"counter-of-the-lane")

    with pytest.raises(redis.exceptions.ConnectionError):
        await lane.evalsha(sha, 1, "counter-of-the-lane")

    assert await lane.evalsha(sha, 1, "counter-of-the-lane") == 3


async def test_a_cancelled_command_of_the_lane_never_leaves_its_reply(
    lane: Lane, lossy: Proxy
) -> None:
    sha = (await lane.script_load(ECHO)).decode()
    for number in range(60):
        lossy.delay = asyncio.Event()
        asked = asyncio.ensure_future(lane.evalsha(sha, 0, f"a{number}"))
        for _ in range(number % 6):  # cancelled at another point each time
            await asyncio.sleep(0)
        asked.cancel()
        following = asyncio.ensure_future(lane.evalsha(sha, 0, f"b{number}"))
        lossy.delay.set()

        assert await following == b"b%d" % number
        await asyncio.gather(asked, return_exceptions=True)


async def test_one_command_of_the_lane_after_another_takes_one_connection(
    lane: Lane, lossy: Proxy
) -> None:
    sha = (await lane.script_load(ECHO)).decode()

    assert [await lane.evalsha(sha, 0, n) for n in range(5)] == [b"%d" % n for n in range(5)]
    assert lossy.connections == 1


async def test_a_connection_that_the_store_closed_is_opened_again(own_server: Server) -> None:
    lane = Lane(own_server.url)
    sha = (await lane.script_load(ECHO)).decode()
    own_server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    assert await patiently(lambda: lane.evalsha(sha, 0, "again")) == b"again"
    await lane.close()


async def test_a_store_that_does_not_answer_the_lane_is_a_time_out(own_server: Server) -> None:
    lane = Lane(own_server.url, patience=0.05)
    own_server.pause()

    with pytest.raises(redis.exceptions.TimeoutError):
        await lane.script_load(ECHO)
    own_server.resume()
    await lane.close()


# what errors mean --------------------------------------------------------------------------


def driver_errors() -> list[type[Exception]]:
    return [
        kind
        for _, kind in inspect.getmembers(redis.exceptions, inspect.isclass)
        if issubclass(kind, Exception)
    ]


@pytest.mark.parametrize("kind", driver_errors(), ids=lambda kind: kind.__name__)
def test_every_error_of_the_driver_has_a_meaning(kind: type[Exception]) -> None:
    error = kind.__new__(kind)

    said = str(translated(error))

    assert "Nothing was sent." in said and kind.__name__ in said


def test_no_row_of_the_table_hides_a_later_one() -> None:
    kinds = [kind for kind, _ in _MEANING]

    for place, kind in enumerate(kinds):
        assert not any(issubclass(kind, earlier) for earlier in kinds[:place]), kind


async def test_what_is_not_the_drivers_error_is_not_swallowed() -> None:
    async def broken() -> None:
        raise ValueError("ours")

    with pytest.raises(ValueError, match="ours"):
        await patiently(broken)


# bad days ----------------------------------------------------------------------------------


async def test_a_read_only_replica_is_told_as_such(own_server: Server) -> None:
    own_server.ask("REPLICAOF", "127.0.0.1", 1)
    store = RedisStore(own_server.url)

    with pytest.raises(StoreUnavailable, match="primary"):
        await happen_without_reading(store)
    assert not (await store.durability()).writable
    await store.close()


async def test_a_store_that_hangs_is_unavailable_in_seconds(own_server: Server) -> None:
    store = RedisStore(own_server.url)
    store._lane._patience = 0.05
    own_server.pause()

    with pytest.raises(StoreUnavailable, match="Nothing was sent"):
        await happen_without_reading(store)
    own_server.resume()
    await store.close()


async def test_a_store_that_lost_its_scripts_gets_them_again(store: RedisStore) -> None:
    await happen(store, "hold")
    await store.client.script_flush()

    assert await happen(store, "approve") is Put.OK


async def test_a_wrong_password_is_told_as_such(own_server: Server) -> None:
    own_server.ask("CONFIG", "SET", "requirepass", "secret")
    store = RedisStore(own_server.url.replace("unix://", "unix://:wrong@"))

    with pytest.raises(StoreUnavailable, match="password"):
        await store.now()
    await store.close()


async def happen_without_reading(store: RedisStore) -> None:
    before = an_action()
    event = Decided(at=1, decision=a_decision())
    after, _ = step(before, event)
    await store.put(Change(before=before, event=event, after=after, nonce="n1"))


async def test_a_connection_in_use_when_the_lane_closes_is_closed_as_well(server: Server) -> None:
    """Fault caught: it goes back among the idle ones, and stays open for ever."""
    lane = Lane(server.url)
    asked, _ = await asyncio.gather(lane.evalsha("0" * 40, 0), lane.close(), return_exceptions=True)
    assert isinstance(asked, redis.exceptions.NoScriptError)
    assert lane._idle == []
