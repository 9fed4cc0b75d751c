"""Keys never meet by accident or by design, and weights are never too light."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.actions import Agent, Body, Content, Context, ToolCall
from interlock.core.counting import HEAVIEST, Names, canonical, key_of, session_key, weight_of
from interlock.core.decisions import Level
from interlock.core.rules import Indeterminate, Limit, PolicySet, Tool
from tests.core.building import PAY, arg, call, policy

LIMIT = Limit(id="l", key=("agent.id",), window_ms=60_000, maximum=0, then=Level.APPROVE)


def names(asked: ToolCall, tool: Tool | None = PAY, compiled: PolicySet | None = None) -> Names:
    return Names(asked, tool, asked.content.value or {}, compiled or policy(PAY))


@given(one=st.lists(st.text(max_size=3), max_size=4), other=st.lists(st.text(max_size=3)))
def test_two_lists_of_parts_share_a_key_only_where_they_are_equal(
    one: list[str], other: list[str]
) -> None:
    assert (key_of(*one) == key_of(*other)) == (one == other)
    assert len(key_of(*one)) == 32


def test_a_key_takes_any_text_of_an_agent() -> None:
    assert key_of("\ud800\0é") != key_of("\ud801\0é")


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, 1.0), ({"a": 1, "b": [2.0]}, {"b": [2], "a": 1.0}), ({"a": -0.0}, {"a": 0})],
)
def test_equal_json_values_have_one_text(one: Any, other: Any) -> None:
    """Fault caught: a budget or a refusal that 1.0 in place of 1 walks around."""
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(
    ("one", "other"), [(1, "1"), (1, True), (None, "null"), ("", None), (1, 1.5), ([1], "[1]")]
)
def test_unequal_json_values_have_two_texts(one: Any, other: Any) -> None:
    assert canonical(one) != canonical(other)


def test_sessions_of_two_agents_never_meet() -> None:
    assert session_key("bot", "s") != session_key("bo", "ts")
    other = replace(call(), agent=Agent(id="other"))
    by_session = replace(LIMIT, key=("session.id",))

    assert names(call()).session_state() == session_key("bot", "s1")
    assert names(other).session_state() != names(call()).session_state()
    assert names(other).share_of(by_session) != names(call()).share_of(by_session)


def test_all_calls_of_an_agent_are_one_session_where_policy_says_so() -> None:
    compiled = policy(PAY, session_scope="agent")
    elsewhere = replace(call(), context=Context(session="s2"))

    assert names(call(), PAY, compiled).session_state() == session_key("bot", "")
    assert names(elsewhere, PAY, compiled).session_state() == session_key("bot", "")


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("agent.id", {"agent": Agent(id="other", owner="ann")}),
        ("agent.owner", {"agent": Agent(id="bot", owner="eve")}),
        ("session.id", {"context": Context(session="s2")}),
        ("args.to", {"content": Content(kind=Body.JSON, value={"to": "eve", "amount": 1})}),
        ("target", {"content": Content(kind=Body.JSON, value={"to": "bob", "amount": 2})}),
    ],
)
def test_a_budget_is_told_apart_by_its_key_alone(path: str, change: dict[str, Any]) -> None:
    asked, limit = call(to="bob", amount=1), replace(LIMIT, key=(path,))
    other = replace(asked, **change)

    assert names(asked).share_of(limit) != names(other).share_of(limit)
    constant = replace(LIMIT, key=("tool",))
    assert names(asked).share_of(constant) == names(other).share_of(constant)


def test_a_budget_of_another_window_or_name_is_another_budget() -> None:
    keys = {
        names(call()).share_of(each).key
        for each in (LIMIT, replace(LIMIT, id="m"), replace(LIMIT, window_ms=1))
    }
    assert len(keys) == 3


def test_a_missing_argument_has_a_budget_of_its_own() -> None:
    limit = replace(LIMIT, key=("args.to",))

    without, null = names(call()).share_of(limit), names(call(to=None)).share_of(limit)

    assert without == null != names(call(to="null")).share_of(limit)


def test_an_unknown_path_is_an_error_and_no_wider_budget() -> None:
    with pytest.raises(ValueError, match=r"call\.hour"):
        names(call()).share_of(replace(LIMIT, key=("call.hour",)))


def test_the_target_is_what_the_tool_declares_or_everything() -> None:
    declared = replace(PAY, target=("to", "account"))

    assert names(call(to="bob", amount=1), declared).target == {"to": "bob", "account": None}
    assert names(call(to="bob", amount=1)).target == {"to": "bob", "amount": 1}
    small, large = call(to="bob", amount=1), call(to="bob", amount=2)
    assert names(small, declared).target_key() == names(large, declared).target_key()
    assert names(small).target_key() != names(large).target_key()


def test_bytes_that_no_argument_shows_are_part_of_the_target() -> None:
    """Fault caught: a grant for one upload that stands for every upload."""
    one = replace(call(), body=b"a", content=Content(kind=Body.OPAQUE, media_type="x/y"))

    assert names(one).target_key() != names(replace(one, body=b"b")).target_key()
    assert names(one, None).target_key() != names(replace(one, body=b"b"), None).target_key()
    elsewhere = replace(one, path="/other")
    assert names(one, None).target_key() != names(elsewhere, None).target_key()


def test_without_a_value_calls_are_counted() -> None:
    assert weight_of(LIMIT, {"args": {}}) == 1_000_000


@pytest.mark.parametrize(
    ("amount", "weight"),
    [
        (0, 0),
        (3, 3_000_000),
        (-3, 3_000_000),
        (1.15, 1_150_000),
        (0.1, 100_000),
        (-2.5, 2_500_000),
        (1e-9, 1),
        (2.0000001, 2_000_001),
        (1e300, HEAVIEST),
        (10**30, HEAVIEST),
    ],
)
def test_an_amount_weighs_its_size_in_millionths_rounded_up(amount: float, weight: int) -> None:
    limit = replace(LIMIT, value=arg("amount"))

    assert weight_of(limit, {"args": {"amount": amount}}) == weight


@pytest.mark.parametrize("amount", [None, "1", True, [1], float("nan"), float("inf")])
def test_an_amount_that_is_no_number_has_no_weight(amount: Any) -> None:
    with pytest.raises(Indeterminate):
        weight_of(replace(LIMIT, value=arg("amount")), {"args": {"amount": amount}})


@given(st.decimals(min_value=0, max_value=10**8, places=6, allow_nan=False))
def test_an_amount_of_six_places_weighs_exactly_what_it_says(amount: Decimal) -> None:
    limit = replace(LIMIT, value=arg("amount"))

    assert weight_of(limit, {"args": {"amount": float(amount)}}) == int(amount * 1_000_000)
