"""Counts what is said of calls once they have ended: learning_ports.Audits around another one."""

from __future__ import annotations

from ..core.actions import Action
from ..core.records import Audited, Reported
from ..learning_ports import Audits, Changed
from .metrics import Metrics


class CountedAudits:
    """Implements learning_ports.Audits. Only what was kept is counted."""

    def __init__(self, audits: Audits, metrics: Metrics) -> None:
        self._audits = audits
        self._learning = metrics.learning

    async def waiting(
        self, after: str | None, limit: int
    ) -> tuple[tuple[Action | Changed, ...], str | None]:
        return await self._audits.waiting(after, limit)

    async def count(self) -> int:
        return await self._audits.count()

    async def dropped(self) -> int:
        return await self._audits.dropped()

    async def get(self, action_id: str) -> Action | None:
        return await self._audits.get(action_id)

    async def judge(self, action_id: str, verdict: Audited) -> bool:
        kept = await self._audits.judge(action_id, verdict)
        if kept:
            self._learning.judged(verdict.turned)
        return kept

    async def report(self, action_id: str, report: Reported) -> bool:
        kept = await self._audits.report(action_id, report)
        if kept:
            self._learning.reported(report.by, report.turned)
        return kept
