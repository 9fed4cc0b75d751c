"""Everything that can happen to an action, past tense. The counterpart of `commands`.

`at` is in ms since the epoch. The store puts its own clock in its place when it writes, and
its clock decides whether a deadline has passed.
"""

from __future__ import annotations

from dataclasses import dataclass

from .actions import Answer, Review
from .decisions import Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided(Event):
    """Policy judged the call as it came in."""

    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed(Event):
    """A person answered; `decision` is what policy says now of what they cleared."""

    review: Review
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalated(Event):
    """A person asked those who may decide later to decide now: policy's next step, early."""

    by: str
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTightened(Event):
    """Between approval and send, policy became stricter than what was approved."""

    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearanceFailed(Event):
    """What the store holds is not what people approved. Nothing is sent."""

    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlinePassed(Event):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled(Event):
    """The caller (or an operator) took the call back."""

    by: str
    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed(Event):
    """One worker won the right to send, until its lease ends."""

    nonce: str
    lease_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered(Event):
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSent(Event):
    """Provably nothing left: the connection was never made."""

    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost(Event):
    """Something was sent, and the answer never came."""

    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseLost(Event):
    """The worker that owned the send did not report in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved(Event):
    """A person found out what became of an unknown outcome."""

    by: str
    happened: bool
    message: str
