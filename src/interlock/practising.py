"""Puts practice calls among the held ones, now and then, and notes what people make of them.

Policy says how often (`approvals.decoys`). Each is like a call that a person rejected with a
reason. It comes some time after the held call that it is drawn for, so that no two cards tell by
coming together which is which.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from typing import Protocol

from .core.actions import Action, State, ToolCall
from .core.decisions import Decision, Level
from .core.decoys import another, decoy, due, eligible, renewed
from .core.errors import QueueFull, StoreUnavailable, Suspended
from .core.practice import Figures, Practised, decider, practised
from .core.rules import PolicySet
from .ports import Notice, Searched, Store

log = logging.getLogger("interlock")

LATEST_MS = 900_000  #: a practice call comes at most so long after the call it is drawn for
GAP_MS = 900_000  #: between two of them, in the whole installation
MOST_HELD = 50  #: with more calls waiting, people have enough to look at
MOST_DUE = 20  #: drawn and not planted yet
LOOK = 5.0  #: seconds between two looks for what is due
_PAGES, _PAGE, _LATELY = 5, 200, 200
_RUNNING_MS = 1_800_000  #: so long a session seems to run on
_AGED_MS = 86_400_000  #: what was rejected today is remembered still


class Gate(Protocol):
    """The part of `interlock.gate.Gate` that practising takes."""

    @property
    def policy(self) -> PolicySet: ...

    async def judge(self, call: ToolCall, own: str = "") -> Decision: ...

    async def plant(self, call: ToolCall, decision: Decision, of: str) -> Action: ...

    def genuine(self, action: Action) -> bool: ...


class Book(Protocol):
    """What is remembered of practice, in every process; `store.practice` has it."""

    async def take_turn(self, gap_ms: int) -> bool: ...

    async def shown(self, ids: Sequence[str]) -> frozenset[str]: ...

    async def show(self, action_id: str) -> None: ...

    async def note(self, person: str, action_id: str, ended: Practised, at: int) -> None: ...

    async def people(self, now: int) -> tuple[str, ...]: ...

    async def figures(self, people: Sequence[str], now: int) -> tuple[Figures, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What practice depends on. *draw* answers random numbers in [0, 1).

    `upstreams`: those that there are here. `wait_seconds`: how long a caller usually waits.
    `held` and `ended` hear of each practice call: no figure may tell it from others while it waits.
    """

    draw: Callable[[], float]
    upstreams: Collection[str]
    wait_seconds: float
    counted: Callable[[str], None]
    held: Callable[[Action], None] = lambda _: None
    ended: Callable[[Action], None] = lambda _: None
    aged_ms: int = _AGED_MS


class Practising:
    """ports.Notifier that draws at each held call, plants what is due, and keeps the record."""

    def __init__(self, gate: Callable[[], Gate], store: Store, book: Book, around: Around) -> None:
        self._gate = gate  # it is built with its notifiers, so it is asked for later
        self._store = store
        self._book = book
        self._around = around
        self._due: list[int] = []  #: ms, by the store's clock

    async def notify(self, action: Action, why: Notice) -> None:
        try:
            if action.decoy_of:
                if why is Notice.SETTLED:
                    await self._note(action)
            elif why is Notice.HELD:
                await self._draw()
        except StoreUnavailable as error:  # practice is never worth an error
            log.warning("practice calls: %s", error.detail)

    async def _draw(self) -> None:
        draw, share = self._around.draw, self._gate().policy.attention.decoys
        if due(share, draw()):
            now = await self._store.now()
            if len(self._due) < MOST_DUE:
                self._due.append(now + int(draw() * LATEST_MS))

    async def _note(self, action: Action) -> None:
        ended, person = practised(action), decider(action)
        if ended is None:
            return
        self._around.ended(action)
        if ended is not Practised.NEITHER:
            self._around.counted(ended.value)
        if person:
            await self._book.note(person, action.id, ended, action.changed)

    async def run(self) -> None:
        """Plant what is due until cancelled."""
        while True:
            await asyncio.sleep(LOOK)
            try:
                await self.plant_due()
            except Exception:  # outermost: one bad record must not end all practice
                log.exception("a practice call could not be planted")

    async def plant_due(self) -> Action | None:
        """Plant one practice call if one is due, fits, and policy asks for any still."""
        try:
            if not self._due or min(self._due) > await self._store.now():
                return None
            self._due.remove(min(self._due))
            return await self._plant() if self._gate().policy.attention.decoys else None
        except (QueueFull, Suspended, StoreUnavailable) as error:
            log.info("no practice call this time: %s", error.detail)
        return None

    async def _plant(self) -> Action | None:
        listed = await self._store.held(None, MOST_HELD)
        if listed.total > MOST_HELD:
            return None
        if not await self._book.take_turn(GAP_MS):  # first: choosing reads much
            return None
        chosen = await self._choose(listed.actions)
        if chosen is None:
            return None
        await self._book.show(chosen.of)
        real = [each for each in listed.actions if not each.decoy_of]
        planted = await self._gate().plant(chosen.call, chosen.decision, chosen.of)
        self._around.held(planted)
        if await self._attended(real):
            await self._store.attend(planted.id, self._around.wait_seconds)
        return planted

    async def _attended(self, real: Sequence[Action]) -> bool:
        """Whether a caller seems to wait for it: as often as one does for the calls around it."""
        waits = await self._store.attended([each.id for each in real])
        return not waits or waits[int(self._around.draw() * len(waits))]

    async def _choose(self, held: Sequence[Action]) -> _Chosen | None:
        """Draw among all that would do; the first that policy, as it is now, holds as it should."""
        now = await self._store.now()
        found = await self._candidates(now)
        lately = (*held, *await self._store.recent(_LATELY))
        alive = {each.call.agent.id for each in lately}
        fit = [each for each in found if each.call.agent.id in alive]
        used = await self._book.shown([each.id for each in fit])
        fit = [each for each in fit if each.id not in used]
        open_ = [each.decision for each in held if each.decoy_of]
        while fit:
            rejected = fit.pop(int(self._around.draw() * len(fit)))
            chosen = await self._as_of_now(rejected, lately, now)
            if chosen is not None and not any(_meet(chosen.decision, each) for each in open_):
                return chosen
        return None

    async def _candidates(self, now: int) -> list[Action]:
        policy, gate = self._gate().policy, self._gate()
        wanted = Searched(
            state=State.REJECTED.value,
            until=now - self._around.aged_ms,
            hidden=policy.redact.approver,
        )
        kept: list[Action] = []
        cursor = None
        for _ in range(_PAGES):
            listed = await self._store.search(wanted, cursor, _PAGE)
            kept += [
                each
                for each in listed.actions
                if eligible(each, policy)
                and each.call.upstream in self._around.upstreams
                and gate.genuine(each)
            ]
            cursor = listed.next
            if cursor is None:
                break
        return kept

    async def _as_of_now(
        self, rejected: Action, lately: Sequence[Action], now: int
    ) -> _Chosen | None:
        """Return what would be planted; None where it would not look like a call of today."""
        if await self._store.stopped(rejected.call.agent.id) is not None:
            return None
        session = self._session(rejected, lately, now)
        if session is None:
            return None
        fresh = renewed(rejected.call, formatdate(now / 1000, usegmt=True), self._around.draw)
        call = decoy(rejected, fresh, session)
        decision = await self._gate().judge(call)
        if decision.level is not Level.APPROVE or decision.redacted:
            return None
        return _Chosen(call=call, decision=decision, of=rejected.id)

    def _session(self, rejected: Action, lately: Sequence[Action], now: int) -> str | None:
        """Name the session that it seems to be of: one that its agent has open, else a new one.

        None: it would be that of the rejected call, whose card stands among its earlier calls.
        """
        before = rejected.call.context.session
        running = [
            (each.created, each.call.context.session)
            for each in lately
            if each.call.agent.id == rejected.call.agent.id
            and not each.decoy_of
            and each.created > now - _RUNNING_MS
        ]
        session = max(running)[1] if running else another(before, self._around.draw)
        return None if before and session == before else session


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    call: ToolCall
    decision: Decision
    of: str


def _meet(one: Decision, other: Decision | None) -> bool:
    """Whether the same people might decide both: nobody practises twice at a time."""
    if other is None or not one.approvers or not other.approvers:
        return True
    return not set(one.approvers).isdisjoint(other.approvers)
