"""What a browser's authenticator signed, as the page sends it; all bytes in base64url."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


ChallengeId = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="of the options that were signed")
]
CredentialId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,1400}$")]
Bytes = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,8000}$")]


class AssertionResponse(_Part):
    client_data: Bytes = Field(alias="clientDataJSON")
    authenticator_data: Bytes = Field(alias="authenticatorData")
    signature: Bytes
    user_handle: Bytes | None = Field(default=None, alias="userHandle")


class Assertion(_Part):
    """What `navigator.credentials.get()` gave: a signature."""

    id: CredentialId
    type: Literal["public-key"]
    response: AssertionResponse


class AttestationResponse(_Part):
    client_data: Bytes = Field(alias="clientDataJSON")
    attestation_object: Bytes = Field(alias="attestationObject")
    transports: list[Annotated[str, Field(max_length=40)]] = Field(default=[], max_length=16)


class Attestation(_Part):
    """What `navigator.credentials.create()` gave: a new authenticator."""

    id: CredentialId
    type: Literal["public-key"]
    response: AttestationResponse


class StepUp(_Part):
    """A signature, and which question it answers: it is good for that one, once."""

    challenge_id: ChallengeId
    credential: Assertion
