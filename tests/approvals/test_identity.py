"""Sign-in links, sessions and their tokens."""

from __future__ import annotations

import dataclasses

import pytest

from interlock.approvals.identity import LINK_MS, OneTimeLinks, Sessions, deciding, linked
from interlock.core.identity import Kind
from interlock.people_ports import SignedIn
from interlock.store.redis import RedisStore
from interlock.store.sessions import RedisSignIns
from tests.support.stores import fresh_prefix

from .world import ANN, BOB, FixedClock

HOUR = 3_600_000


def test_a_link_signs_in_once() -> None:
    links = OneTimeLinks(FixedClock())
    token = links.issue(ANN)
    assert links.redeem(token) == ANN
    assert links.redeem(token) is None


def test_looking_at_a_link_does_not_use_it_up() -> None:
    links = OneTimeLinks(FixedClock())
    token = links.issue(ANN)
    assert [links.peek(token) for _ in range(3)] == [ANN, ANN, ANN]
    assert links.redeem(token) == ANN


def test_an_old_link_signs_nobody_in() -> None:
    clock = FixedClock()
    links = OneTimeLinks(clock)
    token = links.issue(ANN)
    clock.now += LINK_MS
    assert links.peek(token) is None
    assert links.redeem(token) is None


def test_links_are_not_kept_as_they_are() -> None:
    links = OneTimeLinks(FixedClock())
    token = links.issue(ANN)
    assert token not in repr(vars(links))


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def kept(store: RedisStore, clock: FixedClock) -> RedisSignIns:
    return RedisSignIns(
        store.client, key=b"k" * 32, clock=clock, idle_ms=8 * HOUR, prefix=fresh_prefix()
    )


@pytest.fixture
def sessions(kept: RedisSignIns, clock: FixedClock) -> Sessions:
    return Sessions(kept, key=b"c" * 32, clock=clock, longest_ms=12 * HOUR)


async def test_a_session_is_its_persons_and_an_approvers_unless_said_otherwise(
    sessions: Sessions,
) -> None:
    found = await sessions.find(await sessions.open(ANN))
    assert found is not None
    assert (found.person, found.kind, found.kinds) == (ANN, Kind.APPROVER, (Kind.APPROVER,))


async def test_a_session_that_is_used_ends_after_its_longest_time(
    sessions: Sessions, clock: FixedClock
) -> None:
    cookie = await sessions.open(ANN)
    for _ in range(11):
        clock.now += HOUR
        assert await sessions.find(cookie) is not None
    clock.now += HOUR
    assert await sessions.find(cookie) is None


async def test_a_session_that_is_not_used_ends_earlier(
    sessions: Sessions, clock: FixedClock
) -> None:
    cookie = await sessions.open(ANN)
    clock.now += 8 * HOUR
    assert await sessions.find(cookie) is None


async def test_signing_out_ends_the_session(sessions: Sessions) -> None:
    cookie = await sessions.open(ANN)
    await sessions.close(cookie)
    assert await sessions.find(cookie) is None


async def test_signing_somebody_out_everywhere_leaves_others_alone(sessions: Sessions) -> None:
    phone, laptop, bobs = [await sessions.open(each) for each in (ANN, ANN, BOB)]
    assert await sessions.close_all("ann") == 2
    assert await sessions.close_all("ann") == 0
    assert [await sessions.find(each) for each in (phone, laptop)] == [None, None]
    assert await sessions.find(bobs) is not None


async def test_a_cookie_that_was_made_up_or_changed_is_nobodys(sessions: Sessions) -> None:
    name, _, mac = (await sessions.open(ANN)).partition(".")
    last = "0" if mac[-1] != "0" else "1"
    for cookie in ("", ".", name, f"{name}.", f"{name}.{mac[:-1]}{last}", f"x{name}.{mac}", "é.é"):
        assert await sessions.find(cookie) is None, cookie


async def test_a_token_is_for_one_session_and_one_call(sessions: Sessions) -> None:
    ann = await sessions.find(await sessions.open(ANN))
    bob = await sessions.find(await sessions.open(BOB))
    assert ann is not None and bob is not None
    token = ann.token(deciding("d1"))
    assert ann.permits(token, deciding("d1"))
    assert not ann.permits(token, deciding("d2"))
    assert not bob.permits(token, deciding("d1"))


async def test_a_token_cannot_be_made_from_what_the_store_has(
    sessions: Sessions, kept: RedisSignIns, clock: FixedClock
) -> None:
    cookie = await sessions.open(ANN)
    found = await sessions.find(cookie)
    elsewhere = await Sessions(kept, key=b"d" * 32, clock=clock).find(cookie)
    assert found is not None and elsewhere is None
    assert found.secret.hex() not in repr(found)


async def test_somebody_who_may_be_more_than_one_kind_goes_on_as_another(
    sessions: Sessions,
) -> None:
    cookie = await sessions.open(ANN, kinds=(Kind.APPROVER, Kind.ADMIN))
    other = await sessions.switch(cookie, Kind.ADMIN)
    assert other is not None
    found = await sessions.find(other)
    assert found is not None and found.kind is Kind.ADMIN
    assert await sessions.find(cookie) is None
    assert await sessions.switch(other, Kind.AUDITOR) is None
    assert await sessions.find(other) is not None


async def test_who_is_configured_no_longer_is_signed_out(
    kept: RedisSignIns, clock: FixedClock
) -> None:
    people = {linked(ANN)}

    def known(who: SignedIn) -> bool:
        return who.by in people

    sessions = Sessions(kept, key=b"c" * 32, clock=clock, known=known)
    cookie = await sessions.open(ANN, by=linked(ANN))
    assert await sessions.find(cookie) is not None
    people.clear()
    assert await sessions.find(cookie) is None
    people.add(linked(dataclasses.replace(ANN, groups=frozenset({"other"}))))
    assert await sessions.find(cookie) is None
