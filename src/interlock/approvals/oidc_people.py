"""From claims of a provider to a person here, or to what keeps them out. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.actions import Reviewer
from ..core.errors import Forbidden
from ..core.identity import Kind
from ..core.redaction import visible_line

ORDER = (Kind.APPROVER, Kind.ADMIN, Kind.AUDITOR)  #: what is offered, the usual one first
MOST_GROUPS = 1000
_SHOWN = 128


class NotAPerson(Forbidden):
    """The provider knows them, and they may not sign in here."""

    kind = "sign-in-refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """How Interlock is registered at a provider, and what it makes of the people from there.

    `named` checks the id or a group of a person (ValueError: it cannot be one here). `way` is what
    sessions say that were opened so.
    """

    issuer: str
    client_id: str
    client_secret: str = field(default="", repr=False)  #: empty: a public client
    label: str
    scopes: tuple[str, ...]
    id_claim: str
    groups_claim: str
    roles: Mapping[Kind, frozenset[str]]
    audiences: frozenset[str]
    url: str  #: where people reach Interlock, without a slash at its end
    way: str
    named: Callable[[str], str]

    @property
    def redirect_uri(self) -> str:
        return f"{self.url}/oidc/callback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """Somebody who may come in, as any of `kinds`. `unusable`: groups that policies cannot name."""

    person: Reviewer
    kinds: tuple[Kind, ...]
    unusable: int = 0


def lacking(claims: Mapping[str, Any], registered: Registration) -> bool:
    """Say whether the ID token leaves out what the userinfo endpoint may have."""
    return found(claims, registered.groups_claim) is None or claims.get(registered.id_claim) is None


def merged(token: Mapping[str, Any], userinfo: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return both; the ID token, which is signed, goes first.

    Whether an address is verified is said by the one that has the address.
    """
    claims = {**userinfo, **token}
    if "email" in token:
        claims["email_verified"] = token.get("email_verified")
    elif "email" in userinfo:
        claims["email_verified"] = userinfo.get("email_verified")
    return claims


def arrived(claims: Mapping[str, Any], registered: Registration) -> Arrived:
    """Return who came.

    Raises:
        NotAPerson: without a usable id, or without a group that lets them in; it says which do.
    """
    person = _id(claims, registered)
    told = found(claims, registered.groups_claim)
    groups = _groups(told)
    kinds = tuple(kind for kind in ORDER if groups & registered.roles.get(kind, frozenset()))
    if not kinds:
        raise _no_role(person, told, claims, registered)
    usable = frozenset(group for group in groups if _usable(group, registered))
    return Arrived(
        person=Reviewer(id=person, groups=usable),
        kinds=kinds,
        unusable=len(groups) - len(usable),
    )


def found(claims: Mapping[str, Any], name: str) -> Any:
    """Return the claim *name*: by its whole name, or as a path (`realm_access.roles`)."""
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _id(claims: Mapping[str, Any], registered: Registration) -> str:
    name = registered.id_claim
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise NotAPerson(
            f"{_told(registered)} did not say who you are: there is no `{name}` in its answer.",
            help=f"Whoever runs Interlock has to have the provider send `{name}`, or to choose "
            "another `people.oidc.id_claim`.",
        )
    if name == "email" and claims.get("email_verified") not in (True, "true"):
        raise NotAPerson(
            f"{_told(registered)} does not say that the address {_line(value)} is verified.",
            help="Verify it there. Where the provider never says so, whoever runs Interlock can "
            "choose another `people.oidc.id_claim`.",
        )
    try:
        return registered.named(value)
    except ValueError as error:
        raise NotAPerson(
            f"{_told(registered)} calls you {_line(value)}, which cannot be an id here: {error}.",
            help="Whoever runs Interlock can choose another `people.oidc.id_claim`.",
        ) from None


def _groups(told: Any) -> frozenset[str]:
    """Return the groups in a claim; a text alone is one group, never several."""
    listed = [told] if isinstance(told, str) else told if isinstance(told, list) else []
    return frozenset(each for each in listed[:MOST_GROUPS] if isinstance(each, str))


def _usable(group: str, registered: Registration) -> bool:
    try:
        return bool(registered.named(group))
    except ValueError:
        return False


def _no_role(
    person: str, told: Any, claims: Mapping[str, Any], registered: Registration
) -> NotAPerson:
    needed = [
        f"{group} ({kind.value})"
        for kind in ORDER
        for group in sorted(registered.roles.get(kind, ()))
    ]
    ask = f"Ask for one of these groups: {', '.join(needed)}. Then sign in again."
    if not needed:
        ask = "Whoever runs Interlock has to say under `people.oidc.roles` who may come in."
    if told is None:
        elsewhere = claims.get("_claim_names")  # Entra, of people in more than 200 groups
        overflow = isinstance(elsewhere, Mapping) and registered.groups_claim in elsewhere
        ask = (
            "You are in more groups than the provider sends; it can send roles, or fewer groups."
            if overflow
            else f"The provider sends no `{registered.groups_claim}`: whoever runs Interlock has to"
            " add that claim there, or to name another as `people.oidc.groups_claim`."
        ) + f" {ask}"
    return NotAPerson(
        f"You are signed in as {_line(person)} there, and none of your groups lets you in here.",
        help=ask,
    )


def _told(registered: Registration) -> str:
    return f"The provider {registered.issuer}"


def _line(text: str) -> str:
    return visible_line(text[:_SHOWN])
