"""What somebody may have meant who wrote a condition in the words of another language."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_CURES = {
    "and": "write &&",
    "or": "write ||",
    "not": "write !(...), as in !(x in list)",
    "=": "write ==",
    "&": "write &&",
    "|": "write ||",
    "/": "there is no division; multiply the other side",
    "%": "there is no remainder",
    "?": "there is no choice; write two rules",
    "matches": 'write x.matches("...")',
    "contains": 'write x.contains("...")',
    "startsWith": 'write x.startsWith("...")',
    "endsWith": 'write x.endsWith("...")',
    "<": "comparisons do not chain; write a < b && b < c",
    "<=": "comparisons do not chain; write a <= b && b <= c",
    ">": "comparisons do not chain; write a > b && b > c",
    ">=": "comparisons do not chain; write a >= b && b >= c",
    "None": "write null",
    "True": "write true",
    "False": "write false",
}


def cure(word: object) -> str:
    """Return what to write in place of *word*, as the end of a message; "" where nobody knows."""
    if isinstance(word, str) and word.isdigit():
        return "; a number is written as 1000 or 0.5"
    return f"; {_CURES[word]}" if isinstance(word, str) and word in _CURES else ""


def unknown(kind: str, name: str, known: tuple[str, ...]) -> str:
    """Return that there is no *kind* called *name*, with a suggestion."""
    near = difflib.get_close_matches(name, known, 1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"
    return f"unknown {kind} {name!r}{hint}"


def near(word: str, known: Iterable[str]) -> str:
    """Return a suggestion for *word*, or what there is, as the end of a message."""
    close = difflib.get_close_matches(word, sorted(known), 1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(sorted(known)[:12])}"


def near_name(word: str, roots: Iterable[str], arguments: Iterable[str]) -> str:
    """Return a suggestion for a name that is no root: an argument, a constant, or a text."""
    if word in arguments:
        return f"; did you mean 'args.{word}'?"
    return cure(word) or f"{near(word, roots)}; a text needs quotes"
