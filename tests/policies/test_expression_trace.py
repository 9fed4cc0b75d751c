"""Every part of a condition, with what it was for one call."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.policies.expression_syntax import ConditionError
from interlock.policies.expression_trace import explain_condition
from interlock.policies.expression_types import ANY

VARS = {"domains": ["b.example"]}


def explained(source: str, session: Any = None, **args: Any) -> list[str]:
    seen = {"args": args, "agent": {"id": "bot"}, "call": {}, "session": session, "task": None}
    parts = explain_condition(source, VARS, ANY, seen)
    return [f"{'  ' * part.depth}{part.column} {part.text}: {part.shown}" for part in parts]


def test_every_part_is_shown_in_the_order_in_which_it_was_written() -> None:
    source = '!(domain(args.to) in vars.domains) && args.amount * 2 > 500 || agent.id == "x"'

    assert explained(source, to="ann@c.example", amount=300) == [
        f"0 {source}: true",
        "  0 !(domain(args.to) in vars.domains) && args.amount * 2 > 500: true",
        "    0 !(domain(args.to) in vars.domains): true",
        "      2 domain(args.to) in vars.domains: false",
        '        2 domain(args.to): "c.example"',
        '          9 args.to: "ann@c.example"',
        '        21 vars.domains: ["b.example"]',
        "    38 args.amount * 2 > 500: true",
        "      38 args.amount * 2: 600",
        "        38 args.amount: 300",
        '  63 agent.id == "x": false',
        '    63 agent.id: "bot"',
    ]


def test_doubt_says_why_and_where_it_comes_from() -> None:
    assert explained("session.writes > 0 && args.gone == 1") == [
        "0 session.writes > 0 && args.gone == 1: indeterminate: session.writes is not known",
        "  0 session.writes > 0: indeterminate: session.writes is not known",
        "    0 session.writes: indeterminate: session.writes is not known",
        "  22 args.gone == 1: indeterminate: args.gone is missing",
        "    22 args.gone: indeterminate: args.gone is missing",
    ]


def test_a_loop_shows_the_last_item_that_it_looked_at() -> None:
    assert explained("args.tags.exists(x, x == 2 && x > 0)", tags=[1, 2, 3]) == [
        "0 args.tags.exists(x, x == 2 && x > 0): true",
        "  0 args.tags: [1, 2, 3]",
        "  20 x == 2 && x > 0: true",
        "    20 x == 2: true",
        "      20 x: 2",
        "    30 x > 0: true",
        "      30 x: 2",
    ]


def test_what_a_loop_never_looked_at_has_no_value() -> None:
    assert explained("args.tags.all(x, x > 0)", tags=[])[2:] == [
        "  17 x > 0: indeterminate: not looked at",
        "    17 x: indeterminate: not looked at",
    ]


def test_a_long_value_is_shortened() -> None:
    (part,) = explained("args.memo == 'x'", memo="m" * 10_000)[1:]

    assert len(part) < 120 and part.endswith("…")


def test_a_wrong_condition_is_refused() -> None:
    with pytest.raises(ConditionError):
        explained("args.to &&")


def test_each_part_of_the_deepest_condition_is_evaluated_once() -> None:
    """Fault caught: evaluating each part anew, which is quadratic in the depth."""
    looked: list[str] = []

    class Counted(dict[str, Any]):
        def __getitem__(self, name: str) -> Any:
            looked.append(name)
            return super().__getitem__(name)

    source = "(" * 30 + "args.amount >= 0" + " && true)" * 30
    parts = explain_condition(source, VARS, ANY, Counted(args={"amount": 1}))

    assert parts[0].value is True
    assert looked == ["args"]
