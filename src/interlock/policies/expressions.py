"""Conditions: a subset of CEL, compiled to closures that answer true, false or indeterminate.

Whenever one answers true or false, Google's CEL answers the same; where CEL would say something
about a value that cannot be compared (NaN, "750" with 500, an integer beyond 2^53 with a double),
ours raises `Indeterminate`. Linear time by construction: no loops but one un-nested `exists` or
`all`, no arithmetic on strings or lists, regexes on a linear engine. What a loop looks at again
for every item is counted; too much of it is doubt.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..core.provenance import stated
from ..core.rules import Condition, Environment, Indeterminate, Value
from . import expression_values as values
from .expression_syntax import (
    Binary,
    Call,
    ConditionError,
    ListLiteral,
    Literal,
    Logic,
    Loop,
    Name,
    Node,
    Select,
    Unary,
    children,
    parse,
    walk,
)
from .expression_types import AGENT, ANY, CALL, SESSION, Shape, check, of_value
from .regexes import compile_glob, compile_regex

_TEXT_METHODS: Mapping[str, Callable[[str, str], bool]] = {
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": str.__contains__,
}
_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_AT_ONCE = {
    **dict.fromkeys(("==", "!=", *_ORDER, *_TEXT_METHODS), 50),
    **dict.fromkeys(("matches", "glob", "domain"), 5),
}
"""How many characters of a text are looked at in one step, where something is counted."""
_ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}


def compile_condition(
    source: str, variables: Mapping[str, Any] | None = None, args: Shape = ANY
) -> Condition:
    """Compile a condition over `args`, `agent`, `call`, `session` and the constants `vars`.

    Raises:
        ConditionError: with the column of a wrong syntax, name or type.
    """
    return _condition(source, variables or {}, _roots(variables or {}, args))


def compile_edit_condition(
    source: str, variables: Mapping[str, Any] | None = None, args: Shape = ANY
) -> Condition:
    """Compile what an edit has to keep to: over `edited.args`, `original.args` and `vars`.

    Raises:
        ConditionError: with the column of a wrong syntax, name or type.
    """
    call = Shape(kind="object", fields={"args": args})
    roots = {"edited": call, "original": call, "vars": of_value(variables or {})}
    return _condition(source, variables or {}, roots)


def _condition(source: str, variables: Mapping[str, Any], roots: Mapping[str, Shape]) -> Condition:
    node = parse(source)
    shape = check(node, roots)
    if shape.kind not in ("any", "bool"):
        raise ConditionError(f"a condition is true or false; this is a {shape.kind}", node.column)
    _check_constants(node)
    inner = compile_node(node, variables)
    if shape.kind == "bool" and not isinstance(node, Name | Select):
        return inner  # what is read itself is a bool only where it fits the schema

    def condition(seen: Environment) -> bool:
        value = inner(seen)
        if value is True or value is False:
            return value
        raise Indeterminate(f"{source} is not a bool")

    return condition


def compile_value(
    source: str, variables: Mapping[str, Any] | None = None, args: Shape = ANY
) -> Value:
    """Compile an expression that yields a number, as facets use.

    Raises:
        ConditionError: with the column of a wrong syntax, name or type.
    """
    node = parse(source)
    shape = check(node, _roots(variables or {}, args))
    if shape.kind not in ("any", "number"):
        raise ConditionError(f"a number is needed here; this is a {shape.kind}", node.column)
    _check_constants(node)
    return compile_node(node, variables or {})


def asks(source: str) -> frozenset[str]:
    """Return what a condition must know of the past: `session`, `task` (for `stated`)."""
    found = set()
    for node in walk(parse(source)):
        if isinstance(node, Name) and node.name == "session":
            found.add("session")
        elif isinstance(node, Call) and node.name == "stated":
            found.add("task")
    return frozenset(found)


def _check_constants(node: Node) -> None:
    """Refuse parts that depend on nothing and have no value; `vars` are there to be changed."""
    for part in children(node):
        _check_constants(part)  # the smallest such part is what is wrong
    if isinstance(node, Literal | ListLiteral) or any(map(depends, walk(node))):
        return
    try:
        compile_node(node, {})({})
    except Indeterminate as doubt:
        raise ConditionError(f"{node.text} is always indeterminate: {doubt}", node.column) from None


def depends(node: Node) -> bool:
    """Whether the value of *node* itself is read from the call, its past or `vars`."""
    return isinstance(node, Name) or (isinstance(node, Call) and node.name == "stated")


def compile_node(node: Node, variables: Mapping[str, Any]) -> Value:
    """Compile a part of a condition that was checked."""
    return Compiler(variables).compile(node)


def _roots(variables: Mapping[str, Any], args: Shape) -> dict[str, Shape]:
    return {
        "args": args,
        "agent": AGENT,
        "call": CALL,
        "session": SESSION,
        "vars": of_value(variables),
    }


class Compiler:
    """Turns the tree of a checked condition into closures, one for each part."""

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self.variables = variables
        self.looping = False  #: whether what is compiled is the condition of a loop

    def compile(self, node: Node) -> Value:
        compiler: Callable[[Any], Value] = getattr(self, type(node).__name__.lower())
        return compiler(node)

    def literal(self, node: Literal) -> Value:
        return _constant(node.value)

    def listliteral(self, node: ListLiteral) -> Value:
        return _constant(list(node.values))

    def name(self, node: Name) -> Value:
        if node.name == "vars":
            return _constant(dict(self.variables))
        name = node.name

        def root(seen: Environment) -> Any:
            return seen[name]

        return root

    def select(self, node: Select) -> Value:
        if isinstance(node.target, Name):
            if node.target.name == "vars":
                return _constant(self.variables[node.field])
            if node.target.name == "session":
                return _fact(node.field, node.text)
            return _field_of_root(node.target.name, node.field, node.text)
        target, field, what, text = (
            self.compile(node.target),
            node.field,
            node.target.text,
            node.text,
        )

        def select(seen: Environment) -> Any:
            value = target(seen)
            if type(value) is not dict:
                raise Indeterminate(f"{what} is {values.kind(value)}, not an object")
            try:
                return value[field]
            except KeyError:
                raise Indeterminate(f"{text} is missing") from None

        return select

    def logic(self, node: Logic) -> Value:
        operands = tuple((self.compile(each), each.text) for each in node.operands)
        decisive = node.op == "||"
        op = node.op

        def logic(seen: Environment) -> bool:
            # As in CEL, one decisive operand outweighs any doubt about the others.
            doubt: Indeterminate | None = None
            for operand, text in operands:
                try:
                    value = operand(seen)
                except Indeterminate as unclear:
                    doubt = doubt or unclear
                    continue
                if value is decisive:
                    return value
                if value is not (not decisive):
                    doubt = doubt or Indeterminate(f"{text} (operand of {op}) is not a bool")
            if doubt is not None:
                raise doubt
            return not decisive

        return logic

    def unary(self, node: Unary) -> Value:
        operand, text = self.compile(node.operand), node.operand.text
        if node.op == "-":
            return lambda seen: values.in_range(-values.number(operand(seen), text))

        def negation(seen: Environment) -> bool:
            value = operand(seen)
            if type(value) is not bool:
                raise Indeterminate(f"{text} is {values.kind(value)}, not a bool")
            return not value

        return negation

    def binary(self, node: Binary) -> Value:
        left, right = self.compile(node.left), self.compile(node.right)
        names = node.left.text, node.right.text
        if node.op == "in":
            return self.membership(node, left, right, names)
        left, right = self.counted(left, node.op), self.counted(right, node.op)
        if node.op in ("==", "!="):
            return values.equality(left, right, names, wanted=node.op == "==")
        if node.op in _ORDER:
            return values.ordering(left, right, names, _ORDER[node.op])
        return values.arithmetic(left, right, names, _ARITHMETIC[node.op])

    def membership(self, node: Binary, left: Value, right: Value, names: tuple[str, str]) -> Value:
        constant = self.constant_list(node.right)
        quick = None if constant is None else values.among(left, constant, names[0])
        if quick is None and self.looping:
            return values.searched(left, right, names)
        return quick or (lambda seen: values.contained(left(seen), right(seen), names))

    def constant_list(self, node: Node) -> Sequence[Any] | None:
        found: Any = None
        if isinstance(node, ListLiteral):
            found = node.values
        elif isinstance(node, Select) and isinstance(node.target, Name):
            found = self.variables[node.field] if node.target.name == "vars" else None
        return found if isinstance(found, list | tuple) else None

    def loop(self, node: Loop) -> Value:
        target, self.looping = self.compile(node.target), True
        condition, self.looping = self.compile(node.condition), False  # loops do not nest
        variable, text, decisive = node.variable, node.target.text, node.name == "exists"

        def loop(seen: Environment) -> bool:
            inner, doubt = {**seen, values.STEPS: values.LoopSteps()}, None
            for item in values.items(target(seen), text):
                inner[variable] = item
                try:
                    value = condition(inner)
                except Indeterminate as unclear:
                    doubt = doubt or unclear
                    continue
                if value is decisive:
                    return value
                if value is not (not decisive):
                    doubt = doubt or Indeterminate(f"the condition over {text} is not a bool")
            if doubt is not None:
                raise doubt
            return not decisive

        return loop

    def call(self, node: Call) -> Value:
        first = node.arguments[0]
        if node.name == "has":
            assert isinstance(first, Select)  # noqa: S101 -- checked by expression_types
            return _presence(self.compile(first.target), first.field, first.target.text)
        value, text = self.counted(self.compile(first), node.name), first.text
        if node.name == "size":
            return lambda seen: values.size(value(seen), text)
        if node.name == "double":
            return lambda seen: values.double(value(seen), text)
        if node.name == "stated":
            return lambda seen: stated(value(seen), seen.get("task"), seen.get(values.STEPS))
        if node.name == "domain":
            return lambda seen: values.domain(values.text(value(seen), text), text)
        second = node.arguments[1]
        if node.name in _TEXT_METHODS:
            return self.compare(node.name, (value, text), second)
        assert isinstance(second, Literal)  # noqa: S101 -- checked by expression_types
        make = compile_regex if node.name == "matches" else compile_glob
        try:
            matches = make(second.value)
        except ValueError as error:
            raise ConditionError(str(error), second.column) from None
        return lambda seen: matches(values.text(value(seen), text))

    def counted(self, value: Value, operation: str) -> Value:
        at_once = _AT_ONCE.get(operation, 0) if self.looping else 0
        return values.counted(value, at_once) if at_once else value

    def compare(self, name: str, first: tuple[Value, str], second: Node) -> Value:
        (value, text), other_text, method = first, second.text, _TEXT_METHODS[name]
        other = self.counted(self.compile(second), name)
        return lambda seen: method(
            values.text(value(seen), text), values.text(other(seen), other_text)
        )


def _constant(value: Any) -> Value:
    return lambda seen: value


def _field_of_root(root: str, field: str, text: str) -> Value:
    def select(seen: Environment) -> Any:
        value = seen[root]
        if type(value) is not dict:
            raise Indeterminate(f"{root} is {values.kind(value)}, not an object")
        try:
            return value[field]
        except KeyError:
            raise Indeterminate(f"{text} is missing") from None

    return select


def _fact(field: str, text: str) -> Value:
    def fact(seen: Environment) -> Any:
        session = seen.get("session")
        if type(session) is not dict or field not in session:
            raise Indeterminate(f"{text} is not known")
        return session[field]

    return fact


def _presence(target: Value, field: str, what: str) -> Value:
    def present(seen: Environment) -> bool:
        value = target(seen)
        if type(value) is dict:
            return field in value
        raise Indeterminate(f"{what} is {values.kind(value)}, not an object")

    return present
