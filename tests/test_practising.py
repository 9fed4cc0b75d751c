"""Practice calls are put among real ones by themselves, and none is ever sent."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interlock.core.actions import Action, State, Verdict
from interlock.core.decisions import Level
from interlock.core.desk import Suspension
from interlock.core.errors import InterlockError
from interlock.core.practice import Figures
from interlock.observe.metrics import Metrics
from interlock.ports import Notice
from interlock.practising import MOST_DUE, MOST_HELD, Around, Practising
from interlock.store.desk import RedisDesk
from interlock.store.practice import RedisPractice
from interlock.store.redis import RedisStore
from interlock.tasks import Tasks
from tests.support.builders import ANN, BOB, edited
from tests.support.fakes import OF_LEVEL, World, a_policy
from tests.support.stores import fresh_prefix

SHARE = "approvals: {decoys: {share: 0.2}}\n"


class Practised(World):
    """A world in which every held call has a practice call drawn for it, to come at once."""

    def __init__(self, store: RedisStore, more: str = "", **around: object) -> None:
        self.counted: list[str] = []
        self.metrics = Metrics()
        self.draws: Sequence[float] = (0.0,)
        self.book = RedisPractice(store.client, prefix=fresh_prefix())
        given = {"upstreams": {"bank"}, "aged_ms": 0, "wait_seconds": 60.0} | around
        drawn = itertools.count()
        self.practising = Practising(
            lambda: self.gate,
            store,
            self.book,
            Around(
                draw=lambda: self.draws[next(drawn) % len(self.draws)],
                counted=self.counted.append,
                held=self.metrics.practice_held,
                ended=self.metrics.practice_ended,
                **given,  # type: ignore[arg-type]
            ),
        )
        super().__init__(
            store, name=fresh_prefix(), policy=a_policy(SHARE + more), observers=[self.metrics]
        )
        self.gate._announcer._notifiers = (self.seen, self.practising)

    async def rejected(self, body: bytes = b"{}", session: str = "s9") -> Action:
        """Hold a call and have it rejected, before there is any practice."""
        notifiers, self.gate._announcer._notifiers = self.gate._announcer._notifiers, ()
        action = await self.held(body=body, session=session)
        after = await self.says(action, verdict=Verdict.REJECT)
        self.gate._announcer._notifiers = notifiers
        return after

    async def planted(self) -> Action | None:
        await self.quiet()
        return await self.practising.plant_due()

    async def again(self) -> None:
        """Let the time pass that lies between two practice calls."""
        await self.store.client.delete(f"{self.book._prefix}:turn")

    def total(self, name: str, **labels: str) -> float:
        """Sum the series of *name* whose labels include *labels*."""
        return sum(
            float(line.rpartition(" ")[2])
            for line in self.metrics.render().decode().splitlines()
            if re.match(name + "[{ ]", line)
            and all(f'{label}="{value}"' in line for label, value in labels.items())
        )

    async def unaccounted(self) -> float:
        """Return how many more calls are held than metrics say were judged and have not ended."""
        await self.quiet()
        judged = self.total("interlock_calls_total", level="approve")
        ended = self.total("interlock_call_outcomes_total", level="approve")
        return (await self.store.counts())["held"] - (judged - ended)


@pytest.fixture
async def world(store: RedisStore) -> AsyncIterator[Practised]:
    world = Practised(store)
    yield world
    await world.gate.close(10)


async def test_no_metric_tells_that_one_of_the_calls_that_wait_is_practice(
    world: Practised,
) -> None:
    await world.rejected()
    await world.held(body=b'{"real": 1}')
    before = world.total("interlock_calls_total"), await world.unaccounted()
    assert before == (2, 0)

    decoy = await world.planted()

    assert decoy is not None and decoy.decision is not None
    labels = {"tool": decoy.decision.tool, "upstream": "bank", "level": "approve"}
    assert (world.total("interlock_calls_total", **labels), await world.unaccounted()) == (3, 0)
    await world.says(decoy, verdict=Verdict.REJECT)
    assert (await world.unaccounted(), world.counted) == (0, ["caught"])
    assert world.total("interlock_reviews_total") == 1, "of the call that it is a copy of"


async def decoy_beside(world: Practised, body: bytes = b"{}") -> Action:
    await world.rejected(body)
    await world.held(body=b'{"real": 1}')
    decoy = await world.planted()
    assert decoy is not None
    return decoy


async def test_one_like_a_rejected_call_comes_beside_a_held_one(world: Practised) -> None:
    rejected = await world.rejected(b'{"amount": 9}')
    real = await world.held(body=b'{"real": 1}')

    decoy = await world.planted()

    assert decoy is not None and decoy.decoy_of == rejected.id
    assert decoy.call.body == rejected.call.body and decoy.call.agent == rejected.call.agent
    listed = await world.store.held(None, 10)
    assert {each.id for each in listed.actions} == {real.id, decoy.id}
    assert world.gate.genuine(await world.now(decoy))


async def test_it_seems_to_be_of_a_session_that_its_agent_has_open(world: Practised) -> None:
    await world.rejected(session="old")
    real = await world.held(body=b'{"real": 1}', session="open")
    decoy = await world.planted()
    assert decoy is not None and decoy.call.context.session == "open"

    seen = await world.store.session(decoy, 10)
    assert [each.id for each in seen] == [real.id]


async def test_the_card_of_the_rejected_call_never_stands_beside_it(world: Practised) -> None:
    await world.rejected(session="same")
    await world.held(body=b'{"real": 1}', session="same")

    assert await world.planted() is None


async def test_without_an_open_session_it_begins_one(world: Practised) -> None:
    rejected = await world.rejected(session="s-81")
    await world.held(body=b'{"real": 1}', session="s-82")
    now = await world.store.now()
    begun = world.practising._session(rejected, (), now)

    assert begun == "s-00"
    assert world.practising._session(await world.rejected(b"[]", session="word"), (), now) is None


async def test_it_comes_later_than_the_call_it_is_drawn_for(world: Practised) -> None:
    await world.rejected()
    world.draws = (0.0, 0.5)
    await world.held(body=b'{"real": 1}')

    assert await world.planted() is None
    (at,) = world.practising._due
    assert 440_000 < at - await world.store.now() <= 450_000


async def test_without_luck_or_a_share_there_is_none(world: Practised, store: RedisStore) -> None:
    await world.rejected()
    world.draws = (0.2, 0.0)
    await world.held(body=b'{"real": 1}')
    assert await world.planted() is None and world.practising._due == []

    world.draws = (0.0,)
    await world.held(body=b'{"real": 2}')
    await world.quiet()
    world.gate.policy = a_policy()
    assert await world.planted() is None


async def test_a_practice_call_draws_no_other(world: Practised) -> None:
    decoy = await decoy_beside(world)
    await world.quiet()

    assert world.practising._due == [] and decoy.decoy_of


async def test_one_is_open_at_a_time_and_each_is_shown_once(world: Practised) -> None:
    await world.rejected(b'{"other": 1}')
    first = await decoy_beside(world)
    await world.held(body=b'{"real": 2}')
    await world.again()
    assert await world.planted() is None, "two at a time for the same people"

    await world.says(first, verdict=Verdict.REJECT)
    await world.again()
    await world.held(body=b'{"real": 3}')
    assert (second := await world.planted()) is not None
    assert second.decoy_of != first.decoy_of

    await world.says(second, verdict=Verdict.REJECT)
    await world.again()
    await world.held(body=b'{"real": 4}')
    assert await world.planted() is None, "both were shown already"


async def test_there_are_a_few_in_an_hour_at_most(world: Practised) -> None:
    await world.rejected(b'{"other": 1}')
    first = await decoy_beside(world)
    await world.says(first, verdict=Verdict.REJECT)
    await world.held(body=b'{"real": 2}')

    assert await world.planted() is None


async def test_a_full_queue_gets_none(world: Practised) -> None:
    await world.rejected()
    for each in range(MOST_HELD + 1):
        await world.held(body=b'{"real": %d}' % each)

    assert await world.planted() is None
    assert len(world.practising._due) == MOST_DUE - 1


async def test_a_stopped_agent_has_none(world: Practised) -> None:
    await world.rejected()
    await world.held(body=b'{"real": 1}')
    desk = RedisDesk(world.store.client, key=b"k" * 32, prefix=world.store._prefix.strip("{}"))
    await desk.suspend(Suspension(agent="bot", by="ann", reason="", at=0))

    assert await world.planted() is None


async def test_what_would_be_judged_otherwise_today_is_not_shown(world: Practised) -> None:
    await world.rejected()
    await world.held(Level.APPROVE_DUAL, body=b'{"real": 1}')
    tool = OF_LEVEL[Level.APPROVE]
    world.gate.policy = a_policy(
        SHARE + "rules:\n  - id: two\n    description: Two people look at it.\n"
        f"    tools: [bank.{tool}]\n    at_least: approve_dual\n"
    )

    assert await world.planted() is None


async def test_what_is_gone_or_too_fresh_is_not_shown(store: RedisStore) -> None:
    for around in ({"upstreams": {"mail"}}, {"aged_ms": 86_400_000}):
        world = Practised(store, **around)
        await world.rejected(b'{"tries": "%s"}' % next(iter(around)).encode())
        await world.held(body=b'{"real": 1}')
        assert await world.planted() is None
        await world.gate.close(10)


async def test_a_forged_rejection_is_not_shown(world: Practised) -> None:
    rejected = await world.rejected()
    record = (await world.raw(rejected))[b"call"]
    forged = record.replace(b"rent is due", b"rent is old")
    assert forged != record
    await world.forge(rejected, call=forged)
    await world.held(body=b'{"real": 1}')

    assert await world.planted() is None


async def test_its_caller_seems_to_wait_as_those_of_other_calls_do(world: Practised) -> None:
    await world.rejected()
    real = await world.held(body=b'{"real": 1}')
    await world.store.attend(real.id, 60)
    decoy = await world.planted()
    assert decoy is not None

    assert await world.store.attended([decoy.id, real.id]) == (True, True)


async def test_where_no_caller_waits_none_does_for_it(world: Practised) -> None:
    decoy = await decoy_beside(world)

    assert await world.store.attended([decoy.id]) == (False,)


async def test_what_people_make_of_it_is_kept(world: Practised) -> None:
    decoy = await decoy_beside(world)
    await world.says(decoy, verdict=Verdict.APPROVE)
    await world.quiet()

    now = await world.store.now()
    assert world.counted == ["missed"]
    assert await world.book.people(now) == ("ann",)
    assert await world.book.figures(["ann"], now) == (Figures(person="ann", caught=0, missed=1),)


async def test_an_answer_in_the_tools_place_counts_as_neither(world: Practised) -> None:
    decoy = await decoy_beside(world)
    await world.says(decoy, verdict=Verdict.RESPOND)
    await world.quiet()

    assert world.counted == []
    figures = await world.book.figures(["ann"], await world.store.now())
    assert figures == (Figures(person="ann", caught=0, missed=0),)


async def test_one_that_nobody_decides_counts_for_nobody(world: Practised) -> None:
    decoy = await decoy_beside(world)
    world.store.on_lapsed = world.gate.recorder.lapsed
    await world.forge(decoy, deadline=1)
    await world.now(decoy)
    await world.quiet()

    assert world.counted == ["unanswered"]
    assert await world.book.people(await world.store.now()) == ()


async def test_two_people_who_approve_at_once_send_nothing(world: Practised) -> None:
    decoy = await decoy_beside(world)
    other = World(world.store, name="x", tool=world.tool)
    said = await asyncio.gather(
        world.says(decoy, ANN), other.says(decoy, BOB), return_exceptions=True
    )
    await world.quiet()
    await other.quiet()

    assert sum(isinstance(each, Action) for each in said) == 1
    assert (await world.now(decoy)).state is State.CANCELLED
    assert world.tool.sent == []
    await other.gate.close(10)


async def test_a_record_made_to_look_real_is_not_sent(world: Practised) -> None:
    """Fault caught: somebody who writes to the store takes the mark of practice away."""
    decoy = await decoy_beside(world)
    record = (await world.raw(decoy))[b"rec"]
    forged = record.replace(b'"decoy_of"', b'"_of"')
    assert forged != record
    await world.forge(decoy, rec=forged)
    await world.store.client.hdel(f"{world.store._prefix}:c:{decoy.id}", "decoy")

    with pytest.raises(InterlockError, match="changed outside"):
        await world.says(decoy)
    assert not world.gate.genuine(await world.now(decoy))
    assert world.tool.sent == []


async def test_an_approval_given_to_a_forged_one_is_not_sent_either(world: Practised) -> None:
    """Fault caught: the mark is taken away, and the record pushed on to approved."""
    decoy = await decoy_beside(world)
    await world.forge(decoy, st="approved", adigest=decoy.digest, lapses=2**50, deadline=2**50)
    record = (await world.raw(decoy))[b"rec"]
    await world.forge(decoy, rec=record.replace(b'"decoy_of"', b'"_of"'))
    name = f"{world.store._prefix}:c:{decoy.id}"
    await world.store.client.hdel(name, "decoy")
    await world.store.client.sadd(f"{world.store._prefix}:ready", decoy.id)

    await world.gate.sweep()
    await world.quiet()

    assert world.tool.sent == []
    assert (await world.now(decoy)).state is State.DENIED


DOES = st.lists(
    st.tuples(
        st.sampled_from(["approve", "edit", "reject", "respond", "escalate", "sweep", "cancel"]),
        st.sampled_from([ANN, BOB, replace(ANN, id="eve")]),
    ),
    min_size=1,
    max_size=6,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(does=DOES, level=st.sampled_from([Level.APPROVE, Level.APPROVE_DUAL]))
async def test_whatever_people_do_the_tool_never_sees_one(
    store: RedisStore, does: list[tuple[str, object]], level: Level
) -> None:
    world = World(store, name=fresh_prefix())
    call = world.call(level)
    decoy = await world.gate.plant(call, await world.gate.judge(call), "a0")

    for what, who in does:
        try:
            if what == "escalate":
                await world.gate.escalate(decoy.id, who.id, "")  # type: ignore[attr-defined]
            elif what == "sweep":
                await world.gate.sweep()
            elif what == "cancel":
                await world.gate.cancel(decoy.id, "bot")
            else:
                changed = edited(decoy) if what == "edit" else None
                await world.says(decoy, who, Verdict(what), call=changed)  # type: ignore[arg-type]
        except InterlockError as error:
            assert error.detail
    await world.quiet()
    await world.gate.sweep()
    await world.quiet()

    assert world.tool.sent == []
    assert (await world.now(decoy)).state in (State.HELD, State.CANCELLED)
    await world.gate.close(10)


async def test_notices_beside_held_and_settled_mean_nothing(world: Practised) -> None:
    real = await world.held()
    world.practising._due.clear()
    for why in (Notice.SENT, Notice.REMINDER, Notice.ESCALATED, Notice.SETTLED):
        await world.practising.notify(real, why)

    assert world.practising._due == [] and world.counted == []


async def test_it_goes_on_until_it_is_told_to_stop(
    world: Practised, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.rejected()
    await world.held(body=b'{"real": 1}')
    await world.quiet()
    monkeypatch.setattr("interlock.practising.LOOK", 0)
    running = Tasks().spawn(world.practising.run(), "practice")
    while (await world.store.held(None, 10)).total < 2:
        await asyncio.sleep(0)
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running
