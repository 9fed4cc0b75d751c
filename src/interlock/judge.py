"""Asks policy about a call, with what policy must know of the past: one round trip, or none."""

from __future__ import annotations

import hmac
from dataclasses import replace
from datetime import UTC, datetime
from time import perf_counter

from .core.actions import ToolCall
from .core.clearance import Seals
from .core.decisions import Decision
from .core.digest import grant_mac
from .core.evaluate import decide, evaluate, prepare
from .core.facts import NO_FACTS, Facts, Grant, Needs, asked_of
from .core.preparing import Prepared
from .core.rules import PolicySet
from .learning_ports import Confidences
from .ports import Clock, Store
from .recording import Recorder


class Judge:
    """Holds the policy in force, which `reload` replaces as a whole."""

    def __init__(
        self,
        *,
        policy: PolicySet,
        store: Store,
        seals: Seals,
        clock: Clock,
        recorder: Recorder,
        confidences: Confidences | None = None,
    ) -> None:
        self.policy = policy
        self._confidences = confidences
        self.seals = seals
        self._store = store
        self._clock = clock
        self._recorder = recorder

    async def judge(self, call: ToolCall, own: str = "") -> Decision:
        """Ask the present policy. *own*: the held action that is judged again, if any.

        Raises:
            StoreUnavailable: what policy must know of the past cannot be read.
        """
        began, policy = perf_counter(), self.policy
        prepared = prepare(call, policy, own)
        needs, facts = prepared.needs, NO_FACTS
        if needs:
            asked = perf_counter()
            facts = self._believed(await self._store.facts(needs), needs, call)
            began += perf_counter() - asked  # what the store took is not what policy took
        calibrated = self._calibrated(prepared)
        if calibrated is not None:  # whether or not policy heeds it: people are shown it
            facts = replace(facts, calibrated=calibrated)
        decision = decide(prepared, facts, self._at())
        self._recorder.timed("decision", began)
        return decision

    def _calibrated(self, prepared: Prepared) -> float | None:
        """Return what past decisions make of the agent's claim; None: none is made, or known."""
        call, claimed = prepared.call, prepared.call.context.confidence
        if self._confidences is None or claimed is None or not 0 <= claimed <= 1:
            return None
        named = call.mcp.name if call.mcp else ""  # as records name what is in no entry
        tool = prepared.tool.id if prepared.tool else named
        return self._confidences.calibrated(call.agent.id, tool, claimed)

    def sways(self, facts: Facts) -> bool:
        """Whether *facts* may be others, and decide otherwise, when the same call is asked again.

        A calibrated confidence alone does so only where policy heeds it.
        """
        signal = self.policy.confidence
        heeded = signal is not None and signal.use == "calibrated"
        return asked_of(facts) or (heeded and facts.calibrated is not None)

    def read(self, call: ToolCall) -> Decision:
        """Judge *call* as if nothing were known of the past, to see how policy reads it."""
        return evaluate(call, self.policy, NO_FACTS, self._at())

    def grant_key(self, call: ToolCall) -> str:
        """Return what grants of calls like this one are kept under; empty: there can be none."""
        return prepare(call, self.policy).needs.grant

    async def state_task(self, agent_id: str, session: str, task: str) -> None:
        """Keep what the user asked for in a session, where and as long as policy looks for it."""
        policy = self.policy
        shared = policy.session_scope == "agent"  # all calls of an agent are one session
        keep_ms = policy.session_memory_ms
        await self._store.state_task(agent_id, "" if shared else session, task, keep_ms)

    def _at(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)

    def _believed(self, facts: Facts, needs: Needs, call: ToolCall) -> Facts:
        """Leave out a grant that nobody here gave for this call: the store's word is not enough."""
        grant = facts.grant
        if grant is None or self._stands_for(grant, needs, call):
            return facts
        return replace(facts, grant=None)

    def _stands_for(self, grant: Grant, needs: Needs, call: ToolCall) -> bool:
        return (
            self.genuine_grant(grant)
            and grant.key == needs.grant
            and grant.agent == call.agent.id
            and grant.expires > self._clock.now_ms()
            and grant.used < grant.uses
        )

    def genuine_grant(self, grant: Grant) -> bool:
        """Say whether a person gave *grant* here; how often it was used is the store's word."""
        given = grant.mac.encode("utf-8", "surrogatepass")  # whoever forged it may write anything
        return hmac.compare_digest(grant_mac(grant, self.seals.key).encode(), given)
