"""Running commands as people do, in a folder of their own."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from interlock.cli.main import run


@dataclass(frozen=True, slots=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


Command = Callable[..., Said]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and an environment without our settings."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.upper().startswith("INTERLOCK") or name == "NO_COLOR":
            monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def interlock(folder: Path) -> Command:
    """Run `interlock` with these arguments, in a pipe."""

    def command(*arguments: str) -> Said:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(arguments)
        return Said(code, out.getvalue(), err.getvalue())

    return command
