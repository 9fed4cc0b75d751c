"""Limits, signals, levels and safeguards of a policy file: what they compile to."""

from __future__ import annotations

import pytest

from interlock.core.decisions import Level
from interlock.core.rules import Limit
from tests.policies.building import PAY, policy, problems

COUNT = "{id: few, tools: [pay], key: [agent.id], window: 1h, count: 20, then: approve}"
SUM = (
    "{id: money, tools: ['*'], key: [agent.owner, args.to], window: 24h, sum: args.amount, "
    "max: 2000.5, then: deny, description: Not more., mode: shadow}"
)


def limits(*entries: str) -> str:
    return "limits:\n" + "".join(f"  - {entry}\n" for entry in entries)


def test_a_limit_counts_calls_or_sums_an_argument() -> None:
    compiled = policy(PAY + limits(COUNT, SUM))

    few, money = compiled.limits
    assert few == Limit(
        id="few",
        key=("agent.id",),
        window_ms=3_600_000,
        maximum=20_000_000,
        then=Level.APPROVE,
    )
    assert (money.maximum, money.window_ms, money.shadow) == (2_000_500_000, 86_400_000, True)
    assert money.value is not None and money.value({"args": {"amount": 7}}) == 7
    assert compiled.tools["pay"].limits == (few, money)
    assert compiled.unknown_limits == (money,)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (COUNT.replace("count: 20, ", ""), "19:5: limit 'few' limits nothing: add `count`, or"),
        (COUNT.replace("count: 20", "sum: args.amount"), "19:63: a sum needs `max`"),
        (COUNT.replace("count: 20", "max: 5"), "19:63: `max` of what?"),
        (COUNT.replace("count: 20", "count: 20, max: 5"), "19:65: count calls, or sum something"),
        (COUNT.replace("count: 20", "count: 0"), "0 is too small: at least 1"),
        (
            COUNT.replace("count: 20", "sum: args.amount, max: 0"),
            "0 is too small: write more than 0",
        ),
        (COUNT.replace("agent.id", "agent.di"), "19:35: unknown part of a key 'agent.di'; did"),
        (
            COUNT.replace("agent.id", "args.amont"),
            "none of its tools has an argument 'amont'; did you mean",
        ),
        (COUNT.replace("agent.id", "agent.id, agent.id"), "'agent.id' is already in the key"),
        (COUNT.replace("1h", "91d"), "91d is too long: at most 90d"),
        (COUNT.replace("1h", "10ms"), "10ms is too short: at least 1s"),
        (COUNT.replace("1h", "1w"), "write a duration with its unit: 90s, 15m, 4h or 7d; not '1w'"),
        (COUNT.replace("[pay]", "[pya]"), "'pya' names no tool; did you mean 'pay'?"),
        (COUNT.replace("then: approve", "then: allow"), "not 'allow'"),
        (COUNT.replace(", then: approve", ""), "'then' is missing"),
        (SUM.replace("args.amount", "args.to"), "a number is needed here; this is a string"),
        (SUM.replace("args.amount", "args.amont"), "no field 'args.amont'; did you mean 'amount'?"),
    ],
)
def test_a_wrong_limit_is_a_problem_with_its_cure(entry: str, said: str) -> None:
    found = problems(PAY + limits(entry))

    assert any(said in line for line in found), found


def test_a_limit_over_tools_of_which_one_lacks_the_argument_is_refused() -> None:
    other = PAY[PAY.index("  - id") :].replace("id: pay", "id: wire").replace("/pay", "/wire")
    other = other.replace("amount: {type: number}, ", "").replace(
        "amount: args.amount", "blast: self"
    )

    found = problems(PAY + other + limits(SUM))

    assert [line.partition(": ")[2] for line in found] == [
        "its calls could never be summed: wire has no argument 'amount'; did you mean 'account'?"
    ]


def test_ids_are_unique_over_rules_limits_and_exceptions() -> None:
    rule = "rules: [{id: few, tools: [pay], at_least: approve_dual}]\n"

    assert any("id 'few' is already at" in line for line in problems(PAY + rule + limits(COUNT)))


def test_what_a_limit_sums_may_ask_about_the_session() -> None:
    plain = policy(PAY + limits(COUNT))
    asking = policy(
        PAY + limits(SUM.replace("args.amount", "session.points * double(args.amount)"))
    )

    assert plain.tools["pay"].asks == frozenset() == plain.unknown_asks
    assert asking.tools["pay"].asks == {"session"} == asking.unknown_asks
