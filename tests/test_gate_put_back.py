"""A call that has ended and is put back in the store as it was: nobody clears it any more."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest

from interlock.core.actions import Action, State, Verdict
from interlock.core.errors import IllegalTransition
from interlock.core.events import ClearanceFailed
from interlock.store.redis import RedisStore
from tests.support.builders import ANN, BOB
from tests.support.fakes import World, approved_and_crashed


@pytest.fixture
async def world(store: RedisStore) -> AsyncIterator[World]:
    world = World(store)
    yield world
    await world.gate.close(10)


class Saved:
    """A call as it was in the store, seals and all."""

    def __init__(self, world: World, action: Action, fields: dict[bytes, bytes]) -> None:
        self.world, self.action, self.fields = world, action, fields

    @classmethod
    async def of(cls, world: World, action: Action) -> Saved:
        return cls(world, action, await world.raw(action))

    async def put_back(self) -> None:
        client, prefix = self.world.store.client, self.world.store._prefix
        key = f"{prefix}:c:{self.action.id}"
        await client.delete(key)
        await client.hset(key, mapping=self.fields)  # type: ignore[misc, arg-type]
        await client.zadd(f"{prefix}:open", {self.action.id: 1})
        assert (await self.world.now(self.action)).state is self.action.state


@pytest.mark.parametrize("verdict", [Verdict.REJECT, Verdict.RESPOND, Verdict.APPROVE])
async def test_a_call_that_was_decided_is_not_decided_anew(
    world: World, verdict: Verdict, caplog: pytest.LogCaptureFixture
) -> None:
    """Fault caught: a rejected payment is rolled back, and a colleague approves it."""
    held = await world.held()
    saved = await Saved.of(world, held)
    await world.says(held, ANN, verdict=verdict)
    await world.quiet()
    sent, ended = len(world.tool.sent), (await world.now(held)).state.value
    await saved.put_back()

    with pytest.raises(IllegalTransition, match=f"was {ended} already, and put back"):
        await world.says(held, BOB)
    await world.quiet()

    assert len(world.tool.sent) == sent
    logged = (logging.ERROR, f"call {held.id} was {ended}, and waits again: somebody put it back")
    assert logged in [(each.levelno, each.message) for each in caplog.records]


async def test_it_can_still_be_rejected(world: World) -> None:
    held = await world.held()
    saved = await Saved.of(world, held)
    await world.says(held, ANN, verdict=Verdict.REJECT)
    await saved.put_back()

    assert (await world.says(held, BOB, verdict=Verdict.REJECT)).state is State.REJECTED


async def test_an_approved_call_that_was_rejected_is_not_sent_once_it_is_put_back(
    world: World,
) -> None:
    approved = await approved_and_crashed(world)
    saved = await Saved.of(world, approved)
    await world.says(approved, BOB, verdict=Verdict.REJECT)
    await saved.put_back()

    await world.gate.sender.dispatch(approved)
    await world.quiet()

    assert world.tool.sent == []
    assert (await world.now(approved)).state is State.DENIED
    assert any(isinstance(event, ClearanceFailed) for _, event, _ in world.seen.moves)


async def test_what_was_read_before_a_colleague_decided_is_no_attack(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    held = await world.held()
    early = await world.now(held)
    await world.says(held, ANN, verdict=Verdict.REJECT)
    real, answers = world.store.get, [early]

    async def get(action_id: str) -> Action | None:
        return answers.pop() if answers else await real(action_id)

    monkeypatch.setattr(world.store, "get", get)
    with pytest.raises(IllegalTransition, match=r"is rejected; it cannot be changed"):
        await world.says(held, BOB)

    assert "put it back" not in caplog.text
