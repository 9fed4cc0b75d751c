"""What policy in shadow mode asked for: read from a decision, in words that policy bounds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..core.decisions import Decision, Level

WHOLE = "policy"  #: in place of a rule's id, where a whole policy or file is in shadow mode
OTHER = "other"  #: in place of a level, where a rule raises stake or reversibility instead
_AT_LEAST = re.compile(r"at least (\w+)")
_LEVELS = {level.word: level for level in Level}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One thing in shadow mode that fired. `more`: it asked for more than the call got."""

    rule: str
    level: str
    more: bool


def asked(decision: Decision) -> Iterator[Asked]:
    """Yield what fired in shadow mode; nothing for a decision that no shadow mode touched."""
    if decision.would_be is not None:
        more = decision.would_be > decision.level
        yield Asked(rule=WHOLE, level=decision.would_be.word, more=more)
    for name in decision.shadow:
        level = _level(decision, name)
        more = level in _LEVELS and _LEVELS[level] > decision.level
        yield Asked(rule=name, level=level, more=more)


def _level(decision: Decision, name: str) -> str:
    """Return the level that a rule or limit asked for, from its line of the trace."""
    heads = (f"rule {name} (shadow): ", f"limit {name} (shadow): ")
    for line in decision.trace:
        if line.startswith(heads):
            effect = line.rpartition(" -> ")[2]
            found = _AT_LEAST.search(effect)
            word = "deny" if "deny" in effect else found[1] if found else OTHER
            return word if word in _LEVELS else OTHER
    return OTHER
