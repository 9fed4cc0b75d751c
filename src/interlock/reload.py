"""Policy files that change while Interlock runs: read again, tried out, then put in force at once.

A new policy takes the place of the old one only as a whole, and only after its files are valid
and the suites beside them pass. Until then the old one stays, and what is wrong is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from .core.decisions import PolicyRef
from .core.errors import InvalidDocument, Problem, StoreUnavailable
from .core.rules import PolicySet
from .gate import Gate
from .policies.load import is_suite, load_policies, policy_files
from .policies.suite import policies_of, read_suite, run
from .ports import Clock

log = logging.getLogger("interlock.policy")

EVERY = 1.0  #: seconds between two looks at the files
TRIES = 5  #: how often files are read again that change while they are read

Stamp = tuple[tuple[str, int, int], ...]
"""Name, time of change (ns) and size of every file: cheap to look at."""

Unfit = Callable[[PolicySet], Awaitable[tuple[str, ...]]]
"""Answers why this installation cannot keep what a policy asks for; nothing where it can."""


class Counted(Protocol):
    """Who counts reloads: observe.metrics."""

    def policy(self, ref: PolicyRef) -> None: ...

    def policy_refused(self) -> None: ...


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
    raise InvalidDocument((_problem(paths, "the files change while they are read; try again"),))


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


def _seen(paths: Sequence[Path]) -> tuple[Stamp, str]:
    return stamped(paths), contents(paths)


async def _always_fit(policy: PolicySet) -> tuple[str, ...]:
    return ()


class PolicyWatch:
    """Keeps the gate's policy as its files say: `look` when they may have changed, `ask` now."""

    def __init__(
        self,
        paths: Sequence[Path],
        gate: Gate,
        loaded: Loaded,
        *,
        counted: Counted,
        clock: Clock,
        unfit: Unfit = _always_fit,
    ) -> None:
        self._paths = tuple(paths)
        self._gate = gate
        self._counted = counted
        self._clock = clock
        self._unfit = unfit
        self._stamp = loaded.stamp
        self._digest = loaded.digest  #: of the files as they were last tried
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Have the files read again now, whether they look changed or not (SIGHUP)."""
        self._asked.set()

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            asked = False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    asked = await self._asked.wait()
            self._asked.clear()
            try:
                await (self.reload() if asked else self.look())
            except Exception:  # outermost: whatever went wrong, the policy in force stays
                log.exception("could not look at the policy files; the policy in force stays")

    async def look(self) -> None:
        """Read the files again where they changed since they were last tried."""
        stamp = await asyncio.to_thread(stamped, self._paths)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        if await asyncio.to_thread(contents, self._paths) != self._digest:
            await self.reload()

    async def reload(self) -> bool:
        """Put the files' policy in force, or say what is wrong; return whether it is in force."""
        # as they are before they are read: what changes meanwhile is seen at the next look
        self._stamp, self._digest = await asyncio.to_thread(_seen, self._paths)
        try:
            loaded = await asyncio.to_thread(load_tested, self._paths)
            problems = await self._unfit(loaded.policy)
        except InvalidDocument as error:
            return self._refused(tuple(map(str, error.problems)))
        except StoreUnavailable as error:  # whether it fits cannot be said now: look again soon
            self._stamp, self._digest = (), ""
            return self._refused((error.detail,))
        self._stamp, self._digest = loaded.stamp, loaded.digest
        return self._refused(problems) if problems else self._taken(loaded.policy)

    def _taken(self, policy: PolicySet) -> bool:
        ref, before = policy.ref, self._gate.policy.ref
        self._gate.policy = policy  # one assignment: every call is judged by the old or the new
        self._counted.policy(ref)
        log.info(
            "policy %s version %d (sha256 %s) is in force%s",
            ref.name,
            ref.version,
            ref.sha256,
            ", as before" if ref == before else f"; before: {before.name} version {before.version}",
        )
        return True

    def _refused(self, problems: tuple[str, ...]) -> bool:
        state, ref = self._gate.policy_state, self._gate.policy.ref
        self._counted.policy_refused()
        if problems != state.problems:
            stays = f"{ref.name} version {ref.version} stays in force"
            log.error("the policy files cannot be used; %s (%d problems)", stays, len(problems))
            for problem in problems:
                log.error("%s", problem)
        self._gate.policy_state = replace(state, problems=problems, failed_at=self._clock.now_ms())
        return False


def _problem(paths: Sequence[Path], message: str) -> Problem:
    return Problem(file=", ".join(map(str, paths)), line=1, column=1, message=message)
