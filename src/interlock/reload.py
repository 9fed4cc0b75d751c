"""Policy files that change while Interlock runs: read again, tried out, then put in force at once.

A new policy takes the place of the old one only as a whole, and only after its files are valid
and the suites beside them pass. Until then the old one stays, and what is wrong is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from .aside import Aside
from .core.decisions import PolicyRef
from .core.errors import InvalidDocument, StoreUnavailable
from .core.rules import Exception_, Limit, PolicySet, Rule, Tool
from .gate import Gate
from .people_ports import PoliciesSeen
from .ports import Clock
from .tryout import Loaded, Stamp, contents, load_apart, stamped, write_note

log = logging.getLogger("interlock.policy")

EVERY = 1.0  #: seconds between two looks at the files
LOOKING = 10.0  #: seconds that one look may take
MOST_NAMED = 20  #: in one line of the log

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
        seen: PoliciesSeen | None = None,
        looking: float = LOOKING,
    ) -> None:
        self._paths = tuple(paths)
        self._gate = gate
        self._counted = counted
        self._clock = clock
        self._load = load
        self._unfit = unfit
        self._note = note
        self._seen = seen
        self._tested = loaded.tested
        self._looking = looking
        self._aside = Aside()
        self._stamp = loaded.stamp
        self._digest = loaded.digest  #: of the files as they were last tried
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Have the files read again now, whether they look changed or not (SIGHUP)."""
        self._asked.set()

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        self._tell_tested()
        await self._note_seen("start")
        while True:
            asked = False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    asked = await self._asked.wait()
            self._asked.clear()
            await (self.reload() if asked else self.look())

    async def look(self) -> None:
        """Read the files again where they changed since they were last tried."""
        try:
            stamp = await self._aside.run(self._looking, stamped, self._paths)
            if stamp == self._stamp:
                return
            changed = await self._aside.run(self._looking, contents, self._paths) != self._digest
        except Exception as error:  # outermost: whatever went wrong, the policy in force stays
            self._forget()
            self._failed(error)
            return
        self._stamp = stamp
        if changed:
            await self.reload()

    async def reload(self) -> bool:
        """Put the files' policy in force, or say what is wrong; return whether it is in force."""
        try:
            return await self._reload()
        except InvalidDocument as error:
            return self._refused(tuple(map(str, error.problems)))
        except StoreUnavailable as error:  # whether it fits cannot be said now: look again soon
            self._forget()
            return self._refused((error.detail,))
        except Exception as error:  # outermost: whatever went wrong, the policy in force stays
            return self._failed(error)

    async def _reload(self) -> bool:
        self._forget()
        # as they are before they are read: what changes meanwhile is seen at the next look
        self._stamp, self._digest = await self._aside.run(self._looking, _seen, self._paths)
        loaded = await self._load(self._paths)
        problems = await self._unfit(loaded.policy)
        self._stamp, self._digest = loaded.stamp, loaded.digest
        if problems:
            return self._refused(problems)
        self._tested = loaded.tested
        self._taken(loaded.policy)
        await self._note_seen("reload")
        if self._note is not None:
            with contextlib.suppress(TimeoutError):  # then the next start tries them out again
                await self._aside.run(self._looking, write_note, self._note, loaded)
        return True

    async def _note_seen(self, by: str) -> None:
        if self._seen is not None:
            with contextlib.suppress(StoreUnavailable):  # a line less on a page
                await self._seen.note(self._gate.policy.ref, by)

    def _tell_tested(self) -> None:
        self._gate.policy_state = replace(self._gate.policy_state, tested=self._tested)

    def _failed(self, error: Exception) -> bool:
        """Tell of trouble that is not in what the files say."""
        where = ", ".join(map(str, self._paths))
        if isinstance(error, TimeoutError):
            problem = (
                f"{where}: could not be read within {self._looking:g} s: see whether the disk or "
                "share that it is on answers"
            )
        else:
            kind = f"{type(error).__name__}: {error}"
            problem = f"{where}: could not be tried out ({kind}): save it again, or send SIGHUP"
        if (problem,) == self._gate.policy_state.problems:
            return False  # told already
        if not isinstance(error, TimeoutError):
            log.error("could not look at the policy files", exc_info=error)
        return self._refused((problem,))

    def _forget(self) -> None:
        """Have the files tried out at the next look, whether they change or not."""
        self._stamp, self._digest = (), ""

    def _taken(self, policy: PolicySet) -> None:
        ref, before = policy.ref, self._gate.policy.ref
        vanished = gone(self._gate.policy, policy)
        self._gate.policy = policy  # one assignment: every call is judged by the old or the new
        self._gate.policy_state = replace(self._gate.policy_state, vanished=vanished)
        self._tell_tested()
        self._counted.policy(ref)
        log.info(
            "policy %s version %d (sha256 %s) is in force%s",
            ref.name,
            ref.version,
            ref.sha256,
            ", as before" if ref == before else f"; before: {before.name} version {before.version}",
        )
        if vanished:
            log.warning(
                "policy %s version %d no longer enforces: %s",
                ref.name,
                ref.version,
                _named(vanished),
            )

    def _refused(self, problems: tuple[str, ...]) -> bool:
        state, ref = self._gate.policy_state, self._gate.policy.ref
        self._counted.policy_refused()
        if problems != state.problems:
            stays = f"{ref.name} version {ref.version} stays in force"
            log.error("the policy files cannot be used; %s. What is wrong:", stays)
            for problem in problems:
                log.error("%s", problem)
        since = state.failed_at if state.problems else self._clock.now_ms()
        self._gate.policy_state = replace(state, problems=problems, failed_at=since)
        return False


def gone(before: PolicySet, now: PolicySet) -> tuple[str, ...]:
    """Return what *before* enforced and *now* does not, such as `rule night`.

    An exception counts as well, although without it calls wait that did not.
    """
    had, has = _ids(before), _ids(now)
    return tuple(each for each in had if each not in has)


def _ids(policy: PolicySet) -> dict[str, None]:
    """Return the ids of what is enforced, in a stable order."""
    if policy.shadow:
        return {}
    parts: Mapping[str, Iterable[Tool | Rule | Limit | Exception_]] = {
        "tool": policy.tools.values(),
        "rule": policy.rules,
        "limit": policy.limits,
        "exception": policy.exceptions,
    }
    return {
        f"{kind} {each.id}": None
        for kind, all_ in parts.items()
        for each in all_
        if not each.shadow
    }


def _named(vanished: Sequence[str]) -> str:
    rest = len(vanished) - MOST_NAMED
    return ", ".join(vanished[:MOST_NAMED]) + (f", and {rest} more" if rest > 0 else "")
