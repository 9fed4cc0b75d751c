"""What binds the answer of a sign-in provider to the browser that asked. Pure but for chance.

One random value in a short-lived cookie of that browser; `state`, `nonce` and the PKCE verifier are
derived from it with a key of this installation, so that any replica can finish what another began,
and nothing is kept for those who never come back. Sources: RFC 7636 (PKCE, S256); RFC 6749, section
10.12; OpenID Connect Core 1.0, section 15.5.2 (nonce).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field

from ..ports import Clock
from .oidc_provider import Provider

STARTED_MS = 600_000  #: how long somebody may take at the provider
_COOKIE = re.compile(r"(?P<secret>[\w-]{43})\.(?P<ends>[0-9]{13,16})\.(?P<to>[\w-]*)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A sign-in that a browser has begun; *to*: the page that the person wanted."""

    to: str
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)

    @property
    def challenge(self) -> str:
        """The verifier's SHA-256: RFC 7636, section 4.2."""
        return _base64(hashlib.sha256(self.verifier.encode()).digest())


class Browsers:
    """What binds an answer to a browser. *key*: 32 bytes, the same in every replica."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def begin(self, to: str, now: int) -> tuple[Begun, str]:
        """Return a new sign-in, and the cookie for it; *to*: where the person wants to be."""
        secret = secrets.token_urlsafe(32)
        path = _base64(to.encode())
        said = f"{secret}.{now + STARTED_MS}.{path}"
        return self._begun(secret, to), f"{said}.{self._derived('cookie', said)}"

    def resume(self, cookie: str, now: int) -> Begun | None:
        """Return the sign-in that this browser began; None where it began none lately."""
        said, _, mac = cookie.rpartition(".")
        expected = self._derived("cookie", said)
        if not hmac.compare_digest(mac.encode("utf-8", "replace"), expected.encode()):
            return None
        parts = _COOKIE.fullmatch(said)
        if parts is None or now >= int(parts["ends"]):
            return None
        to = base64.urlsafe_b64decode(parts["to"] + "=" * (-len(parts["to"]) % 4)).decode()
        return self._begun(parts["secret"], to)

    def _begun(self, secret: str, to: str) -> Begun:
        return Begun(
            to=to,
            state=self._derived("state", secret),
            nonce=self._derived("nonce", secret),
            verifier=self._derived("verifier", secret),
        )

    def _derived(self, purpose: str, secret: str) -> str:
        said = f"interlock oidc {purpose}\0{secret}".encode("utf-8", "replace")
        return _base64(hmac.new(self._key, said, hashlib.sha256).digest())


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcDoor:
    """The way in by OpenID Connect."""

    provider: Provider
    browsers: Browsers
    clock: Clock


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
