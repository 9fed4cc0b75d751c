"""The judge and what past decisions make of an agent's confidence: always known, seldom heeded."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from interlock.core.actions import Context, McpTool, ToolCall
from interlock.core.decisions import Level
from interlock.core.facts import NO_FACTS, Facts, Needs
from interlock.judge import Judge
from interlock.store.redis import RedisStore
from tests.support.builders import a_call
from tests.support.fakes import World, a_policy
from tests.support.stores import Server, fresh_prefix

HEEDS = """
signals:
  confidence: {raise_below: {low: 0.5, medium: 0.5, high: 0.5, critical: 0.5}, use: USE}
"""
NOVEL = "\nsignals: {novelty: {}}\n"


class Model:
    """Knows one number, and notes what it was asked."""

    def __init__(self, says: float | None = 0.25) -> None:
        self.says = says
        self.asked: list[tuple[str, str, float]] = []

    def calibrated(self, agent: str, tool: str, claimed: float) -> float | None:
        self.asked.append((agent, tool, claimed))
        return self.says


class Counted(RedisStore):
    """A store that notes how often it was asked about the past."""

    trips = 0

    async def facts(self, needs: Needs) -> Facts:
        self.trips += 1
        return await super().facts(needs)


@pytest.fixture
async def store(server: Server) -> AsyncIterator[Counted]:
    store = Counted(server.url, fresh_prefix())
    yield store
    await store.close()


def judge(store: RedisStore, model: Model | None, more: str = "") -> Judge:
    return World(store, policy=a_policy(more), confidences=model).gate.judging


def asked(claimed: float | None = 0.9, path: str = "note", **more: Any) -> ToolCall:
    context = Context(confidence=claimed, session="s1")
    return replace(a_call(target=f"/{path}?to=bob", **more), context=context)


async def test_what_past_decisions_say_is_known_of_every_call_that_claims_something(
    store: Counted,
) -> None:
    """Fault caught: a card and a record without it wherever policy asks for nothing else."""
    model = Model()
    judging = judge(store, model)

    decision = await judging.judge(asked())

    assert (decision.level, decision.facts.calibrated) == (Level.NOTIFY, 0.25)
    assert model.asked == [("bot", "bank.note", 0.9)]
    assert store.trips == 0  # no round trip for it


async def test_beside_what_the_store_says_it_is_one_fact_more(store: Counted) -> None:
    decision = await judge(store, Model(), NOVEL).judge(asked())

    assert (decision.facts.familiar, decision.facts.calibrated) == (False, 0.25)
    assert store.trips == 1


@pytest.mark.parametrize("claimed", [None, float("nan"), -0.1, 1.1])
async def test_where_nothing_sound_is_claimed_nothing_is_asked(
    store: Counted, claimed: float | None
) -> None:
    model = Model()

    decision = await judge(store, model).judge(asked(claimed))

    assert (decision.facts, model.asked) == (NO_FACTS, [])


@pytest.mark.parametrize("model", [None, Model(None)])
async def test_without_a_model_the_past_is_as_unknown_as_before(
    store: Counted, model: Model | None
) -> None:
    decision = await judge(store, model).judge(asked())

    assert decision.facts is NO_FACTS


async def test_what_is_in_no_entry_is_named_as_in_its_record(store: Counted) -> None:
    model = Model()
    judging = judge(store, model)

    await judging.judge(asked(path="elsewhere"))
    await judging.judge(replace(asked(), upstream="files", mcp=McpTool(name="read_file")))

    assert [tool for _, tool, _ in model.asked] == ["", "read_file"]


@pytest.mark.parametrize(
    ("use", "level"), [("claimed", Level.NOTIFY), ("calibrated", Level.APPROVE)]
)
async def test_it_is_heeded_only_where_policy_says_so(
    store: Counted, use: str, level: Level
) -> None:
    decision = await judge(store, Model(), HEEDS.replace("USE", use)).judge(asked())

    assert (decision.level, decision.facts.calibrated) == (level, 0.25)


@pytest.mark.parametrize(
    ("more", "sways"),
    [
        ("", False),
        (HEEDS.replace("USE", "claimed"), False),
        (HEEDS.replace("USE", "calibrated"), True),
        (NOVEL, True),
    ],
)
async def test_a_number_that_nobody_heeds_makes_no_call_the_retry_of_another(
    store: Counted, more: str, sways: bool
) -> None:
    """Fault caught: two equal calls taken for one, since a number beside them may change."""
    judging = judge(store, Model(), more)
    decision = await judging.judge(asked())

    assert decision.facts.calibrated == 0.25
    assert judging.sways(decision.facts) is sways
    assert not judging.sways(NO_FACTS)
