"""Our errors. Each says whose fault it is and carries its HTTP status.

* InterlockError
  - InvalidDocument        operator: a YAML file is wrong; carries every problem with file:line:col
  - CallRefused            the agent's side asked for something that cannot be taken
    x MalformedCall        400  ambiguous or malformed; refused, not repaired
      + MalformedMessage   400  the same of a JSON-RPC message; carries its error code
    x Unauthenticated      401  no key, or one that is not valid here
    x NotFound             404  no such route, upstream, call
    x CallTooLarge         413
    x KeyReused            422  the Idempotency-Key was used for another call
    x QueueFull            429  too many calls of this agent wait already
    x Suspended            403  the agent, or every agent, is stopped by a person
  - ReviewRefused          a person asked for something that cannot be done
    x Forbidden            403  this person may not decide this
    x IllegalTransition    409  this state does not allow it (any more)
    x Lapsed               410  the deadline has passed
    x StaleVersion         412  somebody else moved the action first
    x InvalidEdit          422  the edit does not fit the tool
    x ReasonNeeded         422  policy asks for a reason, and none is given
    x TooSoon              422  the call was not in sight for as long as policy asks
    x StepUpNeeded         403  the decision needs a signature of the person's authenticator
    x TooMany              429  this person has approved as many calls as policy lets them
  - StoreUnavailable       503  fail closed: nothing was sent
    x StateUnavailable     503  what became of a known call cannot be read now
  - UpstreamError
    x UpstreamUnreachable  502  provably not sent
    x UpstreamLost         504  sent, outcome unknown; never sent again by us
  - WeakGround             refusing to start: the installation cannot keep its promises
"""

from __future__ import annotations

from dataclasses import dataclass


class InterlockError(Exception):
    """Something went wrong."""

    status = 500
    kind = "internal-error"  #: last segment of the problem's `type`

    def __init__(self, detail: str = "", *, help: str = "") -> None:
        self.detail = detail or (self.__doc__ or "").strip()
        self.help = help
        super().__init__(self.detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong in a document, and the cure."""

    file: str
    line: int
    column: int
    message: str
    path: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class InvalidDocument(InterlockError):
    """A document is not valid."""

    kind = "invalid-document"

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


class CallRefused(InterlockError):
    """The call cannot be taken."""

    status = 400


class MalformedCall(CallRefused):
    """The request is malformed or ambiguous."""

    status, kind = 400, "malformed-call"


class MalformedMessage(MalformedCall):
    """The JSON-RPC message is malformed or ambiguous."""

    def __init__(self, detail: str = "", *, code: int = -32600) -> None:
        self.code = code  #: -32700 parse error, -32600 invalid request, -32602 invalid params
        super().__init__(detail)


class Unauthenticated(CallRefused):
    """A valid key is needed."""

    status, kind = 401, "unauthenticated"


class NotFound(CallRefused):
    """There is nothing here."""

    status, kind = 404, "not-found"


class CallTooLarge(CallRefused):
    """The request is larger than this gate takes."""

    status, kind = 413, "too-large"


class KeyReused(CallRefused):
    """This Idempotency-Key was already used for a different call."""

    status, kind = 422, "idempotency-key-reused"


class QueueFull(CallRefused):
    """Too many calls of this agent wait for people already."""

    status, kind = 429, "queue-full"


class Suspended(CallRefused):
    """This agent was stopped by a person. Nothing was sent."""

    status, kind = 403, "agent-suspended"


class ReviewRefused(InterlockError):
    """The decision cannot be taken."""

    status = 409


class Forbidden(ReviewRefused):
    """You may not decide this."""

    status, kind = 403, "forbidden"


class IllegalTransition(ReviewRefused):
    """The action is not in a state that allows this."""

    status, kind = 409, "not-pending"


class Lapsed(ReviewRefused):
    """The deadline has passed."""

    status, kind = 410, "expired"


class StaleVersion(ReviewRefused):
    """The action has changed since you looked at it."""

    status, kind = 412, "stale"


class InvalidEdit(ReviewRefused):
    """The edit cannot be accepted."""

    status, kind = 422, "invalid-edit"


class ReasonNeeded(ReviewRefused):
    """Policy asks for a reason."""

    status, kind = 422, "reason-needed"


class TooSoon(ReviewRefused):
    """Policy asks for a longer look before this is approved."""

    status, kind = 422, "too-soon"

    def __init__(self, detail: str = "", *, seconds: int = 0) -> None:
        self.seconds = seconds  #: how much longer it has to be in sight
        super().__init__(detail)


class StepUpNeeded(ReviewRefused):
    """Policy asks for your security key or passkey to approve this."""

    status, kind = 403, "step-up-needed"


class TooMany(ReviewRefused):
    """You have approved as many calls in this hour as policy lets one person approve."""

    status, kind = 429, "too-many"


class StoreUnavailable(InterlockError):
    """The store does not answer. Nothing was sent."""

    status, kind = 503, "store-unavailable"


class StateUnavailable(StoreUnavailable):
    """The store does not answer; what became of the call cannot be told now."""

    kind = "state-unavailable"


class UpstreamError(InterlockError):
    """The tool could not be used."""

    status, kind = 502, "upstream-error"


class UpstreamUnreachable(UpstreamError):
    """The tool could not be reached. Nothing was sent."""

    status, kind = 502, "upstream-not-sent"


class UpstreamLost(UpstreamError):
    """The call was sent, but its outcome is unknown."""

    status, kind = 504, "upstream-outcome-unknown"


class WeakGround(InterlockError):
    """This installation is too weak to start on."""

    kind = "weak-ground"
