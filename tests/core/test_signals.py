"""What raises beside rules: what is new, what the session did, what a person refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from interlock.core.actions import Context, ToolCall
from interlock.core.decisions import Decision, Level, Reversibility, Stake
from interlock.core.evaluate import decide, prepare
from interlock.core.facts import Facts, Session
from interlock.core.provenance import stated
from interlock.core.rules import (
    Confidence,
    Exception_,
    Indeterminate,
    Novelty,
    RepeatDenied,
    Rule,
    SessionRisk,
)
from tests.core.building import NOON, PAY, call, judge, policy

READ = replace(PAY, id="read", reversibility=Reversibility.READ_ONLY)
RISK = SessionRisk(raise_at=((40, 1), (100, 2)))
FREE = Exception_(
    id="free",
    when=lambda seen: True,
    at_most=Level.NOTIFY,
    owner="ann",
    reason="Small.",
    expires=NOON.date(),
)


def new(familiar: bool | None, amount: float = 10, tool: Any = PAY, **settings: Any) -> Decision:
    compiled = policy(tool, novelty=Novelty(), **settings)
    return judge(compiled, call(amount=amount), NOON, Facts(familiar=familiar))


def test_the_first_call_to_a_target_is_raised_and_the_next_is_not() -> None:
    first, next_ = new(False), new(True)

    assert (first.level, first.signals) == (Level.APPROVE, ("novelty",))
    assert (next_.level, next_.signals) == (Level.NOTIFY, ())
    assert "agent.id, tool, target: not seen before: notify -> approve" in first.trace


def test_what_may_or_may_not_be_new_counts_as_new_and_is_in_doubt() -> None:
    """Fault caught: taking silence of the store for familiarity."""
    decision = new(None)

    assert (decision.level, decision.indeterminate) == (Level.APPROVE, True)


def test_novelty_never_denies_and_never_touches_what_is_denied() -> None:
    assert new(False, amount=20_000).level is Level.APPROVE_DUAL
    never = replace(PAY, rules=(Rule(id="never", deny="No."),))
    assert new(False, tool=never).signals == ()


def test_reading_is_not_raised_for_being_new_unless_people_see_it_anyway() -> None:
    assert new(False, tool=READ).level is Level.ALLOW
    assert new(False, amount=9_000, tool=READ).level is Level.APPROVE
    undone = replace(PAY, reversibility=Reversibility.REVERSIBLE)
    assert (new(True, tool=undone).level, new(False, tool=undone).level) == (
        Level.ALLOW,
        Level.NOTIFY,
    )


def test_an_exception_lowers_what_is_new_and_not_what_may_be() -> None:
    excepted = replace(PAY, exceptions=(FREE,))

    assert new(False, tool=excepted).level is Level.NOTIFY
    assert new(None, tool=excepted).level is Level.APPROVE


def risky(points: Any, tool: Any = PAY, **settings: Any) -> Decision:
    session = None if points is None else Session(points=points)
    compiled = policy(tool, session_risk=RISK, **settings)
    return judge(compiled, call(amount=10), NOON, Facts(session=session))


@pytest.mark.parametrize(
    ("points", "level"),
    [
        (0.0, Level.NOTIFY),
        (39.9, Level.NOTIFY),
        (40.0, Level.APPROVE),
        (100.0, Level.APPROVE_DUAL),
        (float("nan"), Level.APPROVE_DUAL),
        (None, Level.APPROVE_DUAL),
    ],
)
def test_a_session_that_did_much_is_raised_and_an_unknown_one_the_most(
    points: float | None, level: Level
) -> None:
    assert risky(points).level is level


def test_an_unknown_session_is_in_doubt() -> None:
    assert risky(None).indeterminate
    assert not risky(0.0).indeterminate


def test_reading_is_not_raised_by_what_the_session_did() -> None:
    assert risky(1000.0, tool=READ).level is Level.ALLOW


def test_an_unknown_call_is_raised_by_what_the_session_did() -> None:
    compiled = policy(PAY, session_risk=RISK)
    asked = call("elsewhere")

    quiet = judge(compiled, asked, NOON, Facts(session=Session()))
    busy = judge(compiled, asked, NOON, Facts(session=Session(points=50)))

    assert (quiet.level, busy.level) == (Level.APPROVE, Level.APPROVE_DUAL)


def test_signals_add_up_to_two_people_at_most() -> None:
    settings: dict[str, Any] = {"confidence": Confidence(raise_below=(1.0, 1.0, 1.0, 1.0))}
    compiled = policy(PAY, novelty=Novelty(), session_risk=RISK, **settings)

    decision = judge(compiled, call(amount=10), NOON, Facts(session=Session(points=500)))

    assert decision.level is Level.APPROVE_DUAL
    assert decision.signals == ("confidence", "novelty", "session_risk")


def refused(then: Level = Level.DENY, own: str = "", was: bool = True, tool: Any = PAY) -> Decision:
    compiled = policy(tool, repeat_denied=RepeatDenied(within_ms=60_000, then=then))
    return decide(prepare(call(amount=10), compiled, own), Facts(refused=was), NOON)


def test_what_a_person_refused_a_while_ago_is_not_asked_again() -> None:
    decision = refused()

    assert (decision.level, decision.reason) == (Level.DENY, "repeat_denied")
    assert "A person refused a call like this one" in decision.message
    assert refused(was=False).level is Level.NOTIFY


def test_a_remembered_refusal_may_ask_for_more_people_and_no_exception_undoes_it() -> None:
    decision = refused(Level.APPROVE_DUAL, tool=replace(PAY, exceptions=(FREE,)))

    assert (decision.level, decision.signals) == (Level.APPROVE_DUAL, ("repeat_denied",))
    assert decision.exceptions == ()


def test_a_refusal_of_a_like_call_does_not_decide_on_one_that_was_held_already() -> None:
    """Fault caught: denying what a person approves because a colleague rejected its twin."""
    assert refused(own="a1").level is Level.NOTIFY


def test_the_denied_keep_their_own_reason() -> None:
    decision = refused(tool=replace(PAY, rules=(Rule(id="never", deny="No."),)))

    assert (decision.level, decision.message) == (Level.DENY, "No.")


# ---- what conditions see ---------------------------------------------------------------------


def trifecta(seen: Any) -> bool:
    session = seen["session"]
    if "untrusted_content" not in session:
        raise Indeterminate("session.untrusted_content is missing")
    return bool(session["untrusted_content"] and session["sensitive_data"])


LETHAL = replace(
    PAY,
    asks=frozenset({"session"}),
    rules=(Rule(id="lethal", when=trifecta, at_least=Level.APPROVE_DUAL),),
)


@pytest.mark.parametrize(
    ("session", "fires"),
    [
        (Session(untrusted_content=True, sensitive_data=True), True),
        (Session(untrusted_content=True), False),
        (Session(), False),
        (None, True),
    ],
)
def test_a_rule_sees_what_the_session_has_read(session: Session | None, fires: bool) -> None:
    decision = judge(policy(LETHAL), call(amount=10), NOON, Facts(session=session))

    assert (decision.level is Level.APPROVE_DUAL) is fires
    assert decision.indeterminate is (session is None)


NAMED = replace(
    PAY,
    asks=frozenset({"task"}),
    rules=(
        Rule(
            id="named",
            when=lambda seen: not stated(seen["args"]["to"], seen["task"]),
            at_least=Level.APPROVE,
        ),
    ),
)


def paying(to: str, said: str = "") -> ToolCall:
    return replace(call(to=to, amount=10), context=Context(session="s1", task=said))


@pytest.mark.parametrize(
    ("stored", "sent", "level"),
    [
        ("Pay bob 10.", "", Level.NOTIFY),
        (None, "Pay bob 10.", Level.NOTIFY),
        ("Pay eve 10.", "Pay bob 10.", Level.APPROVE),
        ("Pay eve 10.", "", Level.APPROVE),
        ("", "Pay bob 10.", Level.APPROVE),
        (None, "", Level.APPROVE),
    ],
)
def test_a_target_that_the_user_never_named_is_raised(
    stored: str | None, sent: str, level: Level
) -> None:
    """Fault caught: letting the call's own header win over the request that is stored."""
    decision = judge(policy(NAMED), paying("bob", sent), NOON, Facts(task=stored))

    assert decision.level is level


def test_the_session_is_named_to_conditions_even_where_nothing_is_known_of_it() -> None:
    seen: list[Any] = []
    spy = Rule(id="spy", when=lambda env: bool(seen.append(env["session"])))

    judge(policy(replace(PAY, rules=(spy,))), call(amount=10))

    assert seen == [{"id": "s1"}]


def test_stake_decides_how_sure_an_agent_must_be() -> None:
    compiled = policy(PAY, confidence=Confidence(raise_below=(0.1, 0.9, 0.9, 1.0)))

    low = judge(compiled, call(_confidence=0.5, amount=10))
    medium = judge(compiled, call(_confidence=0.5, amount=100))

    assert (low.stake, low.level) == (Stake.LOW, Level.NOTIFY)
    assert (medium.stake, medium.level) == (Stake.MEDIUM, Level.APPROVE_DUAL)


HEEDED = Confidence(raise_below=(0.5, 0.5, 0.5, 0.5), use="calibrated")


def sure(claimed: Any, calibrated: Any, signal: Confidence = HEEDED) -> Decision:
    compiled = policy(PAY, confidence=signal)
    asked = call(_confidence=claimed, amount=10)
    return judge(compiled, asked, NOON, Facts(calibrated=calibrated))


@pytest.mark.parametrize(
    ("claimed", "calibrated", "level"),
    [
        (0.9, 0.5, Level.NOTIFY),
        (0.9, 0.4, Level.APPROVE),
        (0.4, 0.9, Level.APPROVE),
        (None, 0.9, Level.NOTIFY),  # counts as `missing`, which is 0.5
        (None, 0.4, Level.APPROVE),
        (0.9, None, Level.NOTIFY),
        (0.4, None, Level.APPROVE),
        (0.9, float("nan"), Level.APPROVE),
        (0.9, 1.01, Level.APPROVE),
        (0.9, -0.1, Level.APPROVE),
        (0.9, True, Level.APPROVE),
        (1.5, 0.9, Level.APPROVE),
    ],
)
def test_of_the_claim_and_what_past_decisions_make_of_it_the_lower_counts(
    claimed: Any, calibrated: Any, level: Level
) -> None:
    """Fault caught: a good past that lets an agent through which says that it is unsure."""
    decision = sure(claimed, calibrated)

    assert decision.level is level
    assert decision.signals == (("confidence",) if level is Level.APPROVE else ())


def test_the_trace_names_both_numbers() -> None:
    assert (
        "confidence 0.9 (past decisions say 0.25) is below 0.5 for low stake: notify -> approve"
        in sure(0.9, 0.25).trace
    )
    assert (
        "confidence 0.3 (not known how often it is right) is below 0.5 for low stake:"
        " notify -> approve"
    ) in sure(0.3, None).trace


@pytest.mark.parametrize("calibrated", [None, 0.0, 1.0, float("nan")])
def test_where_the_claim_counts_nothing_else_does(calibrated: Any) -> None:
    """Fault caught: correcting a claim where policy never asked for it."""
    claimed = replace(HEEDED, use="claimed")

    assert (sure(0.6, calibrated, claimed).level, sure(0.4, calibrated, claimed).level) == (
        Level.NOTIFY,
        Level.APPROVE,
    )
    assert (
        "confidence 0.4 is below 0.5 for low stake: notify -> approve"
        in sure(0.4, calibrated, claimed).trace
    )


def test_what_past_decisions_say_is_kept_with_the_decision_whether_or_not_it_counts() -> None:
    assert sure(0.6, 0.1, replace(HEEDED, use="claimed")).facts.calibrated == 0.1
    assert judge(policy(PAY), call(amount=10), NOON, Facts(calibrated=0.3)).facts.calibrated == 0.3
