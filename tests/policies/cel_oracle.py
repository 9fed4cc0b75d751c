"""Our conditions beside Google's CEL (`cel-expr-python`): answers, and why they may differ.

`verdict` names what a comparison showed. Where ours is in doubt and CEL is not, the smallest part
of the condition that differs is looked up, its operands are evaluated by CEL, and they must fit
one of `DOUBTS`. Anything else is `WRONG`, and so is any answer of ours that CEL does not give.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cel_expr_python import cel

from interlock.core.rules import Indeterminate
from interlock.policies.expression_syntax import (
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
    parse,
)
from interlock.policies.expressions import compile_condition, compile_value

from .cel_writer import CONSTANTS, Writer

WRONG = "WRONG"
Seen = dict[str, Any]

# What a condition is refused for when it is loaded, though CEL takes it: class, words of ours.
REFUSALS = (
    ("kinds that never fit", r"can never be compared|cannot compare|takes (a|numbers)|joins cond"),
    ("kinds that never fit", r"but .* holds |goes through a list|has no size|has no fields"),
    ("kinds that never fit", r"is a \w+, not a list|a condition is true or false"),
    ("integers with decimals", r"takes two integers or two decimals"),
    ("what never has a value", r"is always indeterminate"),
    ("unknown names", r"no field |unknown name"),
    ("bounds", r"nested deeper|may have \d+ (characters|parts|items)|may have 64 bits"),
    ("bounds", r"a decimal is below"),
    ("loops in loops", r"do not nest"),
    ("has() of a fact of the session", r"leave has\(\) out"),
    ("syntax outside the subset", r"unexpected |unknown (escape|function|method)|expected "),
    ("syntax outside the subset", r"an index is a string|a list may hold numbers"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One condition, judged on one input; `refused` says who did not take the condition at all."""

    source: str
    seen: Seen
    mine: str = ""  #: true, false or indeterminate
    theirs: str = ""  #: true, false, error or unbound (the binding did not take the data)
    refused: str = ""


def _environment() -> Any:
    anything = cel.Type("map<string,dyn>")
    return cel.NewEnv(
        variables=dict.fromkeys(("args", "agent", "call", "session", "vars"), anything)
    )


_GOOGLE = _environment()


def compare(seed: int, conditions: int, inputs: int) -> Iterator[Comparison]:
    """Judge random *conditions* on as many *inputs* each, by ours and by CEL."""
    writer = Writer(seed)
    for _ in range(conditions):
        source = writer.condition()
        try:
            condition = compile_condition(source, CONSTANTS)
        except ConditionError as error:
            yield Comparison(source=source, seen={}, refused=f"ours: {error}")
            continue
        try:
            program = google(source)
        except Exception as error:
            yield Comparison(source=source, seen={}, refused=f"CEL: {error}")
            continue
        for _ in range(inputs):
            seen = writer.inputs()
            yield Comparison(
                source=source, seen=seen, mine=answer(condition, seen), theirs=said(program, seen)
            )


def answer(condition: Callable[[Any], Any], seen: Seen) -> str:
    """Return what ours says: true, false, indeterminate, or the number of a part."""
    try:
        return str(condition(seen)).lower()
    except Indeterminate:
        return "indeterminate"


def said(program: Any, seen: Seen) -> str:
    """Return what CEL says: true, false, error or unbound."""
    value = program.eval(data={**seen, "vars": CONSTANTS})
    if value.type() == cel.Type.BOOL:
        return str(value.value()).lower()
    # The binding could not take the data: says nothing about the condition.
    return "unbound" if "out of range for" in str(value.value()) else "error"


def verdict(each: Comparison) -> str:
    """Return the class of *each*; `WRONG` where no documented class covers it."""
    if each.refused:
        return _refusal(each)
    if each.theirs == "unbound":
        return "not compared: the binding takes no integer beyond 64 bits"
    if each.mine == each.theirs:
        return f"same: {each.mine}"
    if each.mine != "indeterminate":
        return WRONG
    if each.theirs == "error":
        return "same: indeterminate, an error in CEL"
    origins = list(_origins(parse(each.source), each.seen))
    classes = sorted({_doubt(node, seen) for node, seen in origins}) or [WRONG]
    return WRONG if WRONG in classes else f"ours in doubt: {classes[0]}"


def _refusal(each: Comparison) -> str:
    who, _, why = each.refused.partition(": ")
    if who == "CEL":
        return WRONG
    for name, words in REFUSALS:
        if re.search(words, why):
            return f"refused when loaded: {name}"
    return WRONG


# -- why ours is in doubt ---------------------------------------------------------------------


def _origins(node: Node, seen: Seen) -> Iterator[tuple[Node, Seen]]:
    """Yield the smallest parts of *node* that ours cannot answer and CEL can."""
    inner = [found for part, bound in _parts(node, seen) for found in _origins(part, bound)]
    if inner:
        yield from inner
    elif isinstance(node, Name | Select | Literal | ListLiteral):
        return  # a missing field is missing in CEL too
    elif _ours(node, seen) == "indeterminate" and _answers(node, _value(node, seen)):
        yield node, seen


def _answers(node: Node, value: Any) -> bool:
    # CEL reads !!x as x, whatever x is; as a condition that is no answer.
    wanted = {"!": (cel.Type.BOOL,), "-": (cel.Type.INT, cel.Type.DOUBLE)}
    if isinstance(node, Unary):
        return value.type() in wanted[node.op]
    return bool(value.type() != cel.Type.ERROR)


def _parts(node: Node, seen: Seen) -> Iterator[tuple[Node, Seen]]:
    parts: tuple[Node, ...] = ()
    if isinstance(node, Logic):
        parts = node.operands
    elif isinstance(node, Binary):
        parts = (node.left, node.right)
    elif isinstance(node, Unary):
        parts = (node.operand,)
    elif isinstance(node, Loop):
        items = _plain(_value(node.target, seen))
        for item in items if isinstance(items, list) else ():
            yield node.condition, {**seen, "args": {**seen["args"], "item_": item}}
    else:
        parts = getattr(node, "arguments", ())
    yield from ((part, seen) for part in parts)


def _text(node: Node, seen: Seen) -> str:
    # Inside a loop, its item is made an argument: a part of its condition stands on its own.
    inside = "item_" in seen["args"]
    return re.sub(r"(?<![\w.\"'])item\b", "args.item_", node.text) if inside else node.text


@lru_cache(maxsize=5_000)
def google(text: str) -> Any:
    """Return *text* compiled by CEL."""
    # CEL has no has(x["k"]): asked in its own words. Unchecked: kinds meet when it runs.
    own = re.sub(r'has\(([\w.]+)\["([^"]*)"\]\)', r'(has(\1.absent) || "\2" in \1)', text)
    return _GOOGLE.compile(own, disable_check=True)


def _value(node: Node, seen: Seen) -> Any:
    return google(_text(node, seen)).eval(data={**seen, "vars": CONSTANTS})


def _ours(node: Node, seen: Seen) -> str:
    for compiled in (compile_condition, compile_value):
        try:
            return answer(compiled(_text(node, seen), CONSTANTS), seen)
        except ConditionError:
            continue
    return "a string, a list or an object"


def _plain(value: Any) -> Any:
    return value.plain_value()


def _doubt(node: Node, seen: Seen) -> str:
    operands = [_plain(_value(part, seen)) for part in _operands(node)]
    for name, fits in DOUBTS:
        if fits(node, operands):
            return name
    return WRONG


def _operands(node: Node) -> tuple[Node, ...]:
    if isinstance(node, Binary):
        return node.left, node.right
    if isinstance(node, Unary):
        return (node.operand,)
    if isinstance(node, Call):
        return node.arguments if node.name == "double" else ()
    return (node.target,) if isinstance(node, Loop) else ()


def kind(value: Any) -> str:
    """Return the kind that conditions tell apart."""
    if isinstance(value, bool) or value is None:
        return str(type(value).__name__)
    return "number" if isinstance(value, int | float) else type(value).__name__


def _numbers(operands: list[Any]) -> list[Any]:
    inside = [each for value in operands if isinstance(value, list) for each in value]
    return [each for each in (*operands, *inside) if kind(each) == "number"]


def _not_finite(node: Node, operands: list[Any]) -> bool:
    numbers = _numbers(operands)
    if isinstance(node, Binary) and node.op in ("+", "-", "*") and len(numbers) == 2:
        one, other = map(float, numbers)
        numbers.append({"+": one + other, "-": one - other, "*": one * other}[node.op])
    return any(isinstance(each, float) and not math.isfinite(each) for each in numbers)


def _rounded(node: Node, operands: list[Any]) -> bool:
    numbers = _numbers(operands)
    far = any(isinstance(each, int) and abs(each) > 2**53 for each in numbers)
    made = isinstance(node, Call) and node.name == "double"
    return far and (made or any(isinstance(each, float) for each in numbers))


def _beyond_64_bits(node: Node, operands: list[Any]) -> bool:
    return any(isinstance(each, int) and each >= 2**63 for each in _numbers(operands))


def _other_kinds(node: Node, operands: list[Any]) -> bool:
    if not isinstance(node, Binary) or node.op not in ("==", "!="):
        return False
    one, other = map(kind, operands)
    return "NoneType" not in (one, other) and (one != other or one in ("list", "dict"))


def _order_of_bools(node: Node, operands: list[Any]) -> bool:
    ordered = isinstance(node, Binary) and node.op in ("<", "<=", ">", ">=")
    return ordered and all(isinstance(each, bool) for each in operands)


def _joining(node: Node, operands: list[Any]) -> bool:
    added = isinstance(node, Binary) and node.op == "+"
    return added and kind(operands[0]) == kind(operands[1]) in ("str", "list")


def _odd_member(node: Node, operands: list[Any]) -> bool:
    if not isinstance(node, Binary) or node.op != "in":
        return False
    wanted = ("str",) if isinstance(operands[1], dict) else ("str", "number")
    return kind(operands[0]) not in wanted


def _made_of_text(node: Node, operands: list[Any]) -> bool:
    return isinstance(node, Call) and node.name == "double" and kind(operands[0]) == "str"


def _over_keys(node: Node, operands: list[Any]) -> bool:
    return isinstance(node, Loop) and isinstance(operands[0], dict)


Fits = Callable[[Node, list[Any]], bool]
# The documented set (docs/conditions.md), each with what must hold of the operands.
DOUBTS: tuple[tuple[str, Fits], ...] = (
    ("a number that is not finite", _not_finite),
    ("an integer beyond 64 bits", _beyond_64_bits),
    ("an integer beyond 2^53 meets a decimal", _rounded),
    ("equality of different kinds, lists or objects", _other_kinds),
    ("the order of bools", _order_of_bools),
    ("joining strings or lists", _joining),
    ("membership of what is no string or number", _odd_member),
    ("double() of text", _made_of_text),
    ("a loop over the keys of an object", _over_keys),
)


def count(comparisons: Iterator[Comparison]) -> Counter[str]:
    """Return how often each verdict was given.

    Raises:
        AssertionError: with the first comparison that no documented class covers.
    """
    counts: Counter[str] = Counter()
    for each in comparisons:
        counts[name := verdict(each)] += 1
        assert name != WRONG, each
    return counts


def compared(counts: Counter[str]) -> int:
    """Return how many answers of ours were set against answers of CEL."""
    return sum(n for name, n in counts.items() if name.startswith(("same", "ours in doubt")))


def table(counts: Counter[str]) -> str:
    """Return *counts* to read."""
    return "\n".join(f"{n:9,} {name}" for name, n in sorted(counts.items()))
