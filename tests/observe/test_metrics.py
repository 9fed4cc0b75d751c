"""Metrics add up, and no agent can make a label."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from interlock.core.actions import Verdict
from interlock.core.decisions import Level
from interlock.core.errors import UpstreamLost, UpstreamUnreachable
from interlock.observe.metrics import Metrics
from interlock.store.redis import RedisStore
from tests.support.builders import BOB
from tests.support.fakes import World


class Counted(World):
    """A world whose gate is observed by real metrics."""

    def __init__(self, store: RedisStore) -> None:
        self.metrics = Metrics()
        super().__init__(store, observers=[self.metrics])

    def total(self, name: str, **labels: str) -> float:
        """Sum the series of *name* whose labels include *labels*."""
        found = 0.0
        for line in self.metrics.render().decode().splitlines():
            if re.match(name + r"[{ ]", line) and all(
                f'{label}="{value}"' in line for label, value in labels.items()
            ):
                found += float(line.rpartition(" ")[2])
        return found


@pytest.fixture
async def world(store: RedisStore) -> AsyncIterator[Counted]:
    yield Counted(store)


async def test_promise_41_outcomes_add_up_to_calls(world: Counted) -> None:
    await world.ask(Level.ALLOW)
    await world.ask(Level.NOTIFY)
    await world.ask(Level.DENY)
    world.tool.fails = [UpstreamUnreachable("closed"), UpstreamLost("cut")]
    await world.ask(Level.ALLOW)
    await world.ask(Level.ALLOW)
    await world.says(await world.held())
    await world.says(await world.held(body=b'{"amount": 1}'), verdict=Verdict.REJECT)
    still = await world.held(body=b'{"amount": 2}')
    await world.quiet()

    calls, outcomes = (
        world.total("interlock_calls_total"),
        world.total("interlock_call_outcomes_total"),
    )
    assert (calls, outcomes) == (8, 7)
    counts = await world.store.counts()
    assert calls - outcomes == counts["held"] == 1
    by_outcome = {
        name: world.total("interlock_call_outcomes_total", outcome=name)
        for name in ("answered", "denied", "rejected", "unknown", "cancelled")
    }
    assert by_outcome == {
        "answered": 3,
        "denied": 1,
        "rejected": 1,
        "unknown": 1,
        "cancelled": 1,
    }
    await world.gate.cancel(still.id, "bot")
    assert world.total("interlock_call_outcomes_total") == 8


async def test_sends_and_reviews_are_counted_by_how_they_ended(world: Counted) -> None:
    held = await world.held()
    await world.says(held, BOB)
    await world.quiet()
    world.tool.fails = [UpstreamLost("cut")]
    await world.ask(Level.ALLOW)

    assert world.total("interlock_reviews_total", verdict="approve", level="approve") == 1
    assert world.total("interlock_upstream_outcomes_total", outcome="2xx") == 1
    assert world.total("interlock_upstream_outcomes_total", outcome="lost") == 1
    assert world.total("interlock_time_to_decision_seconds_count", level="approve") == 1


async def test_gauges_show_what_the_store_says(world: Counted) -> None:
    await world.held()
    world.metrics.store_truth(await world.store.counts(), 12.5, 0)
    assert world.total("interlock_holds_open") == 1
    assert world.total("interlock_hold_oldest_age_seconds") == 12.5

    world.metrics.store_truth(None, 0.0, 0)
    assert world.total("interlock_store_up") == 0


async def test_no_agent_can_make_a_series(world: Counted) -> None:
    await world.ask(Level.ALLOW)
    await world.quiet()
    before = len(world.metrics.render().splitlines())
    for number in range(50):
        call = world.call(Level.ALLOW, agent=f"agent-{number}", session=f"s{number}")
        submission = await world.gate.submit(call)
        assert submission.relay is not None
        await submission.relay.drain()
    await world.quiet()

    assert len(world.metrics.render().splitlines()) == before


def test_every_metric_is_documented() -> None:
    text = Path("docs/operating.md").read_text(encoding="utf-8")
    names = set(re.findall(r"^# TYPE (interlock_\w+)", Metrics().render().decode(), re.MULTILINE))

    missing = {
        name for name in names if name.removesuffix("_total").removesuffix("_info") not in text
    }
    assert names and not missing
