"""Policy files that change while Interlock runs: read again, tried out, then put in force at once.

A new policy takes the place of the old one only as a whole, and only after its files are valid
and the suites beside them pass. Until then the old one stays, and what is wrong is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from .core.decisions import PolicyRef
from .core.errors import InvalidDocument, StoreUnavailable
from .core.rules import PolicySet
from .gate import Gate
from .ports import Clock
from .tryout import Loaded, Stamp, contents, load_apart, stamped, write_note

log = logging.getLogger("interlock.policy")

EVERY = 1.0  #: seconds between two looks at the files

Load = Callable[[Sequence[Path]], Awaitable[Loaded]]
"""Tries policy files out, wherever that may be; raises InvalidDocument."""

Unfit = Callable[[PolicySet], Awaitable[tuple[str, ...]]]
"""Answers why this installation cannot keep what a policy asks for; nothing where it can."""


class Counted(Protocol):
    """Who counts reloads: observe.metrics."""

    def policy(self, ref: PolicyRef) -> None: ...

    def policy_refused(self) -> None: ...


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
        load: Load = load_apart,
        unfit: Unfit = _always_fit,
        note: Path | None = None,
    ) -> None:
        self._paths = tuple(paths)
        self._gate = gate
        self._counted = counted
        self._clock = clock
        self._load = load
        self._unfit = unfit
        self._note = note
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
            loaded = await self._load(self._paths)
            problems = await self._unfit(loaded.policy)
        except InvalidDocument as error:
            return self._refused(tuple(map(str, error.problems)))
        except StoreUnavailable as error:  # whether it fits cannot be said now: look again soon
            self._stamp, self._digest = (), ""
            return self._refused((error.detail,))
        self._stamp, self._digest = loaded.stamp, loaded.digest
        if problems:
            return self._refused(problems)
        if self._note is not None:
            await asyncio.to_thread(write_note, self._note, loaded.digest)
        return self._taken(loaded.policy)

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
