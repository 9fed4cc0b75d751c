"""What is said of calls afterwards is counted where it was kept, and only there."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from interlock.core.actions import Action
from interlock.core.errors import StoreUnavailable
from interlock.core.records import Audited, Reported, Turned
from interlock.observe.audited import CountedAudits
from interlock.observe.metrics import Metrics
from tests.support.builders import an_action
from tests.support.records import audited, reported


@dataclass
class Kept:
    """learning_ports.Audits that take what they are told, refuse it, or do not answer."""

    takes: bool = True
    down: bool = False
    told: list[object] = field(default_factory=list)

    async def waiting(self, after: str | None, limit: int) -> tuple[tuple[Action, ...], str | None]:
        return (an_action(),), after

    async def count(self) -> int:
        return 4

    async def dropped(self) -> int:
        return 0

    async def get(self, action_id: str) -> Action | None:
        return an_action(action_id=action_id)

    async def judge(self, action_id: str, verdict: Audited) -> bool:
        return self._take(verdict)

    async def report(self, action_id: str, report: Reported) -> bool:
        return self._take(report)

    def _take(self, said: object) -> bool:
        if self.down:
            raise StoreUnavailable
        self.told.append(said)
        return self.takes


def counted(metrics: Metrics) -> float:
    """Return how much was said of calls, as far as metrics know."""
    lines = metrics.render().decode().splitlines()
    names = ("interlock_audits_judged_total{", "interlock_outcome_reports_total{")
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(names))


async def test_what_was_kept_is_counted() -> None:
    metrics, kept = Metrics(), Kept()
    audits = CountedAudits(kept, metrics)
    assert await audits.judge("a1", verdict := audited(Turned.WRONG))
    assert await audits.report("a1", report := reported(Turned.RIGHT))
    assert kept.told == [verdict, report]
    text = metrics.render()
    assert b'interlock_audits_judged_total{turned="wrong"} 1.0' in text
    assert b'interlock_outcome_reports_total{by="agent",turned="right"} 1.0' in text


async def test_what_came_too_late_is_not_counted() -> None:
    metrics = Metrics()
    audits = CountedAudits(Kept(takes=False), metrics)
    assert not await audits.judge("a1", audited())
    assert not await audits.report("a1", reported())
    assert counted(metrics) == 0


async def test_what_was_not_kept_is_not_counted() -> None:
    metrics = Metrics()
    audits = CountedAudits(Kept(down=True), metrics)
    for said in (audits.judge("a1", audited()), audits.report("a1", reported())):
        with pytest.raises(StoreUnavailable):
            await said
    assert counted(metrics) == 0


async def test_what_waits_is_passed_on() -> None:
    audits = CountedAudits(Kept(), Metrics())
    (waits,), following = await audits.waiting("here", 5)
    assert (waits.id, following, await audits.count()) == ("a1", "here", 4)
    found = await audits.get("a7")
    assert found is not None and found.id == "a7"
