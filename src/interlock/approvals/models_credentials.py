"""What the people's API takes and gives about security keys and passkeys; see `models`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from .models import Digest, Model
from .models_signed import Attestation, ChallengeId, CredentialId, StepUp
from .operation import CSRF, IN_PATH, Operation

Label = Annotated[str, Field(min_length=1, max_length=80, description="what you call it")]


# what people send ---------------------------------------------------------------------------


class CredentialOptionsRequest(Model):
    """What is to be done: `add` an authenticator, or `remove` the one with this id."""

    purpose: Literal["add", "remove"]
    id: CredentialId | None = Field(default=None, description="with `remove`: which")


class CredentialRequest(Model):
    """A new authenticator."""

    challenge_id: ChallengeId
    credential: Attestation
    label: Label
    confirmed: StepUp | None = Field(
        default=None, description="signed with one that you have; only the first needs none"
    )


class RemovalRequest(Model):
    """Remove an authenticator."""

    confirmed: StepUp = Field(description="signed with one that you have; it may be this one")


class StepUpRequest(Model):
    """Which decision is to be signed."""

    type: Literal["approve", "edit"]
    digest: Digest
    edited_digest: Digest | None = Field(
        default=None, description="with `edit`: `digest` of the preview"
    )
    version: int = Field(ge=0, le=999_999_999, description="that was looked at")


# what people get ----------------------------------------------------------------------------


class StepUpOptions(Model):
    """For `navigator.credentials.get()`; the signature goes into `step_up` of the decision."""

    challenge_id: str
    expires: int
    origin: str = Field(description="where the page has to be open; elsewhere nothing is signed")
    options: dict[str, Any] = Field(description="PublicKeyCredentialRequestOptionsJSON")


class CredentialOptions(Model):
    """For `navigator.credentials.get()` (`confirm`), then `navigator.credentials.create()`."""

    origin: str = Field(description="where the page has to be open; elsewhere nothing is signed")
    challenge_id: str = Field(description="of `create`; empty: nothing is made")
    create: dict[str, Any] | None = Field(description="PublicKeyCredentialCreationOptionsJSON")
    confirm: StepUpOptions | None = Field(description="null: it is your first one")


class CredentialView(Model):
    """A security key or passkey of yours."""

    id: str
    label: str
    created: int
    used: int = Field(description="0: never since it was added")
    synced: bool = Field(description="a passkey that its maker may copy to your other devices")
    backed_up: bool
    transports: list[str]


class CredentialList(Model):
    """Your security keys and passkeys, oldest first."""

    items: list[CredentialView]
    why_not: str = Field(description="why none can be added now; empty: one can")
    origin: str = Field(description="where the page has to be open; elsewhere nothing is signed")
    csrf: str = Field(description="the token that adds and removes them")
    now: int


# what the OpenAPI document says -------------------------------------------------------------

_MINE = "/v1/me/credentials"
_REFUSALS = (400, 401, 403, 409, 415, 421, 429, 503)
_WHICH = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,1400}$"},
}
OPERATIONS = (
    Operation(
        method="POST",
        path="/v1/approvals/{id}/step-up",
        name="askForSignature",
        summary="What to sign with a security key or passkey to approve or edit this call"
        " (from a session; API keys cannot)",
        answers=StepUpOptions,
        takes=StepUpRequest,
        parameters=(IN_PATH, CSRF),
        refusals=(400, 401, 403, 404, 412, 415, 421, 429, 503),
    ),
    Operation(
        method="GET",
        path=_MINE,
        name="listCredentials",
        summary="Your security keys and passkeys (from a session)",
        answers=CredentialList,
    ),
    Operation(
        method="POST",
        path=f"{_MINE}/options",
        name="prepareCredential",
        summary="What the browser needs to add or to remove one (from a session)",
        answers=CredentialOptions,
        takes=CredentialOptionsRequest,
        parameters=(CSRF,),
        refusals=(400, 401, 403, 404, 415, 421, 429, 503),
    ),
    Operation(
        method="POST",
        path=_MINE,
        name="addCredential",
        summary="Add a security key or passkey (from a session)",
        answers=CredentialView,
        takes=CredentialRequest,
        parameters=(CSRF,),
        refusals=_REFUSALS,
    ),
    Operation(
        method="DELETE",
        path=_MINE + "/{id}",
        name="removeCredential",
        summary="Remove one for good (from a session)",
        answers=CredentialView,
        takes=RemovalRequest,
        parameters=(_WHICH, CSRF),
        refusals=(*_REFUSALS, 404),
    ),
)
