"""The command line as a whole."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from interlock import __version__
from interlock.cli.main import COMMANDS, SECTIONS, cli

from .conftest import Command


def test_help_names_every_command_and_the_first_steps(interlock: Command) -> None:
    said = interlock("--help")
    assert said.code == 0
    assert "interlock init" in said.out and "Exit codes" in said.out
    for name in ("serve", "doctor", "keys", "queue", "approve"):
        assert f"\n  {name}" in said.out


def test_every_command_stands_in_one_section() -> None:
    listed = [name for names in SECTIONS.values() for name in names]
    assert sorted(listed) == sorted(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself_with_an_example(interlock: Command, name: str) -> None:
    if name not in cli.list_commands(None):  # type: ignore[arg-type]
        pytest.skip(f"this installation is without {name}")
    said = interlock(name, "--help")
    assert said.code == 0
    assert name in ("policy", "demo") or "xample" in said.out
    assert f"interlock {name}" in said.out


def test_the_version_is_said(interlock: Command) -> None:
    assert interlock("--version").out == f"interlock, version {__version__}\n"


def test_an_unknown_command_is_wrong_usage(interlock: Command) -> None:
    said = interlock("servr")
    assert said.code == 2
    assert "No such command 'servr'" in said.err


def test_an_unknown_option_is_wrong_usage(interlock: Command) -> None:
    assert interlock("serve", "--prot", "1").code == 2


def test_an_invalid_document_is_told_in_full_and_exits_2(interlock: Command, folder: Path) -> None:
    (folder / "interlock.yaml").write_text("agents: {hold: 4}\nlog: {levle: info}\n")
    said = interlock("keys", "list")
    assert said.code == 2
    assert said.err.splitlines() == [
        "interlock.yaml:1:16: write a duration with its unit: 250ms, 4s, 15m, 1h or 7d",
        "interlock.yaml:2:7: unknown key 'levle'; did you mean 'level'?",
        "2 problems found.",
    ]


def test_a_wrong_variable_is_told_by_its_name(
    interlock: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "interlock.yaml").write_text("")
    monkeypatch.setenv("INTERLOCK__LOG__LEVEL", "loud")
    said = interlock("keys", "list")
    assert said.err.startswith("INTERLOCK__LOG__LEVEL: write debug, info, warning or error here")


def test_an_expected_failure_has_a_cure_and_no_traceback(interlock: Command, folder: Path) -> None:
    (folder / "interlock.yaml").write_text("store: {url: 'redis://127.0.0.1:1/0'}\n")
    said = interlock("keys", "list")
    assert said.code == 1
    assert said.err.startswith("Error: The store cannot be reached.")
    assert "Traceback" not in said.err


def in_a_terminal(*arguments: str, **env: str) -> str:
    """Run the real command on a pseudo-terminal and return what it shows."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "interlock", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={"PATH": os.environ["PATH"], "TERM": "xterm", **env},
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            read = os.read(ours, 65_536)
        except OSError:  # the other side is closed
            break
        if not read:
            break
        shown += read
    os.close(ours)
    child.wait(30)
    return shown.decode()


def test_a_terminal_gets_colour_unless_it_asked_for_none(folder: Path) -> None:
    assert "\x1b[" in in_a_terminal("keys", "list")
    assert "\x1b[" not in in_a_terminal("keys", "list", NO_COLOR="1")


def test_a_pipe_that_closes_early_is_no_crash(folder: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "interlock", "--help"], stdout=write, stderr=subprocess.PIPE
    )
    os.close(write)
    assert done.returncode == 1
    assert done.stderr == b""
