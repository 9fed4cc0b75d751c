"""Following the feed: each record once, forged and dropped ones counted, errors outlived."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from interlock.core.errors import StoreUnavailable
from interlock.core.records import DecidedCall, pack, unpack
from interlock.learning_ports import Feed
from interlock.observe.archive import FileArchive
from interlock.observe.following import EVERY_MS, LONGEST_PAUSE, Following, Sources
from tests.support.records import DAY, NOON, record, unreviewed


def entry(record: DecidedCall) -> bytes:
    return json.dumps(pack(record)).encode()


class Unsealed:
    """Reads entries that carry no MAC."""

    def decode(self, entry: bytes) -> DecidedCall:
        try:
            return unpack(json.loads(entry))
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError from error


@dataclass
class Fed:
    """learning_ports.Records in memory; `fails` is raised instead of the next answers."""

    entries: list[bytes | str] = field(default_factory=list)  #: a text: an id
    dropped: int = 0
    documents: dict[str, bytes] = field(default_factory=dict)
    said: list[tuple[str, str]] = field(default_factory=list)
    fails: int = 0

    async def read(self, after: str, limit: int, wait_ms: int) -> Feed:
        self._perhaps_fail()
        at = int(after or "0")
        start = max(at, self.dropped)
        found = self.entries[start : start + limit]
        return Feed(
            entries=tuple(each for each in found if isinstance(each, bytes)),
            ended=tuple(each for each in found if isinstance(each, str)),
            next=str(start + len(found)) if found else after,
            lost=start - at if found else 0,
        )

    async def behind(self, after: str) -> int:
        return len(self.entries) - int(after or "0")

    async def archived(self, name: str, upto: str) -> None:
        self._perhaps_fail()
        self.said.append((name, upto))

    async def schemas(self, hashes: Sequence[str]) -> Mapping[str, bytes]:
        return {name: self.documents[name] for name in hashes if name in self.documents}

    def _perhaps_fail(self) -> None:
        if self.fails:
            self.fails -= 1
            raise StoreUnavailable("The store does not answer.")


@dataclass
class World:
    """A feed, an archive behind it, and calls that the store ended by itself."""

    archive: FileArchive
    fed: Fed = field(default_factory=Fed)
    ended: dict[str, DecidedCall] = field(default_factory=dict)
    now: int = NOON
    keep: tuple[int, int] = (400 * DAY, 30 * DAY)
    pauses: list[float] = field(default_factory=list)
    most: int = 3

    def following(self) -> Following:
        async def found(action_id: str) -> DecidedCall | None:
            return self.ended.get(action_id)

        async def now() -> int:
            return self.now

        async def pause(seconds: float) -> None:
            self.pauses.append(seconds)
            if len(self.pauses) == self.most:
                raise asyncio.CancelledError

        sources = Sources(
            records=self.fed, noting=Unsealed(), found=found, keep=lambda: self.keep, now=now
        )
        return Following(self.archive, sources, pause=pause)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    archive = FileArchive(tmp_path / "records.duckdb")
    yield World(archive)
    await archive.close()


async def test_records_are_taken_in_and_the_store_is_told_how_far(world: World) -> None:
    world.fed.entries = [entry(record(id=f"a{n}", ended=NOON)) for n in range(3)]

    assert await world.following().step() == 3
    assert await world.following().step() == 0

    kept, at = await world.archive.kept(), await world.archive.position()
    assert (kept.records, kept.lost, kept.forged) == (3, 0, 0)
    assert world.fed.said == [(at.name, "3")]


async def test_a_stop_between_the_archive_and_the_store_takes_nothing_in_twice(
    world: World,
) -> None:
    world.fed.entries = [entry(record(ended=NOON)), b"forged"]
    following = world.following()
    told = world.fed.archived

    async def stopped(name: str, upto: str) -> None:
        raise StoreUnavailable("stopped here")

    world.fed.archived = stopped  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable):
        await following.step()
    world.fed.archived = told  # type: ignore[method-assign]
    world.fed.entries.append(entry(record(id="a2", ended=NOON)))
    await world.following().step()

    kept = await world.archive.kept()
    assert (kept.records, kept.forged) == (2, 1)
    assert world.fed.said[-1][1] == "3"


async def test_forged_and_dropped_entries_are_counted_and_hold_nothing_up(world: World) -> None:
    forged = [b"", b"{}", b"[1]", b"\xff", json.dumps(pack(record()) | {"more": 1}).encode()]
    world.fed.entries = [b"gone", b"gone", *forged, entry(record(ended=NOON))]
    world.fed.dropped = 2

    await world.following().step()

    kept = await world.archive.kept()
    assert (kept.records, kept.lost, kept.forged) == (1, 2, len(forged))


async def test_calls_that_the_store_ended_are_read_there(world: World) -> None:
    lapsed = record(id="lapsed", state="expired", reviews=(), ended=NOON)
    world.ended = {"lapsed": lapsed}
    world.fed.entries = ["lapsed", "nobody has it any more"]

    await world.following().step()

    assert await world.archive.get("lapsed") == lapsed
    assert (await world.archive.kept()).lost == 1


async def test_a_schema_is_kept_with_the_first_record_that_names_it(world: World) -> None:
    document = b'{"type":"object"}'
    name, other = hashlib.sha256(document).hexdigest(), "f" * 64
    world.fed.documents = {name: document, other: b'{"not":"what it is called"}'}
    world.fed.entries = [
        entry(record(id="a1", schema=name, ended=NOON)),
        entry(record(id="a2", schema=other, ended=NOON)),
    ]

    await world.following().step()

    assert await world.archive.schemas([name, other]) == {name: {"type": "object"}}


async def test_what_policy_keeps_no_longer_is_dropped_every_hour(world: World) -> None:
    world.fed.entries = [entry(record(id="held", ended=NOON)), entry(unreviewed(ended=NOON))]
    following = world.following()
    await following.step()
    assert (await world.archive.kept()).records == 2

    world.keep = (DAY, 1)
    world.now += EVERY_MS - 1
    await following.step()
    assert (await world.archive.kept()).records == 2

    world.now += 1
    await following.step()
    assert (await world.archive.kept()).records == 1
    assert await world.archive.get("held") is not None


async def test_it_waits_longer_and_longer_for_a_store_that_is_down(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.fed.fails, world.most = 100, 9

    with pytest.raises(asyncio.CancelledError):
        await world.following().run()

    assert world.pauses[:3] == [1, 2, 4] and world.pauses[-1] == LONGEST_PAUSE
    assert caplog.text.count("The store does not answer.") == 1


async def test_it_says_how_far_behind_it_is_while_it_cannot_write(world: World) -> None:
    world.fed.entries = [entry(record(id=f"a{n}", ended=NOON)) for n in range(4)]
    following = world.following()
    await following.step()
    world.fed.entries += [entry(replace(record(ended=NOON), id="more"))] * 2

    assert await following.behind() == 2
    assert (await world.archive.kept()).behind == 2
