"""The channels that configuration names: one builder for each key of `notify` besides `log`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from .core.actions import Action
from .core.rules import PolicySet
from .gate import Gate
from .keyfiles import DerivedKeys
from .notify.channel import Channel
from .notify.webhook import Receiver, Webhook
from .ports import Notice
from .settings import Config
from .settings_notify import ChannelSettings
from .store.redis import RedisStore
from .system import SystemClock


@dataclass(frozen=True, slots=True)
class Reader:
    """What is read of the gate, which is there once anything is read: it is made after channels."""

    gate: Callable[[], Gate] = field(repr=False)

    @property
    def policy(self) -> PolicySet:
        return self.gate().policy

    async def get(self, action_id: str) -> Action | None:
        return await self.gate().get(action_id)

    def genuine(self, action: Action) -> bool:
        return self.gate().genuine(action)


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What channels are built from."""

    config: Config
    store: RedisStore
    keys: DerivedKeys
    calls: Reader


@dataclass(frozen=True, slots=True)
class Built:
    """A channel and what configuration says of it."""

    channel: Channel
    settings: ChannelSettings


def channels_of(means: Means) -> tuple[Built, ...]:
    """Return every channel that goes through the outbox."""
    return tuple(each for build in BUILDERS.values() for each in build(means))


def wanted(settings: ChannelSettings) -> frozenset[Notice]:
    """Return why people are told through a channel."""
    return frozenset(map(Notice, settings.notices))


def addresses(config: Config) -> dict[str, str]:
    """Return where each tool and server is; one that is started as a command has no address."""
    urls = {name: each.url for name, each in config.upstreams.items()}
    return urls | {name: each.url for name, each in config.servers.items() if each.url}


def _webhooks(means: Means) -> Iterable[Built]:
    for name, each in means.config.notify.webhook.items():
        receiver = Receiver(
            name=name,
            url=each.url.reveal(),
            secrets=tuple(secret.reveal() for secret in each.secrets),
            source=means.config.people_url,
            wants=wanted(each),
            arguments=each.arguments,
            allow_private=each.allow_private,
            timeout=each.timeout,
        )
        yield Built(Webhook(receiver, SystemClock()), each)


BUILDERS: Mapping[str, Callable[[Means], Iterable[Built]]] = {"webhook": _webhooks}
"""By the key under `notify`, which is the name of the channel's file in `interlock.notify`."""
