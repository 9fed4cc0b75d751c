"""The archive on disk: what is taken in, found again, dropped, and what it says when it cannot."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interlock.core.analytics import Selected
from interlock.core.calibration import Point
from interlock.core.errors import MalformedCall, StoreUnavailable
from interlock.core.records import DecidedCall
from interlock.observe.archive import FileArchive, Taken
from tests.support.archive import point_of
from tests.support.records import DAY, NOON, audited, histories, record, records, unreviewed

EVERYTHING = Selected()


@pytest.fixture
async def archive(tmp_path: Path) -> AsyncIterator[FileArchive]:
    archive = FileArchive(tmp_path / "records.duckdb")
    yield archive
    await archive.close()


def taken(*records: DecidedCall, **more: Any) -> Taken:
    return Taken(**({"records": records, "upto": "1", "schemas": {}} | more))


async def everything(archive: FileArchive, limit: int = 1_000) -> list[DecidedCall]:
    """Read all pages."""
    found: list[DecidedCall] = []
    after: str | None = None
    while True:
        page = await archive.page(EVERYTHING, after, limit)
        found += page.records
        after = page.next
        if after is None:
            return found


quietly = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@quietly
@given(histories(), st.integers(1, 5))
async def test_every_record_comes_back_as_it_was_in_order_and_once(
    archive: FileArchive, history: list[DecidedCall], limit: int
) -> None:
    await archive.forget(2**60, 2**60)
    await archive.take(taken(*history))

    found = await everything(archive, limit)

    assert found == sorted(history, key=lambda each: (each.ended, each.id))


ENDS = st.sampled_from(("answered", "rejected", "denied", "expired"))


@quietly
@given(st.lists(records(id=st.sampled_from(("a", "b")), state=ENDS), max_size=8), st.integers(0, 8))
async def test_of_each_call_the_first_end_stays_however_entries_come_together(
    archive: FileArchive, told: list[DecidedCall], cut: int
) -> None:
    await archive.forget(2**60, 2**60)
    await archive.take(taken(*told[:cut]))
    await archive.take(taken(*told[cut:]))

    found = {each.id: (each.version, each.state) for each in await everything(archive)}

    assert found == {each.id: (each.version, each.state) for each in reversed(told)}


async def test_a_record_is_found_by_its_id(archive: FileArchive) -> None:
    await archive.take(taken(record(id="a1"), record(id="a2", reason="half \ud800 of a character")))

    assert await archive.get("a1") == record(id="a1")
    assert (await archive.get("a2") or record()).reason == "half \ud800 of a character"
    assert await archive.get("a3") is None


async def test_a_record_of_an_earlier_version_is_read_as_far_as_it_is_known(
    archive: FileArchive, tmp_path: Path
) -> None:
    await archive.take(taken(record()))
    await archive.close()
    with duckdb.connect(str(tmp_path / "records.duckdb")) as file:
        file.execute('UPDATE calls SET packed = replace(packed, \'{"id"\', \'{"old":1,"id"\')')

    again = FileArchive(tmp_path / "records.duckdb")

    assert await again.get("a1") == record()
    await again.close()


@pytest.mark.parametrize("cursor", ["", "x", "1", "-a", "٣-a", "9" * 19 + "-a"])
async def test_a_cursor_of_somebody_else_is_refused(archive: FileArchive, cursor: str) -> None:
    with pytest.raises(MalformedCall):
        await archive.page(EVERYTHING, cursor, 10)


@quietly
@given(histories(), st.integers(1, 5))
async def test_confidence_is_fitted_on_every_call_that_says_something_of_it(
    archive: FileArchive, history: list[DecidedCall], limit: int
) -> None:
    await archive.forget(2**60, 2**60)
    await archive.take(taken(*history))
    inorder = sorted(history, key=lambda each: (each.ended, each.id))
    said = [(each.ended, point) for each in inorder if (point := point_of(each)) is not None]

    found: list[Point] = []
    newest, after = 0, None
    while True:
        page = await archive.labelled(after, limit)
        found += page.points
        newest, after = max(newest, page.newest), page.next
        if after is None:
            break

    assert found == [point for _, point in said]
    assert newest == max((ended for ended, _ in said), default=0)
    assert await archive.labels() == len(said)


async def test_records_are_unpacked_in_another_thread_than_that_of_calls(
    archive: FileArchive,
) -> None:
    """Fault caught: a page of 2,000 records holds up every call that comes meanwhile."""
    await archive.take(taken(record(), record(id="a2"), schemas={"ab": "{}"}))
    here: set[str] = set()

    sys.setprofile(lambda frame, event, arg: here.add(frame.f_code.co_name))
    try:
        page = await archive.page(EVERYTHING, None, 10)
        one = await archive.get("a1")
        schemas = await archive.schemas(["ab"])
    finally:
        sys.setprofile(None)

    assert len(page.records) == 2 and one == record() and schemas == {"ab": {}}
    assert "page" in here  # it did watch
    assert here.isdisjoint({"unpacked", "unpack", "loads", "execute"})


async def test_schemas_are_kept_once(archive: FileArchive) -> None:
    text = '{"type":"object"}'
    name = hashlib.sha256(text.encode()).hexdigest()
    assert await archive.missing([name]) == (name,)

    await archive.take(taken(schemas={name: text}))

    assert await archive.missing([name]) == ()
    assert await archive.schemas([name, "0" * 64]) == {name: {"type": "object"}}


async def test_policy_says_how_long_records_are_kept(archive: FileArchive) -> None:
    old = {"ended": NOON, "created": NOON}
    await archive.take(
        taken(
            record(id="held", **old),
            unreviewed(id="judged", drawn=True, share=0.5, audit=audited(), **old),
            unreviewed(id="drawn", drawn=True, share=0.5, **old),
            unreviewed(id="plain", **old),
            unreviewed(id="new", ended=NOON + 9 * DAY),
        )
    )

    assert await archive.forget(NOON, NOON + DAY) == 1
    assert {each.id for each in await everything(archive)} == {"held", "judged", "drawn", "new"}
    assert await archive.forget(NOON + DAY, NOON + DAY) == 3
    assert [each.id for each in await everything(archive)] == ["new"]


async def test_it_says_what_it_holds(archive: FileArchive) -> None:
    await archive.take(taken(record(ended=NOON + 5), lost=2, forged=1))
    await archive.take(taken(lost=1))
    kept = await archive.kept()

    assert (kept.records, kept.oldest, kept.newest) == (1, NOON + 5, NOON + 5)
    assert (kept.lost, kept.forged) == (3, 1)


async def test_it_says_how_large_it_is_and_what_its_disk_has_left(
    archive: FileArchive, tmp_path: Path
) -> None:
    assert archive.room is None
    await archive.take(taken(record()))
    kept = await archive.kept()
    files = [each for each in tmp_path.iterdir() if each.name.startswith("records.duckdb")]

    assert kept.size == sum(each.stat().st_size for each in files) > 0
    assert archive.room


SHARE = 20_000


def large(number: int, **more: Any) -> DecidedCall:
    """Return a call that nobody was asked about, of some 5,000 bytes."""
    usual = {"id": f"l{number}", "ended": NOON, "arguments": {"text": "x" * 5_000}}
    return unreviewed(**(usual | more))


async def whole(archive: FileArchive) -> list[str]:
    """Return the ids of what is kept whole."""
    return [each.id for each in await everything(archive) if not each.short]


async def test_what_an_agent_had_of_a_day_is_counted_by_what_is_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Fault caught: each restart, and each process, gives an agent its whole share again."""
    path = tmp_path / "records.duckdb"
    first = FileArchive(path, most=SHARE)
    await first.take(taken(*(large(number) for number in range(3))))
    await first.close()
    again = FileArchive(path, most=SHARE)
    await again.take(taken(*(large(number) for number in range(3, 6))))
    assert await whole(again) == ["l0", "l1", "l2"]
    cut = await again.get("l5")
    assert cut is not None and cut.short and cut.masked and cut.arguments == {}
    assert (cut.level, cut.tool) == (large(5).level, large(5).tool)

    others = [
        large(6, agent="other"),
        large(7, ended=NOON + DAY),
        record(id="l8", ended=NOON, arguments={"text": "x" * 5_000}),
    ]
    await again.take(taken(*others))

    assert await whole(again) == ["l0", "l1", "l2", "l6", "l8", "l7"]
    assert (await again.kept()).shortened == 3
    assert caplog.text.count("records of agent bot are kept short until midnight") == 1
    await again.close()


async def test_what_is_told_of_a_call_later_takes_nothing_of_its_record_away(
    tmp_path: Path,
) -> None:
    archive = FileArchive(tmp_path / "records.duckdb", most=SHARE)
    drawn = large(0, drawn=True, share=0.5)
    await archive.take(taken(drawn, *(large(number) for number in range(1, 9))))

    await archive.take(taken(replace(drawn, told=1, audit=audited()), large(8, told=1)))

    kept = await archive.get("l0")
    assert kept is not None and not kept.short and kept.audit == audited()
    assert kept.arguments == drawn.arguments
    late = await archive.get("l8")
    assert late is not None and late.short and late.told == 1
    assert (await archive.kept()).shortened == 6
    await archive.close()


async def test_records_that_came_short_are_counted_once(archive: FileArchive) -> None:
    came = record(short=True, arguments={})
    await archive.take(taken(came, record(id="a2")))
    await archive.take(taken(replace(came, told=1)))

    assert (await archive.kept()).shortened == 1


async def test_what_was_taken_in_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "records.duckdb"
    first = FileArchive(path)
    await first.take(taken(record(), upto="17"))
    name = (await first.position()).name
    await first.close()

    second = FileArchive(path)
    at = await second.position()

    assert (at.upto, at.name) == ("17", name)
    assert await second.get("a1") == record()
    await second.close()


async def test_only_its_user_reads_it(archive: FileArchive, tmp_path: Path) -> None:
    await archive.take(taken(record()))

    modes = {each.name: each.stat().st_mode & 0o777 for each in tmp_path.iterdir()}

    assert modes["records.duckdb"] == 0o600
    assert set(modes.values()) == {0o600}


async def test_an_archive_of_an_older_format_is_worked_out_anew(tmp_path: Path) -> None:
    path = tmp_path / "records.duckdb"
    archive = FileArchive(path)
    await archive.take(taken(record(), record(id="a2")))
    await archive.close()
    with duckdb.connect(str(path)) as file:
        file.execute("UPDATE about SET format = 0")
        file.execute("ALTER TABLE calls DROP COLUMN wrong")
        file.execute("ALTER TABLE about DROP COLUMN shortened")

    archive = FileArchive(path)

    assert (await archive.analytics(EVERYTHING)).total.calls == 2
    assert await archive.get("a2") == record(id="a2")
    assert await archive.labels() == 2
    await archive.take(taken(record(id="a3", short=True)))
    assert (await archive.kept()).shortened == 1
    await archive.close()


async def test_a_newer_archive_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "records.duckdb"
    archive = FileArchive(path)
    await archive.open()
    await archive.close()
    with duckdb.connect(str(path)) as file:
        file.execute("UPDATE about SET format = 99")
    before = path.read_bytes()

    archive = FileArchive(path)
    with pytest.raises(StoreUnavailable, match="newer version of Interlock") as refused:
        await archive.kept()

    assert refused.value.help and path.read_bytes() == before
    await archive.close()


@pytest.mark.parametrize("content", [b"", b"x", b"no database" * 9_999])
async def test_a_damaged_archive_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "records.duckdb"
    path.write_bytes(content)

    archive = FileArchive(path)
    with pytest.raises(StoreUnavailable, match="is damaged"):
        await archive.get("a1")

    assert path.read_bytes() == content
    await archive.close()


async def test_somebody_elses_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "records.duckdb"
    with duckdb.connect(str(path)) as file:
        file.execute("CREATE TABLE mine(x INTEGER)")

    archive = FileArchive(path)
    with pytest.raises(StoreUnavailable, match="no archive of Interlock"):
        await archive.open()
    await archive.close()


async def test_an_archive_that_another_process_has_is_opened_once_that_ends(
    tmp_path: Path,
) -> None:
    path = tmp_path / "records.duckdb"
    code = f"import duckdb; c = duckdb.connect({str(path)!r}); print('open', flush=True); input()"
    other = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None and other.stdout.readline() == "open\n"

    archive = FileArchive(path)
    with pytest.raises(StoreUnavailable, match="open in another process"):
        await archive.kept()
    other.communicate("\n")

    assert (await archive.kept()).records == 0
    await archive.close()


FULL = """
import asyncio, resource, signal, sys
from pathlib import Path
from interlock.core.errors import StoreUnavailable
from interlock.core.records import DecidedCall
from interlock.observe.archive import FileArchive, Taken

def batch(n):
    common = dict(version=1, state="answered", created=1, ended=1, agent="a", upstream="u")
    made = (
        DecidedCall(
            id=f"{n}-{k}", tool="t", level="allow", reason=str(hash((n, k))) * 50, **common
        )
        for k in range(300)
    )
    return Taken(records=tuple(made), upto=str(n), schemas={})

async def main():
    archive = FileArchive(Path(sys.argv[1]))
    await archive.take(batch(0))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
    taken = 0
    try:
        for n in range(1, 200):
            await archive.take(batch(n))
            taken = n
    except StoreUnavailable as error:
        print(error.detail)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await archive.take(batch(taken + 1))
    kept, at = await archive.kept(), await archive.position()
    print(kept.records == 300 * (taken + 2), at.upto == str(taken + 1))
    await archive.close()

asyncio.run(main())
"""


def test_a_full_disk_is_told_of_and_nothing_of_a_batch_is_kept(tmp_path: Path) -> None:
    """And once there is space, it goes on where it was."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "records.duckdb")],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert "There is no space left for the archive" in done.stdout, done.stdout + done.stderr
    assert done.stdout.endswith("True True\n"), done.stdout + done.stderr


async def test_a_closed_archive_says_so(archive: FileArchive) -> None:
    await archive.close()

    with pytest.raises(StoreUnavailable, match="is closed"):
        await archive.kept()
