"""What is decided behind `interlock mcp` is on record, and `interlock export` gives it out."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from interlock.keyfiles import write_private
from tests.support.wrapped import (
    PATIENCE,
    Wrapped,
    configured,
    decide,
    environment,
    person,
    words,
    wrapped,
)

pytestmark = pytest.mark.slow


async def interlock(folder: Path, *arguments: str) -> str:
    """Run a command as people do; return what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "interlock", *arguments),
        cwd=folder,
        env=environment(folder),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def exported(folder: Path, url: str, many: int) -> list[dict[str, Any]]:
    """Return the records that an auditor exports, once there are so many."""
    key = await interlock(folder, "keys", "create", "auditor", "iris")
    write_private(folder / "iris.key", key)
    async with person(url, folder) as ann, asyncio.timeout(PATIENCE):
        while True:
            async with ann.get("/metrics") as got:
                if f"interlock_records_kept {float(many)}\n" in await got.text():
                    break
    out = folder / "records.jsonl"
    asked = ("--format", "records", "--out", str(out), "--replace")
    await interlock(folder, "export", *asked, "--url", url, "--key-file", str(folder / "iris.key"))
    return [json.loads(line) for line in out.read_text().splitlines()]


async def approved(shim: Wrapped) -> str:
    """Have a gated call approved and sent; return its id."""
    given = await shim.call("wipe", line=1)
    call = await shim.decide("approve")
    assert words(await shim.until(id=given)) == 'wipe {"line": 1}'
    return call


def check(record: dict[str, Any]) -> None:
    """See that *record* says what the agent asked for, and what ann said."""
    assert (record["agent"], record["tool"], record["level"]) == ("local", "nasty.wipe", "approve")
    assert (record["state"], record["arguments"]) == ("answered", {"line": 1})
    assert record["request"]["mcp"]["tool"] == "wipe" and record["request"]["args"] == {"line": 1}
    assert [each["verdict"] for each in record["reviews"]] == ["approve"]
    assert "ann" not in [each["who"] for each in record["reviews"]]


async def test_a_call_approved_behind_the_wrapper_is_exported_from_its_archive(
    tmp_path: Path,
) -> None:
    config = configured(tmp_path, mcp={"default": {"hold": "30s"}})
    async with wrapped(config) as shim:
        await shim.initialize()
        call = await approved(shim)
        assert await shim.text("write", line=2) == 'write {"line": 2}'

        records = {each["id"]: each for each in await exported(tmp_path, await shim.people(), 2)}

        check(records.pop(call))
        (free,) = records.values()
        assert (free["tool"], free["level"]) == ("nasty.free", "allow")


@asynccontextmanager
async def served(config: Path) -> AsyncIterator[str]:
    """Run `interlock serve`; yield where people decide."""
    serve = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "interlock", "serve", "--config", str(config)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment(config.parent),
    )
    try:
        assert serve.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while b"People" not in (line := await serve.stdout.readline()):
                assert line
        yield line.split()[-1].decode().removesuffix("/review")
    finally:
        serve.terminate()
        await serve.wait()
        await serve.stdout.read()


async def test_a_call_behind_a_wrapper_that_joined_a_serve_is_in_the_serves_archive(
    tmp_path: Path,
) -> None:
    """The wrapper has no archive then, by design: one process of an installation follows."""
    async with served(configured(tmp_path)) as url:
        at = url.removeprefix("http://")
        config = configured(tmp_path, people=at, mcp={"default": {"hold": "30s"}})
        async with wrapped(config) as shim:
            await shim.initialize()
            given = await shim.call("wipe", line=1)
            async with person(url, tmp_path) as ann:
                call = await decide(ann, "approve")
            assert words(await shim.until(id=given)) == 'wipe {"line": 1}'
            assert "served by this process" not in shim.said
        (record,) = await exported(tmp_path, url, 1)  # the wrapper has gone; the record has not
        assert record["id"] == call
        check(record)
