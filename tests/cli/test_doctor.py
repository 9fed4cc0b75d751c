"""`interlock doctor`, on a real embedded store."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from interlock.store.connection import connect
from interlock.store.same_secret import RedisSameSecret
from tests.support.stores import Server

from .conftest import Command


def test_the_starter_is_weak_but_sound(interlock: Command) -> None:
    interlock("init")
    said = interlock("doctor")
    assert said.code == 0
    assert "anonymous:" in said.out and "interlock keys create" in said.out
    assert "store durability: disk" in said.err
    assert "critical" not in said.out


def test_it_is_there_for_programs(interlock: Command) -> None:
    interlock("init")
    found = json.loads(interlock("doctor", "--json").out)
    assert {"name", "what", "cure", "critical", "path"} == set(found[0])
    assert "anonymous" in {weakness["name"] for weakness in found}


def test_a_store_that_evicts_is_critical(interlock: Command, folder: Path) -> None:
    interlock("init")
    server = Server("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru").start()
    try:
        text = (folder / "interlock.yaml").read_text()
        (folder / "interlock.yaml").write_text(f"{text}\nstore: {{url: '{server.url}'}}\n")
        said = interlock("doctor")
    finally:
        server.stop()
    assert said.code == 1
    assert said.out.startswith("critical  evicting-store:")


def test_a_broken_policy_is_told_first(interlock: Command, folder: Path) -> None:
    interlock("init")
    (folder / "policies/starter.yaml").write_text("nonsense: 1\n")
    said = interlock("doctor")
    assert said.code == 2
    assert "starter.yaml:1:1" in said.err


def test_another_secret_than_the_one_that_made_the_store_is_critical(
    interlock: Command, folder: Path
) -> None:
    interlock("init")
    server = Server("--maxmemory-policy", "noeviction").start()
    text = (folder / "interlock.yaml").read_text()
    (folder / "interlock.yaml").write_text(f"{text}\nstore: {{url: '{server.url}'}}\n")
    try:
        asyncio.run(made_by(server.url, b"another secret"))
        said = interlock("doctor")
    finally:
        server.stop()
    assert said.code == 1
    assert "critical  other-secret:" in said.out and "--new-secret" in said.out


async def made_by(url: str, secret: bytes) -> None:
    client = connect(url)
    try:
        assert await RedisSameSecret(client, key=secret).keep()
    finally:
        await client.aclose()
