"""What `interlock serve` and `interlock mcp` build alike from a configuration."""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from .approvals.rotation import Rotation
from .channels import Means, Reader, addresses, channels_of
from .core.errors import StoreUnavailable
from .core.rules import PolicySet
from .doctor import weak_ground
from .gate import Gate
from .keyfiles import DerivedKeys, derived_keys
from .learning import Calibration
from .notify.delivery import Delivery
from .notify.log import Notifier as LogNotifier
from .observe.audited import CountedAudits
from .observe.metrics import Metrics
from .policies.schemas import compile_schema
from .ports import Limits, Notifier
from .practising import Around, Practising
from .reload import PolicyWatch
from .settings import Config
from .space import shortage
from .store.audits import RedisAudits
from .store.calibration import RedisCalibration
from .store.credentials import RedisAuthenticators
from .store.definitions import StoredDefinitions
from .store.desk import RedisDesk
from .store.embedded import EmbeddedStore
from .store.keyring import RedisKeyRing
from .store.outbox import RedisOutbox
from .store.policies_seen import RedisPoliciesSeen
from .store.practice import RedisPractice
from .store.redis import RedisStore
from .store.same_secret import RedisSameSecret
from .system import SystemClock
from .tasks import Tasks, stopped
from .tryout import Loaded

log = logging.getLogger("interlock")

SWEEP = 1.0  #: seconds between two looks for what has lapsed
TELL_AGAIN = 60.0  #: seconds before the log says again that the store does not answer
PRESENCE = 8.0  #: seconds that a caller of a held call has to come back, as the ingress says
TESTED = "policy.tested"  #: in the data directory: which policy files passed their suites


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A gate and what stands around it."""

    config: Config
    gate: Gate
    store: RedisStore
    ring: RedisKeyRing
    metrics: Metrics
    definitions: StoredDefinitions
    desk: RedisDesk
    authenticators: RedisAuthenticators
    delivery: Delivery
    practice: RedisPractice
    audits: CountedAudits
    calibration: Calibration


async def open_store(config: Config, stack: AsyncExitStack) -> tuple[RedisStore, str]:
    """Return the store, and where it is in words; it is closed with *stack*."""
    settings = config.store
    if settings.url is None:
        embedded = EmbeddedStore(
            config.data,
            fsync=settings.embedded.fsync,
            maxmemory=settings.embedded.max_memory,
            tell=log.warning,
        )
        await stack.enter_async_context(embedded)
        url, where = embedded.url, f"embedded, in {_short(config.data)}"
    else:
        url, where = settings.url.reveal(), "your own server"
    limits = Limits(
        held_per_agent=config.agents.held_per_agent,
        held_in_all=config.agents.held_in_all,
        kept_per_agent=config.agents.kept_per_agent,
        tasks_per_agent=config.agents.sessions_per_agent,
        join_window_ms=round(config.retention.joins * 1000),
        keep_ms=round(config.retention.unreviewed * 1000),
        keep_reviewed_ms=round(config.retention.reviewed * 1000),
    )
    store = RedisStore(url, settings.prefix, limits)
    stack.push_async_callback(store.close)
    return store, where


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def definitions_of(config: Config, store: RedisStore, keys: DerivedKeys) -> StoredDefinitions:
    """Return what servers said of their tools, as the store has it; `refresh` it before use."""
    settings = config.servers.items()
    return StoredDefinitions(
        store.client,
        key=keys.definitions,
        first_use=frozenset(name for name, each in settings if each.definitions == "first-use"),
        compile_schema=lambda schema: compile_schema(schema, frozenset()),
        prefix=config.store.prefix,
    )


def same_secret_of(config: Config, store: RedisStore, keys: DerivedKeys) -> RedisSameSecret:
    """Return what tells whether this installation's secret made *store*."""
    return RedisSameSecret(store.client, key=keys.store, prefix=config.store.prefix)


def desk_of(config: Config, store: RedisStore, keys: DerivedKeys) -> RedisDesk:
    """Return what people share about reviewing; *store* holds to the stops that it knows of."""
    desk = RedisDesk(store.client, key=keys.desk, prefix=config.store.prefix)
    store.stops_known = desk.stops_known
    return desk


def authenticators_of(config: Config, store: RedisStore, keys: DerivedKeys) -> RedisAuthenticators:
    """Return people's security keys and passkeys."""
    key, prefix = keys.authenticators, config.store.prefix
    return RedisAuthenticators(store.client, key=key, prefix=prefix)


def notifiers_of(
    config: Config, desk: RedisDesk, policy: Callable[[], PolicySet]
) -> tuple[Notifier, ...]:
    """Return what asks and tells people; *policy* answers the one in force."""
    told = (LogNotifier(config.people_url, desk),) if config.notify.log is not None else ()
    return (Rotation(desk, policy), *told)


def practice_of(config: Config, store: RedisStore) -> RedisPractice:
    """Return what is remembered of practice calls."""
    return RedisPractice(store.client, prefix=config.store.prefix)


def practising_of(
    config: Config,
    store: RedisStore,
    practice: RedisPractice,
    metrics: Metrics,
    gate: Callable[[], Gate],
) -> Practising:
    """Return what puts practice calls among the held ones; have it `run`."""
    around = Around(
        draw=secrets.SystemRandom().random,
        upstreams=frozenset({*config.upstreams, *config.servers}),
        wait_seconds=config.agents.hold + PRESENCE,
        counted=metrics.practised,
        held=metrics.practice_held,
        ended=metrics.practice_ended,
    )
    return Practising(gate, store, practice, around)


def delivery_of(
    config: Config,
    store: RedisStore,
    keys: DerivedKeys,
    desk: RedisDesk,
    metrics: Metrics,
    gate: Callable[[], Gate],
) -> Delivery:
    """Return what tells people through channels; *gate* is asked for once something is told."""
    calls = Reader(gate)
    built = channels_of(Means(config=config, store=store, keys=keys, calls=calls))
    metrics.know_channels([each.channel.name for each in built])
    digests = {
        each.channel.name: round(each.settings.digest * 1000)
        for each in built
        if each.settings.digest is not None
    }
    return Delivery(
        outbox=RedisOutbox(store.client, config.store.prefix),
        channels=tuple(each.channel for each in built),
        calls=calls,
        desk=desk,
        url=config.people_url,
        upstreams=addresses(config),
        digests=digests,
        counted=metrics.notified,
    )


def audits_of(config: Config, store: RedisStore, gate: Gate, metrics: Metrics) -> CountedAudits:
    """Return what people and agents say of calls that have ended."""
    return CountedAudits(RedisAudits(store.client, gate.notes, config.store.prefix), metrics)


def calibrations_of(parts: Parts) -> RedisCalibration:
    """Return where models of agents' confidence are kept."""
    return _calibrations(parts.config, parts.store, derived_keys(parts.config))


def _calibrations(config: Config, store: RedisStore, keys: DerivedKeys) -> RedisCalibration:
    return RedisCalibration(store.client, key=keys.calibration, prefix=config.store.prefix)


def calibration_of(
    config: Config, store: RedisStore, keys: DerivedKeys, metrics: Metrics
) -> Calibration:
    """Return what past decisions make of agents' confidence; have it `run`."""
    learning = metrics.learning
    kept = _calibrations(config, store, keys)
    calibration = Calibration(kept, SystemClock(), learning.refused)
    learning.know_calibration(calibration)
    return calibration


def deliver(delivery: Delivery, stack: AsyncExitStack) -> None:
    """Have people told until *stack* ends; what is being sent then gets a moment."""
    if delivery.channels:
        stack.push_async_callback(stopped, [Tasks().spawn(delivery.run(), "delivery")])
        stack.push_async_callback(delivery.close)


def watch_policy(parts: Parts, loaded: Loaded) -> PolicyWatch:
    """Watch the policy files; what this installation could not start with is not reloaded."""

    async def unfit(policy: PolicySet) -> tuple[str, ...]:
        durability, keys = await parts.store.durability(), await parts.ring.records()
        found = weak_ground(parts.config, durability, policy, keys=keys)
        return tuple(f"{each.what} {each.cure}" for each in found if each.critical)

    return PolicyWatch(
        parts.config.policies,
        parts.gate,
        loaded,
        counted=parts.metrics,
        clock=SystemClock(),
        unfit=unfit,
        note=parts.config.data / TESTED,
        seen=policies_seen_of(parts.config, parts.store),
    )


def policies_seen_of(config: Config, store: RedisStore) -> RedisPoliciesSeen:
    """Return which policies came into force lately."""
    return RedisPoliciesSeen(store.client, prefix=config.store.prefix)


async def sweep(gate: Gate, data: Path) -> None:
    """Keep house until cancelled; *data*: the directory whose disk the store may need."""
    told = -math.inf
    while True:
        await asyncio.sleep(SWEEP)
        try:
            await gate.sweep()
        except StoreUnavailable as error:
            if time.monotonic() - told >= TELL_AGAIN:
                told = time.monotonic()
                log.warning("%s", f"{shortage(data)} {error.detail}".strip())
        except Exception:  # outermost: one bad record must not stop what ends all others
            log.exception("a sweep failed; the next one is in %g s", SWEEP)
