"""The conformance suite: installed from the committed lock file, run by the Node of the venv."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ..support import npm
from ..support.npm import node

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
MODULES = HERE / "node_modules"
_ENTRY = MODULES / "@modelcontextprotocol/conformance/dist/index.js"


class SuiteError(Exception):
    """The suite did not run; the text says why, and what to do."""


def is_installed() -> bool:
    """Whether what package-lock.json names is in node_modules."""
    return npm.is_installed(HERE)


def install() -> None:
    """Installs exactly what package-lock.json names; raises NpmError."""
    npm.install(HERE)


def invoke(*arguments: str, seconds: float = 300) -> bool:
    """Runs the suite's command line in the repository's root; whether it ended with 0.

    Raises:
        SuiteError: the suite refused the arguments or did not end in *seconds*.
    """
    install()
    command = [str(node()), str(_ENTRY), *arguments]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as late:
        raise SuiteError(f"`{' '.join(arguments)}` did not end within {seconds:g} s") from late
    if "Results saved to" not in done.stdout + done.stderr:
        raise SuiteError(f"`{' '.join(arguments)}` ran nothing:\n{done.stderr[-2000:]}")
    return done.returncode == 0
