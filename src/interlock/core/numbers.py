"""Numbers of things, as people read them."""

from __future__ import annotations


def number_of(count: int, one: str, several: str = "") -> str:
    """Return *count* things in words: `1 rule`, `3 rules`.

    *several*: how many of them are called where an `s` alone does not do: `people`, `calls are`.
    """
    return f"{count} {one if count == 1 else several or f'{one}s'}"
