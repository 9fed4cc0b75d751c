"""What a running `interlock serve` keeps of decided calls, also through kill -9 and damage."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from interlock.core.analytics import Selected
from interlock.core.records import DecidedCall
from interlock.observe.archive import FILE, FileArchive
from tests.acceptance.world import LOOKS, Gate, Tool, gate, short_folder, with_tool

pytestmark = pytest.mark.xdist_group("bad-days")
LATER = {"Prefer": "respond-async"}


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as made:
        yield made


def kept(running: Gate, count: int) -> None:
    """Wait until the archive has so many records."""
    for _ in range(LOOKS):
        lines = httpx.get(f"{running.people}/metrics").text.splitlines()
        if f"interlock_records_kept {float(count)}" in lines:
            return
    raise AssertionError([line for line in lines if "records" in line])


def archived(folder: Path) -> tuple[DecidedCall, ...]:
    """Return what is in the file of an Interlock that has stopped."""

    async def read() -> tuple[DecidedCall, ...]:
        archive = FileArchive(folder / "data" / FILE)
        page = await archive.page(Selected(), None, 1_000)
        await archive.close()
        return page.records

    return asyncio.run(read())


def post(running: Gate, path: str, text: str) -> httpx.Response:
    return httpx.post(f"{running.tool}{path}", json={"text": text}, headers=LATER)


def test_each_call_that_ended_is_on_record_once_as_it_ended(folder: Path, tool: Tool) -> None:
    with gate(folder, with_tool(tool)) as running:
        assert post(running, "/notes", "let through").status_code == 200
        assert post(running, "/publish", "approved").status_code == 202
        assert running.decide("approve").status_code == 200
        assert post(running, "/publish", "refused").status_code == 202
        assert running.decide("reject", message="no", reason_code="other").status_code == 200
        assert post(running, "/brief", "nobody was quick enough").status_code == 202
        kept(running, 4)
        assert running.stop() == 0

    records = archived(folder)
    came = [(each.tool, each.state, each.verdict) for each in records]
    assert sorted(came) == [
        ("notes.add", "answered", ""),
        ("notes.brief", "expired", ""),
        ("notes.publish", "answered", "approve"),
        ("notes.publish", "rejected", "reject"),
    ]
    assert "ann" not in {each.who for record in records for each in record.reviews}
    assert os.stat(folder / "data" / FILE).st_mode & 0o777 == 0o600


def test_a_killed_interlock_takes_each_record_in_once(folder: Path, tool: Tool) -> None:
    config = with_tool(tool)
    texts = [f"note {n}" for n in range(30)]
    with gate(folder, config) as running:
        for each in texts[:20]:
            got = post(running, "/notes", each)
            assert got.status_code == 200
        # a caller has its answer before the store does: killed in between, the call ends unknown
        running.becomes(got.headers["interlock-call-id"], "answered")
        running.kill()
    with gate(folder, config) as running:
        for each in texts[20:]:
            assert post(running, "/notes", each).status_code == 200
        kept(running, 30)
        assert running.stop() == 0

    said = sorted(str(each.arguments["text"]) for each in archived(folder))
    assert said == sorted(texts)


def test_a_damaged_archive_is_told_of_and_left_alone_while_calls_go_on(
    folder: Path, tool: Tool
) -> None:
    (folder / "data").mkdir(mode=0o700)
    (folder / "data" / FILE).write_bytes(b"no database" * 1_000)

    with gate(folder, with_tool(tool)) as running:
        running.words.wait(rf"The archive .*{FILE} is damaged\. .*back-up")
        assert post(running, "/notes", "goes on").status_code == 200
        with running.person() as ann:
            assert ann.get("/v1/approvals").status_code == 200
        lines = httpx.get(f"{running.people}/metrics").text
        assert running.stop() == 0

    assert "interlock_archive_up 0.0" in lines
    assert (folder / "data" / FILE).read_bytes() == b"no database" * 1_000
