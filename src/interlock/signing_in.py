"""How people sign in here: what configuration says, as what the people's side needs."""

from __future__ import annotations

from redis.asyncio import Redis

from .approvals.identity import Sessions, linked
from .core.actions import Reviewer
from .ports import Clock, SignedIn
from .settings import Config
from .store.sessions import RedisSignIns


def sessions_of(config: Config, client: Redis, key: bytes, clock: Clock) -> Sessions:
    """Return who is signed in, in every process on this store; *key* is not in it."""
    settings = config.people.sessions
    ways = _ways(config)

    def known(who: SignedIn) -> bool:
        return who.by in ways

    kept = RedisSignIns(
        client,
        key=key,
        clock=clock,
        idle_ms=round(settings.idle * 1000),
        prefix=config.store.prefix,
    )
    return Sessions(
        kept, key=key, clock=clock, longest_ms=round(settings.longest * 1000), known=known
    )


def _ways(config: Config) -> frozenset[str]:
    """Return what may have signed somebody in: who is taken out of the file is signed out."""
    people = config.people.local
    return frozenset(linked(Reviewer(id=each.id, groups=frozenset(each.groups))) for each in people)
