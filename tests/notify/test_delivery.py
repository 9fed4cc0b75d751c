"""People are told: at least once, of what still matters, through each channel by itself."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.actions import Action, State, Verdict
from interlock.core.decisions import Level
from interlock.core.desk import Assignment
from interlock.notify.channel import ALL, Undelivered
from interlock.notify.delivery import Delivery, Pace, outdated, pause
from interlock.notify.telling import Digest, Told
from interlock.ports import Notice
from interlock.store.desk import RedisDesk
from interlock.store.outbox import RedisOutbox
from interlock.store.redis import RedisStore
from interlock.tasks import Tasks, stopped
from tests.support.builders import ANN, NOON, an_action
from tests.support.fakes import World, a_policy
from tests.support.stores import Server

URL = "http://127.0.0.1:8081"
QUICK = Pace(backoff=(0, 0, 0), poll=0.01, breath=0, grace=0.1, lease_ms=60_000)
TOGETHER = "\nlevels: {notify: {digest: 1h}}\n"


@dataclass
class Recorder:
    """channel.Channel: remembers what it was told, and fails as it is asked to."""

    name: str = "ops"
    wants: frozenset[Notice] = ALL
    arguments: bool = False
    fails: list[Exception] = field(default_factory=list)
    said: list[Told] = field(default_factory=list)
    digests: list[Digest] = field(default_factory=list)
    tries: int = 0
    free: asyncio.Event | None = None  #: it hangs until this is set
    closed: bool = False

    async def send(self, said: Told) -> None:
        self.tries += 1
        if self.free is not None:
            await self.free.wait()
        if self.fails:
            raise self.fails.pop(0)
        self.said.append(said)

    async def send_digest(self, digest: Digest) -> None:
        self.tries += 1
        if self.fails:
            raise self.fails.pop(0)
        self.digests.append(digest)

    async def close(self) -> None:
        self.closed = True


class Office:
    """A world whose people are told through channels."""

    def __init__(
        self, store: RedisStore, *channels: Recorder, name: str = "a", **more: Any
    ) -> None:
        prefix = store._prefix.strip("{}")
        self.counted: Counter[tuple[str, str]] = Counter()
        self.outbox = RedisOutbox(store.client, prefix)
        self.desk = RedisDesk(store.client, key=b"k" * 32, prefix=prefix)
        policy = more.pop("policy", None) or a_policy()
        self.delivery = Delivery(
            outbox=self.outbox,
            channels=channels,
            calls=self,
            desk=self.desk,
            url=URL,
            counted=lambda channel, outcome: self.counted.update([(channel, outcome)]),
            pace=more.pop("pace", QUICK),
            **more,
        )
        self.world = World(store, name, policy=policy, notifiers=[self.delivery])

    @property
    def policy(self) -> Any:
        return self.world.gate.policy

    async def get(self, action_id: str) -> Action | None:
        return await self.world.gate.get(action_id)

    def genuine(self, action: Action) -> bool:
        return self.world.gate.genuine(action)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Tell people within."""
        task = Tasks().spawn(self.delivery.run(), "delivery")
        try:
            yield
        finally:
            await self.delivery.close()
            await stopped([task])

    async def empty(self) -> None:
        """Wait until nothing waits any more."""
        await self.world.quiet()
        await until(lambda: self._empty())

    async def _empty(self) -> bool:
        return (await self.outbox.counts())[0] == 0


async def until(what: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await what():
            await asyncio.sleep(0.005)


async def test_people_are_told_of_a_held_call_through_every_channel_that_wants_it(
    store: RedisStore,
) -> None:
    ops, passed = Recorder(), Recorder("passed", wants=frozenset({Notice.SENT}))
    desk = Office(store, ops, passed)
    held = await desk.world.held()
    async with desk.open():
        await desk.empty()
    (said,) = ops.said
    assert (said.id, said.why, said.link) == (held.id, Notice.HELD, f"{URL}/review/{held.id}")
    assert said.key and passed.said == []
    assert desk.counted == {("ops", "delivered"): 1}
    assert ops.closed


async def test_who_is_asked_to_decide_is_told(store: RedisStore) -> None:
    ops = Recorder()
    desk = Office(store, ops)
    held = await desk.world.held()
    await desk.desk.assign(held.id, Assignment(to="bob", by="ann", at=NOON))
    async with desk.open():
        await desk.empty()
    assert ops.said[0].asked == ("bob",)


async def test_only_a_channel_that_asks_for_them_is_given_arguments(store: RedisStore) -> None:
    plain, full = Recorder("plain"), Recorder("full", arguments=True)
    desk = Office(store, plain, full)
    await desk.world.held()
    async with desk.open():
        await desk.empty()
    assert plain.said[0].arguments == () and dict(full.said[0].arguments)["to"] == "bob"


async def test_a_failed_try_is_repeated_with_the_same_key(store: RedisStore) -> None:
    seen: list[str] = []

    class Failing(Recorder):
        async def send(self, said: Told) -> None:
            seen.append(said.key)
            await super().send(said)

    ops = Failing(fails=[Undelivered("503", retry=True), RuntimeError("a fault")])
    desk = Office(store, ops)
    await desk.world.held()
    async with desk.open():
        await desk.empty()
    assert len(seen) == 3 and len(set(seen)) == 1
    assert desk.counted == {("ops", "retried"): 2, ("ops", "delivered"): 1}


async def test_after_the_last_try_it_is_a_dead_letter_that_people_can_send_again(
    store: RedisStore,
) -> None:
    ops = Recorder(fails=[Undelivered("503", retry=True)] * 4)
    desk = Office(store, ops)
    held = await desk.world.held()
    async with desk.open():
        await desk.empty()
        (dead,) = await desk.outbox.dead(10)
        assert (dead.action, dead.failed, dead.tries) == (held.id, "503", 4)
        assert await desk.outbox.retry(dead.id)
        await until(lambda: _told(ops))
    assert ops.said[0].key == dead.id
    assert desk.counted["ops", "dead"] == 1


async def _told(channel: Recorder) -> bool:
    return bool(channel.said)


async def test_what_the_receiver_wants_no_more_is_a_dead_letter_at_once(store: RedisStore) -> None:
    ops = Recorder(fails=[Undelivered("410", retry=False)])
    desk = Office(store, ops)
    await desk.world.held()
    async with desk.open():
        await desk.empty()
    assert ops.tries == 1 and len(await desk.outbox.dead(10)) == 1


async def test_nobody_is_told_that_a_decided_call_waits(store: RedisStore) -> None:
    ops = Recorder()
    desk = Office(store, ops)
    held = await desk.world.held()
    await desk.delivery.notify(held, Notice.REMINDER)
    await desk.world.says(held, ANN, Verdict.REJECT)
    async with desk.open():
        await desk.empty()
    assert [each for each in ops.said if each.why in (Notice.HELD, Notice.REMINDER)] == []
    assert desk.counted["ops", "outdated"] == 2


async def test_a_record_that_somebody_forged_is_not_told(store: RedisStore) -> None:
    ops = Recorder()
    desk = Office(store, ops)
    held = await desk.world.held()
    record = (await desk.world.raw(held))[b"rec"]
    await desk.world.forge(held, rec=record.replace(b"high", b"low").replace(b":2", b":0"))
    async with desk.open():
        await desk.empty()
    (dead,) = await desk.outbox.dead(10)
    assert ops.said == [] and "changed outside" in dead.failed


async def test_a_slow_channel_delays_no_other(store: RedisStore) -> None:
    slow, quick = Recorder("slow", free=asyncio.Event()), Recorder("quick")
    desk = Office(store, slow, quick)
    for number in range(8):
        await desk.world.held(session=f"s{number}")
    async with desk.open():
        await until(lambda: _count(quick, 8))
        assert slow.tries == QUICK.at_once and slow.said == []
        assert slow.free is not None
        slow.free.set()
        await desk.empty()
    assert len(slow.said) == 8


async def _count(channel: Recorder, number: int) -> bool:
    return len(channel.said) == number


async def test_what_one_process_left_behind_another_tells_once_its_lease_is_over(
    store: RedisStore,
) -> None:
    hanging, ops = Recorder(free=asyncio.Event()), Recorder()
    first = Office(store, hanging, pace=replace(QUICK, lease_ms=30, grace=0))
    held = await first.world.held()
    second = Office(store, ops, name="b")
    async with first.open():
        await until(lambda: _tried(hanging))
    async with second.open():
        await second.empty()
    assert [each.id for each in ops.said] == [held.id] and hanging.said == []


async def _tried(channel: Recorder) -> bool:
    return channel.tries > 0


async def test_two_processes_tell_each_notice_once(store: RedisStore) -> None:
    here, there = Recorder(), Recorder()
    first, second = Office(store, here), Office(store, there, name="b")
    async with first.open(), second.open():
        for number in range(12):
            await first.world.held(session=f"s{number}")
        await first.empty()
    told = [each.id for each in (*here.said, *there.said)]
    assert len(told) == 12 == len(set(told))


async def test_a_call_that_was_let_through_is_told_by_itself_without_a_digest(
    store: RedisStore,
) -> None:
    ops = Recorder()
    desk = Office(store, ops)
    await desk.world.ask(Level.NOTIFY)
    async with desk.open():
        await desk.empty()
    assert [each.why for each in ops.said] == [Notice.SENT] and ops.digests == []


async def test_with_a_digest_they_are_told_together_once_policy_says_so(store: RedisStore) -> None:
    ops = Recorder()
    desk = Office(store, ops, digests={"ops": 3_600_000})
    one = (await desk.world.ask(Level.NOTIFY, session="s1")).action
    two = (await desk.world.ask(Level.NOTIFY, session="s2")).action
    await desk.world.held()
    async with desk.open():
        await desk.empty()
    assert [each.why for each in ops.said] == [Notice.HELD]

    sooner = Office(store, ops, name="b", digests={"ops": 0})
    async with sooner.open():
        await until(lambda: _digested(ops))
    (digest,) = ops.digests
    assert {each.id for each in digest.told} == {one.id, two.id} and digest.more == 0
    assert digest.key


async def _digested(channel: Recorder) -> bool:
    return bool(channel.digests)


async def test_policy_says_whether_there_is_a_digest_until_it_is_sent(store: RedisStore) -> None:
    ops = Recorder()
    desk = Office(store, ops, policy=a_policy(TOGETHER))
    action = (await desk.world.ask(Level.NOTIFY)).action
    async with desk.open():
        await desk.world.quiet()
        await until(lambda: _looked(desk))
        assert ops.tries == 0
        desk.world.gate.policy = a_policy()
        await until(lambda: _digested(ops))
    assert [each.id for each in ops.digests[0].told] == [action.id]


async def _looked(desk: Office) -> bool:
    """Whether what is told together is in the store."""
    return bool(await desk.world.store.client.exists(f"{desk.world.store._prefix}:outbox:digests"))


async def test_who_is_asked_in_turn_is_waited_for(store: RedisStore) -> None:
    ops = Recorder()
    desk = Office(store, ops, policy=a_policy("\napprovals: {rotate: true}\n"))
    desk.delivery.pace = replace(QUICK, rotation=0)
    held = await desk.world.held()
    looks = 0
    assigned = desk.desk.assigned

    class Late:
        """Policy's choice is made only once somebody has asked for it in vain."""

        async def assigned(self, ids: Any) -> Any:
            nonlocal looks
            looks += 1
            found = await assigned(ids)
            await desk.desk.assign(held.id, Assignment(to="bob", by="rotation", at=NOON))
            return found

    desk.delivery.desk = Late()
    async with desk.open():
        await desk.empty()
    assert ops.said[0].asked == ("bob",) and looks == 2


async def test_a_digest_counts_calls_that_are_kept_no_more(store: RedisStore) -> None:
    ops = Recorder()
    desk = Office(store, ops, digests={"ops": 3_600_000})
    action = (await desk.world.ask(Level.NOTIFY)).action
    await desk.world.quiet()
    await store.client.delete(f"{store._prefix}:c:{action.id}")
    sooner = Office(store, ops, name="b", digests={"ops": 0})
    async with sooner.open():
        await until(lambda: _digested(ops))
    assert ops.digests[0].told == () and ops.digests[0].more == 1


async def test_while_the_store_is_down_nothing_is_lost_and_it_is_said_once(
    own_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "interlock.notify")
    store = RedisStore(own_server.url)
    ops = Recorder()
    desk = Office(store, ops)
    held = await desk.world.held()
    async with desk.open():
        await desk.empty()
        own_server.kill()
        await desk.delivery.notify(held, Notice.REMINDER)
        await desk.delivery.notify(replace(held, version=9), Notice.REMINDER)
        own_server.start()
        await until(lambda: _count(ops, 3))
    said = [each.getMessage() for each in caplog.records if "store answers" in each.getMessage()]
    assert len(said) == 1
    await store.close()


async def test_a_sample_shows_whether_a_channel_works(store: RedisStore) -> None:
    ops = Recorder(fails=[Undelivered("it answered 401", retry=True)])
    desk = Office(store, ops)
    assert await desk.delivery.test("ops") == "it answered 401"
    assert await desk.delivery.test("ops") == ""
    assert "test" in ops.said[0].title
    with pytest.raises(KeyError):
        await desk.delivery.test("none")


@pytest.mark.parametrize("why", Notice)
@pytest.mark.parametrize("state", State)
def test_what_waits_no_more_is_outdated(why: Notice, state: State) -> None:
    action = replace(an_action(), state=state)
    waiting = why in (Notice.HELD, Notice.REMINDER, Notice.ESCALATED, Notice.ASKED)
    expected = {Notice.SENT: False, Notice.SETTLED: state is State.HELD}
    assert outdated(why, action) is expected.get(why, waiting and state is not State.HELD)


@given(
    tries=st.integers(1, 20),
    after=st.none() | st.floats(0, 1e9, allow_nan=False),
)
def test_pauses_grow_end_and_heed_the_receiver_within_bounds(
    tries: int, after: float | None
) -> None:
    usual, asked = pause(tries, None, Pace()), pause(tries, after, Pace())
    assert (usual is None) is (tries > 6) is (asked is None)
    if usual is not None and asked is not None:
        assert usual == (1, 5, 30, 120, 600, 3600)[tries - 1]
        assert usual <= asked <= 3600
        assert asked >= min(after or 0, 3600)
