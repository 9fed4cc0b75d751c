"""Decided calls as files, page by page, for auditors and admins."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession

from interlock.approvals import models_feedback
from interlock.core.identity import Kind
from interlock.core.records import unpack
from interlock.exports import formats
from tests.support.archive import MemoryArchive, people_with
from tests.support.records import NOON, record, said

from .world import World

HASH = "ab" * 32
SCHEMA = {"type": "object", "properties": {"amount": {"type": "number"}}}


@dataclass
class Auditor:
    """Somebody with a key who asks for records."""

    url: str
    key: str
    archive: MemoryArchive

    async def asks(self, path: str, key: str | None = None) -> ClientResponse:
        headers = {"Authorization": f"Bearer {self.key if key is None else key}"}
        async with ClientSession() as client:
            answer = await client.get(self.url + path, headers=headers)
            await answer.read()
        return answer

    async def lines(self, query: str) -> list[Any]:
        answer = await self.asks(f"/v1/feedback/export?{query}")
        assert answer.status == 200, await answer.text()
        return [json.loads(line) for line in (await answer.text()).splitlines()]


@pytest.fixture
async def auditor(world: World) -> AsyncIterator[Auditor]:
    calls = [
        record(id=f"a{at}", ended=NOON + at, agent=f"bot{at % 2}", task=f"Pay {at}", schema=HASH)
        for at in range(7)
    ]
    archive = MemoryArchive(records=calls, known={HASH: SCHEMA})
    async with people_with(world.deps, archive) as url:
        yield Auditor(url=url, key=await world.key(Kind.AUDITOR), archive=archive)


async def test_records_come_one_a_line_in_order(auditor: Auditor) -> None:
    answer = await auditor.asks("/v1/feedback/export")
    assert answer.content_type == "application/x-ndjson"
    read = [unpack(json.loads(line)) for line in (await answer.text()).splitlines()]
    assert read == auditor.archive.records
    assert "Link" not in answer.headers and "Interlock-Next" not in answer.headers


async def test_pages_put_behind_each_other_are_the_whole(auditor: Auditor) -> None:
    whole = await (await auditor.asks("/v1/feedback/export?format=kto")).text()
    path: str | None = "/v1/feedback/export?format=kto&limit=3"
    text, pages = "", 0
    while path is not None:
        answer = await auditor.asks(path)
        text, pages = text + await answer.text(), pages + 1
        found = re.fullmatch(r'<(\S+)>; rel="next"', answer.headers.get("Link", ""))
        path = found[1] if found else None
    assert (text, pages) == (whole, 3)


async def test_a_page_is_taken_up_again_by_its_cursor(auditor: Auditor) -> None:
    first = await auditor.asks("/v1/feedback/export?limit=5")
    rest = await auditor.lines(f"limit=5&cursor={first.headers['Interlock-Next']}")
    assert [line["id"] for line in rest] == ["a5", "a6"]


async def test_every_format_is_there_and_named_in_the_document(auditor: Auditor) -> None:
    auditor.archive.records = [
        replace(
            auditor.archive.records[0],
            final={"tool": "bank.pay"},
            final_arguments={"amount": 90},
            reviews=(said("edit"),),
        )
    ]
    for name in formats():
        assert await auditor.lines(f"format={name}")
    assert models_feedback.OPERATIONS[0].parameters[0]["schema"]["enum"] == list(formats())


async def test_training_lines_have_the_schemas_that_are_kept(auditor: Auditor) -> None:
    [line, *_] = await auditor.lines("format=sft")
    assert json.loads(line["tools"])[0]["function"]["parameters"] == SCHEMA


async def test_only_what_is_asked_for_comes(auditor: Auditor) -> None:
    query = f"agent=bot1&since={NOON + 2}&until={NOON + 6}&tool=bank.pay"
    assert [line["id"] for line in await auditor.lines(query)] == ["a3", "a5"]
    assert await auditor.lines("format=sft&agreed=yes") == []


async def test_a_line_says_what_it_was_made_of_where_that_is_asked_for(auditor: Auditor) -> None:
    first = await auditor.asks("/v1/feedback/export?format=kto&meta=yes&limit=5")
    lines = [json.loads(line) for line in (await first.text()).splitlines()]
    assert [line["meta"]["id"] for line in lines] == ["a0", "a1", "a2", "a3", "a4"]
    assert "meta=yes" in first.headers["Link"]
    for line in lines:
        del line["meta"]
    assert lines == await auditor.lines("format=kto&limit=5")


async def test_schemas_are_told_by_their_hashes(auditor: Auditor) -> None:
    answer = await auditor.asks(f"/v1/feedback/schemas?hash={HASH}&hash={'cd' * 32}")
    assert await answer.json() == {"schemas": {HASH: SCHEMA}}


@pytest.mark.parametrize(
    ("query", "said_so"),
    [
        ("format=csv", "`format` must be one of corpus, dpo-openai"),
        ("since=yesterday", "`since` must be a whole number"),
        ("limit=0", "`limit` must be a number from 1 to 2000"),
        ("limit=2001", "`limit` must be a number from 1 to 2000"),
        ("agreed=no", "`agreed` must be `yes`"),
        ("format=kto&meta=1", "`meta` must be `yes`"),
        ("format=dpo-openai&meta=yes", "one of these as `format`: dpo-trl, kto, sft"),
        ("meta=yes", "`meta` goes with one of these"),
        ("cursor=%00", "`cursor` must be the `Interlock-Next` of an earlier page"),
        ("cursor=abc", "`cursor` is none of ours"),
        ("colour=red", "only these: agent, agreed, cursor"),
        ("tool=a&tool=b", "may be given once"),
        (f"tool={'x' * 201}", "`tool` has more than 200 characters"),
    ],
)
async def test_what_makes_no_sense_is_refused(auditor: Auditor, query: str, said_so: str) -> None:
    answer = await auditor.asks(f"/v1/feedback/export?{query}")
    assert answer.status == 400
    assert said_so in (await answer.json())["detail"]


@pytest.mark.parametrize("query", ["", "hash=x", "hash=" + "&hash=".join([HASH] * 51), "h=1"])
async def test_schemas_are_asked_for_by_hashes_alone(auditor: Auditor, query: str) -> None:
    assert (await auditor.asks(f"/v1/feedback/schemas?{query}")).status == 400


@pytest.mark.parametrize("kind", [Kind.APPROVER, Kind.AGENT, Kind.METRICS])
@pytest.mark.parametrize("path", ["export", f"schemas?hash={HASH}"])
async def test_nobody_else_reads_them(
    world: World, auditor: Auditor, kind: Kind, path: str
) -> None:
    answer = await auditor.asks(f"/v1/feedback/{path}", key=await world.key(kind))
    assert answer.status == 403


async def test_who_exported_what_is_in_the_audit_log(
    auditor: Auditor, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "interlock.audit"):
        await auditor.lines("format=kto&tool=bank.pay%0Aforged")
    [said_so] = [each.getMessage() for each in caplog.records if each.name == "interlock.audit"]
    assert said_so.startswith("a-auditor exports 0 decided calls as kto (format=kto&tool=")
    assert "\n" not in said_so


async def test_where_nothing_is_kept_it_says_so(world: World) -> None:
    deps = replace(world.deps, archive=None)
    async with people_with(deps, None) as url:  # type: ignore[arg-type]
        key = await world.key(Kind.ADMIN)
        answer = await Auditor(url=url, key=key, archive=MemoryArchive()).asks(
            "/v1/feedback/export"
        )
    assert answer.status == 404
    assert "keeps no records" in (await answer.json())["detail"]


async def test_a_store_that_is_down_is_no_empty_export(auditor: Auditor) -> None:
    auditor.archive.broken = {1}
    assert (await auditor.asks("/v1/feedback/export")).status == 503
