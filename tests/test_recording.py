"""Every way in which a call can end makes exactly one record, in the same write; practice none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from interlock.core.actions import Action, Answer, State, Verdict
from interlock.core.decisions import Level
from interlock.core.digest import seal
from interlock.core.errors import InterlockError, UpstreamLost, UpstreamUnreachable
from interlock.core.events import Answered
from interlock.core.lifecycle import FINAL, TRANSITIONS, step
from interlock.core.records import DecidedCall
from interlock.noting import Noting
from interlock.ports import NOTE_LATER, Change, Put
from interlock.store.feed import RedisFeed
from interlock.store.redis import RedisStore
from tests.support.builders import ANN, BOB, NOON, edited
from tests.support.fakes import Numbers, World
from tests.support.stores import Server, fresh_prefix

ENDS = FINAL | {State.UNKNOWN}


class Recorded:
    """A world, and the records that its feed has."""

    def __init__(self, store: RedisStore, **gate: Any) -> None:
        self.world = World(store, **gate)
        self.store, self.notes = store, self.world.gate.notes
        self.feed = RedisFeed(store.url, store._prefix.strip("{}"))

    async def records(self) -> list[tuple[str, str, int]]:
        """Return what was written, in order: the call, the state, the version; checked."""
        found = await self.feed.read("", 10_000, 0)
        assert found.lost == 0
        rows = [self.notes.decode(each) for each in found.entries]
        return [(each.id, each.state, each.version) for each in rows]

    async def whole(self) -> list[DecidedCall]:
        found = await self.feed.read("", 10_000, 0)
        return [self.notes.decode(each) for each in found.entries]

    async def by_id(self) -> tuple[str, ...]:
        return (await self.feed.read("", 10_000, 0)).ended

    async def ends(self, action: Action) -> list[tuple[str, str, int]]:
        """Return the ends that the call went through, from its own history."""
        rows = await self.store.history(action.id)
        ends = {state.value for state in ENDS}
        return [(action.id, row["to"], int(row["version"])) for row in rows if row["to"] in ends]


@pytest.fixture
async def recorded(store: RedisStore) -> AsyncIterator[Recorded]:
    made = Recorded(store)
    yield made
    await made.feed.close()


async def test_an_allowed_call_is_on_record_once_it_is_answered(recorded: Recorded) -> None:
    action = (await recorded.world.ask(Level.ALLOW)).action
    await recorded.world.quiet()

    (found,) = await recorded.whole()

    assert (found.id, found.state, found.status) == (action.id, "answered", 200)
    assert (found.level, found.tool) == ("allow", "bank.read")
    assert found.arguments == {"to": "bob", "amount": 900}
    assert found.ended >= found.created > 0


async def test_a_denied_call_is_on_record(recorded: Recorded) -> None:
    action = (await recorded.world.ask(Level.DENY)).action
    assert await recorded.records() == [(action.id, "denied", 1)]


async def test_an_approved_call_is_on_record_with_who_approved_it(recorded: Recorded) -> None:
    held = await recorded.world.held()
    await recorded.world.says(held, ANN)
    await recorded.world.quiet()

    (found,) = await recorded.whole()

    assert (found.state, found.verdict) == ("answered", "approve")
    assert [each.who for each in found.reviews] == [recorded.notes.pseudonym("ann")]
    assert found.reviews[0].message == "looked at it"


@pytest.mark.parametrize("verdict", [Verdict.REJECT, Verdict.RESPOND])
async def test_a_refused_call_is_on_record(recorded: Recorded, verdict: Verdict) -> None:
    held = await recorded.world.held()
    after = await recorded.world.says(held, ANN, verdict)
    assert await recorded.records() == [(held.id, after.state.value, 2)]


async def test_an_edit_is_on_record_as_what_was_asked_and_what_was_sent(
    recorded: Recorded,
) -> None:
    held = await recorded.world.held()
    await recorded.world.says(held, ANN, Verdict.EDIT, call=edited(held))
    await recorded.world.quiet()

    (found,) = await recorded.whole()

    assert found.edited == ("args.amount",)
    assert (found.arguments["amount"], found.final_arguments["amount"]) == (900, 90)


async def test_a_call_that_was_taken_back_is_on_record(recorded: Recorded) -> None:
    held = await recorded.world.held()
    await recorded.world.gate.cancel(held.id, "bot")
    assert await recorded.records() == [(held.id, "cancelled", 2)]


async def test_a_call_that_was_not_sent_is_on_record_as_cancelled(recorded: Recorded) -> None:
    recorded.world.tool.fails = [UpstreamUnreachable("no route")]
    action = (await recorded.world.ask(Level.ALLOW)).action
    await recorded.world.quiet()
    ((name, state, _),) = await recorded.records()
    assert (name, state) == (action.id, "cancelled")


async def test_an_unknown_outcome_is_on_record_and_so_is_what_settles_it(
    recorded: Recorded,
) -> None:
    recorded.world.tool.fails = [UpstreamLost("cut")]
    action = (await recorded.world.ask(Level.ALLOW)).action
    await recorded.world.quiet()
    await recorded.world.gate.resolve(action.id, "ann", True, "it is there")

    first, second = await recorded.records()

    assert (first[1], second[1]) == ("unknown", "resolved")
    assert second[2] > first[2]


async def test_a_call_that_the_store_ended_is_in_the_feed_by_its_id(recorded: Recorded) -> None:
    held = await recorded.world.held()
    await recorded.world.forge(held, deadline="1")
    assert await recorded.store.get(held.id) is not None

    assert await recorded.by_id() == (held.id,)
    ended = await recorded.store.get(held.id)
    assert ended is not None
    found = recorded.notes.record(ended)
    assert (found.state, found.version) == ("expired", 2)
    assert found.arguments == {"to": "bob", "amount": 900}


async def test_an_answer_that_came_after_the_lease_is_on_record_behind_the_lapse(
    recorded: Recorded,
) -> None:
    recorded.world.tool.free = asyncio.Event()
    asking = asyncio.ensure_future(recorded.world.ask(Level.ALLOW))
    await recorded.world.tool.busy.wait()
    mine = recorded.store.client.scan_iter(match=f"{recorded.store._prefix}:c:*")
    (name,) = [key.decode().rpartition(":")[2] async for key in mine]
    await recorded.store.client.hset(f"{recorded.store._prefix}:c:{name}", "deadline", "1")  # type: ignore[misc]
    assert await recorded.store.get(name) is not None  # looking ends it: unknown

    recorded.world.tool.free.set()
    await asking
    await recorded.world.quiet()

    assert await recorded.by_id() == (name,)
    assert [(each[0], each[1]) for each in await recorded.records()] == [(name, "answered")]
    ended = await recorded.store.get(name)
    assert ended is not None and ended.state is State.ANSWERED


async def test_practice_is_on_no_record(recorded: Recorded) -> None:
    world = recorded.world
    rejected = await world.says(await world.held(), ANN, Verdict.REJECT)
    assert rejected.decision is not None
    for verdict in (Verdict.APPROVE, Verdict.REJECT):
        decoy = await world.gate.plant(rejected.call, rejected.decision, rejected.id)
        await world.says(decoy, BOB, verdict)
    lapsed = await world.gate.plant(rejected.call, rejected.decision, rejected.id)
    await world.forge(lapsed, deadline="1")
    assert await recorded.store.get(lapsed.id) is not None

    assert await recorded.records() == [(rejected.id, "rejected", 2)]
    assert await recorded.by_id() == ()


async def test_a_write_that_is_repeated_makes_no_second_record(recorded: Recorded) -> None:
    action = (await recorded.world.ask(Level.ALLOW)).action
    await recorded.world.quiet()
    event = Answered(at=NOON, answer=Answer(status=200))
    after, _ = step(action, event)
    note = recorded.notes.note(after).entry
    change = Change(before=action, event=event, after=after, nonce=action.nonce, note=note)

    for _ in range(3):
        assert (await recorded.store.put(change)).outcome is Put.OK

    assert len(await recorded.records()) == 1


async def test_a_write_that_is_refused_leaves_no_record(recorded: Recorded) -> None:
    held = await recorded.world.held()
    await recorded.world.says(held, ANN, Verdict.REJECT)
    with pytest.raises(InterlockError):
        await recorded.world.says(held, BOB, Verdict.REJECT)
    assert len(await recorded.records()) == 1


async def test_a_record_that_cannot_be_made_does_not_cost_the_transition(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: Noting, action: Action) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Noting, "note", fails)
    action = (await recorded.world.ask(Level.DENY)).action

    assert (await recorded.world.now(action)).state is State.DENIED
    assert await recorded.by_id() == (action.id,)
    assert NOTE_LATER == b"-"


async def test_a_schema_is_kept_once(recorded: Recorded) -> None:
    for _ in range(3):
        await recorded.world.ask(Level.DENY)
    found = await recorded.whole()
    (name,) = {each.schema for each in found}
    assert set(await recorded.feed.schemas([name])) == {name}


async def test_a_large_record_counts_as_what_its_agent_makes_the_store_keep(
    recorded: Recorded,
) -> None:
    async def kept() -> int:
        return int(await recorded.store.client.get(f"{recorded.store._prefix}:u:bot") or 0)

    noise = "".join(sha256(b"%d" % n).hexdigest() for n in range(150))
    await recorded.world.ask(Level.DENY)
    small = await kept()
    body = json.dumps({"amount": 1, "note": noise}).encode()
    await recorded.world.ask(Level.DENY, body=body)

    *_, found = await recorded.whole()
    assert found.arguments["note"] == noise
    assert await kept() - small > 2000 + len(recorded.notes.encode(found)) > 6000


async def test_what_the_store_kept_of_an_allowed_call_makes_the_same_record(
    recorded: Recorded,
) -> None:
    action = (await recorded.world.ask(Level.ALLOW)).action
    await recorded.world.quiet()
    (found,) = await recorded.whole()

    kept = await recorded.store.get(action.id)

    assert kept is not None
    assert replace(recorded.notes.record(kept), ended=found.ended) == found


async def test_schemas_are_bounded(recorded: Recorded) -> None:
    key = f"{recorded.store._prefix}:schemas"
    await recorded.store.client.hset(key, mapping={f"{n:064x}": "{}" for n in range(2000)})  # type: ignore[misc]
    await recorded.world.ask(Level.DENY)
    (found,) = await recorded.whole()
    assert await recorded.feed.schemas([found.schema]) == {}


async def test_promise_40_no_secret_gets_into_the_feed(recorded: Recorded) -> None:
    headers = (("Authorization", "Bearer sssh-sssh-sssh"), ("X-Api-Key", "sssh-sssh-sssh"))
    body = b'{"amount": 900, "password": "sssh-sssh-sssh", "note": "Bearer sssh-sssh-sssh"}'
    for level in Level:
        call = recorded.world.call(level, body=body)
        await recorded.world.gate.submit(seal(replace(call, headers=(*call.headers, *headers))))
    for held in (await recorded.store.held(None, 10)).actions:
        await recorded.world.says(held, ANN, Verdict.REJECT)
    await recorded.world.quiet()

    rows: Any = await recorded.store.client.xrange(f"{recorded.store._prefix}:feed")
    assert len(rows) == len(Level)
    assert b"sssh" not in repr(await recorded.whole()).encode()
    assert b"sssh" not in b"".join(each for _, fields in rows for each in fields.values())
    assert b"looked at it" in b"".join(fields[b"note"] for _, fields in rows)


def test_a_kill_leaves_a_record_exactly_where_it_leaves_the_end(own_server: Server) -> None:
    """Both are in one script, which the server writes to its file as a whole."""

    async def lives() -> list[str]:
        store = RedisStore(own_server.url)
        world = World(store)
        asking = [asyncio.ensure_future(world.ask(Level.DENY)) for _ in range(200)]
        while not any(each.done() for each in asking):
            await asyncio.sleep(0)
        own_server.kill()
        done = await asyncio.gather(*asking, return_exceptions=True)
        await store.close()
        return [each.action.id for each in done if not isinstance(each, BaseException)]

    async def looks(acknowledged: list[str]) -> None:
        store = RedisStore(own_server.url)
        made = Recorded(store)
        ended = set()
        async for key in store.client.scan_iter(match="*:c:*"):
            ended.add(key.decode().rpartition(":")[2])
        names = [name for name, _, _ in await made.records()]
        await made.feed.close()
        await store.close()
        assert sorted(names) == sorted(ended)
        assert set(acknowledged) <= ended

    acknowledged = asyncio.run(lives())
    own_server.start()
    asyncio.run(looks(acknowledged))


class Lives(RuleBasedStateMachine):
    """Calls in random lives: what has ended is on record once for each end, and nothing else."""

    server: Server

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    @initialize()
    def begins(self) -> None:
        self.run(self._begins())

    async def _begins(self) -> None:
        self.store = RedisStore(self.server.url, fresh_prefix())
        self.made = Recorded(self.store, ids=Numbers("s"))
        self.calls: list[Action] = []

    @rule(level=st.sampled_from(list(Level)), fails=st.sampled_from(["", "unsent", "lost"]))
    def asks(self, level: Level, fails: str) -> None:
        async def asked() -> None:
            tool = self.made.world.tool
            errors = {"unsent": UpstreamUnreachable("no"), "lost": UpstreamLost("cut")}
            tool.fails = [errors[fails]] if fails and level < Level.APPROVE else []
            done = await self.made.world.ask(level, session=f"s{len(self.calls)}")
            self.calls.append(done.action)
            await self.made.world.quiet()

        self.run(asked())

    @precondition(lambda self: self.calls)
    @rule(
        which=st.integers(0, 99),
        verdict=st.sampled_from(list(Verdict)),
        who=st.sampled_from([ANN, BOB]),
        fails=st.sampled_from(["", "lost", "unsent"]),
    )
    def says(self, which: int, verdict: Verdict, who: Any, fails: str) -> None:
        async def said() -> None:
            world, action = self.made.world, await self._current(which)
            errors = {"unsent": UpstreamUnreachable("no"), "lost": UpstreamLost("cut")}
            world.tool.fails = [errors[fails]] if fails else []
            call = edited(action) if verdict is Verdict.EDIT else None
            try:
                await world.says(action, who, verdict, call=call)
            except InterlockError:
                pass  # it may not be decided any more: nothing is written then
            await world.quiet()
            world.tool.fails = []

        self.run(said())

    @precondition(lambda self: self.calls)
    @rule(which=st.integers(0, 99))
    def takes_back(self, which: int) -> None:
        async def taken() -> None:
            try:
                await self.made.world.gate.cancel((await self._current(which)).id, "bot")
            except InterlockError:
                pass

        self.run(taken())

    @precondition(lambda self: self.calls)
    @rule(which=st.integers(0, 99))
    def lapses(self, which: int) -> None:
        async def lapsed() -> None:
            action = await self._current(which)
            if action.deadline:
                await self.made.world.forge(action, deadline="1")
            await self._current(which)

        self.run(lapsed())

    @precondition(lambda self: self.calls)
    @rule(which=st.integers(0, 99))
    def settles(self, which: int) -> None:
        async def settled() -> None:
            try:
                action = await self._current(which)
                await self.made.world.gate.resolve(action.id, "cat", True, "seen")
            except InterlockError:
                pass

        self.run(settled())

    async def _current(self, which: int) -> Action:
        found = await self.store.get(self.calls[which % len(self.calls)].id)
        assert found is not None
        return found

    def teardown(self) -> None:
        self.run(self._checked())
        self.runner.close()

    async def _checked(self) -> None:
        written = await self.made.records()
        by_id = list(await self.made.by_id())
        ends = [end for call in self.calls for end in await self.made.ends(call)]
        for end in written:
            assert end in ends, end
            ends.remove(end)
        assert sorted(name for name, _, _ in ends) == sorted(by_id)
        await self.made.feed.close()
        await self.store.close()


def test_every_end_is_on_record_once(server: Server) -> None:
    Lives.server = server
    machine = Lives.TestCase
    machine.settings = settings(
        max_examples=25,
        stateful_step_count=15,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    machine().runTest()


def test_every_state_that_ends_a_call_is_reached_in_these_tests() -> None:
    reached = {"denied", "answered", "rejected", "responded", "cancelled", "unknown", "resolved"}
    assert reached | {"expired"} == {state.value for state in ENDS}
    assert {after for targets in TRANSITIONS.values() for after in targets} >= ENDS
