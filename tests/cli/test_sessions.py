"""`interlock sessions`, on a real embedded store."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from interlock.cli.sessions import _key_of
from interlock.cli.stores import StandingClock, opened
from interlock.config import load_config
from interlock.core.identity import Kind
from interlock.keyfiles import derived_keys
from interlock.people_ports import SignedIn
from interlock.signing_in import sign_ins_of
from tests.approvals.world import ANN, World

from .conftest import Command
from .test_review import Person, ann, redis, world  # noqa: F401, the fixtures


@pytest.fixture
def signed_in(folder: Path) -> None:
    (folder / "interlock.yaml").write_text("people: {url: 'https://gate.example'}\n")

    async def keep() -> None:
        config = load_config(folder / "interlock.yaml", {})
        async with opened(config) as at:
            key = derived_keys(config).sessions
            kept = sign_ins_of(config, at.store, key, StandingClock(at.now))
            for number, person in enumerate(("ann", "ann", "bob")):
                who = SignedIn(
                    person=person,
                    kind=Kind.APPROVER,
                    groups=("ops",),
                    by="link 00ff",
                    opened=at.now,
                    used=at.now,
                    ends=at.now + 3_600_000,
                )
                await kept.keep(f"{number:064x}", who)

    asyncio.run(keep())


@pytest.mark.usefixtures("signed_in")
def test_who_is_signed_in_is_listed_and_signed_out(interlock: Command) -> None:
    listed = interlock("sessions", "list").out
    assert listed.count("ann") == 2 and "bob" in listed and "link" in listed
    assert interlock("sessions", "end", "ann").out == "Ended 2 sessions of ann.\n"
    (bob,) = json.loads(interlock("sessions", "list", "--json").out)
    assert (bob["person"], bob["kind"], bob["groups"]) == ("bob", "approver", ["ops"])
    assert bob["ends"] > time.time_ns() // 1_000_000
    assert interlock("sessions", "end", "bob").out == "Ended 1 session of bob.\n"
    assert "Nobody" in interlock("sessions", "list").err


async def test_a_fresh_link_is_printed_for_whose_key_it_is(world: World, ann: Person) -> None:  # noqa: F811
    said = await ann.types("sessions", "link", "Ann")
    assert said.code == 0 and "Signs ann in, once, within 15 minutes" in said.err
    token = said.out.strip().partition("/sign-in?t=")[2]
    assert world.deps.links.peek(token) == ANN
    other = await ann.types("sessions", "link", "bob")
    assert other.code == 1 and "The key is ann's" in other.err and other.out == ""
    told = json.loads((await ann.types("sessions", "link", "--json")).out)
    assert told["url"].endswith(told["path"])


def test_a_local_persons_own_key_is_found_in_the_data_directory(folder: Path) -> None:
    (folder / "interlock.yaml").write_text("people: {local: [{id: ann}, {id: bob}]}\n")
    file = folder / "interlock.yaml"
    kept = folder / "interlock-data" / "operator-bob.key"
    kept.parent.mkdir()
    kept.write_text("ilk_approver_x")
    assert _key_of("Bob", file) == kept
    assert _key_of("ann", file) is None and _key_of(None, file) is None
