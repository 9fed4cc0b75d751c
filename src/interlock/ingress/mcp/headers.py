"""Headers of MCP over HTTP: what they must say, and which of them pass. Pure.

The body is the only truth. From 2026-07-28 on, headers repeat parts of it for whoever routes by
them; a request whose headers say something else is refused, and what a client of an older version
sends under these names is dropped: nobody has checked it. Source: MCP 2026-07-28, "Streamable
HTTP", Request Metadata and Server Validation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation

from ...core.errors import MalformedMessage
from ...core.messages import INVALID_REQUEST, MODERN, Kind, Message
from ...core.mirrors import decode_mirrored
from .session import VERSION_KEY, Server

Headers = tuple[tuple[str, str], ...]
Fields = Mapping[str, list[str]]

HEADER_MISMATCH = -32020
VERSION, METHOD, NAME = "mcp-protocol-version", "mcp-method", "mcp-name"
SESSION, LAST_EVENT = "mcp-session-id", "last-event-id"
PARAM = "mcp-param-"
NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"} | dict.fromkeys(
    ("tasks/get", "tasks/update", "tasks/cancel"), "taskId"
)
EVENTS = "text/event-stream"

_MIRRORS = frozenset({METHOD, NAME})
_ALWAYS = frozenset({VERSION, "accept", "user-agent", "traceparent", "tracestate", "baggage"})
_NEVER = frozenset(
    "authorization cookie host content-length content-type content-encoding expect forwarded via"
    " x-real-ip connection keep-alive proxy-authenticate proxy-authorization proxy-connection te"
    " trailer transfer-encoding upgrade http2-settings".split()
) | {SESSION}
_NEVER_PREFIXES = ("interlock-", "x-forwarded-")
_DATED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_VISIBLE = re.compile(r"[\x21-\x7e]{1,1024}", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?", re.ASCII)


def fields_of(headers: Headers) -> dict[str, list[str]]:
    """Return the values by lower-case name."""
    fields: dict[str, list[str]] = {}
    for name, value in headers:
        fields.setdefault(name.lower(), []).append(value.strip(" \t"))
    return fields


def version_of(message: Message | None, fields: Fields) -> str:
    """Return the protocol version that a request says it is of; empty where it says none."""
    told = message.meta.get(VERSION_KEY) if message is not None else None
    if isinstance(told, str):
        return told
    return next((version for version in fields.get(VERSION, ()) if _DATED.fullmatch(version)), "")


def session_of(fields: Fields) -> str:
    """Return the session that a request belongs to; empty where there is none.

    Raises:
        MalformedMessage: it names several, or what cannot be one.
    """
    named = fields.get(SESSION, [])
    if not named:
        return ""
    if len(named) > 1 or not _VISIBLE.fullmatch(named[0]):
        raise MalformedMessage("`Mcp-Session-Id` must be there once, in visible ASCII characters.")
    return named[0]


def check(message: Message, fields: Fields) -> None:
    """Compare the headers of a message with the message, as its version demands.

    Raises:
        MalformedMessage: they say something else; `code` is that of HeaderMismatch.
    """
    said, told = fields.get(VERSION, []), message.meta.get(VERSION_KEY)
    older = told is None or _is_older(told)
    if older and not any(_DATED.fullmatch(each) and each >= MODERN for each in said):
        return  # in its version these headers mean nothing
    for name in (VERSION, METHOD, NAME):
        if len(fields.get(name, ())) > 1:
            raise _mismatch(f"`{_spelt(name)}` is there more than once")
    if told is not None and said != [told]:
        raise _mismatch(f"`{_spelt(VERSION)}` is {_quoted(said)}, and the message says {told!r}")
    if message.kind is Kind.RESPONSE:
        return
    _check_method(message, fields.get(METHOD, []))
    if message.kind is Kind.REQUEST:
        _check_name(message, fields.get(NAME, []))


def _is_older(version: object) -> bool:
    return isinstance(version, str) and bool(_DATED.fullmatch(version)) and version < MODERN


def _check_method(message: Message, said: list[str]) -> None:
    missing = not said and message.kind is Kind.REQUEST  # nothing is laid down for notifications
    if missing or (said and said != [message.method]):
        raise _mismatch(
            f"`{_spelt(METHOD)}` is {_quoted(said)}, and the message is a {message.method!r}"
        )


def _check_name(message: Message, said: list[str]) -> None:
    parameter = NAMED_BY.get(message.method)
    named = message.params.get(parameter) if parameter else None
    if named is None or (not said and message.method.startswith("tasks/")):
        return  # the clients that ask for tasks do not name them (FastMCP 4.1, pydantic-ai 2.68)
    if not said or decode_mirrored(said[0]) != named:
        raise _mismatch(f"`{_spelt(NAME)}` is {_quoted(said)}, and `params.{parameter}` is not")


def check_parameters(fields: Fields, expected: Iterable[tuple[str, str]]) -> None:
    """Compare the `Mcp-Param-*` headers of a call with those that its arguments ask for.

    *expected*: see `core.mirrors.mirrored_params`. Headers that the tool does not define pass.

    Raises:
        MalformedMessage: one is missing or says something else.
    """
    for name, value in expected:
        said = fields.get(name.lower(), [])
        if len(said) != 1 or not _same(decode_mirrored(said[0]), decode_mirrored(value)):
            raise _mismatch(f"`{name}` is {_quoted(said)}, and the argument is not; list the tools")


def _same(said: str | None, meant: str | None) -> bool:
    if said is None or said == meant:
        return said is not None
    try:  # whole numbers may be written in two ways: 42 and 42.0
        return bool(_NUMBER.fullmatch(said)) and Decimal(said) == Decimal(meant or "-")
    except InvalidOperation:
        return False


def relevant(headers: Headers, *, modern: bool) -> Headers:
    """Return the client's headers without those that mean nothing in its version."""
    if modern:
        return headers
    return tuple([pair for pair in headers if not _mirrors(pair[0].lower())])


def forwarded(headers: Headers, server: Server, *, modern: bool) -> Headers:
    """Return those of the client's headers that the server gets, as they came.

    Raises:
        MalformedMessage: one of them is not text.
    """
    passed = tuple([pair for pair in headers if _passes(pair[0].lower(), server, modern)])
    for name, value in passed:
        if not (value.isascii() or _is_text(value)):
            raise MalformedMessage(f"The header `{name}` is not UTF-8.", code=INVALID_REQUEST)
    return passed


def _passes(name: str, server: Server, modern: bool) -> bool:
    if name in _NEVER or name in server.reserved or name.startswith(_NEVER_PREFIXES):
        return False
    if _mirrors(name):
        return modern
    return name in _ALWAYS or name in server.forward or (name == LAST_EVENT and not modern)


def _mirrors(name: str) -> bool:
    return name in _MIRRORS or name.startswith(PARAM)


def _is_text(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def is_json(fields: Fields) -> bool:
    """Whether the body is declared to be JSON, once, uncompressed and in UTF-8."""
    said = fields.get("content-type", [])
    if len(said) != 1 or "content-encoding" in fields:
        return False
    kind, _, more = said[0].partition(";")
    charset = more.strip().lower().replace('"', "").replace(" ", "")
    plain = not charset.startswith("charset=") or charset in ("charset=utf-8", "charset=utf8")
    return kind.strip().lower() == "application/json" and plain


def accepts(fields: Fields, media: str) -> bool:
    """Whether the client names *media* among what it can read."""
    ranges = ",".join(fields.get("accept", ())).split(",")
    return any(each.partition(";")[0].strip().lower() == media for each in ranges)


def _mismatch(what: str) -> MalformedMessage:
    return MalformedMessage(
        f"Header mismatch: {what}. The headers must say what the message says.",
        code=HEADER_MISMATCH,
    )


def _quoted(said: list[str]) -> str:
    return repr(said[0][:80]) if said else "missing"


def _spelt(name: str) -> str:
    return {VERSION: "MCP-Protocol-Version", METHOD: "Mcp-Method", NAME: "Mcp-Name"}[name]
