"""The names and types of conditions, checked when a policy is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .expression_hints import near, near_name
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
)

_KINDS = {
    "object": "object",
    "array": "list",
    "string": "string",
    "number": "number",
    "integer": "number",
    "boolean": "bool",
    "null": "null",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What is known of a value: its kind (`any` where unknown), its fields and items.

    `fields` None: any field. `patterns`: fields whose names one of these accepts exist too.
    `digits`: `an integer` or `a decimal`, where a number is certainly one; JSON tells neither.
    EITHER: it is a schema's `number`, so clients write 19.0 as `19`.
    """

    kind: str = "any"
    fields: Mapping[str, Shape] | None = None
    item: Shape | None = None
    patterns: tuple[Any, ...] = field(default=())
    digits: str = ""


EITHER = "an integer or a decimal"

ANY = Shape()
BOOL = Shape(kind="bool")
NUMBER = Shape(kind="number")
INTEGER = Shape(kind="number", digits="an integer")
DECIMAL = Shape(kind="number", digits="a decimal")
STRING = Shape(kind="string")
NULL = Shape(kind="null")

AGENT = Shape(kind="object", fields={"id": STRING, "owner": STRING, "confidence": NUMBER})
CALL = Shape(
    kind="object",
    fields={
        "egress": BOOL,
        "hour": NUMBER,
        "size": NUMBER,
        **dict.fromkeys(
            ("tool", "method", "path", "upstream", "service", "region", "content_type"), STRING
        ),
    },
)
SESSION = Shape(
    kind="object",
    fields={
        "id": STRING,
        "untrusted_content": BOOL,
        "sensitive_data": BOOL,
        "points": NUMBER,
        "writes": NUMBER,
        "calls": NUMBER,
    },
)


# What conditions read by these names is never the item of a loop, also where it is not there.
_TAKEN = frozenset(("args", "agent", "call", "session", "task", "vars", "edited", "original"))


def of_schema(schema: Any) -> Shape:
    """Return the shape that a JSON Schema describes, as far as plain keywords tell."""
    if not isinstance(schema, Mapping):
        return ANY
    kind = _KINDS.get(str(schema.get("type")), "any")
    properties = schema.get("properties")
    if kind == "list":
        return Shape(kind=kind, item=of_schema(schema.get("items")))
    composed = any(word in schema for word in ("$ref", "allOf", "anyOf", "oneOf", "if"))
    if schema.get("type") == "number":
        return Shape(kind=kind, digits=EITHER)
    if kind not in ("object", "any") or not isinstance(properties, Mapping) or composed:
        return Shape(kind=kind)
    patterns = tuple(schema.get("patternProperties") or ())
    return Shape(
        kind="object",
        fields={str(name): of_schema(inner) for name, inner in properties.items()},
        patterns=patterns,
    )


def of_value(value: Any) -> Shape:
    """Return the shape of a constant."""
    if isinstance(value, Mapping):
        return Shape(kind="object", fields={name: of_value(each) for name, each in value.items()})
    if isinstance(value, list | tuple):
        return Shape(kind="list", item=merged(map(of_value, value)))
    if isinstance(value, bool):
        return BOOL
    if value is None:
        return NULL
    if isinstance(value, str):
        return STRING
    return DECIMAL if isinstance(value, float) else INTEGER


def merged(shapes: Iterable[Shape]) -> Shape:
    """Return a shape that has every field of *shapes*, and the kind that all agree on."""
    each = list(shapes)
    if not each:
        return ANY
    kind = each[0].kind if all(shape.kind == each[0].kind for shape in each) else "any"
    if any(shape.fields is None for shape in each):
        either = kind == "number" and any(shape.digits == EITHER for shape in each)
        return Shape(kind=kind, digits=EITHER if either else "")
    names = {name for shape in each for name in shape.fields or {}}
    fields = {
        name: merged(shape.fields[name] for shape in each if shape.fields and name in shape.fields)
        for name in names
    }
    patterns = tuple(pattern for shape in each for pattern in shape.patterns)
    return Shape(kind=kind, fields=fields, patterns=patterns)


def check(node: Node, roots: Mapping[str, Shape]) -> Shape:
    """Return the shape of *node*.

    Raises:
        ConditionError: for an unknown name, or kinds that can never go together.
    """
    return _Checker(roots).shape(node)


class _Checker:
    def __init__(self, roots: Mapping[str, Shape]) -> None:
        self.roots = dict(roots)
        self.in_loop = False

    def shape(self, node: Node) -> Shape:
        checker: Callable[[Any], Shape] = getattr(self, type(node).__name__.lower())
        return checker(node)

    def literal(self, node: Literal) -> Shape:
        return of_value(node.value)

    def listliteral(self, node: ListLiteral) -> Shape:
        return of_value(node.values)

    def logic(self, node: Logic) -> Shape:
        for operand in node.operands:
            self.expect(operand, "bool", f"{node.op} joins conditions")
        return BOOL

    def unary(self, node: Unary) -> Shape:
        kind = "bool" if node.op == "!" else "number"
        operand = self.expect(node.operand, kind, f"{node.op} takes a {kind}")
        return BOOL if node.op == "!" else Shape(kind="number", digits=operand.digits)

    def expect(self, node: Node, kind: str, why: str) -> Shape:
        shape = self.shape(node)
        if shape.kind not in ("any", kind):
            raise ConditionError(f"{why}, but {node.text} is a {shape.kind}", node.column)
        return shape

    def name(self, node: Name) -> Shape:
        if node.name == "session" and "session" in self.roots:
            raise ConditionError("name a fact of it, as in session.writes", node.column)
        if node.name not in self.roots:
            hint = near_name(node.name, self.roots, self.roots.get("args", ANY).fields or ())
            raise ConditionError(f"unknown name {node.name!r}{hint}", node.column)
        return self.roots[node.name]

    def select(self, node: Select) -> Shape:
        shape = self.roots["session"] if self.of_session(node) else self.shape(node.target)
        if shape.kind not in ("any", "object"):
            raise ConditionError(
                f"{node.target.text} is a {shape.kind} and has no fields", node.column
            )
        if shape.fields is None:
            return ANY
        if node.field in shape.fields:
            return shape.fields[node.field]
        if any(accepts(node.field) for accepts in shape.patterns):
            return ANY
        hint = near(node.field, shape.fields)
        column = node.column + len(node.target.text) + 1
        raise ConditionError(f"no field {node.text!r}{hint}", column)

    def of_session(self, node: Select) -> bool:
        target = node.target
        return isinstance(target, Name) and target.name == "session" and "session" in self.roots

    def binary(self, node: Binary) -> Shape:
        if node.op in ("+", "-", "*"):
            return self.arithmetic(node)
        left, right = self.shape(node.left), self.shape(node.right)
        if node.op == "in":
            self.membership(node, left, right)
        elif node.op in ("==", "!="):
            if "null" not in (left.kind, right.kind):
                self.comparable(node, left, right, ("bool", "number", "string"))
        else:
            self.comparable(node, left, right, ("number", "string"))
        return BOOL

    def arithmetic(self, node: Binary) -> Shape:
        sides = (node.left, node.right)
        left, right = (self.expect(each, "number", f"{node.op} takes numbers") for each in sides)
        for side, shape in ((node.left, left), (node.right, right)):
            if shape.digits == EITHER:
                raise ConditionError(
                    f"{node.op} takes two integers or two decimals, but {side.text} may be either: "
                    f"write double({side.text}), and decimals beside it",
                    side.column,
                )
        if left.digits and right.digits and left.digits != right.digits:
            side = node.left if left.digits == INTEGER.digits else node.right
            cure = f"{side.text}.0" if isinstance(side, Literal) else f"double({side.text})"
            raise ConditionError(
                f"{node.op} takes two integers or two decimals, but {node.left.text} is "
                f"{left.digits} and {node.right.text} is {right.digits}: write {cure}",
                node.column,
            )
        return Shape(kind="number", digits=left.digits or right.digits)

    def membership(self, node: Binary, left: Shape, right: Shape) -> None:
        if right.kind not in ("any", "list", "object"):
            raise ConditionError(
                f"{node.right.text} is a {right.kind}, not a list", node.right.column
            )
        item = right.item.kind if right.item else "any"
        wanted = "string" if right.kind == "object" else item
        if "any" not in (left.kind, wanted) and left.kind != wanted:
            raise ConditionError(
                f"{node.left.text} is a {left.kind}, but {node.right.text} holds {wanted}s",
                node.column,
            )

    def comparable(self, node: Binary, left: Shape, right: Shape, kinds: tuple[str, ...]) -> None:
        for side, shape in ((node.left, left), (node.right, right)):
            if shape.kind not in ("any", *kinds):
                raise ConditionError(
                    f"{node.op} cannot compare {side.text}, which is a {shape.kind}", side.column
                )
        if "any" not in (left.kind, right.kind) and left.kind != right.kind:
            raise ConditionError(
                f"{node.left.text} is a {left.kind} and {node.right.text} is a {right.kind}: "
                f"they can never be compared",
                node.column,
            )

    def loop(self, node: Loop) -> Shape:
        target = self.expect(node.target, "list", f"{node.name}() goes through a list")
        if self.in_loop:
            raise ConditionError("exists() and all() do not nest", node.column)
        if node.variable in self.roots or node.variable in _TAKEN:
            raise ConditionError(f"{node.variable!r} is taken: choose another name", node.column)
        self.in_loop = True
        self.roots[node.variable] = target.item or ANY
        self.expect(node.condition, "bool", f"{node.name}() takes a condition")
        del self.roots[node.variable]
        self.in_loop = False
        return BOOL

    def call(self, node: Call) -> Shape:
        first = node.arguments[0]
        if node.name == "has":
            return self.has(first)
        if node.name == "size":
            shape = self.shape(first)
            if shape.kind not in ("any", "string", "list", "object"):
                raise ConditionError(
                    f"{first.text} is a {shape.kind} and has no size", first.column
                )
            return INTEGER
        if node.name == "stated":
            return self.stated(node, first)
        if node.name == "double":
            self.expect(first, "number", "double() takes a number")
            return DECIMAL
        for argument in node.arguments:
            self.expect(argument, "string", f"{node.name}() takes a string")
        if node.name in ("matches", "glob") and not isinstance(node.arguments[1], Literal):
            raise ConditionError(
                f"the pattern of {node.name}() is written in the policy, never an argument",
                node.arguments[1].column,
            )
        return STRING if node.name == "domain" else BOOL

    def has(self, first: Node) -> Shape:
        if not isinstance(first, Select):
            raise ConditionError("has() takes a field, as in has(args.amount)", first.column)
        if self.of_session(first):
            # A fact that could not be fetched counts against the call; has() would excuse it.
            raise ConditionError(f"{first.text} is always there: leave has() out", first.column)
        self.shape(first)
        return BOOL

    def stated(self, node: Call, first: Node) -> Shape:
        if "session" not in self.roots:
            raise ConditionError("stated() is not available here", node.column)
        shape = self.shape(first)
        if shape.kind not in ("any", "string", "number", "bool", "list"):
            raise ConditionError(
                f"stated() takes a value or a list of them, but {first.text} is a {shape.kind}",
                first.column,
            )
        return BOOL
