"""The calls of a suite: from what a test writes to the `ToolCall` that the gate would judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..core.actions import Agent, Context, McpTool, ToolCall
from ..core.errors import MalformedCall
from ..core.messages import TOOLS_CALL, call_content, call_envelope
from ..core.patterns import McpMatch
from ..core.rules import PolicySet
from .positions import suggestion
from .suite_document import AgentEntry, CallEntry
from .suite_requests import BadCall, assigned, from_arguments, from_request, rewritten

__all__ = ["BadCall", "Setting", "assigned", "make_call", "setting"]

_OF_REQUESTS = ("upstream", "path", "query", "json_", "form", "body", "content_type")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a case sets: parts of `args`, `agent`, `call`, `session` and `facts`, and `task`."""

    args: Mapping[str, Any]
    agent: Mapping[str, Any]
    call: Mapping[str, Any]
    session: Mapping[str, Any]
    facts: Mapping[str, Any]
    task: str | None = None


_ROOTS = ("args", "agent", "call", "session", "facts")
_SETTABLE = "args.NAME, agent.*, session.*, facts.*, call.hour, call.service, call.region or task"


def setting(assignments: Mapping[str, Any]) -> Setting:
    """Sort assignments such as `args.amount: 5` by their root.

    Raises:
        BadCall: the root is none that can be set.
    """
    roots: dict[str, dict[str, Any]] = {root: {} for root in _ROOTS}
    task: str | None = None
    for name, value in assignments.items():
        root, _, rest = name.partition(".")
        if name == "task" and isinstance(value, str):
            task = value
        elif root in roots and rest:
            roots[root][rest] = value
        else:
            hint = suggestion(root, (*_ROOTS, "task"))
            raise BadCall(f"{name!r} cannot be set{hint or f': set {_SETTABLE}'}")
    return Setting(**roots, task=task)


def make_call(entry: CallEntry, agent: AgentEntry, changes: Setting, policy: PolicySet) -> ToolCall:
    """Return the call that *entry* describes, with *changes* made.

    Raises:
        BadCall: it cannot be made, or is not one that an agent could send.
    """
    who = _agent(agent, changes.agent)
    _refuse_mixtures(entry)
    try:
        call = _call(entry, changes.args, policy)
    except MalformedCall as refused:
        raise BadCall(f"the gate would refuse this call: {refused.detail}") from None
    known = {name: value for name, value in changes.call.items() if name in ("service", "region")}
    unknown = set(changes.call) - set(known) - {"hour"}
    if unknown:
        raise BadCall(
            f"call.{min(unknown)} cannot be set: write it into the call "
            "(call.hour, call.service and call.region can be set)"
        )
    return replace(
        call,
        agent=Agent(id=who.id, owner=who.owner),
        context=Context(
            confidence=who.confidence,
            session=str(changes.session.get("id", "session")),
            task=changes.task or "",
        ),
        **known,
    )


def _agent(agent: AgentEntry, changes: Mapping[str, Any]) -> AgentEntry:
    unknown = set(changes) - set(AgentEntry.model_fields)
    if unknown:
        name = min(unknown)
        known = ", ".join(f"agent.{each}" for each in AgentEntry.model_fields)
        hint = suggestion(name, AgentEntry.model_fields) or f": set {known}"
        raise BadCall(f"agent.{name} cannot be set{hint}")
    return agent.model_copy(update=dict(changes))


def _refuse_mixtures(entry: CallEntry) -> None:
    """Refuse what would be passed over in silence: a call is written in one of three ways."""
    written = entry.model_fields_set
    requests = [name.rstrip("_") for name in _OF_REQUESTS if name in written]
    if entry.tool is not None and entry.mcp is not None:
        raise BadCall("a call has `tool` or `mcp`: take one of them out")
    if entry.tool is not None or entry.mcp is not None:
        named = "tool" if entry.mcp is None else "mcp"
        if requests:
            raise BadCall(
                f"`{requests[0]}` does not go with `{named}`: write `args`, or the whole request "
                f"without `{named}`"
            )
    elif "args" in written:
        raise BadCall("`args` go with `tool` or `mcp`: a request has json, form or query")
    elif not requests:
        raise BadCall("it names no tool: write {tool, args}, a request {upstream, path} or {mcp}")


def _call(entry: CallEntry, changed: Mapping[str, Any], policy: PolicySet) -> ToolCall:
    args = assigned(entry.args, changed)
    if entry.mcp is not None:
        wanted = entry.mcp
        return _of_mcp(wanted.server, wanted.tool, args, wanted.definition, wanted.annotations)
    if entry.tool is None:
        return from_request(rewritten(entry, changed, policy))
    if entry.tool not in policy.tools:
        return ToolCall(agent=Agent(id=""), upstream="unknown", method="POST", target="/", path="/")
    tool = policy.tools[entry.tool]
    if isinstance(tool.match, McpMatch):
        name = tool.match.tool.patterns[0].text.replace("*", "x")
        return _of_mcp(tool.match.server, name, args, min(tool.pins, default=""), {})
    return from_arguments(tool, tool.match, args, entry)


def _of_mcp(
    server: str, tool: str, args: Mapping[str, Any], definition: str, hints: Mapping[str, bool]
) -> ToolCall:
    body = call_envelope(tool, args)
    return ToolCall(
        agent=Agent(id=""),
        upstream=server,
        method=TOOLS_CALL,
        target="/",
        path="/",
        body=body,
        content=call_content(body),
        mcp=McpTool(name=tool, definition=definition, annotations=dict(hints)),
    )
