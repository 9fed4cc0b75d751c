"""Exports in a terminal: files, cards, splits, and going on where one broke off."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import ClientSession

from interlock.core.identity import Kind
from interlock.core.records import DecidedCall, Turned, pack, unpack
from interlock.exports import formats
from interlock.exports.label_studio import CONFIG
from interlock.exports.making.suites import suites
from interlock.keyfiles import write_private
from tests.approvals.world import CAREFUL, World
from tests.support.archive import MemoryArchive, people_with
from tests.support.records import NOON, audited, record, reported, said, unreviewed

from .conftest import Command, Said
from .test_review import Person, redis, world

__all__ = ("redis", "world")
HASH = "ab" * 32
SCHEMA = {"type": "object", "properties": {"amount": {"type": "number"}}}


def calls(count: int = 10, **more: Any) -> list[DecidedCall]:
    return [
        record(
            **({"id": f"a{at:04}", "ended": NOON + at, "task": f"Pay {at}", "schema": HASH} | more)
        )
        for at in range(count)
    ]


def edited(count: int = 10) -> list[DecidedCall]:
    return calls(
        count,
        final={"tool": "bank.pay"},
        final_arguments={"amount": 90, "to": "bob"},
        reviews=(said("edit"),),
    )


def written(folder: Path, records: Iterable[DecidedCall]) -> str:
    file = folder / "records.jsonl"
    file.write_text("".join(json.dumps(pack(each)) + "\n" for each in records))
    return str(file)


def lines(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def front(card: Path) -> Any:
    _, matter, _ = card.read_text().split("---\n", 2)
    return yaml.safe_load(matter)


def done(said_so: Said) -> Said:
    assert said_so.code == 0, said_so.err
    return said_so


def exit_code(interlock: Command, *arguments: str) -> int:
    """Run a command that ends by itself."""
    with pytest.raises(SystemExit) as ended:
        interlock(*arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


# ---- files and cards ---------------------------------------------------------------------------


def test_a_folder_gets_the_lines_and_a_card(interlock: Command, folder: Path) -> None:
    records = written(folder, edited())
    told = done(interlock("export", "--format", "dpo-trl", "--out", "set", "--records", records))
    assert "set/data-train.jsonl: 10 lines" in told.out
    assert len(lines(folder / "set" / "data-train.jsonl")) == 10
    matter = front(folder / "set" / "README.md")
    [config] = matter["configs"]
    assert config["data_files"] == [{"split": "train", "path": "data-train.jsonl"}]
    names = [each["name"] for each in matter["dataset_info"]["features"]]
    assert names == ["prompt", "chosen", "rejected", "tools"]
    card = (folder / "set" / "README.md").read_text()
    for part in ("10 lines of 10 decided calls", "Selective labels", "1 person judged", "`test@1`"):
        assert part in card
    assert sorted(os.listdir(folder / "set")) == ["README.md", "data-train.jsonl"]


def test_exports_are_private_files(interlock: Command, folder: Path) -> None:
    done(interlock("export", "--format=sft", "--out=set", "--records", written(folder, calls())))
    modes = {each.stat().st_mode & 0o777 for each in (folder / "set").iterdir()}
    assert modes == {0o600}


def test_the_oldest_share_is_for_training_and_nothing_is_in_both(
    interlock: Command, folder: Path
) -> None:
    records = written(folder, edited(10))
    command = ("export", "--format", "kto", "--out", "set", "--split", "0.75", "--records", records)
    done(interlock(*command))
    train, test = (lines(folder / "set" / f"data-{each}.jsonl") for each in ("train", "test"))
    assert (len(train), len(test)) == (16, 4)  # two lines of a call stay together
    asked = [{line["prompt"][0]["content"] for line in each} for each in (train, test)]
    assert asked[0] & asked[1] == set()
    assert asked[1] == {"Pay 8", "Pay 9"}
    splits = [
        each["split"] for each in front(folder / "set" / "README.md")["configs"][0]["data_files"]
    ]
    assert splits == ["train", "test"]


def test_the_card_says_of_each_split_how_much_was_right(interlock: Command, folder: Path) -> None:
    some = edited(3) + [
        record(id=f"b{at}", ended=NOON + 10 + at, task=f"b{at}", reviews=(said(verdict),))
        for at, verdict in enumerate(("approve", "approve", "reject", "respond", "approve"))
    ]
    command = ("export", "--records", written(folder, some), "--split=0.75", "--json")
    told = json.loads(done(interlock(*command, "--format=kto", "--out=kto")).out)
    counts = [[each[n] for n in ("calls", "right", "not_right", "good")] for each in told["files"]]
    assert counts == [[5, 2, 3, 5], [2, 1, 1, 1]]
    trained = [line["label"] for line in lines(folder / "kto" / "data-train.jsonl")]
    assert (len(trained), sum(trained)) == (8, 5)
    card = (folder / "kto" / "README.md").read_text()
    assert "| calls | right as proposed | not right | no label | lines with `label: true` |" in card
    assert "| `data-train.jsonl` | train | 8 | 5 | 2 | 3 | 0 | 5 | 2026" in card
    assert "| `data-test.jsonl` | test | 2 | 2 | 1 | 1 | 0 | 1 | 2026" in card
    assert "The tool's schema is not known of 7 calls." in card

    told = json.loads(done(interlock(*command, "--format=records", "--out=all")).out)
    assert sum(each["calls"] for each in told["files"]) == 8
    card = (folder / "all" / "README.md").read_text()
    assert "label: true" not in card and "schema is not known" not in card
    assert "| `data-test.jsonl` | test | 2 | 2 | 1 | 0 | 1 | 2026" in card


def test_calls_of_the_same_moment_are_not_split(interlock: Command, folder: Path) -> None:
    together = [record(id=f"a{at}", ended=NOON + at // 6, task=f"Pay {at}") for at in range(10)]
    records = written(folder, together)
    done(interlock("export", "--format=sft", "--out=set", "--split=0.5", "--records", records))
    assert len(lines(folder / "set" / "data-train.jsonl")) == 6


def test_one_file_has_its_card_beside_it(interlock: Command, folder: Path) -> None:
    records = written(folder, calls())
    done(interlock("export", "--format", "sft", "--out", "sets/x.jsonl", "--records", records))
    assert sorted(os.listdir(folder / "sets")) == ["x.jsonl", "x.jsonl.md"]
    wrong = interlock(
        "export", "--format=sft", "--out=y.jsonl", "--split=0.5", "--records", records
    )
    assert wrong.code == 2 and "--split writes two files" in wrong.err


def test_tasks_of_label_studio_are_one_array_with_their_interface(
    interlock: Command, folder: Path
) -> None:
    records = written(folder, calls(3))
    done(interlock("export", "--format=label-studio", "--out=set", "--records", records))
    tasks = json.loads((folder / "set" / "data-train.json").read_text())
    assert [task["data"]["id"] for task in tasks] == ["a0000", "a0001", "a0002"]
    assert (folder / "set" / "label-config.xml").read_text() == CONFIG
    empty = written(folder, [])
    done(interlock("export", "--format=label-studio", "--out=none", "--records", empty))
    assert json.loads((folder / "none" / "data-train.json").read_text()) == []


def test_what_was_rejected_is_tested_by_policy_test(interlock: Command, folder: Path) -> None:
    (folder / "policies").mkdir()
    (folder / "policies" / "policy.yaml").write_text(CAREFUL)
    request = {
        "upstream": "bank",
        "method": "POST",
        "path": "/v1/accounts/DE-4711/transfers",
        "json": {"amount": 900, "recipient": "Bob GmbH"},
    }
    refused = calls(3, state="rejected", reviews=(said("reject"),), request=request)
    where = ("--policy", "policies/policy.yaml", "--records", written(folder, refused))
    done(interlock("export", "--format=policy-tests", "--out=policies", *where))
    assert exit_code(interlock, "policy", "test", "policies/recorded-001_test.yaml") == 0
    (folder / "policies" / "policy.yaml").write_text(
        CAREFUL.replace("facets: {data: confidential}", "facets: {data: public}")
    )
    assert exit_code(interlock, "policy", "test", "policies/recorded-001_test.yaml") == 1
    assert "recorded.md" in os.listdir(folder / "policies")


def test_suites_need_a_policy_to_name(interlock: Command, folder: Path) -> None:
    records = written(folder, calls())
    wrong = interlock("export", "--format=policy-tests", "--out=x", "--records", records)
    assert wrong.code == 2 and "--policy" in wrong.err


def test_a_corpus_is_read_by_policy_diff(interlock: Command, folder: Path) -> None:
    (folder / "old.yaml").write_text(CAREFUL)
    request = {"upstream": "bank", "method": "PUT", "path": "/v1/notes/1"}
    records = written(folder, calls(3, request=request))
    done(interlock("export", "--format=corpus", "--out=c.jsonl", "--records", records))
    (folder / "new.yaml").write_text(CAREFUL.replace("public}", "confidential}"))
    diff = ("policy", "diff", "old.yaml", "new.yaml", "--corpus", "c.jsonl", "--json")
    assert exit_code(interlock, *diff) == 0


def test_there_is_json_for_programs(interlock: Command, folder: Path) -> None:
    records = written(folder, calls())
    told = done(interlock("export", "--format=sft", "--out=set", "--records", records, "--json"))
    read = json.loads(told.out)
    assert read["counts"]["lines"] == 10
    assert read["files"][0]["file"] == "set/data-train.jsonl"


def test_what_an_agent_writes_stays_text_in_the_card(interlock: Command, folder: Path) -> None:
    evil = "x|y`\n# Approved\n<script>\u202e"
    records = written(folder, calls(1, agent=evil, tool=evil, policy=evil))
    done(interlock("export", "--format=sft", "--out=set", "--records", records))
    card = (folder / "set" / "README.md").read_text()
    assert "\n# Approved" not in card and "\u202e" not in card
    assert "x/y'" in card


# ---- what is wrong -----------------------------------------------------------------------------


def test_nothing_that_is_there_is_overwritten_unasked(interlock: Command, folder: Path) -> None:
    first, second = written(folder, calls(3)), ("export", "--format=sft", "--out=set")
    done(interlock(*second, "--records", first, "--split=0.5"))
    again = interlock(*second, "--records", written(folder, calls(5)))
    assert again.code == 1 and "is there already" in again.err and "--replace" in again.err
    assert len(lines(folder / "set" / "data-train.jsonl")) == 2
    done(interlock(*second, "--records", written(folder, calls(5)), "--replace"))
    assert sorted(os.listdir(folder / "set")) == ["README.md", "data-train.jsonl"]


def test_a_line_that_is_no_record_is_named(interlock: Command, folder: Path) -> None:
    (folder / "r.jsonl").write_text(json.dumps(pack(record())) + "\n{}\n")
    wrong = interlock("export", "--format=sft", "--out=set", "--records=r.jsonl")
    assert wrong.code == 2 and "r.jsonl:2:1" in wrong.err


@pytest.mark.parametrize("text", ["[]", "{", '{"a": 1}'])
def test_schemas_that_are_none_are_named(interlock: Command, folder: Path, text: str) -> None:
    records = written(folder, calls())
    (folder / "schemas.json").write_text(text)
    wrong = interlock("export", "--format=sft", "--out=set", "--records", records)
    assert wrong.code == 2 and "schemas.json" in wrong.err


def test_resume_needs_something_to_go_on_with(interlock: Command, folder: Path) -> None:
    records = written(folder, calls())
    wrong = interlock("export", "--format=sft", "--out=set", "--records", records, "--resume")
    assert wrong.code == 1 and "no export to set that broke off" in wrong.err


# ---- from the running Interlock ----------------------------------------------------------------


async def an_auditor(
    world: World, interlock: Command, folder: Path, url: str, kind: Kind = Kind.AUDITOR
) -> Person:
    file = folder / f"{kind.value}.key"
    write_private(file, await world.key(kind))
    return Person(interlock, url, file)


async def test_records_are_exported_and_read_again_offline(
    world: World, interlock: Command, folder: Path
) -> None:
    archive = MemoryArchive(records=edited(4001), known={HASH: SCHEMA})
    async with people_with(world.deps, archive) as url:
        auditor = await an_auditor(world, interlock, folder, url)
        done(await auditor.types("export", "--format=records", "--out=kept"))
        done(await auditor.types("export", "--format=dpo-trl", "--out=live"))
    assert archive.pages == 6
    kept = folder / "kept" / "data-train.jsonl"
    assert [unpack(line) for line in lines(kept)] == archive.records
    offline = ("export", "--format=dpo-trl", "--out=offline", "--records", str(kept))
    done(await asyncio.to_thread(interlock, *offline))
    one, other = (folder / each / "data-train.jsonl" for each in ("live", "offline"))
    assert one.read_bytes() == other.read_bytes()
    assert '"amount"' in json.loads(lines(one)[0]["tools"])[0].__repr__().replace("'", '"')


async def test_an_export_that_broke_off_goes_on_and_is_the_same_in_the_end(
    world: World, interlock: Command, folder: Path
) -> None:
    doubled = edited(4500)
    doubled += [  # the same examples, ended later
        record(**{**pack_again(each), "id": f"b{each.id}", "ended": each.ended + 10_000})
        for each in doubled[:700]
    ]
    archive = MemoryArchive(records=doubled, known={HASH: SCHEMA})
    async with people_with(world.deps, archive) as url:
        auditor = await an_auditor(world, interlock, folder, url)
        command = ("export", "--format=kto", "--split=0.8")
        done(await auditor.types(*command, "--out=whole"))
        archive.pages, archive.broken = 0, {3}
        broken = await auditor.types(*command, "--out=set")
        assert broken.code == 1
        assert "4,000 calls were read before" in broken.err and "--resume" in broken.err
        assert os.listdir(folder / "set") == [".export"]
        unasked = await auditor.types(*command, "--out=set")
        assert unasked.code == 1 and "broke off" in unasked.err
        other = await auditor.types("export", "--format=kto", "--out=set", "--resume")
        assert other.code == 1 and "another --split" in other.err
        with (folder / "set" / ".export" / "lines").open("ab") as torn:
            torn.write(b'{"prompt": [{"ro')  # written behind the note
        done(await auditor.types(*command, "--out=set", "--resume"))
    for name in ("data-train.jsonl", "data-test.jsonl", "README.md"):
        assert (folder / "set" / name).read_bytes() == (folder / "whole" / name).read_bytes()
    assert len(lines(folder / "set" / "data-train.jsonl")) == 7200
    assert "`lines that were there already` | 700" in (folder / "set" / "README.md").read_text()


async def test_an_export_that_broke_off_at_once_or_at_the_very_end_goes_on(
    world: World,
    interlock: Command,
    folder: Path,
) -> None:
    archive = MemoryArchive(records=calls(5), known={HASH: SCHEMA}, broken={1})
    async with people_with(world.deps, archive) as url:
        auditor = await an_auditor(world, interlock, folder, url)
        command = ("export", "--format=records", "--out=set")
        assert (await auditor.types(*command)).code == 1
        assert not (folder / "set").exists()  # nothing was read, so nothing is left
        in_the_way = folder / "set" / "schemas.json"
        in_the_way.mkdir(parents=True)
        blocked = await auditor.types(*command)
        assert blocked.code == 1 and "Cannot write set/" in blocked.err
        in_the_way.rmdir()
        pages = archive.pages
        done(await auditor.types(*command, "--resume"))
    assert archive.pages == pages
    assert len(lines(folder / "set" / "data-train.jsonl")) == 5
    assert json.loads((folder / "set" / "schemas.json").read_text()) == {HASH: SCHEMA}


def pack_again(call: DecidedCall) -> dict[str, Any]:
    return {name: getattr(call, name) for name in DecidedCall.__dataclass_fields__}


def of_every_kind() -> list[DecidedCall]:
    """Calls of which every format has some use, and calls that are left out."""
    drawn = {"drawn": True, "share": 0.25}
    edit = {"final": {"tool": "bank.pay"}, "reviews": (said("edit"),), "schema": HASH}
    many = [
        record(task="rent", schema=HASH),
        record(task="ümläut \u2028 🙂", final_arguments={"to": "bob", "amount": 90}, **edit),
        record(state="rejected", reviews=(said("reject", message="No.", reason_code="other"),)),
        record(state="responded", reviews=(said("respond", message="Done."),)),
        record(state="expired", reviews=()),
        unreviewed(audit=audited(), **drawn),
        unreviewed(audit=audited(Turned.WRONG), task="audited", **drawn),
        unreviewed(task="nobody looked"),
        record(masked=True, arguments={"to": "…11"}),
        record(arguments={"password": "hunter2"}, task="secret"),
        record(reports=(reported(),), task="wrong later"),
        record(tool="", arguments={}, request={"upstream": "x", "method": "GET", "path": "/"}),
        record(final_arguments={"to": "bob", "amount": 900}, task="back", **edit),
    ]
    return [
        record(**pack_again(each) | {"id": f"c{at:02}", "ended": NOON + at})
        for at, each in enumerate(many)
    ]


@pytest.mark.parametrize("name", list(formats()))
async def test_the_api_answers_what_the_command_writes(
    world: World, interlock: Command, folder: Path, name: str
) -> None:
    archive = MemoryArchive(records=of_every_kind(), known={HASH: SCHEMA})
    (folder / "policy.yaml").write_text(CAREFUL)
    policy = ("--policy=policy.yaml",) if name == "policy-tests" else ()
    asked = {"plain": ((), ""), "masked": (("--keep-masked",), "&masked=yes")}
    if formats()[name].meta:
        asked["meta"] = (("--with-meta",), "&meta=yes")
    async with people_with(world.deps, archive) as url:
        auditor = await an_auditor(world, interlock, folder, url)
        for kind, (options, query) in asked.items():
            command = ("export", "--format", name, f"--out={kind}", *policy, *options)
            done(await auditor.types(*command))
            pages = await _pages(auditor, f"/v1/feedback/export?format={name}&limit=4{query}")
            assert pages
            assert _file_of(name, pages) == _only_file(folder / kind).read_bytes()


async def _pages(auditor: Person, path: str | None) -> bytes:
    """Return all pages, put behind each other."""
    headers = {"Authorization": f"Bearer {auditor.file.read_text().strip()}"}
    found = b""
    async with ClientSession(auditor.url, headers=headers) as client:
        while path is not None:
            async with client.get(path) as answer:
                assert answer.status == 200, await answer.text()
                found += await answer.read()
                path = str(answer.links["next"]["url"]) if "next" in answer.links else None
    return found


def _file_of(name: str, pages: bytes) -> bytes:
    """Return the file that a command makes of what the API answers, one thing a line."""
    each = pages.split(b"\n")[:-1]
    if name == "label-studio":
        return b"[\n" + b",\n".join(each) + b"\n]\n"
    if name == "policy-tests":
        return "".join(suites(each, ["../policy.yaml"])).encode()
    return pages


def _only_file(made: Path) -> Path:
    [file] = [*made.glob("data-train.*"), *made.glob("recorded-*.yaml")]
    return file


def test_what_another_version_began_is_begun_anew(interlock: Command, folder: Path) -> None:
    records = written(folder, calls())
    aside = folder / "set" / ".export"
    aside.mkdir(parents=True)
    asked = {"format": "sft", "split": 0.0, "records": records}
    asked |= dict.fromkeys(("since", "until"))
    asked |= {"tool": "", "agent": ""}
    asked |= dict.fromkeys(("agreed_only", "keep_masked", "with_meta"), False)
    (aside / "note.json").write_text(json.dumps({"asked": asked}))
    command = ("export", "--format=sft", "--out=set", "--records", records)
    wrong = interlock(*command, "--resume")
    assert wrong.code == 1 and "another version" in wrong.err and "--replace" in wrong.err
    done(interlock(*command, "--replace"))


async def test_an_approvers_key_is_refused_with_the_cure(
    world: World, interlock: Command, folder: Path
) -> None:
    async with people_with(world.deps, MemoryArchive()) as url:
        approver = await an_auditor(world, interlock, folder, url, Kind.APPROVER)
        said_so = await approver.types("export", "--format=sft", "--out=set")
    assert said_so.code == 1
    assert "interlock keys create auditor NAME" in said_so.err
    assert "--resume" not in said_so.err
    assert not (folder / "set").exists()


def test_an_empty_archive_is_called_empty(interlock: Command, folder: Path) -> None:
    command = ("export", "--format=sft", "--records", written(folder, []))
    assert "The archive is empty" in done(interlock(*command, "--out=set")).err
    filtered = done(interlock(*command, "--out=other", "--tool=mail.send"))
    assert "Nothing fits" in filtered.err and "empty" not in filtered.err


async def test_since_is_counted_from_the_servers_now(
    world: World, interlock: Command, folder: Path
) -> None:
    now = await world.store.now()
    old, new = record(id="old", ended=now - 7_200_000), record(id="new", ended=now - 1000)
    async with people_with(world.deps, MemoryArchive(records=[old, new])) as url:
        auditor = await an_auditor(world, interlock, folder, url)
        command = ("export", "--format=records", "--out=r.jsonl", "--since", "1h")
        done(await auditor.types(*command))
    assert [line["id"] for line in lines(folder / "r.jsonl")] == ["new"]


def test_where_nobody_answers_it_says_so(interlock: Command, folder: Path) -> None:
    write_private(folder / "key", "ilk_auditor_x")
    where = ("--url", "http://127.0.0.1:1", "--key-file", "key")
    said_so = interlock("export", "--format=sft", "--out=set", *where)
    assert said_so.code == 1 and "does not answer" in said_so.err
