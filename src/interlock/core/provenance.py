"""Whether a value comes from the user's own request: `stated(x)`.

On recorded agent runs, whether the user ever named the target tells attacks from work far better
than the name of the tool does. The value is the agent's, the request is the user's.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from functools import lru_cache
from math import isfinite

from .rules import Indeterminate

LONGEST = 1000  #: characters; nobody names a longer value in a request
MOST = 100  #: values of a list

_NUMBER = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?", re.ASCII)
_PLAIN = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,18})?", re.ASCII)
# These join what stands on both sides of them into one token: bob@corp.example, 1,200, a/b.
_JOINING = frozenset("@.,-_/+%")


def stated(value: object, task: str | None) -> bool:
    """Return whether *value* occurs in *task* as a whole token; of a list: every item.

    Case does not count, nor compatibility forms (NFKC) and runs of space in the request; a value
    that has such forms itself is another value, and counts where it occurs as it is. Numbers
    match by value: 1200 is stated by 1,200 and by $1200.00. Part of a token is not stated:
    neither `corp.example` nor `bob@corp` is by `bob@corp.example`. What is empty, or holds no
    letter or digit, never is.

    Raises:
        Indeterminate: no request is known, or the value is of another type.
    """
    if not task or not task.strip():
        raise Indeterminate("the user's request is not known")
    text = _request(task)
    if isinstance(value, list | tuple):
        return 0 < len(value) <= MOST and all([_one(each, text, task) for each in value])
    return _one(value, text, task)


def _one(value: object, text: str, task: str) -> bool:
    if isinstance(value, bool):
        return _token("true" if value else "false", text)
    if isinstance(value, str):
        if len(value) > LONGEST:
            return False
        tidy = " ".join(unicodedata.normalize("NFKC", value).split())
        if value != tidy and (value != value.strip() or value not in task):
            return False
        wanted = _normal(value)
        return _token(wanted, text) or (
            _PLAIN.fullmatch(wanted) is not None and _number(Decimal(wanted), text)
        )
    if isinstance(value, int | float) and isfinite(value):
        return _number(Decimal(repr(value)), text)
    raise Indeterminate(f"{type(value).__name__} is nothing that a request can state")


@lru_cache(maxsize=8)
def _request(task: str) -> str:
    return _normal(task)  # every condition of a call asks for the same one


def _normal(text: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split())


def _token(wanted: str, text: str) -> bool:
    if not any(map(str.isalnum, wanted)):
        return False
    at = text.find(wanted)
    while at >= 0:
        if _whole(text, at, at + len(wanted)):
            return True
        at = text.find(wanted, at + 1)
    return False


def _number(wanted: Decimal, text: str) -> bool:
    for found in _numbers(text):
        start, end, amount = found
        negative = wanted < 0 and text[max(0, start - 1) : start] == "-"
        if amount == abs(wanted) and (wanted >= 0 or negative):
            if _whole(text, start - negative, end):
                return True
    return False


@lru_cache(maxsize=8)
def _numbers(text: str) -> tuple[tuple[int, int, Decimal], ...]:
    return tuple(
        (found.start(), found.end(), Decimal(found.group().replace(",", "")))
        for found in _NUMBER.finditer(text)
    )


def _whole(text: str, start: int, end: int) -> bool:
    return not (_joined(text, start, -1) or _joined(text, end - 1, 1))


def _joined(text: str, edge: int, step: int) -> bool:
    """Say whether the token goes on beyond its character at *edge*, in the direction of *step*."""
    beside = _at(text, edge + step)
    if beside.isalnum() or beside == "_":
        return _at(text, edge).isalnum() or _at(text, edge) in _JOINING
    return beside in _JOINING and _at(text, edge + 2 * step).isalnum()


def _at(text: str, index: int) -> str:
    return text[index] if 0 <= index < len(text) else ""
