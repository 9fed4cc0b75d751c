"""How people sign in: the settings of sessions and of an OpenID Connect provider."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from .settings_types import Address, Duration, Node, Secret, web_url

_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,128}")  # RFC 6749, appendix A.4
_SHOWN = re.compile(r"[^\x00-\x1f\x7f]{1,256}")


def issuer_url(value: Any) -> str:
    """Read an issuer as it is: it is compared byte for byte with what the provider says."""
    web_url(value)
    parts = urlsplit(value)
    if not value:
        raise ValueError("write the provider's issuer, such as https://id.example.com/realms/main")
    if parts.scheme != "https" and not Address(parts.hostname or "", 0).loopback:
        raise ValueError(f"{value} has to begin with https://; only this machine may be http://")
    return str(value)


def scope(value: str) -> str:
    """Check one scope."""
    if not _SCOPE.fullmatch(value):
        raise ValueError(f"{value[:70]!r} is no scope: one word each, without spaces and quotes")
    return value


def shown(value: str) -> str:
    """Check a name that comes from the provider's side: any text of one line."""
    if not _SHOWN.fullmatch(value):
        raise ValueError("write a text of one line (at most 256 characters)")
    return value


Shown = Annotated[str, AfterValidator(shown)]


class SessionSettings(Node):
    """How long a browser stays signed in. Sessions are kept in the store."""

    idle: Duration = Field(
        default=28_800.0, ge=60, le=2_592_000, description="One that is not used for so long ends."
    )
    longest: Duration = Field(
        default=43_200.0, ge=60, le=2_592_000, description="When one ends however much it is used."
    )


class OidcRoles(Node):
    """Which of the provider's groups let a person in, and as what. Exactly as it writes them."""

    approver: tuple[Shown, ...] = Field(
        default=(), description="See what waits and decide it, as policy names their groups."
    )
    admin: tuple[Shown, ...] = Field(
        default=(), description="Settle unknown outcomes, sign people out; may not approve."
    )
    auditor: tuple[Shown, ...] = Field(
        default=(), description="See all that approvers see; change nothing."
    )


class Oidc(Node):
    """Sign-in of people at an OpenID Connect provider; see docs/identities.md."""

    issuer: Annotated[str, BeforeValidator(issuer_url)] = Field(
        min_length=1,
        description="The provider's issuer, exactly as its discovery document says it (a slash at"
        " its end matters).",
    )
    client_id: Shown = Field(description="The client that the provider knows Interlock as.")
    client_secret: Secret | None = Field(
        default=None, description="Its secret. Absent: a public client; PKCE is used either way."
    )
    name: Shown = Field(
        default="your organisation's account", description="What the sign-in button names."
    )
    scopes: tuple[Annotated[str, AfterValidator(scope)], ...] = Field(
        default=("openid", "profile", "email"), description="What is asked for."
    )
    id_claim: Literal["email", "sub", "preferred_username"] = Field(
        default="email",
        description="Which claim names a person in records and policies. `email` only where the"
        " provider says that it is verified; it is written in lower case.",
    )
    groups_claim: Shown = Field(
        default="groups",
        description="Which claim lists a person's groups; `a.b` also finds `b` within `a`.",
    )
    roles: OidcRoles = Field(
        default=OidcRoles(), description="Which groups let a person in, and as what."
    )
    audiences: tuple[Shown, ...] = Field(
        default=(), description="What an ID token may be for besides `client_id`."
    )

    @model_validator(mode="after")
    def _asks_for_an_id_token(self) -> Self:
        if "openid" not in self.scopes:
            raise ValueError("`scopes` needs `openid`: without it there is no ID token")
        return self
