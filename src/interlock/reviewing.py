"""People's answers: recorded under the digest and version that they saw, judged again by policy."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from .announcing import Announcer
from .core.actions import Action, Review, ToolCall, Verdict
from .core.commands import Claim
from .core.decisions import Decision, Level
from .core.desk import EVERYBODY, Suspension
from .core.duties import check_duties, check_entitled
from .core.edits import apply_edit, check_must
from .core.errors import IllegalTransition, InvalidEdit, NotFound, StaleVersion
from .core.events import Escalated, Resolved, Reviewed
from .core.facts import NO_EFFECTS
from .core.lifecycle import step
from .core.mcp_edits import apply_mcp_edit
from .core.patterns import HttpMatch
from .core.patterns import Kind as SegmentKind
from .core.redaction import visible_line
from .granting import GrantAsked, Grants
from .judge import Judge
from .mcp_ports import Definitions
from .ports import Ids, Notice, Put, Store
from .recording import RACES, Recorder, refusal
from .sending import Sender

log = logging.getLogger("interlock")


class Reviews:
    """Takes what people answer, and starts the sends that they clear."""

    def __init__(
        self,
        *,
        store: Store,
        recorder: Recorder,
        judge: Judge,
        definitions: Definitions,
        sender: Sender,
        grants: Grants,
        announcer: Announcer,
        ids: Ids,
    ) -> None:
        self._store = store
        self._recorder = recorder
        self._judge = judge
        self._definitions = definitions
        self._sender = sender
        self._grants = grants
        self._announcer = announcer
        self._ids = ids

    async def review(self, action_id: str, review: Review, grant: GrantAsked | None) -> Action:
        """Record a person's answer and, if it clears the call, send it in the background.

        With *grant*, calls with the same target are not asked about again for a while.

        Raises:
            NotFound, Forbidden, IllegalTransition, Lapsed, StaleVersion, InvalidEdit,
            ReasonNeeded, TooSoon, StepUpNeeded, StoreUnavailable: nothing has changed, but where
            StoreUnavailable says that only the grant was not kept.
        """
        nonce = self._ids.nonce()
        for _ in range(RACES):
            action = await self._store.get(action_id)
            if action is None:
                raise NotFound(f"There is no call {action_id}.")
            doubt = self._judge.seals.doubt(action) or await self._put_back(action)
            if doubt and review.verdict is not Verdict.REJECT:
                raise IllegalTransition(doubt)
            repeated = _repeated(action, review)
            if repeated is not None and grant is None:
                return action
            await self._refuse_when_stopped(action, review)
            cleared = review.call if review.call is not None else action.call
            decision = await self._judge.judge(cleared, action_id)
            if grant is not None:
                self._grants.check(action, review, grant, decision)
            after = await (
                self._reviewed(action, review, decision, nonce)
                if repeated is None
                else self._again(action, repeated, review, decision)
            )
            if after is None:  # a colleague was faster, or a budget was spent meanwhile
                continue
            if grant is not None and not after.decoy_of:
                await self._grants.give(after, review.reviewer.id, grant, decision)
            return after
        raise StaleVersion("Others are deciding this call at the same time; look again.")

    async def _put_back(self, action: Action) -> str:
        """Say that *action* waits although this process saw it end; empty: it does not."""
        if not self._recorder.came_back(action):
            return ""
        now = await self._store.get(action.id)  # what was read may be older than what was seen
        ended = "" if now is None else self._recorder.came_back(now)
        if not ended:
            return ""
        log.error("call %s was %s, and waits again: somebody put it back", action.id, ended)
        return f"This call was {ended} already, and put back in the store. It can only be rejected."

    async def _refuse_when_stopped(self, action: Action, review: Review) -> None:
        """Let nobody clear what could not be sent; to reject or to answer it is still possible."""
        if review.verdict in (Verdict.APPROVE, Verdict.EDIT):
            stopped = await self._store.stopped(action.call.agent.id)
            if stopped is not None:
                raise IllegalTransition(said_of(stopped))

    async def _again(
        self, action: Action, earlier: Review, review: Review, decision: Decision
    ) -> Action:
        """Hold whoever adds a grant to their *earlier* answer to what policy asks of it today."""
        again = replace(earlier, looked_ms=max(earlier.looked_ms, review.looked_ms))
        event = Reviewed(at=await self._store.now(), review=again, decision=decision)
        check_entitled(action, event)
        if action.decision is not None:
            check_duties(action.decision, event)
        return action

    async def _reviewed(
        self, action: Action, review: Review, decision: Decision, nonce: str
    ) -> Action | None:
        """Write *review* and start the send that it clears; None where it has to be tried again."""
        # a practice call stays as it was, whatever somebody edits of it
        cleared = action.call if review.call is None or action.decoy_of else review.call
        if review.verdict is Verdict.EDIT:
            self._check_must(action, decision)
        at = await self._store.now()
        signed = self._judge.seals.signed(action, review, cleared, decision, at)
        event = Reviewed(at=at, review=signed, decision=decision)
        after, commands = step(action, event)
        if self._judge.seals.genuine(action):  # else its new seal would bless what was changed
            after = self._judge.seals.sealed(after)
        edited = review.verdict is Verdict.EDIT and not action.decoy_of
        effects = decision.effects if edited else NO_EFFECTS
        stored = await self._recorder.put(action, event, after, nonce, effects)
        if stored.outcome in (Put.STALE, Put.FACTS):
            return None
        if stored.outcome is not Put.OK:
            raise refusal(stored)
        after = self._recorder.told(action, event, after, stored)
        if Claim() in commands:
            self._sender.dispatch_soon(after)
        return after

    async def escalate(self, action_id: str, by: str, message: str) -> Action:
        """Let those decide now whom policy names next, as *by* asks; tell people.

        Raises:
            NotFound, IllegalTransition, Lapsed, Forbidden, StaleVersion, StoreUnavailable:
            nothing has changed.
        """
        nonce = self._ids.nonce()
        for _ in range(RACES):
            action = await self._store.get(action_id)
            if action is None:
                raise NotFound(f"There is no call {action_id}.")
            doubt = self._judge.seals.doubt(action) or await self._put_back(action)
            if doubt:  # its new seal would bless what was changed
                raise IllegalTransition(doubt)
            event = Escalated(at=await self._store.now(), by=by, message=message)
            after, _ = step(action, event)
            after = self._judge.seals.sealed(after)
            stored = await self._recorder.put(action, event, after, nonce)
            if stored.outcome is Put.STALE:  # somebody voted meanwhile
                continue
            if stored.outcome is not Put.OK:
                raise refusal(stored)
            after = self._recorder.told(action, event, after, stored)
            self._announcer.tell(after, Notice.ESCALATED)
            return after
        raise StaleVersion("Others are deciding this call at the same time; look again.")

    async def preview(
        self, action: Action, arguments: Mapping[str, Any]
    ) -> tuple[ToolCall, Decision]:
        """Return what an edit would send, and what policy says of it. Changes nothing.

        Raises:
            InvalidEdit: the arguments do not fit the tool, or may not be edited.
            StoreUnavailable: what policy must know of the past cannot be read.
        """
        if action.decision is None:
            raise IllegalTransition("The call was never decided by policy.")
        call = self._edited(action.call, action.decision, arguments)
        decision = await self._judge.judge(call, action.id)
        if decision.level is Level.DENY:
            said = decision.message or decision.reason or ", ".join(r.id for r in decision.rules)
            raise InvalidEdit(f"Policy would deny the edited call: {said}")
        self._check_must(action, decision)
        return call, decision

    def _edited(self, call: ToolCall, decision: Decision, arguments: Mapping[str, Any]) -> ToolCall:
        if call.mcp is not None:
            return self._edited_mcp(call, call.mcp.name, decision, arguments)
        tool = self._judge.policy.tools.get(decision.tool)
        match = tool.match if tool else None
        template = _template(match) if isinstance(match, HttpMatch) else None
        return apply_edit(call, decision, arguments, template)

    def _edited_mcp(
        self, call: ToolCall, name: str, decision: Decision, arguments: Mapping[str, Any]
    ) -> ToolCall:
        """Write an edit that fits what the server lists of its tool."""
        listed = self._definitions.current(call.upstream, name)
        schema = listed.document.get("inputSchema") if listed else None
        edited = apply_mcp_edit(
            call, decision, arguments, schema if isinstance(schema, Mapping) else None
        )
        unfit = listed.invalid(arguments) if listed else ""
        if unfit:
            raise InvalidEdit(f"The edit does not fit the tool's own schema: {unfit}")
        return edited

    def _check_must(self, action: Action, edited: Decision) -> None:
        """Hold an edit to what policy asks of edits, against what the agent itself sent."""
        tools = self._judge.policy.tools
        names = dict.fromkeys((action.decision.tool if action.decision else "", edited.tool))
        must = tuple(each for name in names if name in tools for each in tools[name].must)
        if must:
            original = self._judge.read(action.original or action.call)
            check_must(must, original.arguments, edited.arguments)

    async def resolve(self, action_id: str, by: str, happened: bool, message: str) -> Action:
        """Settle an unknown outcome with what a person found out.

        Raises:
            NotFound, IllegalTransition, StoreUnavailable.
        """
        action = await self._store.get(action_id)
        if action is None:
            raise NotFound(f"There is no call {action_id}.")
        at = await self._store.now()
        resolved = Resolved(at=at, by=by, happened=happened, message=message)
        return await self._recorder.apply(action, resolved)


def said_of(stopped: Suspension) -> str:
    """Say to people who stopped an agent, when and why, and how it is resumed."""
    everybody = stopped.agent == EVERYBODY
    who = "All agents were" if everybody else f"The agent {visible_line(stopped.agent)} was"
    when = datetime.fromtimestamp(stopped.at / 1000, UTC).isoformat(" ", "minutes")[:16]
    why = f' ("{visible_line(stopped.reason)}")' if stopped.reason.strip() else ""
    by = visible_line(stopped.by) if stopped.by else "somebody"
    return (
        f"{who} stopped by {by} on {when} UTC{why}. Nothing is sent, so this cannot be approved; it"
        " can be rejected. An admin, or an approver who does not own the agent, may resume it on"
        " the page Agents."
    )


def _template(match: HttpMatch) -> str:
    """Write a tool's path as edits read it: `{name}` is one segment, `{name...}` the rest."""
    written = {
        SegmentKind.LITERAL: "{}",
        SegmentKind.PARAMETER: "{{{}}}",
        SegmentKind.TAIL: "{{{}...}}",
    }
    return "/" + "/".join(written[part.kind].format(part.text) for part in match.segments)


def _repeated(action: Action, review: Review) -> Review | None:
    """The same person's same answer again: a repeated click or a lost reply, not a second vote."""
    for past in action.reviews:
        same = past.verdict is review.verdict and past.digest == review.digest
        if same and past.reviewer.id == review.reviewer.id and past.version == review.version:
            return past
    return None
