"""What the OpenAPI document says of signing people out."""

from __future__ import annotations

from pydantic import Field

from .models import Model
from .operation import CSRF, Operation


class SignedOut(Model):
    """Whose sessions ended."""

    id: str
    sessions: int = Field(description="how many ended; other replicas notice within 2 seconds")


class SignInLink(Model):
    """A link that signs you in, once."""

    id: str
    url: str = Field(description="to be opened in your browser; a secret until it is used")
    path: str = Field(description="the same, under whatever name you reach Interlock by")
    seconds: int = Field(description="how long it works")


OPERATIONS = (
    Operation(
        method="POST",
        path="/v1/me/link",
        name="makeSignInLink",
        summary="A fresh one-time link to sign in by, for somebody in `people.local` who shows"
        " their own key (from no session)",
        answers=SignInLink,
        refusals=(401, 403, 404, 421, 503),
    ),
    Operation(
        method="POST",
        path="/v1/people/{id}/sign-out",
        name="signPersonOut",
        summary="End every session of a person, in every browser; for admins",
        answers=SignedOut,
        parameters=(
            {
                "name": "id",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "pattern": "^[A-Za-z0-9@._+-]{1,128}$"},
            },
            CSRF,
        ),
        refusals=(401, 403, 404, 421, 503),
    ),
)
