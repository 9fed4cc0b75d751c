"""`interlock replay` and `tune` against the real people's side, with an archive behind it."""

from __future__ import annotations

import json
from pathlib import Path

from interlock.core.identity import Kind
from interlock.core.practice import Practised
from interlock.keyfiles import write_private
from tests.approvals.world import World
from tests.support.archive import MemoryArchive, people_with

from .conftest import Command
from .recorded_calls import POLICY, TUNABLE, month, paid
from .test_review import Person, redis, world

__all__ = ("redis", "world")


async def somebody(
    world: World,
    interlock: Command,
    folder: Path,
    url: str,
    kind: Kind = Kind.AUDITOR,
) -> Person:
    file = folder / "some.key"
    write_private(file, await world.key(kind))
    return Person(interlock, url, file)


async def test_every_record_of_the_running_interlock_is_judged_again(
    world: World,
    interlock: Command,
    folder: Path,
) -> None:
    (folder / "new.yaml").write_text(POLICY)
    archive = MemoryArchive(records=[paid(each) for each in range(2301)])
    async with people_with(world.deps, archive) as url:
        auditor = await somebody(world, interlock, folder, url)
        said = await auditor.types("replay", "--policy", "new.yaml", "--json", "--limit", "1")
    assert said.code == 0, said.err
    answer = json.loads(said.out)
    assert (answer["calls"][0]["id"], answer["not_listed"]) == ("c00000", 2300)
    assert answer["counts"]["looser"] == 2301
    assert archive.pages == 3


async def test_an_approvers_key_is_refused_with_the_cure(
    world: World,
    interlock: Command,
    folder: Path,
) -> None:
    (folder / "new.yaml").write_text(POLICY)
    async with people_with(world.deps, MemoryArchive()) as url:
        approver = await somebody(world, interlock, folder, url, Kind.APPROVER)
        said = await approver.types("replay", "--policy", "new.yaml")
    assert said.code == 1
    assert "interlock keys create auditor NAME" in said.err


async def test_a_policy_is_tuned_on_what_the_running_interlock_recorded(
    world: World,
    interlock: Command,
    folder: Path,
) -> None:
    (folder / "bank.yaml").write_text(TUNABLE)
    async with people_with(world.deps, MemoryArchive(records=month())) as url:
        auditor = await somebody(world, interlock, folder, url)
        said = await auditor.types("tune", "--policy", "bank.yaml", "--json")
    assert said.code == 0, said.err
    answer = json.loads(said.out)
    assert len(answer["changes"]) == 2
    assert answer["practice"] == {"caught": 0, "missed": 0}


async def test_what_everybody_made_of_practice_calls_is_asked_for(
    world: World,
    interlock: Command,
    folder: Path,
) -> None:
    assert world.deps.practice is not None
    now = await world.store.now()
    for person, number in (("ann", 3), ("bea", 2)):
        for each in range(number):
            await world.deps.practice.note(person, f"{person}{each}", Practised.CAUGHT, now)
    await world.deps.practice.note("bea", "missed", Practised.MISSED, now)
    (folder / "bank.yaml").write_text(TUNABLE)
    async with people_with(world.deps, MemoryArchive(records=month())) as url:
        auditor = await somebody(world, interlock, folder, url)
        asked = await auditor.types("tune", "--policy", "bank.yaml", "--json")
        told = await auditor.types("tune", "--policy", "bank.yaml", "--practice", "9/1", "--json")
    assert json.loads(asked.out)["practice"] == {"caught": 5, "missed": 1}
    assert json.loads(told.out)["practice"] == {"caught": 9, "missed": 1}
