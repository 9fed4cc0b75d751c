"""Analytics by SQL are what a plain recount over the records gives, for any selection."""

from __future__ import annotations

import asyncio
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interlock.core.analytics import (
    MOST,
    Analytics,
    Bin,
    Group,
    Reliability,
    Reviewing,
    Selected,
    Share,
    Tally,
    Times,
)
from interlock.core.records import DecidedCall, Said, Turned, label_of
from interlock.observe.analytics import analytics
from interlock.observe.archive import FileArchive, Taken
from tests.support.records import (
    DAY,
    MINUTE,
    NOON,
    audited,
    histories,
    record,
    reported,
    said,
    unreviewed,
)

WORDS = ("", "a", "b", "naïve", "支付")
SELECTIONS = st.builds(
    Selected,
    since=st.sampled_from((0, NOON + 5 * DAY)),
    until=st.sampled_from((0, NOON + 30 * DAY)),
    agent=st.sampled_from(WORDS),
    tool=st.sampled_from(WORDS),
    rule=st.sampled_from(WORDS),
    level=st.sampled_from(("", "approve", "notify")),
    reviewer=st.sampled_from(("", "", "r-000000000001")),
)


# the recount: each figure as its definition says, from the records alone ------------------------


def recount(records: Iterable[DecidedCall], selected: Selected) -> dict[str, Any]:
    calls = [each for each in records if is_in(each, selected)]
    verdicts = [(each, call) for call in calls for each in call.reviews]
    people = {each.who for each, _ in verdicts}
    edits = Counter(
        f"{call.tool}: {path}" if call.tool else path for call in calls for path in set(call.edited)
    )
    reasons = Counter(
        each.reason_code
        for each, _ in verdicts
        if each.verdict in ("reject", "edit") and each.reason_code
    )
    return {
        "records": len(calls),
        "total": group("", calls),
        "levels": groups(calls, lambda call: {call.level}),
        "rules": groups(calls, lambda call: set(call.rules) or {""}),
        "tools": groups(calls, lambda call: {call.tool}),
        "agents": groups(calls, lambda call: {call.agent}),
        "everybody": reviewing("", verdicts),
        "reviewers": sorted(
            (reviewing(who, [each for each in verdicts if each[0].who == who]) for who in people),
            key=lambda each: (-each.decided, each.who),
        ),
        "first_look": times(
            max(min(looks) - call.created, 0)
            for call in calls
            if call.held
            and (looks := [each.at - each.looked_ms for each in call.reviews if each.looked_ms > 0])
        ),
        "to_decide": times(
            max(call.reviews[-1].at - call.created, 0)
            for call in calls
            if call.held and call.reviews
        ),
        "fields": tallies(edits),
        "reasons": tallies(reasons),
        "days": {
            day: group("", [call for call in calls if call.ended // DAY * DAY == day])
            for day in sorted({call.ended // DAY * DAY for call in calls})
        },
    }


def is_in(call: DecidedCall, selected: Selected) -> bool:
    return (
        call.ended >= selected.since
        and (not selected.until or call.ended < selected.until)
        and selected.agent in ("", call.agent)
        and selected.tool in ("", call.tool)
        and (not selected.rule or selected.rule in call.rules)
        and selected.level in ("", call.level)
        and (not selected.reviewer or any(each.who == selected.reviewer for each in call.reviews))
    )


def group(name: str, calls: list[DecidedCall]) -> Group:
    held = [call for call in calls if call.level in ("approve", "approve_dual")]
    verdicts = Counter(heard(call) for call in held)
    left = Counter(call.state for call in held if not heard(call))
    return Group(
        name=name,
        calls=len(calls),
        held=len(held),
        approved=verdicts["approve"],
        edited=verdicts["edit"],
        rejected=verdicts["reject"],
        responded=verdicts["respond"],
        expired=left["expired"],
        cancelled=left["cancelled"],
        denied=sum(call.state == "denied" for call in calls),
        wrong=sum(is_wrong(call) for call in calls),
    )


def heard(call: DecidedCall) -> str:
    """What people made of it: what enough of them approved stays so where it was not sent."""
    too_late = call.state == "expired" and len(call.reviews) >= call.quorum
    return call.verdict or ("approve" if too_late else "")


def is_wrong(call: DecidedCall) -> bool:
    said_of_it = (*call.reports, *((call.audit,) if call.audit else ()))
    turned = [each.turned for each in said_of_it]
    return call.state in ("answered", "unknown", "resolved") and Turned.WRONG in turned


def by_people(call: DecidedCall) -> bool:
    people = tuple(each for each in call.reports if each.by != "agent")
    return is_wrong(replace(call, reports=people))


def groups(calls: list[DecidedCall], names: Callable[[DecidedCall], set[str]]) -> list[Group]:
    found = [
        group(name, [call for call in calls if name in names(call)])
        for name in {name for call in calls for name in names(call)}
    ]
    return sorted(found, key=lambda each: (-each.calls, each.name))


def reviewing(who: str, verdicts: list[tuple[Said, DecidedCall]]) -> Reviewing:
    counts = Counter(each.verdict for each, _ in verdicts)
    seen = [
        (each, call) for each, call in verdicts if each.verdict == "approve" and each.looked_ms > 0
    ]
    shared = [
        (each, others)
        for each, call in verdicts
        if (others := {other.verdict for other in call.reviews if other.who != each.who})
    ]
    return Reviewing(
        who=who,
        decided=len(verdicts),
        approved=counts["approve"],
        edited=counts["edit"],
        rejected=counts["reject"],
        responded=counts["respond"],
        fast=Share(
            hits=sum(each.looked_ms < max(1000, call.size / 200 * 1000) for each, call in seen),
            of=len(seen),
        ),
        streak=max(
            (streak(verdicts, one) for one in {each.who for each, _ in verdicts}), default=0
        ),
        agreed=Share(hits=sum(others == {each.verdict} for each, others in shared), of=len(shared)),
        to_decide=times(each.looked_ms for each, _ in verdicts if each.looked_ms > 0),
        overturned=sum(each.verdict == "approve" and by_people(call) for each, call in verdicts),
    )


def streak(verdicts: list[tuple[Said, DecidedCall]], who: str) -> int:
    own = [
        (each.at, call.id, place, each.verdict)
        for call in {call.id: call for _, call in verdicts}.values()
        for place, each in enumerate(call.reviews)
        if each.who == who
    ]
    longest = run = 0
    for *_, verdict in sorted(own):
        run = run + 1 if verdict == "approve" else 0
        longest = max(longest, run)
    return longest


def times(durations: Iterable[int]) -> Times:
    found = sorted(durations)
    if not found:
        return Times(of=0, p50=0, p90=0, p99=0)
    if len(found) == 1:
        found *= 2  # `quantiles` wants two
        cuts = statistics.quantiles(found, n=100, method="inclusive")
        return Times(of=1, p50=cuts[49], p90=cuts[89], p99=cuts[98])
    cuts = statistics.quantiles(found, n=100, method="inclusive")
    return Times(of=len(found), p50=cuts[49], p90=cuts[89], p99=cuts[98])


def tallies(counted: Counter[str]) -> list[Tally]:
    found = [Tally(name=name, count=count) for name, count in counted.items()]
    return sorted(found, key=lambda each: (-each.count, each.name))


def near(times: Times) -> Any:
    numbers = (times.of, times.p50, times.p90, times.p99)
    return pytest.approx(numbers, rel=1e-9, abs=1e-6)


def numbers_of(times: Times) -> tuple[float, ...]:
    return times.of, times.p50, times.p90, times.p99


# the tests ------------------------------------------------------------------------------------


@pytest.fixture
async def archive(tmp_path: Path) -> Any:
    archive = FileArchive(tmp_path / "records.duckdb")
    yield archive
    await archive.close()


async def filled(archive: FileArchive, records: Iterable[DecidedCall]) -> FileArchive:
    """Have the archive hold these records and no others."""
    await archive.forget(2**60, 2**60)
    await archive.take(Taken(records=tuple(records), upto="1", schemas={}))
    return archive


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(histories(), SELECTIONS)
async def test_analytics_equal_a_recount(
    archive: FileArchive, records: list[DecidedCall], selected: Selected
) -> None:
    found = await (await filled(archive, records)).analytics(selected)
    expected = recount(records, selected)

    for name in ("records", "total", "levels", "rules", "tools", "agents", "fields", "reasons"):
        counted = getattr(found, name)
        assert (list(counted) if isinstance(counted, tuple) else counted) == expected[name], name
    same_reviewing(found, expected)
    for name in ("first_look", "to_decide"):
        assert numbers_of(getattr(found, name)) == near(expected[name]), name
    same_days(found, expected)
    same_reliability(found.reliability, [each for each in records if is_in(each, selected)])
    same_auditing(found, [each for each in records if is_in(each, selected)])


def same_reviewing(found: Analytics, expected: dict[str, Any]) -> None:
    pairs = [(found.everybody, expected["everybody"])]
    assert len(found.reviewers) == len(expected["reviewers"])
    pairs += zip(found.reviewers, expected["reviewers"], strict=True)
    for one, other in pairs:
        assert replace(one, to_decide=other.to_decide) == other
        assert numbers_of(one.to_decide) == near(other.to_decide)


def same_days(found: Analytics, expected: dict[str, Any]) -> None:
    assert [each.start for each in found.days] == list(expected["days"])
    for day, counted in zip(found.days, expected["days"].values(), strict=True):
        for name in ("calls", "held", "approved", "edited", "rejected", "responded", "denied"):
            assert getattr(day, name) == getattr(counted, name), name
        assert day.expired == counted.expired


def labelled(calls: list[DecidedCall]) -> Iterator[tuple[DecidedCall, float, float]]:
    """Yield labelled calls with claimed confidence, their weight, and 1 where they were right."""
    for call in calls:
        label = label_of(call)
        if label is not None and call.confidence is not None:
            yield call, label.weight, float(label.right)


def same_reliability(found: Reliability, calls: list[DecidedCall]) -> None:
    known = list(labelled(calls))
    assert found.of == len(known) == sum(each.of for each in found.bins)
    if not known:
        assert found == Reliability(of=0, bins=(), brier=None, brier_calibrated=None, error=None)
        return
    weight = sum(w for _, w, _ in known)
    brier = sum(w * ((call.confidence or 0) - y) ** 2 for call, w, y in known) / weight
    assert found.brier == pytest.approx(brier)
    corrected = [(call.calibrated, w, y) for call, w, y in known if call.calibrated is not None]
    assert (found.brier_calibrated is None) == (not corrected)
    if corrected:
        sum_of = sum(w * (value - y) ** 2 for value, w, y in corrected)
        assert found.brier_calibrated == pytest.approx(sum_of / sum(w for _, w, _ in corrected))
    error = 0.0
    for each in found.bins:
        own = [one for one in known if falls_in(one[0].confidence, each)]
        assert each.of == len(own) > 0
        assert each.weight == pytest.approx(sum(w for _, w, _ in own))
        stated = sum(w * (call.confidence or 0) for call, w, _ in own) / each.weight
        right = sum(w * y for _, w, y in own) / each.weight
        assert (each.stated, each.right) == pytest.approx((stated, right))
        error += each.weight * abs(stated - right) / weight
    assert found.error == pytest.approx(error)


def falls_in(confidence: float | None, within: Bin) -> bool:
    assert confidence is not None
    return within.low <= confidence < within.high or confidence == within.high == 1.0


def same_auditing(found: Analytics, calls: list[DecidedCall]) -> None:
    sent = ("answered", "unknown", "resolved")
    let = [call for call in calls if call.level in ("allow", "notify") and call.state in sent]
    judged = [label for call in let if (label := label_of(call)) is not None]
    wrong = [label.weight for label in judged if not label.right]
    auditing = found.auditing
    assert auditing.unreviewed == len(let)
    assert auditing.drawn == sum(call.drawn for call in let)
    assert auditing.judged == Share(hits=len(wrong), of=len(judged))
    assert (auditing.wrong is None) == (not judged)
    if judged:
        assert auditing.wrong == pytest.approx(sum(wrong) / sum(each.weight for each in judged))


async def test_an_empty_archive_tells_nothing(archive: FileArchive) -> None:
    found = await archive.analytics(Selected())

    assert found.records == found.total.calls == found.everybody.decided == 0
    assert found.rules == found.days == found.reliability.bins == ()
    assert found.total.precision.value is None and found.auditing.wrong is None


async def test_lists_are_bounded_and_say_what_they_leave_out(archive: FileArchive) -> None:
    many = [
        record(id=f"a{n}", tool=f"t{n:03}", reviews=(said(who=f"r-{n:012}"),))
        for n in range(MOST + 7)
    ]

    found = await (await filled(archive, many)).analytics(Selected())

    assert len(found.tools) == len(found.reviewers) == MOST
    assert found.left_out == {"tools": 7, "reviewers": 7}
    assert found.tools[0].name == "t000"


async def test_of_many_names_no_more_leave_the_database_than_are_shown(
    archive: FileArchive,
) -> None:
    many = [record(id=f"m{n}", tool=f"t{n:04}", rules=(f"r{n:04}",)) for n in range(300)]
    await filled(archive, many)
    largest = 0

    def work(cursor: Any) -> Any:
        def ask(sql: str, values: Any) -> Any:
            nonlocal largest
            rows = cursor.execute(sql, values).fetchall()
            largest = max(largest, len(rows))
            return rows

        return analytics(ask, Selected())

    found = await archive._read(work)

    assert largest <= MOST
    assert found.left_out == {"tools": 250, "rules": 250}
    assert [each.name for each in found.tools] == [f"t{n:04}" for n in range(MOST)]


async def test_equal_questions_at_the_same_time_are_asked_once(
    archive: FileArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(archive, [record()])
    asked: list[Selected] = []
    running: list[int] = [0, 0]  # now, and at most
    read = archive._read

    async def counted(work: Any) -> Any:
        running[0] += 1
        running[1] = max(running)
        try:
            return await read(work)
        finally:
            running[0] -= 1
            asked.append(Selected())

    monkeypatch.setattr(archive, "_read", counted)
    same = [archive.analytics(Selected()) for _ in range(6)]
    other = [archive.analytics(Selected(tool=f"t{n}")) for n in range(2)]
    found = await asyncio.gather(*same, *other)

    assert (len(asked), running[1]) == (3, 1)
    assert all(each is found[0] for each in found[:6])
    assert (await archive.analytics(Selected())) is not found[0]


async def test_a_rule_that_people_only_approve_shows_no_precision(archive: FileArchive) -> None:
    useless = [record(id=f"u{n}", rules=("useless",)) for n in range(40)]
    useful = [
        record(id=f"g{n}", rules=("useful",), reviews=(said("reject"),), state="rejected")
        for n in range(10)
    ]

    rules = {
        each.name: each.precision
        for each in (await (await filled(archive, useless + useful)).analytics(Selected())).rules
    }

    assert rules["useless"].value == 0 and rules["useless"].high < 0.09
    assert rules["useful"].value == 1 and rules["useful"].few


async def test_an_audit_speaks_for_as_many_calls_as_its_share_says(archive: FileArchive) -> None:
    """One wrong of two judged, but of a kind that is drawn ten times as often as the other."""
    judged = [
        unreviewed(id="w", drawn=True, share=0.5, audit=audited(Turned.WRONG)),
        unreviewed(id="r", drawn=True, share=0.05, audit=audited(Turned.RIGHT)),
        unreviewed(id="n", drawn=True, share=0.05),
    ]

    found = (await (await filled(archive, judged)).analytics(Selected())).auditing

    assert (found.unreviewed, found.drawn, found.judged.of) == (3, 3, 2)
    assert found.wrong == pytest.approx(2 / 22)


async def test_an_approval_that_turned_out_wrong_is_held_against_it(archive: FileArchive) -> None:
    judged = record(reports=(reported(by="r-0123456789ab"),))
    found = await (await filled(archive, [judged])).analytics(Selected())

    assert (found.total.approved, found.total.wrong, found.everybody.overturned) == (1, 1, 1)


async def test_an_agents_word_alone_is_held_against_nobody_who_approved(
    archive: FileArchive,
) -> None:
    claimed = record(reports=(reported(by="agent"),))
    found = await (await filled(archive, [claimed])).analytics(Selected())

    assert (found.total.wrong, found.everybody.overturned) == (1, 0)
    assert found.reviewers[0].overturned == 0


async def test_an_approved_call_whose_caller_never_came_back_counts_as_approved(
    archive: FileArchive,
) -> None:
    late = record(id="late", state="expired")
    taken_back = record(id="taken back", state="cancelled")
    half = record(id="half", state="expired", level="approve_dual", quorum=2)
    nobody = record(id="nobody", state="expired", reviews=())
    calls = [late, taken_back, half, nobody]
    found = await (await filled(archive, calls)).analytics(Selected())

    assert (found.total.approved, found.total.expired, found.total.cancelled) == (2, 2, 0)
    assert found.reliability.of == 2  # people said that they were right


async def test_approvals_that_were_not_read_are_fast(archive: FileArchive) -> None:
    """2,000 bytes take 10 s at 200 bytes a second; a look that nobody saw is not counted."""
    looks = [
        record(id=f"a{ms}", size=2_000, reviews=(said(looked_ms=ms, at=NOON + MINUTE),))
        for ms in (0, 9_999, 10_000)
    ]

    found = await (await filled(archive, looks)).analytics(Selected())

    assert found.everybody.fast == Share(hits=1, of=2)
    assert found.everybody.streak == 3
