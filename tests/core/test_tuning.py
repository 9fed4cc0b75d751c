"""What decided calls speak for: thresholds, rules, grants."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from benchmarks.tuning import PRESENT, TARGET, finds, run, true_risk
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.core.binomial import at_least, at_most
from interlock.core.records import DecidedCall, Turned
from interlock.core.risk import Caught
from interlock.core.tuning import Findings, Settings, Threshold, tune
from interlock.core.tuning_habits import MOST_TARGETS, alone
from interlock.core.tuning_thresholds import bare
from tests.support.records import (
    DAY,
    NOON,
    audited,
    histories,
    record,
    records,
    reported,
    said,
)

TEAM = {"to": "team@example.org"}
REJECTED = (said("reject"),)


def many(times: int, **changes: Any) -> list[DecidedCall]:
    return [record(**({"id": f"{at}", "ended": NOON + at} | changes)) for at in range(times)]


def doubted(times: int, **changes: Any) -> list[DecidedCall]:
    """Return calls that were held for their confidence alone."""
    return many(times, **({"signals": ("confidence",), "stake": "medium"} | changes))


def went(times: int, share: float = 1.0, **changes: Any) -> list[DecidedCall]:
    """Return calls at notify, every one of them audited."""
    usual = {"level": "notify", "stake": "medium", "reviews": (), "share": share}
    return many(times, **(usual | {"drawn": True, "audit": audited()} | changes))


def threshold(records_: list[DecidedCall], **settings: Any) -> Threshold:
    (found,) = tune(records_, Settings(**settings)).thresholds
    return found


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"level": "notify"}, "free"),
        ({"level": "allow"}, "open"),
        ({"level": "approve"}, "held"),
        ({"level": "approve_dual"}, "held"),
        ({"level": "deny"}, ""),
        ({"level": "approve", "signals": ("confidence",)}, "free"),
        ({"level": "approve_dual", "signals": ("confidence",)}, "held"),
        ({"level": "approve_dual", "signals": ("confidence", "novelty")}, "held"),
        ({"level": "approve", "signals": ("confidence", "repeat_denied")}, "held"),
        ({"level": "notify", "signals": ("confidence",), "exceptions": ("e",)}, "open"),
        ({"level": "notify", "grant": "g1"}, "open"),
        ({"level": "notify", "why": "unknown_tool"}, "open"),
        ({"level": "allow", "would_be": "deny"}, ""),
        ({"level": "allow", "would_be": "approve", "signals": ("confidence",)}, "free"),
    ],
)
def test_what_a_call_would_be_without_its_confidence(changes: dict[str, Any], kind: str) -> None:
    assert bare(record(**changes)) == kind


def test_where_doubted_calls_are_all_fine_the_threshold_falls() -> None:
    some = doubted(600, confidence=0.6) + went(600, confidence=0.9)
    found = threshold(some, current={"medium": 0.8})
    assert found.changes and found.proposed == 0.6
    assert (found.saved, found.added) == (600, 0)
    assert found.saved_ms == 600 * 9_000
    assert found.bound == pytest.approx(2 * at_most(0, 1200, 0.975))
    assert set(found.examples) <= {each.id for each in some}
    assert found.method.startswith("Clopper-Pearson")


def test_where_doubted_calls_are_wrong_it_stays_above_them() -> None:
    wrong = doubted(100, confidence=0.6, reviews=(said("reject"),))
    found = threshold(wrong + doubted(500, confidence=0.7) + went(600, confidence=0.9))
    assert found.proposed == 0.7
    assert (found.saved, found.added, found.calls) == (500, 0, 1200)


def test_where_confident_calls_are_wrong_it_rises_above_them() -> None:
    wrong = went(100, confidence=0.85, audit=audited(Turned.WRONG))
    found = threshold(wrong + went(1000, confidence=0.95))
    assert found.proposed == 0.95
    assert (found.saved, found.added) == (0, 100)
    assert found.wrong == pytest.approx(100 / 1100)
    assert found.least_held == pytest.approx((100 / 1100 - 0.02) / 0.98)
    assert any("must be held" in each for each in found.notes)


def test_where_no_threshold_keeps_the_target_it_says_so() -> None:
    found = threshold(went(500, confidence=1.0, audit=audited(Turned.WRONG)))
    assert found.proposed is None and not found.changes
    assert (found.saved, found.added, found.examples) == (0, 0, ())
    assert found.bound == 1.0 and found.least_held == 1.0
    assert "No threshold keeps 2.00%" in found.notes[0]


def test_few_calls_speak_for_nothing() -> None:
    assert threshold(doubted(20) + went(20)).proposed is None


def test_what_nobody_could_have_audited_counts_as_wrong() -> None:
    found = threshold(went(300, share=0.0, drawn=False, audit=None) + doubted(300))
    assert (found.proposed, found.unseen) == (1.0, 300), "above all of them"
    assert any("audit.share" in each for each in found.notes)


def test_what_nobody_judged_counts_as_wrong() -> None:
    pending = went(900, audit=None)
    lapsed = doubted(300, state="expired", reviews=(), confidence=0.5)
    answered = doubted(300, state="responded", reviews=(said("respond"),), confidence=0.5)
    assert threshold(pending).undecided == 900
    assert threshold(pending).proposed == 1.0, "above all of them"
    assert threshold(lapsed + went(900)).proposed == 0.9
    assert threshold(answered + went(900)).proposed == 0.9


def test_a_share_of_which_none_was_drawn_is_not_safe() -> None:
    rare = went(1000, share=0.001, drawn=False, audit=None)
    assert (threshold(rare).proposed, threshold(rare).bound) == (None, 1.0)


def test_what_was_not_sent_speaks_for_nothing() -> None:
    assert tune(went(500, state="cancelled", audit=None)).thresholds == ()


def mixed() -> list[DecidedCall]:
    """Return calls of which one in five is wrong, whatever the agent claims."""
    some = went(80, confidence=0.95) + went(20, confidence=0.95, audit=audited(Turned.WRONG))
    for each in (0.3, 0.5, 0.7):
        some += doubted(80, confidence=each) + doubted(20, confidence=each, reviews=REJECTED)
    return some


@pytest.mark.parametrize(
    "harmless",
    [
        {"state": "cancelled", "reviews": (), "confidence": None},
        {"state": "expired", "reviews": (), "confidence": None},
        {"signals": ("confidence",), "state": "cancelled", "reviews": ()},
        {"signals": ("confidence",), "state": "cancelled", "reviews": (), "reports": (reported(),)},
        {"level": "allow", "reviews": (), "share": 1.0, "drawn": True, "audit": audited()},
        {"level": "deny", "state": "denied", "reviews": ()},
        {"level": "notify", "state": "cancelled", "reviews": (), "share": 1.0},
        {"level": "notify", "reviews": (), "share": 1.0, "why": "unknown_tool"},
    ],
)
def test_calls_that_cost_an_agent_nothing_dilute_no_bound(harmless: dict[str, Any]) -> None:
    some = mixed()
    alone_, diluted = threshold(some), threshold(some + many(8000, stake="medium", **harmless))
    assert alone_.proposed == diluted.proposed == 1.0
    assert alone_.bound <= diluted.bound and diluted.calls == alone_.calls == 400


def test_no_threshold_falls_below_the_lowest_claim_that_labels_speak_for() -> None:
    some = went(400, confidence=0.97)
    found = threshold(some, current={"medium": 0.9})
    assert not found.changes and (found.proposed, found.saved, found.added) == (0.9, 0, 0)
    few = threshold(some + doubted(9, confidence=0.2), current={"medium": 0.9})
    assert not few.changes and few.proposed == 0.9
    enough = threshold(some + doubted(10, confidence=0.2), current={"medium": 0.9})
    assert enough.changes and (enough.proposed, enough.saved) == (0.2, 10)


def test_what_went_out_in_shadow_mode_counts_as_gone_out() -> None:
    out = went(500, would_be="approve", confidence=0.97, audit=audited(Turned.WRONG))
    found = threshold(out + went(500, confidence=0.97))
    assert found.proposed is None and found.bound > 0.5
    assert any("once it is enforced" in each for each in found.notes)


def test_doubts_in_shadow_mode_are_counted_as_once_enforced() -> None:
    doubts = {"would_be": "approve", "signals": ("confidence",), "confidence": 0.5}
    out = went(100, audit=audited(Turned.WRONG), **doubts)
    found = threshold(out + went(500, confidence=0.97), current={"medium": 0.9})
    assert (found.proposed, found.changes) == (0.9, False)
    assert any("once enforced" in each for each in found.notes)


def test_reads_count_neither_for_nor_against_a_threshold() -> None:
    open_ = went(300, level="allow", audit=audited(Turned.WRONG))
    assert threshold(open_ + went(1000)) == threshold(went(1000))


def test_a_stake_no_threshold_decides_has_no_finding() -> None:
    assert tune(many(30)).thresholds == ()
    assert tune([]) == replace(tune([]), records=0, thresholds=(), rules=(), grants=())


def test_reviewers_who_miss_make_it_stricter() -> None:
    wrong = doubted(40, confidence=0.7, reviews=(said("reject"),))
    some = wrong + doubted(1000, confidence=0.7) + doubted(1960, confidence=0.8)
    believed = threshold(some)
    practised = threshold(some, caught=Caught(caught=40, missed=40))
    assert believed.proposed is not None and practised.proposed is not None
    assert believed.proposed < practised.proposed
    notes = tune(some).notes, tune(some, Settings(caught=Caught(caught=1, missed=0))).notes
    assert "at their word" in notes[0][0] and notes[1] == ()


def test_a_call_without_a_claim_claims_what_policy_says() -> None:
    some = doubted(100, confidence=None, reviews=(said("reject"),)) + doubted(900, confidence=0.9)
    assert threshold(some, missing=0.5).proposed == 0.9
    assert threshold(some, missing=0.95).proposed == 1.0


def test_the_lower_of_claim_and_calibrated_counts_where_policy_says_so() -> None:
    wrong = {"confidence": 0.99, "calibrated": 0.4, "reviews": (said("reject"),)}
    some = doubted(100, **wrong) + doubted(900, confidence=0.9, calibrated=0.95)
    assert threshold(some).proposed == 1.0
    assert threshold(some, use="calibrated").proposed == 0.9


def night(times: int, **changes: Any) -> list[DecidedCall]:
    return many(times, **({"rules": ("at-night",)} | changes))


def test_a_rule_that_alone_held_what_people_then_approved_is_found() -> None:
    (found,) = tune(night(149)).rules
    assert (found.rule, found.held, found.decided, found.changed) == ("at-night", 149, 149, 0)
    assert found.bound == at_most(0, 149) < found.floor
    assert (found.saved, found.saved_ms, len(found.examples)) == (149, 149 * 9_000, 5)


@pytest.mark.parametrize(
    "some",
    [
        night(148),
        night(149, rules=("at-night", "large")),
        night(149, signals=("novelty",)),
        night(149, limits=("per-day",)),
        night(149, why="unknown_tool"),
        night(149, level="notify", reviews=()),
        night(149, state="expired", reviews=()),
        night(146) + night(3, reviews=(said("reject"),)),
        night(146) + night(3, reviews=(said("respond"),), state="responded"),
        night(146) + night(3, reports=(reported(),)),
    ],
)
def test_a_rule_is_left_alone_where_it_held_too_few_or_not_alone_or_for_good(
    some: list[DecidedCall],
) -> None:
    assert tune(some).rules == ()


def test_whoever_has_the_policy_says_which_calls_a_rule_alone_held() -> None:
    both = night(200, rules=("at-night", "large"))

    def frees(one: DecidedCall, rule: str) -> bool:
        return one.held and rule == "at-night"

    assert [each.rule for each in tune(both, Settings(frees=frees)).rules] == ["at-night"]


def test_a_rule_needs_more_where_reviewers_miss() -> None:
    caught = Caught(caught=95, missed=5)
    assert tune(night(160), Settings(caught=caught)).rules == ()
    (found,) = tune(night(400), Settings(caught=caught)).rules
    assert found.bound == pytest.approx(at_most(0, 400, 0.975) / at_least(95, 100, 0.975))
    assert tune(night(400), Settings(caught=Caught(caught=0, missed=9))).rules == ()


@given(records(rules=("one",)))
def test_what_is_held_alone_is_held(one: DecidedCall) -> None:
    assert not alone(one, "one") or (one.held and not one.signals)


def mails(times: int, **changes: Any) -> list[DecidedCall]:
    return many(times, **({"tool": "mail.send", "target": TEAM} | changes))


def test_thirty_seven_identical_approvals_are_worth_a_grant() -> None:
    some = mails(36) + mails(1, id="last", reviews=(said(who="r-other"),))
    (found,) = tune(some).grants
    assert (found.agent, found.tool, found.target) == ("bot", "mail.send", TEAM)
    assert (found.approved, found.people, found.saved) == (37, 2, 36)
    assert found.examples[-1] == "last"


@pytest.mark.parametrize(
    "some",
    [
        mails(9),
        mails(30) + mails(1, reviews=(said("reject"),), state="rejected"),
        mails(30) + mails(1, reviews=(said("edit"),)),
        mails(30) + mails(1, reviews=(said("respond"),), state="responded"),
        mails(30) + mails(1, reports=(reported(),)),
        mails(1, reviews=(said("reject"),), state="rejected", rules=("r",)) + mails(30),
        mails(30, rules=("large",)),
        mails(30, limits=("per-day",)),
        mails(30, signals=("repeat_denied",)),
        mails(30, signals=("novelty",)),
        mails(30, signals=("confidence", "session_risk")),
        mails(30, why="unknown_tool"),
        mails(30, target=None, arguments={}),
        mails(30, target=None, masked=True),
        mails(30, target=None, request={"method": "PUT", "body": "a", "content_type": "image/png"}),
        mails(30, target={"to": "…4711"}),
        mails(30, tool=""),
        mails(30, state="expired", reviews=()),
        mails(30, level="notify", reviews=(), grant="g1"),
    ],
)
def test_a_grant_is_not_worth_it(some: list[DecidedCall]) -> None:
    assert tune(some).grants == ()


def test_without_a_declared_target_every_argument_is_the_target() -> None:
    one, other = {"amount": 900, "to": "bob"}, {"amount": 901, "to": "bob"}
    some = mails(12, target=None, arguments=one) + mails(11, target=None, arguments=other)
    refused = mails(1, target=None, arguments=other, reviews=(said("reject"),))
    assert [each.target for each in tune(some).grants] == [one, other]
    assert [each.target for each in tune(some + refused).grants] == [one]


def test_a_body_as_it_was_written_is_read_like_any_other() -> None:
    request = {"body": '{"to":"bob"}', "content_type": "application/json"}
    (found,) = tune(mails(12, target=None, arguments={"to": "bob"}, request=request)).grants
    assert found.target == {"to": "bob"}


def test_approvals_of_long_ago_do_not_count() -> None:
    old, new = mails(30), mails(5, ended=NOON + 60 * DAY)
    assert tune(old + new).grants == ()
    (found,) = tune(old + mails(12, ended=NOON + 60 * DAY)).grants
    assert found.approved == 12


def test_another_target_or_agent_is_another_grant() -> None:
    some = mails(12) + mails(12, agent="eve") + mails(15, target={"to": "boss@example.org"})
    assert [each.approved for each in tune(some).grants] == [15, 12, 12]


def test_memory_is_bounded_however_many_targets_there_are() -> None:
    apart = (
        record(id=f"{at}", target={"to": f"{at}"}, ended=NOON + at)
        for at in range(MOST_TARGETS + 10)
    )
    found = tune([*mails(12), *apart, *mails(3, ended=NOON + MOST_TARGETS + 20)])
    assert found.left_out >= MOST_TARGETS - 1
    assert [each.approved for each in found.grants] == [15]


def least(some: list[DecidedCall]) -> Findings:
    return tune(some, Settings(target=0.5, grant_least=1, rule_floor=1.0))


@given(histories())
@settings(max_examples=40, deadline=None)
def test_anything_that_can_be_recorded_is_read(some: list[DecidedCall]) -> None:
    some.sort(key=lambda each: each.ended)
    found = least(some)
    assert (found.records, found.held) == (len(some), sum(each.held for each in some))
    for one in found.thresholds:
        assert 0 <= one.bound <= 1 and one.calls >= one.decided_by > 0
        assert one.proposed is None or one.bound <= 0.5
        assert one.saved + one.added <= one.decided_by + one.undecided
    ids = {each.id for each in some}
    assert all(set(each.examples) <= ids for each in (*found.rules, *found.grants))


@given(histories(), st.integers(0, 5))
@settings(max_examples=25, deadline=None)
def test_one_more_wrong_call_never_loosens_a_threshold(some: list[DecidedCall], at: int) -> None:
    some = [*went(40), *doubted(40, confidence=0.7), *some]
    worse = [*some[:at], replace(some[at], reports=(reported(),)), *some[at + 1 :]]
    before = {each.stake: each.proposed for each in least(some).thresholds}
    for each in least(worse).thresholds:
        loosest = before[each.stake]
        assert each.proposed is None or (loosest is not None and each.proposed >= loosest)


@pytest.mark.slow
def test_where_the_truth_is_known_the_target_is_kept_as_often_as_claimed() -> None:
    """40 histories; were it kept in 95 % of all, more than 5 would miss once in 70 times."""
    runs = [run(7_000 + at, 4_000) for at in range(40)]
    naive, _, _, tuned = zip(*(each.choices for each in runs), strict=True)
    assert sum(each.risk > TARGET for each in tuned) <= 5
    assert sum(each.risk > TARGET for each in naive) > 35, "labelled rows alone mislead"
    assert true_risk(PRESENT) > TARGET, "there was something to find"
    assert sum(each.threshold is not None for each in tuned) >= 35
    rule, useful, grant = zip(*(finds(each.findings) for each in runs), strict=True)
    assert sum(rule) >= 35
    assert sum(useful) == sum(grant) == 40
