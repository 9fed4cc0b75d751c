"""A security key in software, which does as it is told: also what no real one would."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT, VERIFIED, SYNCED, BACKED_UP, ATTESTED = 1, 4, 8, 16, 64
USUAL = PRESENT | VERIFIED


def text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def data(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class SecurityKey:
    """One authenticator with one credential. `count` is what its next signature says."""

    origin: str
    rp_id: str = "localhost"
    count: int = 0
    counts: bool = True  #: False: its counter stays at 0, as that of passkeys
    flags: int = USUAL
    id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    @property
    def name(self) -> str:
        return text(self.id)

    def make(self, options: dict[str, Any], **otherwise: Any) -> dict[str, Any]:
        """Answer PublicKeyCredentialCreationOptions."""
        attested = b"\0" * 16 + len(self.id).to_bytes(2, "big") + self.id + self.public_key
        said = self.authenticator_data(otherwise, more=attested, also=ATTESTED)
        whole = {"fmt": "none", "attStmt": {}, "authData": said} | otherwise.get("whole", {})
        return {
            "id": self.name,
            "type": "public-key",
            "response": {
                "clientDataJSON": text(self.client_data("webauthn.create", options, otherwise)),
                "attestationObject": text(cbor2.dumps(whole)),
                "transports": ["usb"],
            },
        }

    def sign(self, options: dict[str, Any], **otherwise: Any) -> dict[str, Any]:
        """Answer PublicKeyCredentialRequestOptions; *otherwise*: what it does differently."""
        client = self.client_data("webauthn.get", options, otherwise)
        said = self.authenticator_data(otherwise)
        signature = self.key.sign(said + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        response = {
            "clientDataJSON": text(client),
            "authenticatorData": text(said),
            "signature": text(signature),
        }
        if "user_handle" in otherwise:
            response["userHandle"] = text(otherwise["user_handle"])
        return {"id": self.name, "type": "public-key", "response": response}

    @property
    def public_key(self) -> bytes:
        numbers = self.key.public_key().public_numbers()
        x, y = (number.to_bytes(32, "big") for number in (numbers.x, numbers.y))
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})

    def client_data(self, kind: str, options: dict[str, Any], otherwise: dict[str, Any]) -> bytes:
        said = {
            "type": kind,
            "challenge": options["challenge"],
            "origin": self.origin,
            "crossOrigin": False,
        }
        return json.dumps(said | otherwise.get("client", {})).encode()

    def authenticator_data(
        self, otherwise: dict[str, Any], *, more: bytes = b"", also: int = 0
    ) -> bytes:
        self.count = otherwise.get("count", self.count + 1 if self.counts else 0)
        rp_id = otherwise.get("rp_id", self.rp_id)
        flags = otherwise.get("flags", self.flags) | also
        head = hashlib.sha256(rp_id.encode()).digest() + bytes([flags])
        return head + self.count.to_bytes(4, "big") + more
