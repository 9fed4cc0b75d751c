"""Grants ("do not ask again") as people give, see and revoke them. Agents reach none of this."""

from __future__ import annotations

import logging

from aiohttp import web

from ..core.actions import Action
from ..core.decisions import Decision
from ..core.durations import written
from ..core.errors import MalformedCall
from ..core.facts import Grant
from ..core.masking import Masks
from ..core.numbers import number_of
from ..core.preparing import prepare
from ..core.redaction import visible_line, visible_text
from ..core.rules import GrantSpec, Tool
from ..granting import GrantAsked
from . import judged
from .access import PEOPLE, VISITOR, Route, check_token
from .bodies import answer
from .deps import DEPS, ApiDeps
from .identity import REVOKING
from .models_decisions import DecisionRequest
from .models_judged import GrantOffer
from .models_policy import GrantList, GrantView
from .problems import GrantRefused

log = logging.getLogger("interlock.grants")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_MOST = 500


def asked_for(deps: ApiDeps, action: Action, asked: DecisionRequest) -> GrantAsked | None:
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
    tool, decision = _tool(deps, action), action.decision
    spec = tool.grants if tool else None
    if decision is None or not decision.grants or spec is None:
        raise GrantRefused(f"{_obstacle(decision, spec)} Nothing was decided: approve it without.")
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
    if wanted.uses > spec.uses or seconds * 1000 > spec.longest_ms:
        longest = written(spec.longest_ms)
        raise GrantRefused(
            f"Policy lets you grant up to {number_of(spec.uses, 'use')}, for up to {longest};"
            f" you asked for {number_of(wanted.uses, 'use')}, for {wanted.lasts}."
            " Nothing was decided."
        )
    return GrantAsked(uses=wanted.uses, seconds=seconds, reason=wanted.reason)


def _tool(deps: ApiDeps, action: Action) -> Tool | None:
    return deps.gate.policy.tools.get(action.decision.tool) if action.decision else None


def _obstacle(decision: Decision | None, spec: GrantSpec | None) -> str:
    """Return what keeps a call from being granted, of all there is the first to look at."""
    if decision is None or spec is None:
        return "Policy lets nobody grant calls of this tool (`approvals.grants.tools`)."
    rules = ", ".join(visible_line(rule.id) for rule in decision.rules)
    limits = ", ".join(map(visible_line, _budgets(decision)))
    found = (
        (rules, f"The call met the rule {rules}"),
        (limits, f"The call met the limit {limits}"),
        ("repeat_denied" in decision.signals, "A person refused this target a while ago"),
        (decision.indeterminate, "Policy could not tell something that it asks about this call"),
        (decision.reason, f"The call is held as {decision.reason.replace('_', ' ')}"),
    )
    for holds, why in found:
        if holds:
            return f"{why}, and no grant lowers that."
    return f"A grant would change nothing: it gives {spec.at_most.word}, as this call gets anyway."


def _budgets(decision: Decision) -> list[str]:
    """Return the limits that were met; caps on what is held keep nothing from being granted."""
    met = [each for each in decision.trace if each.startswith("limit ")]
    return [name for name in decision.limits if any(f"limit {name}:" in line for line in met)]


async def holding(deps: ApiDeps, action: Action) -> Grant | None:
    """Return the grant that a new one for calls like *action* takes the place of."""
    key = prepare(action.call, deps.gate.policy).needs.grant
    found = (each for each in await deps.gate.grants(_MOST) if key and each.key == key)
    return next((each for each in found if each.action_id != action.id), None)


def replaced(before: Grant, action: Action, by: str) -> None:
    """Record that the grant given with *action* ended *before*."""
    said = (before.id, by, before.agent, before.tool, action.id)
    log.warning(
        "grant %s replaced by=%s agent=%s tool=%s call=%s used=%d",
        *map(visible_text, said),
        before.used,
    )


def offered(deps: ApiDeps, action: Action, masks: Masks, task: str) -> GrantOffer | None:
    """Return what a person may grant with the next approval; None where nothing may be."""
    return judged.offer(_tool(deps, action), action, masks, task)


async def listed(request: web.Request) -> GrantList:
    """Return the grants that have not ended, newest first, without what policy hides of them."""
    deps, session = request.app[DEPS], request[VISITOR].session
    names = [path.split(".")[1] for path in deps.gate.policy.redact.approver if "." in path]
    return GrantList(
        items=[_view(deps, grant, names) for grant in await deps.gate.grants(_MOST)],
        csrf=session.token(REVOKING) if session else "",
        now=await deps.store.now(),
    )


def _view(deps: ApiDeps, grant: Grant, hidden: list[str]) -> GrantView:
    masks, tool = Masks(grant.target, {}, hidden), deps.gate.policy.tools.get(grant.tool)
    # policy may allow fewer uses by now
    most = min(grant.uses, tool.grants.uses) if tool and tool.grants else grant.uses
    return GrantView(
        id=grant.id,
        agent=visible_line(grant.agent),
        tool=visible_line(grant.tool),
        method=visible_line(grant.method),
        path=visible_line(grant.path),
        target=judged.target(grant.target, masks, ""),
        by=visible_line(grant.by),
        action_id=visible_line(grant.action_id),
        created=grant.created,
        expires=grant.expires,
        uses=grant.uses,
        used=grant.used,
        used_up=grant.used >= most,
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
    return answer(_view(deps, grant, hidden))


ROUTES = (
    Route(method="GET", path="/v1/grants", handler=list_grants, kinds=PEOPLE),
    Route(
        method="DELETE",
        path=r"/v1/grants/{id:[A-Za-z0-9_-]{1,64}}",
        handler=revoke,
        kinds=PEOPLE,
    ),
)
