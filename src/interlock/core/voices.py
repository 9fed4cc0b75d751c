"""Whose voices a vote speaks with: one's own, and that of whoever one stands in for.

Whoever stands in has the absent person's groups and, beside them, a group that names the person
(`for ann`; no real group has a space in its name). It is part of what a vote's MAC binds.
"""

from __future__ import annotations

from collections.abc import Iterable

from .actions import Review

_FOR = "for "


def standing_in_for(person: str) -> str:
    """Return the group that says for whom somebody votes."""
    return _FOR + person


def voices_of(vote: Review) -> frozenset[str]:
    """Return who has a part in *vote*: whoever cast it, and those for whom they did."""
    who = vote.reviewer
    lenders = {name.removeprefix(_FOR) for name in who.groups if name.startswith(_FOR)}
    return frozenset({who.id, *lenders})


def heard(votes: Iterable[Review]) -> frozenset[str]:
    """Return who has a part in any of *votes*."""
    return frozenset[str]().union(*map(voices_of, votes))


def distinct(votes: Iterable[Review]) -> int:
    """Count *votes* without those in which somebody has a part who has one in an earlier vote."""
    count, spoken = 0, frozenset[str]()
    for vote in votes:
        voices = voices_of(vote)
        if not voices & spoken:
            count, spoken = count + 1, spoken | voices
    return count
