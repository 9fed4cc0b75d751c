"""Who acts: agents propose, people decide, and one key is only ever one of them."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Kind(enum.Enum):
    """What a key may be used for. Fixed when the key is made; kinds never mix."""

    AGENT = "agent"  #: propose calls, read and cancel its own
    APPROVER = "approver"  #: see held calls and decide them
    ADMIN = "admin"  #: keys, policy, unknown outcomes; may not approve
    AUDITOR = "auditor"  #: read everything that people see; change nothing
    METRICS = "metrics"  #: scrape only


PEOPLE = frozenset({Kind.APPROVER, Kind.ADMIN, Kind.AUDITOR})


def person_id(name: str) -> str:
    """Return the one id of a person: `Olga@x.org` and `olga@x.org` are one voice, one owner."""
    return name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Somebody whose key or session was found valid."""

    kind: Kind
    id: str
    owner: str = ""  #: of an agent: the person answerable for it
    groups: frozenset[str] = frozenset()
    key_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """What is kept of a key: never the secret. Times in ms since the epoch, 0: none."""

    key_id: str
    kind: Kind
    subject: str
    owner: str = ""
    groups: tuple[str, ...] = ()
    hash: str  #: HMAC-SHA256 of the secret, keyed with a pepper that is not in the store
    created: int
    expires: int = 0
    revoked: int = 0
