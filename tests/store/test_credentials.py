"""Authenticators and questions on a real store: sealed, counted once, gone for good."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from interlock.core.errors import StoreUnavailable, TooMany
from interlock.people_ports import Added, Authenticator
from interlock.store.credentials import ASKED, IN_SESSION, RedisAuthenticators
from interlock.store.redis import RedisStore
from tests.support.stores import Server

KEY = b"the key of authenticators, not in the store"
BLUE = Authenticator(
    id="blue",
    person="ann",
    public_key=b"\x01\xff",
    label="blue key \u202e",
    transports=("nfc", "usb"),
    created=1,
)
RED = replace(BLUE, id="red", created=2, synced=True)


def kept_on(store: RedisStore, **more: Any) -> RedisAuthenticators:
    usual = {"key": KEY, "prefix": store._prefix[1:-1]}
    return RedisAuthenticators(store.client, **(usual | more))


@pytest.fixture
def kept(store: RedisStore) -> RedisAuthenticators:
    return kept_on(store)


async def test_what_is_kept_is_read_as_it_was_by_any_process(
    store: RedisStore, kept: RedisAuthenticators
) -> None:
    assert await kept.of("ann") == ()
    assert await kept.add(RED, first=True) is Added.OK
    assert await kept.add(BLUE, first=False) is Added.OK
    assert await kept_on(store).of("ann") == (BLUE, RED)
    assert await kept.of("bob") == ()


async def test_of_firsts_there_is_one(kept: RedisAuthenticators) -> None:
    found = await asyncio.gather(kept.add(RED, first=True), kept.add(BLUE, first=True))
    assert sorted(each.value for each in found) == ["OK", "OTHERS"]


async def test_one_person_has_so_many(store: RedisStore) -> None:
    kept = kept_on(store, most=1)
    await kept.add(RED, first=True)
    with pytest.raises(TooMany, match="remove one first"):
        await kept.add(BLUE, first=False)
    assert await kept.add(replace(BLUE, person="bob"), first=True) is Added.OK


async def test_a_write_whose_answer_was_lost_may_be_repeated(kept: RedisAuthenticators) -> None:
    after = replace(BLUE, sign_count=1)
    for _ in range(2):
        assert await kept.add(BLUE, first=True) is Added.OK
    for _ in range(2):
        assert await kept.signed(BLUE, after)
    for _ in range(2):
        assert await kept.remove(after, 5)
    assert await kept.of("ann") == ()


async def test_of_two_uses_of_one_counter_one_counts(kept: RedisAuthenticators) -> None:
    await kept.add(BLUE, first=True)
    one, two = (replace(BLUE, sign_count=1, used=at) for at in (7, 8))
    assert sorted(await asyncio.gather(kept.signed(BLUE, one), kept.signed(BLUE, two))) == [
        False,
        True,
    ]
    assert (await kept.of("ann"))[0].sign_count == 1


async def test_what_is_removed_is_neither_used_nor_added_again(kept: RedisAuthenticators) -> None:
    await kept.add(BLUE, first=True)
    assert await kept.remove(BLUE, 5)
    assert not await kept.signed(BLUE, replace(BLUE, sign_count=1))
    assert not await kept.remove(replace(BLUE, label="other"), 5)
    assert await kept.add(BLUE, first=True) is Added.KNOWN


async def test_what_another_key_sealed_is_not_ours(
    store: RedisStore, kept: RedisAuthenticators
) -> None:
    other = kept_on(store, key=b"another key of thirty-two bytes!")
    await other.add(BLUE, first=True)
    question = await other.ask("ann", ("decide", "x"))
    assert await kept.of("ann") == ()
    assert await kept.take(question.id) is None


async def test_a_question_is_answered_once_in_all_processes(
    store: RedisStore, kept: RedisAuthenticators
) -> None:
    asked = await kept.ask("ann", ("decide", "act_1", "\u202e"))
    found = await asyncio.gather(*(kept_on(store).take(asked.id) for _ in range(8)))
    assert [each for each in found if each is not None] == [asked]
    assert await kept.take(asked.id) is None
    assert await kept.take("unknown") is None


async def test_a_question_ends_in_the_store_too(
    store: RedisStore, kept: RedisAuthenticators
) -> None:
    asked = await kept.ask("ann", ("add", "ann"))
    left = await store.client.pttl(f"{store._prefix}:asked:{asked.id}")
    assert 0 < left <= 300_000
    assert await kept_on(store, lasts_ms=0).ask("ann", ("add", "ann")) != asked


async def test_a_question_that_was_put_back_ends_when_it_would_have(store: RedisStore) -> None:
    over = kept_on(store, lasts_ms=0)
    asked = await over.ask("ann", ("add", "ann"))
    name = f"{store._prefix}:asked:{asked.id}"
    sealed = over._sealed(
        "challenge",
        {
            "id": asked.id,
            "nonce": asked.nonce,
            "subject": list(asked.subject),
            "expires": asked.expires,
            "person": "ann",
            "session": "",
        },
    )
    await store.client.set(name, sealed)
    assert await over.take(asked.id) is None


async def test_a_short_key_is_a_mistake(store: RedisStore) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        kept_on(store, key=b"short")


async def test_without_the_store_nothing_is_known(own_server: Server) -> None:
    store = RedisStore(own_server.url, prefix="gone")
    kept = kept_on(store)
    own_server.kill()
    for ask in (
        kept.of("ann"),
        kept.take("x"),
        kept.ask("ann", ("x",)),
        kept.add(BLUE, first=True),
    ):
        with pytest.raises(StoreUnavailable):
            await ask
    await store.close()


async def test_in_one_session_so_many_are_open_and_others_go_on(kept: RedisAuthenticators) -> None:
    asked = [await kept.ask("ann", ("decide", "x"), session="s1") for _ in range(IN_SESSION)]
    with pytest.raises(TooMany, match="sign out and in again"):
        await kept.ask("ann", ("decide", "x"), session="s1")
    await kept.ask("ann", ("decide", "x"), session="s2")
    assert await kept.take(asked[0].id) is not None
    await kept.ask("ann", ("decide", "x"), session="s1")
    with pytest.raises(TooMany):
        await kept.ask("ann", ("decide", "x"), session="s1")


async def test_one_person_has_so_many_open_in_all_sessions(
    store: RedisStore, kept: RedisAuthenticators
) -> None:
    later = await store.now() + 60_000
    name = f"{store._prefix}:asking:ann"
    await store.client.zadd(name, {f"q{each}": later for each in range(ASKED)})
    with pytest.raises(TooMany):
        await kept.ask("ann", ("decide", "x"), session="s9")
    await kept.ask("bob", ("decide", "x"), session="s9")
    await store.client.zadd(name, {"q0": later - 120_000})
    await kept.ask("ann", ("decide", "x"), session="s9")


async def test_what_was_removed_and_put_back_is_ignored(
    store: RedisStore, kept: RedisAuthenticators
) -> None:
    """Fault caught: who can write to the store brings back a key that a thief has."""
    await kept.add(BLUE, first=True)
    there = f"{store._prefix}:authn:ann"
    record = await store.client.hget(there, "blue")  # type: ignore[misc]
    assert record is not None
    await kept.remove(BLUE, 9)
    await store.client.hset(there, "blue", record)  # type: ignore[misc]

    reads = kept_on(store)
    assert await reads.of("ann") == () == await kept.of("ann")
    await store.client.delete(f"{store._prefix}:authn-gone:ann")
    assert await reads.of("ann") == () == await kept.of("ann"), "both have read the note"
    assert await kept_on(store).of("ann") == (BLUE,), "a process that starts now cannot know"


async def test_a_note_of_a_removal_that_nobody_sealed_takes_nothing_away(
    store: RedisStore, kept: RedisAuthenticators
) -> None:
    await kept.add(BLUE, first=True)
    gone = f"{store._prefix}:authn-gone:ann"
    for forged in ("null", '["{}", ""]', '["{\\"id\\":\\"blue\\",\\"person\\":\\"ann\\"}", "0"]'):
        await store.client.hset(gone, "blue", forged)  # type: ignore[misc]

        assert await kept.of("ann") == (BLUE,)
