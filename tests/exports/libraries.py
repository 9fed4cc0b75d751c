"""An environment with the libraries that read exports, made once from locks with hashes.

It is one of its own, under .venv/exports, because it is large: about 650 MB. TRL is installed
without what it depends on: its data utilities need no torch.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

from tests.acceptance.mcp_clients.environments import LOCKS, ROOT, made

MADE = ROOT / ".venv" / "exports"
DRIVER = Path(__file__).parent / "library_driver.py"
_LOCKS = (LOCKS / "exports.lock", LOCKS / "exports-trl.lock")


def read(task: str, *arguments: str) -> Any:
    """Have the real library do *task* in its own environment; return what it saw."""
    ran = subprocess.run(
        [str(python()), "-W", "ignore", str(DRIVER), task, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**_surroundings(), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"},
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    return json.loads(ran.stdout.splitlines()[-1])


def python() -> Path:
    """Return the Python of the environment."""
    return made(MADE / "libraries", _both(), _install) / "bin" / "python"


def _both() -> Path:
    """Return a file that changes when either lock does."""
    both = MADE / "locks"
    told = "".join(hashlib.sha256(each.read_bytes()).hexdigest() for each in _LOCKS)
    if not both.exists() or both.read_text() != told:
        both.parent.mkdir(parents=True, exist_ok=True)
        both.write_text(told)
    return both


def _install(folder: Path) -> None:
    venv.create(folder, with_pip=False)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install"]
    pip += ["--quiet", "--no-compile", "--require-hashes"]
    for lock, more in zip(_LOCKS, ([], ["--no-deps"]), strict=True):
        command = [*pip, *more, "-r", str(lock)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{command} failed:\n{done.stdout}\n{done.stderr}")


def _surroundings() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
