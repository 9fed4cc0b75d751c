"""Conditions: what they answer, what they refuse at load, and that doubt is never an answer."""

from __future__ import annotations

import inspect
import math
import sys
from typing import Any

import pytest

from interlock.core.rules import Indeterminate
from interlock.policies.expression_syntax import ConditionError
from interlock.policies.expression_types import of_schema
from interlock.policies.expressions import (
    asks,
    compile_condition,
    compile_edit_condition,
    compile_value,
)

VARS = {"domains": ["example.com", "b.example"], "limit": 10, "names": {"a": 1}, "mixed": [1.5, 2]}
VARS |= {"rate": 2.5, "both": ["a", 5]}
ARGS = of_schema(
    {
        "type": "object",
        "properties": {
            "amount": {"type": "number"},
            "to": {"type": "string"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "deep": {"type": "object", "properties": {"a": {"type": "integer"}}},
        },
    }
)


def told(source: str, task: str | None, session: dict[str, Any] | None) -> bool | str:
    """What a condition answers where so much is known of the session."""
    seen = {"args": {"to": "bob@b.example", "amount": 120}, "session": session, "task": task}
    try:
        return compile_condition(source, VARS, ARGS)(seen)
    except Indeterminate as doubt:
        return str(doubt)


def answer(source: str, **args: Any) -> bool | str:
    seen = {"args": args, "agent": {"id": "bot"}, "call": {"hour": 9}}
    try:
        return compile_condition(source, VARS)(seen)
    except Indeterminate as doubt:
        return str(doubt)


@pytest.mark.parametrize(
    "source",
    [
        "args.n == 5 && args.n != 6 && args.n >= 5 && args.n <= 5 && args.n < 6 && args.n > 4",
        'args.s == "abc" && args["s"] == "abc"',
        "args.n in [1, 5] && !(args.n in [1, 2])",
        'args.s in ["abc"] && "a" in args.list',
        "args.n + 1 == 6 && args.n - 1 == 4 && args.n * 2 == 10 && -args.n == -5",
        "args.f + 0.5 == 3.0 && args.f > 2",
        "double(args.n) * 2.5 == 12.5 && double(args.f) * 2.0 == 5.0 && double(args.n) in [5]",
        "args.n in [5.0, 6] && args.f in [1, 2.5] && !(args.f in [1, 2]) && !(args.s in [1, 2])",
        '"a" in [1, "a"] && 1 in [1, "a"] && args.s in ["x", 2.5, "abc"] && args.n in vars.both',
        "9007199254740993 in [9007199254740993] && !(9007199254740993 in [1])",
        "has(args.n) && !has(args.gone) && has(args.deep.a)",
        'size(args.s) == 3 && size(args.list) == 2 && size("é") == 1',
        'args.s.startsWith("a") && args.s.endsWith("c") && args.s.contains("b")',
        'args.s.matches("^[a-c]+$") && !args.s.matches(r"\\d")',
        'args.list.exists(x, x == "b") && args.list.all(x, size(x) == 1)',
        'glob(args.dotted, "pay.*") && !glob(args.dotted, "*") && glob(args.dotted, "**")',
        'glob(args.dotted, "pay.?ut") && !glob("pay.a.b", "pay.*") && glob("a+(b", "a+(?")',
        'domain(args.mail) == "example.com" && domain(args.mail) in vars.domains',
        "vars.limit == 10 && vars.names.a == 1 && 2 in vars.mixed && size(vars.domains) == 2",
        'agent.id == "bot" && call.hour == 9',
        "args.none == null && args.n != null && !(args.n == null)",
        "true || args.gone == 1",
        "!(false && args.gone == 1)",
        "(args.n > 4 || args.gone > 1) && args.yes",
        '"a" < "b" && "Z" < "a"',
        '"k" in args.deep || "a" in args.deep',
    ],
)
def test_a_condition_is_true(source: str) -> None:
    assert (
        answer(
            source,
            n=5,
            s="abc",
            f=2.5,
            list=["a", "b"],
            deep={"a": 1},
            dotted="pay.out",
            mail="Ann@EXAMPLE.com.",
            none=None,
            yes=True,
        )
        is True
    )


@pytest.mark.parametrize("value", [None, "750", math.nan, math.inf, 2**70, True, [750], {}])
@pytest.mark.parametrize("source", ["args.amount > 500", "args.amount <= 500", "-args.amount < 0"])
def test_a_number_that_is_none_is_doubt_in_both_directions(source: str, value: Any) -> None:
    assert isinstance(answer(source, amount=value), str)


def test_a_missing_value_is_doubt_and_says_which() -> None:
    assert answer("args.amount > 500") == "args.amount is missing"
    assert answer("args.a.b == 1", a=3) == "args.a is a number, not an object"


@pytest.mark.parametrize(
    ("source", "args"),
    [
        ('args.x == "5"', {"x": 5}),
        ("args.x in [1]", {"x": True}),
        ("args.x in [1, 2.5]", {"x": 2**53 + 1}),
        ("args.x in [1, 9007199254740993]", {"x": 2.0}),
        ("args.x in [1]", {"x": 2**63}),
        ("args.x in [1]", {"x": math.nan}),
        ("args.x in vars.mixed", {"x": None}),
        ("double(args.x) > 1.0", {"x": "2"}),
        ("double(args.x) > 1.0", {"x": True}),
        ("double(args.x) > 1.0", {"x": math.inf}),
        ("double(args.x) > 1.0", {"x": 2**53 + 1}),
        ("double(args.x) * 2.0 > 1.0", {"x": 1e308}),
        ("args.x in args.y", {"x": 1, "y": 1}),
        ("args.x in args.y", {"x": 2**53 + 1, "y": [1.0]}),
        ("args.x == 9007199254740993.0", {"x": 2**53 + 1}),
        ("args.x + 1 > 0", {"x": 2**63 - 1}),
        ("args.x + 1 > 0", {"x": 1.5}),
        ("args.x * 2.0 > 0.0", {"x": 1e308}),
        ("args.x && true", {"x": 1}),
        ("!args.x", {"x": "true"}),
        ("args.x", {"x": 1}),
        ("size(args.x) == 1", {"x": 1}),
        ("args.x.exists(i, i == 1)", {"x": "abc"}),
        ("args.x.exists(i, i == 1)", {"x": ["1"]}),
        ("args.x.exists(i, i)", {"x": [1]}),
        ("args.x.all(i, i > 0)", {"x": [1] * 10_001}),
        ("has(args.x.y)", {"x": "s"}),
        ('args.x.matches("a")', {"x": "\ud800"}),
        ('args.x.startsWith("a")', {"x": ["a"]}),
        ('domain(args.x) == "a"', {"x": "a@b.example, c@d.example"}),
        ('domain(args.x) == "a"', {"x": "ann <a@b.example>"}),
        ('domain(args.x) == "a"', {"x": "a%evil.example@b.example"}),
        ('domain(args.x) == "a"', {"x": "a@b.example\n"}),
    ],
)
def test_what_cannot_be_told_is_doubt(source: str, args: dict[str, Any]) -> None:
    assert isinstance(answer(source, **args), str)


def test_mixed_arithmetic_says_what_to_write() -> None:
    doubt = "args.n is an integer and args.p is a decimal: write double(args.n), or both so"

    assert answer("args.n * args.p > 1.0", n=2, p=80.5) == doubt
    assert answer("args.p * args.n > 1.0", n=2, p=80.5) == doubt
    assert answer("double(args.n) * double(args.p) == 161", n=2, p=80.5) is True


def test_one_decisive_operand_outweighs_doubt_in_any_order() -> None:
    assert answer("args.gone == 1 || true") is True
    assert answer("args.gone == 1 && false") is False
    assert answer("args.x.exists(i, i > 1)", x=["a", 2]) is True
    assert answer("args.x.all(i, i > 1)", x=["a", 1]) is False


def test_facts_about_the_session_are_read() -> None:
    known = {"id": "s", "untrusted_content": True, "points": 40.5, "writes": 2}

    assert told("session.untrusted_content && session.points > 40", "", known) is True
    assert told('session.writes > 2 || session["id"] == "t"', "", known) is False


def test_a_fact_that_is_not_known_is_doubt_whatever_else_is_said() -> None:
    assert told("session.writes > 0", None, None) == "session.writes is not known"
    assert told("session.calls > 0", None, {"id": "s"}) == "session.calls is not known"
    assert told("!session.sensitive_data", None, {}) == "session.sensitive_data is not known"


def test_what_the_user_asked_for_is_stated() -> None:
    assert told("stated(args.to) && stated(args.amount)", "Pay $120 to Bob@b.example!", {}) is True
    assert told("stated(args.to)", "Pay carol@b.example 120", {}) is False
    assert told("stated(args.to)", None, {}) == "the user's request is not known"
    assert told("stated(vars.domains)", "Ask example.com and b.example.", {}) is True


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("args.to == 'a'", set()),
        ("session.writes > 0 && args.to == 'a'", {"session"}),
        ("args.tags.exists(x, stated(x))", {"task"}),
        ("!stated(args.to) || session.points > 1", {"session", "task"}),
        ("args.session == 'a'", set()),
    ],
)
def test_a_condition_says_what_it_must_know_of_the_past(source: str, what: set[str]) -> None:
    assert asks(source) == what


def test_an_edit_is_compared_with_the_original() -> None:
    condition = compile_edit_condition("edited.args.amount <= original.args.amount", VARS, ARGS)
    original = {"args": {"amount": 5}}

    assert condition({"edited": {"args": {"amount": 4}}, "original": original}) is True
    assert condition({"edited": {"args": {"amount": 6}}, "original": original}) is False
    with pytest.raises(Indeterminate, match="edited.args.amount is missing"):
        condition({"edited": {"args": {}}, "original": original})


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("edited.args.amuont < 5", "12: no field 'edited.args.amuont'; did you mean 'amount'?"),
        ("args.amount < 5", "0: unknown name 'args'; did you mean 'vars'?"),
        ("stated(edited.args.to)", "0: stated() is not available here"),
        ("edited.amount < 5", "7: no field 'edited.amount'; known: args"),
        ("edited.args.tags.all(session, session.a == 'b')", "0: 'session' is taken: choose"),
        ("edited.args.tags.all(args, args == 'b')", "0: 'args' is taken: choose another name"),
    ],
)
def test_a_wrong_bound_of_edits_is_refused(source: str, said: str) -> None:
    with pytest.raises(ConditionError) as caught:
        compile_edit_condition(source, VARS, ARGS)

    assert f"{caught.value.column}: {caught.value}".startswith(said)


def refused(source: str) -> str:
    with pytest.raises(ConditionError) as caught:
        compile_condition(source, VARS, ARGS)
    return f"{caught.value.column}: {caught.value}"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("domain(args.too) == 'x'", "12: no field 'args.too'; did you mean 'to'?"),
        ("sesion.x", "0: unknown name 'sesion'"),
        ("session.write > 0", "8: no field 'session.write'; did you mean 'writes'?"),
        (
            "session.untrusted_content > 1",
            "0: > cannot compare session.unt",
        ),
        ('"x" in session', "7: name a fact of it, as in session.writes"),
        ("has(session.writes)", "4: session.writes is always there: leave has() out"),
        ("stated(session)", "7: name a fact of it"),
        ("statd(args.to)", "0: unknown function 'statd'; did you mean 'stated'?"),
        ("stated(args.deep)", "7: stated() takes a value or a list of them, but args.deep is a"),
        ("stated()", "7: unexpected ')'"),
        ("stated(args.to, args.to)", "0: stated() takes 1 argument(s)"),
        ("edited.args.to == 'a'", "0: unknown name 'edited'"),
        ("agnet.id == 'x'", "0: unknown name 'agnet'; did you mean 'agent'?"),
        ("call.hours > 1", "5: no field 'call.hours'; did you mean 'hour'?"),
        ("vars.limits > 1", "5: no field 'vars.limits'; did you mean 'limit'?"),
        ("args.deep.b == 1", "10: no field 'args.deep.b'"),
        ('args.amount > "x"', '0: args.amount is a number and "x" is a string'),
        ("args.to > 5", "0: args.to is a string and 5 is a number"),
        ("args.to && true", "0: && joins conditions, but args.to is a string"),
        ("!args.to", "1: ! takes a bool"),
        ("args.to + 1 == 2", "0: + takes numbers"),
        ("args.to.exists(x, true)", "0: exists() goes through a list, but args.to is a string"),
        ("args.tags.exists(x, x > 1)", "20: x is a string and 1 is a number"),
        ("args.amount.matches('a')", "0: matches() takes a string"),
        ("args.to.matches(args.to)", "16: the pattern of matches() is written in the policy"),
        ('args.to.matches("(?=a)")', "16: not a regex that we take"),
        ('args.to.matches("' + "a" * 501 + '")', "16: a regex may have 500 characters"),
        ("args.to.starts('a')", "8: unknown method 'starts'"),
        ("sise(args.to) == 1", "0: unknown function 'sise'; did you mean 'size'?"),
        ("has(args)", "4: has() takes a field"),
        ("args.tags.all(x, args.tags.all(y, true))", "17: exists() and all() do not nest"),
        ("args.tags.all(args, true)", "0: 'args' is taken"),
        ("args.tags.all(task, stated(task))", "0: 'task' is taken"),
        ("args.tags.all(original, original == 'a')", "0: 'original' is taken"),
        ("args.amount > " + "9" * 400 + ".0", "14: a decimal is below 1.8 * 10^308"),
        ("1 + 1.0 == 2.0", "0: + takes two integers or two decimals, but 1 is an integer and"),
        ("double(args.amount) * 2 > 5.0", "0: * takes two integers or two decimals, but double(a"),
        ("size(args.to) * vars.rate > 5.0", "vars.rate is a decimal: write double(size(args.to))"),
        ("args.amount > 1 || 9223372036854775807 + 1 > 0", "19: 9223372036854775807 + 1 is always"),
        ('args.to == domain("nobody")', '11: domain("nobody") is always indeterminate: "nobody"'),
        ("double(args.to) > 1.0", "7: double() takes a number, but args.to is a string"),
        (r'args.to.matches("[a&&b]")', "16: engines read this regex in different ways: && within"),
        ("5 in 5", "5: 5 is a number, not a list"),
        ("args.amount in ['a']", "0: args.amount is a number, but ['a'] holds strings"),
        ("args.amount", "0: a condition is true or false; this is a number"),
        ("args.amount >", "13: unexpected 'the end'"),
        ("args.amount > 5 )", "16: unexpected ')'"),
        ("args.to == 'a", "11: unexpected character"),
        (r'args.to == "\d"', r"11: unknown escape \d"),
        ("args[0] == 1", "5: an index is a string"),
        ("args.amount > 9223372036854775808", "14: an integer may have 64 bits"),
        ("(" * 40 + "true" + ")" * 40, "nested deeper than 32"),
        ("!" * 40 + "true", "nested deeper than 32"),
        ("1" + "||1" * 250, "200 parts"),
        ("x" * 2001, "2000 characters"),
        ("1 in [" + "1," * 501 + "1]", "a list may have 500 items: use vars"),
        ("args.amount % 2 == 0", "12: unexpected character '%'; there is no remainder"),
        ("args.amount / 2 > 5", "12: unexpected character '/'; there is no division; multiply the"),
        ("args.amount > 1_000", "14: unexpected character '1'; a number is written as 1000 or 0.5"),
        ("args.amount > 1e3", "14: unexpected character '1'; a number is written as 1000 or 0.5"),
        ("args.amount > 5 and true", "16: unexpected 'and'; write &&"),
        ("args.to not in ['a']", "8: unexpected 'not'; write !(...), as in !(x in list)"),
        ("not args.to", "4: unexpected 'args'"),
        ("args.to = 'a'", "8: unexpected character '='; write =="),
        ("args.to matches 'a'", """8: unexpected 'matches'; write x.matches("...")"""),
        ("1 < args.amount < 5", "16: unexpected '<'; comparisons do not chain; write a < b && b"),
        ("amount > 5", "0: unknown name 'amount'; did you mean 'args.amount'?"),
        (
            "args.to == bob",
            "11: unknown name 'bob'; known: agent, args, call, session, vars; a text",
        ),
        ("args.to == None", "11: unknown name 'None'; write null"),
        ("[args.to] == 1", "1: a list may hold numbers and strings"),
    ],
)
def test_a_wrong_condition_is_refused_with_column_and_cure(source: str, said: str) -> None:
    assert said in refused(source)


@pytest.mark.parametrize(
    "source", ["args.x in [1, 2.5, 'a']", "args.x in vars.both", "args.x in [500, 9]"]
)
@pytest.mark.parametrize("value", [1, 5, 2.5, 500.0, "a", None, True, 2**53 + 1, 2**63, math.nan])
def test_a_constant_list_is_looked_up_as_another_is_searched(source: str, value: Any) -> None:
    """Fault caught: the quick way for constant lists answers otherwise than the plain one."""
    listed = {"vars.both": VARS["both"], "[500, 9]": [500, 9]}.get(source[10:], [1, 2.5, "a"])

    told_quickly = answer(source, x=value)
    searched = answer("args.x in args.listed", x=value, listed=listed)

    assert (type(told_quickly), told_quickly in (True,)) == (type(searched), searched in (True,))


def test_a_value_is_a_number() -> None:
    seen = {"args": {"amount": 2, "price": 3}, "agent": {}, "call": {}}

    assert compile_value("args.amount * args.price")(seen) == 6
    with pytest.raises(ConditionError, match="a number is needed here"):
        compile_value('"a"')


def test_a_hostile_regex_takes_no_time() -> None:
    condition = compile_condition('args.x.matches("^(a+)+$")')

    assert condition({"args": {"x": "a" * 100_000 + "!"}, "agent": {}, "call": {}}) is False


def test_the_deepest_condition_is_far_from_the_depth_of_python() -> None:
    """Fault caught: a condition within its bounds that only fails under a deep stack."""
    source = "args" + ".a" * 196 + " == 1"
    before = sys.getrecursionlimit()
    depth = len(inspect.stack(0))

    try:
        sys.setrecursionlimit(depth + 650)
        condition = compile_condition(source)
        with pytest.raises(Indeterminate):
            condition({"args": {"a": {}}})
    finally:
        sys.setrecursionlimit(before)
