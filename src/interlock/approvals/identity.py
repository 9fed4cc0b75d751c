"""Local sign-in: links that work once, and the sessions that they open.

Everything is kept in this process: a restart signs everybody out. Secrets are kept as SHA-256
only, and compared in constant time.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from ..core.actions import Reviewer
from ..ports import Clock

LINK_MS = 900_000  #: how long a sign-in link works
SESSION_MS = 43_200_000  #: how long a session lasts: 12 hours
_MOST = 10_000  #: links, and sessions, kept at most; the oldest go first


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A signed-in person. `secret` binds CSRF tokens to this session; `expires` in ms."""

    person: Reviewer
    secret: bytes
    expires: int

    def token(self, purpose: str) -> str:
        """Return the CSRF token for *purpose*: HMAC-SHA256, hex."""
        return hmac.new(self.secret, purpose.encode(), hashlib.sha256).hexdigest()

    def permits(self, token: str, purpose: str) -> bool:
        return hmac.compare_digest(token.encode(), self.token(purpose).encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Link:
    person: Reviewer
    expires: int


def deciding(digest: str) -> str:
    """Return the purpose of a token that decides the call with *digest* and no other."""
    return f"decide {digest}"


SIGNING_OUT = "sign out"
REVOKING = "revoke a grant"


class OneTimeLinks:
    """Sign-in links: looking at one changes nothing, redeeming it uses it up."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._links: dict[bytes, _Link] = {}

    def issue(self, person: Reviewer) -> str:
        """Return the token of a new link for *person*, to be shown once."""
        token = secrets.token_urlsafe(32)
        expires = self._clock.now_ms() + LINK_MS
        _bound(self._links)
        self._links[_hash(token)] = _Link(person=person, expires=expires)
        return token

    def peek(self, token: str) -> Reviewer | None:
        """Return who *token* signs in, without using it: link previews must not."""
        link = self._links.get(_hash(token))
        return link.person if link and self._clock.now_ms() < link.expires else None

    def redeem(self, token: str) -> Reviewer | None:
        """Return who *token* signs in and use it up; None where it is unknown, used or old."""
        link = self._links.pop(_hash(token), None)
        return link.person if link and self._clock.now_ms() < link.expires else None


class Sessions:
    """Who is signed in. A cookie is `<id>.<HMAC of the id>`; neither is kept as it is."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._open: dict[bytes, Session] = {}

    def open(self, person: Reviewer) -> str:
        """Sign *person* in and return the value of their cookie."""
        name = secrets.token_urlsafe(32)
        expires = self._clock.now_ms() + SESSION_MS
        _bound(self._open)
        session = Session(person=person, secret=secrets.token_bytes(32), expires=expires)
        self._open[_hash(name)] = session
        return f"{name}.{self._sign(name)}"

    def find(self, cookie: str) -> Session | None:
        """Return the session of *cookie*, or None where there is none (any more)."""
        name, _, mac = cookie.partition(".")
        if not hmac.compare_digest(mac.encode(), self._sign(name).encode()):
            return None
        session = self._open.get(_hash(name))
        if session and self._clock.now_ms() >= session.expires:
            del self._open[_hash(name)]
            return None
        return session

    def close(self, cookie: str) -> None:
        """Sign out; harmless for a cookie that is not known."""
        self._open.pop(_hash(cookie.partition(".")[0]), None)

    def _sign(self, name: str) -> str:
        return hmac.new(self._key, name.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _bound(kept: dict[bytes, _Link] | dict[bytes, Session]) -> None:
    if len(kept) >= _MOST:
        del kept[next(iter(kept))]
