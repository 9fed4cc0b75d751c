"""Recorded calls judged again: with the past of then, by the policy of now."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from interlock.core.decisions import Level
from interlock.core.evaluate import prepare
from interlock.core.facts import Facts, Session
from interlock.core.records import DecidedCall, Turned
from interlock.core.rules import PolicySet
from interlock.noting import pack_facts
from interlock.policies.replaying import (
    LOOSER,
    REASON,
    SAME,
    STRICTER,
    BadCall,
    rebuilt,
    replayed,
)
from interlock.policies.replaying_sums import Sums, went_wrong

from ..support.records import DAY, NOON, audited, record, records, reported, said, unreviewed
from .building import PAY, policy

RULE = "rules: [{id: big, tools: [pay], when: args.amount > 100, at_least: approve}]\n"
LIMIT = "limits: [{id: day, tools: [pay], key: [agent.id], window: 1d, count: 1, then: approve}]\n"


def paid(amount: float = 20, **changes: Any) -> DecidedCall:
    """A payment as it is recorded: by its request."""
    path = "/accounts/7/pay"
    request = {"upstream": "bank", "method": "POST", "path": path, "json": {"amount": amount}}
    usual: dict[str, Any] = {
        "request": request,
        "arguments": {"account": "7", "amount": amount},
        "tool": "pay",
        "stake": "low",
        "reversibility": "compensable",
        "level": "approve",
    }
    return record(**(usual | changes))


def test_a_call_that_nobody_has_to_decide_any_more_is_looser() -> None:
    each = replayed(paid(rules=("big",)), policy(PAY))
    assert (each.kind, each.before, each.after.level) == (LOOSER, Level.APPROVE, Level.NOTIFY)
    assert each.why == "rule big no longer"


def test_a_call_that_a_new_rule_holds_is_stricter() -> None:
    each = replayed(paid(200, level="notify", stake="medium", reviews=()), policy(PAY + RULE))
    assert (each.kind, each.after.level) == (STRICTER, Level.APPROVE)
    assert each.why == "rule big now"


def test_the_same_answer_for_the_same_reasons_is_the_same() -> None:
    assert replayed(paid(level="notify"), policy(PAY)).kind == SAME


def test_the_same_answer_for_other_reasons_is_told() -> None:
    each = replayed(paid(level="notify", rules=("gone",)), policy(PAY))
    assert (each.kind, each.why) == (REASON, "rule gone no longer")


def test_one_person_less_is_looser_although_the_level_is_the_same() -> None:
    held = paid(200, rules=("big",), stake="medium", quorum=2)
    assert replayed(held, policy(PAY + RULE)).kind == LOOSER


def test_what_was_used_of_a_limit_then_counts_now() -> None:
    compiled = policy(PAY + LIMIT)
    empty, full = (_with_used(compiled, used) for used in (0, 1))
    assert replayed(empty, compiled).after.level is Level.NOTIFY
    assert replayed(full, compiled).after.level is Level.APPROVE
    assert replayed(full, compiled).unrecorded == ()


def _with_used(compiled: PolicySet, used: int) -> DecidedCall:
    (counter,) = prepare(rebuilt(paid(), compiled), compiled).needs.counters
    return paid(facts=pack_facts(Facts(used={counter.key: used * 1_000_000})))


def test_a_limit_that_nobody_counted_then_is_taken_as_unused_and_named() -> None:
    each = replayed(paid(), policy(PAY + LIMIT))
    assert each.after.level is Level.NOTIFY
    assert each.unrecorded == ("limit day",)


def test_novelty_that_nobody_noted_is_taken_as_familiar_and_named() -> None:
    compiled = policy(PAY + "signals: {novelty: {key: [agent.id], raise: 1}}\n")
    each = replayed(paid(), compiled)
    assert (each.after.signals, each.unrecorded) == ((), ("whether the target was familiar",))
    new = replayed(paid(facts={"familiar": False}), compiled)
    assert (new.after.signals, new.unrecorded) == (("novelty",), ())


def test_what_the_session_had_done_is_seen_by_rules() -> None:
    tainted = "rules: [{id: t, tools: [pay], when: session.untrusted_content, at_least: approve}]\n"
    compiled = policy(PAY + tainted)
    facts = pack_facts(Facts(session=Session(untrusted_content=True)))
    assert replayed(paid(facts=facts), compiled).after.level is Level.APPROVE
    fresh = replayed(paid(), compiled)
    assert (fresh.after.level, fresh.unrecorded) == (Level.NOTIFY, ("what the session did",))


def test_the_time_of_the_call_is_the_time_that_conditions_see() -> None:
    late = "rules: [{id: late, tools: [pay], when: call.hour == 14, at_least: approve}]\n"
    compiled = policy(PAY + late)
    hour = NOON // 3_600_000 % 24
    at = [paid(created=NOON + step * 3_600_000) for step in range(24)]
    levels = [replayed(each, compiled).after.level for each in at]
    assert levels.index(Level.APPROVE) == (14 - hour) % 24
    assert levels.count(Level.APPROVE) == 1


def test_the_agents_confidence_and_owner_are_those_of_then() -> None:
    unsure = "signals: {confidence: {raise_below: {low: 0.5, medium: 1, high: 1, critical: 1}}}\n"
    compiled = policy(PAY + unsure)
    assert replayed(paid(confidence=0.4), compiled).after.level is Level.APPROVE
    assert replayed(paid(confidence=0.6), compiled).after.level is Level.NOTIFY
    owned = "rules: [{id: o, tools: [pay], when: agent.owner == 'olga', at_least: approve}]\n"
    assert replayed(paid(), policy(PAY + owned)).after.level is Level.APPROVE


def test_a_definition_that_had_changed_then_is_not_accepted_now() -> None:
    tool = """
tools:
  - id: send
    mcp: {server: mail, tool: send}
    reversibility: reversible
    undo: {reason: x}
    facets: {data: public}
stake: {data: {public: low}}
"""
    request = {"mcp": {"server": "mail", "tool": "send"}, "args": {}}
    changed = record(request=request, tool="send", why="definition_changed")
    assert replayed(changed, policy(tool)).after.reason == "definition_changed"
    assert replayed(record(request=request, tool="send"), policy(tool)).after.tool == "send"


@pytest.mark.parametrize(
    "changes",
    [
        {"request": {}},
        {"request": {"method": 5}},
        {"request": {"upstream": "bank", "path": "/a/../b"}},
        {"facts": {"used": {"k": "many"}}},
        {"facts": {"session": {"nonsense": 1}}},
        {"level": "maybe"},
        {"created": 2**70},
    ],
)
def test_a_record_that_cannot_be_read_is_said_to_be_none(changes: dict[str, Any]) -> None:
    with pytest.raises(BadCall):
        replayed(paid(**changes), policy(PAY))


@settings(max_examples=60, deadline=None)
@given(records())
def test_any_record_is_judged_or_refused_and_never_loosens_a_denying_policy(
    any_record: DecidedCall,
) -> None:
    strict = policy(PAY + "rules: [{id: never, tools: ['*'], deny: No.}]\n")
    try:
        each = replayed(any_record, strict)
    except BadCall:
        return
    assert each.after.level is Level.DENY
    assert each.kind in (STRICTER, SAME, REASON)


# ---- sums ------------------------------------------------------------------------------------


def sums_of(*calls: DecidedCall, by: str = PAY) -> Sums:
    compiled = policy(by)
    sums = Sums()
    for each in calls:
        sums.add(replayed(each, compiled))
    return sums


def test_of_the_bad_calls_those_still_held_are_counted_with_their_interval() -> None:
    small, large = paid(20, reviews=(said("reject"),)), paid(2000, reviews=(said("edit"),))
    found = sums_of(small, large, paid())
    assert (found.catch_before.hits, found.catch.hits, found.catch.of) == (2, 1, 2)
    assert found.catch.low < 0.5 < found.catch.high


def test_a_denied_bad_call_is_a_caught_one() -> None:
    bad = paid(20, level="notify", reviews=(), reports=(reported(),))
    caught = sums_of(bad, by=PAY + "rules: [{id: never, tools: [pay], deny: No.}]\n")
    assert (caught.bad, caught.bad_before, caught.bad_after) == (1, 0, 1)


def test_audited_calls_stand_for_those_that_were_not_drawn() -> None:
    drawn = {"level": "notify", "reviews": (), "drawn": True, "share": 0.1}
    missed = paid(20, audit=audited(Turned.WRONG), **drawn)
    held = paid(2000, reviews=(said("reject"),))
    found = sums_of(missed, held)
    weighted = found.catch_weighted
    assert weighted is not None
    assert weighted[1] == pytest.approx(1 / 11)
    assert sums_of(held).catch_weighted is None


def test_freed_calls_are_told_apart_by_what_people_said() -> None:
    found = sums_of(
        paid(),
        paid(reviews=(said("reject"),)),
        paid(reviews=(), state="expired"),
    )
    assert (found.freed, found.freed_right, found.freed_wrong) == (3, 1, 1)


def test_holds_and_decisions_are_counted_by_the_day() -> None:
    calls = [paid(200, created=NOON + day * DAY, stake="medium") for day in range(11)]
    before, after = sums_of(*calls).burden
    assert (before.holds, before.decisions) == (1.1, 1.1)
    assert after.holds == after.decisions == pytest.approx(1.1)
    two = sums_of(*calls, by=PAY + RULE.replace("at_least: approve", "at_least: approve_dual"))
    assert two.burden[1].decisions == pytest.approx(2.2)


def test_calls_that_are_kept_for_a_shorter_time_are_counted_over_theirs() -> None:
    held = [paid(2000, created=NOON + day * DAY, stake="high") for day in range(101)]
    passed = [
        paid(20, level="notify", reviews=(), created=NOON + (90 * DAY) + step * DAY // 10)
        for step in range(101)
    ]
    every = PAY + "rules: [{id: all, tools: [pay], at_least: approve}]\n"
    found = sums_of(*held, *passed, by=every)
    before, after = found.burden
    assert found.one_sided
    assert before.holds == pytest.approx(1.01)
    assert after.holds == pytest.approx(1.01 + 10.1)


def test_names_are_bounded_whatever_agents_call_their_tools() -> None:
    calls = (
        record(request={"mcp": {"server": "m", "tool": f"t{each}"}}, tool=f"t{each}")
        for each in range(700)
    )
    found = sums_of(*calls)
    assert len(found.tools) <= 501
    assert found.tools["(others)"].total() == 200


def test_a_reported_call_went_wrong_whoever_approved_it() -> None:
    assert went_wrong(paid(reports=(reported(),)))
    assert went_wrong(unreviewed(audit=audited(Turned.WRONG)))
    assert not went_wrong(paid())
    assert not went_wrong(paid(reviews=(said("respond"),)))
