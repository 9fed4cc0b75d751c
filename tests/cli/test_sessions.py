"""`interlock sessions`, on a real embedded store."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from interlock.cli.stores import StandingClock, opened
from interlock.config import load_config
from interlock.core.identity import Kind
from interlock.keyfiles import derived_keys
from interlock.people_ports import SignedIn
from interlock.signing_in import sign_ins_of

from .conftest import Command


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
