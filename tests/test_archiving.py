"""The archive as a process opens it: a real store, its feed, a DuckDB file, and what goes wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from interlock.archiving import Archived, archived
from interlock.config import load_config
from interlock.core.actions import Action, Verdict
from interlock.core.analytics import Selected
from interlock.core.decisions import Level
from interlock.core.records import DecidedCall
from interlock.keyfiles import derived_keys
from interlock.noting_entries import encode
from interlock.observe.archive import FILE, FileArchive, Taken
from interlock.observe.metrics import Metrics
from interlock.parts import (
    Parts,
    audits_of,
    authenticators_of,
    calibration_of,
    definitions_of,
    delivery_of,
    desk_of,
    practice_of,
)
from interlock.settings import Config
from interlock.store.feed import RedisFeed
from interlock.store.keyring import RedisKeyRing
from interlock.store.redis import RedisStore
from interlock.system import SystemClock
from tests.store.test_feed import Fed
from tests.support.fakes import World, a_policy
from tests.support.records import record, unreviewed
from tests.support.stores import Server

PATIENCE = 40.0  #: seconds; the machine may be busy
HOUR, DAY = 3_600_000, 86_400_000
KEPT = "\nrecords: {keep: 24h, keep_unreviewed: 1h}\n"


def parts_of(world: World, config: Config) -> Parts:
    """Return what `interlock serve` has around the gate of *world*."""
    store, gate, keys, metrics = world.store, world.gate, derived_keys(config), Metrics()
    desk, prefix = desk_of(config, store, keys), config.store.prefix
    return Parts(
        config=config,
        gate=gate,
        store=store,
        ring=RedisKeyRing(store.client, pepper=keys.pepper, clock=SystemClock(), prefix=prefix),
        metrics=metrics,
        definitions=definitions_of(config, store, keys),
        desk=desk,
        authenticators=authenticators_of(config, store, keys),
        delivery=delivery_of(config, store, keys, desk, metrics, lambda: gate),
        practice=practice_of(config, store),
        audits=audits_of(config, store, gate, metrics),
        calibration=calibration_of(config, store, keys, metrics),
    )


@dataclass
class Archiving:
    """A gate whose decided calls go into an archive, while it is `open`."""

    world: World
    parts: Parts
    fed: Fed

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Archived]:
        async with AsyncExitStack() as stack:
            yield await archived(self.parts, stack)

    async def ended(self, level: Level = Level.ALLOW, number: int = 0) -> Action:
        """Have a call come to its end; return it."""
        body = b'{"amount": %d}' % number
        action = (await self.world.ask(level, body=body)).action
        if level >= Level.APPROVE:
            await self.world.says(action, verdict=Verdict.REJECT)
        return await self.world.now(action)

    async def all_read(self) -> list[DecidedCall]:
        """Open the archive, wait until it lacks nothing, and close it; return what it has."""
        async with self.open() as kept:
            await caught_up(kept)
            return await records_of(kept.archive)

    def told(self) -> dict[str, float]:
        """Return the figures that metrics tell."""
        lines = self.parts.metrics.render().decode().splitlines()
        pairs = [line.rpartition(" ") for line in lines if not line.startswith("#")]
        return {name: float(value) for name, _, value in pairs}


async def caught_up(kept: Archived) -> None:
    async with asyncio.timeout(PATIENCE):
        while await kept.behind():
            pass  # it asks the store each time


async def records_of(archive: FileArchive) -> list[DecidedCall]:
    return list((await archive.page(Selected(), None, 5_000)).records)


@pytest.fixture
async def archiving(server: Server, store: RedisStore, tmp_path: Path) -> AsyncIterator[Archiving]:
    path = tmp_path / "interlock.yaml"
    settings = {
        "agents": {"listen": "127.0.0.1:0", "anonymous": {"id": "local"}},
        "people": {"listen": "127.0.0.1:0", "local": [{"id": "ann"}]},
        "data": str(tmp_path / "data"),
        "policies": [str(tmp_path / "policy.yaml")],
        "store": {"url": server.url, "prefix": store._prefix.strip("{}")},
    }
    path.write_text(json.dumps(settings))
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "policy.yaml").write_text("")
    world = World(store, policy=a_policy(KEPT))
    fed = Fed(store)
    yield Archiving(world, parts_of(world, load_config(path, {})), fed)
    await fed.feed.close()


async def test_what_ends_is_on_record_and_no_longer_in_the_store(archiving: Archiving) -> None:
    calls = [await archiving.ended(), await archiving.ended(Level.APPROVE)]

    async with archiving.open() as kept:
        await caught_up(kept)
        found = await records_of(kept.archive)
        async with asyncio.timeout(PATIENCE):  # the feed keeps the last one, to go on behind it
            while await archiving.fed.length() > 1:
                pass  # it asks the store each time

    assert {each.id: each.state for each in found} == {
        calls[0].id: "answered",
        calls[1].id: "rejected",
    }


Stopping = Callable[[pytest.MonkeyPatch], None]


def stopped_after_writing(patch: pytest.MonkeyPatch) -> None:
    """The process stops once a batch is in the file, before the store hears of it."""

    async def stop(feed: RedisFeed, name: str, upto: str) -> None:
        raise asyncio.CancelledError

    patch.setattr(RedisFeed, "archived", stop)


def stopped_before_writing(patch: pytest.MonkeyPatch) -> None:
    """The process stops with a batch in its hands."""

    async def stop(archive: FileArchive, taken: Taken) -> None:
        raise asyncio.CancelledError

    patch.setattr(FileArchive, "take", stop)


@pytest.mark.parametrize("stopping", [stopped_after_writing, stopped_before_writing])
async def test_after_a_stop_it_goes_on_where_it_was_and_has_each_record_once(
    archiving: Archiving, stopping: Stopping, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [await archiving.ended(number=number) for number in range(5)]
    first = await archiving.all_read()
    assert {each.id for each in first} == {each.id for each in before}
    during = [await archiving.ended(number=number) for number in range(5, 9)]

    with monkeypatch.context() as patch:
        stopping(patch)
        async with archiving.open() as kept:
            await follower_ended()
            written = len(await records_of(kept.archive))
    assert written == (9 if stopping is stopped_after_writing else 5)

    after = [await archiving.ended(number=number) for number in range(9, 12)]
    async with archiving.open() as kept:
        await caught_up(kept)
        ids = [each.id for each in await records_of(kept.archive)]
        figures = await kept.archive.kept()

    assert sorted(ids) == sorted(each.id for each in (*before, *during, *after))
    assert (figures.records, figures.lost, figures.forged) == (12, 0, 0)


async def follower_ended() -> None:
    """Wait until what follows the feed has stopped."""
    async with asyncio.timeout(PATIENCE):
        while any(each.get_name() == "archive" for each in asyncio.all_tasks()):
            await asyncio.sleep(0)


async def test_bad_entries_are_counted_and_passed_over(archiving: Archiving) -> None:
    first = await archiving.ended(number=1)
    forged = encode(record(id="forged"), b"another key, of somebody else...")
    await archiving.fed.write("", "garbage", "1" * 40)
    await archiving.fed.store.client.xadd(archiving.fed.key, {"note": forged, "n": "x"})
    await archiving.fed.write("nobody has it", name="id")
    changed = await archiving.world.held()
    call = (await archiving.world.raw(changed))[b"call"]
    await archiving.world.forge(changed, st="expired", call=call.replace(b"bob", b"eve"))
    await archiving.fed.write(changed.id, name="id")
    last = await archiving.ended(number=2)

    async with archiving.open() as kept:
        await caught_up(kept)
        ids = {each.id for each in await records_of(kept.archive)}
        figures = await kept.archive.kept()

    assert ids == {first.id, last.id}
    assert (figures.forged, figures.lost, figures.stuck) == (5, 1, False)


@pytest.mark.parametrize("read", ["after each step", "at the end"])
async def test_a_call_that_the_store_ended_and_that_was_then_answered_is_on_record_as_that(
    archiving: Archiving, read: str
) -> None:
    world = archiving.world
    world.tool.free = asyncio.Event()
    asking = asyncio.ensure_future(world.ask(Level.ALLOW))
    await world.tool.busy.wait()
    (key,) = [each async for each in world.store.client.scan_iter(f"{world.store._prefix}:c:*")]
    name = key.decode().rpartition(":")[2]
    await world.store.client.hset(key, "deadline", "1")  # type: ignore[misc]
    assert await world.store.get(name) is not None  # looking ends it: its lease is over
    before = await archiving.all_read() if read == "after each step" else []

    world.tool.free.set()
    await asking
    await world.quiet()
    async with archiving.open() as kept:
        await caught_up(kept)
        (found,), figures = await records_of(kept.archive), await kept.archive.kept()

    assert [each.state for each in before] in ([], ["unknown"])
    assert (found.id, found.state, found.status) == (name, "answered", 200)
    assert (figures.forged, figures.lost) == (0, 0)


SPOILT = [
    ("feed", "*", {"id": "x", "n": "7-9999999999999999999"}),
    ("feed", "10000000000000000000-1", {"id": "x"}),
    ("feed", "18446744073709551615-18446744073709551615", {"note": "x"}),
    ("log", "18446744073709551615-18446744073709551615", {"id": "x"}),
]


@pytest.mark.parametrize(("stream", "name", "entry"), SPOILT)
async def test_one_entry_of_somebody_else_stops_neither_calls_nor_their_records(
    archiving: Archiving, stream: str, name: str, entry: dict[str, str]
) -> None:
    """Fault caught: the archive stands still for good, or spins; or no call can end any more."""
    before = await archiving.ended(number=1)
    async with archiving.open() as kept:
        await caught_up(kept)
        store = archiving.world.store
        await store.client.xadd(f"{store._prefix}:{stream}", entry, id=name)  # type: ignore[arg-type]
        await caught_up(kept)
        after = [
            await archiving.ended(number=2),
            await archiving.ended(Level.APPROVE, number=3),
            await archiving.ended(number=4),
        ]
        await caught_up(kept)
        have = {each.id: each.state for each in await records_of(kept.archive)}
        figures = await kept.archive.kept()

    assert have == {each.id: each.state.value for each in (before, *after)}
    assert not figures.stuck and figures.behind == 0 and figures.lost + figures.forged <= 2


async def test_what_policy_keeps_no_longer_is_dropped(archiving: Archiving) -> None:
    now = await archiving.world.store.now()
    old, lately = {"ended": now - 2 * DAY}, {"ended": now - 2 * HOUR}
    entries = [
        record(id="decided long ago", **old),
        record(id="decided lately", **lately),
        unreviewed(id="let through lately", **lately),
        unreviewed(id="drawn lately", drawn=True, share=0.5, **lately),
        unreviewed(id="let through just now", ended=now),
    ]
    notes = archiving.world.gate.notes
    for each in entries:
        await write(archiving.fed, notes.encode(each))

    async with archiving.open() as kept:
        await caught_up(kept)
        async with asyncio.timeout(PATIENCE):
            while (await kept.archive.kept()).records > 3:
                pass  # it asks the file each time
        found = await records_of(kept.archive)

    assert {each.id for each in found} == {
        "decided lately",
        "drawn lately",
        "let through just now",
    }


async def write(fed: Fed, entry: bytes) -> None:
    await fed.write(entry)  # type: ignore[arg-type]  # bytes go through as they are


async def test_metrics_hear_of_the_archive_and_of_what_is_learned_from_it(
    archiving: Archiving,
) -> None:
    await archiving.ended()
    async with archiving.open() as kept:
        async with asyncio.timeout(PATIENCE):
            while not archiving.told().get('interlock_calibration_fits_total{outcome="kept"}'):
                await kept.behind()
        await caught_up(kept)
        told = archiving.told()

    assert told["interlock_records_lag_seconds"] == 0
    assert told["interlock_archive_disk_free_bytes"] > 0


async def test_the_file_is_let_go_of_at_the_end(archiving: Archiving) -> None:
    call = await archiving.ended()
    await archiving.all_read()

    other = FileArchive(archiving.parts.config.data / FILE)
    assert [each.id for each in await records_of(other)] == [call.id]
    await other.close()
