"""Rotation: each held call is asked of one of those who may decide it, where policy says so."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from ..core.actions import Action
from ..core.desk import Absence, Assignment, Colleague
from ..core.entitled import approvers_at
from ..core.errors import StoreUnavailable
from ..core.rules import PolicySet
from ..people_ports import Desk
from ..ports import Notice
from .rights import owns

log = logging.getLogger("interlock.notify")
ROTATION = "rotation"  #: who asks


class Rotation:
    """ports.Notifier that asks one person of each call as it is held.

    *policy* answers the one in force. Who is asked is not the only one who may decide.
    """

    def __init__(self, desk: Desk, policy: Callable[[], PolicySet]) -> None:
        self._desk = desk
        self._policy = policy
        self._turn = asyncio.Lock()  # calls that are held at once go to different people

    async def notify(self, action: Action, why: Notice) -> None:
        if why is not Notice.HELD or not self._policy().attention.rotate:
            return
        try:
            async with self._turn:
                await self._ask_somebody(action)
        except StoreUnavailable as error:  # all who may decide it see it all the same
            log.warning("nobody is asked to decide %s: %s", action.id, error.detail)

    async def _ask_somebody(self, action: Action) -> None:
        (asked,) = await self._desk.assigned([action.id])
        if asked is not None:  # somebody was faster
            return
        most = self._policy().attention.per_hour
        for name in in_turn(action, await self._desk.colleagues(), most):
            stands = await self._desk.stands_in(name)
            if not any(owns(action, each.person) for each in stands):
                said = Assignment(to=name, by=ROTATION, at=0)
                await self._desk.assign(action.id, said)
                return
        log.warning("nobody is here to be asked to decide %s", action.id)


def in_turn(action: Action, colleagues: Sequence[Colleague], per_hour: int) -> tuple[str, ...]:
    """Return who may be asked to decide *action* as it is held, whoever has least to do first.

    Not the agent's owner, nobody who is away or has approved *per_hour* calls (0: any number).
    Who stands in for somebody has their groups.
    """
    decision = action.decision
    entitled = approvers_at(decision, action.created, action.created) if decision else ()
    away = [each.away for each in colleagues if each.away is not None]
    fit = [
        each
        for each in colleagues
        if each.away is None
        and not owns(action, each.id)
        and (not per_hour or each.approved < per_hour)
        and (not entitled or _groups(each, away) & frozenset(entitled))
    ]
    return tuple(
        each.id for each in sorted(fit, key=lambda each: (each.assigned, each.approved, each.id))
    )


def _groups(person: Colleague, away: Sequence[Absence]) -> frozenset[str]:
    lent = [each.groups for each in away if each.to == person.id]
    return frozenset(person.groups).union(*lent)
