"""The outbox: nothing is lost, nothing is told twice while somebody tells it, nothing grows."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from interlock.people_ports import Entry, Room
from interlock.ports import Notice
from interlock.store.outbox import FORSAKEN, RedisOutbox
from interlock.store.redis import RedisStore

HOUR = 3_600_000


class Box:
    """An outbox, and what time does to it: the store's clock cannot be turned."""

    def __init__(self, store: RedisStore, **more: int) -> None:
        name = store._prefix.strip("{}")
        self.box, self.store = RedisOutbox(store.client, name, **more), store

    async def put(self, action: str, why: Notice = Notice.HELD, version: int = 1) -> bool:
        """Say whether it was taken."""
        return await self.box.put(action, version, why, ["ops"]) == ()

    async def claim(self, most: int = 10, digest_ms: int = 0, lease_ms: int = HOUR) -> list[Entry]:
        room = Room(channel="ops", most=most, digest_ms=digest_ms)
        return list(await self.box.claim([room], lease_ms))

    async def passes(self, entry: Entry) -> None:
        """Let the time come at which *entry* is due."""
        key = f"{self.store._prefix}:outbox:due:{entry.channel}"
        assert await self.store.client.zadd(key, {entry.id: 1}, xx=True) == 0


@pytest.fixture
def box(store: RedisStore) -> Box:
    return Box(store)


async def test_what_was_put_is_claimed_once_with_what_has_to_be_told(box: Box) -> None:
    assert await box.put("a1", Notice.ESCALATED, version=3)
    (entry,) = await box.claim()
    assert (entry.channel, entry.action, entry.version) == ("ops", "a1", 3)
    assert (entry.why, entry.tries) == (Notice.ESCALATED, 1)
    assert await box.claim() == []


async def test_a_claim_that_nobody_ends_is_due_again_after_its_lease(box: Box) -> None:
    await box.put("a1")
    (first,) = await box.claim()
    await box.passes(first)
    (second,) = await box.claim()
    assert second.id == first.id and second.tries == 2


async def test_who_lost_the_lease_ends_nothing(box: Box) -> None:
    await box.put("a1")
    (late,) = await box.claim()
    await box.passes(late)
    (current,) = await box.claim()
    await box.box.done(late)
    await box.box.bury(late, "too late")
    await box.box.again(late, 0, "too late")
    assert await box.box.counts() == (1, 0)
    await box.box.done(current)
    assert await box.box.counts() == (0, 0)


async def test_the_same_notice_waits_once_and_another_version_is_another(box: Box) -> None:
    assert await box.put("a1") and await box.put("a1")
    assert await box.put("a1", version=2) and await box.put("a1", Notice.REMINDER)
    assert len(await box.claim()) == 3


async def test_after_it_was_sent_the_same_notice_may_be_told_again(box: Box) -> None:
    await box.put("a1", Notice.REMINDER)
    (entry,) = await box.claim()
    await box.box.done(entry)
    await box.put("a1", Notice.REMINDER)
    (later,) = await box.claim()
    assert later.id != entry.id


async def test_a_failed_try_is_due_when_it_was_said(box: Box) -> None:
    await box.put("a1")
    (entry,) = await box.claim()
    await box.box.again(entry, HOUR, "503")
    (waiting,) = await box.box.waiting(10)
    assert waiting.failed == "503" and waiting.due > waiting.at + HOUR - 60_000
    assert await box.claim() == []
    await box.passes(entry)
    (again,) = await box.claim()
    assert again.tries == 2


async def test_dead_letters_are_kept_newest_first_and_no_more_than_so_many(
    store: RedisStore,
) -> None:
    box = Box(store, kept=2)
    for name in ("a1", "a2", "a3"):
        await box.put(name)
        (entry,) = await box.claim()
        await box.box.bury(entry, f"gone {name}")
    dead = await box.box.dead(10)
    assert [(each.action, each.failed) for each in dead] == [("a3", "gone a3"), ("a2", "gone a2")]
    assert all(each.died for each in dead)
    hashes = await store.client.keys(f"{store._prefix}:outbox:e:*")
    assert len(hashes) == 2


async def test_a_dead_letter_is_sent_again_with_all_tries_or_dropped(box: Box) -> None:
    for name in ("a1", "a2"):
        await box.put(name)
        (entry,) = await box.claim()
        await box.box.bury(entry, "410")
    second, first = await box.box.dead(10)
    assert await box.box.retry(first.id) and not await box.box.retry(first.id)
    assert await box.box.drop(second.id) and not await box.box.drop(second.id)
    (again,) = await box.claim()
    assert (again.action, again.tries, again.id) == ("a1", 1, first.id)
    assert await box.box.counts() == (1, 0)


async def test_reminders_are_refused_first_where_too_many_wait(store: RedisStore) -> None:
    box = Box(store, most=10)
    for number in range(9):
        assert await box.put(f"a{number}")
    assert not await box.put("b", Notice.REMINDER)
    assert await box.put("c")
    assert not await box.put("d")
    assert await box.put("a0"), "what waits already needs no room"


async def test_each_channel_has_entries_of_its_own(box: Box) -> None:
    await box.box.put("a1", 1, Notice.HELD, ["ops", "other"])
    (entry,) = await box.claim()
    await box.box.done(entry)
    (other,) = await box.box.claim([Room(channel="other", most=5)], HOUR)
    assert other.channel == "other"


async def test_a_digest_waits_for_its_window_and_names_each_call_once(box: Box) -> None:
    for name in ("a1", "a2", "a1"):
        await box.box.collect(name, ["ops"])
    assert await box.claim(digest_ms=HOUR) == []
    (entry,) = await box.claim(digest_ms=0)
    assert entry.why is None and entry.calls == ("a1", "a2") and entry.more == 0
    assert 0 < entry.since <= entry.at
    assert await box.claim(digest_ms=0) == []


async def test_a_digest_of_very_many_counts_those_that_it_does_not_name(box: Box) -> None:
    for number in range(130):
        await box.box.collect(f"a{number:03}", ["ops"])
    (entry,) = await box.claim(digest_ms=0)
    assert len(entry.calls) == 100 and entry.more == 30


async def test_what_no_channel_serves_dies_in_the_end(box: Box) -> None:
    await box.put("a1")
    assert await box.box.forsaken(["ops"], 0) == 0
    assert await box.box.forsaken(["other"], HOUR) == 0
    assert await box.box.forsaken(["other"], -1) == 1
    (dead,) = await box.box.dead(10)
    assert dead.failed == FORSAKEN


async def test_nothing_of_a_damaged_entry_stops_the_others(box: Box, store: RedisStore) -> None:
    await box.put("a1")
    await box.put("a2")
    first = min(await box.box.waiting(10), key=lambda each: each.action)
    await store.client.delete(f"{store._prefix}:outbox:e:{first.id}")
    assert [each.action for each in await box.box.waiting(10)] == ["a2"]
    assert [each.action for each in await box.claim()] == ["a2"]


@pytest.mark.parametrize("field", ["notice", "version", "calls", "channel"])
async def test_an_entry_that_nobody_can_read_takes_no_room(
    box: Box, store: RedisStore, field: str
) -> None:
    await box.put("a1")
    (entry,) = await box.box.waiting(10)
    name = f"{store._prefix}:outbox:e:{entry.id}"
    if field == "channel":
        await store.client.hdel(name, field)  # type: ignore[misc]
    else:
        await store.client.hset(name, field, b"\xff")  # type: ignore[misc]
    assert await box.box.waiting(10) == ()
    assert await box.claim(most=1) == []
    await box.put("a2")
    assert [each.action for each in await box.claim(most=1)] == ["a2"]
    assert await box.box.counts() == (1, 0)


# a model ------------------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "claim", "done", "again", "bury", "passes", "retry", "drop"]),
        st.integers(0, 3),
    ),
    max_size=40,
)
"""What happens, and to which of four calls."""


class Model:
    """What the outbox says that it does, in the plainest way."""

    def __init__(self) -> None:
        self.due: set[str] = set()
        self.leased: dict[str, int] = {}  #: -> tries of who has it
        self.dead: set[str] = set()
        self.tries: dict[str, int] = {}

    @property
    def waits(self) -> set[str]:
        return self.due | self.leased.keys()


async def test_any_order_of_what_may_happen_is_what_the_model_says(store: RedisStore) -> None:
    """Hypothesis cannot run coroutines: it is asked for examples, each on a fresh outbox."""
    for number, steps in enumerate(_examples(100)):
        box = Box(store)
        box.box._prefix = f"{{{store._prefix.strip('{}')}-{number}}}"
        await _Play(box, store, box.box._prefix).run(steps)


def _examples(most: int) -> list[list[tuple[str, int]]]:
    found: list[list[tuple[str, int]]] = []

    @settings(
        max_examples=most,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(STEPS)
    def collect(steps: list[tuple[str, int]]) -> None:
        found.append(steps)

    collect()
    return found


class _Play:
    def __init__(self, box: Box, store: RedisStore, prefix: str) -> None:
        self.box, self.store, self.prefix, self.model = box, store, prefix, Model()
        self.held: dict[str, Entry] = {}  #: the latest claim of each call
        self.buried: dict[str, str] = {}  #: call -> dead entry

    async def run(self, steps: Sequence[tuple[str, int]]) -> None:
        for what, number in steps:
            await getattr(self, what)(f"a{number}")
            counts = await self.box.box.counts()
            assert counts == (len(self.model.waits), len(self.model.dead)), (what, number)

    async def put(self, name: str) -> None:
        if name in self.model.dead:  # a second entry of the same call: beyond this model
            return
        await self.box.put(name)
        if name not in self.model.waits:
            self.model.due.add(name)
            self.model.tries[name] = 0

    async def claim(self, name: str) -> None:
        for entry in await self.box.claim():
            assert entry.action in self.model.due
            self.model.tries[entry.action] += 1
            assert entry.tries == self.model.tries[entry.action]
            self.held[entry.action] = entry
            self.model.leased[entry.action] = entry.tries
            self.model.due.discard(entry.action)
        assert not self.model.due

    def _has(self, name: str) -> bool:
        """Whether the latest claim of *name* is still the one that counts."""
        return name in self.held and name in self.model.waits

    async def done(self, name: str) -> None:
        if name in self.held and name not in self.model.dead:
            await self.box.box.done(self.held[name])
            if self._current(name):
                self._gone(name)

    async def again(self, name: str) -> None:
        if name in self.held and name not in self.model.dead:
            await self.box.box.again(self.held[name], HOUR, "later")

    async def bury(self, name: str) -> None:
        if name in self.held and name not in self.model.dead:
            await self.box.box.bury(self.held[name], "no")
            if self._current(name):
                self.buried[name] = self.held[name].id
                self._gone(name)
                self.model.dead.add(name)

    async def passes(self, name: str) -> None:
        if name in self.model.leased:
            key = f"{self.prefix}:outbox:due:ops"
            await self.store.client.zadd(key, {self.held[name].id: 1}, xx=True)
            del self.model.leased[name]
            self.model.due.add(name)

    async def retry(self, name: str) -> None:
        if name in self.model.dead:
            assert await self.box.box.retry(self.buried[name])
            self.model.dead.discard(name)
            self.model.due.add(name)
            self.model.tries[name] = 0
            self.held.pop(name, None)

    async def drop(self, name: str) -> None:
        entry = self.buried.get(name) if name in self.model.dead else None
        if entry is None and self._has(name):
            entry = self.held[name].id
        if entry is not None:
            assert await self.box.box.drop(entry)
            self.model.dead.discard(name)
            self._gone(name)

    def _current(self, name: str) -> bool:
        """Whether nobody claimed it since: a lease that has passed alone takes nothing away."""
        return name in self.model.waits and self.held[name].tries == self.model.tries[name]

    def _gone(self, name: str) -> None:
        self.model.leased.pop(name, None)
        self.model.due.discard(name)
        self.held.pop(name, None)
