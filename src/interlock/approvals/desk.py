"""What people share while they review: looks, hand-overs, escalation, who is here, who is away."""

from __future__ import annotations

import logging

from aiohttp import web

from ..core.actions import Action, State
from ..core.desk import Absence, Assignment, Colleague, Look
from ..core.entitled import approvers_at
from ..core.errors import Forbidden, IllegalTransition, NotFound
from ..core.identity import Kind
from ..core.redaction import visible_line
from ..ports import Notice
from . import deciding, desk_view, showing
from .access import APPROVERS, PEOPLE, VISITOR, Route, Visitor, check_token
from .bodies import answer, read
from .deps import DEPS, ApiDeps
from .identity import AWAY
from .identity import deciding as to_decide
from .models_desk import (
    AssignmentView,
    AssignRequest,
    AwayRequest,
    AwayView,
    EscalateRequest,
    Looker,
    LookRequest,
    LookView,
    Me,
    PeopleList,
    PersonView,
    StandIn,
)
from .outcomes import outcome as outcome_of
from .problems import CannotStandIn, NotTheirs
from .rights import barred, owns

audit = logging.getLogger("interlock.audit")
LONGEST_MS = 92 * 86_400_000  #: how long somebody may be away without saying so again
_ID = r"{id:[A-Za-z0-9_-]{1,64}}"
_AWAY = r"/v1/people/{id:[A-Za-z0-9@._+-]{1,128}}/away"


# one call -----------------------------------------------------------------------------------


async def look(request: web.Request) -> web.Response:
    """Note that the visitor has the call in sight, or closes it."""
    deps, visitor = request.app[DEPS], request[VISITOR]
    asked, action = await read(request, LookRequest), await showing.found(request)
    check_token(request, visitor, to_decide(action.digest))
    await deciding.meet(deps, visitor)
    who = visitor.principal.id
    if action.state is not State.HELD:
        return answer(_look(action, await deps.desk.looked(action.id, action.digest, who)))
    seen = await deps.desk.look(action.id, action.digest, who, asked.visible_ms)
    if asked.leaving:
        await deps.desk.leave(action.id, who)
    return answer(_look(action, seen))


def _look(action: Action, seen: Look | None) -> LookView:
    return LookView(
        id=action.id,
        looked_ms=seen.looked_ms if seen else 0,
        looking=[
            Looker(person=visible_line(each.person), since=each.since)
            for each in (seen.others if seen else ())
        ],
    )


async def assign(request: web.Request) -> web.Response:
    """Ask a colleague to decide a call; it takes nothing from anybody."""
    deps, visitor = request.app[DEPS], request[VISITOR]
    asked, action = await read(request, AssignRequest), await showing.found(request)
    check_token(request, visitor, to_decide(action.digest))
    await _check_asking(deps, action, visitor)
    if asked.to:
        await _check_asked(deps, action, asked.to)
    said = Assignment(to=asked.to, by=visitor.principal.id, at=0, message=asked.message)
    await deps.desk.assign(action.id, said)
    if asked.to and asked.to != visitor.principal.id:
        deps.gate.tell(action, Notice.ASKED)
    (now,) = await deps.desk.assigned([action.id])
    asked_now = desk_view.asked(now) if now else None
    return answer(AssignmentView(id=action.id, assigned=asked_now))


async def _check_asking(deps: ApiDeps, action: Action, visitor: Visitor) -> None:
    """Whose agent it is does not choose who decides about it."""
    if action.state is not State.HELD:
        raise IllegalTransition("Nothing is to be decided any more: nobody can be asked.")
    who = visitor.principal.id
    stands = await deps.desk.stands_in(who)
    if owns(action, who) or any(owns(action, each.person) for each in stands):
        raise Forbidden("You own this agent, or stand in for who does: others ask whom they like.")


async def _check_asked(deps: ApiDeps, action: Action, to: str) -> None:
    """Raise NotTheirs where *to* is nobody here, or could not decide the call."""
    people = {each.id: each for each in await _known(deps)}
    if to not in people:
        raise NotTheirs(
            f"There is no approver {visible_line(to)} here. `GET /v1/people` says who there is."
        )
    decision = action.decision
    now = await deps.store.now()
    entitled = approvers_at(decision, action.created, now) if decision else ()
    stands = await deps.desk.stands_in(to)
    if owns(action, to) or any(owns(action, each.person) for each in stands):
        raise NotTheirs(f"{visible_line(to)} owns this agent, or stands in for who does.")
    groups = frozenset(people[to].groups).union(*(each.groups for each in stands))
    if entitled and not groups & frozenset(entitled):
        names = ", ".join(map(visible_line, entitled))
        raise NotTheirs(f"Only {names} may decide this, and {visible_line(to)} is in none of them.")


async def escalate(request: web.Request) -> web.Response:
    """Let those decide now whom policy names for later."""
    deps, visitor = request.app[DEPS], request[VISITOR]
    asked, action = await read(request, EscalateRequest), await showing.found(request)
    check_token(request, visitor, to_decide(action.digest))
    who = visitor.principal
    if who.kind is Kind.APPROVER:
        stands = await deps.desk.stands_in(who.id)
        why = barred(action, who, await deps.store.now(), stands)
        if why:
            raise Forbidden(why)
    after = await deps.gate.escalate(action.id, who.id, asked.message)
    return answer(outcome_of(after), headers={"ETag": f'"{after.version}"'})


# people -------------------------------------------------------------------------------------


async def _known(deps: ApiDeps) -> list[Colleague]:
    """Return approvers who were here lately, then those who have a key and were not."""
    people = {each.id: each for each in await deps.desk.colleagues()}
    now = await deps.store.now()
    for record in await deps.keys.records():
        lives = not record.revoked and (not record.expires or record.expires > now)
        if lives and record.kind is Kind.APPROVER and record.subject not in people:
            people[record.subject] = Colleague(id=record.subject, groups=record.groups, seen=0)
    return list(people.values())


async def list_people(request: web.Request) -> web.Response:
    return answer(await people(request))


async def people(request: web.Request) -> PeopleList:
    """Return who can be asked, with how much is asked of each."""
    deps = request.app[DEPS]
    await deciding.meet(deps, request[VISITOR])
    return PeopleList(
        items=[
            PersonView(
                id=visible_line(each.id),
                groups=[visible_line(group) for group in each.groups],
                seen=each.seen,
                approved=each.approved,
                assigned=each.assigned,
                away=_away(each.away),
            )
            for each in await _known(deps)
        ],
        per_hour=deps.gate.policy.attention.per_hour,
        now=await deps.store.now(),
    )


def _away(absence: Absence | None) -> AwayView | None:
    if absence is None:
        return None
    return AwayView(
        since=absence.since,
        until=absence.until,
        to=visible_line(absence.to),
        groups=[visible_line(group) for group in absence.groups] if absence.to else [],
    )


async def who_am_i(request: web.Request) -> web.Response:
    return answer(await me(request))


async def me(request: web.Request) -> Me:
    """Return who the visitor is, for whom they stand in, and how much they may still approve."""
    deps, visitor = request.app[DEPS], request[VISITOR]
    await deciding.meet(deps, visitor)
    who, most = visitor.principal, deps.gate.policy.attention.per_hour
    approved, oldest = await deps.desk.approvals(who.id)
    return Me(
        id=visible_line(who.id),
        kind=who.kind.value,
        groups=sorted(map(visible_line, who.groups)),
        standing_in=[
            StandIn(
                person=visible_line(each.person),
                groups=[visible_line(group) for group in each.groups],
                until=each.until,
            )
            for each in await deps.desk.stands_in(who.id)
        ],
        approved=approved,
        per_hour=most,
        again_at=oldest + deciding.HOUR_MS if most and approved >= most else 0,
        away=_away(await deps.desk.away(who.id)),
        csrf=visitor.session.token(AWAY) if visitor.session else "",
        now=await deps.store.now(),
    )


async def go_away(request: web.Request) -> web.Response:
    """Note that the visitor is away, and who has their groups meanwhile."""
    deps, visitor = request.app[DEPS], request[VISITOR]
    check_token(request, visitor, AWAY)
    asked, who = await read(request, AwayRequest), visitor.principal
    now = await deps.store.now()
    if not now < asked.until <= now + LONGEST_MS:
        raise CannotStandIn("`until` must lie ahead, by 92 days at most (ms since the epoch).")
    if asked.to == who.id:
        raise CannotStandIn("You cannot stand in for yourself.")
    if asked.to and asked.to not in {each.id for each in await _known(deps)}:
        raise CannotStandIn(
            f"There is no approver {visible_line(asked.to)} here. `GET /v1/people` says who there"
            " is; whoever has no key has to have signed in once."
        )
    groups = tuple(sorted(who.groups))
    said = Absence(person=who.id, groups=groups, to=asked.to, until=asked.until, since=now)
    await deps.desk.go_away(said)
    line = (visible_line(who.id), visible_line(asked.to), asked.until, ",".join(groups))
    audit.warning("person %s away to=%s until=%d groups=%s", *line)
    return answer(await me(request))


async def come_back(request: web.Request) -> web.Response:
    """End the visitor's absence: whoever stood in has their own groups alone."""
    deps, visitor = request.app[DEPS], request[VISITOR]
    check_token(request, visitor, AWAY)
    await deps.desk.come_back(visitor.principal.id)
    audit.warning("person %s back", visible_line(visitor.principal.id))
    return answer(await me(request))


async def end_absence(request: web.Request) -> web.Response:
    """End somebody's absence, as an admin: they left for good, or said what they should not."""
    deps, visitor = request.app[DEPS], request[VISITOR]
    check_token(request, visitor, AWAY)
    person, by = request.match_info["id"], visitor.principal.id
    if await deps.desk.away(person) is None:
        raise NotFound(f"{person} is not away.")
    await deps.desk.come_back(person)
    audit.warning("person %s back by=%s", *map(visible_line, (person, by)))
    return answer(await people(request))


ROUTES = (
    Route(method="POST", path=f"/v1/approvals/{_ID}/look", handler=look, kinds=APPROVERS),
    Route(method="POST", path=f"/v1/approvals/{_ID}/assign", handler=assign, kinds=PEOPLE),
    Route(method="POST", path=f"/v1/approvals/{_ID}/escalate", handler=escalate, kinds=PEOPLE),
    Route(method="GET", path="/v1/people", handler=list_people, kinds=PEOPLE),
    Route(method="DELETE", path=_AWAY, handler=end_absence, kinds=frozenset({Kind.ADMIN})),
    Route(method="GET", path="/v1/me", handler=who_am_i, kinds=PEOPLE),
    Route(method="PUT", path="/v1/me/away", handler=go_away, kinds=APPROVERS),
    Route(method="DELETE", path="/v1/me/away", handler=come_back, kinds=APPROVERS),
)
