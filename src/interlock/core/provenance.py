"""Whether a value comes from the user's own request: `stated(x)`.

On recorded agent runs, whether the user ever named the target tells attacks from work far better
than the name of the tool does. The value is the agent's, the request is the user's.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from math import isfinite

from .marks import piled_up
from .rules import Indeterminate

LONGEST = 1000  #: characters; nobody names a longer value in a request
MOST = 100  #: values of a list
MOST_NUMBERS = 500  #: of a request
STEPS = 50_000  #: of one question; one is about a tenth of a microsecond
_HIT, _LOOK = 15, 35  #: steps
_MARKS = 16  #: that are looked at beside a token
_CHARACTERS = 50  #: that are searched in one step

_RUN = re.compile(r"[0-9]+(?:[.,'’ ][0-9]+)*", re.ASCII)
_NUMBER = re.compile(
    r"(?:0|[1-9][0-9]{0,17}|[1-9][0-9]{0,2}([,'’ ])[0-9]{3}(?:\1[0-9]{3}){0,4})(?:\.[0-9]{1,18})?",
    re.ASCII,
)
_GROUPING = dict.fromkeys(map(ord, ",'’ "))
_PLAIN = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,18})?", re.ASCII)
_WIDE = re.compile(r"(?: (?=\s)|[^\S ])\s*")
_WORD = re.compile(r"\w*")
# These join what stands on both sides of them into one token: bob@corp.example, user=root, a/b.
_JOINING = frozenset("@.,-_/+%'’!#$&*=?^{|}~:\\‐。")


class Steps:
    """How much may still be looked at."""

    __slots__ = ("left",)

    def __init__(self, left: int = STEPS) -> None:
        self.left = left

    def take(self, count: int) -> None:
        """Count *count* steps.

        Raises:
            Indeterminate: they were too many.
        """
        self.left -= count
        if self.left < 0:
            raise Indeterminate("there is too much to look at")


def stated(value: object, task: str | None, steps: Steps | None = None) -> bool:
    """Return whether *value* occurs in *task* as a whole token; of a list: every item.

    Lower and upper case are one, compatibility forms (NFKC) and runs of space in the request do not
    count; a value that has such forms itself is another value, and counts where it occurs as it is.
    Numbers match by value: 1200 is stated by 1,200, by 1 200 and by $1200.00. Part of a token is
    not stated: neither `corp.example` nor `bob@corp` is by `bob@corp.example`, nor is one group of
    an IBAN, or one part of a time or a date. What is empty, or holds no letter or digit, never is.

    *steps*: how much may be looked at, where this is one question of many.

    Raises:
        Indeterminate: no request is known, the value is of another type, or it would take too long.
    """
    if not task or not task.strip():
        raise Indeterminate("the user's request is not known")
    request, steps = _read(task), steps or Steps()
    if isinstance(value, list | tuple):
        return 0 < len(value) <= MOST and all([_one(each, request, steps) for each in value])
    return _one(value, request, steps)


@dataclass(frozen=True, slots=True)
class _Request:
    asked: str  #: as it came
    text: str  #: normalised, with one space between words
    spaced: str  #: the same, with a line feed where there is more than one space


@lru_cache(maxsize=8)
def _read(task: str) -> _Request:
    if piled_up(task):
        raise Indeterminate("the user's request has more combining marks than any writing needs")
    spaced = _WIDE.sub("\n", _lowered(task)).strip()
    return _Request(task, spaced.replace("\n", " "), spaced)


def _lowered(text: str) -> str:
    # Folding would make one of straße and strasse, which are two names.
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower())


def _one(value: object, request: _Request, steps: Steps) -> bool:
    if isinstance(value, bool):
        return _token("true" if value else "false", request, steps)
    if isinstance(value, str):
        return len(value) <= LONGEST and not piled_up(value) and _text(value, request, steps)
    if isinstance(value, int | float) and isfinite(value):
        return _number(Decimal(repr(value)), request, steps)
    raise Indeterminate(f"{type(value).__name__} is nothing that a request can state")


def _text(value: str, request: _Request, steps: Steps) -> bool:
    tidy = " ".join(unicodedata.normalize("NFKC", value).split())
    if value != tidy and (value != value.strip() or value not in request.asked):
        return False
    wanted = " ".join(_lowered(value).split())
    if _PLAIN.fullmatch(wanted) and _number(Decimal(wanted), request, steps):
        return True
    return _token(wanted, request, steps)


def _token(wanted: str, request: _Request, steps: Steps) -> bool:
    text = request.text
    steps.take(1 + len(text) // _CHARACTERS)
    if not any(map(str.isalnum, wanted)):
        return False
    at = text.find(wanted)
    while at >= 0:
        steps.take(_HIT)
        if not _joined(request.spaced, at, -1):
            steps.take(_LOOK)
            if not _joined(request.spaced, at + len(wanted) - 1, 1):
                return True
        word = _WORD.match(text, at)
        beyond = max(at + 1, word.end() if word else 0)  # no token begins within a word
        steps.take((beyond - at) // _CHARACTERS)
        at = text.find(wanted, beyond)
    return False


def _number(wanted: Decimal, request: _Request, steps: Steps) -> bool:
    steps.take(1)
    amounts, all_of_them = _amounts(request.spaced)
    if wanted in amounts:
        return True
    if not all_of_them:
        raise Indeterminate("the user's request holds too many numbers")
    return False


@lru_cache(maxsize=8)
def _amounts(spaced: str) -> tuple[frozenset[Decimal], bool]:
    """Return the numbers that a request states, and whether these are all."""
    amounts: set[Decimal] = set()
    for index, run in enumerate(_RUN.finditer(spaced)):
        if index == MOST_NUMBERS:
            return frozenset(amounts), False
        # Digits in other groups are an IBAN, a telephone number, a date or a version.
        if not _NUMBER.fullmatch(run.group()) or not _whole(spaced, *run.span()):
            continue
        amount = Decimal(run.group().translate(_GROUPING))
        amounts.add(amount)
        if _at(spaced, run.start() - 1) == "-":
            amounts.add(-amount)
    return frozenset(amounts), True


def _whole(spaced: str, start: int, end: int) -> bool:
    return not (_joined(spaced, start, -1) or _joined(spaced, end - 1, 1))


def _joined(spaced: str, edge: int, step: int) -> bool:
    """Say whether the token goes on beyond its character at *edge*, in the direction of *step*."""
    here, first = _at(spaced, edge), _at(spaced, edge + step)
    if _in_word(first):
        return _in_word(here) or here in _JOINING
    if first == " ":  # groups of digits
        return here.isdecimal() and _at(spaced, edge + 2 * step).isdecimal()
    last = beyond = first
    for at in range(edge + 2 * step, edge + _MARKS * step, step):
        if not beyond or beyond.isspace():
            return False
        if _in_word(beyond):
            between = first in _JOINING or last in _JOINING
            return between and not _possessive(spaced, edge, step)
        last, beyond = beyond, _at(spaced, at)
    return True  # nobody writes so many marks


def _possessive(spaced: str, edge: int, step: int) -> bool:
    """Say whether *edge* ends a name as in Bob's."""
    after = _at(spaced, edge + 1) in ("'", "’") and _at(spaced, edge + 2) == "s"
    return step == 1 and after and not _joined(spaced, edge + 2, 1)


def _in_word(character: str) -> bool:
    if character.isalnum() or character == "_":
        return True
    # Accents, and what joins without being seen.
    return not character.isascii() and unicodedata.category(character) in _UNSEEN


_UNSEEN = frozenset({"Mn", "Mc", "Me", "Cf"})


def _at(text: str, index: int) -> str:
    return text[index] if 0 <= index < len(text) else ""
