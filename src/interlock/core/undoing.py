"""The call that undoes another one: made of what was sent and of what the tool answered.

Policy says which tool undoes a call, and where each of its arguments comes from. The call that
comes out is read again by the same strict readers, and must be exactly that tool with exactly
those arguments: an answer that would lead elsewhere makes no call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus

from .actions import Action, Answer, Body, Content, Context, State, ToolCall
from .content import parse_content, parse_target
from .decisions import Undo
from .digest import seal
from .durations import milliseconds
from .edits import plain
from .errors import InvalidEdit, MalformedCall
from .matching import Found
from .patterns import HttpMatch, Kind
from .preparing import prepare
from .rules import PolicySet, Tool
from .undo_values import ANSWER, NoUndo, Value, dumped, values_of

REMEMBERED_MS = 86_400_000  #: for so long it is known that a call was undone: no button later
UNDOING = "undo:"  #: how keys of undoing calls begin; those of agents are hexadecimal hashes
_ASKED = ", asked for by "
_JSON, _FORM = "application/json", "application/x-www-form-urlencoded"
_OF: Mapping[str, Body] = {"json": Body.JSON, "form": Body.FORM}


# ---- what policy says ------------------------------------------------------------------------


def needed(tool: Tool) -> frozenset[str]:
    """Return the arguments without which there is no call: those of the path."""
    match = tool.match
    if not isinstance(match, HttpMatch):
        return frozenset()
    return frozenset(each.text for each in match.segments if each.kind is not Kind.LITERAL)


def obstacle(tool: Tool) -> str:
    """Return why no call of *tool* can be made from arguments alone; or nothing."""
    match = tool.match
    if not isinstance(match, HttpMatch):
        return "MCP tools are called by agents only"
    fixed = (*match.query, *match.form, *match.json)
    found = (
        (len(match.methods) > 1, "it takes several methods, and which is meant cannot be told"),
        (bool(match.service), "it is signed for a service"),
        (bool(match.headers), "it is told apart by headers, which are not made up"),
        (match.graphql is not None, "GraphQL operations are not made up"),
        (any(each.constant is None for each in fixed), "it is told apart by more than one value"),
        (any("." in each.name for each in match.json), "it is told apart by a nested member"),
        (tool.orphans == "refuse", "it waits for its caller (`orphans`), and an undo has none"),
        (bool(match.form and match.json), "it is told apart by a form and by JSON"),
    )
    return next((why for holds, why in found if holds), "")


# ---- whether it may be -----------------------------------------------------------------------


def until(undo: Undo, changed: int) -> int:
    """Return until when a call that was answered at *changed* can be undone; ms, the store's."""
    within = milliseconds(undo.within) if undo.within else 0
    return changed + min(within, REMEMBERED_MS)


def undo_of(action: Action, policy: PolicySet) -> Undo | None:
    """Return how *policy* undoes *action*; None where it says otherwise than when it decided."""
    prepared = prepare(action.call, policy)
    named = prepared.tool.undo if prepared.tool and not prepared.misfit[0] else None
    recorded = action.decision.undo if action.decision else None
    # of what went through without anything remarkable the store keeps no more than the level
    return named if recorded is None or recorded == named else None


def undoable(action: Action, undo: Undo | None, now: int) -> tuple[bool, str]:
    """Return whether a person may undo *action* at *now* (ms, by the store's clock), or why not.

    *undo*: see `undo_of`. Policy then judges the call that undoes it, as any other.
    """
    why = _not_undoable(action, undo, now)
    return not why, why


def _not_undoable(action: Action, undo: Undo | None, now: int) -> str:
    if undo is None or not undo.tool:
        return "Policy names no tool that undoes this."
    if not undo.arguments or action.call.mcp is not None:
        return f"Policy names {undo.tool}, but not its arguments: ask the agent to call it."
    if action.decoy_of:
        return "This was a practice call; nothing was sent."
    answer = action.answer
    if action.state is not State.ANSWERED or answer is None:
        return f"There is nothing to undo: the call is {action.state.value}."
    if unfit := _unfit(answer, undo):
        return unfit
    if now >= until(undo, action.changed):
        return f"It could be undone within {undo.within}; that is over."
    return ""


def _unfit(answer: Answer, undo: Undo) -> str:
    """Say why *answer* does not say what would be undone; or nothing."""
    if answer.changed:
        return (
            "The tool's answer was changed in the store, or kept by an earlier version:"
            " whether there is anything to undo is not known."
        )
    if not 200 <= answer.status < 300:
        return f"There is nothing to undo: the tool answered {answer.status}."
    if _reads_answer(undo) and not answer.kept:
        return "The tool's answer was not kept whole, and it says what would be undone."
    return ""


def _reads_answer(undo: Undo) -> bool:
    return any(text.startswith(f"{ANSWER}.") for _, text in undo.arguments)


def asked_by(call: ToolCall) -> str:
    """Return who asked for *call*, which undoes another one: the reason of `undo_call` says it."""
    return call.context.reason.partition(_ASKED)[2]


# ---- the call --------------------------------------------------------------------------------


def undo_call(action: Action, policy: PolicySet, by: str) -> ToolCall | str:
    """Return the call of the same agent that undoes *action*, sealed; or why there is none.

    *policy* is the one in force, see `undo_of`. *by*: the person who asks. Values go as they were
    written: a text stays a text, a number keeps its digits, and each parameter of the path stays
    one segment.
    """
    try:
        return _undo_call(action, policy, by)
    except NoUndo as why:
        return str(why)
    except (MalformedCall, InvalidEdit) as refused:
        return f"The call that would undo it would be refused: {refused.detail}"


def _undo_call(action: Action, policy: PolicySet, by: str) -> ToolCall:
    undo, found = undo_of(action, policy), policy.catalogue.find(action.call)
    if undo is None or action.answer is None or not isinstance(found, Found):
        raise NoUndo("Policy names no tool that undoes this.")
    tool = policy.tools.get(undo.tool)
    if tool is None or not isinstance(tool.match, HttpMatch) or (why := obstacle(tool)):
        raise NoUndo(f"No call of {undo.tool} can be made{f': {why}' if tool else ''}.")
    values = values_of(undo, prepare(action.call, policy), found.path, action.answer)
    made = _made(tool, tool.match, values)
    context = Context(
        session=action.call.context.session,
        task=action.call.context.task,
        reason=f"Undo of {action.id}{_ASKED}{by}",
    )
    call = _read(made, action.call, tool.match, context)
    _verify(call, made, tool, policy)
    return seal(call)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """A request, and what must come back when it is read."""

    target: str
    path: Mapping[str, str]
    query: tuple[tuple[str, str], ...]
    kind: str  #: json, form or nothing
    body: str
    fields: Mapping[str, Any]
    arguments: frozenset[str]


def _made(tool: Tool, match: HttpMatch, values: Mapping[str, Value]) -> _Made:
    """Place each value: in the path by its name, in the query where only that declares it."""
    kind = _kind(tool, match)
    path = {name: values[name].text for name in sorted(needed(tool)) if name in values}
    rest = {name: value for name, value in values.items() if name not in path}
    schema = (tool.args_schema or {}).get("properties") or {}
    queried = {n for n in rest if not kind or (match.declares(n) and n not in schema)}
    query = [(each.name, each.constant or "") for each in match.query]
    query += [(name, _flat(name, rest[name])) for name in rest if name in queried]
    fixed = {each.name: each.constant or "" for each in (*match.form, *match.json)}
    inner = {name: value for name, value in rest.items() if name not in queried}
    for name in {*fixed} & {*inner}:
        raise NoUndo(f"{name} says which tool it is, and is no argument.")
    body = _body(kind, fixed, inner)
    fields = {**fixed, **{n: v.value if kind == "json" else v.text for n, v in inner.items()}}
    return _Made(
        target=_target(match, path) + _queried(query),
        path=path,
        query=tuple(query),
        kind=kind if body else "",
        body=body,
        fields=fields,
        arguments=frozenset(values),
    )


def _kind(tool: Tool, match: HttpMatch) -> str:
    if match.form or (Body.FORM in tool.bodies and Body.JSON not in tool.bodies):
        return "form"
    return "json" if Body.JSON in tool.bodies else ""


def _flat(name: str, value: Value) -> str:
    if isinstance(value.value, dict | list):
        raise NoUndo(f"{name} is a list or an object, which only a JSON body can hold.")
    return value.text


def _target(match: HttpMatch, path: Mapping[str, str]) -> str:
    segments = []
    for each in match.segments:
        if each.kind is Kind.LITERAL:
            segments.append(quote(each.text, safe="-._~"))
            continue
        parts = path[each.text].split("/") if each.kind is Kind.TAIL else [path[each.text]]
        segments += [quote(part, safe="-._~", errors="strict") for part in parts]
    return "/" + "/".join(segments)


def _queried(query: list[tuple[str, str]]) -> str:
    pairs = [f"{quote(name, safe='-._~')}={quote(value, safe='-._~')}" for name, value in query]
    return "?" + "&".join(pairs) if pairs else ""


def _body(kind: str, fixed: Mapping[str, str], values: Mapping[str, Value]) -> str:
    if not fixed and not values:
        return ""
    if kind == "form":
        pairs = {**fixed, **{name: _flat(name, value) for name, value in values.items()}}
        return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs.items())
    written = {**{name: dumped(value) for name, value in fixed.items()}}
    written |= {name: value.written for name, value in values.items()}
    return "{" + ", ".join(f"{dumped(name)}: {value}" for name, value in written.items()) + "}"


def _read(made: _Made, undone: ToolCall, match: HttpMatch, context: Context) -> ToolCall:
    media_type = {"json": _JSON, "form": _FORM}.get(made.kind, "")
    path, query = parse_target(made.target)
    body = made.body.encode()
    sent = (("Content-Type", media_type),) if media_type else ()
    (method,) = match.methods
    return ToolCall(
        agent=undone.agent,
        upstream=match.upstream,
        method=method,
        target=made.target,
        headers=(*sent, ("Accept", _JSON)),
        body=body,
        path=path,
        query=query,
        content=parse_content(media_type, body) if body else Content(),
        context=context,
    )


def _verify(call: ToolCall, made: _Made, tool: Tool, policy: PolicySet) -> None:
    """Make sure that policy, and the tool, read exactly what was put in."""
    found = policy.catalogue.find(call)
    if not isinstance(found, Found) or found.tool != tool.id:
        raise NoUndo(f"What came out of it would be no call of {tool.id}.")
    read = prepare(call, policy)
    if read.misfit[0]:
        raise NoUndo(f"It does not fit {tool.id}: {read.misfit[1]}")
    same = (
        dict(found.path) == dict(made.path)
        and call.query == made.query
        and plain(call.content.value or {}) == plain(dict(made.fields))
        and call.content.kind is _OF.get(made.kind, Body.NONE)
        and frozenset(read.arguments.values) == made.arguments
    )
    if read.failure or not same:
        raise NoUndo(f"{tool.id} would not be called with these values as they are.")
