"""What stands in the archive once it is there, whatever somebody put back into the store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.records import DecidedCall, Reported, Turned
from interlock.core.reporting import MOST, heard, together
from interlock.noting_entries import only_told
from interlock.observe.archive import MOST_COUNTED, FileArchive, Taken
from interlock.observe.archive_merging import merged
from tests.support.records import DAY, NOON, audited, record, records, reported, said, unreviewed

ENDED = record(version=4, state="rejected", reviews=(said("reject"),), status=0)
AGAIN = replace(ENDED, version=6, state="answered", reviews=(said(who="r-b0b"),), status=200)


class Kept:
    """An archive, and what it makes of entries that come one after the other."""

    def __init__(self, archive: FileArchive) -> None:
        self.archive = archive

    async def after(self, *entries: DecidedCall) -> DecidedCall | None:
        for each in entries:
            await self.archive.take(Taken(records=(each,), upto="1", schemas={}))
        return await self.archive.get("a1")

    async def forged(self) -> int:
        return (await self.archive.kept()).forged


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Kept]:
    archive = FileArchive(tmp_path / "records.duckdb")
    yield Kept(archive)
    await archive.close()


def told(number: int, **what: object) -> DecidedCall:
    """Return an entry that was made by somebody to whom *number* - 1 was known."""
    return replace(only_told("a1", 4, None), told=number, **what)  # type: ignore[arg-type]


async def test_an_auditors_verdict_is_erased_by_no_later_report(
    kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    """Fault caught: what was told is taken out of the store, and two reports later of the record"""
    drawn = unreviewed(drawn=True, share=0.5)
    verdict = audited(Turned.WRONG)
    first = reported(Turned.RIGHT, at=NOON + 2 * DAY)
    second = replace(first, at=NOON + 3 * DAY, changed=1)

    after = await kept.after(
        drawn, told(1, audit=verdict), told(1, reports=(first,)), told(2, reports=(second,))
    )

    assert after == replace(drawn, told=2, audit=verdict, reports=(second,))
    assert await kept.forged() == 2
    assert "took back what was said of them: a1." in caplog.text


async def test_a_persons_report_is_erased_by_nobody_elses(kept: Kept) -> None:
    ann, bob = reported(by="r-ann"), reported(Turned.RIGHT, by="r-bob", at=NOON + 2 * DAY)

    after = await kept.after(record(), told(1, reports=(ann,)), told(1, reports=(bob,)))

    assert after is not None and after.reports == (ann, bob)
    assert await kept.forged() == 1


async def test_a_second_verdict_takes_the_place_of_none(kept: Kept) -> None:
    first, second = audited(Turned.WRONG), audited(Turned.RIGHT, who="r-other", at=NOON + 2 * DAY)

    after = await kept.after(unreviewed(), told(1, audit=first), told(2, audit=second))

    assert after is not None and after.audit == first
    assert await kept.forged() == 1


async def test_what_is_said_one_after_the_other_is_nothing_strange(kept: Kept) -> None:
    one = reported(Turned.RIGHT, by="r-ann")
    other = reported(Turned.WRONG, by="agent", at=NOON + 2 * DAY)
    changed = replace(one, turned=Turned.WRONG, at=NOON + 3 * DAY, changed=1)
    audit = audited()

    after = await kept.after(
        record(),
        told(1, reports=(one,)),
        told(2, reports=(one, other)),
        told(3, reports=(one, other), audit=audit),
        told(4, reports=(other, changed), audit=audit),
        told(2, reports=(one, other)),  # read twice
    )

    assert after == record(told=4, audit=audit, reports=(other, changed))
    assert await kept.forged() == 0


@pytest.mark.parametrize("again", [AGAIN, replace(AGAIN, version=3), replace(AGAIN, version=4)])
async def test_a_rejection_is_replaced_by_nothing(
    kept: Kept, again: DecidedCall, caplog: pytest.LogCaptureFixture
) -> None:
    """Fault caught: a call is put back, approved by a colleague, and was never rejected."""
    assert await kept.after(ENDED, again) == ENDED
    assert await kept.forged() == 1
    assert "somebody put calls back in the store that had ended" in caplog.text


async def test_a_rejection_is_not_replaced_within_a_batch_either(kept: Kept) -> None:
    await kept.archive.take(Taken(records=(ENDED, AGAIN), upto="1", schemas={}))

    assert await kept.archive.get("a1") == ENDED
    assert await kept.forged() == 1


@pytest.mark.parametrize("end", ["answered", "resolved"])
async def test_an_unknown_outcome_is_settled_and_nothing_else_changes(kept: Kept, end: str) -> None:
    lost = record(state="unknown", status=0)
    settled = replace(lost, version=5, state=end, status=200, ended=NOON + DAY, cause="seen")
    assert await kept.after(lost, replace(settled, agent="other", reviews=())) == settled
    assert await kept.forged() == 0


async def test_an_unknown_outcome_that_was_rejected_afterwards_is_still_unknown(kept: Kept) -> None:
    lost = record(state="unknown")
    assert await kept.after(lost, replace(lost, version=6, state="rejected")) == lost
    assert await kept.forged() == 1


async def test_the_stores_word_gives_way_to_a_record_and_what_was_told_stays(kept: Kept) -> None:
    lapsed = record(version=0, state="unknown", reviews=())
    report = reported()

    after = await kept.after(lapsed, told(1, reports=(report,)), record(), lapsed)

    assert after == record(told=1, reports=(report,))
    assert await kept.forged() == 0


ENDS = st.sampled_from(("answered", "rejected", "denied", "expired", "cancelled"))


@given(st.lists(records(id=st.just("a"), state=ENDS), min_size=1, max_size=5))
def test_of_all_records_that_say_how_a_call_ended_the_first_one_stays(
    entries: list[DecidedCall],
) -> None:
    after = merged({}, entries).changed["a"]

    first = entries[0]
    assert replace(first, told=after.told, audit=after.audit, reports=after.reports) == after
    assert after.told == max(each.told for each in entries)
    verdicts = [each.audit for each in entries if each.audit is not None]
    assert after.audit == (verdicts[0] if verdicts else None)


SPOKEN = st.lists(
    st.tuples(st.sampled_from(("agent", *(f"r-{n}" for n in range(9)))), st.sampled_from(Turned)),
    max_size=14,
)


@given(SPOKEN)
def test_reports_that_come_in_order_are_kept_as_the_store_keeps_them(
    spoken: list[tuple[str, Turned]],
) -> None:
    """With what is known already, each new word makes of it what it would make alone."""
    store: tuple[Reported, ...] = ()
    archive = store
    for at, (by, turned) in enumerate(spoken):
        after = heard(store, reported(turned, by=by, at=NOON + at))
        if after is None:
            continue
        store = after
        archive = together(archive, store)
        assert archive == store


@given(SPOKEN, SPOKEN)
def test_of_two_pasts_each_reporters_word_stays_as_far_as_there_is_room(
    one: list[tuple[str, Turned]], other: list[tuple[str, Turned]]
) -> None:
    past = [
        tuple(
            reported(turned, by=by, at=NOON + at)
            for at, (by, turned) in enumerate(dict(spoken).items())
        )[:MOST]
        for spoken in (one, other)
    ]
    kept = together(*past)

    names = {each.by for each in (*past[0], *past[1])}
    people = names - {"agent"}
    assert {each.by for each in kept} <= names
    assert len({each.by for each in kept}) == len(kept)
    assert sum(each.by != "agent" for each in kept) == min(len(people), MOST)
    assert ("agent" in names) == ("agent" in {each.by for each in kept})


async def test_no_number_that_the_store_says_holds_the_archive_up(kept: Kept) -> None:
    """Fault caught: entries with an impossible number stop every later record."""
    for _ in range(3):
        await kept.archive.take(Taken(records=(), upto="1", lost=10**19, schemas={}))
    await kept.archive.take(Taken(records=(record(),), upto="2", schemas={}))

    assert await kept.archive.get("a1") == record()
    assert (await kept.archive.kept()).lost == MOST_COUNTED
