"""The values that conditions work on, and where each stops being comparable."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import isfinite
from typing import Any

from ..core.provenance import Steps
from ..core.rules import Environment, Indeterminate, Value
from .regexes import is_mail_address

MAX_ITEMS = 10_000
LOOP_STEPS = 200_000  #: of one loop; one is about a tenth of a microsecond
STEPS = " steps"
"""Where a loop keeps what it may still look at; no variable can have this name."""


class LoopSteps(Steps):
    """What one loop may still look at, and the lists that it has made quick to search."""

    __slots__ = ("_searched",)

    def __init__(self) -> None:
        super().__init__(LOOP_STEPS)
        self._searched: dict[int, tuple[list[Any], Callable[[Any], bool] | None]] = {}

    def search(self, listed: list[Any], what: str) -> Callable[[Any], bool] | None:
        """Return `among` for a value, or None where every item has to be looked at each time."""
        found = self._searched.get(id(listed))
        if found is None or found[0] is not listed:
            self.take(len(listed))
            found = self._searched[id(listed)] = listed, among(lambda value: value, listed, what)
        return found[1]


def comparable(one: Any, other: Any, names: tuple[str, str]) -> None:
    """Refuse what is not two numbers, or an integer and a double that CEL would round."""
    number(one, names[0])
    number(other, names[1])
    if type(one) is not type(other):
        integer = one if type(one) is int else other
        if abs(integer) > 2**53:
            raise Indeterminate(f"{names[0]} or {names[1]} is beyond 2^53 and meets a decimal")


def number(value: Any, what: str) -> Any:
    if type(value) is int:
        if -(2**63) <= value < 2**63:
            return value
        raise Indeterminate(f"{what} is beyond 64 bits")
    if type(value) is float and isfinite(value):
        return value
    raise Indeterminate(f"{what} is {kind(value)}, not a finite number")


def in_range(value: Any) -> Any:
    if type(value) is int and not -(2**63) <= value < 2**63:
        raise Indeterminate("the result is beyond 64 bits")
    if type(value) is float and not isfinite(value):
        raise Indeterminate("the result is not finite")
    return value


def mixed(one: Any, names: tuple[str, str]) -> Indeterminate:
    whole, other = names if type(one) is int else names[::-1]
    return Indeterminate(
        f"{whole} is an integer and {other} is a decimal: write double({whole}), or both so"
    )


def double(value: Any, what: str) -> float:
    number(value, what)
    if abs(value) > 2**53 and type(value) is int:
        raise Indeterminate(f"{what} is beyond 2^53 and would be rounded")
    return float(value)


def items(value: Any, what: str) -> list[Any]:
    if type(value) is not list:
        raise Indeterminate(f"{what} is {kind(value)}, not a list")
    if len(value) > MAX_ITEMS:
        raise Indeterminate(f"{what} has more than {MAX_ITEMS} items")
    return value


def text(value: Any, what: str) -> str:
    if type(value) is str:
        return value
    raise Indeterminate(f"{what} is {kind(value)}, not a string")


def contained(value: Any, items: Any, names: tuple[str, str]) -> bool:
    if type(items) is dict:
        return text(value, names[0]) in items
    if type(items) is not list:
        raise Indeterminate(f"{names[1]} is {kind(items)}, not a list")
    if type(value) is str:
        return any(type(each) is str and each == value for each in items)
    number(value, names[0])
    numbers = [each for each in items if type(each) in (int, float)]
    for each in numbers:
        comparable(value, each, names)
    return value in numbers


def among(
    left: Callable[[Any], Any], listed: Iterable[Any], what: str
) -> Callable[[Any], bool] | None:
    """Return `contained` for a list that never changes, in constant time.

    None where one of its numbers could never be compared with another.
    """
    numbers = [each for each in listed if type(each) in (int, float)]
    if not all(abs(each) < 2**63 if type(each) is int else isfinite(each) for each in numbers):
        return None
    found = frozenset([*numbers, *(each for each in listed if type(each) is str)])
    decimals = any(type(each) is float for each in numbers)
    far = any(type(each) is int and abs(each) > 2**53 for each in numbers)

    def contained(seen: Any) -> bool:
        value = left(seen)
        if type(value) is str or (type(value) is int and abs(value) <= 2**53):
            return value in found
        number(value, what)
        if decimals if type(value) is int else far:
            raise Indeterminate(f"{what} or an item is beyond 2^53 and meets a decimal")
        return value in found

    return contained


def searched(left: Value, right: Value, names: tuple[str, str]) -> Callable[[Environment], bool]:
    """Return `contained` for the inside of a loop, where one list is searched again and again."""

    def contains(seen: Environment) -> bool:
        value, listed = left(seen), right(seen)
        steps: LoopSteps = seen[STEPS]
        if type(listed) is list:
            quick = steps.search(listed, names[0])
            if quick is not None:
                return quick(value)
            steps.take(len(listed))
        return contained(value, listed, names)

    return contains


def counted(value: Value, at_once: int) -> Value:
    """Return *value* for the inside of a loop: *at_once* characters of a text take a step.

    Of short texts no step is counted.
    """

    def looked_at(seen: Environment) -> Any:
        found = value(seen)
        if type(found) is str:
            seen[STEPS].take(len(found) // at_once)
        return found

    return looked_at


def size(value: Any, what: str) -> int:
    if type(value) in (str, list, dict):
        return len(value)
    raise Indeterminate(f"{what} is {kind(value)} and has no size")


def domain(address: str, what: str) -> str:
    if not is_mail_address(address):
        raise Indeterminate(f"{what} is not one plain e-mail address")
    return address.rpartition("@")[2].rstrip(".").lower()


def kind(value: Any) -> str:
    if value is None:
        return "null"
    names = {bool: "a bool", int: "a number", str: "a string", list: "a list", dict: "an object"}
    if type(value) is float:
        return "a number" if isfinite(value) else "not finite"
    return names.get(type(value), f"a {type(value).__name__}")


def equality(left: Value, right: Value, names: tuple[str, str], *, wanted: bool) -> Value:
    def equal(seen: Environment) -> bool:
        one, other = left(seen), right(seen)
        if one is None or other is None:
            return (one is other) is wanted
        if type(one) is type(other) and type(one) in (str, bool):
            return (one == other) is wanted
        if type(one) in (int, float) and type(other) in (int, float):
            comparable(one, other, names)
            return (one == other) is wanted
        raise Indeterminate(
            f"{names[0]} is {kind(one)} and {names[1]} is {kind(other)}: not comparable"
        )

    return equal


def ordering(
    left: Value, right: Value, names: tuple[str, str], holds: Callable[[Any, Any], bool]
) -> Value:
    def ordered(seen: Environment) -> bool:
        one, other = left(seen), right(seen)
        if type(one) is str and type(other) is str:
            return holds(one, other)
        comparable(one, other, names)
        return holds(one, other)

    return ordered


def arithmetic(
    left: Value, right: Value, names: tuple[str, str], apply: Callable[[Any, Any], Any]
) -> Value:
    def computed(seen: Environment) -> Any:
        one, other = number(left(seen), names[0]), number(right(seen), names[1])
        if type(one) is not type(other):
            raise mixed(one, names)
        return in_range(apply(one, other))

    return computed
