"""Tries policy files out: valid, and every suite beside them that is about them passes.

`python -m interlock.tryout FILE...` does it in a process of its own, which neither a long suite nor
a hostile file takes from the calls of the one that serves.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from . import __version__
from .aside import Aside
from .core.errors import InvalidDocument, Problem
from .core.rules import PolicySet
from .policies.files import SUFFIXES, check_count, of_file, read_file, yaml_files
from .policies.load import is_suite, load_policies, policy_files
from .policies.suite import Report, policies_of, read_suite, run
from .policies.suite_coverage import Cell, Seen
from .ports import TriedOut

log = logging.getLogger("interlock.policy")

TRIES = 5  #: how often files are read again that change while they are read
CHANGING = "the files change while they are read; try again"
OTHER = "what was read is not what was tried out: the files change while they are read; try again"
PATIENCE = 600.0  #: seconds that suites may take
READING = 60.0  #: seconds that reading the files may take
GOING = 5.0  #: seconds that a process which was killed may take to be gone
MOST_TOLD = 100  #: problems

Stamp = tuple[tuple[str, int, int, int], ...]
"""Name, times of change (of contents and of rights, ns) and size of every file: cheap to look at.

What cannot be looked at is in it as well: once it can be, that is a change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A valid policy whose suites pass, and the files that it was read from."""

    policy: PolicySet
    stamp: Stamp
    digest: str  #: of the contents of all files, the suites' too
    tested: TriedOut | None = None  #: what the suites touched, where that is known


def load_tested(paths: Sequence[Path]) -> Loaded:
    """Read *paths* as one policy and run the suites beside them that name one of its files.

    Raises:
        InvalidDocument: with every problem of every file, or every case that fails.
    """
    for _ in range(TRIES):
        stamp, digest = stamped(paths), contents(paths)
        policy = load_policies(paths)
        for folder in _folders(paths):
            check_count(folder)  # else a suite could be among those that are not listed
        folders = frozenset(path.resolve() for path in paths if path.is_dir())
        asked = _Asked(files=_resolved(paths), folders=folders)
        reports: list[Report] = []
        failures = [
            problem
            for suite in _suites(paths)
            for problem in _failures(suite, policy, asked, reports)
        ]
        if contents(paths) != digest:
            continue  # somebody is writing: what was tried out is not what was read
        if failures:
            raise InvalidDocument(tuple(failures))
        return Loaded(policy=policy, stamp=stamp, digest=digest, tested=_tested(policy, reports))
    raise InvalidDocument((_problem(paths, CHANGING),))


def _folders(paths: Sequence[Path]) -> list[Path]:
    """Return the folders of the policy files: suites are looked for in them."""
    beside = [file.parent for file in policy_files(paths)]
    return list(dict.fromkeys([*filter(Path.is_dir, paths), *beside]))


def _suites(paths: Sequence[Path]) -> Iterator[Path]:
    """Find the suites beside the policy files; a folder that cannot be listed stands for them."""
    for folder in _folders(paths):
        try:
            yield from filter(is_suite, yaml_files(folder))
        except OSError:
            yield folder


def _tested(policy: PolicySet, reports: Sequence[Report]) -> TriedOut:
    """Return what all suites together touched of *policy*."""
    cases: Counter[tuple[str, str]] = Counter()
    cells: set[Cell] = set()
    for report in reports:
        cases.update({(each.kind, each.id): each.cases for each in report.coverage.parts})
        cells |= {cell for cell, count in report.coverage.cells if count}
    parts = Seen(parts=cases).coverage(policy).parts
    return TriedOut(
        suites=len(reports),
        passed=sum(report.passed for report in reports),
        cells=len(cells),
        parts=tuple((each.kind, each.id, each.cases) for each in parts),
    )


def _failures(
    file: Path, policy: PolicySet, asked: _Asked, reports: list[Report]
) -> Iterator[Problem]:
    """Run one suite; one that is about none of the loaded files says nothing about them."""
    try:
        suite, document = read_suite(file)
    except InvalidDocument:
        if _mentions(file, asked.files):
            raise
        return
    about = _resolved([file.parent / name for name in suite.policy])
    if not any(map(asked.concerns, about)):
        return
    named = policies_of(suite, file)
    judged = policy if about == asked.files else load_policies(named)
    reports.append(run(suite, document, judged))
    for number, failure in enumerate(reports[-1].failures):
        yield failure.problem if number else _with_cure(failure.problem, file)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What is tried out: its files, and the folders whose files all belong to it."""

    files: frozenset[Path]
    folders: frozenset[Path]

    def concerns(self, file: Path) -> bool:
        """Whether *file* is part of it, or would be if it were there."""
        return file in self.files or (file.parent in self.folders and file.suffix in SUFFIXES)


def _resolved(paths: Sequence[Path]) -> frozenset[Path]:
    return frozenset(file.resolve() for file in policy_files(paths))


def _with_cure(problem: Problem, suite: Path) -> Problem:
    cure = (
        "the policy is not put in force until its tests pass; mend it, or the test: "
        f"`interlock policy test {shlex.quote(str(suite))}` shows how each call was decided"
    )
    return replace(problem, message=f"{problem.message}; {cure}")


def _mentions(suite: Path, loaded: frozenset[Path]) -> bool:
    """Whether a suite that cannot be read seems to be about one of the loaded files."""
    try:
        text = read_file(suite)
    except InvalidDocument:
        return True
    return any(os.fsencode(file.name) in text for file in loaded)


def stamped(paths: Sequence[Path]) -> Stamp:
    """Look at names, times and sizes of the policy files and the suites beside them."""
    return tuple(_stamp(file) for file in (*policy_files(paths), *_suites(paths)))


def _stamp(file: Path) -> tuple[str, int, int, int]:
    try:
        found = file.stat()
    except OSError as error:
        return str(file), 0, 0, -(error.errno or 1)
    return str(file), found.st_mtime_ns, found.st_ctime_ns, found.st_size


def contents(paths: Sequence[Path]) -> str:
    """Return the SHA-256 over names and bytes of the policy files and the suites beside them."""
    whole = hashlib.sha256()
    for file in (*policy_files(paths), *_suites(paths)):
        try:
            text = b"1" + read_file(file)
        except InvalidDocument as error:
            text = b"0" + error.detail.encode("utf-8", "surrogateescape")
        for part in (os.fsencode(file), text):
            whole.update(len(part).to_bytes(8, "big") + part)
    return whole.hexdigest()


# once only, and elsewhere --------------------------------------------------------------------


async def load_once_apart(paths: Sequence[Path], note: Path) -> Loaded:
    """As `load_apart`, without the suites where *note* says that these very files passed them.

    Where there are none, nothing has to be run and no other process is needed.

    Raises:
        InvalidDocument: as `load_apart`.
    """
    aside = Aside()
    try:
        loaded = await aside.run(READING, _known, paths, note)
        if loaded is None:
            loaded = await aside.run(READING, _without_suites, paths)
    except TimeoutError:
        raise InvalidDocument((_problem(paths, _slow(READING)),)) from None
    if loaded is not None:
        return loaded
    log.info("these policy files are new here: their tests are run first")
    loaded = await load_apart(paths)
    await aside.run(READING, write_note, note, loaded)
    return loaded


def _known(paths: Sequence[Path], note: Path) -> Loaded | None:
    """Return the policy of files that passed before; None where they have to be tried out."""
    stamp, digest = stamped(paths), contents(paths)
    noted, _, tested = _noted(note).partition("\n")
    if not noted.startswith(_passed(digest, "")):
        return None
    policy = load_policies(paths)
    if noted != _passed(digest, policy.ref.sha256):
        return None  # read at another moment than the digest was taken
    return Loaded(policy=policy, stamp=stamp, digest=digest, tested=_read_tested(tested))


def _without_suites(paths: Sequence[Path]) -> Loaded | None:
    """Return the policy of files that have no suite beside them; None where one has to be run."""
    if any(_suites(paths)):
        return None
    try:
        loaded = load_tested(paths)
    except InvalidDocument as error:
        raise InvalidDocument(_told(error.problems)) from None
    if load_policies(paths).ref.sha256 != loaded.policy.ref.sha256:
        raise InvalidDocument((_problem(paths, OTHER),))  # they changed, and changed back
    return loaded


def _passed(digest: str, policy: str) -> str:
    return f"interlock {__version__} {digest} {policy}"


def _noted(note: Path) -> str:
    try:
        return note.read_text(encoding="utf-8")
    except (OSError, UnicodeError):
        return ""


def _tested_text(tested: TriedOut | None) -> str:
    return json.dumps(asdict(tested) if tested else None)


def _read_tested(text: str) -> TriedOut | None:
    """Return what `_tested_text` wrote; None where it is not that: a page says less then."""
    try:
        said = json.loads(text)
        parts = tuple((str(kind), str(name), int(cases)) for kind, name, cases in said["parts"])
        numbers = {name: int(said[name]) for name in ("suites", "passed", "cells")}
    except (ValueError, TypeError, KeyError):
        return None
    return TriedOut(parts=parts, **numbers)


def write_note(note: Path, loaded: Loaded) -> None:
    """Note that files passed; where that is not possible they are tried again at the next start."""
    made = note.with_name(f"{note.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        passed = _passed(loaded.digest, loaded.policy.ref.sha256)
        text = f"{passed}\n{_tested_text(loaded.tested)}\n"
        note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # the first start makes it
        with open(made, "w", encoding="utf-8", opener=_private) as file:
            file.write(text)
        made.replace(note)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


async def load_apart(paths: Sequence[Path]) -> Loaded:
    """As `load_tested`, with the work done by another process.

    Raises:
        InvalidDocument: as `load_tested`, or the other process failed.
    """
    told = await _told_by_another(paths)
    if told["problems"]:
        raise InvalidDocument(tuple(Problem(**each) for each in told["problems"]))
    try:
        loaded = await Aside().run(READING, _read, paths)
    except TimeoutError:
        raise InvalidDocument((_problem(paths, _slow(READING)),)) from None
    if loaded.digest != told["digest"]:
        raise InvalidDocument((_problem(paths, CHANGING),))
    if loaded.policy.ref.sha256 != told["policy"]:  # they changed, and changed back
        raise InvalidDocument((_problem(paths, OTHER),))
    return replace(loaded, tested=_read_tested(told["tested"]))


def _read(paths: Sequence[Path]) -> Loaded:
    stamp, policy = stamped(paths), load_policies(paths)
    return Loaded(policy=policy, stamp=stamp, digest=contents(paths))


def _slow(seconds: float) -> str:
    return (
        f"reading the files did not end within {seconds:g} s: see whether the disk or share that "
        "they are on answers, then send SIGHUP"
    )


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
        message = (
            f"trying it out did not end within {PATIENCE:g} s: see which suite takes so long "
            "(`interlock policy test`), then save the files again, or send SIGHUP"
        )
        raise InvalidDocument((_problem(paths, message),)) from None
    finally:
        if process.returncode is None:
            process.kill()
            with contextlib.suppress(TimeoutError):  # one that waits for a disk cannot be killed
                async with asyncio.timeout(GOING):
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
    try:
        loaded = load_tested([Path(name) for name in names])
    except InvalidDocument as error:
        return json.dumps({"problems": [asdict(each) for each in _told(error.problems)]})
    said = {"digest": loaded.digest, "policy": loaded.policy.ref.sha256, "problems": []}
    return json.dumps({**said, "tested": _tested_text(loaded.tested)})


def _told(problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """Return *problems*, or the first of very many."""
    if len(problems) <= MOST_TOLD:
        return problems
    rest = f"and {len(problems) - MOST_TOLD} more: `interlock policy check` shows them"
    return (*problems[:MOST_TOLD], replace(problems[MOST_TOLD], message=rest))


def _problem(paths: Sequence[Path], message: str) -> Problem:
    return of_file(", ".join(map(str, paths)), message)


if __name__ == "__main__":
    print(main(sys.argv[1:]))
