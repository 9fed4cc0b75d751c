"""Metrics of what people decide, and how closely they look. No label ever names a person.

Figures are defined as in `core.analytics`, so that a dashboard and the page say the same.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ..core.actions import Action, Review, State, Verdict
from ..core.analytics import LEAST_LOOK_MS, READ_BYTES_PER_SECOND
from ..core.decisions import Level
from ..core.events import Decided, Event, Reviewed

STREAK_SECONDS = 12 * 3600  #: after which who decided nothing is no longer at it
MOST_PEOPLE = 1000  #: whose streaks are remembered
NO_CODE, OTHER_CODE, NO_RULE = "none", "other", "none"
HELD_LEVELS = ("approve", "approve_dual")
_LOOKS = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 900)
_HUMAN = (1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 14400, 86400)
_CLAIMS = tuple(each / 10 for each in range(1, 11))
_STRONGEST = (Verdict.REJECT, Verdict.RESPOND, Verdict.EDIT)
_RIGHT = {"approve": "right", "edit": "wrong", "reject": "wrong"}


class PeopleMetrics:
    """A reader of transitions. *monotonic*: seconds, for streaks alone."""

    def __init__(self, registry: CollectorRegistry, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._codes: Callable[[], Collection[str]] = tuple
        self._streaks: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._settled = Counter(
            "interlock_holds_settled",
            "Held calls by what became of the hold",
            ("tool", "level", "verdict"),
            registry=registry,
        )
        self._of_rules = Counter(
            "interlock_rule_holds_settled",
            "Held calls by what became of the hold, once for each rule that fired",
            ("rule", "verdict"),
            registry=registry,
        )
        self._first_look = Histogram(
            "interlock_time_to_first_look_seconds",
            "Time that a held call waited until a person looked at it, at the latest",
            ("level",),
            buckets=_HUMAN,
            registry=registry,
        )
        self._looks = Histogram(
            "interlock_approval_look_seconds",
            "Time that an approver had the call in sight, where that was seen",
            ("level",),
            buckets=_LOOKS,
            registry=registry,
        )
        self._fast = Counter(
            "interlock_approvals_fast",
            "Approvals that took less time than reading takes",
            ("level",),
            registry=registry,
        )
        streak = Gauge(
            "interlock_approval_streak",
            "The longest run of one person's approvals that goes on now",
            registry=registry,
        )
        streak.set_function(self.streak)
        self._reasons = Counter(
            "interlock_review_reasons",
            "Rejections and edits by the reason that was chosen",
            ("verdict", "reason"),
            registry=registry,
        )
        self._claims = Histogram(
            "interlock_claimed_confidence_ratio",
            "What agents claimed of calls that people decided, by whether the call was right",
            ("turned",),
            buckets=_CLAIMS,
            registry=registry,
        )
        self._calibrated = Histogram(
            "interlock_calibrated_confidence_ratio",
            "What past decisions made of such claims, by whether the call was right",
            ("turned",),
            buckets=_CLAIMS,
            registry=registry,
        )
        self._drawn = Counter(
            "interlock_audits_drawn",
            "Calls that went through, each counted as far as it is likely to be drawn for an audit",
            ("tool",),
            registry=registry,
        )

        for level in HELD_LEVELS:  # at 0, as `Metrics` does with what alerts watch
            self._fast.labels(level)
            self._looks.labels(level)

    def know_reasons(self, codes: Callable[[], Collection[str]]) -> None:
        """Have reasons that *codes* does not list counted as `other`: anybody may write any."""
        self._codes = codes

    def streak(self) -> int:
        """Return the longest run of approvals of those who decided lately."""
        since = self._monotonic() - STREAK_SECONDS
        while self._streaks and next(iter(self._streaks.values()))[1] < since:
            self._streaks.popitem(last=False)
        return max((run for run, _ in self._streaks.values()), default=0)

    def transition(self, before: Action, event: Event, after: Action) -> None:
        if isinstance(event, Reviewed):
            self._reviewed(event.review, after)
        if isinstance(event, Decided) and event.decision.level < Level.APPROVE:
            # its share, drawn or not: an agent that reads metrics must not know which ones were
            self._drawn.labels(_tool(after)).inc(event.decision.audit_share)
        if before.state is State.HELD and after.state is not State.HELD:
            self._ended(before, after)

    def _reviewed(self, review: Review, after: Action) -> None:
        approves = review.verdict is Verdict.APPROVE
        self._run(review.reviewer.id, approves)
        if review.verdict in (Verdict.REJECT, Verdict.EDIT):
            self._reasons.labels(review.verdict.value, self._code(review.reason_code)).inc()
        if approves and review.looked_ms > 0:
            level = _level(after)
            self._looks.labels(level).observe(review.looked_ms / 1000)
            if not_read(review.looked_ms, len((after.original or after.call).body)):
                self._fast.labels(level).inc()

    def _run(self, person: str, approves: bool) -> None:
        run, _ = self._streaks.pop(person, (0, 0.0))
        self._streaks[person] = (run + 1 if approves else 0, self._monotonic())
        if len(self._streaks) > MOST_PEOPLE:
            self._streaks.popitem(last=False)

    def _code(self, code: str) -> str:
        if not code:
            return NO_CODE
        return code if code in self._codes() else OTHER_CODE

    def _ended(self, before: Action, after: Action) -> None:
        verdict, level = _verdict(after), _level(before)
        self._settled.labels(_tool(before), level, verdict).inc()
        fired = before.judged.rules if before.judged is not None else ()
        for rule in {each.id for each in fired} or {NO_RULE}:
            self._of_rules.labels(rule, verdict).inc()
        seen = [each.at - each.looked_ms for each in after.reviews if each.looked_ms > 0]
        if seen:
            self._first_look.labels(level).observe(max(min(seen) - after.created, 0) / 1000)
        if verdict in _RIGHT:
            self._confidence(before, _RIGHT[verdict])

    def _confidence(self, action: Action, turned: str) -> None:
        claimed = action.call.context.confidence
        if claimed is None or not 0 <= claimed <= 1:
            return
        self._claims.labels(turned).observe(claimed)
        calibrated = action.judged.facts.calibrated if action.judged is not None else None
        if calibrated is not None:
            self._calibrated.labels(turned).observe(calibrated)


def not_read(looked_ms: int, size: int) -> bool:
    """Say whether *size* bytes were in sight for less time than reading takes."""
    return looked_ms < LEAST_LOOK_MS or looked_ms * READ_BYTES_PER_SECOND < size * 1000


def _verdict(after: Action) -> str:
    """Return what became of a hold: the strongest that people said, else how it ended."""
    said = {each.verdict for each in after.reviews}
    for strongest in _STRONGEST:
        if strongest in said:
            return strongest.value
    if after.state is State.APPROVED:
        return Verdict.APPROVE.value
    return str(after.state.value)


def _tool(action: Action) -> str:
    return (action.judged.tool if action.judged is not None else "") or "unknown"


def _level(action: Action) -> str:
    return action.judged.level.word if action.judged is not None else "deny"
