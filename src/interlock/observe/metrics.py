"""Prometheus metrics: a function of transitions, with labels from configuration only.

Names follow Prometheus' conventions: base units, `_total` for counters. No label ever holds text
of an agent: tools are catalogue ids or `unknown`, upstreams are configured names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from time import monotonic

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from ..core.actions import Action, State, Verdict
from ..core.decisions import Decision, PolicyRef
from ..core.events import (
    Answered,
    ClearanceFailed,
    Decided,
    Event,
    LeaseLost,
    Lost,
    NotSent,
    Reviewed,
)
from .metrics_learning import LearningMetrics
from .metrics_people import HELD_LEVELS, PeopleMetrics
from .shadow import asked

CONTENT_TYPE = CONTENT_TYPE_LATEST
_CALL = ("upstream", "tool", "level")
EVALUATION_ERROR = "evaluation_error"  #: the reason of `core.evaluate` where judging failed
FAIL_CLOSED = ("store-unavailable", "state-unavailable", "internal-error")
_ENDS = {
    State.DENIED: "denied",
    State.REJECTED: "rejected",
    State.RESPONDED: "responded",
    State.EXPIRED: "expired",
    State.CANCELLED: "cancelled",
    State.ANSWERED: "answered",
    State.UNKNOWN: "unknown",
}
_QUICK = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0)
_HUMAN = (1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 14400, 86400)


class Metrics:
    """ports.Observer. `render` gives the text that Prometheus scrapes.

    `people`: what they decide; `learning`: what is learned from it. *clock*: seconds, for what
    is forgotten after a while.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = self._registry = CollectorRegistry()
        self._children: dict[tuple[Counter, tuple[str, ...]], Counter] = {}
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self._calls = Counter(
            "interlock_calls", "Calls judged, and practice calls", _CALL, registry=registry
        )
        self._outcomes = Counter(
            "interlock_call_outcomes",
            "Calls that ended, by how; calls minus outcomes are open",
            (*_CALL, "outcome"),
            registry=registry,
        )
        self._settled = Counter(
            "interlock_unknown_settled",
            "Unknown outcomes that were settled later: answered late, or by a person",
            ("how",),
            registry=registry,
        )
        self._refusals = Counter(
            "interlock_requests_refused",
            "Requests refused before or outside a decision, by kind of problem",
            ("kind",),
            registry=registry,
        )
        self._decision = Histogram(
            "interlock_decision_seconds",
            "Time that policy took to judge a call",
            buckets=_QUICK,
            registry=registry,
        )
        self._added = Histogram(
            "interlock_added_latency_seconds",
            "Time from a parsed call to its send, judging and recording included",
            buckets=_QUICK,
            registry=registry,
        )
        self._to_decision = Histogram(
            "interlock_time_to_decision_seconds",
            "Time that a held call waited for people until it was settled",
            ("level",),
            buckets=_HUMAN,
            registry=registry,
        )
        self._reviews = Counter(
            "interlock_reviews", "Reviews by people", ("verdict", "level"), registry=registry
        )
        self._expirations = Counter(
            "interlock_expirations",
            "Calls that nobody settled in time",
            ("level",),
            registry=registry,
        )
        self._upstream = Counter(
            "interlock_upstream_outcomes",
            "What became of sends: status class, not_sent, lost",
            ("upstream", "outcome"),
            registry=registry,
        )
        self._store_errors = Counter(
            "interlock_store_errors", "Operations that the store did not take", registry=registry
        )
        self._held = Gauge("interlock_holds_open", "Calls waiting for people", registry=registry)
        self._oldest = Gauge(
            "interlock_hold_oldest_age_seconds", "Age of the oldest held call", registry=registry
        )
        self._unknown = Gauge(
            "interlock_unknown_open", "Unknown outcomes that nobody settled", registry=registry
        )
        self._up = Gauge("interlock_store_up", "1 where the store answers", registry=registry)
        self._definitions = Gauge(
            "interlock_definitions_waiting",
            "Tools of MCP servers that are new or changed, and that nobody accepted",
            registry=registry,
        )
        self._accepted = Counter(
            "interlock_definitions_accepted",
            "Definitions of MCP tools that people accepted",
            registry=registry,
        )
        self._policy = Info("interlock_policy", "The policy in force", registry=registry)
        self._reloads = Counter(
            "interlock_policy_reloads",
            "Times that the policy files were read, by outcome: loaded, refused",
            ("outcome",),
            registry=registry,
        )
        self._stale = Gauge(
            "interlock_policy_stale",
            "1 where the policy files are wrong and an earlier policy stays in force",
            registry=registry,
        )
        self._flight = Gauge(
            "interlock_tasks_in_flight", "Sends and records under way", registry=registry
        )
        self._limits = Counter(
            "interlock_limits_fired",
            "Calls that a limit or a cap of policy raised or denied",
            ("limit",),
            registry=registry,
        )
        self._grants = Counter(
            "interlock_grants_used",
            "Calls that a person's grant let through",
            ("tool",),
            registry=registry,
        )
        self._shadow = Counter(
            "interlock_shadow_decisions",
            "What fired in shadow mode, by the level that it asked for",
            ("rule", "level"),
            registry=registry,
        )
        self._shadowed: dict[tuple[str, str], tuple[int, int]] = {}
        self._reveals = Counter(
            "interlock_reveals", "Times that a person had hidden values shown", registry=registry
        )
        self._presses = Counter(
            "interlock_channel_presses_refused",
            "Presses of buttons in chats that were refused, by channel and why",
            ("channel", "why"),
            registry=registry,
        )
        self._practice = Counter(
            "interlock_practice",
            "Practice calls that ended, by how: caught, missed, unanswered",
            ("outcome",),
            registry=registry,
        )
        self._notifications = Counter(
            "interlock_notifications",
            "Notices by what became of them: delivered, retried, dead, outdated, dropped",
            ("channel", "outcome"),
            registry=registry,
        )
        self._notices_waiting = Gauge(
            "interlock_notifications_waiting",
            "Notices that people were not told yet",
            registry=registry,
        )
        self._notices_dead = Gauge(
            "interlock_notifications_dead",
            "Notices that are not tried any more; see `interlock notifications list`",
            registry=registry,
        )
        self._indeterminate = Counter(
            "interlock_decisions_indeterminate",
            "Calls judged though something of policy could not be evaluated: the stricter counts",
            registry=registry,
        )
        self._uncleared = Counter(
            "interlock_clearance_failures",
            "Sends that were refused: what the store holds is not what was approved",
            registry=registry,
        )
        self._stopped = Gauge(
            "interlock_agents_stopped", "Agents that people stopped one by one", registry=registry
        )
        self._all_stopped = Gauge(
            "interlock_all_agents_stopped", "1 where people stopped all agents", registry=registry
        )
        self._lifted = Gauge(
            "interlock_stops_lifted",
            "Stops that were taken out of the store past Interlock; they hold until one is resumed",
            registry=registry,
        )
        self._begin()
        self.people = PeopleMetrics(registry, clock)
        self.learning = LearningMetrics(registry, clock)

    def _begin(self) -> None:
        """Have what alerts watch at 0: a series that begins with 1 has not increased."""
        for kind in FAIL_CLOSED:
            self._refusals.labels(kind)
        for level in HELD_LEVELS:
            self._expirations.labels(level)
            for verdict in Verdict:
                self._reviews.labels(verdict.value, level)
        for outcome in ("caught", "missed", "unanswered"):
            self._practice.labels(outcome)
        for read in ("loaded", "refused"):
            self._reloads.labels(read)

    # ports.Observer ------------------------------------------------------------------------

    def timed(self, what: str, seconds: float) -> None:
        (self._decision if what == "decision" else self._added).observe(seconds)

    def transition(self, before: Action, event: Event, after: Action) -> None:
        labels = _labels(after)
        level = labels[2]
        if isinstance(event, Decided):
            self._child(self._calls, *labels).inc()
            self._decided(event.decision)
        self.people.transition(before, event, after)
        if isinstance(event, ClearanceFailed):
            self._uncleared.inc()
        if isinstance(event, Reviewed):
            self._reviews.labels(event.review.verdict.value, level).inc()
        if isinstance(event, Answered | NotSent | Lost | LeaseLost):
            self._child(self._upstream, after.call.upstream, _sent(event)).inc()
        if before.state is State.HELD and after.state is not State.HELD:
            self._to_decision.labels(level).observe(max(after.changed - after.created, 0) / 1000)
        self._moved(before, after, labels)

    def _moved(self, before: Action, after: Action, labels: tuple[str, str, str]) -> None:
        if before.state is State.UNKNOWN:
            self._settled.labels(after.state.value).inc()
        elif after.state in _ENDS and before.state is not after.state:
            self._child(self._outcomes, *labels, _ENDS[after.state]).inc()
            if after.state is State.EXPIRED:
                self._expirations.labels(labels[2]).inc()

    def _decided(self, decision: Decision) -> None:
        """Count what raised and lowered the call; labels are ids of policy."""
        if decision.indeterminate or decision.reason == EVALUATION_ERROR:
            self._indeterminate.inc()
        for limit in decision.limits:
            self._limits.labels(limit).inc()
        if decision.grant:
            self._grants.labels(decision.tool).inc()
        for each in asked(decision):
            self._shadow.labels(each.rule, each.level).inc()
            fired, more = self._shadowed.get((each.rule, each.level), (0, 0))
            self._shadowed[each.rule, each.level] = fired + 1, more + each.more

    def _child(self, family: Counter, *labels: str) -> Counter:
        """Return one series; looking it up each time would cost more than counting."""
        key = (family, labels)
        found = self._children.get(key)
        if found is None:
            found = self._children[key] = family.labels(*labels)
        return found

    # the rest of the process ---------------------------------------------------------------

    def refused(self, kind: str) -> None:
        self._refusals.labels(kind).inc()

    def revealed(self) -> None:
        self._reveals.inc()

    def channel_refused(self, channel: str, why: str) -> None:
        self._presses.labels(channel, why).inc()

    def definition_accepted(self) -> None:
        self._accepted.inc()

    def practised(self, outcome: str) -> None:
        self._practice.labels(outcome).inc()

    def practice_held(self, action: Action) -> None:
        """Count a practice call as calls are counted while they wait, so that nothing tells it.

        What became of it is in `practised` alone, once that is settled: see `practice_ended`.
        """
        self._child(self._calls, *_labels(action)).inc()
        if action.decision is not None:
            self._decided(action.decision)

    def practice_ended(self, action: Action) -> None:
        if action.state in _ENDS:
            self._child(self._outcomes, *_labels(action), _ENDS[action.state]).inc()

    def know_channels(self, names: Iterable[str]) -> None:
        """Have what becomes of notices through each channel at 0, as alerts need it."""
        for name in names:
            for outcome in ("delivered", "retried", "dead", "outdated", "dropped"):
                self._notifications.labels(name, outcome)

    def notified(self, channel: str, outcome: str) -> None:
        self._notifications.labels(channel, outcome).inc()

    def notices(self, waiting: int, dead: int) -> None:
        """Set the gauges of the outbox to what the store says."""
        self._notices_waiting.set(waiting)
        self._notices_dead.set(dead)

    def count_waiting_definitions(self, waiting: Callable[[], int]) -> None:
        """Have the gauge of tools that wait say what *waiting* says whenever it is read."""
        self._definitions.set_function(waiting)

    def shadowed(self) -> dict[tuple[str, str], tuple[int, int]]:
        """Return, by rule and level asked for, how often: at all, and for more than was given."""
        return dict(self._shadowed)

    def store_failed(self) -> None:
        self._store_errors.inc()

    def policy(self, ref: PolicyRef) -> None:
        self._policy.info({"name": ref.name, "version": str(ref.version), "sha256": ref.sha256})
        self._reloads.labels("loaded").inc()
        self._stale.set(0)

    def policy_refused(self) -> None:
        """The files as they are now cannot be used; the policy in force stays."""
        self._reloads.labels("refused").inc()
        self._stale.set(1)

    def store_truth(self, counts: Mapping[str, int] | None, oldest: float, in_flight: int) -> None:
        """Set the gauges to what the store says; `counts` is None where it does not answer."""
        self._flight.set(in_flight)
        self._up.set(0 if counts is None else 1)
        if counts is not None:
            self._held.set(counts["held"])
            self._unknown.set(counts["unknown"])
            self._oldest.set(oldest)

    def stops(self, agents: int, everybody: bool) -> None:
        """Set the gauges to who is stopped: so many one by one, and all of them or not."""
        self._stopped.set(agents)
        self._all_stopped.set(1 if everybody else 0)

    def stops_lifted(self, count: int) -> None:
        """Set the gauge of stops that went from the store though nobody resumed."""
        self._lifted.set(count)

    def render(self) -> bytes:
        return generate_latest(self._registry)


def _labels(action: Action) -> tuple[str, str, str]:
    decision = action.decision
    if decision is None:
        return action.call.upstream, "unknown", "deny"
    return action.call.upstream, decision.tool or "unknown", decision.level.word


def _sent(event: Event) -> str:
    if isinstance(event, Answered):
        return f"{event.answer.status // 100}xx"
    return "not_sent" if isinstance(event, NotSent) else "lost"
