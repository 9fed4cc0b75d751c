"""The states that clients of 2026-07-28 come back with while a call is held. Pure.

A token is made for one purpose: it names the held call, how often its client has come back, and
until when that counts. It grants nothing: whoever brings it is asked who they are as always, and
what it names was judged. Source: MCP 2026-07-28, `basic/patterns/mrtr`, server requirements 4-5.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...core.errors import MalformedMessage
from ...core.messages import INVALID_PARAMS, Message
from .reading import with_params

MOST = 8  #: rounds; clients give up at ten
STATE = "requestState"
INPUTS = "inputResponses"

_PREFIX = "interlock-round-1."
_LABEL = b"interlock-round-1"
_LONGEST = 2000  #: characters; ours are shorter


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What a token says. `continues`: the held call itself came with a state of the server."""

    action: str
    fingerprint: str
    number: int  #: how often the client has come back when it brings this
    expires: int  #: ms
    continues: bool = False


def issue(held: Round, agent: str, server: str, key: bytes) -> str:
    """Return the token for *held*, which only *agent* can use, and only at *server*."""
    said = [held.action, held.fingerprint, held.number, held.expires, held.continues]
    payload = _encoded(json.dumps(said, separators=(",", ":")).encode())
    return f"{_PREFIX}{payload}.{_mac(payload, agent, server, key)}"


def is_ours(state: Any) -> bool:
    """Say whether a requestState claims to be one of these; the server's own pass unread."""
    return isinstance(state, str) and state.startswith(_PREFIX)


def redeem(token: str, agent: str, server: str, key: bytes) -> Round:
    """Return what *token* says.

    Raises:
        MalformedMessage: it was not issued here, or not to *agent* at *server*.
    """
    payload, _, mac = token[len(_PREFIX) :].partition(".")
    expected = _mac(payload, agent, server, key).encode()
    given = mac.encode("utf-8", "surrogatepass")
    if len(token) > _LONGEST or not hmac.compare_digest(expected, given):
        raise MalformedMessage(
            "This `requestState` was not given to you here. Send the request without it.",
            code=INVALID_PARAMS,
        )
    try:
        said = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (binascii.Error, ValueError):  # our own MAC over what is no payload: another version
        raise MalformedMessage("This `requestState` cannot be read.", code=INVALID_PARAMS) from None
    action, fingerprint, number, expires, continues = said
    return Round(
        action=action,
        fingerprint=fingerprint,
        number=number,
        expires=expires,
        continues=continues,
    )


def restored(message: Message, asked: Mapping[str, Any] | None) -> Message:
    """Return *message* as it was first sent: without our token, with the server's own state.

    *asked*: the params of the held call where it came with a state of the server, which its
    client can no longer know, because ours took its place.
    """
    params = {name: value for name, value in message.params.items() if name != STATE}
    if not params.get(INPUTS):  # an empty answer to nothing that was asked
        params.pop(INPUTS, None)
    for name in (STATE, INPUTS):
        if asked is not None and name in asked:
            params[name] = asked[name]
    return with_params(message, params)


def _mac(payload: str, agent: str, server: str, key: bytes) -> str:
    parts = [payload, agent, server]
    framed = json.dumps(parts, separators=(",", ":")).encode()
    return _encoded(hmac.new(key, _LABEL + framed, hashlib.sha256).digest())


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
