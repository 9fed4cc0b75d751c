"""The values that conditions work on, and where each stops being comparable."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import isfinite
from typing import Any

from ..core.rules import Environment, Indeterminate, Value
from .regexes import is_mail_address

MAX_ITEMS = 10_000


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


def among(left: Value, listed: Iterable[Any], what: str) -> Callable[[Environment], bool] | None:
    """Return `contained` for a list that never changes, in constant time.

    None where one of its numbers could never be compared with another.
    """
    numbers = [each for each in listed if type(each) in (int, float)]
    if not all(abs(each) < 2**63 if type(each) is int else isfinite(each) for each in numbers):
        return None
    found = frozenset([*numbers, *(each for each in listed if type(each) is str)])
    decimals = any(type(each) is float for each in numbers)
    far = any(type(each) is int and abs(each) > 2**53 for each in numbers)

    def contained(seen: Environment) -> bool:
        value = left(seen)
        if type(value) is str or (type(value) is int and abs(value) <= 2**53):
            return value in found
        number(value, what)
        if decimals if type(value) is int else far:
            raise Indeterminate(f"{what} or an item is beyond 2^53 and meets a decimal")
        return value in found

    return contained


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
