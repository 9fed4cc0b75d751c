"""Who is asked of each held call, in turn."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

import pytest

from interlock.approvals.rotation import Rotation, in_turn
from interlock.core.actions import Action
from interlock.core.desk import Absence, Assignment, Colleague
from interlock.core.errors import StoreUnavailable
from interlock.core.rules import Attention
from interlock.gate import Gate
from interlock.ports import Notice
from tests.support.builders import a_decision, an_action

from .world import CountedIds, World, a_call


def a_held(*approvers: str) -> Action:
    return replace(an_action(), decision=a_decision(approvers=approvers), created=1)


def a_colleague(name: str, *groups: str, **more: int) -> Colleague:
    return Colleague(id=name, groups=groups or ("ops",), seen=1, **more)


def away(person: str, to: str = "", *groups: str) -> Absence:
    return Absence(person=person, groups=groups or ("ops",), to=to, until=2, since=1)


def test_whoever_has_least_to_do_is_asked_first() -> None:
    people = (
        a_colleague("dan", assigned=1),
        a_colleague("cat", approved=2),
        a_colleague("bob"),
        a_colleague("ann"),
    )
    assert in_turn(a_held("ops"), people, 0) == ("ann", "bob", "cat", "dan")


def test_only_who_may_decide_is_asked() -> None:
    people = (a_colleague("ann", "sales"), a_colleague("olga"), a_colleague("bot"))
    assert in_turn(a_held("ops"), people, 0) == ()
    assert in_turn(a_held(), people, 0) == ("ann",)


def test_whoever_approved_enough_in_this_hour_rests() -> None:
    people = (a_colleague("ann", approved=5), a_colleague("bob", approved=4))
    assert in_turn(a_held("ops"), people, 5) == ("bob",)
    assert in_turn(a_held("ops"), people, 0) == ("bob", "ann")


def test_whoever_is_away_is_asked_nothing_and_who_stands_in_is() -> None:
    people = (
        replace(a_colleague("ann"), away=away("ann", "cat")),
        a_colleague("cat", "sales"),
        replace(a_colleague("bob"), away=away("bob")),
    )
    assert in_turn(a_held("ops"), people, 0) == ("cat",)


@pytest.fixture
def rotating(world: World) -> Rotation:
    changed = replace(world.gate.policy, attention=Attention(rotate=True))
    world.gate.policy = changed
    return Rotation(world.deps.desk, lambda: world.gate.policy)


async def held(world: World, number: int) -> Action:
    body = b'{"to": "a%d", "body": "b"}' % number
    return await world.hold(a_call("mail", target="/messages", body=body))


async def asked(world: World, *actions: Action) -> list[str]:
    found = await world.deps.desk.assigned([each.id for each in actions])
    return [each.to if each else "" for each in found]


async def test_calls_that_are_held_at_once_go_to_different_people(
    world: World, rotating: Rotation
) -> None:
    for name in ("ann", "bob", "cat"):
        await world.deps.desk.greet(name, ["ops"])
    calls = [await held(world, number) for number in range(6)]
    await asyncio.gather(*(rotating.notify(each, Notice.HELD) for each in calls))
    assert sorted(await asked(world, *calls)) == ["ann", "ann", "bob", "bob", "cat", "cat"]


async def test_a_gate_that_rotates_asks_somebody_of_what_it_holds(
    world: World, rotating: Rotation
) -> None:
    await world.deps.desk.greet("ann", ["ops"])
    gate = Gate(
        policy=world.gate.policy,
        store=world.store,
        upstreams={"mail": world.tool},  # type: ignore[dict-item]
        notifiers=(rotating,),
        observers=(),
        clock=world.clock,
        ids=CountedIds(),
        seal_key=b"s" * 32,
    )
    call = a_call("mail", target="/messages", body=b'{"to": "a", "body": "b"}')
    submission = await gate.submit(call)
    await gate.close(5)
    assert await asked(world, submission.action) == ["ann"]


async def test_whoever_is_asked_already_stays_asked(world: World, rotating: Rotation) -> None:
    await world.deps.desk.greet("ann", ["ops"])
    action = await held(world, 1)
    await world.deps.desk.assign(action.id, Assignment(to="bob", by="ann", at=0))
    await rotating.notify(action, Notice.HELD)
    assert await asked(world, action) == ["bob"]


@pytest.mark.parametrize("why", [why for why in Notice if why is not Notice.HELD])
async def test_people_are_asked_once_when_it_is_held(
    world: World, rotating: Rotation, why: Notice
) -> None:
    await world.deps.desk.greet("ann", ["ops"])
    action = await held(world, 1)
    await rotating.notify(action, why)
    assert await asked(world, action) == [""]


async def test_without_rotation_nobody_is_asked(world: World) -> None:
    await world.deps.desk.greet("ann", ["ops"])
    action = await held(world, 1)
    await Rotation(world.deps.desk, lambda: world.gate.policy).notify(action, Notice.HELD)
    assert await asked(world, action) == [""]


async def test_whoever_stands_in_for_the_owner_is_not_asked(
    world: World, rotating: Rotation
) -> None:
    desk, now = world.deps.desk, await world.store.now()
    await desk.greet("ann", ["ops"])
    await desk.greet("bob", ["ops"])
    stands = Absence(person="olga", groups=("ops",), to="ann", until=now + 60_000, since=now)
    await desk.go_away(stands)
    action = await held(world, 1)
    await rotating.notify(action, Notice.HELD)
    assert await asked(world, action) == ["bob"]


async def test_nobody_here_and_no_store_are_said_in_the_log(
    world: World,
    rotating: Rotation,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    action = await held(world, 1)
    with caplog.at_level(logging.WARNING, "interlock.notify"):
        await rotating.notify(action, Notice.HELD)
    assert "nobody is here" in caplog.text

    async def broken(self: object) -> tuple[Colleague, ...]:
        raise StoreUnavailable("no store")

    monkeypatch.setattr(type(world.deps.desk), "colleagues", broken)
    with caplog.at_level(logging.WARNING, "interlock.notify"):
        await rotating.notify(action, Notice.HELD)
    assert "no store" in caplog.text
