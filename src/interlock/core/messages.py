"""JSON-RPC messages of MCP, read strictly: what policy reads is what the server reads.

A message that two readers could take for two things is refused, never repaired: batches, members
that JSON-RPC does not have, names that differ from known ones by case only (readers that ignore
case take them: CVE-2026-27896), methods written otherwise than MCP does. Sources: JSON-RPC 2.0,
MCP 2024-11-05 to 2026-07-28.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from .actions import Body, Content, ToolCall
from .content import read_json
from .errors import MalformedCall, MalformedMessage
from .spelling import lax, lax_method

PARSE_ERROR, INVALID_REQUEST, INVALID_PARAMS = -32700, -32600, -32602
TOOLS_CALL = "tools/call"
MODERN = "2026-07-28"
"""The first version without sessions: each request says its version and capabilities."""
JSON_TYPE = "application/json"

_MEMBERS = frozenset({"jsonrpc", "id", "method", "params", "result", "error"})
_PARAMS = frozenset(
    "_meta arguments cursor inputresponses name protocolversion ref requeststate task taskid"
    " uri".split()
)
_SPELT = frozenset(
    "_meta arguments cursor inputResponses name protocolVersion ref requestState task taskId"
    " uri".split()
)
_ENDS = re.compile("[\u0085\u2028\u2029]")
_METHOD = re.compile(r"[A-Za-z0-9_$.:+-]+(?:/[A-Za-z0-9_$.:+-]+)*", re.ASCII)
_RUNNING = {
    "toolscall": TOOLS_CALL,
    "resourcesread": "resources/read",
    "promptsget": "prompts/get",
    "tasksupdate": "tasks/update",
}
"""Methods that are judged, or may be: no other spelling of them passes."""
_NO_PARAMS: Mapping[str, Any] = {}


class Kind(enum.Enum):
    """What a message is, by the members that it has."""

    REQUEST = "request"
    NOTIFICATION = "notification"
    RESPONSE = "response"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One JSON-RPC message. `document` is all of it; `params` is empty where there are none."""

    kind: Kind
    id: str | int | None = None
    method: str = ""
    params: Mapping[str, Any]
    document: Mapping[str, Any]

    @property
    def meta(self) -> Mapping[str, Any]:
        """What the sender says about the message; empty where it says nothing."""
        meta = self.params.get("_meta")
        return meta if isinstance(meta, Mapping) else _NO_PARAMS


def read_message(body: bytes) -> Message:
    """Return the one message that *body* holds.

    Raises:
        MalformedMessage: it is not strict JSON, a batch, no JSON-RPC 2.0 message, or it could be
            read in two ways; `code` is the JSON-RPC error code.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedMessage("The body is not UTF-8.", code=PARSE_ERROR) from None
    try:
        document = read_json(text)
    except MalformedCall as refused:
        raise MalformedMessage(refused.detail, code=PARSE_ERROR) from None
    return message_of(document)


def message_of(document: Any) -> Message:
    """Return the message that a parsed document is. Raises MalformedMessage, as `read_message`."""
    if isinstance(document, list):
        raise MalformedMessage(
            "JSON-RPC batches are not taken here; send each message by itself (MCP has had no"
            " batches since 2025-06-18)."
        )
    if not isinstance(document, dict) or document.get("jsonrpc") != "2.0":
        raise MalformedMessage('This is not a JSON-RPC message: it needs `"jsonrpc": "2.0"`.')
    strange = document.keys() - _MEMBERS
    if strange:
        raise MalformedMessage(f"JSON-RPC messages have no member {json.dumps(min(strange))}.")
    if "method" not in document:
        return _response(document)
    if "result" in document or "error" in document:
        raise MalformedMessage("A message is a request or a response, not both.")
    params = _params(document)
    method = document["method"]
    if not isinstance(method, str) or not method:
        raise MalformedMessage("`method` must be a text.")
    _check_method(method)
    if "id" not in document:
        return Message(kind=Kind.NOTIFICATION, method=method, params=params, document=document)
    return Message(
        kind=Kind.REQUEST, id=_id(document), method=method, params=params, document=document
    )


def read_sent(body: bytes) -> Any:
    """Return the JSON that a server has sent, with numbers of any size: no policy reads them.

    Raises:
        MalformedMessage: it is no UTF-8, no JSON, too deep, or has a key twice: readers differ.
    """
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_json)
    except (ValueError, RecursionError):
        raise MalformedMessage("It is not one JSON text.", code=PARSE_ERROR) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError
    return members


def _no_json(constant: str) -> NoReturn:
    raise ValueError(constant)


def server_kind(document: Any) -> Kind | None:
    """Say what a parsed message of a server is to every client; None: clients could differ.

    Some take what has a `result` for a response though it has a `method`, some ignore case.
    """
    if not isinstance(document, dict) or document.get("jsonrpc") != "2.0":
        return None
    if any(lax(name) in _MEMBERS for name in document.keys() - _MEMBERS):
        return None
    given = document.get("id")
    if isinstance(given, bool) or not isinstance(given, str | int | None):
        return None
    if "method" not in document:
        return _answer_kind(document)
    method, params = document["method"], document.get("params", _NO_PARAMS)
    if "result" in document or "error" in document or not isinstance(params, Mapping):
        return None
    if not isinstance(method, str) or not method or ("id" in document and given is None):
        return None
    return Kind.REQUEST if "id" in document else Kind.NOTIFICATION


def _answer_kind(document: Mapping[str, Any]) -> Kind | None:
    if ("result" in document) == ("error" in document):
        return None
    unnamed = document.get("id") is None  # an error may be one to what could not be read
    return None if unnamed and "result" in document else Kind.RESPONSE


def _check_method(method: str) -> None:
    """Let no method pass that a server could take for one that is judged."""
    if not _METHOD.fullmatch(method):
        raise MalformedMessage(
            f"The method {json.dumps(method[:80])} is not written as methods are: words of ASCII,"
            " with single slashes between them."
        )
    meant = _RUNNING.get(lax_method(method), method)
    if method != meant:
        raise MalformedMessage(f"Some servers take {json.dumps(method)} for `{meant}`; write that.")


def _response(document: Mapping[str, Any]) -> Message:
    if ("result" in document) == ("error" in document) or "params" in document:
        raise MalformedMessage("A message needs a `method`, or else one of `result` and `error`.")
    given = None if document.get("id") is None else _id(document)
    return Message(kind=Kind.RESPONSE, id=given, params=_NO_PARAMS, document=document)


def _id(document: Mapping[str, Any]) -> str | int:
    given = document["id"]
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise MalformedMessage("`id` must be a text or an integer.")
    return given


def _params(document: Mapping[str, Any]) -> Mapping[str, Any]:
    if "params" not in document:
        return _NO_PARAMS
    params = document["params"]
    if not isinstance(params, dict):
        raise MalformedMessage("`params` must be an object.", code=INVALID_PARAMS)
    for name in params.keys() - _SPELT:
        if lax(name) in _PARAMS:
            raise MalformedMessage(
                f"Some readers take the parameter {json.dumps(name)} for another one; spell it as"
                " MCP does.",
                code=INVALID_PARAMS,
            )
    if "_meta" in params and not isinstance(params["_meta"], dict):
        raise MalformedMessage("`params._meta` must be an object.", code=INVALID_PARAMS)
    return params


def write_message(document: Mapping[str, Any]) -> bytes:
    """Return the bytes of a message: what was read, written anew, so that no reader differs."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    if not text.isascii():  # some readers of lines end them at these
        text = _ENDS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return text.encode()


def call_envelope(tool: str, arguments: Mapping[str, Any]) -> bytes:
    """Return a `tools/call` of *tool*, as a client would send it."""
    params = {"name": tool, "arguments": dict(arguments)}
    return write_message({"jsonrpc": "2.0", "id": 1, "method": TOOLS_CALL, "params": params})


def arguments_of(message: Message) -> dict[str, Any]:
    """Return what policy judges of a message: a tool's arguments, else its params.

    Raises:
        MalformedMessage: the arguments are not an object.
    """
    if message.method != TOOLS_CALL:
        return {name: value for name, value in message.params.items() if name != "_meta"}
    arguments = message.params.get("arguments")
    if arguments is None:
        return {}
    if not isinstance(arguments, dict):
        raise MalformedMessage("`params.arguments` must be an object.", code=INVALID_PARAMS)
    return arguments


def call_content(body: bytes) -> Content:
    """Return the reading of the body of an MCP call. Raises MalformedMessage."""
    return content_of(read_message(body))


def content_of(message: Message) -> Content:
    """Return the reading of an MCP call. Raises MalformedMessage, as `arguments_of`."""
    return Content(kind=Body.JSON, media_type=JSON_TYPE, value=arguments_of(message))


def with_arguments(message: Message, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the document of *message* with *arguments* where `arguments_of` reads them."""
    if message.method == TOOLS_CALL:
        params = {**message.params, "arguments": dict(arguments)}
    else:
        meta = {"_meta": message.params["_meta"]} if "_meta" in message.params else {}
        params = {**arguments, **meta}
    return {**message.document, "params": params}


def asked(call: ToolCall) -> dict[str, Any]:
    """Return all that an MCP call asks for: its params, without what is said about the call."""
    params = read_message(call.body).params
    return {name: value for name, value in params.items() if name != "_meta"}
