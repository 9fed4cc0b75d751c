"""People undo what an agent did: the call that policy names, proposed as a call of that agent.

Policy judges it like any other: it may go out at once, wait for people, or be refused.
"""

from __future__ import annotations

import hashlib
import logging
from typing import Protocol

from .callers import Submission
from .core import wording
from .core.actions import Action, Reviewer, State, ToolCall
from .core.errors import Forbidden, IllegalTransition, KeyReused, NotFound
from .core.lifecycle import approvers_at
from .core.redaction import visible_line
from .core.rules import PolicySet
from .core.undoing import UNDOING, undo_call, undo_of, undoable
from .ports import Store
from .relay import Relay

audit = logging.getLogger("interlock.audit")
PATIENCE = 10.0  #: seconds in which most tools answer; after that people look again


class Gate(Protocol):
    """The part of `interlock.gate.Gate` that undoing takes."""

    @property
    def policy(self) -> PolicySet: ...

    async def get(self, action_id: str) -> Action | None: ...

    async def submit(self, call: ToolCall, *, key: str = "") -> Submission: ...

    async def wait(self, action: Action, seconds: float) -> Action: ...

    def read_on(self, relay: Relay) -> None: ...

    def genuine(self, action: Action) -> bool: ...


class Undoing:
    """Proposes the calls that undo others: one for each call, however often it is asked for."""

    def __init__(self, gate: Gate, store: Store) -> None:
        self._gate = gate
        self._store = store

    async def undo(self, action_id: str, person: Reviewer) -> Action:
        """Propose the call that undoes *action_id*; return where it stands, the earlier one too.

        Raises:
            NotFound: there is no such call.
            Forbidden: it was not this person's to decide.
            IllegalTransition: it cannot be undone (any more); the message says why.
            CallRefused: policy or a bound takes no such call now.
            StoreUnavailable: it was not recorded; nothing was sent.
        """
        action = await self._gate.get(action_id)
        if action is None:
            raise NotFound(f"There is no call {action_id} (any more).")
        now = await self._store.now()
        check_may_undo(action, person, now)
        call = self._call(action, person, now)
        try:
            submission = await self._gate.submit(call, key=key_of(action))
        except KeyReused:
            raise IllegalTransition(
                "It was undone before, in another way: policy has changed since. Look at the"
                " calls of this agent."
            ) from None
        if submission.relay is not None:
            self._gate.read_on(submission.relay)
        undone = submission.action
        _record(action, undone, person, "again" if submission.joined else "asked for")
        if submission.failure is not None:
            return await self._gate.get(undone.id) or undone
        if undone.state in (State.APPROVED, State.FORWARDING):
            return await self._gate.wait(undone, PATIENCE)
        return undone

    def _call(self, action: Action, person: Reviewer, now: int) -> ToolCall:
        policy = self._gate.policy
        if not self._gate.genuine(action):
            raise IllegalTransition("The record of this call was changed outside Interlock.")
        may, why = undoable(action, undo_of(action, policy), now)
        if not may:
            raise IllegalTransition(why)
        call = undo_call(action, policy, person.id)
        if isinstance(call, str):
            raise IllegalTransition(f"{call} Nothing was sent.")
        return call


def check_may_undo(action: Action, person: Reviewer, now: int) -> None:
    """Raise Forbidden for whoever might not have decided *action*: the agent, its owner, others."""
    agent, decision = action.call.agent, action.decision
    if person.id in (agent.id, agent.owner):
        raise Forbidden("You own this agent, so somebody else has to undo what it did.")
    entitled = approvers_at(decision, action.created, now) if decision else ()
    if entitled and not person.groups & frozenset(entitled):
        raise Forbidden(f"Only {', '.join(entitled)} may decide, and undo, calls like this.")


def outcome(undone: Action) -> str:
    """Say in one line where the call that undoes another one stands; nothing while it is held."""
    said, answer = wording.outcome(undone), undone.answer
    if undone.state is State.ANSWERED and answer is not None and answer.status:
        return f"{said} {answer.status}"
    if undone.state is State.DENIED and undone.cause:
        return f"{said}: {visible_line(undone.cause)}"
    return said


def key_of(action: Action) -> str:
    """Return what makes a second undo of *action* join the first; no agent can send such a key."""
    return UNDOING + hashlib.sha256(f"\0undo\0{action.id}".encode()).hexdigest()


def _record(action: Action, undone: Action, person: Reviewer, said: str) -> None:
    names = (action.id, said, person.id, undone.id, undone.state.value, action.call.agent.id)
    audit.warning("call %s undo %s by=%s undo=%s state=%s agent=%s", *map(visible_line, names))
