"""A stop that was seen ends by a sealed resumption, whatever becomes of it in the store."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from interlock.core.decisions import Level
from interlock.core.desk import EVERYBODY, Suspension
from interlock.core.events import Claimed, Decided
from interlock.core.lifecycle import step
from interlock.ports import Change, Limits, Put
from interlock.store.desk import RedisDesk
from interlock.store.lua import Script
from interlock.store.operations import encode_change
from interlock.store.redis import RedisStore
from tests.store.calls import Calls
from tests.support.builders import a_decision, an_action
from tests.support.stores import Server, fresh_prefix

KEY = b"a key that is not in the store.."
WHO = pytest.mark.parametrize("who", ["bot", EVERYBODY])


@dataclass
class Process:
    """What one process of an installation has: its store and its desk."""

    store: RedisStore
    desk: RedisDesk

    @property
    def calls(self) -> Calls:
        return Calls(self.store)

    async def stop(self, agent: str = "bot", by: str = "olga") -> None:
        await self.desk.suspend(Suspension(agent=agent, by=by, reason="It pays twice.", at=0))

    async def take_out(self, agent: str = "bot") -> None:
        """Lift the stop as somebody who can write to the store would."""
        await self._redis("HDEL", f"{self.store._prefix}:stopped", agent)

    async def wipe(self) -> None:
        await self._redis("DEL", f"{self.store._prefix}:stopped")

    async def mark(self, agent: str = "bot") -> bytes:
        return bytes(await self._redis("GET", f"{self.store._prefix}:resumed:{agent}") or b"")

    async def forge_mark(self, mark: bytes, agent: str = "bot") -> None:
        await self._redis("SET", f"{self.store._prefix}:resumed:{agent}", mark)

    async def stopped(self, agent: str = "bot") -> bool:
        return bool(await self._redis("HEXISTS", f"{self.store._prefix}:stopped", agent))

    async def _redis(self, *command: str | bytes) -> Any:
        return await self.store.client.execute_command(*command)  # type: ignore[no-untyped-call]


@pytest.fixture
async def processes(server: Server) -> AsyncIterator[list[Process]]:
    """Three processes of one installation; the third has seen nothing."""
    prefix, made = fresh_prefix(), []
    for _ in range(3):
        store = RedisStore(server.url, prefix=prefix)
        desk = RedisDesk(store.client, key=KEY, prefix=prefix)
        store.stops_known = desk.stops_known
        made.append(Process(store, desk))
    yield made
    for each in made:
        await each.store.close()


@pytest.fixture
async def mine(processes: list[Process]) -> Process:
    return processes[0]


@pytest.fixture
async def other(processes: list[Process]) -> Process:
    return processes[1]


@pytest.fixture
async def fresh(processes: list[Process]) -> Process:
    return processes[2]


@WHO
async def test_a_stop_that_is_taken_out_holds_where_it_was_seen(
    mine: Process, other: Process, who: str
) -> None:
    await other.stop(who)
    await mine.store.look_for_stops()
    await mine.take_out(who)

    assert await mine.calls.proposed("a1", level=Level.ALLOW) is Put.SUSPENDED
    assert await mine.calls.proposed("a2", level=Level.APPROVE) is Put.SUSPENDED
    assert await mine.store.get("a1") is None
    assert [each.agent for each in mine.store.stops_lifted] == [who]


async def test_who_made_the_stop_has_seen_it(mine: Process) -> None:
    await mine.stop()
    await mine.take_out()

    assert await mine.calls.proposed("a1", level=Level.ALLOW) is Put.SUSPENDED


async def test_deleting_all_stops_lets_nobody_go_who_is_known(mine: Process) -> None:
    for who in ("bot", "other", EVERYBODY):
        await mine.stop(who)
    await mine.wipe()
    await mine.store.look_for_stops()

    assert {each.agent for each in mine.store.stops_lifted} == {"bot", "other", EVERYBODY}
    for who in ("bot", "other", EVERYBODY):
        assert await mine.stopped(who), "it was put back"


async def test_nothing_approved_is_claimed_though_its_stop_is_gone(mine: Process) -> None:
    calls = mine.calls
    await calls.proposed("a1")
    await calls.approved("a1")
    await mine.stop()
    await mine.take_out()

    assert await calls.claimed("a1") is Put.SUSPENDED
    assert (await calls.read("a1")).fence == 0


async def test_it_is_put_back_so_that_a_process_which_never_saw_it_refuses_too(
    mine: Process, fresh: Process
) -> None:
    await mine.stop()
    await mine.take_out()
    assert await fresh.calls.proposed("a1", level=Level.ALLOW) is Put.OK, "it cannot know"
    await mine.store.look_for_stops()

    assert await fresh.calls.proposed("a2", level=Level.ALLOW) is Put.SUSPENDED


async def test_people_read_who_stopped_it_though_it_is_gone(mine: Process) -> None:
    await mine.stop()
    await mine.take_out()
    said = await mine.store.stopped("bot")

    assert said is not None and (said.by, said.reason) == ("olga", "It pays twice.")
    await mine.take_out()
    assert [each.agent for each in await mine.desk.stops(["bot"])] == ["bot"]


@WHO
async def test_a_resumption_ends_it_in_every_process(
    mine: Process, other: Process, who: str
) -> None:
    await other.stop(who)
    await mine.store.look_for_stops()
    assert await other.desk.resume(who)

    assert await mine.calls.proposed("a1", level=Level.ALLOW) is Put.OK
    assert await other.calls.proposed("a2", level=Level.ALLOW) is Put.OK
    assert mine.store.stops_lifted == () == other.store.stops_lifted
    assert not await mine.stopped(who)


async def test_a_resumption_ends_also_what_was_lifted_and_what_is_told_of_it(
    mine: Process, other: Process
) -> None:
    await mine.stop()
    await mine.take_out()
    await mine.store.look_for_stops()
    assert mine.store.stops_lifted
    assert await other.desk.resume("bot")
    await mine.store.look_for_stops()

    assert mine.store.stops_lifted == ()
    assert await mine.calls.proposed("a1", level=Level.ALLOW) is Put.OK


async def test_who_knows_of_a_lifted_stop_can_resume_it_though_it_is_gone(mine: Process) -> None:
    await mine.stop()
    await mine.take_out()

    assert await mine.desk.resume("bot")
    assert await mine.calls.proposed("a1", level=Level.ALLOW) is Put.OK


async def test_who_knows_of_no_stop_ends_none(mine: Process, fresh: Process) -> None:
    await mine.stop()
    await mine.take_out()

    assert not await fresh.desk.resume("bot")
    assert await mine.mark() == b""
    assert await mine.calls.proposed("a1", level=Level.ALLOW) is Put.SUSPENDED


async def test_an_earlier_resumption_put_back_ends_no_later_stop(mine: Process) -> None:
    await mine.stop()
    await mine.desk.resume("bot")
    earlier = await mine.mark()
    assert earlier
    await mine.stop()
    await mine.desk.resume("bot")
    await mine.stop(by="ann")
    await mine.take_out()
    await mine.forge_mark(earlier)

    assert await mine.calls.proposed("a1", level=Level.ALLOW) is Put.SUSPENDED
    assert mine.store.stops_lifted


async def test_the_latest_resumption_left_in_place_ends_no_later_stop(
    mine: Process, other: Process
) -> None:
    await mine.stop()
    await mine.desk.resume("bot")
    await other.store.look_for_stops()
    await mine.stop(by="ann")
    await other.store.look_for_stops()
    await mine.take_out()

    assert await other.calls.proposed("a1", level=Level.ALLOW) is Put.SUSPENDED


FORGED = [b"", b"junk", b"9999999999999 " + b"0" * 64, b"9" * 17 + b" x", b"\xff\xff", b"-1 x"]


@pytest.mark.parametrize("mark", FORGED)
async def test_a_resumption_that_nobody_sealed_ends_nothing(mine: Process, mark: bytes) -> None:
    await mine.stop()
    await mine.take_out()
    await mine.forge_mark(mark)

    assert await mine.calls.proposed("a1", level=Level.ALLOW) is Put.SUSPENDED


async def test_a_resumption_of_one_agent_is_none_of_another_and_none_of_all(mine: Process) -> None:
    await mine.stop("other")
    await mine.desk.resume("other")
    mark = await mine.mark("other")
    for who in ("bot", EVERYBODY):
        await mine.stop(who)
        await mine.take_out(who)
        await mine.forge_mark(mark, who)

    assert await mine.calls.proposed("a1", level=Level.ALLOW) is Put.SUSPENDED
    assert {each.agent for each in mine.store.stops_lifted} >= {"bot"}


async def test_another_secret_resumes_nobody(mine: Process, server: Server) -> None:
    await mine.stop()
    prefix = mine.store._prefix[1:-1]
    stranger = RedisDesk(mine.store.client, key=b"another key, not ours...........", prefix=prefix)
    await stranger.resume("bot")

    assert await mine.calls.proposed("a1", level=Level.ALLOW) is Put.SUSPENDED


async def test_a_stop_that_was_rewritten_to_look_old_is_still_one(
    mine: Process, other: Process
) -> None:
    await other.stop()
    await other.desk.resume("bot")
    await other.stop()
    old = b'{"by":"olga","reason":"","at":1}'
    await mine._redis("HSET", f"{mine.store._prefix}:stopped", "bot", old)
    for _ in range(2):  # it is seen, then held against its mark
        await mine.store.look_for_stops()
    await mine.take_out()

    assert await mine.calls.proposed("a1", level=Level.ALLOW) is Put.SUSPENDED


async def test_a_stop_that_is_resumed_and_made_anew_between_two_looks_is_known(
    mine: Process, other: Process
) -> None:
    await other.stop()
    await mine.store.look_for_stops()
    await other.desk.resume("bot")
    await other.stop(by="ann")
    await mine.store.look_for_stops()
    await mine.take_out()

    assert await mine.calls.proposed("a1", level=Level.ALLOW) is Put.SUSPENDED
    assert [each.by for each in mine.store.stops_lifted] == ["ann"]


async def test_what_is_held_can_still_be_ended_though_the_stop_is_gone(mine: Process) -> None:
    calls = mine.calls
    await calls.proposed("a1")
    await mine.stop()
    await mine.take_out()

    assert await calls.rejected("a1") is Put.OK


async def scripts_run(process: Process) -> int:
    said = await process.store.client.info("commandstats")
    return int(said.get("cmdstat_evalsha", {}).get("calls", 0))


async def test_a_stop_of_one_agent_costs_the_calls_of_others_no_question(
    own_server: Server,
) -> None:
    store = RedisStore(own_server.url)
    desk = RedisDesk(store.client, key=KEY)
    store.stops_known = desk.stops_known
    one = Process(store, desk)
    await one.calls.proposed("a0", level=Level.ALLOW)
    await one.stop("other")
    before = await scripts_run(one)
    await one.calls.proposed("a1", level=Level.ALLOW)
    asked = await scripts_run(one) - before
    await store.close()

    assert asked == 1, "the write itself"


async def test_it_is_said_once_and_loudly(mine: Process, caplog: pytest.LogCaptureFixture) -> None:
    await mine.stop("bo\nt")
    with caplog.at_level(logging.ERROR, "interlock"):
        for _ in range(3):
            await mine.take_out("bo\nt")
            await mine.store.look_for_stops()

    (line,) = [each for each in caplog.messages if "took stops out of the store" in each]
    assert "\n" not in line and "who can write to the store" in line


async def test_many_stops_are_looked_for_in_turns_and_all_are_held_to(
    mine: Process, caplog: pytest.LogCaptureFixture
) -> None:
    names = [f"bot{n}" for n in range(1200)]
    said = b'{"by":"olga","reason":"","at":1}'
    pairs: Iterable[bytes] = (part for name in names for part in (name.encode(), said))
    await mine._redis("HSET", f"{mine.store._prefix}:stopped", *pairs)
    known = mine.store.stops_known
    assert known is not None
    for _ in range(10):
        await mine.store.look_for_stops()
    assert all(known.knows(name) for name in names)
    await mine.wipe()
    for _ in range(3):
        await mine.store.look_for_stops()

    assert len(mine.store.stops_lifted) == 1200
    assert len([each for each in caplog.messages if "took stops out of the store" in each]) <= 3
    assert await mine.store.stopped("bot1199") is not None


@pytest.mark.parametrize("level", [Level.ALLOW, Level.APPROVE])
async def test_it_may_go_again_while_a_call_is_on_its_way_to_the_store(
    mine: Process, level: Level
) -> None:
    """Fault caught: what the writer knows is not heeded in the script that would clear a send."""
    action = an_action(action_id="a1")
    event = Decided(at=1, decision=a_decision(level))
    after, _ = step(action, event)
    if level is Level.ALLOW:
        after, _ = step(after, Claimed(at=1, nonce="n1", lease_ms=60_000))
    change = Change(before=action, event=event, after=after, nonce="n1")
    knowing = encode_change(change, Limits(), stopped=True)
    put = Script("put")

    ((outcome, *_),) = await put(mine.store.client, mine.store._prefix, knowing)  # type: ignore[misc]

    assert outcome == b"SUSPENDED" and await mine.store.get("a1") is None
