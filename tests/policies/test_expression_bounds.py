"""Conditions over arguments that do not fit the schema, and over more than anyone looks at."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.core.rules import Indeterminate
from interlock.policies.expression_types import of_schema
from interlock.policies.expression_values import LOOP_STEPS, MAX_ITEMS
from interlock.policies.expressions import compile_condition

PAID = of_schema({"type": "object", "properties": {"paid": {"type": "boolean"}}})


@pytest.mark.parametrize("value", ["", 0, "x", [], None])
def test_what_the_schema_calls_a_bool_is_in_doubt_where_it_is_none(value: Any) -> None:
    """Fault caught: `when: args.paid` is false for "", which the schema would have refused."""
    condition = compile_condition("args.paid", {}, PAID)

    assert condition({"args": {"paid": True}}) is True
    with pytest.raises(Indeterminate):
        condition({"args": {"paid": value}})


# ---- what a loop looks at ------------------------------------------------------------------------

MANY = [f"x{each}" for each in range(2000)]
LONG = "a" * 200_000


@pytest.mark.parametrize("more", [[], [1, 2.5, True, None, {}]])
def test_a_list_is_searched_for_every_item_of_another(more: list[Any]) -> None:
    """Fault caught: 2,000 items in 20,000 are 1.5 s in which nobody else is served."""
    condition = compile_condition("args.items.exists(i, i in args.list)")
    listed = [f"y{each}" for each in range(20_000)] + more

    assert condition({"args": {"items": MANY, "list": listed}}) is False
    assert condition({"args": {"items": [*MANY, "y7"], "list": listed}}) is True


@pytest.mark.parametrize("value", ["a", 1, 1.0, 2**60, 1e300, True, None, [], {}, float("nan")])
@pytest.mark.parametrize(
    "listed",
    [[], ["a"], [1], [1.5, "a"], [True], [2**60, 1], [2**60, 1.0], [None], [10**30], [1e400], {}],
)
def test_inside_a_loop_a_list_is_searched_as_it_is_outside(value: Any, listed: Any) -> None:
    def answer(source: str, args: dict[str, Any]) -> Any:
        try:
            return compile_condition(source)({"args": args})
        except Indeterminate as doubt:
            return str(doubt).split(" ")[-3:]

    outside = answer("args.value in args.list", {"value": value, "list": listed})
    inside = answer("args.values.exists(v, v in args.list)", {"values": [value], "list": listed})

    assert inside == outside or {type(inside), type(outside)} == {list}


@pytest.mark.parametrize(
    "condition",
    [
        "args.memo.contains(i)",
        "i.contains(args.memo)",
        "args.memo.matches('a+b$')",
        "glob(args.memo, '*b')",
        "domain(args.memo) == i",
        "args.memo.endsWith(i)",
        "args.memo == i",
        "args.memo > i",
        "i in args.odd",
        "stated(i)",
    ],
)
def test_what_is_too_much_to_look_at_is_doubt(condition: str) -> None:
    """Fault caught: a text of 200 kB is searched 2,000 times."""
    odd = [*range(20_000), float("nan")]
    seen = {"args": {"items": MANY, "memo": LONG, "odd": odd}, "task": "x, " * 5_000}
    compiled = compile_condition(f"args.items.exists(i, {condition})")

    with pytest.raises(Indeterminate, match="not one plain" if "domain" in condition else "too m"):
        compiled(seen)
    assert LOOP_STEPS == 200_000


def test_the_longest_list_of_short_items_is_never_too_much() -> None:
    """Fault caught: a bound that holds back honest calls."""
    named = " || ".join(f"i == 'n{each}'" for each in range(20))
    condition = compile_condition(f"args.items.exists(i, {named} || i.endsWith('@evil.example'))")

    assert condition({"args": {"items": ["ann@example.com"] * MAX_ITEMS}}) is False


def test_every_loop_counts_for_itself() -> None:
    condition = compile_condition(
        "args.items.exists(i, args.memo.contains(i)) || args.items.exists(i, i == 'x7')"
    )

    assert condition({"args": {"items": MANY, "memo": LONG}}) is True
