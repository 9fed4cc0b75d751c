"""`interlock authenticators`, on a real embedded store."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from interlock.cli.stores import opened
from interlock.config import load_config
from interlock.keyfiles import derived_keys
from interlock.parts import authenticators_of
from interlock.people_ports import Authenticator

from .conftest import Command


@pytest.fixture
def two_of_ann(folder: Path) -> None:
    (folder / "interlock.yaml").write_text("people: {url: 'https://gate.example'}\n")

    async def keep() -> None:
        config = load_config(folder / "interlock.yaml", {})
        async with opened(config) as at:
            kept = authenticators_of(config, at.store, derived_keys(config))
            for name, synced in (("blue key", False), ("phone\u202e", True)):
                made = Authenticator(
                    id=name.partition("\u202e")[0].replace(" ", "_"),
                    person="ann",
                    public_key=b"x",
                    label=name,
                    synced=synced,
                    created=at.now,
                )
                await kept.add(made, first=False)
            junk = {"junk": b"not ours"}
            await at.store.client.hset("{interlock}:authn:ann", mapping=junk)

    asyncio.run(keep())


@pytest.mark.usefixtures("two_of_ann")
def test_what_a_person_lost_is_taken_away(interlock: Command) -> None:
    listed = interlock("authenticators", "list", "ann").out
    assert "blue key" in listed and "one device" in listed and "phone<U+202E>" in listed
    found = json.loads(interlock("authenticators", "list", "ann", "--json").out)
    assert [each["synced"] for each in found] == [False, True]
    assert interlock("authenticators", "forget", "ann").out == "Took 2 away from ann.\n"
    assert "ann has no security key" in interlock("authenticators", "list", "ann").err
    assert interlock("authenticators", "forget", "ann").out == "Took 0 away from ann.\n"
