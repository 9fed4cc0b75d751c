"""Grants: given with an approval, within what policy allows, for one target, and never forged."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from interlock.core.actions import Action, Review, Reviewer, State, Verdict
from interlock.core.decisions import Level
from interlock.core.digest import grant_mac
from interlock.core.errors import (
    Forbidden,
    IllegalTransition,
    InvalidEdit,
    NotFound,
    ReasonNeeded,
    StoreUnavailable,
    TooSoon,
)
from interlock.core.facts import Grant
from interlock.granting import GrantAsked
from interlock.store.redis import RedisStore
from tests.support.builders import ANN, BOB, a_review, edited
from tests.support.fakes import SEAL_KEY, World, a_policy, both, freeze

GRANTS = """
approvals:
  grants: {tools: [bank.pay, bank.wire], at_most: notify, longest: 1h, uses: 3}
"""
ASKED = GrantAsked(uses=2, seconds=600, reason="the landlord")


@pytest.fixture
async def world(store: RedisStore) -> AsyncIterator[World]:
    world = World(store, policy=a_policy(GRANTS, target="to"))
    yield world
    await world.gate.close(10)


def amount(of: int) -> bytes:
    return b'{"amount": %d}' % of


async def grant(
    world: World,
    action: Action,
    who: Reviewer = ANN,
    asked: GrantAsked = ASKED,
    verdict: Verdict = Verdict.APPROVE,
) -> Action:
    review = Review(
        reviewer=who,
        verdict=verdict,
        digest=action.digest,
        version=action.version,
        message="looked at it",
        call=edited(action) if verdict is Verdict.EDIT else None,
    )
    return await world.gate.review(action.id, review, grant=asked)


async def granted(world: World) -> Grant:
    """Let a person approve a call and grant the next ones to its target."""
    action = await world.held(body=amount(1))
    assert action.decision is not None and action.decision.grants
    assert (await grant(world, action)).state is State.APPROVED
    (found,) = await world.gate.grants()
    await world.quiet()
    return found


async def level(world: World, n: int, **call: object) -> Level:
    decision = (await world.ask(body=amount(n), **call)).action.decision
    assert decision is not None
    return decision.level


async def test_a_grant_lets_the_next_calls_to_its_target_through_so_often(world: World) -> None:
    found = await granted(world)
    assert (found.by, found.agent, found.tool, found.uses) == ("ann", "bot", "bank.pay", 2)
    assert (found.method, found.path) == ("POST", "/pay")
    assert dict(found.target) == {"to": "bob"} and found.expires - found.created == 600_000

    assert [await level(world, n) for n in (2, 3, 4)] == [
        *(Level.NOTIFY, Level.NOTIFY, Level.APPROVE)
    ]
    assert len(world.tool.sent) == 3, "the approved one and two more"
    (used,) = await world.gate.grants()
    assert used.used == 2


async def test_a_grant_is_for_its_agent_its_tool_and_its_target_alone(world: World) -> None:
    await granted(world)

    assert await level(world, 2, agent="eve") is Level.APPROVE
    wire = await world.ask(Level.APPROVE_DUAL, body=amount(2))
    assert wire.action.state is State.HELD
    other = replace(world.call(body=amount(2)), target="/pay?to=eve", query=(("to", "eve"),))
    assert (await world.gate.submit(other)).action.state is State.HELD


async def test_a_grant_does_not_lower_what_a_rule_asks_for(world: World) -> None:
    await granted(world)
    world.gate.policy = a_policy(GRANTS + both("pay"), target="to")
    assert await level(world, 2) is Level.APPROVE_DUAL

    world.gate.policy = a_policy(GRANTS + freeze("pay"), target="to")
    assert await level(world, 3) is Level.DENY


async def test_a_grant_ends_with_the_policy_that_allows_it(world: World) -> None:
    await granted(world)
    world.gate.policy = a_policy(target="to")

    assert await level(world, 2) is Level.APPROVE


async def test_a_grant_that_is_taken_back_lowers_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "interlock.grants")
    found = await granted(world)

    ended = await world.gate.take_back(found.id, "bob")

    assert ended.id == found.id and await world.gate.grants() == ()
    assert await level(world, 2) is Level.APPROVE
    with pytest.raises(NotFound, match=found.id):
        await world.gate.take_back(found.id, "bob")
    given, taken = (record.getMessage() for record in caplog.records)
    assert "given by=ann agent=bot tool=bank.pay" in given and "uses=2 seconds=600" in given
    assert "taken back by=bob" in taken


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (GrantAsked(uses=0, seconds=60), "between 1 and 3 uses"),
        (GrantAsked(uses=4, seconds=60), "between 1 and 3 uses"),
        (GrantAsked(uses=1, seconds=0), "up to 1h"),
        (GrantAsked(uses=1, seconds=3601), "up to 1h"),
        (GrantAsked(uses=1, seconds=float("nan")), "up to 1h"),
    ],
)
async def test_nobody_grants_more_than_policy_lets_them(
    world: World, asked: GrantAsked, told: str
) -> None:
    held = await world.held()

    with pytest.raises(InvalidEdit, match=told):
        await grant(world, held, asked=asked)
    assert (await world.now(held)).version == held.version and await world.gate.grants() == ()


async def test_a_call_whose_tool_has_no_grants_cannot_be_granted(store: RedisStore) -> None:
    world = World(store, policy=a_policy(target="to"))
    held = await world.held()

    with pytest.raises(IllegalTransition, match="Policy lets nobody grant"):
        await grant(world, held)
    assert (await world.now(held)).state is State.HELD


@pytest.mark.parametrize("verdict", [Verdict.REJECT, Verdict.RESPOND, Verdict.EDIT])
async def test_a_grant_goes_with_an_approval_only(world: World, verdict: Verdict) -> None:
    held = await world.held()

    with pytest.raises(IllegalTransition, match="goes with an approval"):
        await grant(world, held, verdict=verdict)
    assert await world.gate.grants() == ()


async def test_the_agents_owner_can_neither_approve_nor_grant(world: World) -> None:
    held = await world.held()

    for who in (Reviewer(id="olga"), Reviewer(id="bot")):
        with pytest.raises(Forbidden):
            await grant(world, held, who)
    assert await world.gate.grants() == ()


async def test_where_two_have_to_agree_one_alone_grants_nothing(world: World) -> None:
    held = await world.held(Level.APPROVE_DUAL)

    with pytest.raises(IllegalTransition, match="Another person has to approve"):
        await grant(world, held)
    await world.says(held, ANN)
    assert (await grant(world, await world.now(held), BOB)).state is State.APPROVED
    (found,) = await world.gate.grants()
    assert found.by == "bob"
    await world.quiet()


async def test_the_same_decision_again_gives_no_second_grant(world: World) -> None:
    held = await world.held()
    await grant(world, held)
    await level(world, 2)
    await grant(world, held)

    (found,) = await world.gate.grants()
    assert found.used == 1
    await world.quiet()


async def test_a_grant_that_could_not_be_kept_is_told_and_can_be_sent_again(
    world: World,
) -> None:
    class Full:
        async def give(self, grant: Grant) -> None:
            raise StoreUnavailable("The store is full.")

        def __getattr__(self, name: str) -> object:
            return getattr(world.store, name)

    held = await world.held()
    world.gate._grants._store = Full()  # type: ignore[assignment]
    with pytest.raises(StoreUnavailable, match="is approved, but the grant could not be kept"):
        await grant(world, held)
    assert (await world.now(held)).state is State.ANSWERED
    world.gate._grants._store = world.store

    again = await grant(world, held)

    assert again.state is State.ANSWERED and len(await world.gate.grants()) == 1
    assert len(world.tool.sent) == 1


async def answered(world: World, **more: Any) -> Action:
    """Have a call approved by ann, and sent; return it as she looked at it."""
    held = await world.held()
    await world.gate.review(held.id, a_review(held, **more))
    assert (await world.now(held)).state is State.ANSWERED
    return held


async def test_promise_11_no_repeated_answer_makes_a_grant_of_what_was_signed(
    world: World,
) -> None:
    held = await answered(world, step_up="key-1", message="looked at it")

    with pytest.raises(IllegalTransition, match="no grant goes with it"):
        await grant(world, held)
    assert await world.gate.grants() == ()


@pytest.mark.parametrize(
    ("asks", "error"),
    [
        ({"step_up": True}, IllegalTransition),
        ({"dwell_ms": 5000}, TooSoon),
        ({"approvers": ("leads",)}, Forbidden),
        ({}, ReasonNeeded),
    ],
)
async def test_promise_11_a_grant_that_comes_later_skips_no_duty(
    world: World, asks: dict[str, Any], error: type[Exception]
) -> None:
    """The call is approved; policy asks for more before its approval is made to last."""
    held = await answered(world)
    levels = world.gate.policy.levels
    needed = levels.require_reason if asks else frozenset({"approve"})
    stricter = replace(levels, approve=replace(levels.approve, **asks), require_reason=needed)
    world.gate.policy = replace(world.gate.policy, levels=stricter)

    with pytest.raises(error):
        await grant(world, held)
    assert await world.gate.grants() == ()


async def test_a_tampered_call_cannot_be_granted(world: World) -> None:
    held = await world.held()
    record = json.loads((await world.raw(held))[b"rec"])
    record["decision"]["description"] = "Harmless."
    await world.forge(held, rec=json.dumps(record))

    with pytest.raises(IllegalTransition, match="changed outside Interlock"):
        await grant(world, await world.now(held))
    assert await world.gate.grants() == ()


def test_a_grant_is_bound_by_everything_that_it_says() -> None:
    one = Grant(
        id="g1",
        key="k",
        agent="bot",
        tool="bank.pay",
        target={"to": "bob"},
        by="ann",
        action_id="a1",
        level=2,
        stake=1,
        created=1,
        expires=2,
        uses=3,
        reason="r",
    )
    mac = grant_mac(one, SEAL_KEY)
    changes = [
        {"id": "g2"},
        {"key": "l"},
        {"agent": "eve"},
        {"tool": "bank.wire"},
        {"target": {"to": "eve"}},
        {"by": "bob"},
        {"action_id": "a2"},
        {"level": 3},
        {"stake": 3},
        {"created": 2},
        {"expires": 3},
        {"uses": 4},
        {"reason": "s"},
    ]
    assert all(grant_mac(replace(one, **change), SEAL_KEY) != mac for change in changes)
    assert grant_mac(replace(one, used=2), SEAL_KEY) == mac
