"""The composition root: configuration -> adapters -> Gate -> the two listeners.

The only file that names every concrete class, and the only one that starts and stops things.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import web

from .core.actions import Agent
from .doctor import other_secret, refuse, weak_ground
from .gate import Gate
from .ingress.http import AgentsListener, Route, server
from .ingress.mcp.endpoint import McpEndpoint
from .ingress.outcomes import Answers
from .ingress.problems import Statuses
from .ingress.wire import DEFAULT_FORWARD
from .ingress.wire import Settings as WireSettings
from .keyfiles import derived_keys, ensure_operator_keys
from .observe.log import TransitionLog
from .observe.logging import configure, hide_secrets
from .observe.metrics import Metrics
from .parts import (
    TESTED,
    Parts,
    audits_of,
    authenticators_of,
    calibration_of,
    definitions_of,
    deliver,
    delivery_of,
    desk_of,
    notifiers_of,
    open_store,
    practice_of,
    practising_of,
    same_secret_of,
    sweep,
    watch_policy,
)
from .people import PeopleListener, listen
from .running import Running
from .sending import Timing
from .serving_mcp import opened_mcp, servers_over_http
from .settings import Config
from .settings_tools import ServerSettings, UpstreamSettings
from .settings_types import Address
from .store.keyring import RedisKeyRing
from .system import RandomIds, SystemClock
from .tasks import Tasks
from .tools import credential_of, reached_at
from .tryout import load_once_apart
from .upstream.http import HttpUpstream

log = logging.getLogger("interlock")

AWS_HEADERS = frozenset({"x-amz-*", "content-md5"})  #: they say what an AWS call does
GRACE = 25.0  #: seconds that sends under way get at shutdown; containers usually grant 30


async def run(config: Config, announce: Callable[[Running], None]) -> None:
    """Run Interlock until cancelled; then start no send, finish those under way, and stop.

    Raises:
        InvalidDocument, WeakGround, StoreUnavailable: it cannot start, and says why.
        OSError: a listener cannot be opened.
    """
    configure(config.log.level, config.log.format)
    os.umask(0o077)  # what libraries write is private from its first byte too: DuckDB's log
    async with opened(config) as running:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, running.reload)
        announce(running)
        _collect_less_often()
        try:
            await asyncio.Event().wait()
        finally:
            gc.unfreeze()  # what is frozen outlives the interpreter, which DuckDB reports as leaks


def _collect_less_often() -> None:
    """Keep the collector off what lives as long as the process: it took a tenth of each call."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


@asynccontextmanager
async def opened(config: Config) -> AsyncIterator[Running]:
    """Start everything, and stop it in the reverse order. Raises as `run`."""
    loaded = await load_once_apart(config.policies, config.data / TESTED)
    policy = loaded.policy
    keys = derived_keys(config)
    clock, metrics = SystemClock(), Metrics()
    async with AsyncExitStack() as stack:
        store, where = await open_store(config, stack)
        store.on_error = metrics.store_failed
        ring = RedisKeyRing(
            store.client, pepper=keys.pepper, clock=clock, prefix=config.store.prefix
        )
        durability = await store.durability()
        weaknesses = weak_ground(config, durability, policy, keys=await ring.records())
        refuse(weaknesses)
        refuse(other_secret(await same_secret_of(config, store, keys).keep()))
        metrics.policy(policy.ref)
        upstreams = {name: _upstream(each) for name, each in config.upstreams.items()}
        servers = servers_over_http(config)
        for close in (*(each.close for each in upstreams.values()), servers.close):
            stack.push_async_callback(close)
        definitions, desk = definitions_of(config, store, keys), desk_of(config, store, keys)
        await definitions.refresh()
        metrics.count_waiting_definitions(definitions.waiting)
        delivery = delivery_of(config, store, keys, desk, metrics, lambda: gate)
        practice = practice_of(config, store)
        calibration = calibration_of(config, store, keys, metrics)
        practising = practising_of(config, store, practice, metrics, lambda: gate)
        gate = Gate(
            policy=policy,
            store=store,
            upstreams={**upstreams, **servers.upstreams},
            definitions=definitions,
            notifiers=(*notifiers_of(config, desk, lambda: gate.policy), delivery, practising),
            observers=(metrics, TransitionLog()),
            clock=clock,
            ids=RandomIds(),
            seal_key=keys.seal,
            timing=_timing(config),
            joined_by_key=frozenset(
                name for name, each in config.upstreams.items() if each.joins == "idempotency-key"
            ),
            confidences=calibration,
        )
        store.on_lapsed = gate.recorder.lapsed
        hide_secrets(lambda: gate.policy.redact.detectors)
        parts = Parts(
            config=config,
            gate=gate,
            store=store,
            ring=ring,
            metrics=metrics,
            definitions=definitions,
            desk=desk,
            authenticators=authenticators_of(config, store, keys),
            delivery=delivery,
            practice=practice,
            audits=audits_of(config, store, gate, metrics),
            calibration=calibration,
        )
        deliver(delivery, stack)
        # before it says that it is ready: whoever waits for that reads them
        operator_keys = await ensure_operator_keys(ring, config.people.local, config.data)
        people = PeopleListener(parts)
        served = await people.open(stack)
        mcp = await opened_mcp(parts, keys, servers, stack)
        agents = await _agents(parts, mcp.endpoint, stack)
        stack.callback(mcp.legacy.close)  # before the listener: its streams end by themselves never
        stack.push_async_callback(_drain, gate)  # first to go: nothing new, finish what runs
        tasks = Tasks()
        sweeper = tasks.spawn(sweep(gate, config.data), "sweep")
        stack.callback(sweeper.cancel)
        stack.callback(tasks.spawn(practising.run(), "practice").cancel)
        stack.callback(tasks.spawn(calibration.run(), "calibrated").cancel)
        if config.servers:
            stack.callback(tasks.spawn(definitions.run(), "definitions").cancel)
        if served is None:
            stack.callback(tasks.spawn(people.take_over(log.info), "people").cancel)
        watch = watch_policy(parts, loaded)
        stack.callback(tasks.spawn(watch.run(), "policy-watch").cancel)
        yield Running(
            agents=f"http://{agents}",
            people=served.url if served else config.people_url,
            store=where,
            durability=durability,
            policy=policy.ref,
            upstreams=tuple(config.upstreams),
            servers=tuple(servers.upstreams),
            links=served.links if served else {},
            weaknesses=weaknesses,
            operator_keys=operator_keys,
            reload=watch.ask,
        )


def _timing(config: Config) -> Timing:
    """A lease outlasts the longest send that a configured upstream may take."""
    tools: list[UpstreamSettings | ServerSettings] = [*config.upstreams.values()]
    tools += config.servers.values()
    slowest = max((each.connect_timeout + each.timeout for each in tools), default=60)
    kept = max((each.max_answer for each in tools), default=0)
    return Timing(lease_ms=round(slowest * 1500) + 30_000, keep_bytes=kept)


def _upstream(settings: UpstreamSettings) -> HttpUpstream:
    return HttpUpstream(
        reached_at(
            settings.url,
            settings.credentials,
            allow_private=settings.allow_private,
            connect_s=settings.connect_timeout,
            read_s=settings.timeout,
        )
    )


# listeners ---------------------------------------------------------------------------------


async def _agents(parts: Parts, mcp: McpEndpoint, stack: AsyncExitStack) -> Address:
    config = parts.config
    anonymous = config.agents.anonymous
    listener = AgentsListener(
        parts.gate,
        parts.ring,
        {name: _route(name, config) for name in config.upstreams},
        anonymous=Agent(id=anonymous.id, owner=anonymous.owner) if anonymous else None,
        hosts=_hosts(config),
        refused=parts.metrics.refused,
        mcp=mcp,
        audits=parts.audits,
    )
    runner = web.ServerRunner(server(listener), shutdown_timeout=GRACE)
    return await listen(runner, config.agents.listen, stack)


def _hosts(config: Config) -> frozenset[str]:
    """Names that agents may use; any, where the listener is not on loopback and none is listed."""
    listed = {host.lower() for host in config.agents.hosts}
    if not listed and not config.agents.listen.loopback:
        return frozenset()
    return frozenset({"127.0.0.1", "localhost", "::1"} | listed)


def _route(name: str, config: Config) -> Route:
    settings = config.upstreams[name]
    forward = DEFAULT_FORWARD | {each.lower() for each in settings.forward_headers}
    if settings.reads_service:
        forward |= AWS_HEADERS
    statuses = Statuses(denied=settings.refused.status, pending=settings.pending.status)
    return Route(
        name=name,
        settings=WireSettings(
            forward=forward,
            reserved=credential_of(settings.credentials).names,
            service=settings.reads_service,
            max_body=config.agents.max_body,
        ),
        hold_seconds=config.agents.hold if settings.hold is None else settings.hold,
        answers=Answers(
            statuses=statuses, format=settings.refused.format, tell_edits=settings.tell_edits
        ),
    )


# running -----------------------------------------------------------------------------------


async def _drain(gate: Gate) -> None:
    left = await gate.close(GRACE)
    if left:
        log.error("%d sends or records did not finish in %g s; see unknown outcomes", left, GRACE)
