"""How people sign in here: what configuration says, as what the people's side needs."""

from __future__ import annotations

import hashlib
import json

from .approvals.identity import Sessions, linked
from .approvals.oidc_browsers import Browsers, OidcDoor
from .approvals.oidc_people import Registration
from .approvals.oidc_provider import Provider
from .core.actions import Reviewer
from .core.identity import Kind
from .people_ports import SignedIn
from .ports import Clock
from .settings import Config
from .settings_people import Oidc
from .settings_types import known_person
from .store.redis import RedisStore
from .store.sessions import RedisSignIns


def sessions_of(config: Config, store: RedisStore, key: bytes, clock: Clock) -> Sessions:
    """Return who is signed in, in every process on this store; *key* is not in it."""
    settings = config.people.sessions
    ways = _ways(config)

    def known(who: SignedIn) -> bool:
        return who.by in ways

    kept = sign_ins_of(config, store, key, clock)
    return Sessions(
        kept, key=key, clock=clock, longest_ms=round(settings.longest * 1000), known=known
    )


def sign_ins_of(config: Config, store: RedisStore, key: bytes, clock: Clock) -> RedisSignIns:
    """Return the sessions that the store keeps."""
    idle_ms = round(config.people.sessions.idle * 1000)
    return RedisSignIns(
        store.client, key=key, clock=clock, idle_ms=idle_ms, prefix=config.store.prefix
    )


def oidc_of(config: Config, key: bytes, clock: Clock) -> OidcDoor | None:
    """Return the way in by OpenID Connect, if there is one; its provider is to be closed."""
    if config.people.oidc is None:
        return None
    registered = registration(config.people.oidc, config.people_url)
    return OidcDoor(provider=Provider(registered, clock), browsers=Browsers(key), clock=clock)


def registration(settings: Oidc, url: str) -> Registration:
    """Return how Interlock at *url* is known to the provider."""
    roles = settings.roles
    return Registration(
        issuer=settings.issuer,
        client_id=settings.client_id,
        client_secret=settings.client_secret.reveal() if settings.client_secret else "",
        label=settings.name,
        scopes=settings.scopes,
        id_claim=settings.id_claim,
        groups_claim=settings.groups_claim,
        roles={
            Kind.APPROVER: frozenset(roles.approver),
            Kind.ADMIN: frozenset(roles.admin),
            Kind.AUDITOR: frozenset(roles.auditor),
        },
        audiences=frozenset(settings.audiences),
        url=url,
        way=_way(settings),
        named=known_person,
    )


def _way(settings: Oidc) -> str:
    """Return what sessions say that were opened so; it changes with what decides who comes in."""
    said = settings.model_dump(
        mode="json", include={"issuer", "client_id", "id_claim", "groups_claim", "roles"}
    )
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
    return f"oidc {digest[:32]}"


def _ways(config: Config) -> frozenset[str]:
    """Return what may have signed somebody in: who is taken out of the file is signed out."""
    people = config.people.local
    links = {linked(Reviewer(id=each.id, groups=frozenset(each.groups))) for each in people}
    oidc = config.people.oidc
    return frozenset(links | ({_way(oidc)} if oidc is not None else set()))
