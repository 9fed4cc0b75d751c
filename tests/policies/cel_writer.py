"""Random conditions and inputs: typed for the most part, so that many can be answered."""

from __future__ import annotations

import random
from typing import Any

CONSTANTS: dict[str, Any] = {
    "limit": 500,
    "rate": 2.5,
    "name": "a",
    "on": True,
    "ours": ["example.com", "a", "é"],
    "whole": [1, 500, -1],
    "mixed": [1, 2.5, 500.0],
    "none": [],
    "table": {"k": 1, "a-b": "a"},
}
INTEGERS = ["0", "1", "2", "500", "0123", "9007199254740993", "9223372036854775807"]
DECIMALS = ["0.0", "0.1", "2.5", "500.0", "9007199254740992.0", "100000000000000000000.0"]
TEXTS = ["", "a", "b", "500", "é", "e\u0301", "Zz", "a.b", "😀", "ann@example.com", "\U0010ffff"]
ODD_TEXTS = ["two\nlines", "tab\t", 'a "quote"', "it's", "back\\slash", "\r", "null", "true"]
PATTERNS = ["^a", "5", "^[a-z.]+$", r"@example\.com$", "a|b", "^.$", "^$", "é", "[^a]", "^a{2}$"]

NUMBERS: list[Any] = [0, 1, 2, -1, 500, 501, 499.5, 500.0, -0.0, 2.5, 0.1, 2**53, float(2**53)]
FAR: list[Any] = [2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 1e300, 5e-324, float("nan")]
INFINITE: list[Any] = [float("inf"), float("-inf"), 2**63, 2**70]
STRINGS: list[Any] = [*TEXTS, *ODD_TEXTS]
LISTS: list[Any] = [
    *([], ["a", "b"], ["é", "500"], [1, 500], [1, "a"], [500.0, 2], [2.5], [True], [None]),
    *([[1]], [{"k": 1}], [float("nan"), 1], [2**53 + 1, 1], ["a", 1, None, True, 2.5]),
]
OBJECTS: list[Any] = [
    *({}, {"k": 1}, {"k": "a"}, {"k": {"k": "a"}}, {"a-b": 500}, {"k": [1, "a"]}, {"k": None}),
    *({"k": {"k": 2.5}, "a-b": True}, {"é": 1}, {"item": 1}),
]
PREFERRED = {"a": NUMBERS, "b": STRINGS, "c": LISTS, "d": OBJECTS, "a-b": NUMBERS}
ANYTHING = [*NUMBERS, *FAR, *STRINGS, *LISTS, *OBJECTS, True, False, None]
BEYOND = [  # CEL, and no part of the subset
    *("true ? args.a : 1", "args.a == 0x10", "args.a < 1e3", '"\\u00e9" == args.b', "args.a < 5u"),
    *("args.c[0] == 1", '{"k": 1} == args.d', "args.b.size() == 1", "args.a % 2 == 0"),
    *("args.c.map(item, item) == args.c", "args.c.exists_one(item, item == 1)", "1 < 2 == true"),
    *(
        "args.a / 2 == 1",
        'b"a" == args.b',
        "args.c == [args.a]",
        ".5 < args.a",
        "type(args.a) == int",
    ),
    *('"""a""" == args.b', "args.a == 1 // why", "args.a == -9223372036854775808"),
    "args.c.exists(item, args.c.all(other, other == item))",
]


class Writer:
    """Writes random conditions, and inputs to judge by them; one seed, one sequence."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.in_loop = False

    def one(self, options: Any) -> Any:
        return self.random.choice(options)

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    # -- inputs -----------------------------------------------------------------------------

    def inputs(self) -> dict[str, Any]:
        """Return args, agent and call: odd values, wrong types and gaps among fitting ones."""
        args = {
            name: self.one(usual if self.chance(0.75) else ANYTHING)
            for name, usual in PREFERRED.items()
            if self.chance(0.92)
        }
        if args and self.chance(0.03):
            args[self.one(list(args))] = self.one(INFINITE)
        agent = {"id": "bot", "owner": self.one(["ann", "a"])}
        if self.chance(0.7):
            agent["confidence"] = self.one([0, 1, 0.5, 0.9, float("nan")])
        call = {
            "tool": self.one(["a", "a.b"]),
            "egress": self.chance(0.5),
            "hour": self.one([0, 23]),
        }
        session = {"writes": self.one([0, 1, 7]), "untrusted_content": self.chance(0.5)}
        if self.chance(0.8):
            session |= {"points": self.one([0.0, 2.5, 500.0]), "id": self.one(["", "a", "s-1"])}
        return {"args": args, "agent": agent, "call": call, "session": session}

    # -- conditions -------------------------------------------------------------------------

    def condition(self, depth: int = 3) -> str:
        """Return a condition, in nearly all cases one of the subset."""
        if self.chance(0.02):
            return str(self.one(BEYOND))
        return self.truth(depth)

    def truth(self, depth: int) -> str:
        plain = (
            self.comparison,
            self.comparison,
            self.membership,
            self.method,
            self.has,
            self.flag,
        )
        if depth <= 0 or self.chance(0.35):
            return str(self.one(plain)(depth - 1))
        return str(
            self.one((self.joined, self.joined, self.negated, self.loop, self.nested))(depth - 1)
        )

    def joined(self, depth: int) -> str:
        parts = [self.truth(depth) for _ in range(self.one([2, 2, 3]))]
        if self.chance(0.2):  # both operators, with and without parentheses
            return f"{parts[0]} || {parts[1]} && {parts[-1]}"
        return f" {self.one(['&&', '||'])} ".join(f"({part})" for part in parts)

    def negated(self, depth: int) -> str:
        return f"{self.one(['!', '!!', '! '])}({self.truth(depth)})"

    def nested(self, depth: int) -> str:
        levels = self.one([1, 2, 3, 12])
        return "(" * levels + self.truth(depth) + ")" * levels

    def loop(self, depth: int) -> str:
        if self.in_loop:
            return self.comparison(depth)
        self.in_loop = True
        condition = self.truth(min(depth, 1))
        self.in_loop = False
        return f"{self.list()}.{self.one(['exists', 'all'])}(item, {condition})"

    def comparison(self, depth: int) -> str:
        op = self.one(["==", "!=", "<", "<=", ">", ">="])
        space = self.one([" ", "", "\t", "\n "])
        if self.chance(0.08):
            return f"{self.value()}{space}{op}{space}{self.value()}"
        if self.chance(0.1):
            return f"{self.value()} {op} null"
        if self.chance(0.04):
            fields = ["args.a", "args.b", "args.c", "args.d.k"]
            return f"{self.one(fields)} + {self.one(fields)} {op} {self.one(fields)}"
        kind = self.number if self.chance(0.6) else self.text
        return f"{kind(depth)}{space}{op}{space}{kind(depth)}"

    def membership(self, depth: int) -> str:
        value = self.value() if self.chance(0.15) else self.one((self.number, self.text))(depth)
        return f"{value} in {self.one((self.list, self.list, self.object))()}"

    def method(self, depth: int) -> str:
        text = self.text(depth)
        if self.chance(0.4):
            pattern = self.one(PATTERNS)
            written = f'r"{pattern}"' if self.chance(0.5) else self.quoted(pattern)
            return f"{text}.matches({written})"
        return f"{text}.{self.one(['startsWith', 'endsWith', 'contains'])}({self.text(depth)})"

    def has(self, depth: int) -> str:
        fields = ["args.a", "args.zz", "args.d.k", "args.d.k.k", "args.b.k", "agent.confidence"]
        fields += ['args.d["a-b"]', 'args["a-b"].k']
        return f"has({self.one(fields)})"

    def flag(self, depth: int) -> str:
        return str(
            self.one(
                [
                    "true",
                    "false",
                    "call.egress",
                    "vars.on",
                    "session.untrusted_content",
                    "args.a",
                    "args.d.k",
                    "args.b",
                ]
            )
        )

    # -- values -----------------------------------------------------------------------------

    def number(self, depth: int) -> str:
        if depth > 0 and self.chance(0.25):
            return self.one((self.arithmetic, self.minus, self.size, self.double))(depth - 1)
        fields = ["args.a", "args.a", 'args["a-b"]', "args.d.k", "agent.confidence", "call.hour"]
        fields += [
            "session.writes",
            "session.points",
            "vars.limit",
            "vars.rate",
            *(["item"] * 6 if self.in_loop else []),
        ]
        literal = self.one(INTEGERS if self.chance(0.6) else DECIMALS)
        return self.one(fields) if self.chance(0.55) else self.one(["", "", "-"]) + literal

    def arithmetic(self, depth: int) -> str:
        op, close = self.one("+-*"), self.chance(0.5)
        inner = f"{self.number(depth)} {op} {self.number(depth)}"
        return f"({inner})" if close else inner

    def minus(self, depth: int) -> str:
        return f"-({self.number(depth)})"

    def double(self, depth: int) -> str:
        return f"double({self.value() if self.chance(0.1) else self.number(depth)})"

    def size(self, depth: int) -> str:
        return f"size({self.one((lambda: self.text(0), self.list, self.object))()})"

    def text(self, depth: int) -> str:
        fields = [
            "args.b",
            "args.b",
            "args.d.k",
            "agent.id",
            "call.tool",
            "session.id",
            "vars.name",
        ]
        fields += ["item"] * 6 if self.in_loop else []
        if self.chance(0.55):
            return str(self.one(fields))
        return self.quoted(self.one(TEXTS if self.chance(0.8) else ODD_TEXTS))

    def quoted(self, text: str) -> str:
        quote = self.one("\"'")
        escaped = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
        return quote + escaped.replace(quote, "\\" + quote) + quote

    def list(self) -> str:
        literals = ['["a", "b", ]', "[1, 500]", "[]", "[-1, 2.5]", '[1, "a"]', "['é', \"500\"]"]
        fields = ["args.c", "args.c", "args.c", "args.d.k", "args.a"]
        return str(
            self.one([*fields, *literals, *(f"vars.{x}" for x in ("ours", "whole", "mixed"))])
        )

    def object(self) -> str:
        return str(self.one(["args.d", "args.d", "args.d.k", "vars.table", "args", "args.c"]))

    def value(self) -> str:
        kinds = (lambda: self.number(0), lambda: self.text(0), self.list, self.object)
        return str(self.one((*kinds, lambda: self.one(["true", "false", "null"])))())
