"""The values that conditions work on, and where each stops being comparable."""

from __future__ import annotations

import math
from typing import Any

from ..core.rules import Indeterminate
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
    if type(value) is float and math.isfinite(value):
        return value
    raise Indeterminate(f"{what} is {kind(value)}, not a finite number")


def in_range(value: Any) -> Any:
    if type(value) is int and not -(2**63) <= value < 2**63:
        raise Indeterminate("the result is beyond 64 bits")
    if type(value) is float and not math.isfinite(value):
        raise Indeterminate("the result is not finite")
    return value


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
        return "a number" if math.isfinite(value) else "not finite"
    return names.get(type(value), f"a {type(value).__name__}")
