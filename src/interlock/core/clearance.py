"""Whether what the store holds is what people approved: the store's word alone sends nothing."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field, replace

from .actions import Action, Review, State, ToolCall, Verdict, evolve
from .decisions import Decision, Level
from .digest import clearance, digest, seal_record
from .events import ClearanceFailed, Event, PolicyTightened
from .lifecycle import APPROVAL_MS
from .sent import covered, seal_sent, whole
from .voices import distinct

TAMPERED = "The record of this call was changed outside Interlock; it is not sent. Reject it."
_DECIDED_BY_PEOPLE = (Level.APPROVE, Level.APPROVE_DUAL)


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
        waits = action.state in (State.HELD, State.APPROVED)
        if not action.seal and not action.drawn and not waits:
            return True
        return self._holds(action)

    def vouched(self, action: Action) -> Action | None:
        """Return what of *action* is ours, whoever wrote to the store; None: it was changed.

        State and times are the store's word in any case.
        """
        if action.decision is None or not action.seal or not self._holds(action):
            return None
        if action.decision.level not in _DECIDED_BY_PEOPLE:
            return covered(action)
        if not whole(action.call) or (action.original and not whole(action.original)):
            return None
        digests = {action.digest} | {each.digest for each in (*action.reviews, *action.votes)}
        for each in (*action.reviews, *action.votes):
            if not any(self._signed(action, replace(each, digest=one)) for one in digests):
                return None
        return action

    def _holds(self, action: Action) -> bool:
        decision = action.decision
        # drawn: an auditor looks at the body, which nobody checks again before it is sent
        if decision is not None and decision.level < Level.APPROVE and not whole(action.call):
            return False
        given = action.seal.encode("utf-8", "replace")
        return hmac.compare_digest(given, self._seal(action).encode())

    def _seal(self, action: Action) -> str:
        decision = action.decision
        if decision is not None and decision.level not in _DECIDED_BY_PEOPLE:
            return seal_sent(action, self.key)
        return seal_record(action, self.key)

    def _signed(self, action: Action, review: Review) -> bool:
        mac = clearance(review, action.id, self.key).encode()
        return hmac.compare_digest(mac, review.mac.encode("utf-8", "replace"))

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
