"""What is kept of what was reported of a call afterwards: one word of each reporter, the latest.

Agents and people have places of their own, so that neither takes those of the other, and nobody
learns from what is refused who else reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .records import BY_AGENT, Reported, Turned

MOST = 5
"""People of whom a word is kept; and times that an agent may speak of one call."""


def heard(reports: Sequence[Reported], said: Reported) -> tuple[Reported, ...] | None:
    """Return *reports* with *said* in the place of its reporter's earlier word; None: no room.

    A `wrong` of a person has room while anybody's `right` is among those of people: the oldest
    makes way. That an agent speaks once too often depends on its own words alone, and it may
    still take back a `right`.
    """
    before = [each for each in reports if each.by == said.by]
    others = [each for each in reports if each.by != said.by]
    times = max((each.changed + 1 for each in before), default=0)
    if said.by == BY_AGENT:
        worse = said.turned is Turned.WRONG and Turned.WRONG not in [e.turned for e in before]
        if times >= MOST and not worse:
            return None
    elif not full(others):
        pass
    elif said.turned is Turned.RIGHT or (oldest := _oldest_right(others)) is None:
        return None
    else:
        others.remove(oldest)
    return (*others, replace(said, changed=times))


def together(known: Sequence[Reported], said: Sequence[Reported]) -> tuple[Reported, ...]:
    """Return the latest word of each reporter in either, oldest first, as many as are kept.

    Who wrote *said* need not have known what is *known*.
    """
    if not known or not said:
        return tuple(known or said)
    latest: dict[str, Reported] = {}
    for each in (*known, *said):
        before = latest.get(each.by)
        if before is None or (each.changed, each.at) > (before.changed, before.at):
            latest[each.by] = each
    kept = sorted(latest.values(), key=lambda each: each.at)
    while sum(each.by != BY_AGENT for each in kept) > MOST:
        people = [each for each in kept if each.by != BY_AGENT]
        kept.remove(_oldest_right(kept) or people[-1])
    return tuple(kept)


def full(reports: Sequence[Reported]) -> bool:
    """Say whether as many people are among *reports* as are kept."""
    return sum(each.by != BY_AGENT for each in reports) >= MOST


def all_wrong(reports: Sequence[Reported]) -> bool:
    """Say whether no further person has room, whatever they say."""
    return full(reports) and _oldest_right(reports) is None


def _oldest_right(reports: Sequence[Reported]) -> Reported | None:
    right = (e for e in reports if e.by != BY_AGENT and e.turned is Turned.RIGHT)
    return next(right, None)
