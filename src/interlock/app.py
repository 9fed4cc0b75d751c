"""The composition root: configuration -> adapters -> Gate -> the two listeners.

The only file that names every concrete class, and the only one that starts and stops things.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from aiohttp import web

from .approvals.api import add_api
from .approvals.deps import ApiDeps
from .approvals.identity import OneTimeLinks, Sessions
from .approvals.page import add_page
from .core.actions import Agent, Reviewer
from .core.errors import StoreUnavailable
from .core.rules import PolicySet
from .doctor import refuse, weak_ground
from .gate import Gate
from .health import Health, add_health
from .ingress.http import AgentsListener, Route, server
from .ingress.mcp.amending import Listings
from .ingress.mcp.calls import Calls
from .ingress.mcp.endpoint import McpEndpoint
from .ingress.outcomes import Answers
from .ingress.problems import Statuses
from .ingress.wire import DEFAULT_FORWARD
from .ingress.wire import Settings as WireSettings
from .keyfiles import derived_keys, ensure_operator_keys
from .notify.log import Notifier as LogNotifier
from .observe.log import TransitionLog
from .observe.logging import configure, hide_secrets
from .observe.metrics import Metrics
from .policies.load import policy_files
from .ports import KeyRing, Limits, Notifier
from .reload import PolicyWatch
from .running import Running
from .sending import Timing
from .servers import definitions_of, holding_of, server_of
from .settings import Config, Credentials, ServerSettings, UpstreamSettings
from .settings_types import Address
from .store.definitions import StoredDefinitions
from .store.embedded import EmbeddedStore
from .store.keyring import RedisKeyRing
from .store.redis import RedisStore
from .system import RandomIds, SystemClock
from .tasks import Tasks
from .tryout import Loaded, load_once_apart
from .upstream.credentials import (
    AwsCredential,
    BasicCredential,
    BearerCredential,
    Credential,
    HeaderCredential,
    NoCredential,
    Secret,
)
from .upstream.http import HttpSettings, HttpUpstream
from .upstream.mcp_http import McpHttpUpstream

log = logging.getLogger("interlock")

SWEEP = 1.0  #: seconds between two looks for what has lapsed
AWS_HEADERS = frozenset({"x-amz-*", "content-md5"})  #: they say what an AWS call does
TESTED = "policy.tested"  #: in the data directory: which policy files passed their suites
GRACE = 25.0  #: seconds that sends under way get at shutdown; containers usually grant 30


async def run(config: Config, announce: Callable[[Running], None]) -> None:
    """Run Interlock until cancelled; then start no send, finish those under way, and stop.

    Raises:
        InvalidDocument, WeakGround, StoreUnavailable: it cannot start, and says why.
        OSError: a listener cannot be opened.
    """
    configure(config.log.level, config.log.format)
    async with opened(config) as running:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, running.reload)
        announce(running)
        _collect_less_often()
        await asyncio.Event().wait()


def _collect_less_often() -> None:
    """Keep the collector off what lives as long as the process: it took a tenth of each call."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


@asynccontextmanager
async def opened(config: Config) -> AsyncIterator[Running]:
    """Start everything, and stop it in the reverse order. Raises as `run`."""
    note = config.data / TESTED
    loaded = await load_once_apart(config.policies, note)
    policy = loaded.policy
    keys = derived_keys(config)
    clock, metrics = SystemClock(), Metrics()
    async with AsyncExitStack() as stack:
        store, where = await _open_store(config, stack)
        store.on_error = metrics.store_failed
        ring = RedisKeyRing(
            store.client, pepper=keys.pepper, clock=clock, prefix=config.store.prefix
        )
        durability = await store.durability()
        weaknesses = weak_ground(config, durability, policy, keys=await ring.records())
        refuse(weaknesses)
        metrics.policy(policy.ref)
        upstreams = {name: _upstream(each) for name, each in config.upstreams.items()}
        servers = _servers(config)
        for close in [each.close for each in upstreams.values()]:
            stack.push_async_callback(close)
        for close in [each.close for each in servers.values()]:
            stack.push_async_callback(close)
        definitions = definitions_of(config, store, keys)
        await definitions.refresh()
        metrics.count_waiting_definitions(definitions.waiting)
        gate = Gate(
            policy=policy,
            store=store,
            upstreams={**upstreams, **servers},
            definitions=definitions,
            notifiers=_notifiers(config),
            observers=(metrics, TransitionLog()),
            clock=clock,
            ids=RandomIds(),
            seal_key=keys.seal,
            timing=_timing(config),
            joined_by_key=frozenset(
                name for name, each in config.upstreams.items() if each.joins == "idempotency-key"
            ),
        )
        store.on_lapsed = gate.lapsed
        hide_secrets(lambda: gate.policy.redact.detectors)
        links, sessions = OneTimeLinks(clock), Sessions(clock)
        people = await _people(
            config, gate, store, ring, links, sessions, metrics, stack, definitions
        )
        calls = Calls(gate, definitions, keys.rounds, clock)
        stack.push_async_callback(calls.close, GRACE)
        mcp = _mcp(config, gate, servers, calls, definitions, metrics)
        agents = await _agents(config, gate, ring, metrics, mcp, stack)
        stack.push_async_callback(_drain, gate)  # first to go: nothing new, finish what runs
        tasks = Tasks()
        sweeper = tasks.spawn(_sweep(gate), "sweep")
        stack.callback(sweeper.cancel)
        if config.servers:
            stack.callback(tasks.spawn(definitions.run(), "definitions").cancel)
        watch = _watch(config, gate, loaded, store, ring, metrics)
        stack.callback(tasks.spawn(watch.run(), "policy-watch").cancel)
        yield Running(
            agents=f"http://{agents}",
            people=config.people.url or f"http://{people}",
            store=where,
            durability=durability,
            policy=policy.ref,
            upstreams=tuple(config.upstreams),
            servers=tuple(servers),
            links=_links(config, links, people),
            weaknesses=weaknesses,
            operator_keys=await ensure_operator_keys(ring, config.people.local, config.data),
            reload=watch.ask,
        )


def _watch(
    config: Config,
    gate: Gate,
    loaded: Loaded,
    store: RedisStore,
    ring: RedisKeyRing,
    metrics: Metrics,
) -> PolicyWatch:
    """Watch the policy files; what this installation could not start with is not reloaded."""

    async def unfit(policy: PolicySet) -> tuple[str, ...]:
        durability, keys = await store.durability(), await ring.records()
        found = weak_ground(config, durability, policy, keys=keys)
        return tuple(f"{each.what} {each.cure}" for each in found if each.critical)

    return PolicyWatch(
        config.policies,
        gate,
        loaded,
        counted=metrics,
        clock=SystemClock(),
        unfit=unfit,
        note=config.data / TESTED,
    )


async def _open_store(config: Config, stack: AsyncExitStack) -> tuple[RedisStore, str]:
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


def _timing(config: Config) -> Timing:
    """A lease outlasts the longest send that a configured upstream may take."""
    tools: list[UpstreamSettings | ServerSettings] = [*config.upstreams.values()]
    tools += config.servers.values()
    slowest = max((each.connect_timeout + each.timeout for each in tools), default=60)
    kept = max((each.max_answer for each in tools), default=0)
    return Timing(lease_ms=round(slowest * 1500) + 30_000, keep_bytes=kept)


def _upstream(settings: UpstreamSettings) -> HttpUpstream:
    return HttpUpstream(
        HttpSettings(
            url=settings.url,
            credential=_credential(settings),
            allow_private=settings.allow_private,
            connect_s=settings.connect_timeout,
            read_s=settings.timeout,
        )
    )


def _servers(config: Config) -> dict[str, McpHttpUpstream]:
    """Return the servers that agents reach over HTTP; others are started as commands."""
    return {
        name: McpHttpUpstream(
            HttpSettings(
                url=settings.url,
                credential=_credential(settings),
                allow_private=settings.allow_private,
                connect_s=settings.connect_timeout,
                read_s=settings.timeout,
            )
        )
        for name, settings in config.servers.items()
        if settings.url is not None
    }


def _credential(settings: UpstreamSettings | ServerSettings) -> Credential:
    given = settings.credentials
    if given is None:
        return NoCredential()
    if given.header is not None:
        return HeaderCredential(name=given.header.name, value=Secret(given.header.value.reveal()))
    if given.bearer is not None:
        return BearerCredential(token=Secret(given.bearer.reveal()))
    if given.basic is not None:
        password = Secret(given.basic.password.reveal())
        return BasicCredential(username=given.basic.user, password=password)
    if isinstance(given, Credentials) and given.aws_sigv4 is not None:
        aws = given.aws_sigv4
        return AwsCredential(
            access_key_id=aws.access_key_id.reveal(),
            secret_access_key=Secret(aws.secret_access_key.reveal()),
            session_token=Secret(aws.session_token.reveal()) if aws.session_token else None,
            services=frozenset(aws.services),
        )
    raise AssertionError("settings.Credentials has exactly one kind")


def _notifiers(config: Config) -> tuple[Notifier, ...]:
    return (LogNotifier(config.people_url),) if config.notify.log is not None else ()


# listeners ---------------------------------------------------------------------------------


def _mcp(
    config: Config,
    gate: Gate,
    upstreams: Mapping[str, McpHttpUpstream],
    calls: Calls,
    definitions: StoredDefinitions,
    metrics: Metrics,
) -> McpEndpoint:
    servers = {
        name: server_of(config, name, upstream, _credential(config.servers[name]).names)
        for name, upstream in upstreams.items()
    }
    return McpEndpoint(
        servers=servers,
        calls=calls,
        definitions=definitions,
        listing=Listings(gate, definitions, calls.learner),
        holding=holding_of(config),
        read_on=gate.read_on,
        refused=metrics.refused,
    )


async def _agents(
    config: Config,
    gate: Gate,
    ring: KeyRing,
    metrics: Metrics,
    mcp: McpEndpoint,
    stack: AsyncExitStack,
) -> Address:
    anonymous = config.agents.anonymous
    listener = AgentsListener(
        gate,
        ring,
        {name: _route(name, config) for name in config.upstreams},
        anonymous=Agent(id=anonymous.id, owner=anonymous.owner) if anonymous else None,
        hosts=_hosts(config),
        refused=metrics.refused,
        mcp=mcp,
    )
    runner = web.ServerRunner(server(listener), shutdown_timeout=GRACE)
    return await _listen(runner, config.agents.listen, stack)


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
            reserved=_credential(settings).names,
            service=settings.reads_service,
            max_body=config.agents.max_body,
        ),
        hold_seconds=config.agents.hold if settings.hold is None else settings.hold,
        answers=Answers(
            statuses=statuses, format=settings.refused.format, tell_edits=settings.tell_edits
        ),
    )


async def _people(
    config: Config,
    gate: Gate,
    store: RedisStore,
    ring: KeyRing,
    links: OneTimeLinks,
    sessions: Sessions,
    metrics: Metrics,
    stack: AsyncExitStack,
    definitions: StoredDefinitions,
) -> Address:
    app = web.Application(client_max_size=config.agents.max_body * 4)
    deps = ApiDeps(
        gate=gate,
        store=store,
        keys=ring,
        sessions=sessions,
        links=links,
        url=config.people_url,
        upstreams=_addresses(config),
        definitions=definitions,
        definition_accepted=metrics.definition_accepted,
        hosts=frozenset(host.lower() for host in config.people.hosts),
        listen=store.listen,
        revealed=metrics.revealed,
        shadowed=metrics.shadowed,
        policy_files=lambda: tuple(map(str, policy_files(config.policies))),
    )
    add_api(app, deps)
    add_page(app, deps)
    add_health(app, Health(gate=gate, store=store, metrics=metrics))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
    return await _listen(runner, config.people.listen, stack)


async def _listen(
    runner: web.AppRunner | web.ServerRunner, at: Address, stack: AsyncExitStack
) -> Address:
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, at.host, at.port, backlog=1024)
    await site.start()
    return Address(at.host, int(runner.addresses[0][1]))


def _addresses(config: Config) -> dict[str, str]:
    """Return where each tool and server is; one that is started as a command has no address."""
    urls = {name: each.url for name, each in config.upstreams.items()}
    return urls | {name: each.url for name, each in config.servers.items() if each.url}


def _links(config: Config, links: OneTimeLinks, people: Address) -> dict[str, str]:
    base = config.people.url or f"http://{people}"
    return {
        each.id: f"{base}/sign-in?t="
        + links.issue(Reviewer(id=each.id, groups=frozenset(each.groups)))
        for each in config.people.local
    }


# running -----------------------------------------------------------------------------------


async def _sweep(gate: Gate) -> None:
    while True:
        await asyncio.sleep(SWEEP)
        try:
            await gate.sweep()
        except StoreUnavailable as error:
            log.warning("%s", error.detail)
        except Exception:  # outermost: one bad record must not stop what ends all others
            log.exception("a sweep failed; the next one is in %g s", SWEEP)


async def _drain(gate: Gate) -> None:
    left = await gate.close(GRACE)
    if left:
        log.error("%d sends or records did not finish in %g s; see unknown outcomes", left, GRACE)
