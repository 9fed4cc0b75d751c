"""What the OpenAPI document says of signing people out."""

from __future__ import annotations

from pydantic import Field

from .models import Model
from .operation import CSRF, Operation


class SignedOut(Model):
    """Whose sessions ended."""

    id: str
    sessions: int = Field(description="how many ended; other replicas notice within 2 seconds")


OPERATIONS = (
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
