"""What browsers are asked to sign, and whether they did: the only user of the `webauthn` library.

It takes a quarter of a second to import, so nothing that runs at the start imports this module.
Source: Web Authentication Level 3, sections 7.1 and 7.2.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import (
    base64url_to_bytes,
    bytes_to_base64url,
    decode_credential_public_key,
    decoded_public_key_to_cryptography,
    options_to_json_dict,
    parse_attestation_object,
    parse_client_data_json,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AttestationFormat,
    AuthenticationCredential,
    AuthenticatorAssertionResponse,
    AuthenticatorAttestationResponse,
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    RegistrationCredential,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from ..core.errors import Forbidden
from ..core.redaction import visible_line
from ..people_ports import Authenticator, Challenge
from .models_signed import Assertion, Attestation
from .relying_party import RelyingParty

TIMEOUT_MS = 300_000
RSA_BITS = 2048
# the library wraps most, not all, of what malformed bytes make of it
_MALFORMED = (WebAuthnException, ValueError, TypeError, KeyError, IndexError, AttributeError)
_TRANSPORTS = frozenset(each.value for each in AuthenticatorTransport)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A new authenticator, as it was verified."""

    id: str
    public_key: bytes
    sign_count: int
    synced: bool
    backed_up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What a genuine signature said of its authenticator."""

    sign_count: int
    backed_up: bool


def question(challenge: Challenge) -> bytes:
    """Return the bytes to sign: SHA-256 over a nonce and all that the signature is good for."""
    said = json.dumps(challenge.subject, separators=(",", ":")).encode()
    return hashlib.sha256(b"interlock-challenge-1" + challenge.nonce + said).digest()


def handle(person: str) -> bytes:
    """Return what authenticators know a person by: it tells nobody who they are."""
    return hashlib.sha256(b"interlock-person-1" + person.encode()).digest()


def creation(
    party: RelyingParty, person: str, known: Sequence[Authenticator], challenge: Challenge
) -> dict[str, Any]:
    """Return PublicKeyCredentialCreationOptionsJSON for another authenticator of *person*."""
    options = generate_registration_options(
        rp_id=party.id,
        rp_name="Interlock",
        user_id=handle(person),
        user_name=person,
        challenge=question(challenge),
        timeout=TIMEOUT_MS,
        exclude_credentials=_described(known),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.DISCOURAGED,  # we always say which may sign
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
    )
    return options_to_json_dict(options)


def request(
    party: RelyingParty, known: Sequence[Authenticator], challenge: Challenge
) -> dict[str, Any]:
    """Return PublicKeyCredentialRequestOptionsJSON for a signature with any of *known*."""
    options = generate_authentication_options(
        rp_id=party.id,
        challenge=question(challenge),
        timeout=TIMEOUT_MS,
        allow_credentials=_described(known),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return options_to_json_dict(options)


def _described(known: Sequence[Authenticator]) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(
            id=base64url_to_bytes(each.id),
            transports=[AuthenticatorTransport(word) for word in each.transports],
        )
        for each in known
    ]


def transports(words: Sequence[str]) -> tuple[str, ...]:
    """Return those that are known, each once."""
    return tuple(sorted(_TRANSPORTS.intersection(words)))


def made(party: RelyingParty, given: Attestation, challenge: Challenge) -> Made:
    """Verify a new authenticator.

    Its maker is not asked for: attestation is `none`, or made by the key itself.

    Raises:
        Forbidden: it was not made here, now, for this question, with its user verified.
    """
    try:
        attested = base64url_to_bytes(given.response.attestation_object)
        _own_word(attested)
        found = verify_registration_response(
            credential=RegistrationCredential(
                id=given.id,
                raw_id=base64url_to_bytes(given.id),
                response=AuthenticatorAttestationResponse(
                    client_data_json=_own_page(given.response.client_data),
                    attestation_object=attested,
                ),
            ),
            expected_challenge=question(challenge),
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=True,
        )
        _strong(found.credential_public_key)
    except _MALFORMED as error:
        raise Forbidden(f"The new authenticator cannot be taken: {_said(error)}") from error
    if bytes_to_base64url(found.credential_id) != given.id:
        raise Forbidden("The new authenticator cannot be taken: it has two ids.")
    return Made(
        id=given.id,
        public_key=found.credential_public_key,
        sign_count=found.sign_count,
        synced=found.credential_device_type is CredentialDeviceType.MULTI_DEVICE,
        backed_up=found.credential_backed_up,
    )


def signed(
    party: RelyingParty, which: Authenticator, given: Assertion, challenge: Challenge
) -> Signed:
    """Verify a signature of *which* over the question *challenge*.

    Raises:
        Forbidden: it is not that, its user was not verified, or its counter went back.
    """
    user = given.response.user_handle
    try:
        found = verify_authentication_response(
            credential=AuthenticationCredential(
                id=given.id,
                raw_id=base64url_to_bytes(given.id),
                response=AuthenticatorAssertionResponse(
                    client_data_json=_own_page(given.response.client_data),
                    authenticator_data=base64url_to_bytes(given.response.authenticator_data),
                    signature=base64url_to_bytes(given.response.signature),
                ),
            ),
            expected_challenge=question(challenge),
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=which.public_key,
            credential_current_sign_count=0,  # looked at below, once the signature is known good
            require_user_verification=True,
        )
        whose = base64url_to_bytes(user) if user else handle(which.person)
    except _MALFORMED as error:
        raise Forbidden(f"The signature does not hold: {_said(error)}") from error
    if whose != handle(which.person):
        raise Forbidden("The signature does not hold: it is somebody else's.")
    if (found.credential_device_type is CredentialDeviceType.MULTI_DEVICE) is not which.synced:
        raise Forbidden("The signature does not hold: this is not the authenticator that it was.")
    count = found.new_sign_count
    if (count or which.sign_count) and count <= which.sign_count:
        raise Forbidden(
            f"The authenticator's counter went from {which.sign_count} to {count}: somebody may"
            " have a copy of it. Nothing was decided; remove it, and use another one."
        )
    return Signed(sign_count=count, backed_up=found.credential_backed_up)


def _own_page(encoded: str) -> bytes:
    """Return the client's data, unless another site had our page in a frame."""
    data = base64url_to_bytes(encoded)
    if parse_client_data_json(data).cross_origin:
        raise ValueError("it was made in a frame of another site")
    return data


def _own_word(attested: bytes) -> None:
    """Raise ValueError for an attestation that only its maker's certificates can verify."""
    found = parse_attestation_object(attested)
    alone = found.fmt == AttestationFormat.PACKED and not found.att_stmt.x5c
    if found.fmt != AttestationFormat.NONE and not alone:
        raise ValueError("it names its maker, which nobody asked for")


def _strong(public_key: bytes) -> None:
    """Raise where no signature of this key could be verified, or anybody could make one."""
    key = decoded_public_key_to_cryptography(decode_credential_public_key(public_key))
    if isinstance(key, RSAPublicKey) and (
        key.key_size < RSA_BITS or key.public_numbers().e < 65_537
    ):
        raise ValueError("its key is too weak")


def _said(error: Exception) -> str:
    text = str(error) if isinstance(error, WebAuthnException | ValueError) else "it is malformed"
    return visible_line(text[:300]).rstrip(".") + "."
