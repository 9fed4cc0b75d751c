"""Which policies came into force lately, on a real store."""

from __future__ import annotations

import pytest

from interlock.core.decisions import PolicyRef
from interlock.core.errors import StoreUnavailable
from interlock.store.connection import connect
from interlock.store.policies_seen import MOST, RedisPoliciesSeen
from interlock.store.redis import RedisStore


def ref(version: int) -> PolicyRef:
    return PolicyRef(name="bank", version=version, sha256=f"{version:064x}")


def seen_on(store: RedisStore, host: str = "web-1") -> RedisPoliciesSeen:
    return RedisPoliciesSeen(store.client, prefix=store._prefix[1:-1], host=host)


async def versions(store: RedisStore) -> list[int]:
    return [each.ref.version for each in await seen_on(store).seen()]


async def test_any_process_reads_what_came_into_force_latest_first(store: RedisStore) -> None:
    before = await store.now()
    await seen_on(store).note(ref(1), "start")
    await seen_on(store, "web-2").note(ref(2), "reload")
    second, first = await seen_on(store).seen()
    assert (second.ref, second.by, second.host) == (ref(2), "reload", "web-2")
    assert (first.ref, first.by, first.host) == (ref(1), "start", "web-1")
    assert before <= first.at <= second.at


async def test_a_restart_with_the_same_policy_is_no_news(store: RedisStore) -> None:
    await seen_on(store).note(ref(1), "start")
    await seen_on(store, "web-2").note(ref(1), "start")
    (only,) = await seen_on(store).seen()
    assert only.host == "web-1"


async def test_a_policy_that_comes_back_is_news(store: RedisStore) -> None:
    for version in (1, 2, 1):
        await seen_on(store).note(ref(version), "reload")
    assert await versions(store) == [1, 2, 1]


async def test_two_processes_that_note_the_same_at_once_are_one_line(store: RedisStore) -> None:
    await seen_on(store).note(ref(1), "start")
    key = f"{store._prefix}:policies"
    await store.client.lpush(key, (await store.client.lrange(key, 0, 0))[0])
    assert await versions(store) == [1]


async def test_only_so_many_are_kept(store: RedisStore) -> None:
    for version in range(MOST + 3):
        await seen_on(store).note(ref(version), "reload")
    found = await versions(store)
    assert len(found) == MOST and found[0] == MOST + 2


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": 1}', "\ud83d", "9" * 5000])
async def test_what_cannot_be_read_is_left_out(store: RedisStore, text: str) -> None:
    await seen_on(store).note(ref(1), "start")
    damaged = text.encode("utf-8", "surrogatepass")
    await store.client.lpush(f"{store._prefix}:policies", damaged)
    assert await versions(store) == [1]


async def test_a_store_that_is_gone_is_said_to_be() -> None:
    client = connect("unix:///nowhere/s.sock")
    with pytest.raises(StoreUnavailable):
        await RedisPoliciesSeen(client).note(ref(1), "start")
    await client.aclose()
