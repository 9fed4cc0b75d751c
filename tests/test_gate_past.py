"""The gate with a past: budgets, caps, refusals, sessions and reminders on a real store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from interlock.core.actions import Action, Reviewer, State, Verdict
from interlock.core.decisions import Level
from interlock.core.errors import Forbidden, InvalidEdit, StoreUnavailable
from interlock.core.facts import Facts, Needs
from interlock.ports import Notice
from interlock.store.redis import RedisStore
from tests.support.builders import ANN, BOB, edited
from tests.support.fakes import World, a_policy
from tests.support.faults import plant
from tests.support.stores import Server, fresh_prefix

MONEY = """
limits:
  - id: money
    description: So much an hour.
    tools: [bank.{tool}]
    key: [agent.id]
    window: 1h
    sum: args.amount
    max: 1000
    then: {then}
"""
ALWAYS_OVERTAKEN = ("if effects and not past().fits(effects, nil, held)", "if effects")


class Counted(RedisStore):
    """A store that notes what it was asked about the past."""

    asked: list[Needs]

    async def facts(self, needs: Needs) -> Facts:
        self.asked.append(needs)
        return await super().facts(needs)


@pytest.fixture
async def store(server: Server) -> AsyncIterator[Counted]:
    store = Counted(server.url, fresh_prefix())
    store.asked = []
    yield store
    await store.close()


def money(tool: str, then: str = "approve") -> str:
    return MONEY.format(tool=tool, then=then)


def amount(of: int) -> bytes:
    return b'{"amount": %d}' % of


# no past asked for ---------------------------------------------------------------------------


async def test_a_policy_that_asks_nothing_of_the_past_costs_no_round_trip(store: Counted) -> None:
    world = World(store)
    await world.ask(Level.ALLOW)
    held = await world.held()
    await world.says(held)
    await world.quiet()

    assert store.asked == [] and len(world.tool.sent) == 2


# budgets -------------------------------------------------------------------------------------


async def test_a_call_beyond_its_budget_is_held_and_people_are_told(store: Counted) -> None:
    world = World(store, policy=a_policy(money("read")))
    first = await world.ask(Level.ALLOW, body=amount(900))
    second = await world.ask(Level.ALLOW, body=amount(101))
    await world.quiet()

    assert first.relay is not None and second.action.state is State.HELD
    assert second.action.decision is not None and second.action.decision.limits == ("money",)
    assert len(world.tool.sent) == 1 and world.seen.why == [Notice.HELD]


async def test_what_fits_exactly_is_not_beyond(store: Counted) -> None:
    world = World(store, policy=a_policy(money("read")))
    for each in (900, 100):
        assert (await world.ask(Level.ALLOW, body=amount(each))).relay is not None

    assert (await world.ask(Level.ALLOW, body=amount(1))).action.state is State.HELD


async def test_of_two_calls_at_once_the_one_that_was_overtaken_is_judged_again(
    store: Counted,
) -> None:
    world = World(store, policy=a_policy(money("read")))

    both = await asyncio.gather(*(world.ask(Level.ALLOW, body=amount(n)) for n in (900, 901)))

    levels = sorted(each.action.decision.level for each in both if each.action.decision)
    assert levels == [Level.ALLOW, Level.APPROVE] and len(world.tool.sent) == 1
    assert len(store.asked) == 3, "one of them asked twice"


async def test_fifty_calls_at_once_never_spend_more_than_the_budget(store: Counted) -> None:
    world = World(store, policy=a_policy(money("read")))

    await asyncio.gather(*(world.ask(Level.ALLOW, body=amount(100 + n)) for n in range(50)))

    spent = sum(int(call.body[11:-1]) for call in world.tool.sent)
    assert 0 < spent <= 1000


async def test_a_call_that_is_overtaken_for_ever_is_not_sent(store: Counted) -> None:
    plant(store, ALWAYS_OVERTAKEN)
    world = World(store, policy=a_policy(money("read")))

    with pytest.raises(StoreUnavailable, match="Nothing was sent: others used the same budget"):
        await world.ask(Level.ALLOW)
    assert len(store.asked) == 8 and world.tool.sent == [] and world.seen.moves == []


async def test_a_rejected_call_gives_its_share_back(store: Counted) -> None:
    world = World(store, policy=a_policy(money("pay", "approve_dual")))
    first = await world.held(body=amount(900))
    assert first.decision is not None and first.decision.level is Level.APPROVE
    second = await world.held(body=amount(901))
    assert second.decision is not None and second.decision.level is Level.APPROVE_DUAL
    for action in (first, second):
        await world.says(action, verdict=Verdict.REJECT)

    third = await world.held(body=amount(902))

    assert third.decision is not None and third.decision.level is Level.APPROVE


async def test_a_held_call_is_not_counted_against_itself(store: Counted) -> None:
    world = World(store, policy=a_policy(money("pay", "approve_dual")))
    held = await world.held(body=amount(900))

    assert (await world.says(held)).state is State.APPROVED, "one vote is enough"
    assert (await world.now(held)).state is State.ANSWERED
    assert [needs.own for needs in store.asked] == ["", held.id, held.id]


async def test_an_edit_takes_its_own_share_in_place_of_the_old_one(store: Counted) -> None:
    world = World(store, policy=a_policy(money("pay", "approve_dual")))
    held = await world.held(body=amount(900))
    call, decision = await world.gate.preview(held, {"amount": 100, "to": "bob"})
    assert decision.level is Level.APPROVE
    await world.says(held, verdict=Verdict.EDIT, call=call)
    await world.quiet()

    for left, level in ((850, Level.APPROVE), (51, Level.APPROVE_DUAL)):
        after = await world.held(body=amount(left))
        assert after.decision is not None and after.decision.level is level


async def test_an_edit_beyond_the_budget_is_refused(store: Counted) -> None:
    world = World(store, policy=a_policy(money("pay", "approve_dual")))
    held = await world.held(body=amount(900))

    with pytest.raises(InvalidEdit, match="approve_dual"):
        await world.says(held, verdict=Verdict.EDIT, call=edited(held, amount(1001)))
    assert world.tool.sent == []


async def test_a_retry_of_a_held_call_joins_it_and_takes_no_share(store: Counted) -> None:
    world = World(store, policy=a_policy(money("pay", "approve_dual")))
    held = await world.held(body=amount(500))
    for _ in range(3):
        again = await world.ask(body=amount(500))
        assert again.joined and again.action.id == held.id

    other = await world.held(body=amount(499))
    assert other.decision is not None and other.decision.level is Level.APPROVE


async def test_a_budget_that_people_approve_beyond_is_judged_again_by_what_is_left(
    store: Counted,
) -> None:
    world = World(store, policy=a_policy(money("pay", "deny")))
    held = await world.held(body=amount(900))
    denied = (await world.ask(body=amount(200))).action

    assert denied.state is State.DENIED and "200" not in denied.cause
    assert (await world.says(held)).state is State.APPROVED
    await world.quiet()


# caps and refusals ---------------------------------------------------------------------------


async def test_more_than_so_many_open_calls_of_a_session_are_denied(store: Counted) -> None:
    world = World(store, policy=a_policy("\napprovals: {caps: {open_per_session: 1}}\n"))
    held = await world.held(body=amount(1))

    denied = (await world.ask(body=amount(2))).action
    assert denied.state is State.DENIED and denied.decision is not None
    assert denied.decision.reason == "cap"
    await world.held(body=amount(3), session="another")

    await world.says(held, verdict=Verdict.REJECT)
    await world.held(body=amount(4))


async def test_what_a_person_refused_is_not_asked_again_for_a_while(store: Counted) -> None:
    said = "\napprovals: {repeat_denied: {same_call_within: 60s, then: deny}}\n"
    world = World(store, policy=a_policy(said, target="to"))
    held = await world.held(body=amount(1))
    await world.says(held, verdict=Verdict.REJECT)

    again = (await world.ask(body=amount(2))).action

    assert again.state is State.DENIED and "refused" in again.cause
    assert (await world.ask(body=amount(2), agent="other")).action.state is State.HELD


# sessions ------------------------------------------------------------------------------------

STATED = """
rules:
  - id: unstated
    description: The user named nobody.
    tools: [bank.read]
    when: "!stated(args.to)"
    at_least: approve
"""


async def test_what_the_user_asked_for_is_known_once_the_session_is_told(store: Counted) -> None:
    world = World(store, policy=a_policy(STATED))
    assert (await world.ask(Level.ALLOW, body=amount(1))).action.state is State.HELD

    await world.gate.state_task("bot", "s1", "Please pay Bob what I owe him.")

    assert (await world.ask(Level.ALLOW, body=amount(2))).relay is not None
    other = await world.ask(Level.ALLOW, body=amount(3), session="s2")
    assert other.action.state is State.HELD, "another session, another request"
    stranger = await world.ask(Level.ALLOW, body=amount(4), agent="eve")
    assert stranger.action.state is State.HELD, "another agent's session of that name"


async def test_where_an_agent_is_one_session_its_request_holds_for_all(store: Counted) -> None:
    scope = "\nsignals: {session: {scope: agent}}\n"
    world = World(store, policy=a_policy(STATED + scope))
    await world.gate.state_task("bot", "s1", "Please pay Bob.")

    assert (await world.ask(Level.ALLOW, session="s2")).relay is not None


# edits ---------------------------------------------------------------------------------------


async def test_an_edit_keeps_to_what_policy_asks_of_edits(store: Counted) -> None:
    must = '\nedit: {must: ["edited.args.amount <= original.args.amount"]}\n'
    world = World(store, policy=a_policy(must))
    held = await world.held(Level.APPROVE_DUAL, body=amount(10))

    with pytest.raises(InvalidEdit, match="edited.args.amount <= original.args.amount"):
        await world.gate.preview(held, {"amount": 11, "to": "bob"})
    with pytest.raises(InvalidEdit, match="original.args.amount"):
        await world.says(held, verdict=Verdict.EDIT, call=edited(held, amount(11)))
    once = await world.says(held, verdict=Verdict.EDIT, call=edited(held, amount(5)))
    twice, _ = await world.gate.preview(once, {"amount": 10, "to": "bob"})
    assert twice.body == amount(10), "as much as the agent asked for itself"


# reminders -----------------------------------------------------------------------------------

LEVELS = """
levels:
  approve: {approvers: [clerks], remind_after: 5m, escalate: [{after: 15m, to: [chiefs]}]}
"""


async def due(world: World, held: Action, minutes: int) -> None:
    """Let the hold be so many minutes old, and its next reminder be due."""
    at = await world.store.now()
    await world.forge(held, created=at - minutes * 60_000 - 1000)
    await world.store.client.zadd(f"{world.store._prefix}:remind", {held.id: 1})


async def test_people_are_reminded_once_each_time(store: Counted) -> None:
    world = World(store, policy=a_policy(LEVELS))
    held = await world.held()
    await world.gate.sweep()
    await due(world, held, 5)
    for _ in range(2):
        await world.gate.sweep()
    await world.quiet()

    assert world.seen.why == [Notice.HELD, Notice.REMINDER]


async def test_people_are_told_when_more_of_them_may_decide(store: Counted) -> None:
    world = World(store, policy=a_policy(LEVELS))
    held = await world.held()
    chief = Reviewer(id="cleo", groups=frozenset({"chiefs"}))
    with pytest.raises(Forbidden, match="clerks"):
        await world.says(held, chief)
    await due(world, held, 15)
    await world.gate.sweep()
    await world.quiet()

    assert world.seen.why == [Notice.HELD, Notice.ESCALATED]
    assert (await world.says(await world.now(held), chief)).state is State.APPROVED
    await world.quiet()


async def test_nobody_is_reminded_of_what_is_decided(store: Counted) -> None:
    world = World(store, policy=a_policy(LEVELS))
    held = await world.held()
    clerk = replace(ANN, groups=frozenset({"clerks"}))
    await due(world, held, 5)
    await world.says(held, clerk, Verdict.REJECT)
    await world.gate.sweep()
    await world.quiet()

    assert world.seen.why == [Notice.HELD, Notice.SETTLED]


# failing closed ------------------------------------------------------------------------------


async def test_where_the_past_cannot_be_read_nothing_is_sent(own_server: Server) -> None:
    class Forgetful(RedisStore):
        async def facts(self, needs: Needs) -> Facts:
            raise StoreUnavailable

    known, forgetful = RedisStore(own_server.url), Forgetful(own_server.url)
    policy = a_policy(money("read") + "approvals: {caps: {open_per_session: 9}}\n")
    world, blind = World(known, policy=policy), World(forgetful, "b", policy=policy)
    held = await world.held(Level.APPROVE_DUAL)
    await world.says(held, ANN)

    for level in (Level.ALLOW, Level.APPROVE):
        with pytest.raises(StoreUnavailable):
            await blind.ask(level, body=amount(1))
    with pytest.raises(StoreUnavailable):
        await blind.says(await world.now(held), BOB)
    with pytest.raises(StoreUnavailable):
        await blind.gate.preview(held, {"amount": 1, "to": "bob"})

    assert blind.tool.sent == [] and blind.seen.moves == []
    assert (await world.now(held)).state is State.HELD
    for each in (known, forgetful):
        await each.close()


async def test_a_retry_of_a_held_call_joins_it_at_a_reached_cap(store: Counted) -> None:
    """Fault caught: joins are only looked for where the retry would be held as well."""
    world = World(store, policy=a_policy("\napprovals: {caps: {open_per_session: 1}}\n"))
    held = await world.held(body=amount(1))

    assert (await world.ask(body=amount(1))).action.id == held.id
    assert (await world.ask(body=amount(2))).action.state is State.DENIED


async def test_a_retry_is_not_sent_beside_the_held_call_once_the_budget_has_room(
    store: Counted,
) -> None:
    world = World(store, policy=a_policy(money("read")))
    await world.ask(Level.ALLOW, body=amount(900))
    held = (await world.ask(Level.ALLOW, body=amount(200))).action
    assert held.state is State.HELD

    world.gate.policy = a_policy(money("read").replace("max: 1000", "max: 9000"))
    again = await world.ask(Level.ALLOW, body=amount(200))
    assert (again.joined, again.action.id) == (True, held.id)

    await world.says(held, verdict=Verdict.REJECT)
    for _ in range(2):  # what was let through never stands in the way of its repetition
        assert (await world.ask(Level.ALLOW, body=amount(200))).relay is not None
