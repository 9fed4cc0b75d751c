"""Several calls decided together: each by its own version and digest, each with its own verdict."""

from __future__ import annotations

from aiohttp import web

from ..core import wording
from ..core.actions import Action
from ..core.decisions import Decision, Level
from ..core.errors import InterlockError, MalformedCall, NotFound
from ..core.lifecycle import stricter
from . import deciding, practice, views
from .access import APPROVERS, VISITOR, Route, Visitor, check_given
from .bodies import answer, read
from .deceptive import told_by_card
from .deps import DEPS, ApiDeps
from .identity import deciding as to_decide
from .models_decisions import DecisionRequest
from .models_desk import BatchItem, BatchOutcome, BatchRequest, BatchVerdict
from .problems import OneByOne


async def decide_all(request: web.Request) -> web.Response:
    """Decide each of the calls that are named; what becomes of one changes nothing for others."""
    deps, visitor = request.app[DEPS], request[VISITOR]
    asked = await read(request, BatchRequest)
    if len({each.id for each in asked.items}) < len(asked.items):
        raise MalformedCall("`items` names a call twice. Nothing was decided.")
    await deciding.meet(deps, visitor)
    return answer(
        BatchOutcome(items=[await _one(deps, visitor, asked, each) for each in asked.items])
    )


async def _one(
    deps: ApiDeps, visitor: Visitor, asked: BatchRequest, item: BatchItem
) -> BatchVerdict:
    state = ""
    try:
        check_given(visitor, item.csrf, to_decide(item.digest))
        action = await deps.gate.get(item.id)
        if action is None:
            raise NotFound(f"There is no call {item.id} (any more).")
        state = action.state.value
        if asked.type == "approve":
            check_together(deps, action, await deps.gate.judge(action.call, action.id))
        after = await _decided(deps, visitor, asked, item, action)
    except InterlockError as error:
        return BatchVerdict(id=item.id, status=error.status, state=state, detail=error.detail)
    told = await practice.told(deps, visitor, after)
    said = told.said or "recorded; another person must approve it too"
    return BatchVerdict(id=item.id, status=200, state=after.state.value, said=said)


def check_together(deps: ApiDeps, action: Action, present: Decision) -> None:
    """Raise OneByOne where policy, as it was or as it is, lets nobody approve this with others.

    *present*: what policy says of the call today.
    """
    held, most = action.decision, deps.gate.policy.attention.batch
    if held is None or most is None:
        raise OneByOne("Policy lets nobody approve calls together: open it, and decide it there.")
    decision = stricter(held, present)
    # nobody approves unread what the list has not shown whole, or warns of
    seen = told_by_card(action, wording.masks(action, deps.gate.policy.redact.approver))
    plain = not (decision.step_up or decision.dwell_ms or decision.folded)
    low = decision.level is Level.APPROVE and max(held.stake, present.stake) <= most
    short = views.weight(action) <= deps.whole_bytes
    lowered = present.level < Level.APPROVE  # such as by a grant: nobody would be asked at all
    both = held.batch and (present.batch or lowered)
    if not (both and seen and plain and low and short):
        raise OneByOne


async def _decided(
    deps: ApiDeps, visitor: Visitor, asked: BatchRequest, item: BatchItem, action: Action
) -> Action:
    one = DecisionRequest(
        type=asked.type,
        digest=item.digest,
        message=asked.message,
        reason_code=asked.reason_code,
    )
    review = await deciding.review_of(deps, action, visitor, one, item.version)
    return await deciding.take(deps, action, review)


ROUTES = (
    Route(
        method="POST",
        path="/v1/approvals/decisions",
        handler=decide_all,
        kinds=APPROVERS,
    ),
)
