"""Tries policy files out: valid, and every suite beside them that is about them passes.

`python -m interlock.tryout FILE...` does it in a process of its own, which neither a long suite nor
a hostile file takes from the calls of the one that serves.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import __version__
from .core.errors import InvalidDocument, Problem
from .core.rules import PolicySet
from .policies.load import is_suite, load_policies, policy_files
from .policies.suite import policies_of, read_suite, run

TRIES = 5  #: how often files are read again that change while they are read
CHANGING = "the files change while they are read; try again"
PATIENCE = 600.0  #: seconds that suites may take

Stamp = tuple[tuple[str, int, int], ...]
"""Name, time of change (ns) and size of every file: cheap to look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A valid policy whose suites pass, and the files that it was read from."""

    policy: PolicySet
    stamp: Stamp
    digest: str  #: of the contents of all files, the suites' too


def load_tested(paths: Sequence[Path]) -> Loaded:
    """Read *paths* as one policy and run the suites beside them that name one of its files.

    Raises:
        InvalidDocument: with every problem of every file, or every case that fails.
    """
    for _ in range(TRIES):
        stamp, digest = stamped(paths), contents(paths)
        policy = load_policies(paths)
        about = frozenset(file.resolve() for file in policy_files(paths))
        failures = [
            problem for suite in _suites(paths) for problem in _failures(suite, policy, about)
        ]
        if contents(paths) != digest:
            continue  # somebody is writing: what was tried out is not what was read
        if failures:
            raise InvalidDocument(tuple(failures))
        return Loaded(policy=policy, stamp=stamp, digest=digest)
    raise InvalidDocument((_problem(paths, CHANGING),))


def _suites(paths: Sequence[Path]) -> Iterator[Path]:
    """Find the suites in the folders of the policy files."""
    folders = dict.fromkeys(file.parent for file in policy_files(paths))
    for folder in folders:
        yield from sorted(file for file in folder.glob("*.y*ml") if is_suite(file))


def _failures(file: Path, policy: PolicySet, loaded: frozenset[Path]) -> Iterator[Problem]:
    """Run one suite; one that is about none of the loaded files says nothing about them."""
    try:
        suite, document = read_suite(file)
        named = policies_of(suite, file)
    except InvalidDocument:
        if _mentions(file, loaded):
            raise
        return
    about = frozenset(each.resolve() for each in policy_files(named))
    if not about & loaded:
        return
    judged = policy if about == loaded else load_policies(named)
    for failure in run(suite, document, judged).failures:
        yield failure.problem


def _mentions(suite: Path, loaded: frozenset[Path]) -> bool:
    """Whether a suite that cannot be read seems to be about one of the loaded files."""
    try:
        text = suite.read_bytes()
    except OSError:
        return True
    return any(os.fsencode(file.name) in text for file in loaded)


def stamped(paths: Sequence[Path]) -> Stamp:
    """Look at names, times and sizes of the policy files and the suites beside them."""
    stamp = []
    for file in (*policy_files(paths), *_suites(paths)):
        with contextlib.suppress(OSError):  # a file that is gone is not in the stamp: a change
            found = file.stat()
            stamp.append((str(file), found.st_mtime_ns, found.st_size))
    return tuple(stamp)


def contents(paths: Sequence[Path]) -> str:
    """Return the SHA-256 over names and bytes of the policy files and the suites beside them."""
    whole = hashlib.sha256()
    for file in (*policy_files(paths), *_suites(paths)):
        try:
            text = file.read_bytes()
        except OSError:
            text = b"\0cannot be read"
        for part in (str(file).encode("utf-8", "surrogateescape"), text):
            whole.update(len(part).to_bytes(8, "big") + part)
    return whole.hexdigest()


# once only, and elsewhere --------------------------------------------------------------------


def load_once_tested(paths: Sequence[Path], note: Path) -> Loaded:
    """As `load_tested`, without the suites where *note* says that these very files passed them."""
    stamp, digest = stamped(paths), contents(paths)
    if _noted(note) == _passed(digest):
        policy = load_policies(paths)
        if contents(paths) == digest:
            return Loaded(policy=policy, stamp=stamp, digest=digest)
    loaded = load_tested(paths)
    write_note(note, loaded.digest)
    return loaded


def _passed(digest: str) -> str:
    return f"interlock {__version__} {digest}\n"


def _noted(note: Path) -> str:
    try:
        return note.read_text(encoding="utf-8")
    except (OSError, UnicodeError):
        return ""


def write_note(note: Path, digest: str) -> None:
    """Note that the files of *digest* passed; where that is not possible they are tried again."""
    made = note.with_name(f"{note.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        made.write_text(_passed(digest), encoding="utf-8")
        made.replace(note)


async def load_apart(paths: Sequence[Path]) -> Loaded:
    """As `load_tested`, with the work done by another process.

    Raises:
        InvalidDocument: as `load_tested`, or the other process failed.
    """
    stamp = await asyncio.to_thread(stamped, paths)
    told = await _told_by_another(paths)
    if told["problems"]:
        raise InvalidDocument(tuple(Problem(**each) for each in told["problems"]))
    policy = await asyncio.to_thread(load_policies, paths)
    if await asyncio.to_thread(contents, paths) != told["digest"]:
        raise InvalidDocument((_problem(paths, CHANGING),))
    return Loaded(policy=policy, stamp=stamp, digest=told["digest"])


async def _told_by_another(paths: Sequence[Path]) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, *map(str, paths)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate()
    except TimeoutError:
        message = f"its tests did not end within {PATIENCE:g} s"
        raise InvalidDocument((_problem(paths, message),)) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    try:
        told: dict[str, Any] = json.loads(out)
    except ValueError:
        words = err.decode(errors="replace").strip().splitlines()
        message = f"could not be tried out: {words[-1] if words else 'the process died'}"
        raise InvalidDocument((_problem(paths, message),)) from None
    return told


def main(names: Sequence[str]) -> str:
    """Return what the process that asked has to know, as JSON."""
    with contextlib.suppress(OSError):
        os.nice(10)  # calls come first
    problems: list[dict[str, object]] = []
    digest = ""
    try:
        digest = load_tested([Path(name) for name in names]).digest
    except InvalidDocument as error:
        problems = [asdict(problem) for problem in error.problems]
    return json.dumps({"digest": digest, "problems": problems})


def _problem(paths: Sequence[Path], message: str) -> Problem:
    return Problem(file=", ".join(map(str, paths)), line=1, column=1, message=message)


if __name__ == "__main__":
    print(main(sys.argv[1:]))
