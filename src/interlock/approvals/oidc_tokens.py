"""ID tokens: which of them say who somebody is. Pure; the time is given.

Signatures and keys are joserfc's; every claim is compared here. Source: OpenID Connect Core 1.0,
section 3.1.3.7; RFC 7515, 7518, 8037; RFC 8725 (one list of algorithms, chosen here).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

LEEWAY = 60  #: seconds that clocks may differ
OLDEST = 600  #: seconds since a token that was asked for just now was made
LONGEST = 65_536  #: characters of a token
MOST_KEYS = 64
_RSA_BITS = 2048
_PUBLIC = ("kty", "kid", "alg", "use", "n", "e", "crv", "x", "y")

Key = RSAKey | ECKey | OKPKey
Claims = Mapping[str, Any]

_DIGESTS = {
    "RS256": hashlib.sha256,
    "PS256": hashlib.sha256,
    "ES256": hashlib.sha256,
    "EdDSA": hashlib.sha512,  # Ed25519 hashes with SHA-512
}
ALGORITHMS = tuple(_DIGESTS)
"""The only ones that are taken: never `none`, and nothing whose key is shared."""

_REGISTRY = jws.JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)


class TokenRefused(Exception):
    """The token proves nothing; the text says why, for the log."""


class UnknownKey(TokenRefused):
    """It is signed with a key that the provider did not publish when it was last asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What an ID token has to say. `audiences`: others that it may be for besides `client_id`."""

    issuer: str
    client_id: str
    nonce: str = field(repr=False)
    audiences: frozenset[str] = frozenset()


def signing_keys(document: Mapping[str, Any]) -> tuple[Key, ...]:
    """Return the public keys of a JWK set (RFC 7517) that may verify a signature.

    What is of another kind, too short, for another use or damaged is left out.
    """
    entries = document.get("keys")
    usable = entries[:MOST_KEYS] if isinstance(entries, list) else []
    keys = (_imported(entry) for entry in usable if isinstance(entry, dict))
    return tuple(key for key in keys if key is not None)


def _imported(entry: dict[str, Any]) -> Key | None:
    operations = entry.get("key_ops", ["verify"])
    if entry.get("use", "sig") != "sig" or not isinstance(operations, list):
        return None
    if "verify" not in operations:
        return None
    public = {name: entry[name] for name in _PUBLIC if name in entry}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # short keys are refused below
            key = JWKRegistry.import_key(public)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    if isinstance(key, RSAKey):
        return key if key.raw_value.key_size >= _RSA_BITS else None
    return key if isinstance(key, ECKey | OKPKey) else None


def validated(
    token: str, access_token: str, keys: Iterable[Key], expected: Expected, now: int
) -> Claims:
    """Return the claims of a genuine ID token; *now* in seconds since the epoch.

    Raises:
        UnknownKey: the provider's keys may have changed; ask for them and try again.
        TokenRefused: it is not for us, not now, not from there, or not signed.
    """
    header = _header(token)
    algorithm = header["alg"]
    claims = _verified(token, _candidates(keys, header), algorithm)
    _check_origin(claims, expected)
    _check_times(claims, now)
    given = claims.get("nonce")
    if not isinstance(given, str) or not hmac.compare_digest(
        given.encode("utf-8", "replace"), expected.nonce.encode()
    ):
        raise TokenRefused("its nonce is not the one that was sent")
    if "at_hash" in claims and claims["at_hash"] != _at_hash(access_token, algorithm):
        raise TokenRefused("its at_hash does not belong to the access token")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255:
        raise TokenRefused("it names no subject")
    return claims


def _header(token: str) -> Mapping[str, Any]:
    if len(token) > LONGEST:
        raise TokenRefused("it is too long")
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError) as error:
        raise TokenRefused(f"it is no signed token ({type(error).__name__})") from None
    if header.get("alg") not in ALGORITHMS:
        raise TokenRefused("its algorithm is not one that is taken")
    if "crit" in header or "b64" in header:
        raise TokenRefused("it asks for extensions of JWS")
    return header


def _candidates(keys: Iterable[Key], header: Mapping[str, Any]) -> list[Key]:
    """Return the keys that may have signed it: those with its `kid`, or all where it has none."""
    algorithm, kid = header["alg"], header.get("kid")
    fitting = [key for key in keys if _fits(key, algorithm)]
    found = fitting if kid is None else [key for key in fitting if key.get("kid") == kid]
    if not found:
        raise UnknownKey("it is signed with a key that the provider does not publish")
    return found


def _fits(key: Key, algorithm: str) -> bool:
    if key.get("alg") not in (None, algorithm):
        return False
    match algorithm:
        case "RS256" | "PS256":
            return isinstance(key, RSAKey)
        case "ES256":
            return isinstance(key, ECKey) and key.curve_name == "P-256"
        case _:
            return isinstance(key, OKPKey) and key.curve_name == "Ed25519"


def _verified(token: str, keys: list[Key], algorithm: str) -> Claims:
    for key in keys:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SecurityWarning)  # RFC 9864 renames EdDSA
                return jwt.decode(token, key, algorithms=[algorithm], registry=_REGISTRY).claims
        except (JoseError, ValueError):
            continue
    raise TokenRefused("its signature is not the provider's")


def _check_origin(claims: Claims, expected: Expected) -> None:
    if claims.get("iss") != expected.issuer:
        raise TokenRefused("another issuer made it")
    given = claims.get("aud")
    audience = [given] if isinstance(given, str) else given
    if not isinstance(audience, list) or expected.client_id not in audience:
        raise TokenRefused("it is for somebody else (aud)")
    trusted = {expected.client_id, *expected.audiences}
    if not all(isinstance(each, str) and each in trusted for each in audience):
        raise TokenRefused("it is also for somebody whom `audiences` does not name (aud)")
    if claims.get("azp", None if len(audience) > 1 else expected.client_id) != expected.client_id:
        raise TokenRefused("it was given to somebody else (azp)")


def _check_times(claims: Claims, now: int) -> None:
    ends, made, begins = (_seconds(claims.get(name)) for name in ("exp", "iat", "nbf"))
    if ends is None or now >= ends + LEEWAY:
        raise TokenRefused("it has expired (exp)")
    if made is None or not now - OLDEST - LEEWAY <= made <= now + LEEWAY:
        raise TokenRefused("it was not made just now (iat)")
    if "nbf" in claims and (begins is None or begins > now + LEEWAY):
        raise TokenRefused("it is not valid yet (nbf)")


def _seconds(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _at_hash(access_token: str, algorithm: str) -> str:
    """Return the left half of the token's hash: OpenID Connect Core 1.0, section 3.1.3.6."""
    digest = _DIGESTS[algorithm](access_token.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
