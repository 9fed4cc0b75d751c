"""What past decisions tell on the page of a call, and that no page waits for it."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from interlock.approvals.past import FRESH, PAST, Past
from interlock.core.analytics import Analytics, Bin, Selected
from interlock.core.errors import StoreUnavailable
from interlock.core.identity import Kind
from interlock.store.redis import RedisStore
from tests.support.stores import Server, fresh_prefix

from .figures import FakeArchive, group, nothing, some
from .world import World, a_call, a_world


async def told(world: World, **more: Any) -> tuple[dict[str, Any], str]:
    """Return a call as the API and as the page tell it, once the figures were read."""
    action, key = await world.hold(a_call(**more)), await world.key(Kind.APPROVER, "ann")
    await world.ask("GET", f"/v1/approvals/{action.id}", key=key)
    await world.server.app[PAST].settled()
    item = await world.ask("GET", f"/v1/approvals/{action.id}", key=key)
    page = await world.ask("GET", f"/review/{action.id}", key=key)
    return await item.json(), await page.text()


async def test_each_rule_that_fired_says_what_holding_was_good_for(world: World) -> None:
    world.archive.has(some())
    item, page = await told(world)
    (rule,) = item["decision"]["rules"]
    assert (rule["id"], rule["precision"]["hits"], rule["precision"]["of"]) == (
        "new-recipient",
        3,
        41,
    )
    assert "People changed or refused 3 of 41 (7 %, 95 %: 2 to 20 %)" in page


async def test_a_rule_of_little_says_that_it_is_little(world: World) -> None:
    world.archive.has(replace(some(), rules=(group("new-recipient", approved=3, rejected=1),)))
    item, page = await told(world)
    assert item["decision"]["rules"][0]["precision"]["few"]
    assert "1 of 4 (25 %, 95 %: 0.6 to 81 %), a small sample" in page


async def test_a_rule_that_nobody_decided_under_says_nothing(world: World) -> None:
    world.archive.has(replace(some(), rules=(group("new-recipient", expired=3),)))
    item, page = await told(world)
    assert item["decision"]["rules"][0]["precision"] is None
    assert "People changed or refused" not in page


async def test_the_agents_word_stands_beside_what_became_of_such_words(world: World) -> None:
    world.archive.has(some())
    item, page = await told(world, confidence=0.95)
    assert item["context"]["past"] == {
        "agent": True,
        "low": 0.9,
        "high": 1.0,
        "right": 0.71,
        "of": 212,
        "few": False,
    }
    text = re.sub(r"<[^>]+>", "", page)
    assert "Calls of this agent that claimed 90 % to 100 % were right in 71 % of 212." in text


@pytest.mark.parametrize("claimed", [0.3, None])
async def test_where_nobody_claimed_as_much_nothing_is_said(
    world: World, claimed: float | None
) -> None:
    world.archive.has(some())
    item, page = await told(world, confidence=claimed)
    assert item["context"]["past"] is None and "were right in" not in page


async def test_where_two_must_decide_it_is_folded_with_the_rest(world: World) -> None:
    policy = world.gate.policy
    dual = replace(policy.levels.approve_dual, folded=True)
    world.gate.policy = replace(policy, levels=replace(policy.levels, approve_dual=dual))
    world.archive.has(some())
    dual_call = {"upstream": "git", "method": "DELETE", "target": "/repos/a/b", "body": b""}
    item, page = await told(world, confidence=0.95, **dual_call)
    assert item["decision"]["folded"] and item["context"]["past"]["of"] == 212
    assert re.search(r'<p class="small" id="calibrated" data-folded hidden>', page)


async def test_without_an_archive_nothing_is_shown(server: Server) -> None:
    prefix = fresh_prefix()
    store = RedisStore(server.url, prefix=prefix)
    async with a_world(store, prefix, learning=False) as world:
        item, page = await told(world)
        assert item["decision"]["rules"][0]["precision"] is None
        assert item["context"]["past"] is None and "People changed" not in page
    await store.close()


# the memory behind it -----------------------------------------------------------------------


@dataclass
class SlowArchive(FakeArchive):
    """An archive that answers when a test lets it, or fails."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    fails: bool = False
    broken: bool = False

    async def analytics(self, selected: Selected) -> Analytics:
        await self.go.wait()
        if self.fails:
            raise StoreUnavailable("The archive is locked.")
        if self.broken:
            raise ZeroDivisionError
        return await FakeArchive.analytics(self, selected)


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


async def test_nobody_waits_for_an_archive_that_is_slow() -> None:
    archive, clock = SlowArchive(found=some()), Clock()
    past = Past(archive, clock)
    assert past.of("", 0) is None and past.of("", 0) is None
    archive.go.set()
    await past.settled()
    found = past.of("", 0)
    assert found is not None and found.total == some().total
    assert len(archive.asked) == 1
    clock.now += FRESH + 1
    assert past.of("", 0) is found  # until the new one is there
    await past.settled()
    assert len(archive.asked) == 2
    clock.now += 7200
    assert past.of("", 0) is None  # too old to be shown
    await past.close()


async def test_an_archive_that_fails_is_asked_again_and_breaks_nothing() -> None:
    archive = SlowArchive(fails=True)
    archive.go.set()
    past = Past(archive, Clock())
    assert past.of("bot", 0) is None
    await past.settled()
    assert past.of("bot", 0) is None
    await past.settled()
    archive.fails = False
    assert past.of("bot", 0) is None
    await past.settled()
    assert past.of("bot", 0) is not None


async def test_a_defect_of_the_archive_is_logged_once_until_it_works_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    archive, clock = SlowArchive(broken=True), Clock()
    archive.go.set()
    past = Past(archive, clock)
    for agent in ("bot", "bot", "", "other"):
        assert past.of(agent, 0) is None
        await past.settled()
    (told,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert "by a defect of the archive" in told.getMessage() and told.exc_info is not None
    archive.broken = False
    assert past.of("bot", 0) is None
    await past.settled()
    assert past.of("bot", 0) is not None
    archive.broken, clock.now = True, clock.now + FRESH + 1
    past.of("bot", 0)
    await past.settled()
    assert len([each for each in caplog.records if each.levelname == "ERROR"]) == 2


async def test_what_is_still_read_ends_when_it_is_closed() -> None:
    past = Past(SlowArchive(), Clock())
    assert past.of("bot", 0) is None
    await past.close()


async def test_many_agents_do_not_fill_the_memory() -> None:
    archive = SlowArchive(found=nothing())
    archive.go.set()
    past = Past(archive, Clock())
    for number in range(200):
        assert past.of(f"bot{number}", 0) is None
        await past.settled()
    assert past.of("bot0", 0) is None and past.of("bot199", 0) is not None
    await past.close()


async def test_an_agent_of_few_calls_is_measured_by_all() -> None:
    rare = Bin(low=0.9, high=1.0, of=3, weight=3.0, stated=0.95, right=1.0)
    own = replace(some(), reliability=replace(some().reliability, bins=(rare,)))

    from interlock.approvals.past import _like_this

    like = _like_this(0.95, own, some())
    assert like is not None and (like.agent, like.of) == (False, 212)
    alone = _like_this(0.95, own, None)
    assert alone is not None and (alone.agent, alone.few) == (True, True)
    whole = _like_this(1.0, None, some())
    assert whole is not None and whole.of == 212
