"""Decisions as every channel takes them: by the page, a key, a batch, a button in a chat.

What the gate does not know is added and checked here: how long the person looked, for whom they
stand in, how much they have approved in this hour.
"""

from __future__ import annotations

import contextlib
import dataclasses

from ..core import voices
from ..core.actions import Action, Review, Reviewer, State, Verdict
from ..core.decisions import Decision
from ..core.desk import Absence, Assignment
from ..core.errors import (
    Forbidden,
    IllegalTransition,
    InvalidEdit,
    MalformedCall,
    StoreUnavailable,
    TooMany,
)
from ..core.identity import Kind
from ..core.numbers import number_of
from ..granting import GrantAsked
from .access import Visitor
from .deps import ApiDeps
from .models_decisions import DecisionRequest
from .rights import borrowed, heard, owns
from .step_up import stepped_up

HOUR_MS = 3_600_000
_CLEARS = frozenset({Verdict.APPROVE, Verdict.EDIT})


class TooManyApprovals(TooMany):
    """Policy lets one person approve so many calls in an hour. `seconds`: when there is room."""

    def __init__(self, approved: int, seconds: int) -> None:
        self.seconds = seconds
        minutes = max(1, round(seconds / 60))
        super().__init__(
            f"You approved {number_of(approved, 'call')} in the last hour, as many as policy lets"
            f" one person approve. Nothing was decided. There is room again in {minutes} min; you"
            " may reject, or ask a colleague."
        )


async def meet(deps: ApiDeps, visitor: Visitor) -> None:
    """Note that an approver is here, so that colleagues can ask them."""
    if visitor.principal.kind is Kind.APPROVER:
        await deps.desk.greet(visitor.principal.id, sorted(visitor.principal.groups))


async def standing(deps: ApiDeps, visitor: Visitor) -> Reviewer:
    """Return the visitor as a reviewer, with the groups of everybody for whom they stand in."""
    reviewer = visitor.reviewer
    lent = [each.groups for each in await deps.desk.stands_in(reviewer.id)]
    return dataclasses.replace(reviewer, groups=reviewer.groups.union(*lent))


async def looked_ms(
    deps: ApiDeps, visitor: Visitor, action_id: str, digest: str, visible_ms: int
) -> int:
    """Return how long the visitor had these bytes in sight, ms; 0 where they never opened them.

    With a session: as far as the page told, with *visible_ms* since it did so last, which is
    believed as far as that is ago. With a key: since they were first read.
    """
    look = await deps.desk.looked(action_id, digest, visitor.principal.id)
    if look is None:
        return 0
    now = await deps.store.now()
    if visitor.session is None:
        return max(0, now - look.first)
    unnoted = min(max(0, now - look.noted), visible_ms) if look.noted else 0
    return look.looked_ms + unnoted


async def review_of(
    deps: ApiDeps, action: Action, visitor: Visitor, asked: DecisionRequest, version: int
) -> Review:
    """Return what the visitor answers to *version* of *action*; an edit is written and judged.

    Raises:
        MalformedCall, InvalidEdit: it does not fit.
        StepUpNeeded, Forbidden: policy asks for a signature, see `step_up`.
    """
    if (asked.edited_args is not None) is not (asked.type == "edit"):
        raise MalformedCall("`edited_args` belongs to `edit`, and `edit` needs it.")
    call = None
    # of a call that moved on, the gate says what became of it, or that this is a repeat
    if asked.edited_args is not None and action.digest == asked.digest:
        call, _ = await deps.gate.preview(action, asked.edited_args)
        if asked.edited_digest is not None and asked.edited_digest != call.digest:
            raise InvalidEdit("The edit is not what the preview showed; preview it again.")
    cleared = call.digest if call else asked.digest
    return Review(
        reviewer=visitor.reviewer,
        verdict=Verdict(asked.type),
        digest=asked.digest,
        version=version,
        message=asked.message,
        reason_code=asked.reason_code,
        call=call,
        looked_ms=await looked_ms(deps, visitor, action.id, asked.digest, asked.visible_ms),
        step_up=await stepped_up(deps, visitor, action, asked, cleared, version),
    )


async def take(
    deps: ApiDeps, action: Action, review: Review, *, grant: GrantAsked | None = None
) -> Action:
    """Have *review* recorded; its reviewer brings their own groups, those lent are added here.

    Raises:
        Forbidden: they stand in for the agent's owner.
        IllegalTransition: whoever stood in for them has approved it.
        TooManyApprovals: they have approved as many calls in this hour as policy lets them.
        Also what `Gate.review` raises; nothing is decided then.
    """
    who = review.reviewer
    absences = await deps.desk.stands_in(who.id)
    _check_owner(action, absences)
    if absences:
        present = await _present(deps, action, review)
        lent = borrowed(action, who.groups, absences, await deps.store.now(), present)
        with_all = dataclasses.replace(who, groups=who.groups | lent)
        review = dataclasses.replace(review, reviewer=with_all)
    if review.verdict not in _CLEARS:
        after = await deps.gate.review(action.id, review, grant=grant)
    else:
        async with deps.turns.of(who.id):
            _check_heard(action, review)
            await _check_room(deps, action, review)
            after = await deps.gate.review(action.id, review, grant=grant)
            with contextlib.suppress(StoreUnavailable):  # it is decided, counted or not
                counts = deps.desk.practised if after.decoy_of else deps.desk.approved
                await counts(who.id, action.id)
    with contextlib.suppress(StoreUnavailable):
        await _tidy(deps, after, who.id)
    return after


async def _present(deps: ApiDeps, action: Action, review: Review) -> Decision | None:
    """Return what policy says today of what would be cleared; a rejection asks for no more."""
    if review.verdict is Verdict.REJECT:
        return None
    return await deps.gate.judge(review.call or action.call, action.id)


def _check_owner(action: Action, absences: tuple[Absence, ...]) -> None:
    for each in absences:
        if owns(action, each.person):
            raise Forbidden(
                f"You stand in for {each.person}, who owns this agent; somebody else has to decide."
            )


def _check_heard(action: Action, review: Review) -> None:
    """Raise where somebody approved this for them; of their own vote, the gate says so."""
    who = review.reviewer.id
    own = any(vote.reviewer.id == who for vote in action.votes)
    if review.verdict is Verdict.APPROVE and not own and who in voices.heard(action.votes):
        raise IllegalTransition(heard(action, who))


async def _check_room(deps: ApiDeps, action: Action, review: Review) -> None:
    most = deps.gate.policy.attention.per_hour
    repeated = any(past.reviewer.id == review.reviewer.id for past in action.reviews)
    if not most or repeated:  # of a repeat, the gate says what became of it
        return
    approved, oldest = await deps.desk.approvals(review.reviewer.id)
    if approved >= most:
        left = oldest + HOUR_MS - await deps.store.now()
        raise TooManyApprovals(approved, max(1, -(-left // 1000)))


async def _tidy(deps: ApiDeps, after: Action, person: str) -> None:
    """Forget who was asked to decide what needs nobody, or has their vote."""
    if after.state is not State.HELD:
        await deps.desk.settled(after.id)
        return
    (asked,) = await deps.desk.assigned([after.id])
    if asked is not None and asked.to == person:
        await deps.desk.assign(after.id, Assignment(to="", by=person, at=0))
