"""`interlock init` and `interlock serve`."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import signal
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from interlock.cli.ports import listener
from interlock.cli.serve import _explained, announce, until_stopped
from interlock.config import load_config
from interlock.core.decisions import PolicyRef
from interlock.core.errors import InterlockError
from interlock.doctor import Weakness
from interlock.policies.load import load_policies
from interlock.ports import Durability
from interlock.running import Running

from .conftest import Command


def test_init_writes_a_configuration_and_a_policy_that_are_valid(
    interlock: Command, folder: Path
) -> None:
    said = interlock("init")
    assert said.code == 0
    assert said.out == (
        "Wrote interlock.yaml\nWrote policies/starter.yaml\nWrote policies/starter_test.yaml\n"
    )
    config = load_config(folder / "interlock.yaml", {})
    policy = load_policies(config.policies)
    assert set(policy.tools) == {"files.list", "files.read", "files.delete"}
    assert len(config.people.local) == 1


def test_init_overwrites_nothing(interlock: Command, folder: Path) -> None:
    (folder / "policies").mkdir()
    (folder / "policies" / "starter.yaml").write_text("mine")
    said = interlock("init")
    assert said.code == 1
    assert "exists already" in said.err
    assert not (folder / "interlock.yaml").exists()
    assert (folder / "policies" / "starter.yaml").read_text() == "mine"


def test_init_goes_into_another_folder(interlock: Command, folder: Path) -> None:
    assert interlock("init", "gate").code == 0
    assert (folder / "gate" / "interlock.yaml").exists()


def test_init_where_nothing_can_be_written_says_so(interlock: Command, folder: Path) -> None:
    (folder / "file").write_text("in the way")
    said = interlock("init", "file/gate")
    assert said.code == 1
    assert "cannot be written" in said.err


def test_serve_without_a_configuration_says_how_to_make_one(interlock: Command) -> None:
    said = interlock("serve")
    assert said.code == 2
    assert "interlock init" in said.err


def test_a_wrong_option_is_told_by_its_name(interlock: Command) -> None:
    interlock("init")
    said = interlock("serve", "--agents", "nowhere", "--store", "http://x")
    assert said.code == 2
    assert sorted(said.err.splitlines()) == [
        "--agents: write where to listen as HOST:PORT, such as 127.0.0.1:8080",
        "--store: write the store's URL as redis://HOST:PORT/0, rediss://... or unix://...",
        "2 problems found.",
    ]


def test_what_is_up_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    announce(
        Running(
            agents="http://127.0.0.1:8080",
            people="http://127.0.0.1:8081",
            store="embedded in /data",
            durability=Durability(grade="process", detail="survives kill -9", eviction=""),
            policy=PolicyRef(name="starter", version=3, sha256="ab" * 32),
            upstreams=("files", "mail"),
            links={"ann": "http://127.0.0.1:8081/sign-in#t0ken"},
            weaknesses=(Weakness(name="root", what="It runs as root.", cure="Do not."),),
        )
    )
    told = capsys.readouterr().out
    for part in (
        "http://127.0.0.1:8080/t/NAME/... (files, mail)",
        "http://127.0.0.1:8081/review",
        "embedded in /data; process: survives kill -9",
        "starter version 3 (sha256 abababababab)",
        "http://127.0.0.1:8081/sign-in#t0ken (works once)",
        "It runs as root.",
    ):
        assert part in told


def test_who_has_a_port_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert listener(port).startswith(f"process {os.getpid()} (")
    assert listener(port) == ""


async def a_taken_port_error(port: int) -> OSError:
    with pytest.raises(OSError) as raised:
        await asyncio.start_server(lambda r, w: None, "127.0.0.1", port)
    return raised.value


async def test_a_taken_port_names_who_has_it_and_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = load_config(None, {"INTERLOCK__PEOPLE__LISTEN": f"127.0.0.1:{port}"})
        error = _explained(await a_taken_port_error(port), config)
    assert error.detail.startswith(f"127.0.0.1:{port} (people) is taken by process {os.getpid()} (")
    assert f"--people 127.0.0.1:{port + 10}" in error.help


def test_a_port_for_the_privileged_is_explained() -> None:
    error = _explained(OSError(errno.EACCES, "Permission denied"), load_config(None, {}))
    assert isinstance(error, InterlockError) and "above 1023" in error.help


def test_an_error_that_is_no_listeners_is_not_swallowed() -> None:
    with pytest.raises(OSError, match="disk"):
        _explained(OSError(errno.EIO, "disk"), load_config(None, {}))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_work_after_it_has_cleaned_up(number: signal.Signals) -> None:
    steps: list[str] = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), number)
            await asyncio.Event().wait()
        finally:
            steps.append("cleaned up")

    await until_stopped(work())
    assert steps == ["cleaned up"]
    asyncio.get_running_loop().remove_signal_handler(number)


async def test_a_failure_while_starting_is_not_swallowed() -> None:
    async def work() -> None:
        raise InterlockError("no")

    with pytest.raises(InterlockError, match="no"):
        await until_stopped(work())


# the real program -------------------------------------------------------------------------------

needs_app = pytest.mark.skipif(find_spec("interlock.app") is None, reason="there is no app yet")


def served(*arguments: str) -> subprocess.Popen[str]:
    """Start `interlock serve` on free ports."""
    ports = ("--agents", "127.0.0.1:0", "--people", "127.0.0.1:0")
    return subprocess.Popen(
        [sys.executable, "-m", "interlock", "serve", *ports, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_until(child: subprocess.Popen[str], word: str) -> str:
    """Return what it printed, up to the line with *word*."""
    assert child.stdout is not None
    told = ""
    for line in child.stdout:
        told += line
        if word in line:
            return told
    raise AssertionError(f"it ended without {word!r}: {told}{child.communicate()[1]}")


@needs_app
def test_it_starts_tells_where_it_is_and_stops_on_sigterm(interlock: Command, folder: Path) -> None:
    interlock("init")
    child = served()
    told = read_until(child, "Sign in")
    url = re.search(r"People +(http://127\.0\.0\.1:\d+)/review", told)
    assert url is not None
    said = interlock("queue", "--url", url[1])
    assert (said.code, said.err) == (0, "Nothing waits.\n")
    kept = sorted((folder / "interlock-data").rglob("*"))
    assert [str(path) for path in kept if path.stat().st_mode & 0o077] == []
    child.send_signal(signal.SIGTERM)
    _, errors = child.communicate(timeout=30)
    assert child.returncode == 0
    assert "Traceback" not in errors
    assert errors.splitlines()[-1].startswith("Stopping: ")  # no library says more
    assert not (folder / "interlock-data" / "store" / "store.sock").exists()


@needs_app
def test_another_secret_does_not_start_on_the_store_unless_it_is_said_to_be_new(
    interlock: Command, folder: Path
) -> None:
    interlock("init")
    stopped(served())
    (folder / "interlock-data" / "secret.key").unlink()  # the next start makes another one

    child = served()
    _, errors = child.communicate(timeout=30)
    assert child.returncode == 1
    assert "Another secret than the one set here made this store" in errors
    assert "Traceback" not in errors

    stopped(served("--new-secret"))
    stopped(served())


def stopped(child: subprocess.Popen[str]) -> None:
    """Stop it once it is up."""
    read_until(child, "Sign in")
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=30)
    assert child.returncode == 0


@needs_app
def test_a_taken_port_is_no_traceback(interlock: Command, folder: Path) -> None:
    interlock("init")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        child = served("--agents", f"127.0.0.1:{port}")
        _, errors = child.communicate(timeout=30)
    assert child.returncode == 1
    assert f"127.0.0.1:{port} (agents) is taken by process {os.getpid()}" in errors
    assert "Traceback" not in errors


@needs_app
def test_an_unreachable_store_is_no_traceback(interlock: Command, folder: Path) -> None:
    interlock("init")
    child = served("--store", "redis://127.0.0.1:1/0")
    _, errors = child.communicate(timeout=30)
    assert child.returncode == 1
    assert "Error: The store cannot be reached." in errors
    assert "Traceback" not in errors


@needs_app
def test_without_a_valid_policy_it_does_not_start(interlock: Command, folder: Path) -> None:
    interlock("init")
    (folder / "policies/starter.yaml").write_text("nonsense: 1\n")
    child = served()
    _, errors = child.communicate(timeout=30)
    assert child.returncode == 2
    assert "starter.yaml:1:1" in errors
