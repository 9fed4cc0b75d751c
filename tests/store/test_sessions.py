"""People's sessions on a real server: shared, ended everywhere, and made by nobody else."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from interlock.core.errors import StoreUnavailable
from interlock.core.identity import Kind
from interlock.people_ports import SignedIn
from interlock.store import sessions as module
from interlock.store.connection import connect
from interlock.store.redis import RedisStore
from interlock.store.sessions import RedisSignIns
from tests.support.stores import Server, fresh_prefix

HOUR = 3_600_000


class Clock:
    now = 1_790_000_000_000

    def now_ms(self) -> int:
        return self.now


class Replicas:
    """Two processes on one store: what one writes, the other reads after its cache ends."""

    def __init__(self, client: Redis) -> None:
        self.client = client
        self.clock = Clock()
        self.prefix = fresh_prefix()
        self.one = self.another()
        self.two = self.another()

    def another(self, key: bytes = b"k" * 32, cache_seconds: float = 0.0) -> RedisSignIns:
        return RedisSignIns(
            self.client,
            key=key,
            clock=self.clock,
            idle_ms=8 * HOUR,
            prefix=self.prefix,
            cache_seconds=cache_seconds,
        )

    def signed_in(self, person: str = "ann", kind: Kind = Kind.APPROVER) -> SignedIn:
        return SignedIn(
            person=person,
            kind=kind,
            groups=("ops", "leads"),
            kinds=(kind,),
            by="link x",
            opened=self.clock.now,
            used=self.clock.now,
            ends=self.clock.now + 12 * HOUR,
        )

    def at(self, name: str) -> str:
        return "{" + self.prefix + "}:session:" + name


def named(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


A, B = named("a"), named("b")


@pytest.fixture
def replicas(store: RedisStore) -> Replicas:
    return Replicas(store.client)


async def test_every_process_knows_a_session(replicas: Replicas) -> None:
    who = replicas.signed_in()
    await replicas.one.keep(A, who)
    assert await replicas.two.get(A) == who
    assert await replicas.another().get(A) == who  # and one that starts later


async def test_what_one_process_ends_has_ended_in_all(replicas: Replicas) -> None:
    await replicas.one.keep(A, replicas.signed_in())
    assert await replicas.two.get(A) is not None
    await replicas.one.end(A)
    assert await replicas.two.get(A) is None


async def test_a_session_is_remembered_for_no_more_than_two_seconds(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = 100.0
    monkeypatch.setattr(module.time, "monotonic", lambda: moment)
    cached = replicas.another(cache_seconds=module.CACHE_SECONDS)
    await replicas.one.keep(A, replicas.signed_in())
    assert await cached.get(A) is not None
    await replicas.one.end(A)
    moment += 1.9
    assert await cached.get(A) is not None
    moment += 0.2
    assert await cached.get(A) is None


async def test_a_remembered_session_ends_in_time_and_at_once_where_it_is_ended(
    replicas: Replicas,
) -> None:
    cached = replicas.another(cache_seconds=1000.0)
    for name in (A, B):
        await cached.keep(name, replicas.signed_in())
        assert await cached.get(name) is not None
    await cached.end_all("ann")
    assert await cached.get(A) is None
    await cached.keep(B, replicas.signed_in())
    assert await cached.get(B) is not None
    replicas.clock.now += 12 * HOUR
    assert await cached.get(B) is None


async def test_use_keeps_a_session_and_is_written_down_about_once_a_minute(
    replicas: Replicas,
) -> None:
    await replicas.one.keep(A, replicas.signed_in())
    kept = await replicas.client.get(replicas.at(A))
    replicas.clock.now += module.NOTED_MS - 1
    assert await replicas.one.get(A) is not None
    assert await replicas.client.get(replicas.at(A)) == kept
    replicas.clock.now += 1
    found = await replicas.two.get(A)
    assert found is not None and found.used == replicas.clock.now
    assert await replicas.client.get(replicas.at(A)) != kept


async def test_a_use_does_not_bring_back_what_was_ended_meanwhile(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    await replicas.one.keep(A, replicas.signed_in())
    replicas.clock.now += HOUR
    sealed = replicas.one._sealed

    def ended_first(name: str, who: SignedIn) -> bytes:
        replicas.one._cache.clear()
        return sealed(name, who)

    monkeypatch.setattr(replicas.one, "_sealed", ended_first)
    read = await replicas.client.get(replicas.at(A))
    await replicas.two.end(A)
    monkeypatch.setattr(replicas.client, "get", _answering(read))
    await replicas.one.get(A)
    monkeypatch.undo()
    assert await replicas.two.get(A) is None
    assert await replicas.client.exists(replicas.at(A)) == 0


def _answering(value: bytes):  # type: ignore[no-untyped-def]
    async def get(name: str) -> bytes:
        return value

    return get


async def test_the_store_forgets_a_session_by_itself(replicas: Replicas) -> None:
    await replicas.one.keep(A, replicas.signed_in())
    assert 0 < await replicas.client.pttl(replicas.at(A)) <= 8 * HOUR
    late = replace(replicas.signed_in(), ends=replicas.clock.now + HOUR)
    await replicas.one.keep(B, late)
    assert 0 < await replicas.client.pttl(replicas.at(B)) <= HOUR


async def test_a_session_ends_whatever_the_store_says(replicas: Replicas) -> None:
    who = replicas.signed_in()
    await replicas.one.keep(A, who)
    await replicas.one.keep(B, replace(who, ends=who.opened + HOUR))
    for name in (A, B):
        await replicas.client.persist(replicas.at(name))
    replicas.clock.now += HOUR - 1
    assert await replicas.one.get(B) is not None
    replicas.clock.now += 1
    assert await replicas.one.get(B) is None
    replicas.clock.now += 7 * HOUR
    assert await replicas.one.get(A) is None


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "admin"},
        {"person": "eve"},
        {"groups": ["root"]},
        {"ends": 9_999_999_999_999},
        {"used": 9_999_999_999_999},
        {"kinds": ["admin", "approver"]},
        {"by": "link y"},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_writing_to_the_store_signs_nobody_in(
    replicas: Replicas, change: dict[str, object]
) -> None:
    await replicas.one.keep(A, replicas.signed_in())
    value = await replicas.client.get(replicas.at(A))
    mac, content = value[:64], json.loads(value[64:])
    assert content.keys() >= change.keys()
    forged = mac + json.dumps(content | change, sort_keys=True, separators=(",", ":")).encode()
    await replicas.client.set(replicas.at(A), forged)
    assert await replicas.two.get(A) is None


async def test_a_record_counts_under_its_own_name_only(replicas: Replicas) -> None:
    await replicas.one.keep(A, replicas.signed_in())
    await replicas.client.copy(replicas.at(A), replicas.at(B))
    assert await replicas.two.get(B) is None


@pytest.mark.parametrize("value", [b"", b"x", b"0" * 64, b"0" * 64 + b"{}", b"\xff" * 80])
async def test_what_is_no_record_is_no_session(replicas: Replicas, value: bytes) -> None:
    await replicas.client.set(replicas.at(A), value)
    assert await replicas.one.get(A) is None


async def test_a_record_of_another_installation_counts_for_nothing(replicas: Replicas) -> None:
    await replicas.another(key=b"z" * 32).keep(A, replicas.signed_in())
    assert await replicas.one.get(A) is None


async def test_agents_and_scrapers_have_no_sessions(replicas: Replicas) -> None:
    for kind in (Kind.AGENT, Kind.METRICS):
        await replicas.one.keep(A, replicas.signed_in(kind=kind))
        assert await replicas.one.get(A) is None


async def test_nothing_that_opens_a_session_is_in_the_store(replicas: Replicas) -> None:
    await replicas.one.keep(named("the cookie"), replicas.signed_in())
    for key in await replicas.client.keys("*" + replicas.prefix + "*"):
        dumped = await replicas.client.dump(key)
        assert b"the cookie" not in key + (dumped or b"")


async def test_who_is_signed_in_can_be_listed(replicas: Replicas) -> None:
    await replicas.one.keep(A, replicas.signed_in())
    await replicas.one.keep(B, replicas.signed_in("bob", Kind.AUDITOR))
    await replicas.one.end(A)
    (bob,) = await replicas.two.listed()
    assert (bob.person, bob.kind) == ("bob", Kind.AUDITOR)


async def test_only_so_many_are_kept(replicas: Replicas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    for number in range(4):
        who = replicas.signed_in()
        await replicas.one.keep(named(str(number)), replace(who, ends=who.ends + number))
    found = [await replicas.one.get(named(str(number))) for number in range(4)]
    assert [each is not None for each in found] == [False, False, True, True]


async def test_a_name_is_seen_once(replicas: Replicas) -> None:
    assert await replicas.one.once(A, 60_000)
    assert not await replicas.two.once(A, 60_000)
    assert await replicas.one.once(B, 60_000)


async def test_a_store_that_does_not_answer_is_said_so(own_server: Server) -> None:
    client = connect(own_server.url, patience=0.05)
    replicas = Replicas(client)
    own_server.pause()
    try:
        with pytest.raises(StoreUnavailable):
            await replicas.one.get(A)
    finally:
        own_server.resume()
        await client.aclose()


@pytest.mark.parametrize("all_of_them", [False, True])
async def test_a_session_that_is_put_back_stays_ended_where_it_was_ended(
    replicas: Replicas, all_of_them: bool
) -> None:
    await replicas.one.keep(A, replicas.signed_in())
    key = f"{{{replicas.prefix}}}:session:{A}"
    value = await replicas.client.get(key)
    assert value is not None
    await (replicas.one.end_all("ann") if all_of_them else replicas.one.end(A))
    await replicas.client.set(key, value)

    assert await replicas.one.get(A) is None
    assert await replicas.two.get(A) is not None, "another process cannot know"
