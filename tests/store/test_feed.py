"""The feed of decided calls: what is in it, what was dropped, and who has read how far."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from interlock.store.feed import FORGOTTEN, RedisFeed
from interlock.store.lua import packed, source
from interlock.store.redis import RedisStore

FEEDING = "\nfor i = 2, #ARGV do feed(ARGV[1], ARGV[i]) end return {}"


class Fed:
    """A feed, and what a test does to it in a line."""

    def __init__(self, store: RedisStore) -> None:
        self.store = store
        self.feed = RedisFeed(store.url, store._prefix.strip("{}"))
        self.key = f"{store._prefix}:feed"

    async def write(self, *notes: str, name: str = "note") -> None:
        text = source("get").partition("-- Read actions whole")[0] + FEEDING
        await self.store.client.eval(text, 1, self.store._prefix, name, *notes)  # type: ignore[misc]

    async def epoch(self) -> str:
        found: Any = await self.store.client.get(f"{self.key}:epoch")
        return (found or b"").decode()

    async def ids(self) -> list[str]:
        rows: Any = await self.store.client.xrange(self.key)
        return [name.decode() for name, _ in rows]

    async def length(self) -> int:
        return int(await self.store.client.xlen(self.key))


@pytest.fixture
async def fed(store: RedisStore) -> AsyncIterator[Fed]:
    fed = Fed(store)
    yield fed
    await fed.feed.close()


async def test_entries_are_read_in_order_and_read_on_where_reading_ended(fed: Fed) -> None:
    await fed.write("one", "two", "three")

    first = await fed.feed.read("", 2, 0)
    rest = await fed.feed.read(first.next, 10, 0)

    assert first.entries == (b"one", b"two")
    assert rest.entries == (b"three",)
    assert first.lost == rest.lost == 0


async def test_it_is_known_when_the_first_entry_that_was_not_read_came(fed: Fed) -> None:
    assert await fed.feed.oldest("") == 0
    await fed.write("one", "two")
    first, second = [int(each.partition("-")[0]) for each in await fed.ids()]
    assert await fed.feed.oldest("") == first

    place = (await fed.feed.read("", 1, 0)).next
    assert await fed.feed.oldest(place) == second
    assert await fed.feed.oldest((await fed.feed.read(place, 1, 0)).next) == 0


async def test_a_call_that_the_store_ended_by_itself_comes_as_its_id(fed: Fed) -> None:
    await fed.write("a1", name="id")
    found = await fed.feed.read("", 10, 0)
    assert found.ended == ("a1",)
    assert found.entries == ()


async def test_nothing_new_leaves_the_place_where_it_was(fed: Fed) -> None:
    assert (await fed.feed.read("", 10, 0)).next == ""
    await fed.write("one")
    place = (await fed.feed.read("", 10, 0)).next
    assert (await fed.feed.read(place, 10, 10)).next == place


async def test_what_was_dropped_before_it_was_read_is_counted(fed: Fed) -> None:
    await fed.write(*"abcdefgh")
    place = (await fed.feed.read("", 2, 0)).next
    await fed.store.client.xtrim(fed.key, maxlen=3, approximate=False)

    found = await fed.feed.read(place, 10, 0)

    assert found.entries == (b"f", b"g", b"h")
    assert found.lost == 3


async def test_an_entry_that_somebody_took_out_of_the_middle_is_counted(fed: Fed) -> None:
    await fed.write(*"abcd")
    names = await fed.ids()
    await fed.store.client.xdel(fed.key, names[1], names[2])

    found = await fed.feed.read("", 10, 0)

    assert found.entries == (b"a", b"d")
    assert found.lost == 2


async def test_the_first_entries_count_as_lost_for_an_archive_that_begins_late(fed: Fed) -> None:
    await fed.write(*"abcd")
    await fed.store.client.xtrim(fed.key, maxlen=1, approximate=False)
    assert (await fed.feed.read("", 10, 0)).lost == 3


async def test_a_store_that_lost_its_data_is_read_from_its_new_beginning(fed: Fed) -> None:
    await fed.write("a", "b")
    place = (await fed.feed.read("", 10, 0)).next
    await fed.store.client.delete(
        fed.key, *(f"{fed.key}:{each}" for each in ("epoch", "n", "bytes"))
    )
    await fed.write("c")

    found = await fed.feed.read(place, 10, 0)

    assert found.entries == (b"c",)


async def test_a_store_that_lost_its_latest_entries_is_read_on_all_the_same(fed: Fed) -> None:
    await fed.write(*"abcde")
    place = (await fed.feed.read("", 10, 0)).next
    for name in (await fed.ids())[3:]:  # a crash: `d` and `e` were never written to disk
        await fed.store.client.xdel(fed.key, name)
    await fed.store.client.set(f"{fed.key}:n", 3)

    await fed.write("f")
    found = await fed.feed.read(place, 10, 0)
    await fed.write("g")
    after = await fed.feed.read(found.next, 10, 0)

    assert (found.entries, found.lost) == ((b"f",), 0)
    assert (after.entries, after.lost) == ((b"g",), 0)


async def test_what_somebody_put_into_the_feed_is_read_as_what_it_is(fed: Fed) -> None:
    await fed.write("a")
    await fed.store.client.xadd(fed.key, {"note": "forged", "n": "x"})
    await fed.store.client.xadd(fed.key, {"other": "thing"})
    await fed.write("b")

    found = await fed.feed.read("", 10, 0)

    assert found.entries == (b"a", b"forged", b"", b"b")
    assert found.lost == 0


async def test_behind_counts_what_was_not_read_yet(fed: Fed) -> None:
    assert await fed.feed.behind("") == 0
    await fed.write("a", "b", "c")
    place = (await fed.feed.read("", 1, 0)).next
    assert await fed.feed.behind("") == 3
    assert await fed.feed.behind(place) == 2


async def test_what_every_archive_has_is_dropped(fed: Fed) -> None:
    await fed.write(*"abcdef")
    names = await fed.ids()

    await fed.feed.archived("slow", f"{names[1]},1-2")
    await fed.feed.archived("fast", f"{names[4]},1-5")

    assert await fed.ids() == names[2:]
    await fed.feed.archived("slow", f"{names[5]},1-6")
    assert await fed.ids() == names[5:]


async def test_an_archive_that_is_not_heard_of_for_a_week_holds_up_nothing(fed: Fed) -> None:
    await fed.write(*"abcd")
    names = await fed.ids()
    await fed.feed.archived("gone", f"{names[0]},1-1")
    now = await fed.store.now()
    said = f"{names[0]} {now - FORGOTTEN - 1000}"
    await fed.store.client.hset(f"{fed.key}:archives", "gone", said)  # type: ignore[misc]

    await fed.feed.archived("here", f"{names[2]},1-3")

    assert await fed.ids() == names[3:]


async def test_what_was_dropped_as_read_is_no_loss(fed: Fed) -> None:
    await fed.write(*"abcd")
    place = (await fed.feed.read("", 10, 0)).next
    await fed.feed.archived("here", place)
    assert await fed.length() == 0
    await fed.write("e")

    found = await fed.feed.read(place, 10, 0)

    assert found.entries == (b"e",)
    assert found.lost == 0


@pytest.mark.parametrize("name", ["", "two words", "x" * 129])
async def test_an_archive_has_a_name_that_can_be_written_down(fed: Fed, name: str) -> None:
    with pytest.raises(ValueError, match="named by"):
        await fed.feed.archived(name, "1-1")


async def test_a_place_that_is_none_of_ours_reads_from_the_start(fed: Fed) -> None:
    await fed.write("a")
    assert (await fed.feed.read("now() or 1", 10, 0)).entries == (b"a",)


async def test_schemas_are_told_as_far_as_they_are_kept(fed: Fed) -> None:
    await fed.store.client.hset(f"{fed.store._prefix}:schemas", "ab", "{}")  # type: ignore[misc]
    assert await fed.feed.schemas(["ab", "cd"]) == {"ab": b"{}"}
    assert await fed.feed.schemas([]) == {}


async def test_the_feed_is_bounded_in_bytes(fed: Fed) -> None:
    await fed.write(*("x" for _ in range(20)))
    await fed.store.client.set(f"{fed.key}:bytes", 2**28)
    await fed.write("y")

    assert await fed.length() == 18
    found = await fed.feed.read("", 100, 0)
    assert found.lost == 3
    assert int(await fed.store.client.get(f"{fed.key}:bytes") or 0) < 2**28


# what somebody who can write to the store puts into it -------------------------------------------

LAST = "18446744073709551615-18446744073709551615"  #: behind which no entry can be
FAR = "10000000000000000000-1"
SOON = "4102444800000-7"  #: in the year 2100


async def all_of(fed: Fed, place: str = "") -> tuple[list[bytes], int, str]:
    """Read on from *place* until nothing follows; return notes, how many were lost, and where."""
    notes: list[bytes] = []
    lost = 0
    for _ in range(20):
        found = await fed.feed.read(place, 10, 0)
        notes += found.entries
        lost += found.lost
        if not found.entries and not found.ended:
            return notes, lost, found.next
        assert found.next != place, "the same again, for ever"
        place = found.next
    raise AssertionError(f"it never ends: {place}")


@pytest.mark.parametrize(
    "number", ["7-9999999999999999999", "{epoch}-9999999999999999", "{epoch}-900", "7-2", "-", ""]
)
async def test_a_number_that_the_store_has_not_come_to_counts_nothing(
    fed: Fed, number: str
) -> None:
    """Fault caught: one entry has a loss counted that no column holds, at every try again."""
    await fed.write("a", "b")
    said = number.format(epoch=await fed.epoch())
    await fed.store.client.xadd(fed.key, {"note": "x", "n": said})
    await fed.write("c")

    notes, lost, _ = await all_of(fed)

    assert (notes, lost) == ([b"a", b"b", b"x", b"c"], 0)


async def test_what_is_counted_as_lost_in_a_read_has_a_bound(fed: Fed) -> None:
    await fed.write("a")
    for number in (9 * 10**15, 1, 9 * 10**15):
        said = f"{await fed.epoch()}-{number}"
        await fed.store.client.xadd(fed.key, {"note": "x", "n": said})
    await fed.store.client.set(f"{fed.key}:n", 9 * 10**15)

    assert (await fed.feed.read("", 10, 0)).lost == 2**53


@pytest.mark.parametrize("name", [LAST, FAR, SOON])
@pytest.mark.parametrize("read_first", ["read", "read and dropped", "not read"])
async def test_an_entry_of_a_time_to_come_keeps_no_later_one_from_being_read(
    fed: Fed, name: str, read_first: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Fault caught: it is read again and again, or none that follows is written or read."""
    await fed.write("a", "b")
    (_, _, place) = await all_of(fed)
    await fed.store.client.xadd(fed.key, {"note": "x"}, id=name)
    if read_first != "not read":
        notes, _, place = await all_of(fed, place)
        assert notes == [b"x"]
    if read_first == "read and dropped":
        await fed.feed.archived("here", place)
    assert await fed.feed.oldest(place) >= 0
    await fed.write("c", "d")

    notes, lost, place = await all_of(fed, place)
    assert [each for each in notes if each in (b"c", b"d")] == [b"c", b"d"]
    assert lost == 0
    await fed.feed.archived("here", place)
    await fed.write("e")
    assert (await all_of(fed, place))[:2] == ([b"e"], 0)
    now = await fed.store.now()
    assert all(int(each.partition("-")[0]) <= now for each in await fed.ids())
    assert caplog.text.count("was begun anew") == (read_first != "not read")


async def test_what_waits_in_a_feed_that_is_begun_anew_is_still_read(fed: Fed) -> None:
    await fed.write(*"ab")
    await fed.store.client.xadd(fed.key, {"note": "x"}, id=LAST)
    await fed.write(*"cd")

    notes, lost, _ = await all_of(fed)

    assert sorted(notes) == [b"a", b"b", b"c", b"d", b"x"]
    assert lost == 0


@pytest.mark.parametrize(
    "damage",
    [
        ("SET", "", "no stream"),
        ("SET", ":n", "many"),
        ("SET", ":n", str(2**63 - 1)),
        ("SET", ":n", "-9"),
        ("SET", ":epoch", "x"),
        ("SET", ":epoch", "9" * 40),
        ("SET", ":bytes", "x"),
        ("HSET", ":n", "a", "b"),
        ("HSET", ":epoch", "a", "b"),
        ("SET", ":archives", "x"),
    ],
)
async def test_whatever_is_made_of_the_feed_it_goes_on(fed: Fed, damage: tuple[str, ...]) -> None:
    """Fault caught: no transition can be written any more that leaves a record."""
    await fed.write("a")
    (_, _, place) = await all_of(fed)
    command, kind, *rest = damage
    await fed.store.client.delete(f"{fed.key}{kind}")
    await fed.store.client.execute_command(command, f"{fed.key}{kind}", *rest)  # type: ignore[no-untyped-call]

    await fed.write("b", "c")

    notes, lost, place = await all_of(fed, place)
    assert (notes[-2:], lost) == ([b"b", b"c"], 0)
    await fed.feed.archived("here", place)
    assert await fed.length() == 0
    assert await fed.feed.behind(place) == 0


def test_operations_are_framed_so_that_a_note_may_hold_any_byte() -> None:
    assert packed(b"\0\n{}") == b"\0\0\0\x04\0\n{}"
