"""A practice call in the running product: looked at, let through, and never sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack

import httpx
import pytest

from interlock.config import load_config
from interlock.core.actions import Action
from interlock.gate import Gate as InProcess
from interlock.keyfiles import derived_keys
from interlock.observe.metrics import Metrics
from interlock.parts import open_store
from interlock.policies.load import load_policies
from interlock.practising import Around, Practising
from interlock.store.practice import RedisPractice
from interlock.system import RandomIds, SystemClock
from tests.acceptance.world import POLICY, Gate, Tool, gate, short_folder, with_tool

pytestmark = [pytest.mark.slow]
SHARE = "approvals: {decoys: {share: 0.2}}\n"


@pytest.fixture(scope="module")
def tool() -> Iterator[Tool]:
    made = Tool()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def running(tool: Tool) -> Iterator[Gate]:
    with short_folder() as folder, gate(folder, with_tool(tool), POLICY + SHARE) as served:
        yield served


def publish(running: Gate, text: str) -> None:
    later = {"Prefer": "respond-async"}
    asked = httpx.post(f"{running.tool}/publish", json={"text": text}, headers=later)
    assert asked.status_code == 202


async def planted(running: Gate) -> Action | None:
    """Plant one from another process of the same installation, with every draw won."""
    config = load_config(running.folder / "interlock.yaml", {})
    async with AsyncExitStack() as stack:
        store, _ = await open_store(config, stack)
        book = RedisPractice(store.client, prefix=config.store.prefix)
        made: list[InProcess] = []
        practising = Practising(
            lambda: made[0],
            store,
            book,
            Around(
                draw=lambda: 0.0,
                upstreams={"tool"},
                wait_seconds=8,
                counted=Metrics().practised,
                aged_ms=0,
            ),
        )
        made.append(
            InProcess(
                policy=load_policies(config.policies),
                store=store,
                upstreams={},
                notifiers=(practising,),
                observers=(),
                clock=SystemClock(),
                ids=RandomIds(),
                seal_key=derived_keys(config).seal,
            )
        )
        practising._due.append(0)
        decoy = await practising.plant_due()
        await made[0].close(5)
        return decoy


def test_who_lets_it_through_hears_it_and_nobody_else_does(running: Gate, tool: Tool) -> None:
    publish(running, "All of our salaries")
    assert running.decide("reject", "bob", message="Not to the public.").status_code == 200
    publish(running, "Hello")
    (real,) = running.held()
    decoy = asyncio.run(planted(running))
    assert decoy is not None
    practice = next(card for card in running.held(2) if card["id"] == decoy.id)
    assert httpx.get(f"{running.agents}/v1/calls/{decoy.id}").status_code == 404

    told = running.decide_card(practice, "approve").json()

    assert told["said"].startswith("This was a practice call. You let this one through.")
    assert "bob rejected the real one" in told["said"] and "Not to the public." in told["said"]
    assert tool.hits == 0
    assert running.decide_card(real, "approve").status_code == 200
    running.becomes(real["id"], "answered")
    assert tool.hits == 1
    metrics = httpx.get(f"{running.people}/metrics").text
    assert 'interlock_practice_total{outcome="missed"} 1.0' in metrics
    with running.person() as ann, running.person("bob") as bob:
        (own,) = ann.get("/v1/practice").json()["items"]
        (his,) = bob.get("/v1/practice").json()["items"]
    assert (own["person"], own["caught"], own["missed"]) == ("ann", 0, 1)
    assert (his["person"], his["caught"], his["missed"]) == ("bob", 0, 0)
