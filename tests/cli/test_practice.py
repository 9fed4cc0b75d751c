"""A practice call, decided in a terminal."""

from __future__ import annotations

from interlock.core.actions import State
from interlock.core.decoys import decoy
from interlock.core.identity import Kind
from interlock.core.practice import Practised
from tests.approvals.world import World

from .test_review import Person, ann, redis, world

__all__ = ("ann", "redis", "world")


async def test_the_terminal_says_at_once_that_it_was_practice(world: World, ann: Person) -> None:
    real = await world.hold()
    bob = await world.key(Kind.APPROVER, "bob")
    await world.decide(real, bob, type="reject", message="Never\x1b[2J to them.")
    call = decoy(real, {}, "s-17")
    practice = await world.gate.plant(call, await world.gate.judge(call), real.id)

    said = await ann.types("approve", practice.id, "--yes", "-m", "fine")

    assert said.code == 0, said.err
    told = " ".join(said.out.split())
    assert f"{practice.id} is cancelled. This was a practice call." in told
    assert "You let this one through. It was practice, so nothing was sent." in told
    assert f"bob rejected the real one ({real.id})" in told and "to them." in told
    assert "\x1b" not in said.out
    assert world.tool.calls == []
    assert (await world.now(practice)).state is State.CANCELLED


async def test_people_read_how_they_did(world: World, ann: Person) -> None:
    now = await world.store.now()
    await world.deps.practice.note("ann", "p1", Practised.CAUGHT, now)
    said = await ann.types("practice")
    assert said.code == 0 and "LET THROUGH" in said.out and "ann" in said.out
