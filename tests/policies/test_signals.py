"""Signals: what they compile to, and that no file loosens another's."""

from __future__ import annotations

import pytest

from interlock.core.rules import Novelty, SessionRisk
from tests.policies.building import PAY, policy, problems

HOUR, DAY = 3_600_000, 86_400_000
RISK = "signals: {session_risk: {points: {high: 30}, half_life: 1h, raise_at: [RAISE]}}\n"


def test_without_a_word_nothing_raises() -> None:
    compiled = policy(PAY)

    assert compiled.confidence is compiled.novelty is compiled.session_risk is None
    assert (compiled.session_scope, compiled.session_memory_ms) == ("session", DAY)


def test_novelty_has_a_key_a_memory_and_steps() -> None:
    compiled = policy(
        PAY + "signals: {novelty: {key: [agent.id, args.to], memory: 7d, raise: 2}}\n"
    )

    assert compiled.novelty == Novelty(key=("agent.id", "args.to"), memory_ms=7 * DAY, steps=2)
    assert policy("signals: {novelty: {}}\n").novelty == Novelty()


def test_the_risk_of_a_session_has_points_a_half_life_and_steps() -> None:
    compiled = policy(RISK.replace("RAISE", "{points: 40, raise: 1}, {points: 100, raise: 2}"))

    assert compiled.session_risk == SessionRisk(
        points=(1, 5, 30, 50), half_life_ms=HOUR, raise_at=((40, 1), (100, 2))
    )


def test_a_session_may_be_all_that_an_agent_does() -> None:
    compiled = policy("signals: {session: {scope: agent, memory: 3h}}\n")

    assert (compiled.session_scope, compiled.session_memory_ms) == ("agent", 3 * HOUR)


def test_the_strictest_of_all_files_counts() -> None:
    one = RISK.replace("RAISE", "{points: 40, raise: 1}, {points: 100, raise: 2}")
    other = RISK.replace("RAISE", "{points: 40, raise: 2}, {points: 200, raise: 3}")
    other = other.replace("high: 30", "critical: 90").replace("1h", "10m")
    novelty = "signals: {novelty: {memory: M, raise: S}, session: {memory: X, scope: Y}}\n"

    risk = policy(one, other).session_risk
    rest = policy(
        novelty.replace("M", "9d").replace("S", "1").replace("X", "9h").replace("Y", "session"),
        novelty.replace("M", "3d").replace("S", "2").replace("X", "1h").replace("Y", "agent"),
    )

    assert risk == SessionRisk(
        points=(1, 5, 30, 90), half_life_ms=HOUR, raise_at=((40, 2), (200, 3))
    )
    assert risk == policy(other, one).session_risk
    assert rest.novelty == Novelty(memory_ms=3 * DAY, steps=2)
    assert (rest.session_scope, rest.session_memory_ms) == ("agent", 9 * HOUR)


def test_a_file_in_shadow_mode_raises_nothing_for_the_others() -> None:
    one = RISK.replace("RAISE", "{points: 40, raise: 1}")
    trial = "mode: shadow\nsignals: {novelty: {}, session: {scope: agent}}\n"

    together, alone = policy(one, trial), policy(trial)

    assert together.session_risk is not None and together.novelty is None
    assert together.session_scope == "session"
    assert alone.novelty is not None and alone.session_scope == "agent"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("signals: {novelty: {key: [agnt.id]}}", "1:27: unknown part of a key 'agnt.id'; did you"),
        (
            "signals: {novelty: {key: [args.tu]}}",
            "none of its tools has an argument 'tu'; kn",
        ),
        ("signals: {novelty: {key: []}}", "what is new?"),
        ("signals: {novelty: {memory: 400d}}", "400d is too long: at most 366d"),
        ("signals: {novelty: {memory: 1s}}", "1s is too short: at least 1m"),
        ("signals: {novelty: {raise: 9}}", "9 is too large: at most 3"),
        ("signals: {novelty: {rais: 1}}", "unknown key 'rais'; did you mean 'raise'?"),
        ("signals: {novlty: {}}", "unknown key 'novlty'; did you mean 'novelty'?"),
        ("signals: {session: {scope: agnt}}", "not 'agnt'; did you mean 'agent'?"),
        ("signals: {session: {memory: 91d}}", "91d is too long: at most 90d"),
        ("signals: {session_risk: {half_life: 30m}}", "'raise_at' is missing"),
        (RISK.replace("RAISE", "{points: 0, raise: 1}"), "0 is too small: write more than 0"),
        (
            RISK.replace("RAISE", "{points: 9, raise: 1}, {points: 9, raise: 2}"),
            "1:95: points and raise must be above those before (9, 1)",
        ),
        (
            RISK.replace("RAISE", "{points: 9, raise: 2}, {points: 19, raise: 1}"),
            "points and raise must be above those before (9, 2)",
        ),
        (
            RISK.replace("RAISE", "{points: 9, raise: 1}").replace("high: 30", "high: 3"),
            "1:41: the points fall below 5 as the stake rises",
        ),
        (RISK.replace("RAISE", "{points: 9, raise: 1}").replace("1h", "100d"), "at most 90d"),
    ],
)
def test_a_wrong_signal_is_a_problem_with_its_cure(body: str, said: str) -> None:
    found = problems(body + "\n" + PAY)

    assert any(said in line for line in found), found


def test_files_that_know_novelty_by_different_keys_are_refused() -> None:
    one, other = (f"signals: {{novelty: {{key: [{key}]}}}}\n" for key in ("tool", "agent.id"))

    assert "`signals` differs from 0.yaml" in problems(one, other)[0]
