"""Delivery and failing closed: at most once, never by guess, never without a record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from interlock.core.actions import Action, State, Verdict
from interlock.core.decisions import Level
from interlock.core.errors import (
    IllegalTransition,
    KeyReused,
    NotFound,
    ReviewRefused,
    StoreUnavailable,
    UpstreamLost,
    UpstreamUnreachable,
)
from interlock.store.redis import RedisStore
from interlock.upstream.http import HttpSettings, HttpUpstream
from tests.support.builders import ANN, BOB, a_call
from tests.support.fakes import World, a_policy, approved_and_crashed
from tests.support.faults import WAKE, noticed, plant
from tests.support.proxy import Proxy, proxy
from tests.support.servers import closed_port, drop, raw_server, reset
from tests.support.stores import Server, fresh_prefix

LOST = UpstreamLost("cut")
REFUSED = UpstreamUnreachable("refused")


@pytest.fixture
async def world(store: RedisStore) -> AsyncIterator[World]:
    world = World(store)
    yield world
    await world.gate.close(10)


@pytest.fixture
async def broken(server: Server) -> AsyncIterator[RedisStore]:
    """A second store, to plant faults in."""
    store = RedisStore(server.url, fresh_prefix())
    yield store
    await store.close()


# 13: at most one send --------------------------------------------------------------------------


async def many_workers_send_once(store: RedisStore) -> None:
    world = World(store)
    approved = await approved_and_crashed(world)
    workers = [World(store, f"w{n}", tool=world.tool) for n in range(8)]
    world.tool.free = asyncio.Event()  # the winner is still sending while the others claim
    tasks = [asyncio.ensure_future(worker.gate.sender.dispatch(approved)) for worker in workers]
    while len(world.tool.sent) < 2 and sum(task.done() for task in tasks) < len(tasks) - 1:
        await asyncio.sleep(0)
    world.tool.free.set()
    await asyncio.gather(*tasks)
    for worker in workers:
        await worker.quiet()
    assert len(world.tool.sent) == 1
    assert (await world.now(approved)).state is State.ANSWERED


async def test_promise_13_of_many_workers_one_sends(store: RedisStore) -> None:
    await many_workers_send_once(store)


async def test_promise_13_a_store_that_lets_two_claim_would_be_noticed(
    broken: RedisStore,
) -> None:
    with noticed():
        await many_workers_send_once(plant(broken, "claimcas", "stale"))


async def test_promise_13_a_worker_that_stood_still_past_its_lease_does_not_send(
    world: World,
) -> None:
    approved = await approved_and_crashed(world)
    claimed = await world.gate.sender.claim(approved)
    assert claimed is not None

    past = asyncio.get_running_loop().time() - 1
    with pytest.raises(UpstreamUnreachable, match="ran out"):
        await world.gate.sender._send(claimed, past)

    assert world.tool.sent == []


async def test_promise_13_a_lease_that_ends_means_unknown_and_never_another_send(
    world: World,
) -> None:
    approved = await approved_and_crashed(world)
    claimed = await world.gate.sender.claim(approved)
    assert claimed is not None
    await world.forge(approved, deadline=1)  # the lease is over

    await world.gate.sweep()
    await world.ask()

    assert (await world.now(approved)).state is State.UNKNOWN and world.tool.sent == []


# 14 to 17: once, and what became of it ---------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH"])
@pytest.mark.parametrize("play", [drop, reset])
async def test_promise_14_the_client_never_sends_again_by_itself(
    store: RedisStore, method: str, play: Callable[..., object]
) -> None:
    async with raw_server(play) as server:  # type: ignore[arg-type]
        upstream = HttpUpstream(HttpSettings(url=server.url, allow_private=True))
        with pytest.raises(UpstreamLost):
            await upstream.send(a_call(method=method, body=b""))
        await upstream.close()

        assert server.hits == 1


@pytest.fixture
async def lossy(server: Server, tmp_path: Path) -> AsyncIterator[Proxy]:
    async with proxy(server.url, tmp_path) as made:
        yield made


@pytest.fixture
async def behind(lossy: Proxy) -> AsyncIterator[RedisStore]:
    """A store behind a proxy that loses what it is told to lose."""
    store = RedisStore(lossy.url, fresh_prefix())
    yield store
    await store.close()


EVENTS = {
    "hold": b'"Decided"',
    "approve": b'"Reviewed"',
    "claim": b'"Claimed"',
    "answer": b'"Answered"',
}


async def lost_replies_change_nothing(store: RedisStore, lossy: Proxy, *needles: bytes) -> None:
    world = World(store)
    await store.now()
    for needle in needles:
        lossy.lose_reply(needle)
    held = await world.held()
    await world.says(held)
    done = await world.now(held)
    assert lossy.sprung == len(needles)
    assert done.state is State.ANSWERED and len(world.tool.sent) == 1
    assert await world.path(done) == ["held", "approved", "forwarding", "answered"]
    assert len(world.seen.moves) == 4


@pytest.mark.parametrize("names", [*[[name] for name in EVENTS], list(EVENTS)])
async def test_promise_15_a_lost_reply_of_the_store_changes_nothing(
    behind: RedisStore, lossy: Proxy, names: list[str]
) -> None:
    await lost_replies_change_nothing(behind, lossy, *(EVENTS[name] for name in names))


async def test_promise_15_scripts_that_do_not_know_their_nonce_would_be_noticed(
    behind: RedisStore, lossy: Proxy
) -> None:
    with noticed():
        await lost_replies_change_nothing(plant(behind, "nononce"), lossy, EVENTS["approve"])


async def test_promise_16_not_sent_answered_and_unknown_are_told_apart(store: RedisStore) -> None:
    ends = []
    async with raw_server() as answers, raw_server(drop) as cuts:
        nobody = f"http://127.0.0.1:{await closed_port()}"
        for n, url in enumerate((nobody, answers.url, cuts.url)):
            upstream = HttpUpstream(HttpSettings(url=url, allow_private=True))
            world = World(store, f"p{n}", upstreams={"bank": upstream})
            held = await world.held(body=b'{"amount": %d}' % n)
            await world.says(held)
            ends.append((await world.now(held)).state)
            await upstream.close()
        assert (answers.hits, cuts.hits) == (1, 1)

    assert ends == [State.APPROVED, State.ANSWERED, State.UNKNOWN]


async def test_promise_17_an_unknown_outcome_is_not_tried_again_by_anybody(world: World) -> None:
    world.tool.fails = [LOST]
    held = await world.held()
    await world.says(held)
    lost = await world.now(held)

    again = await world.ask()
    await world.gate.sweep()
    await world.gate.sender.dispatch(lost)
    with pytest.raises(ReviewRefused):
        await world.says(lost, BOB)

    assert again.joined and (await world.now(held)).state is State.UNKNOWN
    assert world.tool.sent == []


# 18, 19: ends ----------------------------------------------------------------------------------


async def bring_to(world: World, state: State) -> Action:
    if state is State.DENIED:
        return (await world.ask(Level.DENY)).action
    held = await world.held()
    match state:
        case State.REJECTED | State.RESPONDED:
            verdict = Verdict.REJECT if state is State.REJECTED else Verdict.RESPOND
            await world.says(held, verdict=verdict)
        case State.CANCELLED:
            await world.gate.cancel(held.id, "bot")
        case State.EXPIRED:
            await world.forge(held, deadline=1)
        case State.ANSWERED:
            await world.says(held)
        case _:
            world.tool.fails = [LOST]
            await world.says(held)
            await world.quiet()
            await world.gate.resolve(held.id, "ann", True, "seen")
    return await world.now(held)


ENDS = "denied rejected responded expired cancelled answered resolved".split()


@pytest.mark.parametrize("end", ENDS)
async def test_promise_18_a_final_state_is_final(world: World, end: str) -> None:
    done = await bring_to(world, State(end))
    assert done.state is State(end)
    sent = len(world.tool.sent)

    for verdict in (Verdict.APPROVE, Verdict.REJECT):
        with pytest.raises(ReviewRefused):
            await world.says(done, BOB, verdict)
    if done.state is not State.CANCELLED:  # a repeated cancel answers as the first
        with pytest.raises(IllegalTransition):
            await world.gate.cancel(done.id, "bot")
    with pytest.raises(IllegalTransition):
        await world.gate.resolve(done.id, "ann", False, "no")
    await world.gate.sender.dispatch(done)
    await world.gate.sweep()

    assert await world.now(done) == done and len(world.tool.sent) == sent


async def expired_is_not_sent(world: World) -> None:
    held = await world.held()
    await world.forge(held, deadline=1)
    with pytest.raises(ReviewRefused):
        await world.says(held)
    assert (await world.now(held)).state is State.EXPIRED

    approved = await approved_and_crashed(world, body=b'{"amount": 1}')
    await world.forge(approved, deadline=1)
    await world.gate.sender.dispatch(approved)
    await world.gate.sweep()
    assert (await world.now(approved)).state is State.EXPIRED
    assert world.tool.sent == []


async def test_promise_19_what_has_expired_or_lapsed_is_never_sent(world: World) -> None:
    await expired_is_not_sent(world)


@pytest.mark.parametrize("fault", ["noexp", "latevote"])
async def test_promise_19_a_store_that_forgets_deadlines_would_be_noticed(
    broken: RedisStore, fault: str
) -> None:
    with noticed():
        await expired_is_not_sent(World(plant(broken, fault)))


# 20 to 23: the same call, restarts, wake-ups, shutdown -----------------------------------------


async def test_promise_20_one_idempotency_key_is_one_call_and_other_content_is_refused(
    world: World,
) -> None:
    asked = (world.gate.submit(world.call(Level.ALLOW), key="k") for _ in range(50))
    submissions = await asyncio.gather(*asked)
    for submission in submissions:
        if submission.relay is not None:
            await submission.relay.drain()

    assert len({submission.action.id for submission in submissions}) == 1
    assert len(world.tool.sent) == 1
    with pytest.raises(KeyReused) as refused:
        await world.ask(Level.ALLOW, key="k", body=b'{"amount": 1}')
    assert refused.value.status == 422 and len(world.tool.sent) == 1


async def test_promise_21_holds_survive_kill_9_of_the_store_and_agents_attach_again(
    own_server: Server,
) -> None:
    before = World(RedisStore(own_server.url))
    held = await before.held(Level.APPROVE_DUAL)
    voted = await before.says(held)
    own_server.kill()
    own_server.start()
    await before.store.close()

    after = World(RedisStore(own_server.url), "b")
    again = await after.ask(Level.APPROVE_DUAL)
    assert again.joined and again.action == voted
    waiter = asyncio.ensure_future(after.gate.wait(again.action, 30))
    await after.says(again.action, BOB)

    assert (await asyncio.wait_for(waiter, 10)).state is State.ANSWERED
    assert after.tool.sent == [held.call] and before.tool.sent == []
    await after.store.close()


async def test_promise_22_no_wake_up_is_needed(broken: RedisStore) -> None:
    world = World(plant(broken, WAKE))
    held = await world.held()
    waiter = asyncio.ensure_future(world.gate.wait(held, 60))
    await world.says(held)

    assert (await asyncio.wait_for(waiter, 30)).state is State.ANSWERED
    assert await broken.client.exists(f"{broken._prefix}:log") == 0, "nobody was woken up"


async def test_promise_23_shutdown_loses_no_result_and_starts_no_send(world: World) -> None:
    world.tool.free = asyncio.Event()
    first, second = await world.held(), await world.held(body=b'{"amount": 1}')
    await world.says(first)
    await world.tool.busy.wait()
    approved = await approved_and_crashed(world, body=b'{"amount": 2}')
    closing = asyncio.ensure_future(world.gate.close(30))
    await asyncio.sleep(0)

    with pytest.raises(StoreUnavailable):
        await world.says(second)
    with pytest.raises(StoreUnavailable):
        await world.ask(Level.ALLOW)
    await world.gate.sender.dispatch(approved)
    await world.gate.sweep()
    world.tool.free.set()

    assert await closing == 0
    states = [await world.store.get(action.id) for action in (first, second, approved)]
    assert [action.state for action in states if action] == [
        *(State.ANSWERED, State.HELD, State.APPROVED)
    ]
    assert len(world.tool.sent) == 1


# 24, 25: fail closed ---------------------------------------------------------------------------

BAD_DAYS: dict[str, Callable[[Server], object]] = {
    "down": lambda server: server.kill(),
    "full": lambda server: server.ask("CONFIG", "SET", "maxmemory", 1),
    "read-only": lambda server: server.ask("REPLICAOF", "127.0.0.1", 1),
    "without replicas": lambda server: server.ask("CONFIG", "SET", "min-replicas-to-write", 1),
    "hanging": lambda server: server.pause(),
}


def hasty(url: str) -> RedisStore:
    """Return a store that gives a server up soon which does not answer."""
    store = RedisStore(url)
    store._client.connection_pool.connection_kwargs["socket_timeout"] = 0.05
    store._lane._patience = 0.05
    return store


@pytest.mark.parametrize("day", BAD_DAYS)
async def test_promise_24_on_a_bad_day_of_the_store_nothing_is_sent(
    own_server: Server, day: str
) -> None:
    store = hasty(own_server.url)
    world = World(store)
    approved = await approved_and_crashed(world)
    held = await world.held(body=b'{"amount": 1}')
    BAD_DAYS[day](own_server)

    for level in (Level.ALLOW, Level.NOTIFY, Level.APPROVE):
        with pytest.raises(StoreUnavailable, match="(?i)nothing was sent"):
            await world.ask(level, body=b'{"amount": 2}')
    with pytest.raises(StoreUnavailable):
        await world.says(held)
    await world.gate.sender.dispatch(approved)

    assert world.tool.sent == []
    if day == "hanging":
        own_server.resume()
    await store.close()


NEVER_MORE = """
limits:
  - {id: money, tools: [bank.read, bank.note], key: [agent.id], window: 1h, sum: args.amount,
     max: 1000, then: approve}
approvals: {caps: {open_per_session: 5}}
"""


@pytest.mark.parametrize("day", BAD_DAYS)
async def test_promise_24_where_the_past_cannot_be_read_nothing_is_sent(
    own_server: Server, day: str
) -> None:
    store = hasty(own_server.url)
    world = World(store, policy=a_policy(NEVER_MORE))
    held = await world.held(body=b'{"amount": 1}')
    BAD_DAYS[day](own_server)

    for level in (Level.ALLOW, Level.NOTIFY, Level.APPROVE):
        with pytest.raises(StoreUnavailable, match="(?i)nothing was sent"):
            await world.ask(level, body=b'{"amount": 2}')
    with pytest.raises(StoreUnavailable):
        await world.says(held)

    assert world.tool.sent == []
    if day == "hanging":
        own_server.resume()
    await store.close()


async def budgets_are_never_overdrawn(store: RedisStore) -> None:
    world = World(store, policy=a_policy(NEVER_MORE))
    asked = (world.ask(Level.ALLOW, body=b'{"amount": %d}' % (300 + n)) for n in range(20))
    await asyncio.gather(*asked)
    assert 0 < sum(int(call.body[11:-1]) for call in world.tool.sent) <= 1000


async def test_promise_24_calls_at_the_same_time_never_overdraw_a_budget(
    store: RedisStore,
) -> None:
    await budgets_are_never_overdrawn(store)


async def test_promise_24_a_store_that_reserves_without_looking_would_be_noticed(
    broken: RedisStore,
) -> None:
    blind = ("if effects and not past().fits(effects, nil, held)", "if false")
    with noticed():
        await budgets_are_never_overdrawn(plant(broken, blind))


async def no_record_no_send(world: World, lossy: Proxy) -> None:
    await world.store.now()
    lossy.lose_command(b'"Decided"', 3)
    with pytest.raises(StoreUnavailable):
        await world.ask(Level.ALLOW)
    assert world.tool.sent == []


async def test_promise_25_without_a_record_there_is_no_send(
    behind: RedisStore, lossy: Proxy
) -> None:
    await no_record_no_send(World(behind), lossy)


async def test_promise_25_a_send_before_its_record_would_be_noticed(
    behind: RedisStore, lossy: Proxy
) -> None:
    class Hasty(World):
        async def ask(self, level: Level = Level.APPROVE, **more: object) -> object:  # type: ignore[override]
            await self.tool.send(self.call(level))
            return await super().ask(level)

    with noticed():
        await no_record_no_send(Hasty(behind), lossy)


# 37, 44: the record, and cancelling ------------------------------------------------------------


async def the_record_is_whole(world: World) -> None:
    world.tool.fails = [REFUSED]
    held = await world.held(Level.APPROVE_DUAL)
    await world.says(held, ANN)
    await world.says(held, BOB)
    await world.quiet()
    await world.ask(Level.APPROVE_DUAL)
    done = await world.now(held)
    rows = await world.store.history(held.id)
    assert [int(row["version"]) for row in rows] == list(range(1, done.version + 1))
    assert [row["from"] for row in rows[1:]] == [row["to"] for row in rows[:-1]]
    times = [int(row["at"]) for row in rows]
    assert times == sorted(times)
    told = [after.state.value for *_, after in world.seen.moves]
    assert [row["to"] for row in rows] == told
    assert told == ("held held approved forwarding approved forwarding answered".split())


async def test_promise_37_each_transition_has_one_record_in_order_without_a_gap(
    world: World,
) -> None:
    await the_record_is_whole(world)


async def test_promise_37_a_gap_would_be_noticed(broken: RedisStore) -> None:
    with noticed():
        await the_record_is_whole(World(plant(broken, "gap")))


async def cancelling_is_confirmed(world: World) -> None:
    held = await world.held()
    assert (await world.gate.cancel(held.id, "bot")).state is State.CANCELLED
    with pytest.raises(ReviewRefused):
        await world.says(held)

    world.tool.free = asyncio.Event()
    other = await world.held(body=b'{"amount": 1}')
    await world.says(other)
    await world.tool.busy.wait()
    try:
        with pytest.raises(IllegalTransition, match="forwarding"):
            await world.gate.cancel(other.id, "bot")
    finally:
        world.tool.free.set()
    assert (await world.now(other)).state is State.ANSWERED
    assert [call.body for call in world.tool.sent] == [b'{"amount": 1}']


async def test_promise_44_a_cancelled_call_is_fenced_or_its_caller_is_told_that_it_is_sent(
    world: World,
) -> None:
    await cancelling_is_confirmed(world)


async def test_promise_44_nobody_else_can_cancel(world: World) -> None:
    held = await world.held()

    with pytest.raises(NotFound):
        await world.gate.cancel(held.id, "another agent")


async def test_promise_44_policy_says_whether_a_call_without_its_caller_is_sent(
    store: RedisStore,
) -> None:
    world = World(store, policy=a_policy(orphans="refuse"))
    held = await world.held()

    await world.says(held)
    await world.gate.sweep()
    assert (await world.now(held)).state is State.APPROVED
    assert world.tool.sent == []
