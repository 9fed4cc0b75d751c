"""The two tools that Interlock adds: to wait for a held call, and to take it back. Pure.

Their names shadow tools of the server that have the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...core.errors import MalformedMessage
from ...core.messages import INVALID_PARAMS, TOOLS_CALL, Kind, Message, arguments_of
from .session import Caller

WAIT, CANCEL = "interlock_wait", "interlock_cancel"
LONGEST = 20.0  #: seconds, for clients whose calls are not held open at all
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
_CALL = {"type": "string", "description": "The reference of the call, from its first answer."}

TOOLS: tuple[Mapping[str, Any], ...] = (
    {
        "name": WAIT,
        "title": "Wait for an approval",
        "description": (
            "Waits until a person has decided on an earlier call of yours that answered NOT"
            " EXECUTED YET, and returns the result of that call. Where nobody has decided within"
            " the time, it says so, and can be called again. It starts nothing by itself."
        ),
        "inputSchema": {
            "type": "object",
            "properties": {
                "call": _CALL,
                "seconds": {
                    "type": "number",
                    "minimum": 0,
                    "description": "How long to wait; shorter where the connection cannot last.",
                },
            },
            "required": ["call"],
            "additionalProperties": False,
        },
        "annotations": {"readOnlyHint": True, "idempotentHint": True, "openWorldHint": False},
    },
    {
        "name": CANCEL,
        "title": "Take a waiting call back",
        "description": (
            "Takes back an earlier call of yours that waits for a person's approval, so that it"
            " will never be executed. Use it when the call is no longer wanted."
        ),
        "inputSchema": {
            "type": "object",
            "properties": {"call": _CALL},
            "required": ["call"],
            "additionalProperties": False,
        },
        "annotations": {
            "readOnlyHint": False,
            "destructiveHint": False,
            "idempotentHint": True,
            "openWorldHint": False,
        },
    },
)
NAMES = frozenset({WAIT, CANCEL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A call of one of these: which, about what, and for how long (seconds)."""

    name: str
    call: str
    seconds: float = 0.0


def offered(caller: Caller) -> bool:
    """Say whether *caller* is offered these tools."""
    return caller.server.own_tools and caller.holding.own_tools


def asked(message: Message, caller: Caller) -> Asked | None:
    """Return what *message* asks of one of these tools; None: it asks something of the server.

    Raises:
        MalformedMessage: the arguments do not fit the tool.
    """
    name = message.params.get("name")
    if message.method != TOOLS_CALL or message.kind is not Kind.REQUEST or not offered(caller):
        return None
    if not isinstance(name, str) or name not in NAMES:
        return None
    arguments = arguments_of(message)
    allowed = {"call", "seconds"} if name == WAIT else {"call"}
    strange = arguments.keys() - allowed
    if strange:
        raise _misfit(name, f"takes {' and '.join(sorted(allowed))} only")
    call = arguments.get("call")
    if not isinstance(call, str) or not _ID.fullmatch(call):
        raise _misfit(name, 'needs the reference of a call, such as {"call": "abc123"}')
    if name == CANCEL:
        return Asked(name=name, call=call)
    return Asked(name=name, call=call, seconds=_seconds(arguments.get("seconds"), caller))


def _seconds(given: Any, caller: Caller) -> float:
    longest = caller.holding.seconds or LONGEST
    if given is None:
        return longest
    if isinstance(given, bool) or not isinstance(given, int | float) or not given >= 0:
        raise _misfit(WAIT, "takes `seconds` as a number from 0 on")
    return min(float(given), longest)


def _misfit(name: str, why: str) -> MalformedMessage:
    return MalformedMessage(f"`{name}` {why}.", code=INVALID_PARAMS)
