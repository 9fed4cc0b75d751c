"""API keys on a real server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio import Redis

from interlock.core.errors import StoreUnavailable
from interlock.core.identity import KeyRecord, Kind, Principal
from interlock.store import keyring
from interlock.store.connection import connect
from interlock.store.keyring import RedisKeyRing
from tests.support.stores import Server, fresh_prefix

PEPPER = b"p" * 32


class Clock:
    """A clock that stands where it was put (ms)."""

    now = 1_000_000

    def now_ms(self) -> int:
        return self.now


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server().start()
    yield server
    server.stop()


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Redis]:
    client = connect(server.url)
    yield client
    await client.aclose()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def prefix() -> str:
    return fresh_prefix()


@pytest.fixture
def ring(client: Redis, clock: Clock, prefix: str) -> RedisKeyRing:
    return RedisKeyRing(client, prefix=prefix, pepper=PEPPER, clock=clock)


@pytest.fixture
def elsewhere(client: Redis, clock: Clock, prefix: str) -> RedisKeyRing:
    """The same keys, seen by another process."""
    return RedisKeyRing(client, prefix=prefix, pepper=PEPPER, clock=clock)


async def an_agent_key(ring: RedisKeyRing, expires: int = 0) -> tuple[str, KeyRecord]:
    return await ring.create(Kind.AGENT, "bot", "olga", ("bots",), expires)


async def test_a_key_says_whose_it_is(ring: RedisKeyRing) -> None:
    key, record = await an_agent_key(ring)
    assert key.startswith(f"ilk_agent_{record.key_id}_")
    assert await ring.verify(key) == Principal(
        kind=Kind.AGENT,
        id="bot",
        owner="olga",
        groups=frozenset({"bots"}),
        key_id=record.key_id,
    )


async def test_the_store_never_sees_the_secret(
    ring: RedisKeyRing, client: Redis, prefix: str
) -> None:
    key, record = await an_agent_key(ring)
    stored = await client.hget("{" + prefix + "}:keys", record.key_id)
    assert stored is not None
    assert key.split("_", 3)[3].encode() not in stored


async def test_no_two_keys_are_the_same(ring: RedisKeyRing) -> None:
    made = [await an_agent_key(ring) for _ in range(5)]
    assert len({key for key, _ in made}) == len({record.hash for _, record in made}) == 5


async def test_a_key_with_one_character_changed_is_nobodys(ring: RedisKeyRing) -> None:
    key, _ = await an_agent_key(ring)
    changed = key[:-2] + ("A" if key[-2] != "A" else "B") + key[-1]
    assert await ring.verify(changed) is None


@pytest.mark.parametrize(
    "text",
    ["", "ilk_", "ilk_agent_000000000000", "ilk_root_000000000000_" + "A" * 43, "x" * 10_000]
    + ["ilk_agent_000000000000_" + "A" * 43, "ilk_agent_000000000000_" + "é" * 43],
)
async def test_what_is_no_key_is_nobodys(ring: RedisKeyRing, text: str) -> None:
    assert await ring.verify(text) is None


async def test_an_agents_key_never_passes_as_a_reviewers(ring: RedisKeyRing) -> None:
    key, _ = await an_agent_key(ring)
    assert await ring.verify(key.replace("ilk_agent_", "ilk_approver_")) is None


@pytest.mark.parametrize(
    "forged",
    [{"kind": "approver"}, {"groups": ["payments"]}, {"subject": "ann"}, {"owner": ""}]
    + [{"expires": 9**15}, {"unknown": 1}, {"kind": "king"}]
    + [{"groups": [[]]}, {"groups": 1}, {"hash": "é" * 64}, {"hash": None}, {"expires": "x"}],
)
async def test_writing_to_the_store_cannot_widen_a_key(
    ring: RedisKeyRing, client: Redis, prefix: str, forged: dict[str, Any]
) -> None:
    key, record = await an_agent_key(ring)
    name = "{" + prefix + "}:keys"
    stored = json.loads(await client.hget(name, record.key_id) or "")
    await client.hset(name, record.key_id, json.dumps(stored | forged))
    asked = key.replace("ilk_agent_", f"ilk_{forged.get('kind', 'agent')}_")
    assert await ring.verify(asked) is None


async def test_a_record_under_another_id_is_nobodys(
    ring: RedisKeyRing, client: Redis, prefix: str
) -> None:
    key, record = await an_agent_key(ring)
    name = "{" + prefix + "}:keys"
    await client.hset(name, "f" * 12, await client.hget(name, record.key_id) or "")
    assert await ring.verify(key.replace(record.key_id, "f" * 12)) is None


async def test_another_pepper_makes_every_key_worthless(
    ring: RedisKeyRing, client: Redis, clock: Clock, prefix: str
) -> None:
    key, _ = await an_agent_key(ring)
    other = RedisKeyRing(client, prefix=prefix, pepper=b"q" * 32, clock=clock)
    assert await other.verify(key) is None


async def test_a_short_pepper_is_refused(client: Redis, clock: Clock) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        RedisKeyRing(client, pepper=b"short", clock=clock)


async def test_an_expired_key_is_nobodys_even_while_it_is_remembered(
    ring: RedisKeyRing, clock: Clock
) -> None:
    key, _ = await an_agent_key(ring, expires=clock.now + 10)
    assert await ring.verify(key) is not None
    clock.now += 10
    assert await ring.verify(key) is None


async def test_a_revoked_key_is_nobodys_at_once_where_it_was_revoked(ring: RedisKeyRing) -> None:
    key, record = await an_agent_key(ring)
    assert await ring.verify(key) is not None
    assert await ring.revoke(record.key_id) is True
    assert await ring.verify(key) is None


async def test_a_key_revoked_elsewhere_lives_no_longer_than_the_cache(
    ring: RedisKeyRing, elsewhere: RedisKeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, record = await an_agent_key(ring)
    assert await ring.verify(key) is not None
    await elsewhere.revoke(record.key_id)
    assert await ring.verify(key) is not None
    monkeypatch.setattr(keyring, "CACHE_SECONDS", 0.0)
    assert await ring.verify(key) is None


async def test_revoking_what_is_not_there_says_so(ring: RedisKeyRing) -> None:
    assert await ring.revoke("0" * 12) is False


async def test_revoking_twice_keeps_the_first_time(ring: RedisKeyRing, clock: Clock) -> None:
    _, record = await an_agent_key(ring)
    await ring.revoke(record.key_id)
    clock.now += 1000
    assert await ring.revoke(record.key_id) is True
    (listed,) = await ring.records()
    assert listed == replace(record, revoked=1_000_000)


async def test_the_list_has_every_key_oldest_first(ring: RedisKeyRing, clock: Clock) -> None:
    made = []
    for _ in range(3):
        made.append((await an_agent_key(ring))[1])
        clock.now += 1
    assert await ring.records() == tuple(made)


async def test_a_busy_key_costs_no_round_trip(ring: RedisKeyRing, client: Redis) -> None:
    key, _ = await an_agent_key(ring)
    await ring.verify(key)
    before = (await client.info("stats"))["total_commands_processed"]
    for _ in range(10):
        assert await ring.verify(key) is not None
    assert (await client.info("stats"))["total_commands_processed"] == before + 1


async def test_the_cache_is_bounded(ring: RedisKeyRing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring, "CACHE_SIZE", 2)
    for _ in range(5):
        key, _ = await an_agent_key(ring)
        await ring.verify(key)
    assert len(ring._cache) == 2


async def test_without_a_store_nobody_is_let_in(clock: Clock) -> None:
    client = connect("unix:///nonexistent/store.sock")
    ring = RedisKeyRing(client, pepper=PEPPER, clock=clock)
    with pytest.raises(StoreUnavailable):
        await ring.verify("ilk_agent_000000000000_" + "A" * 43)
    with pytest.raises(StoreUnavailable):
        await an_agent_key(ring)


async def test_a_person_is_one_voice_however_their_name_is_written(ring: RedisKeyRing) -> None:
    hers, _ = await ring.create(Kind.APPROVER, "Olga@Example.com", "", ("ops",), 0)
    bots, _ = await ring.create(Kind.AGENT, "Bot", "OLGA@example.com", (), 0)

    person, agent = await ring.verify(hers), await ring.verify(bots)

    assert person is not None and agent is not None
    assert person.id == agent.owner == "olga@example.com"
    assert agent.id == "Bot"


async def test_a_revoked_key_that_the_store_brings_back_to_life_stays_revoked_where_it_was_seen(
    ring: RedisKeyRing, elsewhere: RedisKeyRing, client: Redis, prefix: str
) -> None:
    key, record = await an_agent_key(ring)
    name = "{" + prefix + "}:keys"
    alive = await client.hget(name, record.key_id)  # type: ignore[misc]
    await ring.revoke(record.key_id)
    await elsewhere.records()
    await client.hset(name, record.key_id, alive)  # type: ignore[misc, arg-type]

    assert await ring.verify(key) is None and await elsewhere.verify(key) is None
