"""Bodies of calls that were drawn for an audit: kept while an auditor may come to see them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from interlock.core.actions import Action, State
from interlock.core.errors import UpstreamUnreachable
from interlock.store.redis import RedisStore
from tests.store.test_audits import Auditing

LARGE = b'{"amount": 900, "note": "%s"}' % (b"x" * 6000)


@pytest.fixture
async def audited(store: RedisStore) -> AsyncIterator[Auditing]:
    made = Auditing(store)
    yield made
    await made.feed.close()


@asynccontextmanager
async def on_its_way(audited: Auditing) -> AsyncIterator[Action]:
    """Within it, a drawn call has been sent, and its tool has not answered."""
    tool = audited.world.tool
    tool.free, tool.busy = asyncio.Event(), asyncio.Event()
    asking = asyncio.ensure_future(audited.ended(body=LARGE))
    await tool.busy.wait()
    (name,) = await audited.store.client.zrange(f"{audited.store._prefix}:due", 0, -1)
    action = await audited.store.get(name.decode())
    assert action is not None and action.drawn and action.state is State.FORWARDING
    yield action
    tool.free.set()
    await asking
    await audited.world.quiet()


async def bodies(audited: Auditing) -> int:
    names: Any = await audited.store.client.keys(f"{audited.store._prefix}:d:*")
    return len(names)


async def test_the_body_of_a_drawn_call_that_was_never_sent_is_not_kept(
    audited: Auditing,
) -> None:
    audited.world.tool.fails = [UpstreamUnreachable("refused")]

    action = await audited.ended(body=LARGE)

    assert action.drawn and action.state is not State.ANSWERED
    assert await audited.audits.get(action.id) is None
    assert await bodies(audited) == 0


async def test_the_body_of_a_drawn_call_whose_lease_ran_out_is_not_kept(audited: Auditing) -> None:
    async with on_its_way(audited) as action:
        assert await bodies(audited) == 1
        await audited.world.forge(action, deadline=1)

        late = await audited.store.get(action.id)

        assert late is not None and late.state is State.UNKNOWN
        assert await bodies(audited) == 0


async def test_bodies_of_drawn_calls_are_counted_apart_for_their_agent(audited: Auditing) -> None:
    prefix, client = audited.store._prefix, audited.store.client
    first = await audited.ended(body=LARGE)
    counted = int(await client.get(f"{prefix}:z:bot") or 0)
    assert len(LARGE) < counted < len(LARGE) + 2000
    assert 0 < await client.pttl(f"{prefix}:z:bot") <= 3_600_000

    await client.set(f"{prefix}:z:bot", 2**26, keepttl=True)
    second = await audited.ended(body=LARGE)

    shown = [await audited.audits.get(each.id) for each in (first, second)]
    assert [each.call.body for each in shown if each] == [LARGE, b""]


async def test_no_body_is_kept_for_who_has_no_place_among_the_audits(audited: Auditing) -> None:
    prefix, client = audited.store._prefix, audited.store.client
    await client.zadd(f"{prefix}:audits:by", {"bot": 200})

    async with on_its_way(audited):
        assert await bodies(audited) == 0
