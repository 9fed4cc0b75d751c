"""Random conditions and values, judged by us and by Google's CEL (`cel-expr-python`).

The promise: where ours answers true or false, CEL answers the same. The documented divergences are
all on the side of doubt: ours is indeterminate where CEL answers for NaN, infinity, numbers met by
strings, integers beyond 2^53 met by doubles, and it refuses at load what can never be compared.
The binding itself refuses a whole call that holds an integer beyond 64 bits; those are counted
apart. `domain`, `glob` and Unicode classes in regexes have no counterpart and are not compared.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from cel_expr_python import cel

from interlock.core.rules import Indeterminate
from interlock.policies.expression_syntax import ConditionError
from interlock.policies.expressions import compile_condition

VALUES: list[Any] = [
    *(2**70, -(2**64), 2**53 + 1, float(2**53), 1e300, 0, 1, -1, 500, 501, 2**53, 499.5, 500.0),
    *(-0.0, float("nan"), float("inf"), "", "a", "500", "é", "Zz", "a.b", True, False, None),
    *([], [1, "a"], {"k": 1}, {"k": {"k": "a"}}, [500], ["a", "b"]),
]
NUMBERS = ["9007199254740993", "9007199254740992.0", "0", "1", "500", "500.0", "2.5", "-1"]
LITERALS = [*NUMBERS, '"a"', '"500"', '""', "true", "false", "null", '"é"']


class Writer:
    """Writes random conditions."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def one(self, *options: str) -> str:
        return self.random.choice(options)

    def atom(self) -> str:
        chance = self.random.random()
        if chance < 0.5:
            return self.one("args.a", "args.b", "args.c", "args.a.k", 'args["b"]', "args.c.k.k")
        if chance < 0.85:
            return self.one(*LITERALS)
        if chance < 0.92:
            return f"args.a {self.one('+', '-', '*')} {self.one(*NUMBERS)}"
        return self.one("size(args.a)", "size(args.b)")

    def condition(self, depth: int) -> str:
        if depth <= 0:
            return self.comparison()
        kind = self.random.randrange(12)
        if kind < 4:
            return self.comparison()
        if kind < 9:
            makers = (self.membership, self.text, self.matches, self.has, self.loop)
            return makers[kind - 4]()
        inner = self.condition(depth - 1)
        if kind == 9:
            return f"!({inner})"
        return f"({inner} {self.one('&&', '||')} {self.condition(depth - 1)})"

    def comparison(self) -> str:
        return f"{self.atom()} {self.one('==', '!=', '<', '<=', '>', '>=')} {self.atom()}"

    def membership(self) -> str:
        items = self.one("[1, 500]", '["a"]', "args.b", "args.c", "[1, -1]")
        return f"{self.atom()} in {items}"

    def text(self) -> str:
        method = self.one("startsWith", "endsWith", "contains")
        argument = self.one('"a"', '""', "args.c")
        return f"{self.one('args.a', 'args.b')}.{method}({argument})"

    def matches(self) -> str:
        pattern = self.one('"^a"', 'r"^[a-z.]+$"', '"5"')
        return f"args.a.matches({pattern})"

    def has(self) -> str:
        return f"has({self.one('args.a', 'args.b.k', 'args.zz')})"

    def loop(self) -> str:
        condition = f"x {self.one('==', '>')} {self.one(*LITERALS)}"
        return f"args.{self.one('a', 'b', 'c')}.{self.one('exists', 'all')}(x, {condition})"


def ours(condition: Any, args: dict[str, Any]) -> bool | str:
    try:
        return bool(condition({"args": args, "agent": {}, "call": {}}))
    except Indeterminate:
        return "indeterminate"


def googles(program: Any, args: dict[str, Any]) -> bool | str:
    value = program.eval(data={"args": args})
    if value.type() == cel.Type.BOOL:
        return bool(value.value())
    # The binding could not take the data: says nothing about the condition.
    return "unbound" if "out of range for" in str(value.value()) else "error"


@pytest.mark.parametrize("seed", range(4))
def test_where_ours_answers_cel_answers_the_same(seed: int) -> None:
    environment = cel.NewEnv(variables={"args": cel.Type("map<string,dyn>")})
    writer, seen = Writer(seed), Counter[str]()
    for _ in range(3000):
        source = writer.condition(3)
        try:
            condition = compile_condition(source)
        except ConditionError:
            seen["refused at load"] += 1
            continue
        try:
            program = environment.compile(source)
        except Exception:
            seen["refused by CEL"] += 1
            continue
        for _ in range(3):
            args = {
                name: writer.random.choice(VALUES)
                for name in "abc"
                if writer.random.random() < 0.85
            }
            mine, theirs = ours(condition, args), googles(program, args)
            seen[f"{mine}/{theirs}"] += 1
            if mine != "indeterminate" and theirs != "unbound":
                assert mine is theirs, f"{source} with {args}: ours {mine}, CEL {theirs}"

    # A fuzz that compares nothing proves nothing.
    assert seen["True/True"] > 300 and seen["False/False"] > 300, seen
