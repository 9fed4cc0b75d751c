"""Metrics of what is learned from decided calls: audits, reports, the archive, calibration.

What the archive and the models say is asked for when metrics are read: what does not answer then
has no figure, rather than an old one. How many audits wait is told late and in steps: agents may
read metrics too, and must not know from them which of their calls was drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import monotonic

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ..core.records import Turned
from ..learning import Calibration, Refused
from ..learning_ports import Kept

STEP = 10  #: calls that were drawn; figures of them are rounded up to it
STALE_SECONDS = 3600.0  #: for which such a figure stays what it was
BY_AGENT, BY_PERSON = "agent", "person"  #: the first as `records.Reported.by` has it


class LearningMetrics:
    """Counts what is said of calls afterwards, and how learning from them goes.

    *clock*: seconds, for what is told late.
    """

    def __init__(self, registry: CollectorRegistry, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._drawn: tuple[float, int, int] | None = None  #: when, how many wait, are dropped
        self._judged = Counter(
            "interlock_audits_judged",
            "Calls drawn for an audit that somebody judged, by how they turned out",
            ("turned",),
            registry=registry,
        )
        self._reports = Counter(
            "interlock_outcome_reports",
            "What was reported of calls afterwards, by agents and by people",
            ("by", "turned"),
            registry=registry,
        )
        self._fits = Counter(
            "interlock_calibration_fits",
            "Times that confidence was fitted: kept, fewer (another archive knows more), failed",
            ("outcome",),
            registry=registry,
        )
        self._refused = Counter(
            "interlock_calibration_refused",
            "Models of confidence in the store that were not believed, and why",
            ("why",),
            registry=registry,
        )
        self._up = Gauge(
            "interlock_archive_up",
            "1 where the archive of decided calls answers and takes in what comes",
            registry=registry,
        )
        self._asked = _Asked()
        registry.register(self._asked)
        self._begin()

    def _begin(self) -> None:
        """Have everything at 0: a series that begins with 1 has not increased."""
        for turned in Turned:
            self._judged.labels(turned.value)
            for by in (BY_AGENT, BY_PERSON):
                self._reports.labels(by, turned.value)
        for outcome in ("kept", "fewer", "failed"):
            self._fits.labels(outcome)
        for why in Refused:
            self._refused.labels(why.value)

    def judged(self, turned: Turned) -> None:
        self._judged.labels(turned.value).inc()

    def reported(self, by: str, turned: Turned) -> None:
        """Count a report; *by* is `agent`, or anybody else's pseudonym."""
        who = BY_AGENT if by == BY_AGENT else BY_PERSON
        self._reports.labels(who, turned.value).inc()

    def fitted(self, outcome: str) -> None:
        self._fits.labels(outcome).inc()

    def refused(self, why: str) -> None:
        self._refused.labels(why).inc()

    def know_calibration(self, calibration: Calibration) -> None:
        """Have the figures of models say what *calibration* believes whenever they are read."""
        self._asked.calibration = calibration

    def know_archive(self, room: Callable[[], int | None], lag: Callable[[], float | None]) -> None:
        """Have figures say what these answer whenever they are read; None: nobody knows.

        *room*: bytes left on the archive's disk. *lag*: seconds that the oldest record which is not
        in the archive has waited.
        """
        self._asked.room, self._asked.lag = room, lag

    def archive_truth(self, kept: Kept | None, behind: int | None = None) -> None:
        """Take over what the archive says; None: it does not answer.

        *behind*: entries of the feed that it has not read, by the store; None: nobody knows.
        """
        self._up.set(0 if kept is None or kept.stuck else 1)
        self._asked.kept = kept
        self._asked.behind = behind

    def audits_truth(self, waiting: int | None, dropped: int | None = None) -> None:
        """Take over how many audits wait, and were not kept; None: the store does not answer.

        Both are told in steps, as they were up to an hour ago: see the module.
        """
        if waiting is None:
            self._asked.audits = self._asked.dropped = None
            return
        now = self._clock()
        if self._drawn is None or now >= self._drawn[0] + STALE_SECONDS:
            self._drawn = now, _stepped(waiting), _stepped(dropped or 0)
        _, self._asked.audits, self._asked.dropped = self._drawn


def _stepped(count: int) -> int:
    return -(-count // STEP) * STEP


class _Asked(Collector):
    """Figures that are not ours to keep: without a sample where nobody answers."""

    def __init__(self) -> None:
        self.kept: Kept | None = None
        self.behind: int | None = None
        self.audits: int | None = None
        self.dropped: int | None = None
        self.calibration: Calibration | None = None
        self.room: Callable[[], int | None] = lambda: None
        self.lag: Callable[[], float | None] = lambda: None

    def collect(self) -> Iterator[Metric]:
        yield from self._audits()
        yield from self._archive(self.kept)
        yield from self._models(self.calibration)

    def _audits(self) -> Iterator[Metric]:
        yield _gauge(
            "interlock_audits_waiting",
            "Calls drawn for an audit that nobody judged yet, up to an hour ago, in tens",
            self.audits,
        )
        yield _counter(
            "interlock_audits_dropped",
            "Calls drawn for an audit that were not kept for one: too many waited; in tens",
            self.dropped,
        )

    def _archive(self, kept: Kept | None) -> Iterator[Metric]:
        yield _gauge(
            "interlock_records_kept", "Decided calls in the archive", _of(kept, lambda k: k.records)
        )
        yield _gauge(
            "interlock_records_behind",
            "Decided calls that are not in the archive yet",
            self.behind,
        )
        yield _gauge(
            "interlock_records_lag_seconds",
            "Time that the oldest decided call that is not in the archive has waited; 0: none",
            self.lag(),
        )
        yield _gauge(
            "interlock_records_newest_timestamp_seconds",
            "When the newest decided call in the archive ended",
            kept.newest / 1000 if kept is not None and kept.newest else None,
        )
        yield _counter(
            "interlock_records_shortened",
            "Records that were kept short: their agent had filled its share of the day",
            _of(kept, lambda k: k.shortened),
        )
        yield _counter(
            "interlock_records_lost",
            "Records of decided calls that were dropped before the archive read them",
            _of(kept, lambda k: k.lost),
        )
        yield _counter(
            "interlock_records_forged",
            "Records in the store that nobody with our key wrote",
            _of(kept, lambda k: k.forged),
        )
        yield _gauge(
            "interlock_archive_size_bytes", "The archive on the disk", _of(kept, lambda k: k.size)
        )
        yield _gauge(
            "interlock_archive_disk_free_bytes",
            "What the disk of the archive, and of the embedded store, has left",
            self.room(),
        )

    def _models(self, calibration: Calibration | None) -> Iterator[Metric]:
        fitted = calibration.fitted if calibration else None
        yield _gauge(
            "interlock_calibration_age_seconds",
            "Time since the models in use were fitted",
            calibration.age if calibration else None,
        )
        yield _gauge(
            "interlock_calibration_models",
            "Models of confidence in use: one for each agent and tool that enough is known of",
            len(fitted.models.by) if fitted else 0,
        )
        yield _gauge(
            "interlock_calibration_labels",
            "Decided calls that the models in use were fitted on",
            fitted.labels if fitted else 0,
        )


def _of(kept: Kept | None, figure: Callable[[Kept], int]) -> int | None:
    return None if kept is None else figure(kept)


def _gauge(name: str, says: str, value: float | None) -> Metric:
    family = GaugeMetricFamily(name, says)
    if value is not None:
        family.add_metric([], value)
    return family


def _counter(name: str, says: str, value: float | None) -> Metric:
    family = CounterMetricFamily(name, says)
    if value is not None:
        family.add_metric([], value)
    return family
