"""What people decide is counted as the page of figures counts it, and names nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from interlock.core.actions import Action, Review, Reviewer, State, Verdict
from interlock.core.analytics import LEAST_LOOK_MS, READ_BYTES_PER_SECOND
from interlock.core.decisions import Level, RuleHit
from interlock.core.events import DeadlinePassed, Decided, Reviewed
from interlock.core.facts import Facts
from interlock.core.lifecycle import step
from interlock.noting import record_of
from interlock.observe.metrics_people import MOST_PEOPLE, STREAK_SECONDS, PeopleMetrics, not_read
from interlock.store.redis import RedisStore
from tests.observe.test_metrics import Counted
from tests.support.builders import ANN, BOB, NOON, a_call, a_decision, a_review, an_action
from tests.support.fakes import a_policy


class People:
    """The metrics, and what they read."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.now = 0.0
        self.metrics = PeopleMetrics(self.registry, lambda: self.now)

    def text(self) -> str:
        return generate_latest(self.registry).decode()

    def value(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0

    def review(self, before: Action, review: Review, state: State) -> Action:
        """Tell of *review*, which brought the call to *state*."""
        after = replace(before, state=state, reviews=(*before.reviews, review))
        assert before.decision is not None
        event = Reviewed(at=review.at, review=review, decision=before.decision)
        self.metrics.transition(before, event, after)
        return after


def held(level: Level = Level.APPROVE, **decision: object) -> Action:
    made = a_decision(level, **decision)  # type: ignore[arg-type]
    return replace(an_action(), state=State.HELD, decision=made, created=NOON)


def said(
    action: Action, verdict: Verdict = Verdict.APPROVE, who: Reviewer = ANN, **more: int | str
) -> Review:
    return a_review(action, who, verdict, at=NOON + 60_000, **more)


ENDS = {
    Verdict.APPROVE: State.APPROVED,
    Verdict.EDIT: State.APPROVED,
    Verdict.REJECT: State.REJECTED,
    Verdict.RESPOND: State.RESPONDED,
}


@pytest.mark.parametrize("verdict", Verdict)
def test_a_hold_counts_once_by_what_people_made_of_it(verdict: Verdict) -> None:
    people, action = People(), held(rules=(RuleHit(id="big", effect="at least approve"),))
    people.review(action, said(action, verdict), ENDS[verdict])
    labels = {"tool": "bank.pay", "level": "approve", "verdict": verdict.value}
    assert people.value("interlock_holds_settled_total", **labels) == 1
    rule = {"rule": "big", "verdict": verdict.value}
    assert people.value("interlock_rule_holds_settled_total", **rule) == 1
    assert people.text().count("interlock_holds_settled_total{") == 1


def test_an_edit_that_a_second_person_approved_is_an_edit() -> None:
    people, action = People(), held(Level.APPROVE_DUAL)
    edited = people.review(action, said(action, Verdict.EDIT), State.HELD)
    assert "interlock_holds_settled_total{" not in people.text()
    people.review(edited, said(edited, who=BOB), State.APPROVED)
    labels = {"tool": "bank.pay", "level": "approve_dual", "verdict": "edit"}
    assert people.value("interlock_holds_settled_total", **labels) == 1


def test_an_edit_counts_for_the_rules_that_caught_the_call_as_its_record_does() -> None:
    people = People()
    caught = a_decision(Level.APPROVE_DUAL, rules=(RuleHit(id="big", effect="at least approve"),))
    cured = a_decision(Level.APPROVE)
    asked, to = a_call(), a_call(body=b'{"amount": 1}')
    action, _ = step(
        Action(id="a1", call=asked, digest=asked.digest), Decided(at=NOON, decision=caught)
    )
    for who, verdict, call in ((ANN, Verdict.EDIT, to), (BOB, Verdict.APPROVE, None)):
        review = a_review(action, who, verdict, call=call)
        event = Reviewed(at=NOON + 9, review=review, decision=cured)
        after, _ = step(action, event)
        people.metrics.transition(action, event, after)
        action = after
    rule = {"rule": "big", "verdict": "edit"}
    assert people.value("interlock_rule_holds_settled_total", **rule) == 1
    assert people.text().count("interlock_rule_holds_settled_total{") == 1
    found = record_of(action, a_policy(), str)
    assert (found.rules, found.verdict, found.level) == (("big",), "edit", "approve_dual")


def test_a_hold_that_nobody_settled_counts_by_how_it_ended() -> None:
    people, action = People(), held()
    after = replace(action, state=State.EXPIRED)
    people.metrics.transition(action, DeadlinePassed(at=NOON), after)
    labels = {"tool": "bank.pay", "level": "approve", "verdict": "expired"}
    assert people.value("interlock_holds_settled_total", **labels) == 1
    assert people.value("interlock_rule_holds_settled_total", rule="none", verdict="expired") == 1
    assert "interlock_claimed_confidence_ratio_count" not in people.text()


def test_each_rule_that_fired_counts_once() -> None:
    people = People()
    hits = [RuleHit(id=name, effect="at least approve") for name in ("big", "big", "late")]
    action = held(rules=tuple(hits))
    people.review(action, said(action), State.APPROVED)
    for name in ("big", "late"):
        labels = {"rule": name, "verdict": "approve"}
        assert people.value("interlock_rule_holds_settled_total", **labels) == 1


# looking ------------------------------------------------------------------------------------


def test_a_look_that_was_seen_is_measured_and_one_that_was_not_is_not() -> None:
    people, action = People(), held()
    people.review(action, said(action, looked_ms=9_000), State.APPROVED)
    people.review(action, said(action, looked_ms=0), State.APPROVED)
    assert people.value("interlock_approval_look_seconds_sum", level="approve") == 9
    assert people.value("interlock_approval_look_seconds_count", level="approve") == 1
    assert people.value("interlock_time_to_first_look_seconds_sum", level="approve") == 51
    assert people.value("interlock_time_to_first_look_seconds_count", level="approve") == 1
    assert people.value("interlock_approvals_fast_total", level="approve") == 0


def test_the_first_of_two_people_who_looked_is_who_looked_first() -> None:
    people, action = People(), held(Level.APPROVE_DUAL)
    once = people.review(action, said(action, looked_ms=50_000), State.HELD)
    people.review(once, said(once, who=BOB, looked_ms=2_000), State.APPROVED)
    labels = {"level": "approve_dual"}
    assert people.value("interlock_time_to_first_look_seconds_sum", **labels) == 10
    assert people.value("interlock_time_to_first_look_seconds_count", **labels) == 1


@pytest.mark.parametrize(
    ("looked_ms", "size", "fast"),
    [
        (LEAST_LOOK_MS - 1, 0, True),
        (LEAST_LOOK_MS, 0, False),
        (5_000, 5 * READ_BYTES_PER_SECOND, False),
        (5_000, 5 * READ_BYTES_PER_SECOND + 1, True),
        (4_999, 5 * READ_BYTES_PER_SECOND, True),
    ],
)
def test_what_was_in_sight_for_less_time_than_reading_takes_was_not_read(
    looked_ms: int, size: int, fast: bool
) -> None:
    assert not_read(looked_ms, size) is fast
    people, action = People(), held()
    action = replace(action, call=replace(action.call, body=b" " * size))
    people.review(action, said(action, looked_ms=looked_ms), State.APPROVED)
    assert people.value("interlock_approvals_fast_total", level="approve") == fast


def test_a_quick_rejection_is_no_fast_approval() -> None:
    people, action = People(), held()
    people.review(action, said(action, Verdict.REJECT, looked_ms=10), State.REJECTED)
    assert people.value("interlock_approvals_fast_total", level="approve") == 0


def test_a_streak_goes_on_until_its_person_says_something_else() -> None:
    people, action = People(), held()
    for who in (ANN, ANN, BOB, ANN):
        people.review(action, said(action, who=who), State.APPROVED)
    assert people.value("interlock_approval_streak") == 3
    people.review(action, said(action, Verdict.REJECT), State.REJECTED)
    assert people.value("interlock_approval_streak") == 1


def test_a_streak_of_who_has_gone_home_is_over() -> None:
    people, action = People(), held()
    for _ in range(3):
        people.review(action, said(action), State.APPROVED)
    people.now = STREAK_SECONDS
    assert people.value("interlock_approval_streak") == 3
    people.now += 1
    assert people.value("interlock_approval_streak") == 0


def test_only_so_many_people_are_remembered() -> None:
    people, action = People(), held()
    people.review(action, said(action), State.APPROVED)
    for number in range(MOST_PEOPLE):
        people.review(
            action, said(action, Verdict.REJECT, Reviewer(id=f"p{number}")), State.REJECTED
        )
    assert people.value("interlock_approval_streak") == 0
    assert len(people.metrics._streaks) == MOST_PEOPLE


# why ----------------------------------------------------------------------------------------


def test_reasons_are_counted_by_codes_that_policy_lists() -> None:
    people, action = People(), held()
    people.metrics.know_reasons(lambda: {"wrong_amount"})
    for code in ("wrong_amount", "", "made-up", "</script>"):
        people.review(action, said(action, Verdict.REJECT, reason_code=code), State.REJECTED)
    people.review(action, said(action, Verdict.EDIT, reason_code="wrong_amount"), State.APPROVED)
    found = {
        (verdict, reason): people.value(
            "interlock_review_reasons_total", verdict=verdict, reason=reason
        )
        for verdict, reason in [
            ("reject", "wrong_amount"),
            ("reject", "none"),
            ("reject", "other"),
            ("edit", "wrong_amount"),
        ]
    }
    assert list(found.values()) == [1, 1, 2, 1]
    assert people.text().count("interlock_review_reasons_total{") == 4


def test_before_policy_is_known_no_code_is_believed() -> None:
    people, action = People(), held()
    people.review(action, said(action, Verdict.REJECT, reason_code="wrong_amount"), State.REJECTED)
    assert people.value("interlock_review_reasons_total", verdict="reject", reason="other") == 1


# confidence ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdict", "turned"),
    [(Verdict.APPROVE, "right"), (Verdict.EDIT, "wrong"), (Verdict.REJECT, "wrong")],
)
def test_what_was_claimed_of_a_call_is_set_beside_how_it_turned_out(
    verdict: Verdict, turned: str
) -> None:
    people, action = People(), held(facts=Facts(calibrated=0.4))
    people.review(action, said(action, verdict), ENDS[verdict])
    assert people.value("interlock_claimed_confidence_ratio_sum", turned=turned) == 0.9
    assert people.value("interlock_claimed_confidence_ratio_bucket", turned=turned, le="0.8") == 0
    assert people.value("interlock_claimed_confidence_ratio_bucket", turned=turned, le="0.9") == 1
    assert people.value("interlock_calibrated_confidence_ratio_sum", turned=turned) == 0.4


@pytest.mark.parametrize("claimed", [None, -0.1, 1.5, float("nan"), float("inf")])
def test_what_is_no_claim_is_not_counted(claimed: float | None) -> None:
    people, action = People(), held()
    context = replace(action.call.context, confidence=claimed)
    action = replace(action, call=replace(action.call, context=context))
    people.review(action, said(action), State.APPROVED)
    assert "interlock_claimed_confidence_ratio_count" not in people.text()


def test_an_answer_in_the_tools_place_says_nothing_of_the_claim() -> None:
    people, action = People(), held()
    people.review(action, said(action, Verdict.RESPOND), State.RESPONDED)
    assert "interlock_claimed_confidence_ratio_count" not in people.text()


# audits and names ---------------------------------------------------------------------------


@pytest.mark.parametrize("drawn", [True, False])
def test_nothing_tells_which_calls_are_drawn_for_an_audit(drawn: bool) -> None:
    people, proposed = People(), an_action()
    decision = replace(a_decision(Level.ALLOW), audit_share=0.25)
    after = replace(proposed, state=State.APPROVED, decision=decision, drawn=drawn)
    for _ in range(4):
        people.metrics.transition(proposed, Decided(at=NOON, decision=decision), after)
    assert people.value("interlock_audits_drawn_total", tool="bank.pay") == 1


def test_what_people_decide_counts_as_drawn_nowhere() -> None:
    people, proposed = People(), an_action()
    decision = replace(a_decision(), audit_share=0.25)
    after = replace(proposed, state=State.HELD, decision=decision)
    people.metrics.transition(proposed, Decided(at=NOON, decision=decision), after)
    assert not people.value("interlock_audits_drawn_total", tool="bank.pay")


def test_no_label_names_a_person_or_says_what_they_wrote() -> None:
    people, action = People(), held()
    person = Reviewer(id="ann-who-approves", groups=frozenset({"her-group"}))
    for verdict, state in ENDS.items():
        review = said(action, verdict, person, reason_code="her-code", looked_ms=5)
        people.review(action, replace(review, message="her words"), state)
    text = people.text()
    for secret in ("ann-who-approves", "her-group", "her-code", "her words", "olga", "bot"):
        assert secret not in text


@pytest.fixture
async def world(store: RedisStore) -> AsyncIterator[Counted]:
    yield Counted(store, policy=a_policy("audit: {share: 1.0}\n"))


async def test_a_gate_tells_of_all_of_it(world: Counted) -> None:
    world.metrics.people.know_reasons(lambda: {"wrong_amount"})
    await world.ask(Level.ALLOW)
    for number, verdict in enumerate((Verdict.APPROVE, Verdict.REJECT)):
        await world.says(await world.held(body=b'{"amount": %d}' % number), verdict=verdict)
    await world.quiet()
    assert world.total("interlock_audits_drawn_total") == 1
    assert world.total("interlock_holds_settled_total", tool="bank.pay", verdict="approve") == 1
    assert world.total("interlock_holds_settled_total", tool="bank.pay", verdict="reject") == 1
    assert world.total("interlock_review_reasons_total", verdict="reject", reason="none") == 1
    assert world.total("interlock_claimed_confidence_ratio_count") == 2
    held_ones = world.total("interlock_calls_total", level="approve")
    assert held_ones == world.total("interlock_holds_settled_total") == 2


async def test_promise_41_holds_add_up_however_they_end(world: Counted) -> None:
    calls = [await world.held(body=b'{"amount": %d}' % number) for number in range(5)]
    await world.says(calls[0])
    await world.says(calls[1], verdict=Verdict.REJECT)
    await world.gate.cancel(calls[2].id, "bot")
    await world.quiet()
    counts = await world.store.counts()
    settled = world.total("interlock_holds_settled_total")
    assert world.total("interlock_calls_total", level="approve") - settled == counts["held"] == 2
    assert world.total("interlock_rule_holds_settled_total", rule="none") == settled
