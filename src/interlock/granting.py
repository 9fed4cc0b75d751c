"""People's "do not ask again": given together with an approval, within what policy allows."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from .core.actions import Action, Review, Verdict
from .core.decisions import Decision, Level
from .core.digest import grant_mac
from .core.durations import written
from .core.errors import IllegalTransition, InvalidEdit, NotFound, StoreUnavailable
from .core.facts import Grant
from .core.lifecycle import APPROVAL_MS
from .core.patterns import HttpMatch
from .core.redaction import visible_text
from .core.rules import GrantSpec
from .core.voices import distinct
from .judge import Judge
from .ports import Store

log = logging.getLogger("interlock.grants")


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantAsked:
    """What a person grants beside an approval: *uses* in all, within *seconds* from now."""

    uses: int
    seconds: float
    reason: str = ""


class Grants:
    """Gives, lists and takes back grants: for one agent, one way to call a tool, one target."""

    def __init__(self, store: Store, judge: Judge) -> None:
        self._store = store
        self._judge = judge

    def check(self, action: Action, review: Review, asked: GrantAsked, now: Decision) -> None:
        """Refuse what may not be granted with *review*. *now*: what policy says of the call.

        Raises:
            IllegalTransition: this call, or this answer to it, carries no grant.
            InvalidEdit: more than policy lets a person grant.
        """
        if review.verdict is not Verdict.APPROVE:
            raise IllegalTransition("A grant goes with an approval of the call as it is.")
        held = action.decision
        spec = self._spec(now)
        lowers = now.grants or bool(now.grant)  # one that holds already may be given anew
        if held is None or not held.grants or not lowers or spec is None:
            raise IllegalTransition(
                "Policy lets nobody grant calls like this one (`approvals.grants.tools`);"
                " approve it without a grant."
            )
        _check_unsigned(action, review, held, now)
        _check_complete(action, review, held, now)
        if not 1 <= asked.uses <= spec.uses:
            raise InvalidEdit(f"Grant between 1 and {spec.uses} uses, not {asked.uses}.")
        if not 0 < asked.seconds * 1000 <= spec.longest_ms:
            longest = written(spec.longest_ms)
            raise InvalidEdit(f"Grant it for up to {longest}, not for longer.")

    def _spec(self, now: Decision) -> GrantSpec | None:
        tool = self._judge.policy.tools.get(now.tool)
        return tool.grants if tool else None

    async def give(self, action: Action, reviewer: str, asked: GrantAsked, now: Decision) -> Grant:
        """Keep the grant that goes with *reviewer*'s fresh and genuine vote for *action*.

        Raises:
            IllegalTransition: there is no such vote.
            StoreUnavailable: it was not kept; the approval stands.
        """
        at, held = await self._store.now(), action.decision
        if held is None or not self._voted(action, reviewer, at):
            raise IllegalTransition("A grant goes with an approval; you have not approved this.")
        grant = Grant(
            id=f"g{action.id}",
            key=self._judge.grant_key(action.call),
            agent=action.call.agent.id,
            tool=now.tool,
            target=dict(now.target or {}),
            by=reviewer,
            action_id=action.id,
            level=int(held.level),
            stake=int(held.stake),
            created=at,
            expires=at + round(asked.seconds * 1000),
            uses=asked.uses,
            reason=asked.reason,
            method="" if action.call.mcp else action.call.method,
            path=self._path(action, now),
        )
        if not grant.key:
            raise IllegalTransition("Policy has no grants for this call; it cannot be granted.")
        await self._keep(replace(grant, mac=grant_mac(grant, self._judge.seals.key)))
        return grant

    def _path(self, action: Action, now: Decision) -> str:
        if action.call.mcp is not None:
            return action.call.mcp.name
        tool = self._judge.policy.tools.get(now.tool)
        return tool.match.template if tool and isinstance(tool.match, HttpMatch) else ""

    async def _keep(self, grant: Grant) -> None:
        try:
            await self._store.give(grant)
        except StoreUnavailable as error:
            raise StoreUnavailable(
                "The call is approved, but the grant could not be kept, so people will be asked"
                " again. Send the same decision again within a few minutes to grant it."
            ) from error
        said = (grant.id, grant.by, grant.agent, grant.tool, grant.action_id)
        log.warning(
            "grant %s given by=%s agent=%s tool=%s call=%s uses=%d seconds=%d",
            *map(visible_text, said),
            grant.uses,
            (grant.expires - grant.created) // 1000,
        )

    def _voted(self, action: Action, reviewer: str, at: int) -> bool:
        return any(
            vote.reviewer.id == reviewer
            and vote.at > at - APPROVAL_MS
            and self._judge.seals.counts(action, vote)
            for vote in action.votes
        )

    async def all(self, limit: int) -> tuple[Grant, ...]:
        """Return the grants that hold, newest first; what was forged is none."""
        found = await self._store.grants(limit)
        return tuple(grant for grant in found if self._judge.genuine_grant(grant))

    async def take_back(self, grant_id: str, by: str) -> Grant:
        """End a grant at once.

        Raises:
            NotFound: there is none of this id (any more).
        """
        grant = await self._store.take_back(grant_id)
        if grant is None:
            raise NotFound(f"There is no grant {grant_id} (any more).")
        log.warning(
            "grant %s taken back by=%s agent=%s tool=%s used=%d",
            *map(visible_text, (grant.id, by, grant.agent, grant.tool)),
            grant.used,
        )
        return grant


def _check_unsigned(action: Action, review: Review, held: Decision, now: Decision) -> None:
    """What is signed is one call: no grant goes with it, now or with the same answer again."""
    signed = any(each.step_up for each in (*action.votes, review))
    if signed or held.step_up or now.step_up:
        raise IllegalTransition(
            "What is signed with a security key or passkey is this one call, so no grant goes with"
            " it. Approve it without a grant."
        )


def _check_complete(action: Action, review: Review, held: Decision, now: Decision) -> None:
    """Where two have to agree, one alone grants nothing: only who completes the approval does."""
    agreed = distinct((*action.votes, review))
    if agreed < max(held.quorum, now.quorum if now.level >= Level.APPROVE else 1):
        raise IllegalTransition(
            "Another person has to approve this call too: whoever completes the approval can"
            " grant it. Approve it without a grant."
        )
