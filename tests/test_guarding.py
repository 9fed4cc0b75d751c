"""Whose calls go through a pipe: the agent that is named, and who owns it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from interlock.core.actions import Agent
from interlock.core.errors import Unauthenticated
from interlock.core.identity import Kind
from interlock.guarding import agent_of
from interlock.settings import Anonymous
from interlock.store.keyring import RedisKeyRing
from interlock.store.redis import RedisStore
from tests.support.fakes import NoonClock


@dataclass
class Told:
    """tell: what the person at the terminal reads."""

    lines: list[str] = field(default_factory=list)

    def __call__(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def ring(store: RedisStore) -> RedisKeyRing:
    prefix = store._prefix.strip("{}")
    return RedisKeyRing(store.client, pepper=b"p" * 32, clock=NoonClock(), prefix=prefix)


async def named(
    ring: RedisKeyRing, agent: str = "", anonymous: Anonymous | None = None, key: str = ""
) -> Agent:
    return await agent_of(agent, key, anonymous, ring, Told())


async def test_an_agent_that_is_named_keeps_the_owner_of_its_key(ring: RedisKeyRing) -> None:
    await ring.create(Kind.AGENT, "billing-bot", "olga", (), 0)
    await ring.create(Kind.AGENT, "other", "dan", (), 0)
    await ring.create(Kind.APPROVER, "billing-bot", "", (), 0)
    assert await named(ring, "billing-bot") == Agent(id="billing-bot", owner="olga")


async def test_so_does_the_one_that_configuration_names(ring: RedisKeyRing) -> None:
    await ring.create(Kind.AGENT, "local", "olga", (), 0)
    assert await named(ring, anonymous=Anonymous(id="local")) == Agent(id="local", owner="olga")


async def test_configuration_says_who_owns_it_where_no_key_does(ring: RedisKeyRing) -> None:
    told = Anonymous(id="local", owner="dan")
    assert (await named(ring, anonymous=told)).owner == "dan"
    assert (await named(ring, "local", told)).owner == "dan"
    assert (await named(ring, "billing-bot", told)).owner == ""


async def test_an_agent_without_a_key_has_no_owner(ring: RedisKeyRing) -> None:
    assert await named(ring, "new-bot") == Agent(id="new-bot")


async def test_a_revoked_key_says_who_owns_it_where_no_other_does(ring: RedisKeyRing) -> None:
    _, first = await ring.create(Kind.AGENT, "billing-bot", "olga", (), 0)
    await ring.revoke(first.key_id)
    assert (await named(ring, "billing-bot")).owner == "olga"
    await ring.create(Kind.AGENT, "billing-bot", "dan", (), 0)
    assert (await named(ring, "billing-bot")).owner == "dan"


async def test_several_owners_are_not_reduced_to_one(ring: RedisKeyRing) -> None:
    await ring.create(Kind.AGENT, "billing-bot", "olga", (), 0)
    await ring.create(Kind.AGENT, "billing-bot", "dan", (), 0)
    with pytest.raises(Unauthenticated, match="several owners: dan, olga"):
        await named(ring, "billing-bot")
    with pytest.raises(Unauthenticated, match="several owners: dan, zed"):
        await ring.create(Kind.AGENT, "local", "dan", (), 0)
        await named(ring, anonymous=Anonymous(id="local", owner="zed"))


async def test_a_key_says_who_it_is_where_nothing_else_does(ring: RedisKeyRing) -> None:
    key, _ = await ring.create(Kind.AGENT, "billing-bot", "olga", (), 0)
    assert await named(ring, key=key) == Agent(id="billing-bot", owner="olga")
    for wrong in ("", "ilk_agent_x"):
        with pytest.raises(Unauthenticated):
            await named(ring, key=wrong)


async def test_a_key_that_is_not_used_is_told_of(ring: RedisKeyRing) -> None:
    told = Told()
    await agent_of("bot", "ilk_agent_x", None, ring, told)
    assert told.lines == ["INTERLOCK_KEY is not used: `--agent` says which agent this is."]
