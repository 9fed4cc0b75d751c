"""What MCP servers say of their tools, as people see and accept it. Agents reach none of this."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

from aiohttp import web

from ..core.errors import Forbidden, MalformedCall
from ..core.identity import Kind
from ..core.listings import ToolRecord
from ..core.redaction import visible_line
from . import definitions_diff
from .access import APPROVERS, PEOPLE, VISITOR, Route, Visitor, check_token
from .bodies import answer, read
from .deps import DEPS, ApiDeps, apart
from .identity import Session
from .models_definitions import AcceptRequest, DefinitionList, DefinitionView, ServerCount
from .queries import once, page_size, whole_number

_FILTERS = ("limit", "offset", "server", "state", "tool")
_STATES = {"waiting": (True,), "accepted": (False,), "": (True, False)}
_MOST, _USUAL = 200, 50
_FURTHEST = 100_000_000
IN_FULL = 524_288  #: bytes of definitions that one answer shows; one alone is always shown


def accepting(record: ToolRecord) -> str:
    """Return the purpose of a token that accepts this definition of this tool and no other."""
    return f"accept {len(record.server)} {record.server} {record.tool} {record.listed.hash}"


async def list_definitions(request: web.Request) -> web.Response:
    asked = once(request, _FILTERS)
    limit, offset = page_size(asked, _USUAL, _MOST), whole_number(asked, "offset", 0)
    if offset > _FURTHEST:
        raise MalformedCall(f"`offset` must be a number up to {_FURTHEST}.")
    found = chosen(request.app[DEPS].definitions.records(), asked)
    return answer(await shown(request, found, offset=offset, limit=limit))


def chosen(records: Iterable[ToolRecord], asked: Mapping[str, str]) -> list[ToolRecord]:
    """Return what is asked for by server, tool and state."""
    states = _STATES.get(asked.get("state", ""))
    if states is None:
        raise MalformedCall("`state` must be `waiting` or `accepted`.")
    return [
        each
        for each in records
        if each.waits in states
        and asked.get("server", each.server) == each.server
        and asked.get("tool", each.tool) == each.tool
    ]


async def shown(
    request: web.Request, found: Sequence[ToolRecord], *, offset: int = 0, limit: int = _USUAL
) -> DefinitionList:
    """Return some of what was *found*, as far as one answer takes it in full."""
    deps, session = request.app[DEPS], request[VISITOR].session
    some = found[offset : offset + limit]
    now = await deps.store.now()
    size = sum(each.listed.size for each in some)
    following = offset + len(some)

    def made() -> DefinitionList:
        return DefinitionList(
            items=_views(some, session),
            next=following if following < len(found) else None,
            total=len(found),
            servers=counts(deps.definitions.records()),
            now=now,
        )

    return await apart(request.app, size, made)


def counts(records: Iterable[ToolRecord]) -> list[ServerCount]:
    """Return how many tools each server has, and how many of them wait."""
    waiting: dict[str, int] = {}
    tools: dict[str, int] = {}
    for each in records:
        tools[each.server] = tools.get(each.server, 0) + 1
        waiting[each.server] = waiting.get(each.server, 0) + each.waits
    return [
        ServerCount(server=visible_line(name), id=name, waiting=waiting[name], tools=tools[name])
        for name in sorted(tools)
    ]


def _views(records: Sequence[ToolRecord], session: Session | None) -> list[DefinitionView]:
    room = IN_FULL
    views = []
    for record in records:
        before = len(str(record.accepted.document)) if record.accepted and record.waits else 0
        size = record.listed.size + before
        views.append(_view(record, session, whole=size <= room or len(records) == 1))
        room -= size
    return views


def _view(record: ToolRecord, session: Session | None, *, whole: bool = True) -> DefinitionView:
    accepted, listed = record.accepted, record.listed
    server, tool = quote(record.server, safe=""), quote(record.tool, safe="")
    return DefinitionView(
        server=visible_line(record.server),
        tool=visible_line(record.tool),
        waits=record.waits,
        hash=listed.hash,
        since=listed.since,
        size=listed.size,
        flaw=visible_line(listed.flaw),
        accepted_hash=accepted.hash if accepted else "",
        accepted_by=visible_line(accepted.by) if accepted else "",
        accepted_at=accepted.at if accepted else 0,
        members=definitions_diff.members(record) if whole else None,
        warnings=definitions_diff.warned(record) if whole else [],
        path=f"/v1/definitions/{server}/{tool}/accept",
        csrf=session.token(accepting(record)) if session and record.waits and whole else "",
    )


async def accept(request: web.Request) -> web.Response:
    """Accept what a person saw of a tool, if the server still lists that."""
    deps, visitor = request.app[DEPS], request[VISITOR]
    asked = await read(request, AcceptRequest)
    server, tool = request.match_info["server"], request.match_info["tool"]
    check_token(request, visitor, f"accept {len(server)} {server} {tool} {asked.hash}")
    why = barred(deps, visitor)
    if why:
        raise Forbidden(why)
    record = await deps.definitions.accept(server, tool, asked.hash, visitor.principal.id)
    deps.definition_accepted()
    return answer(await apart(request.app, record.listed.size, _view, record, visitor.session))


def barred(deps: ApiDeps, visitor: Visitor) -> str:
    """Return why this person accepts no definition; or nothing: whoever may approve calls may."""
    if visitor.principal.kind is not Kind.APPROVER:
        return "Admins accept no tools; sign in as an approver."
    groups = deps.gate.policy.levels.approve.approvers
    if groups and not visitor.principal.groups & frozenset(groups):
        return f"Only {', '.join(map(visible_line, groups))} may accept tools: they approve calls."
    return ""


ROUTES = (
    Route(method="GET", path="/v1/definitions", handler=list_definitions, kinds=PEOPLE),
    Route(
        method="POST",
        path="/v1/definitions/{server:[^/]+}/{tool:[^/]+}/accept",
        handler=accept,
        kinds=APPROVERS,
    ),
)
