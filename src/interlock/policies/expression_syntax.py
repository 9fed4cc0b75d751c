"""The syntax of conditions: a subset of CEL, from text to a bounded tree."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .expression_hints import cure, unknown

MAX_LENGTH = 2000
MAX_NODES = 200
MAX_DEPTH = 32
MAX_ITEMS = 500

FUNCTIONS = ("has", "size", "double", "glob", "domain", "stated")
METHODS = ("startsWith", "endsWith", "contains", "matches", "exists", "all")

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>[0-9]+(?:\.[0-9]+)?(?![A-Za-z0-9_.]))
    | (?P<raw>r"[^"\n]*"|r'[^'\n]*')
    | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<op>&&|\|\||==|!=|<=|>=|[-+*!<>()\[\],.])
    | (?P<bad>\S))""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}
_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")


class ConditionError(ValueError):
    """A condition is wrong; `column` counts from 0 within its text."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.column = column


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A part of a condition; `text` is how it was written."""

    column: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Literal(Node):
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ListLiteral(Node):
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Name(Node):
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Select(Node):
    target: Node
    field: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unary(Node):
    op: str
    operand: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary(Node):
    """A comparison, `in` or arithmetic."""

    op: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Logic(Node):
    """Operands of one `&&` or `||`."""

    op: str
    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Node):
    """A function or a method; a method's target is the first argument."""

    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop(Node):
    """`list.exists(x, condition)` or `list.all(x, condition)`."""

    name: str
    target: Node
    variable: str
    condition: Node


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    value: Any
    start: int
    end: int


@lru_cache(maxsize=1024)
def parse(source: str) -> Node:
    """Return the tree of *source*: at most MAX_NODES parts, nested at most MAX_DEPTH deep.

    Raises:
        ConditionError: with the column of what is wrong.
    """
    return _Parser(source).whole()


def walk(node: Node) -> Iterator[Node]:
    """Yield *node* and every part of it, parents first, in the order in which they were written."""
    pending = [node]
    while pending:
        node = pending.pop()
        yield node
        pending += reversed(children(node))


def children(node: Node) -> tuple[Node, ...]:
    """Return the parts that *node* is made of."""
    if isinstance(node, Logic):
        return node.operands
    if isinstance(node, Binary):
        return node.left, node.right
    if isinstance(node, Unary):
        return (node.operand,)
    if isinstance(node, Select):
        return (node.target,)
    if isinstance(node, Call):
        return node.arguments
    return (node.target, node.condition) if isinstance(node, Loop) else ()


def _tokens(source: str) -> list[_Token]:
    if len(source) > MAX_LENGTH:
        raise ConditionError(f"a condition may have {MAX_LENGTH} characters", 0)
    tokens, at = [], 0
    while found := _TOKEN.match(source, at):
        kind = str(found.lastgroup)
        start, at = found.start(kind), found.end()
        tokens.append(_Token(kind, _value(kind, found[kind], start), start, at))
    tokens.append(_Token("end", "the end", len(source), len(source)))
    return tokens


def _value(kind: str, text: str, column: int) -> Any:
    if kind == "bad":
        raise ConditionError(f"unexpected character {text!r}{cure(text)}", column)
    if kind == "number":
        return _number(text, column)
    if kind == "raw":
        return text[2:-1]
    if kind != "string":
        return text

    def unescape(found: re.Match[str]) -> str:
        if found[1] not in _ESCAPES:
            raise ConditionError(f'unknown escape \\{found[1]} (regexes: write r"...")', column)
        return _ESCAPES[found[1]]

    return re.sub(r"\\(.)", unescape, text[1:-1])


def _number(text: str, column: int) -> int | float:
    if "." in text:
        if not math.isfinite(decimal := float(text)):
            raise ConditionError("a decimal is below 1.8 * 10^308", column)
        return decimal
    number = int(text) if len(text) < 20 else 2**63
    if number >= 2**63:
        raise ConditionError("an integer may have 64 bits", column)
    return number


class _Parser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens = _tokens(source)
        self.at = 0
        self.nodes = 0
        self.depth = 0

    def whole(self) -> Node:
        node = self.condition()
        if self.peek().kind != "end":
            raise self.unexpected()
        return node

    # -- tokens -----------------------------------------------------------------------------

    def peek(self) -> _Token:
        return self.tokens[self.at]

    def take(self) -> _Token:
        token = self.tokens[self.at]
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return token

    def eat(self, *ops: str) -> str | None:
        token = self.peek()
        if token.kind == "op" and token.value in ops:
            self.at += 1
            return str(token.value)
        return None

    def need(self, op: str) -> None:
        if not self.eat(op):
            raise ConditionError(f"expected {op!r}, not {self.peek().value!r}", self.peek().start)

    def unexpected(self) -> ConditionError:
        token = self.peek()
        return ConditionError(f"unexpected {token.value!r}{cure(token.value)}", token.start)

    def place(self, start: int) -> dict[str, Any]:
        """Return where a node that began at column *start* stands; counts it."""
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise ConditionError(f"a condition may have {MAX_NODES} parts: split the rule", start)
        return {"column": start, "text": self.source[start : self.tokens[self.at - 1].end]}

    # -- grammar ----------------------------------------------------------------------------

    def condition(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ConditionError(f"nested deeper than {MAX_DEPTH}", self.peek().start)
        node = self.either()
        self.depth -= 1
        return node

    def either(self) -> Node:
        start, operands = self.peek().start, [self.both()]
        while self.eat("||"):
            operands.append(self.both())
        if len(operands) == 1:
            return operands[0]
        return Logic(op="||", operands=tuple(operands), **self.place(start))

    def both(self) -> Node:
        start, operands = self.peek().start, [self.relation()]
        while self.eat("&&"):
            operands.append(self.relation())
        if len(operands) == 1:
            return operands[0]
        return Logic(op="&&", operands=tuple(operands), **self.place(start))

    def relation(self) -> Node:
        start, left = self.peek().start, self.sum()
        op = self.eat(*_COMPARISONS)
        if not op and self.peek().kind == "name" and self.peek().value == "in":
            op = str(self.take().value)
        if not op:
            return left
        right = self.sum()
        return Binary(op=op, left=left, right=right, **self.place(start))

    def sum(self) -> Node:
        start, left = self.peek().start, self.product()
        while op := self.eat("+", "-"):
            right = self.product()
            left = Binary(op=op, left=left, right=right, **self.place(start))
        return left

    def product(self) -> Node:
        start, left = self.peek().start, self.unary()
        while op := self.eat("*"):
            right = self.unary()
            left = Binary(op=op, left=left, right=right, **self.place(start))
        return left

    def unary(self) -> Node:
        start, op = self.peek().start, self.eat("!", "-")
        if not op:
            return self.member()
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ConditionError(f"nested deeper than {MAX_DEPTH}", start)
        operand = self.unary()
        self.depth -= 1
        return Unary(op=op, operand=operand, **self.place(start))

    def member(self) -> Node:
        start, node = self.peek().start, self.primary()
        while True:
            if self.eat("."):
                node = self.dotted(node, start)
            elif self.eat("["):
                key = self.take()
                if key.kind not in ("string", "raw"):
                    raise ConditionError('an index is a string, as in args["a-b"]', key.start)
                self.need("]")
                node = Select(target=node, field=key.value, **self.place(start))
            else:
                return node

    def dotted(self, target: Node, start: int) -> Node:
        token = self.take()
        if token.kind != "name":
            raise ConditionError("expected a field name", token.start)
        if not self.eat("("):
            return Select(target=target, field=token.value, **self.place(start))
        if token.value in ("exists", "all"):
            return self.loop(token.value, target, start)
        if token.value not in METHODS:
            raise ConditionError(unknown("method", token.value, METHODS), token.start)
        argument = self.condition()
        self.need(")")
        return Call(name=token.value, arguments=(target, argument), **self.place(start))

    def loop(self, name: str, target: Node, start: int) -> Node:
        variable = self.take()
        if variable.kind != "name" or variable.value in _CONSTANTS:
            raise ConditionError(f"{name}() takes a name and a condition", variable.start)
        self.need(",")
        condition = self.condition()
        self.need(")")
        return Loop(
            name=name,
            target=target,
            variable=variable.value,
            condition=condition,
            **self.place(start),
        )

    def primary(self) -> Node:
        token = self.take()
        if token.kind in ("number", "string", "raw"):
            return Literal(value=token.value, **self.place(token.start))
        if token.kind == "name":
            return self.named(token)
        if token.value == "(":
            node = self.condition()
            self.need(")")
            return node
        if token.value == "[":
            return self.list(token.start)
        raise ConditionError(f"unexpected {token.value!r}", token.start)

    def named(self, token: _Token) -> Node:
        if token.value in _CONSTANTS:
            return Literal(value=_CONSTANTS[token.value], **self.place(token.start))
        if not self.eat("("):
            return Name(name=token.value, **self.place(token.start))
        if token.value not in FUNCTIONS:
            raise ConditionError(unknown("function", token.value, FUNCTIONS), token.start)
        arguments = [self.condition()]
        while self.eat(","):
            arguments.append(self.condition())
        self.need(")")
        wanted = 2 if token.value == "glob" else 1
        if len(arguments) != wanted:
            raise ConditionError(f"{token.value}() takes {wanted} argument(s)", token.start)
        return Call(name=token.value, arguments=tuple(arguments), **self.place(token.start))

    def list(self, start: int) -> Node:
        values = []
        while not self.eat("]"):
            negative = self.eat("-")
            token = self.take()
            if token.kind not in ("number", "string", "raw") or (
                negative and token.kind != "number"
            ):
                raise ConditionError("a list may hold numbers and strings", token.start)
            values.append(-token.value if negative else token.value)
            if len(values) > MAX_ITEMS:
                raise ConditionError(f"a list may have {MAX_ITEMS} items: use vars", token.start)
            if not self.eat(","):
                self.need("]")
                break
        return ListLiteral(values=tuple(values), **self.place(start))
