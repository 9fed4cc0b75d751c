"""What a button in a chat says when it is pressed: which call, at which version, and our MAC.

A ticket proves that Interlock drew the button, not who pressed it: that is the channel's to prove.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass

_PLAIN = re.compile(r"[A-Za-z0-9_-]{0,128}", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
_MARK = "il1"
_FIELDS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """One button. `expires`: ms, by the store's clock. `holder`: the only one it works for, if any.

    All texts are of letters, digits, `_` and `-`.
    """

    channel: str
    verdict: str
    action: str
    version: int
    digest: str
    expires: int
    holder: str = ""


def written(ticket: Ticket, key: bytes) -> str:
    """Return *ticket* as text that nobody without *key* can make or change.

    Raises:
        ValueError: a part of it has other characters than it may have.
    """
    parts = (ticket.channel, ticket.verdict, ticket.action, ticket.digest, ticket.holder)
    if not all(_PLAIN.fullmatch(part) for part in parts):
        raise ValueError("a ticket is made of letters, digits, _ and -")
    said = ".".join(
        (
            _MARK,
            ticket.channel,
            ticket.verdict,
            ticket.action,
            str(ticket.version),
            ticket.digest,
            str(ticket.expires),
            ticket.holder,
        )
    )
    return f"{said}.{_mac(said, key)}"


def read(text: str, key: bytes) -> Ticket | None:
    """Return the ticket that *text* is, expired or not; None where it is none of ours."""
    said, _, mac = text.rpartition(".")
    if not hmac.compare_digest(mac.encode("utf-8", "replace"), _mac(said, key).encode()):
        return None
    parts = said.split(".")
    if len(parts) != _FIELDS or parts[0] != _MARK:
        return None
    _, channel, verdict, action, version, digest, expires, holder = parts
    if not (_NUMBER.fullmatch(version) and _NUMBER.fullmatch(expires)):
        return None
    return Ticket(
        channel=channel,
        verdict=verdict,
        action=action,
        version=int(version),
        digest=digest,
        expires=int(expires),
        holder=holder,
    )


def _mac(said: str, key: bytes) -> str:
    return hmac.new(key, said.encode("utf-8", "replace"), hashlib.sha256).hexdigest()
