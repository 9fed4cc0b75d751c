"""Calls that differ from a quiet one in one or two ways: what is masked elsewhere shows there.

A quiet call is one of which the policies ask for as little as they can: small numbers, names that
they trust, a user who asked for it, a familiar target, nothing used, a session without a past.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from .corpus import NOON, CorpusEntry
from .suite_document import AgentEntry, CallEntry, FactsEntry, SessionEntry

Factors = Mapping[str, Sequence[Any]]
"""What may differ, and how: `args.NAME`, `agent.NAME`, `session.NAME`, `facts.NAME`, `used.LIMIT`,
`task` (whether the user's request names the texts of the call), `at` and `wish` (several at once).
"""

Weigh = Callable[[CorpusEntry], int]
"""Answers how much is asked for a call, or a large number where it cannot be made."""

MOST = 900  #: calls with two differences, per tool
_IN_ALL = 12_000
_LEAST = 150


def bound(tools: int) -> int:
    """Return how many calls with two differences each of so many tools gets."""
    return max(_LEAST, min(MOST, _IN_ALL // max(1, tools)))


def quiet(tool: str, factors: Factors, start: Mapping[str, Any], weigh: Weigh) -> dict[str, Any]:
    """Return arguments for *tool*, beginning with *start*, for which as little is asked as can be.

    One argument after the other takes the first value that lowers what is asked.
    """
    best = dict(start)
    least = weigh(entry(tool, best, {}))
    for name, values in factors.items():
        root, _, field = name.partition(".")
        for value in values if root == "args" else ():
            tried = {**best, field: value}
            asked = weigh(entry(tool, tried, {}))
            if asked < least:
                best, least = tried, asked
    return best


def around(
    tool: str, base: Mapping[str, Any], factors: Factors, most: int
) -> Iterator[CorpusEntry]:
    """Yield the quiet call with *base* as arguments, and what differs from it in one or two ways.

    Of pairs at most *most* are taken, spread over all of them: always the same ones.
    """
    yield entry(tool, base, {})
    singles = [(name, value) for name, values in factors.items() for value in values]
    for name, value in singles:
        yield entry(tool, base, {name: value})
    pairs = [
        (one, other) for one, other in itertools.combinations(singles, 2) if one[0] != other[0]
    ]
    if len(pairs) > most:
        pairs = random.Random(tool).sample(pairs, most)  # noqa: S311 -- the same in every run
    for one, other in pairs:
        yield entry(tool, base, dict((one, other)))


def entry(tool: str, base: Mapping[str, Any], differs: Mapping[str, Any]) -> CorpusEntry:
    """Return a call of *tool* with *base* as arguments, and with what *differs*."""
    parts: dict[str, dict[str, Any]] = {
        "args": dict(base),
        "agent": {"confidence": 1.0},
        "session": {},
        "facts": {},
        "used": {},
    }
    for name, value in differs.items():
        root, _, field = name.partition(".")
        if root == "wish":
            parts["args"] |= value.args
            parts["agent"] |= value.agent
        elif root in parts:
            parts[root][field] = value
    args = parts["args"]
    return CorpusEntry(
        call=CallEntry(tool=tool, args=args),
        agent=AgentEntry(**parts["agent"]),
        facts=FactsEntry(
            session=SessionEntry(**parts["session"]), used=parts["used"], **parts["facts"]
        ),
        task=_request(args) if differs.get("task", True) else None,
        at=str(differs.get("at", NOON)),
    )


def _request(args: Mapping[str, Any]) -> str:
    """Return a request of the user that names every text of the call."""
    return " ".join(str(value) for value in args.values() if isinstance(value, str)) or "Do it."
