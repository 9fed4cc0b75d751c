"""What a decided call takes of budgets and queues, and what it leaves behind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from interlock.core.decisions import Decision, Escalation, Level, Reversibility
from interlock.core.evaluate import decide, prepare
from interlock.core.facts import MILLION, NO_EFFECTS, Counting, Facts, blank
from interlock.core.rules import (
    Caps,
    Exception_,
    Levels,
    LevelSpec,
    Novelty,
    Redact,
    RepeatDenied,
    Rule,
    SessionRisk,
)
from tests.core.building import NOON, PAY, call, policy

CAPS = Caps(open_per_session=2, per_agent_per_hour=5)
HELD, SENT = 100, 10  #: amounts that a person decides on, and that go out
READS = replace(
    PAY,
    asks=frozenset({"session"}),
    taints=frozenset({"untrusted_content"}),
    reversibility=Reversibility.READ_ONLY,
    facets=(),
)


def queue(used: Any, amount: float = HELD, own: str = "", tool: Any = PAY, **more: Any) -> Decision:
    prepared = prepare(call(amount=amount), policy(tool, caps=CAPS, **more), own)
    facts = Facts(used={each.key: used for each in prepared.needs.counters})
    return decide(prepared, facts, NOON)


def test_a_held_call_takes_its_place_in_both_queues() -> None:
    shares = queue(MILLION).effects.reservations

    assert [(share.counter.counting, share.weight, share.room) for share in shares] == [
        (Counting.OPEN, MILLION, 2 * MILLION),
        (Counting.HOLDS, MILLION, 5 * MILLION),
    ]


@pytest.mark.parametrize("used", [2 * MILLION, 10**12, None, "0", float("nan")])
def test_where_too_many_calls_wait_or_nobody_knows_no_more_are_held(used: Any) -> None:
    """Fault caught: a loop that floods the people who approve."""
    decision = queue(used)

    assert (decision.level, decision.reason) == (Level.DENY, "cap")
    assert "open_per_session" in decision.limits
    assert "wait until people have decided" in decision.message
    assert decision.effects == NO_EFFECTS


def test_a_cap_holds_back_nothing_that_waits_for_nobody() -> None:
    decision = queue(10**12, amount=SENT)

    assert (decision.level, decision.limits) == (Level.NOTIFY, ())
    assert decision.effects.reservations == ()


def test_a_call_that_an_exception_lets_through_meets_no_cap() -> None:
    free = Exception_(
        id="free",
        when=lambda seen: True,
        at_most=Level.NOTIFY,
        owner="ann",
        reason="Rent.",
        expires=NOON.date(),
    )

    assert queue(10**12, tool=replace(PAY, exceptions=(free,))).level is Level.NOTIFY


def test_nobody_who_decides_on_a_held_call_meets_its_cap() -> None:
    """Fault caught: denying an approved call because other calls fill the queue."""
    decision = queue(10**12, own="a1")

    assert decision.level is Level.APPROVE
    (share,) = decision.effects.reservations
    assert (share.counter.counting, share.room) == (Counting.OPEN, None)


def test_shadow_mode_holds_nothing_and_so_meets_no_cap() -> None:
    decision = queue(10**12, shadow=True)

    assert (decision.level, decision.would_be) == (Level.NOTIFY, Level.APPROVE)


# ---- what is left behind ---------------------------------------------------------------------


def left(tool: Any = PAY, path: str = "pay", amount: float = SENT, **settings: Any) -> Decision:
    prepared = prepare(call(path, amount=amount), policy(tool, **settings))
    return decide(prepared, blank(prepared.needs), NOON)


def test_a_policy_that_keeps_nothing_leaves_nothing_behind() -> None:
    assert left().effects is NO_EFFECTS


def test_what_a_call_reads_taints_its_session() -> None:
    effects = left(READS, session_memory_ms=9).effects

    assert (effects.taints, effects.write) == (frozenset({"untrusted_content"}), False)
    assert effects.session and effects.session_ms == 9
    assert effects.points == 0


def test_every_tool_taints_the_session_that_any_tool_asks_about() -> None:
    """Fault caught: forgetting what a tool read because its own rules do not care."""
    mail = replace(READS, id="mail", asks=frozenset())
    other = replace(PAY, id="other", asks=frozenset({"session"}))
    compiled = policy(mail, replace(other, match=replace(other.match, segments=())))

    prepared = prepare(call(), compiled)
    effects = decide(prepared, blank(prepared.needs), NOON).effects

    assert not prepared.needs
    assert effects.taints == {"untrusted_content"} and effects.session


def test_what_an_unknown_call_reads_is_taken_for_the_worst() -> None:
    effects = left(READS, "elsewhere").effects

    assert effects.taints == {"untrusted_content", "sensitive_data"}
    assert effects.write


def test_a_call_leaves_points_by_its_stake() -> None:
    risk = SessionRisk(points=(1, 5, 20, 50), half_life_ms=7, raise_at=((40, 1),))

    small, large = left(session_risk=risk), left(session_risk=risk, amount=9_000)

    assert (small.effects.points, large.effects.points) == (1, 20)
    assert small.effects.half_life_ms == 7 and small.effects.write


def test_a_call_makes_its_target_familiar_for_the_memory() -> None:
    compiled = policy(PAY, novelty=Novelty(memory_ms=11))
    prepared = prepare(call(amount=SENT), compiled)

    effects = decide(prepared, blank(prepared.needs), NOON).effects

    assert (effects.familiar, effects.familiar_ms) == (prepared.needs.familiar, 11)


def test_a_refusal_would_be_remembered_for_its_target() -> None:
    compiled = policy(PAY, repeat_denied=RepeatDenied(within_ms=13))
    prepared = prepare(call(amount=HELD), compiled)

    decision = decide(prepared, blank(prepared.needs), NOON)

    assert (decision.effects.target, decision.effects.repeat_ms) == (prepared.needs.target, 13)
    assert decision.target == {"amount": HELD}


def test_a_denied_call_leaves_nothing_behind() -> None:
    never = replace(READS, rules=(Rule(id="never", deny="No."),))

    assert left(never, novelty=Novelty(), repeat_denied=RepeatDenied(within_ms=1)).effects is (
        NO_EFFECTS
    )


# ---- what people are told ---------------------------------------------------------------------

LEVELS = Levels(
    approve=LevelSpec(
        approvers=("ops",), remind_ms=5, escalate=(Escalation(after_ms=9, to=("leads",)),)
    ),
    notify=("desk",),
)


def test_a_held_call_says_who_is_told_when_and_who_may_decide_later() -> None:
    decision = left(amount=HELD, levels=LEVELS)

    assert (decision.remind_ms, decision.notify) == (5, ("ops",))
    assert decision.escalate == LEVELS.approve.escalate


def test_a_call_that_goes_out_tells_whoever_policy_names() -> None:
    decision = left(amount=SENT, levels=LEVELS)

    assert (decision.remind_ms, decision.escalate, decision.notify) == (0, (), ("desk",))


def test_what_is_hidden_from_approvers_are_arguments_that_the_call_has() -> None:
    redact = Redact(approver=("args.amount", "args.memo", "args.amount.cents"))

    assert left(redact=redact).redacted == ("amount",)
