"""Metrics add up, and no agent can make a label."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from interlock.core.actions import Review, Verdict
from interlock.core.decisions import Level
from interlock.core.errors import UpstreamLost, UpstreamUnreachable
from interlock.granting import GrantAsked
from interlock.observe.metrics import Metrics
from interlock.store.redis import RedisStore
from tests.support.builders import ANN, BOB
from tests.support.fakes import World, a_policy


class Counted(World):
    """A world whose gate is observed by real metrics."""

    def __init__(self, store: RedisStore, **gate: Any) -> None:
        self.metrics = Metrics()
        super().__init__(store, observers=[self.metrics], **gate)

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


TRIED = """
rules:
  - {id: night, description: Trial., tools: [bank.note], mode: shadow, at_least: approve}
limits:
  - {id: few, tools: [bank.read], key: [agent.id], window: 1h, count: 1, then: deny}
approvals:
  grants: [{tools: [bank.pay], at_most: notify, longest: 1h, uses: 9}]
"""


async def test_what_policy_tried_limited_and_lowered_is_counted(store: RedisStore) -> None:
    world = Counted(store, policy=a_policy(TRIED))
    for _ in range(2):
        await world.ask(Level.NOTIFY)
    for number in range(3):
        await world.ask(Level.ALLOW, body=b'{"amount": %d}' % number)
    held = await world.held()
    review = Review(reviewer=ANN, verdict=Verdict.APPROVE, digest=held.digest, version=held.version)
    await world.gate.review(held.id, review, grant=GrantAsked(uses=1, seconds=60))
    await world.quiet()
    await world.ask(key="another time")
    await world.quiet()

    shadowed = {"rule": "night", "level": "approve"}
    assert world.total("interlock_shadow_decisions_total", **shadowed) == 2
    assert world.metrics.shadowed() == {("night", "approve"): (2, 2)}
    assert world.total("interlock_limits_fired_total", limit="few") == 2
    assert world.total("interlock_grants_used_total", tool="bank.pay") == 1


def test_reveals_are_counted() -> None:
    metrics = Metrics()
    metrics.revealed()
    assert b"interlock_reveals_total 1.0" in metrics.render()


def test_presses_in_chats_that_were_refused_are_counted() -> None:
    metrics = Metrics()
    metrics.channel_refused("slack", "person")
    text = metrics.render()
    assert b'interlock_channel_presses_refused_total{channel="slack",why="person"} 1.0' in text


def test_definitions_that_wait_and_that_were_accepted_are_counted() -> None:
    metrics, waiting = Metrics(), [3]
    metrics.count_waiting_definitions(lambda: len(waiting))
    metrics.definition_accepted()
    text = metrics.render()
    assert b"interlock_definitions_waiting 1.0" in text
    assert b"interlock_definitions_accepted_total 1.0" in text
