"""Following the feed: each record once, forged and dropped ones counted, errors outlived."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from interlock.core.errors import StoreUnavailable
from interlock.core.records import Audited, DecidedCall, Turned, pack, unpack
from interlock.learning_ports import Feed
from interlock.noting import with_audit
from interlock.noting_entries import only_told
from interlock.observe.archive import FileArchive
from interlock.observe.following import (
    EVERY_MS,
    LONGEST_PAUSE,
    MOVED_ON,
    UNVERIFIED,
    Following,
    Sources,
    Without,
)
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
    written: int = NOON  #: when its entries were, ms

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
        self._perhaps_fail()
        return len(self.entries) - int(after or "0")

    async def oldest(self, after: str) -> int:
        return self.written if len(self.entries) > int(after or "0") else 0

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
    ended: dict[str, DecidedCall | Without] = field(default_factory=dict)
    now: int = NOON
    keep: tuple[int, int] = (400 * DAY, 30 * DAY)
    pauses: list[float] = field(default_factory=list)
    most: int = 3

    def following(self) -> Following:
        async def found(action_id: str) -> DecidedCall | Without | None:
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


async def test_entries_are_decoded_in_another_thread_than_that_of_calls(world: World) -> None:
    """Fault caught: an archive that catches up holds up every call that comes meanwhile."""
    world.fed.entries = [entry(record(ended=NOON)), b"forged"]
    following, here = world.following(), set[str]()

    sys.setprofile(lambda frame, event, arg: here.add(frame.f_code.co_name))
    try:
        assert await following.step() == 1
    finally:
        sys.setprofile(None)

    assert "step" in here  # it did watch
    assert here.isdisjoint({"decode", "unpack", "row_of"})


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


async def test_a_feed_that_says_the_same_for_ever_is_asked_less_and_less_often(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Fault caught: it is read from the start hundreds of times a second, and counted each time."""
    asked = 0

    async def read(after: str, limit: int, wait_ms: int) -> Feed:
        nonlocal asked
        asked += 1
        return Feed(entries=(b"forged",), ended=(), next="0", lost=0)

    world.fed.read = read  # type: ignore[method-assign]
    world.most = 5

    with pytest.raises(asyncio.CancelledError):
        await world.following().run()

    assert asked == 6 and world.pauses == [1, 2, 4, 8, 16]
    assert caplog.text.count("cannot be read on") == 1
    assert (await world.archive.kept()).forged == 1


async def test_it_says_how_far_behind_it_is_while_it_cannot_write(world: World) -> None:
    world.fed.entries = [entry(record(id=f"a{n}", ended=NOON)) for n in range(4)]
    following = world.following()
    await following.step()
    world.fed.entries += [entry(replace(record(ended=NOON), id="more"))] * 2

    assert await following.behind() == 2
    assert (await world.archive.kept()).behind == 2


async def test_it_says_for_how_long_the_oldest_record_has_waited(world: World) -> None:
    world.fed.entries = [entry(record(ended=NOON))]
    following = world.following()
    assert following.lag is None
    await following.step()
    assert following.lag == 0

    world.fed.entries.append(entry(record(id="a2", ended=NOON)))
    world.now = NOON + 90_000
    await following.behind()
    assert following.lag == 90

    world.fed.fails = 1
    with pytest.raises(StoreUnavailable):
        await following.behind()
    assert following.lag is None  # nobody knows: no old figure
    await following.step()
    assert following.lag == 0


async def test_a_record_that_cannot_be_kept_holds_up_no_other(world: World) -> None:
    """Not even one whose numbers no column holds, as who writes to the store can have made it."""
    good = [entry(record(id=f"a{n}", ended=NOON)) for n in range(2)]
    large = entry(replace(record(id="large", ended=NOON), version=3_000_000_000))
    text = entry(replace(record(id="text", ended=NOON), version="many"))  # type: ignore[arg-type]
    world.fed.entries = [good[0], large, text, good[1]]
    following = world.following()

    await following.step()
    world.fed.entries.append(entry(record(id="later", ended=NOON)))
    await following.step()

    kept = await world.archive.kept()
    assert (kept.records, kept.forged, kept.stuck) == (3, 2, False)
    assert (await world.archive.position()).upto == "5"


async def test_what_cannot_be_written_at_all_is_tried_again_and_said(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.fed.entries = [entry(record(ended=NOON))]
    world.most, following = 1, world.following()
    full = StoreUnavailable("There is no space left.")

    async def take(taken: object) -> None:
        raise full

    monkeypatch.setattr(world.archive, "take", take)
    with pytest.raises(asyncio.CancelledError):
        await following.run()
    stuck = await world.archive.kept()
    monkeypatch.undo()
    world.pauses.clear()
    await following.step()

    assert stuck.stuck and (stuck.records, stuck.forged, stuck.lost) == (0, 0, 0)
    assert (await world.archive.kept()).records == 1


async def test_a_call_that_cannot_be_believed_is_counted_and_not_recorded(world: World) -> None:
    world.ended = {"forged": UNVERIFIED}
    world.fed.entries = ["forged", entry(record(id="a", ended=NOON))]

    await world.following().step()

    kept = await world.archive.kept()
    assert (kept.records, kept.forged, kept.lost) == (1, 1, 0)


async def test_a_call_that_did_not_stay_as_the_store_ended_it_is_neither_lost_nor_forged(
    world: World,
) -> None:
    world.ended = {"answered": MOVED_ON}
    world.fed.entries = ["answered", entry(record(id="a", ended=NOON))]

    await world.following().step()

    kept = await world.archive.kept()
    assert (kept.records, kept.forged, kept.lost) == (1, 0, 0)


async def test_what_is_told_of_a_call_is_added_to_its_record_and_nothing_else(
    world: World,
) -> None:
    true = record(id="a", ended=NOON, version=5)
    audit = Audited(who="r-0123456789ab", turned=Turned.WRONG, at=NOON)
    told = with_audit(only_told("a", 5, None), audit)
    stray = with_audit(only_told("nobody has it", 5, None), audit)
    world.fed.entries = [entry(true), entry(told), entry(stray)]

    await world.following().step()

    assert await world.archive.get("a") == replace(true, told=1, audit=audit)
    kept = await world.archive.kept()
    assert (kept.records, kept.lost) == (1, 1)


async def test_an_outcome_that_was_settled_changes_no_other_fact(world: World) -> None:
    true = record(id="a", ended=NOON, version=5, state="unknown", agent="bot")
    settled = replace(
        true, version=6, state="resolved", cause="seen", agent="other", ended=NOON + 1
    )
    world.fed.entries = [entry(true), entry(settled)]

    await world.following().step()

    assert await world.archive.get("a") == replace(settled, agent="bot")


async def test_what_the_store_says_takes_the_place_of_no_record(world: World) -> None:
    true = record(id="a", ended=NOON, version=5)
    world.ended = {"a": replace(true, version=0, state="expired", reviews=())}
    world.fed.entries = ["a", entry(true), "a"]

    await world.following().step()

    assert await world.archive.get("a") == true


async def test_a_file_that_was_taken_away_is_begun_anew_from_the_feed(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world.fed.entries = [entry(record(id=f"a{n}", ended=NOON)) for n in range(2)]
    following = world.following()
    await following.step()
    first = (await world.archive.position()).name

    (tmp_path / "records.duckdb").unlink()
    await following.step()

    assert (await world.archive.kept()).records == 2
    assert (await world.archive.position()).name != first
    assert (tmp_path / "records.duckdb").exists()
    assert caplog.text.count("was taken away or replaced") == 1


async def test_an_archive_made_anew_says_once_what_it_lacks(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.fed.entries = [b"gone", entry(record(ended=NOON))]
    world.fed.dropped = 1

    await world.following().step()
    world.fed.entries.append(entry(record(id="next", ended=NOON)))
    await world.following().step()

    assert caplog.text.count("a new archive was made; earlier decided calls are not in it") == 1
