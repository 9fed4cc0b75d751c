"""Changes of policy files, one after the other: each loads, or is left out with its reason."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from interlock.core.binomial import at_most
from interlock.core.decisions import Stake
from interlock.core.records import DecidedCall, Turned
from interlock.policies.proposing import Proposal, excepted, opened, shadowed, threshold
from interlock.policies.proposing_evidence import (
    Bounds,
    Freed,
    Passing,
    Records,
    from_then,
    judged_since,
)
from interlock.policies.repeated import Repeated, TooWide

from ..support.records import DAY, NOON, audited, record, unreviewed
from .building import HEAD, PAY

RULES = """
rules:
  - id: big
    tools: [pay]
    when: args.amount > 10
    at_least: approve
  - {id: never, tools: [pay], when: args.amount > 9000, deny: A person does this.}
"""
SIGNAL = "signals: {confidence: {raise_below: {low: %s, medium: %s, high: %s, critical: %s}}}\n"
TODAY = datetime.date(2026, 11, 23)


def proposal(folder: Path, *bodies: str) -> Proposal:
    for at, body in enumerate(bodies):
        (folder / f"{at}.yaml").write_text(HEAD.replace("NAME", f"p{at}") + body)
    return opened([folder])


def fine(policy: object) -> str:
    return ""


def raised(found: Proposal) -> tuple[float, ...]:
    assert found.policy.confidence is not None
    return found.policy.confidence.raise_below


def group(**changes: object) -> Repeated:
    same = Repeated(agent="bot", tool="pay", target={"to": "bob"})
    same.add("c1", {"to": "bob", "amount": 20} | changes)
    same.add("c2", {"to": "bob", "amount": 30.5} | changes)
    return same


def test_a_threshold_is_set_and_higher_stakes_follow_so_that_they_rise(tmp_path: Path) -> None:
    found = proposal(tmp_path, PAY + SIGNAL % (0.2, 0.3, 0.5, 0.9))
    assert found.offer("t", [], threshold(Stake.LOW, 0.6), fine)
    assert raised(found) == (0.6, 0.6, 0.6, 0.9)


def test_a_threshold_is_not_lowered_below_that_of_a_lower_stake(tmp_path: Path) -> None:
    found = proposal(tmp_path, PAY + SIGNAL % (0.2, 0.3, 0.5, 0.9))
    assert found.offer("t", [], threshold(Stake.HIGH, 0.1), fine)
    assert raised(found) == (0.2, 0.3, 0.3, 0.9)


def test_of_several_files_each_is_changed_that_would_keep_the_old_threshold(tmp_path: Path) -> None:
    bodies = (PAY + SIGNAL % (0.2, 0.3, 0.5, 0.9), SIGNAL % (0.1, 0.4, 0.6, 0.6))
    found = proposal(tmp_path, *bodies)
    assert raised(found) == (0.2, 0.4, 0.6, 0.9)
    assert found.offer("t", [], threshold(Stake.HIGH, 0.45), fine)
    assert raised(found) == (0.2, 0.4, 0.45, 0.9)
    assert len(found.changes[0].files) == 2


def test_a_policy_without_confidence_gets_no_threshold(tmp_path: Path) -> None:
    found = proposal(tmp_path, PAY)
    assert not found.offer("t", [], threshold(Stake.LOW, 0.5), fine)
    assert "does not use confidence" in found.left_out[0][1]


def test_a_rule_goes_to_shadow_mode_unless_it_denies(tmp_path: Path) -> None:
    found = proposal(tmp_path, PAY + RULES)
    assert found.offer("big", ["because"], shadowed("big"), fine)
    assert not found.offer("never", [], shadowed("never"), fine)
    assert not found.offer("gone", [], shadowed("gone"), fine)
    assert [each.shadow for each in found.policy.rules] == [True, False]
    assert [why for _, why in found.left_out] == [
        "it denies: no person has judged what it stopped",
        "no policy file has it under `rules`",
    ]


def test_what_the_caller_has_something_against_changes_nothing(tmp_path: Path) -> None:
    found = proposal(tmp_path, PAY + RULES)
    files, policy = found.files, found.policy
    assert not found.offer("big", [], shadowed("big"), lambda policy: "too many")
    assert (found.files, found.policy, found.changes) == (files, policy, [])
    assert found.left_out == [("big", "too many")]


def test_the_same_change_twice_is_none(tmp_path: Path) -> None:
    found = proposal(tmp_path, PAY + RULES)
    assert found.offer("big", [], shadowed("big"), fine)
    assert not found.offer("big", [], shadowed("big"), fine)
    assert found.left_out == [("big", "policy says so already")]


def test_an_exception_has_an_owner_a_reason_an_end_and_a_narrow_condition(tmp_path: Path) -> None:
    found = proposal(tmp_path, PAY)
    assert found.offer("e", [], excepted(group(), "ann", "Seen.", TODAY), fine)
    (made,) = found.policy.exceptions
    assert (made.owner, made.reason, made.at_most.word) == ("ann", "Seen.", "notify")
    assert made.expires == TODAY + datetime.timedelta(days=90)
    args = {"to": "bob", "amount": 25}
    seen = {"agent": {"id": "bot"}, "args": args}
    assert made.when(seen) is True
    assert made.when(seen | {"args": args | {"amount": 31}}) is False
    assert made.when(seen | {"args": args | {"to": "eve"}}) is False
    assert made.when(seen | {"args": args | {"memo": "x"}}) is False
    assert made.when(seen | {"agent": {"id": "eve"}}) is False


def test_two_exceptions_of_one_tool_have_two_names(tmp_path: Path) -> None:
    found = proposal(tmp_path, PAY)
    for _ in range(2):
        assert found.offer("e", [], excepted(group(), "ann", "Seen.", TODAY), fine)
    assert {each.id for each in found.policy.exceptions} == {"seen-pay-1", "seen-pay-2"}


@pytest.mark.parametrize("owner", ["", "  "])
def test_nobody_answers_for_an_exception_without_a_name(tmp_path: Path, owner: str) -> None:
    found = proposal(tmp_path, PAY)
    assert not found.offer("e", [], excepted(group(), owner, "Seen.", TODAY), fine)
    assert "--owner" in found.left_out[0][1]


def test_an_exception_below_the_floor_of_policy_is_left_out(tmp_path: Path) -> None:
    found = proposal(tmp_path, PAY + "defaults: {exception_floor: approve}\n")
    assert not found.offer("e", [], excepted(group(), "ann", "Seen.", TODAY), fine)
    assert "would not load" in found.left_out[0][1]


def test_calls_that_differ_in_free_text_have_no_narrow_condition() -> None:
    same = Repeated(agent="bot", tool="pay", target={"to": "bob"})
    for each in range(9):
        same.add(f"c{each}", {"to": "bob", "memo": f"text {each}"})
    with pytest.raises(TooWide, match="'memo' is another one in each call"):
        same.condition()


def test_calls_with_other_arguments_have_no_narrow_condition() -> None:
    same = group()
    same.add("c3", {"to": "bob"})
    with pytest.raises(TooWide, match="do not have the same arguments"):
        same.condition()


def test_a_list_in_a_target_has_no_condition() -> None:
    same = Repeated(agent="bot", tool="pay", target={"to": ["bob"]})
    same.add("c1", {"to": ["bob"]})
    with pytest.raises(TooWide, match="no text or number"):
        same.condition()


def test_what_nobody_found_right_counts_as_bad() -> None:
    bounds = Bounds(calls=1000, target=0.02, confidence=0.95)
    assert bounds.share(Freed(calls=10)) == 0.01
    assert bounds.share(Freed(calls=100, right=100)) == pytest.approx(0.1 * (1 - 0.025**0.01))
    assert bounds.why_not(Freed(calls=100, right=100)) == ""
    assert "50 calls through unreviewed" in bounds.why_not(Freed(calls=50))
    assert "not about" in bounds.why_not(Freed(calls=5, right=5, outside=1))


def test_all_changes_and_what_goes_through_already_stay_under_the_target_together() -> None:
    fine_ = Freed(calls=100, right=100)  # at most 0.36 % of all
    assert Bounds(calls=1000, target=0.02, confidence=0.95, present=0.016).why_not(fine_) == ""
    wrong = Bounds(calls=1000, target=0.02, confidence=0.95, present=0.017)
    assert "newly let through at most 0.36%" in wrong.why_not(fine_)
    assert "1.50% of the changes before it" in wrong.why_not(fine_, 0.015)
    assert wrong.why_not(Freed()) == "", "what lets nothing through is never too much"


def test_each_of_several_looks_has_its_part_of_the_doubt() -> None:
    one, many = (Bounds(calls=1000, target=0.02, confidence=0.95, looks=n) for n in (1, 20))
    assert one.share(Freed(calls=100, right=100)) < many.share(Freed(calls=100, right=100))


def test_an_exception_is_held_to_the_calls_of_its_tool() -> None:
    bounds = Bounds(calls=100_000, target=0.02, confidence=0.95)
    assert bounds.why_not(Freed(calls=12, right=12), tool=5000) == ""
    assert "of the 12 calls of its tool" in bounds.why_not(Freed(calls=12, right=12), tool=12)


def passing(*calls: DecidedCall) -> Passing:
    found = Passing()
    for each in calls:
        found.add(each)
    return found


def test_what_goes_through_is_bounded_over_what_was_sent_or_decided() -> None:
    out = [unreviewed(share=1.0, drawn=True, audit=audited()) for _ in range(300)]
    wrong = [unreviewed(share=1.0, drawn=True, audit=audited(Turned.WRONG)) for _ in range(3)]
    nothing = [
        *(record(level="deny", state="denied", reviews=()) for _ in range(900)),
        *(record(state="cancelled", reviews=()) for _ in range(900)),
        *(record(state="expired", reviews=()) for _ in range(900)),
        *(unreviewed(level="allow", share=1.0) for _ in range(900)),
    ]
    found = passing(*out, *wrong, record(), *nothing)
    assert (found.calls, found.tools["bank.pay"]) == (304, 304)
    assert found.at_most(0.95) == pytest.approx(at_most(3, 304))
    assert passing(*nothing).at_most(0.95) == 0.0


def test_what_nobody_could_have_audited_may_all_be_wrong() -> None:
    assert passing(*(unreviewed() for _ in range(50))).at_most(0.95) == 1.0
    seldom = [unreviewed(share=0.001) for _ in range(50)]
    assert passing(*seldom).at_most(0.95) == 1.0, "none was drawn"


def test_what_went_out_in_shadow_mode_goes_through() -> None:
    out = unreviewed(would_be="approve", share=1.0, drawn=True, audit=audited(Turned.WRONG))
    assert passing(out).wrong == {1.0: 1}


def days(held: int, unseen: int) -> Records:
    """Return a call a day that people decided, and one that went out, each for so many days."""
    calls = [record(id=f"h{at}", ended=NOON + at * DAY) for at in range(90 - held, 90)]
    calls += [unreviewed(id=f"u{at}", ended=NOON + at * DAY) for at in range(90 - unseen, 90)]
    calls.sort(key=lambda each: each.ended)
    return lambda: iter(calls)


@pytest.mark.parametrize(
    ("held", "unseen", "keep", "first"),
    [
        (90, 90, 30, 59),  # policy forgets them after 30 days
        (90, 7, 30, 83),  # they were kept for a week
        (20, 20, 30, None),
        (90, 90, 400, None),
        (90, 0, 30, 59),
    ],
)
def test_history_begins_where_calls_that_nobody_looked_at_are_still_known(
    held: int, unseen: int, keep: int, first: int | None
) -> None:
    since = judged_since(days(held, unseen), keep * DAY)
    assert since == (0 if first is None else NOON + first * DAY)
    assert all(each.ended >= since for each in from_then(days(held, unseen), since)())


def test_an_exception_does_not_apply_where_a_signal_would_have_fired(tmp_path: Path) -> None:
    risk = "signals: {session_risk: {raise_at: [{points: 40, raise: 1}]}}\n"
    found = proposal(tmp_path, PAY + risk)
    same = Repeated(agent="bot", tool="pay", target={"to": "bob"})
    for claim in (0.9, 0.8):
        same.add("c1", {"to": "bob"}, claim)
    assert found.offer("e", [], excepted(same, "ann", "Seen.", TODAY), fine), found.left_out
    when = found.policy.exceptions[0].when
    seen = {"args": {"to": "bob"}, "session": {"points": 3.0}}
    assert when(seen | {"agent": {"id": "bot", "confidence": 0.8}}) is True
    assert when(seen | {"agent": {"id": "bot", "confidence": 0.79}}) is False
    busy = seen | {"session": {"points": 40.0}, "agent": {"id": "bot", "confidence": 0.9}}
    assert when(busy) is False


@pytest.mark.parametrize(
    ("key", "taken"), [("agent.id, tool, args.to", True), ("session.id", False)]
)
def test_where_novelty_looks_at_more_than_an_exception_says_there_is_none(
    tmp_path: Path, key: str, taken: bool
) -> None:
    found = proposal(tmp_path, PAY + f"signals: {{novelty: {{key: [{key}]}}}}\n")
    same = Repeated(agent="bot", tool="pay", target={"to": "bob"})
    same.add("c1", {"to": "bob"})
    assert found.offer("e", [], excepted(same, "ann", "Seen.", TODAY), fine) is taken, (
        found.left_out
    )
