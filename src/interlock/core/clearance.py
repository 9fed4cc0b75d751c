"""Whether what the store holds is what people approved: the store's word alone sends nothing."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field, replace

from .actions import Action, Review, State, ToolCall, Verdict, evolve
from .decisions import Decision, Level
from .digest import clearance, digest, seal_record
from .events import ClearanceFailed, Event, PolicyTightened
from .lifecycle import APPROVAL_MS
from .voices import distinct

TAMPERED = "The record of this call was changed outside Interlock; it is not sent. Reject it."
_DECIDED_BY_PEOPLE = (Level.APPROVE, Level.APPROVE_DUAL)


@dataclass(frozen=True, slots=True)
class Seals:
    """Makes and checks the MACs of records and votes. The key is not in the store."""

    key: bytes = field(repr=False)

    def sealed(self, action: Action) -> Action:
        """Return *action* with the seal of its present record, where people decide on it."""
        if action.decision is None or action.decision.level not in _DECIDED_BY_PEOPLE:
            return action
        return evolve(action, seal=seal_record(action, self.key))

    def genuine(self, action: Action) -> bool:
        """Say whether the record of a call that people decide on is what we wrote."""
        if not action.seal and action.state not in (State.HELD, State.APPROVED):
            return True
        return hmac.compare_digest(action.seal, seal_record(action, self.key))

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
            hmac.compare_digest(clearance(vote, action.id, self.key), vote.mac)
            and vote.digest == action.digest
            and vote.verdict in (Verdict.APPROVE, Verdict.EDIT)
            and vote.reviewer.id not in owners
        )

    def refusal(self, action: Action, now: Decision, at: int) -> Event | None:
        """Return why an approved call may not be sent, or None. `now`: what policy says today."""
        decision = action.decision
        if decision is None or not self.genuine(action):
            return ClearanceFailed(at=at, cause=TAMPERED)
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
