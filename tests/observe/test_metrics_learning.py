"""What is learned is counted; what does not answer has no figure rather than an old one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import monotonic

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from interlock.core.calibration import Models, Platt
from interlock.core.records import Turned
from interlock.learning import Calibration, Fitted
from interlock.learning_ports import Kept
from interlock.observe.metrics import Metrics
from interlock.observe.metrics_learning import STALE_SECONDS, LearningMetrics
from tests.support.builders import NOON
from tests.test_learning import Clock
from tests.test_learning import Kept as KeptModels

HELD = Kept(records=12, oldest=1, newest=NOON, behind=0, lost=3, forged=1, shortened=5, size=4096)


class Ticking:
    """A clock, in seconds."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Learning:
    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.registry = CollectorRegistry()
        self.metrics = LearningMetrics(self.registry, clock)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


def test_audits_and_reports_are_counted_by_how_calls_turned_out() -> None:
    learning = Learning()
    learning.metrics.judged(Turned.WRONG)
    learning.metrics.reported("agent", Turned.RIGHT)
    learning.metrics.reported("r-0123456789ab", Turned.WRONG)
    assert learning.value("interlock_audits_judged_total", turned="wrong") == 1
    reports = "interlock_outcome_reports_total"
    assert learning.value(reports, by="agent", turned="right") == 1
    assert learning.value(reports, by="person", turned="wrong") == 1
    assert "r-0123456789ab" not in generate_latest(learning.registry).decode()


def test_the_archive_says_itself_what_it_holds() -> None:
    learning = Learning()
    learning.metrics.archive_truth(HELD, behind=7)
    assert learning.value("interlock_archive_up") == 1
    assert learning.value("interlock_records_kept") == 12
    assert learning.value("interlock_records_behind") == 7
    assert learning.value("interlock_records_lost_total") == 3
    assert learning.value("interlock_records_forged_total") == 1
    assert learning.value("interlock_records_shortened_total") == 5
    assert learning.value("interlock_records_newest_timestamp_seconds") == NOON / 1000
    assert learning.value("interlock_archive_size_bytes") == 4096


def test_an_empty_archive_has_no_newest_record() -> None:
    learning = Learning()
    learning.metrics.archive_truth(replace(HELD, records=0, newest=0))
    assert learning.value("interlock_records_newest_timestamp_seconds") is None


def test_room_and_lag_are_those_of_the_moment_in_which_they_are_asked_for() -> None:
    learning, room, lag = Learning(), [4096], [90.0]
    assert learning.value("interlock_archive_disk_free_bytes") is None
    assert learning.value("interlock_records_lag_seconds") is None
    learning.metrics.know_archive(
        room=lambda: room[-1] if room else None, lag=lambda: lag[-1] if lag else None
    )
    assert learning.value("interlock_archive_disk_free_bytes") == 4096
    assert learning.value("interlock_records_lag_seconds") == 90
    room.clear()
    lag.clear()
    assert learning.value("interlock_archive_disk_free_bytes") is None
    assert learning.value("interlock_records_lag_seconds") is None


def test_an_archive_that_does_not_answer_has_no_figures() -> None:
    learning = Learning()
    learning.metrics.archive_truth(HELD, behind=7)
    learning.metrics.archive_truth(None)
    assert learning.value("interlock_archive_up") == 0
    names = ("kept", "behind", "lost_total", "forged_total", "shortened_total")
    for name in (*names, "newest_timestamp_seconds"):
        assert learning.value(f"interlock_records_{name}") is None
    assert learning.value("interlock_archive_size_bytes") is None
    assert "# TYPE interlock_records_kept gauge" in generate_latest(learning.registry).decode()


def test_audits_that_wait_are_told_in_tens_and_an_hour_late() -> None:
    """An agent that reads metrics beside each of its calls learns of none that it was drawn."""
    clock = Ticking()
    learning = Learning(clock)

    def told(waiting: int | None, dropped: int | None = None) -> tuple[float | None, float | None]:
        learning.metrics.audits_truth(waiting, dropped)
        names = ("interlock_audits_waiting", "interlock_audits_dropped_total")
        return learning.value(names[0]), learning.value(names[1])

    assert told(None) == (None, None)
    assert told(2, 0) == (10, 0)
    for waiting in range(3, 40):
        assert told(waiting, waiting) == (10, 0)
    assert told(None) == (None, None)
    assert told(40, 1) == (10, 0), "an outage asks for nothing anew"
    clock.now += STALE_SECONDS
    assert told(40, 1) == (40, 10)
    clock.now += STALE_SECONDS
    assert told(41, 10) == (50, 10)


def test_fits_and_refusals_are_counted() -> None:
    learning = Learning()
    learning.metrics.fitted("kept")
    learning.metrics.refused("forged")
    assert learning.value("interlock_calibration_fits_total", outcome="kept") == 1
    assert learning.value("interlock_calibration_refused_total", why="forged") == 1


async def test_the_age_of_models_is_that_at_the_moment_when_it_is_asked_for() -> None:
    learning, clock = Learning(), Clock()
    models = Models(by={("", ""): Platt(of=60, slope=1.0, offset=0.0)})
    fitted = Fitted(models=models, at=NOON, labels=60, newest=NOON)
    calibration = Calibration(KeptModels(fitted), clock)
    learning.metrics.know_calibration(calibration)
    assert learning.value("interlock_calibration_age_seconds") is None
    assert learning.value("interlock_calibration_models") == 0
    await calibration.refresh()
    clock.now += 90_000
    assert learning.value("interlock_calibration_age_seconds") == 90
    assert learning.value("interlock_calibration_models") == 1
    assert learning.value("interlock_calibration_labels") == 60
    clock.now += 10**12  # nobody has heard of them for long
    assert learning.value("interlock_calibration_age_seconds") is None
    assert learning.value("interlock_calibration_models") == 0


@pytest.mark.parametrize(("agents", "everybody"), [(0, False), (3, False), (0, True), (2, True)])
def test_who_is_stopped_is_what_was_said_last(agents: int, everybody: bool) -> None:
    metrics = Metrics()
    metrics.stops(9, True)
    metrics.stops(agents, everybody)
    text = metrics.render().decode()
    assert f"interlock_agents_stopped {float(agents)}" in text
    assert f"interlock_all_agents_stopped {float(everybody)}" in text
