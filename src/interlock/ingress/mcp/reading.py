"""From one JSON-RPC message to a sealed `ToolCall`, or to a refusal. Pure.

What is sent is the message that was judged, written anew; what it says to Interlock alone is
taken out of it first. Sources: MCP 2024-11-05 to 2026-07-28, SEP-414 (trace), SEP-2817
(`aiInvocation`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...core.actions import Context, McpTool, ToolCall
from ...core.digest import seal
from ...core.errors import MalformedCall, MalformedMessage
from ...core.messages import (
    INVALID_PARAMS,
    TOOLS_CALL,
    Kind,
    Message,
    content_of,
    write_message,
)
from ...mcp_ports import Definition
from ..wire import Fields, stated
from .headers import fields_of, forwarded
from .session import Caller, Server

OURS = "dev.interlock/"
INVOCATION = "io.modelcontextprotocol/aiInvocation"

_HINTS = frozenset({"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"})
_LONGEST = {"reason": 2000, "session": 200, "task": 8000}  #: characters, as of the headers
_SESSION = re.compile(r"[\x21-\x7e]{1,200}", re.ASCII)
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)


def is_judged(message: Message, server: Server) -> bool:
    """Say whether a message has to pass the gate, whatever its tool is.

    What else is said of tools than MCP knows (`tools/execute`) may run one: it is judged as well.
    """
    if message.kind is Kind.RESPONSE or message.method == "tools/list":
        return False
    return message.method.startswith("tools/") or message.method in server.gates


def read_call(message: Message, caller: Caller, definition: Definition | None) -> ToolCall:
    """Return the sealed call that *message* asks for.

    *definition*: what the server says of the tool; None: it was never listed, and nobody has
    accepted it.

    Raises:
        MalformedMessage: it is no request, names no tool, or what it says of itself is not valid.
        MalformedCall: a header is not valid, or says another thing than the message.
    """
    if message.kind is not Kind.REQUEST:
        raise MalformedMessage(f"`{message.method}` must have an `id`: it is answered.")
    tool = _tool(message, caller, definition)
    return seal(
        ToolCall(
            agent=caller.agent,
            upstream=caller.server.name,
            method=message.method,
            target="/",
            headers=forwarded(caller.headers, caller.server, modern=caller.modern),
            body=write_message(sent(message)),
            path="/",
            content=content_of(message),
            context=_context(message.meta, fields_of(caller.headers)),
            mcp=tool,
        )
    )


def _tool(message: Message, caller: Caller, definition: Definition | None) -> McpTool:
    if message.method != TOOLS_CALL:  # there is no definition that could have changed
        return McpTool(name=message.method, session=caller.session, command=caller.server.command)
    name = message.params.get("name")
    if not isinstance(name, str) or not name:
        raise MalformedMessage("`params.name` must name a tool.", code=INVALID_PARAMS)
    if name in caller.server.gates:
        raise MalformedMessage(
            f"`{name}` is the name of a method here, so no tool can be called by it.",
            code=INVALID_PARAMS,
        )
    if definition is None:
        return McpTool(
            name=name, accepted=False, session=caller.session, command=caller.server.command
        )
    return McpTool(
        name=name,
        definition=definition.hash,
        annotations=hints(definition.document),
        accepted=definition.accepted,
        session=caller.session,
        command=caller.server.command,
    )


def hints(tool: Mapping[str, Any]) -> dict[str, bool]:
    """Return the annotations of a listed tool that MCP defines as hints."""
    given = tool.get("annotations")
    if not isinstance(given, Mapping):
        return {}
    return {name: given[name] for name in _HINTS & given.keys() if isinstance(given[name], bool)}


def sent(message: Message) -> dict[str, Any]:
    """Return the document of *message* without what it says to Interlock alone."""
    if not any(name.startswith(OURS) for name in message.meta):
        return dict(message.document)
    rest = {name: value for name, value in message.meta.items() if not name.startswith(OURS)}
    params = {name: value for name, value in message.params.items() if name != "_meta"}
    if rest:
        params["_meta"] = rest
    return {**message.document, "params": params}


def with_params(message: Message, params: Mapping[str, Any]) -> Message:
    """Return *message* with *params* in place of its own."""
    return replace(message, params=params, document={**message.document, "params": dict(params)})


# what is said about the call ----------------------------------------------------------------


def _context(meta: Mapping[str, Any], fields: Fields) -> Context:
    """Return what message and headers say of the call; they may not contradict each other."""
    header = stated(fields)
    reason = _one("reason", _text(meta, "reason"), header.reason)
    return Context(
        confidence=_one("confidence", _confidence(meta), header.confidence),
        session=_one("session", _session(meta), header.session) or "",
        reason=reason or _invoked_for(meta),
        task=_one("task", _text(meta, "task"), header.task) or "",
        traceparent=_trace(meta) or header.traceparent,
    )


def _one(name: str, inside: Any, header: Any) -> Any:
    """Return what was said; what the message says counts, where the headers say nothing."""
    if inside in ("", None):
        return header
    if header not in ("", None) and header != inside:
        raise MalformedCall(
            f"`_meta[{OURS}{name}]` and the header `Interlock-{name.capitalize()}` differ; send one"
            " of them."
        )
    return inside


def _text(meta: Mapping[str, Any], name: str) -> str:
    value = meta.get(OURS + name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _invalid(name, "must be a text")
    if len(value) > _LONGEST[name]:
        raise _invalid(name, f"is longer than {_LONGEST[name]} characters")
    return value


def _session(meta: Mapping[str, Any]) -> str:
    value = _text(meta, "session")
    if value and not _SESSION.fullmatch(value):
        raise _invalid("session", "must be 1 to 200 visible ASCII characters")
    return value


def _confidence(meta: Mapping[str, Any]) -> float | None:
    value = meta.get(OURS + "confidence")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise _invalid("confidence", "must be a number from 0.0 to 1.0")
    return float(value)


def _invalid(name: str, why: str) -> MalformedMessage:
    return MalformedMessage(f"`_meta[{OURS}{name}]` {why}.", code=INVALID_PARAMS)


def _invoked_for(meta: Mapping[str, Any]) -> str:
    """Return why the model called, as its framework says: never a reason to refuse the call."""
    said = meta.get(INVOCATION)
    if not isinstance(said, Mapping):
        return ""
    for name in ("invocationReason", "userIntent"):
        value = said.get(name)
        if isinstance(value, str) and value.strip():
            return value[: _LONGEST["reason"]]
    return ""


def _trace(meta: Mapping[str, Any]) -> str:
    value = meta.get("traceparent")
    return value if isinstance(value, str) and _TRACEPARENT.fullmatch(value) else ""
