"""Grants ("do not ask again") as people give, see and revoke them. Agents reach none of this."""

from __future__ import annotations

from aiohttp import web

from ..core.actions import Action
from ..core.errors import MalformedCall
from ..core.facts import Grant
from ..core.identity import Kind
from ..core.masking import Masks
from ..core.redaction import visible_line, visible_text
from ..core.rules import GrantSpec
from ..granting import GrantAsked
from . import judged, models
from .access import VISITOR, Route, check_token
from .bodies import answer
from .deps import DEPS, ApiDeps
from .identity import REVOKING
from .models_policy import GrantList, GrantView
from .problems import GrantRefused

_PEOPLE = frozenset({Kind.APPROVER, Kind.ADMIN})
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_MOST = 500


def asked_for(deps: ApiDeps, action: Action, asked: models.DecisionRequest) -> GrantAsked | None:
    """Return the grant that goes with a decision, or None where none is asked for.

    Raises:
        MalformedCall: it does not go with this decision.
        GrantRefused: policy lets nobody grant such calls, or not in this scope, or not so much.
    """
    wanted = asked.grant
    if wanted is None:
        return None
    if asked.type != "approve":
        raise MalformedCall("`grant` belongs to `approve`: it is for calls as this one is.")
    decision, spec = action.decision, _spec(deps, action)
    if decision is None or not decision.grants or spec is None:
        raise GrantRefused(
            "Policy lets nobody grant calls like this one (`approvals.grants`), or something about"
            " this call keeps it from being granted. Nothing was decided: approve it without."
        )
    if not judged.showable(decision.target or {}):
        raise GrantRefused(
            "What the call acts on is too long to be shown in full, so nobody can grant it."
            " Nothing was decided: approve it without."
        )
    bound, every = frozenset(decision.target or {}), frozenset(decision.arguments)
    if wanted.scope == "arguments" and bound != every:
        names = ", ".join(sorted(map(visible_line, bound)))
        raise GrantRefused(
            f"Policy binds grants of {decision.tool} to its target ({names}): ask for `target`."
        )
    seconds = int(wanted.lasts[:-1]) * _SECONDS[wanted.lasts[-1]]
    if wanted.uses > spec.uses:
        raise GrantRefused(f"Policy lets you grant up to {spec.uses} uses, not {wanted.uses}.")
    if seconds * 1000 > spec.longest_ms:
        longest = f"{spec.longest_ms / 3_600_000:g} hours"
        raise GrantRefused(f"Policy lets you grant for up to {longest}, not {wanted.lasts}.")
    return GrantAsked(uses=wanted.uses, seconds=seconds, reason=wanted.reason)


def _spec(deps: ApiDeps, action: Action) -> GrantSpec | None:
    tool = deps.gate.policy.tools.get(action.decision.tool) if action.decision else None
    return tool.grants if tool else None


def offered(deps: ApiDeps, action: Action, masks: Masks, task: str) -> models.GrantOffer | None:
    """Return what a person may grant with the next approval; None where nothing may be."""
    return judged.offer(_spec(deps, action), action, masks, task)


async def listed(request: web.Request) -> GrantList:
    """Return the grants that hold, newest first, without what policy hides of their targets."""
    deps, session = request.app[DEPS], request[VISITOR].session
    names = [path.split(".")[1] for path in deps.gate.policy.redact.approver if "." in path]
    return GrantList(
        items=[_view(grant, names) for grant in await deps.gate.grants(_MOST)],
        csrf=session.token(REVOKING) if session else "",
        now=await deps.store.now(),
    )


def _view(grant: Grant, hidden: list[str]) -> GrantView:
    masks = Masks(grant.target, {}, hidden)
    return GrantView(
        id=grant.id,
        agent=visible_line(grant.agent),
        tool=visible_line(grant.tool),
        target=judged.target(grant.target, masks, ""),
        by=visible_line(grant.by),
        action_id=visible_line(grant.action_id),
        created=grant.created,
        expires=grant.expires,
        uses=grant.uses,
        used=grant.used,
        reason=visible_text(grant.reason),
    )


async def list_grants(request: web.Request) -> web.Response:
    return answer(await listed(request))


async def revoke(request: web.Request) -> web.Response:
    """End a grant at once: the next call with its target is asked about again."""
    deps, visitor = request.app[DEPS], request[VISITOR]
    check_token(request, visitor, REVOKING)
    grant = await deps.gate.take_back(request.match_info["id"], visitor.principal.id)
    hidden = [path.split(".")[1] for path in deps.gate.policy.redact.approver if "." in path]
    return answer(_view(grant, hidden))


ROUTES = (
    Route(method="GET", path="/v1/grants", handler=list_grants, kinds=_PEOPLE),
    Route(
        method="DELETE",
        path=r"/v1/grants/{id:[A-Za-z0-9_-]{1,64}}",
        handler=revoke,
        kinds=_PEOPLE,
    ),
)
