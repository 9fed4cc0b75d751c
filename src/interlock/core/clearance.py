"""Whether what the store holds is what people approved: the store's word alone sends nothing."""

from __future__ import annotations

import enum
import hmac
from dataclasses import dataclass, field, replace

from .actions import Action, Review, State, ToolCall, Verdict, evolve
from .decisions import Decision, Level
from .digest import clearance, digest, former_clearance, seal_record
from .events import ClearanceFailed, Event, PolicyTightened
from .lifecycle import APPROVAL_MS
from .sent import covered, former_seal_sent, seal_sent, whole
from .voices import distinct

TAMPERED = "The record of this call was changed outside Interlock; it is not sent. Reject it."
FORMER = (
    "Somebody answered this call before Interlock was upgraded, in a form that does not count any"
    " more; it is not sent. Reject it: once its agent asks again, it is decided again."
)
_DECIDED_BY_PEOPLE = (Level.APPROVE, Level.APPROVE_DUAL)
_WAITS = (State.HELD, State.APPROVED)


class _Kept(enum.Enum):
    """What the store's record of a call is, as its MACs say."""

    OURS = enum.auto()
    FORMER = enum.auto()  #: of an earlier version, in which people's words were under no MAC
    CHANGED = enum.auto()


@dataclass(frozen=True, slots=True)
class Seals:
    """Makes and checks the MACs of records and votes. The key is not in the store."""

    key: bytes = field(repr=False)

    def sealed(self, action: Action) -> Action:
        """Return *action* with the seal of its present record; what policy refuses has none."""
        if action.decision is None or action.decision.level is Level.DENY:
            return action
        return evolve(action, seal=self._seal(action))

    def genuine(self, action: Action) -> bool:
        """Say whether a call that people decide on, or audit, is what we wrote."""
        return not self.doubt(action)

    def doubt(self, action: Action) -> str:
        """Say why a call that people decide on, or audit, is not what we wrote; empty: it is.

        Answers in a former form decide nothing; what they once decided stays as it is.
        """
        if not action.seal and _refused_by_policy(action):
            return ""  # such calls carry none: they were never to be sent
        waits, kept = action.state in _WAITS, self._kept(action)
        if kept is _Kept.CHANGED:
            return TAMPERED
        return FORMER if waits and kept is _Kept.FORMER else ""

    def vouched(self, action: Action) -> Action | None:
        """Return what of *action* is ours, whoever wrote to the store; None: it was changed.

        State and times are the store's word in any case. Words that no MAC binds are left out.
        """
        kept = self._kept(action)
        if action.decision is None or not action.seal or kept is _Kept.CHANGED:
            return None
        if action.decision.level not in _DECIDED_BY_PEOPLE:
            return covered(action)
        if not whole(action.call) or (action.original and not whole(action.original)):
            return None
        return self._wordless(action) if kept is _Kept.FORMER else action

    def _kept(self, action: Action) -> _Kept:
        votes = (each for each in action.votes if each not in action.reviews)
        forms = {self._form(action, each) for each in (*action.reviews, *votes)}
        former = _Kept.FORMER in forms
        # earlier versions did not put the answers under the seal of the record
        bare = evolve(action, reviews=(), votes=()) if former else action
        if _Kept.CHANGED in forms or not self._holds(bare):
            return _Kept.CHANGED
        return _Kept.FORMER if former else _Kept.OURS

    def _form(self, action: Action, review: Review) -> _Kept:
        """Say who wrote *review*: an edit is signed for the digest of its result."""
        seen = (action.digest, *(each.digest for each in (*action.reviews, *action.votes)))
        for one in dict.fromkeys((review.digest, *seen)):
            of = review if one == review.digest else replace(review, digest=one)
            if self._signed(action, of):
                return _Kept.OURS
            if _same(former_clearance(of, action.id, self.key), review.mac):
                return _Kept.FORMER
        return _Kept.CHANGED

    def _wordless(self, action: Action) -> Action:
        def without(reviews: tuple[Review, ...]) -> tuple[Review, ...]:
            return tuple(
                each
                if self._form(action, each) is _Kept.OURS
                else replace(each, message="", reason_code="")
                for each in reviews
            )

        return evolve(action, reviews=without(action.reviews), votes=without(action.votes))

    def _holds(self, action: Action) -> bool:
        decision = action.decision
        # drawn: an auditor looks at the body, which nobody checks again before it is sent
        if decision is not None and decision.level < Level.APPROVE and not whole(action.call):
            return False
        if _same(self._seal(action), action.seal):  # what people decide is never drawn
            return decision is None or not (decision.level in _DECIDED_BY_PEOPLE and action.drawn)
        sent = decision is not None and decision.level not in _DECIDED_BY_PEOPLE
        return sent and _same(former_seal_sent(action, self.key), action.seal)

    def _seal(self, action: Action) -> str:
        decision = action.decision
        if decision is not None and decision.level not in _DECIDED_BY_PEOPLE:
            return seal_sent(action, self.key)
        return seal_record(action, self.key)

    def _signed(self, action: Action, review: Review) -> bool:
        return _same(clearance(review, action.id, self.key), review.mac)

    def signed(
        self, action: Action, review: Review, cleared: ToolCall, decision: Decision, at: int
    ) -> Review:
        """Return *review* bound to the call that it clears and to the policy that judged it."""
        judged = replace(review, policy=decision.policy.sha256, at=at)
        mac = clearance(replace(judged, digest=cleared.digest), action.id, self.key)
        return replace(judged, mac=mac)

    def counts(self, action: Action, vote: Review) -> bool:
        """Say whether *vote* is genuine and clears the present bytes of *action*."""
        owners = (action.call.agent.id, action.call.agent.owner)
        return (
            self._signed(action, vote)
            and vote.digest == action.digest
            and vote.verdict in (Verdict.APPROVE, Verdict.EDIT)
            and vote.reviewer.id not in owners
        )

    def refusal(self, action: Action, now: Decision, at: int) -> Event | None:
        """Return why an approved call may not be sent, or None. `now`: what policy says today."""
        decision = action.decision
        doubt = TAMPERED if decision is None else self.doubt(action)
        if decision is None or doubt:
            return ClearanceFailed(at=at, cause=doubt)
        if action.decoy_of:
            return ClearanceFailed(at=at, cause="A practice call; it is never sent.")
        if digest(action.call) != action.digest:
            cause = "The stored call is not the call that was approved."
            return ClearanceFailed(at=at, cause=cause)
        if now.level is Level.DENY:
            return PolicyTightened(at=at, decision=now)
        votes = [vote for vote in action.votes if self.counts(action, vote)]
        needed = max(decision.quorum, now.quorum if now.level >= Level.APPROVE else 1)
        if distinct(votes) < needed:
            return ClearanceFailed(at=at, cause="The approvals are not genuine or not enough.")
        if max(vote.at for vote in votes) < at - 2 * APPROVAL_MS:  # whatever the store says
            return ClearanceFailed(at=at, cause="The approval has lapsed.")
        return None


def _refused_by_policy(action: Action) -> bool:
    decision = action.decision
    return action.state is State.DENIED and decision is not None and decision.level is Level.DENY


def _same(made: str, given: str) -> bool:
    return hmac.compare_digest(made.encode(), given.encode("utf-8", "replace"))
