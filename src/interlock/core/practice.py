"""What people made of practice calls, in their words and in figures."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from .actions import Action, State, Verdict
from .binomial import at_least

CONFIDENCE = 0.95
KEPT_MS = 30 * 86_400_000  #: how long it counts


class Practised(enum.Enum):
    """How a practice call ended."""

    CAUGHT = "caught"  #: rejected
    MISSED = "missed"  #: let through, as it was or edited
    NEITHER = "neither"  #: a person answered in the tool's place
    UNANSWERED = "unanswered"  #: nobody decided it in time


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one person made of practice calls. `sure`: see `binomial.at_least`."""

    person: str
    caught: int
    missed: int

    @property
    def sure(self) -> float:
        """The share that this person catches at least, with a confidence of 95 %."""
        return at_least(self.caught, self.caught + self.missed, CONFIDENCE)


_OF_VERDICT = {
    Verdict.REJECT: Practised.CAUGHT,
    Verdict.APPROVE: Practised.MISSED,
    Verdict.EDIT: Practised.MISSED,
    Verdict.RESPOND: Practised.NEITHER,
}


def practised(action: Action) -> Practised | None:
    """Return how a practice call ended; None where it is none, or is still held."""
    if not action.decoy_of or action.state is State.HELD:
        return None
    if not action.reviews:
        return Practised.UNANSWERED
    return _OF_VERDICT[action.reviews[-1].verdict]


def decider(action: Action) -> str:
    """Return who ended a practice call: the first verdict does; empty: nobody."""
    return action.reviews[-1].reviewer.id if action.reviews else ""
