"""The desk on a real server: looks, assignments, approvals, absences, suspensions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from interlock.core.desk import EVERYBODY, Absence, Assignment, Suspension
from interlock.core.errors import MalformedCall, StoreUnavailable
from interlock.store.connection import connect
from interlock.store.desk import RedisDesk
from interlock.store.redis import RedisStore
from tests.support.stores import Server, fresh_prefix

T = TypeVar("T")
KEY = b"the key of the desk, not in store"
HOUR = 3_600_000


def desk_on(store: RedisStore, **more: Any) -> RedisDesk:
    return RedisDesk(store.client, **({"key": KEY, "prefix": store._prefix[1:-1]} | more))


@pytest.fixture
def desk(store: RedisStore) -> RedisDesk:
    return desk_on(store)


async def away(store: RedisStore, person: str = "ann", to: str = "bob", **more: Any) -> Absence:
    now = await store.now()
    usual: dict[str, Any] = {"groups": ("ops", "leads"), "until": now + HOUR, "since": now}
    return Absence(person=person, to=to, **(usual | more))


D = "d" * 64  #: the digest of the bytes that are looked at


def name_of(store: RedisStore, rest: str) -> str:
    return f"{store._prefix}:{rest}"


# looking ------------------------------------------------------------------------------------


async def test_opening_a_call_is_not_time_in_sight(desk: RedisDesk) -> None:
    look = await desk.look("a1", D, "ann", 60_000)
    assert look.looked_ms == 0
    assert look.noted == look.first
    assert look.others == ()


async def test_more_than_the_time_that_passed_is_not_believed(
    store: RedisStore, desk: RedisDesk
) -> None:
    first = (await desk.look("a1", D, "ann", 0)).first
    await store.client.hset(  # type: ignore[misc]
        name_of(store, "look:a1"), "ann", f"{first - 5000} {first - 5000} 0 {first - 5000} {D}"
    )
    look = await desk.look("a1", D, "ann", 3_600_000)
    assert 5000 <= look.looked_ms <= await store.now() - look.first
    await store.client.hset(  # type: ignore[misc]
        name_of(store, "look:a1"), "ann", f"{first - 9000} {first - 5000} 70 {first - 5000} {D}"
    )
    assert (await desk.look("a1", D, "ann", 4000)).looked_ms == 4070


async def test_a_look_goes_on_where_it_was_in_every_process(
    store: RedisStore, desk: RedisDesk
) -> None:
    opened = await desk.look("a1", D, "ann", 0)
    found = await desk_on(store).looked("a1", D, "ann")
    assert found is not None
    assert (found.first, found.looked_ms) == (opened.first, 0)
    assert await desk.looked("a1", D, "bob") is None
    assert await desk.looked("a2", D, "ann") is None


async def test_who_has_a_call_open_is_seen_by_others_until_they_close_it(desk: RedisDesk) -> None:
    await desk.look("a1", D, "ann", 0)
    seen = await desk.look("a1", D, "bob", 0)
    assert [each.person for each in seen.others] == ["ann"]
    (open_now, nobody) = await desk.looking(["a1", "a2"])
    assert ({each.person for each in open_now}, nobody) == ({"ann", "bob"}, ())
    await desk.leave("a1", "ann")
    (open_now,) = await desk.looking(["a1"])
    assert [each.person for each in open_now] == ["bob"]
    closed = await desk.looked("a1", D, "ann")
    assert closed is not None
    assert closed.noted == 0


async def test_whoever_left_and_comes_back_opens_it_again(
    store: RedisStore, desk: RedisDesk
) -> None:
    now = (await desk.look("a1", D, "ann", 0)).first
    await store.client.hset(  # type: ignore[misc]
        name_of(store, "look:a1"), "ann", f"{now - 60_000} {now - 50_000} 40 0 {D}"
    )
    again = await desk.look("a1", D, "ann", 50_000)
    assert again.looked_ms == 40
    assert again.noted >= now


async def test_whoever_was_not_heard_of_for_a_while_has_it_open_no_more(
    store: RedisStore, desk: RedisDesk
) -> None:
    now = await store.now()
    row = f"{now - 90_000} {now - 60_000} 5000 {now - 90_000} {D}"
    await store.client.hset(name_of(store, "look:a1"), "ann", row)  # type: ignore[misc]
    assert await desk.looking(["a1"]) == ((),)
    look = await desk.look("a1", D, "ann", 1000)
    assert look.looked_ms == 6000
    ((here,),) = await desk.looking(["a1"])
    assert here.since >= now


async def test_so_many_people_look_at_one_call_and_the_last_of_them_stay(
    store: RedisStore, desk: RedisDesk
) -> None:
    now = await store.now()
    name = name_of(store, "look:a1")
    rows = {f"p{n}": f"{now - 9000 + n} {now - 9000 + n} 7 1 {D}" for n in range(64)}
    await store.client.hset(name, mapping=rows)  # type: ignore[misc, arg-type]
    await desk.look("a1", D, "ann", 0)
    assert await store.client.hlen(name) == 64  # type: ignore[misc]
    assert await desk.looked("a1", D, "p0") is None
    assert await desk.looked("a1", D, "p1") is not None


async def test_what_is_no_record_of_a_look_is_none(store: RedisStore, desk: RedisDesk) -> None:
    rows = {"ann": "x", "bob": "1 2 3", "cat": f"9999999999999999999 1 1 é {D}"}
    await store.client.hset(name_of(store, "look:a1"), mapping=rows)  # type: ignore[misc, arg-type]
    assert await desk.looked("a1", D, "ann") is None
    assert await desk.looking(["a1"]) == ((),)
    assert (await desk.look("a1", D, "bob", 5000)).looked_ms == 0


async def test_a_look_at_other_bytes_begins_anew(store: RedisStore, desk: RedisDesk) -> None:
    """A colleague edits the call: nobody has looked at what it is now."""
    now, edited = await store.now(), "e" * 64
    row = f"{now - 90_000} {now - 5000} 70000 {now - 90_000} {D}"
    await store.client.hset(name_of(store, "look:a1"), "ann", row)  # type: ignore[misc]
    assert await desk.looked("a1", edited, "ann") is None
    ((here,),) = await desk.looking(["a1"])
    assert here.person == "ann"

    look = await desk.look("a1", edited, "ann", 90_000)

    assert (look.looked_ms, look.first >= now) == (0, True)
    assert await desk.looked("a1", D, "ann") is None


@pytest.mark.parametrize("name", ["", "x" * 129])
async def test_a_name_has_a_length(desk: RedisDesk, name: str) -> None:
    with pytest.raises(MalformedCall):
        await desk.look("a1", D, name, 0)
    with pytest.raises(MalformedCall):
        await desk.suspend(Suspension(agent=name, by="ann", reason="x", at=0))


class Visits(RuleBasedStateMachine):
    """Two people come, claim to look, and go: nobody is believed more than the clock says."""

    server: Server

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.store = RedisStore(self.server.url, prefix=fresh_prefix())
        self.desk = desk_on(self.store)
        self.began: dict[str, int] = {}
        self.believed: dict[str, int] = {}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @rule(
        who=st.sampled_from(["ann", "bob"]),
        claimed=st.integers(-(10**6), 10**15) | st.integers(0, 5),
        twice=st.booleans(),
    )
    def looks(self, who: str, claimed: int, twice: bool) -> None:
        self.began.setdefault(who, self.run(self.store.now()))
        for _ in range(1 + twice):
            look = self.run(self.desk.look("a1", D, who, claimed))
            assert look.first >= self.began[who]
            assert look.looked_ms >= self.believed.get(who, 0)
            self.believed[who] = look.looked_ms

    @rule(who=st.sampled_from(["ann", "bob"]))
    def leaves(self, who: str) -> None:
        self.run(self.desk.leave("a1", who))

    @rule()
    def is_settled(self) -> None:
        self.run(self.desk.settled("a1"))
        self.began.clear()
        self.believed.clear()

    @invariant()
    def nobody_is_believed_more_than_the_clock_says(self) -> None:
        for who, began in self.began.items():
            look = self.run(self.desk.looked("a1", D, who))
            assert look is not None
            assert look.looked_ms <= self.run(self.store.now()) - began

    def teardown(self) -> None:
        self.run(self.store.close())
        self.runner.close()


def test_no_claims_of_looking_add_up_to_more_than_the_time(server: Server) -> None:
    Visits.server = server
    case = Visits.TestCase()
    case.settings = settings(
        max_examples=40,
        stateful_step_count=25,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    case.runTest()


async def test_two_people_who_look_at_once_do_not_disturb_each_other(
    store: RedisStore, desk: RedisDesk
) -> None:
    began, other = await store.now(), desk_on(store)
    for _ in range(10):
        await asyncio.gather(
            *(each.look("a1", D, who, 10**9) for each in (desk, other) for who in ("ann", "bob"))
        )
    passed = await store.now() - began
    for who in ("ann", "bob"):
        look = await desk.looked("a1", D, who)
        assert look is not None
        assert look.looked_ms <= passed
        assert len(look.others) == 1


# asking -------------------------------------------------------------------------------------


async def test_whoever_is_asked_last_is_asked(store: RedisStore, desk: RedisDesk) -> None:
    await desk.assign("a1", Assignment(to="ann", by="rotation", at=0))
    await desk.assign("a1", Assignment(to="bob", by="ann", at=0, message="your client"))
    first, second = await desk.assigned(["a1", "a2"])
    assert first is not None
    assert (first.to, first.by, first.message, second) == ("bob", "ann", "your client", None)
    assert 0 < first.at <= await store.now()
    await desk.assign("a1", Assignment(to="", by="bob", at=0))
    assert await desk.assigned(["a1"]) == (None,)


async def test_of_two_who_ask_at_once_one_remains(store: RedisStore, desk: RedisDesk) -> None:
    await store.client.zadd(name_of(store, "open"), {"a1": 1})
    for name in ("ann", "bob", "cat"):
        await desk.greet(name, ["ops"])
    await asyncio.gather(
        *(desk.assign("a1", Assignment(to=to, by="x", at=0)) for to in ("ann", "bob", "cat"))
    )
    (asked,) = await desk.assigned(["a1"])
    assert asked is not None
    counts = {each.id: each.assigned for each in await desk.colleagues()}
    assert counts == dict.fromkeys(("ann", "bob", "cat"), 0) | {asked.to: 1}


async def test_a_settled_call_is_asked_of_nobody_and_open_nowhere(desk: RedisDesk) -> None:
    await desk.look("a1", D, "ann", 0)
    await desk.assign("a1", Assignment(to="ann", by="bob", at=0))
    await desk.settled("a1")
    assert await desk.assigned(["a1"]) == (None,)
    assert await desk.looking(["a1"]) == ((),)
    await desk.settled("a1")


async def test_what_expired_counts_for_nobody(store: RedisStore, desk: RedisDesk) -> None:
    await store.client.zadd(name_of(store, "open"), {"a1": 1, "a2": 2})
    await desk.greet("ann", ["ops"])
    for action in ("a1", "a2"):
        await desk.assign(action, Assignment(to="ann", by="rotation", at=0))
    assert [each.assigned for each in await desk.colleagues()] == [2]
    await store.client.zrem(name_of(store, "open"), "a1")
    assert [each.assigned for each in await desk.colleagues()] == [1]


async def test_an_approval_counts_once_and_for_an_hour(store: RedisStore, desk: RedisDesk) -> None:
    assert await desk.approvals("ann") == (0, 0)
    await desk.approved("ann", "a1")
    await desk.approved("ann", "a1")
    await desk.approved("ann", "a2")
    count, oldest = await desk.approvals("ann")
    assert (count, await desk.approvals("bob")) == (2, (0, 0))
    assert 0 < oldest <= await store.now()
    await store.client.zadd(name_of(store, "did:ann"), {"a1": oldest - HOUR - 60_000})
    assert (await desk.approvals("ann"))[0] == 1


async def test_practice_counts_for_the_person_and_not_for_colleagues(
    store: RedisStore, desk: RedisDesk
) -> None:
    await desk.greet("ann", ["ops"])
    await desk.practised("ann", "d1")
    await desk.approved("ann", "a1")
    count, oldest = await desk.approvals("ann")
    assert count == 2
    assert [each.approved for each in await desk.colleagues()] == [1]
    await store.client.zadd(name_of(store, "did-practice:ann"), {"d1": oldest - 60_000})
    assert await desk.approvals("ann") == (2, oldest - 60_000)


async def test_how_many_wait_is_counted_by_agent(store: RedisStore, desk: RedisDesk) -> None:
    await store.client.sadd(name_of(store, "o:bot"), "a1", "a2")  # type: ignore[misc]
    assert await desk.waiting(["bot", "cat"]) == (2, 0)
    assert await desk.waiting([]) == ()


# people -------------------------------------------------------------------------------------


async def test_colleagues_are_those_who_were_here_lately(
    store: RedisStore, desk: RedisDesk
) -> None:
    await desk.greet("ann", ["ops", "leads", "ops"])
    await desk.greet("bob", [])
    await desk.approved("ann", "a1")
    long_ago = await store.now() - 31 * 24 * HOUR
    await store.client.zadd(name_of(store, "people"), {"old": long_ago, "bob": long_ago})
    (ann,) = await desk.colleagues()
    assert (ann.id, ann.groups, ann.approved, ann.away) == ("ann", ("leads", "ops"), 1, None)
    await desk_on(store).greet("cat", ["ops"])
    assert {each.id for each in await desk.colleagues()} == {"ann", "cat"}
    assert await store.client.hkeys(name_of(store, "of")) == [b"ann", b"cat"]  # type: ignore[misc]


async def test_greeting_again_costs_nothing_until_the_groups_change(
    store: RedisStore, desk: RedisDesk
) -> None:
    await desk.greet("ann", ["ops"])
    await store.client.delete(name_of(store, "people"))
    await desk.greet("ann", ["ops"])
    assert await desk.colleagues() == ()
    await desk.greet("ann", ["ops", "leads"])
    assert [each.groups for each in await desk.colleagues()] == [("leads", "ops")]


async def test_whoever_stands_in_has_the_groups_until_the_time_is_over(
    store: RedisStore, desk: RedisDesk
) -> None:
    absence = await away(store)
    await desk.greet("ann", ["ops"])
    await desk.go_away(absence)
    (found,) = await desk_on(store).stands_in("bob")
    assert (found.person, found.groups, found.until) == ("ann", ("ops", "leads"), absence.until)
    assert await desk.away("ann") == found
    assert [each.away for each in await desk.colleagues()] == [found]
    assert (await desk.stands_in("ann"), await desk.away("bob")) == ((), None)
    await desk.come_back("ann")
    assert await desk.stands_in("bob") == ()


async def test_an_absence_that_is_over_or_has_not_begun_gives_nothing(
    store: RedisStore, desk: RedisDesk
) -> None:
    now = await store.now()
    await desk.go_away(await away(store, since=now + HOUR, until=now + 2 * HOUR))
    assert await desk.stands_in("bob") == ()
    await desk.go_away(await away(store, "cat", since=now - HOUR, until=now))
    assert await desk.stands_in("bob") == ()
    await desk.go_away(await away(store, "eve", to="dan"))
    kept = await store.client.hkeys(name_of(store, "away"))  # type: ignore[misc]
    assert sorted(kept) == [b"ann", b"eve"]


@pytest.mark.parametrize(
    "forged",
    [{"to": "eve"}, {"groups": ["ops", "leads", "admins"]}, {"until": 9 * 10**15}, {"person": "x"}]
    + [{"mac": "0" * 64}, {"mac": ""}, {"mac": "é"}, {"mac": None}, {"since": 0}]
    + [{"groups": "ops"}, {"groups": [["ops"]]}, {"until": "x"}, {"more": 1}, {"to": None}],
)
async def test_nobody_who_can_only_write_to_the_store_stands_in(
    store: RedisStore, desk: RedisDesk, forged: dict[str, Any]
) -> None:
    absence = await away(store)
    await desk.go_away(absence)
    name = name_of(store, "away")
    stored = (await store.client.hget(name, "ann") or b"").partition(b" ")[2]  # type: ignore[misc]
    said = json.loads(stored) | forged
    await store.client.hset(name, "ann", f"{absence.until} {json.dumps(said)}")  # type: ignore[misc]
    for who in ("bob", "eve", "ann"):
        assert await desk.stands_in(who) == ()
    await desk.greet("ann", ["ops"])
    assert [each.away for each in await desk.colleagues()] == [None]


async def test_an_absence_copied_to_others_counts_for_its_own_person_and_key_alone(
    store: RedisStore, desk: RedisDesk
) -> None:
    await desk.go_away(await away(store))
    name = name_of(store, "away")
    await store.client.hset(name, "cat", await store.client.hget(name, "ann") or b"")  # type: ignore[misc]
    assert [each.person for each in await desk.stands_in("bob")] == ["ann"]
    assert await desk.away("cat") is None
    other = desk_on(store, key=b"another key of the same length...")
    assert await other.stands_in("bob") == ()


async def test_an_absence_that_ended_cannot_be_put_back(store: RedisStore, desk: RedisDesk) -> None:
    await desk.go_away(await away(store))
    name = name_of(store, "away")
    old = await store.client.hget(name, "ann") or b""  # type: ignore[misc]
    await desk.come_back("ann")
    await store.client.hset(name, "ann", old)  # type: ignore[misc]
    assert await desk.stands_in("bob") == ()
    assert await desk_on(store).stands_in("bob") == ()
    await desk.go_away(await away(store, to="cat"))
    await store.client.hset(name, "ann", old)  # type: ignore[misc]
    assert await desk_on(store).stands_in("bob") == ()


async def test_with_its_mark_put_back_too_only_who_saw_the_end_knows_it(
    store: RedisStore, desk: RedisDesk
) -> None:
    await desk.go_away(await away(store))
    names = [name_of(store, "away"), name_of(store, "away-marks")]
    old = [await store.client.hget(name, "ann") or b"" for name in names]  # type: ignore[misc]
    await desk.come_back("ann")
    for name, value in zip(names, old, strict=True):
        await store.client.hset(name, "ann", value)  # type: ignore[misc]
    assert await desk.stands_in("bob") == ()
    assert len(await desk_on(store).stands_in("bob")) == 1  # as docs/reviewing.md says
    await desk.come_back("ann")
    assert await desk_on(store).stands_in("bob") == ()


@pytest.mark.parametrize("mark", [b"", b"9999999999999 x", b"\xff", b"9" * 40 + b" x", None])
async def test_a_mark_that_is_none_ends_the_absence_and_hinders_nobody(
    store: RedisStore, desk: RedisDesk, mark: bytes | None
) -> None:
    await desk.go_away(await away(store))
    name = name_of(store, "away-marks")
    if mark is None:
        await store.client.hdel(name, "ann")  # type: ignore[misc]
    else:
        await store.client.hset(name, "ann", mark)  # type: ignore[misc]
    assert await desk.stands_in("bob") == ()
    await desk.go_away(await away(store))
    assert len(await desk_on(store).stands_in("bob")) == 1


async def test_who_goes_away_and_comes_back_at_once_is_one_of_both(
    store: RedisStore, desk: RedisDesk
) -> None:
    other, absence = desk_on(store), await away(store)
    for _ in range(20):
        await asyncio.gather(desk.go_away(absence), other.come_back("ann"))
        assert await desk.stands_in("bob") == await desk_on(store).stands_in("bob")


async def test_what_is_no_absence_hides_no_other(store: RedisStore, desk: RedisDesk) -> None:
    await desk.go_away(await away(store))
    rows = {"x": "", "y": "1 {", "z": "9e99 " + "[" * 5000}
    await store.client.hset(name_of(store, "away"), mapping=rows)  # type: ignore[misc, arg-type]
    assert len(await desk.stands_in("bob")) == 1


# stopping -----------------------------------------------------------------------------------


async def test_a_stopped_agent_is_stopped_until_it_is_resumed(
    store: RedisStore, desk: RedisDesk
) -> None:
    await desk.suspend(Suspension(agent="bot", by="ann", reason='it "loops"', at=0))
    await desk.suspend(Suspension(agent=EVERYBODY, by="bob", reason="", at=0))
    assert await store.client.hexists(name_of(store, "stopped"), "bot")  # type: ignore[misc]
    found = {each.agent: each for each in await desk_on(store).suspended()}
    assert (found["bot"].by, found["bot"].reason) == ("ann", 'it "loops"')
    assert found[EVERYBODY].reason == ""
    assert 0 < found["bot"].at <= await store.now()
    assert await desk.resume("bot") is True
    assert await desk.resume("bot") is False
    assert [each.agent for each in await desk.suspended()] == [EVERYBODY]


@pytest.mark.parametrize("record", ["", "x", "{}", '{"by": 1}', "[]"])
async def test_a_suspension_whose_record_is_damaged_still_counts(
    store: RedisStore, desk: RedisDesk, record: str
) -> None:
    await store.client.hset(name_of(store, "stopped"), "bot", record)  # type: ignore[misc]
    (found,) = await desk.suspended()
    assert (found.agent, found.by) == ("bot", "")
    assert await desk.resume("bot") is True


# the rest -----------------------------------------------------------------------------------


async def test_all_but_suspensions_goes_by_itself(store: RedisStore, desk: RedisDesk) -> None:
    await desk.look("a1", D, "ann", 0)
    await desk.assign("a1", Assignment(to="ann", by="bob", at=0))
    await desk.approved("ann", "a1")
    await desk.greet("ann", ["ops"])
    await desk.go_away(await away(store))
    await desk.suspend(Suspension(agent="bot", by="ann", reason="", at=0))
    names = [name async for name in store.client.scan_iter(match=f"{store._prefix}:*")]
    lasting = [name for name in names if await store.client.pttl(name) == -1]
    assert len(names) == 9
    assert lasting == [name_of(store, "stopped").encode()]


async def test_a_short_key_is_refused(store: RedisStore) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        desk_on(store, key=b"short")


async def test_without_a_store_nothing_is_known() -> None:
    client = connect("unix:///nonexistent/store.sock")
    desk = RedisDesk(client, key=KEY)
    for ask in (desk.suspended(), desk.stands_in("ann"), desk.look("a1", D, "ann", 0)):
        with pytest.raises(StoreUnavailable):
            await ask
    await client.aclose()
