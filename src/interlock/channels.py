"""The channels that configuration names: one builder for each key of `notify` besides `log`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from .approvals.slack import SlackDoor
from .core.actions import Action, Reviewer
from .core.rules import PolicySet
from .gate import Gate
from .keyfiles import DerivedKeys
from .notify.apprise import AppriseChannel, AppriseWay
from .notify.channel import Channel
from .notify.slack import Slack, SlackWay
from .notify.webhook import Receiver, Webhook
from .ports import Clock, Notice
from .settings import Config
from .settings_notify import ChannelSettings
from .store.channel_notes import RedisChannelNotes
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


def _slack(means: Means) -> Iterable[Built]:
    each = means.config.notify.slack
    if each is None:
        return
    way = SlackWay(
        token=each.token.reveal(),
        channel=each.channel,
        url=means.config.people_url,
        api_url=each.api_url,
        key=means.keys.channels,
        decides=each.decides,
        approve=each.approve,
        arguments=each.arguments,
        wants=wanted(each),
        upstreams=addresses(means.config),
    )
    notes = RedisChannelNotes(means.store.client, prefix=means.config.store.prefix)
    yield Built(Slack(way, means.calls, notes), each)


def _apprise(means: Means) -> Iterable[Built]:
    each = means.config.notify.apprise
    if each is None:
        return
    way = AppriseWay(
        urls=tuple(url.reveal() for url in each.urls),
        timeout=each.timeout,
        arguments=each.arguments,
        wants=wanted(each),
    )
    yield Built(AppriseChannel(way), each)


def slack_door(
    config: Config, keys: DerivedKeys, channels: Iterable[Channel], clock: Clock
) -> SlackDoor | None:
    """Return how buttons in Slack are heard, through the channel that draws them."""
    settings = config.notify.slack
    talk = next((each for each in channels if isinstance(each, Slack)), None)
    if settings is None or settings.signing_secret is None or talk is None:
        return None
    local = {each.id: each.groups for each in config.people.local}
    return SlackDoor(
        secret=settings.signing_secret.reveal(),
        key=keys.channels,
        app=settings.app,
        team=settings.team,
        people={
            user: Reviewer(
                id=each.id,
                groups=frozenset(local.get(each.id, ()) if each.groups is None else each.groups),
            )
            for user, each in settings.people.items()
        },
        talk=talk,
        clock=clock,
    )


BUILDERS: Mapping[str, Callable[[Means], Iterable[Built]]] = {
    "webhook": _webhooks,
    "slack": _slack,
    "apprise": _apprise,
}
"""By the key under `notify`, which is the name of the channel's file in `interlock.notify`."""
