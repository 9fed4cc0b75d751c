"""The people's listener: page, API, metrics and health, served by one process of an installation.

`interlock serve` and every `interlock mcp` can serve it; a lock in the data directory says whose
turn it is, and the kernel drops it when that process dies, however it dies.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from .approvals.access import OVERSEERS, Visitor, admit
from .approvals.api import add_api
from .approvals.deps import ApiDeps
from .approvals.identity import OneTimeLinks
from .approvals.page import add_page
from .approvals.reasons import REASONS
from .archiving import archived
from .channels import addresses, slack_door
from .core.actions import Reviewer
from .core.errors import StoreUnavailable, WeakGround
from .core.identity import Kind
from .core.rules import PolicySet
from .health import Health, add_health
from .keyfiles import derived_keys, ensure_operator_keys, read_private, write_private
from .parts import Parts, policies_seen_of
from .policies.load import policy_files
from .settings import Config
from .settings_types import Address
from .signing_in import oidc_of, sessions_of
from .space import shortage
from .system import SystemClock

LOOK = 2.0  #: seconds between two tries to take over from a process that serves it


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Where the listener is, and one-time sign-in URLs by person."""

    url: str
    links: Mapping[str, str] = field(repr=False)


class PeopleListener:
    """Serves people from here, while no other process of this installation does."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def open(self, stack: AsyncExitStack) -> Served | None:
        """Serve until *stack* ends; None where another process does.

        Raises:
            OSError: a program that is not Interlock has the port.
        """
        config = self._parts.config
        async with AsyncExitStack() as tried:
            if not await tried.enter_async_context(_turn(config)):
                return None
            served = await self._serve(tried)
            stack.push_async_callback(tried.pop_all().aclose)
        return served

    async def take_over(self, tell: Callable[[str], None]) -> None:
        """Serve as soon as that is possible, until cancelled; *tell* is told who serves.

        What it is told may be read by agents: sign-in links go to private files instead.
        """
        config, told = self._parts.config, False
        while True:
            async with AsyncExitStack() as stack:
                served = None
                with suppress(OSError):  # a foreign program: it may go away
                    served = await self.open(stack)
                if served is not None:
                    await self._make_keys()
                    tell(f"People decide at {served.url}/review, served by this process.")
                    with _link_files(config.data, served.links, tell):
                        await asyncio.Event().wait()
                if not told:
                    told = True
                    tell(f"People decide at {config.people_url}/review.")
            await asyncio.sleep(LOOK)

    async def _make_keys(self) -> None:
        parts, config = self._parts, self._parts.config
        with suppress(StoreUnavailable):  # the next process that serves makes them
            await ensure_operator_keys(parts.ring, config.people.local, config.data)

    async def _serve(self, stack: AsyncExitStack) -> Served:
        parts, clock = self._parts, SystemClock()
        config = parts.config
        links, key = OneTimeLinks(clock, _local(config)), derived_keys(config).sessions
        sessions = sessions_of(config, parts.store, key, clock)
        door = oidc_of(config, key, clock)
        if door is not None:
            stack.push_async_callback(door.provider.close)
        kept = await archived(parts, stack)
        parts.metrics.people.know_reasons(lambda: reasons_of(parts.gate.policy))
        app = web.Application(client_max_size=config.agents.max_body * 4)
        deps = ApiDeps(
            gate=parts.gate,
            store=parts.store,
            keys=parts.ring,
            sessions=sessions,
            links=links,
            desk=parts.desk,
            authenticators=parts.authenticators,
            oidc=door,
            url=config.people_url,
            upstreams=addresses(config),
            definitions=parts.definitions,
            definition_accepted=parts.metrics.definition_accepted,
            hosts=frozenset(host.lower() for host in config.people.hosts),
            listen=parts.store.listen,
            revealed=parts.metrics.revealed,
            shadowed=parts.metrics.shadowed,
            policies_seen=policies_seen_of(config, parts.store),
            policy_files=lambda: tuple(map(str, policy_files(config.policies))),
            outbox=parts.delivery.outbox,
            channels=parts.delivery,
            practice=parts.practice,
            slack=slack_door(config, derived_keys(config), parts.delivery.channels, clock),
            channel_refused=parts.metrics.channel_refused,
            agents=configured_agents(config),
            archive=kept.archive,
            audits=parts.audits,
            confidences=parts.calibration,
            pseudonym=parts.gate.notes.pseudonym,
        )
        add_api(app, deps)
        add_page(app, deps)
        add_health(
            app,
            Health(
                gate=parts.gate,
                store=parts.store,
                metrics=parts.metrics,
                outbox=parts.delivery.outbox,
                desk=parts.desk,
                audits=parts.audits,
                archive=kept.archive,
                behind=kept.behind,
                shortage=lambda: shortage(config.data),
                admit=admit_scraper if config.people.metrics == "key" else None,
            ),
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
        people = await listen(runner, config.people.listen, stack)
        base = config.people.url or f"http://{people}"
        return Served(url=base, links=_sign_in_links(config, links, base))


async def admit_scraper(request: web.Request) -> Visitor:
    """Return who reads metrics by a key, or a session; raises as `admit` for all others."""
    return await admit(request, OVERSEERS | {Kind.METRICS})


def reasons_of(policy: PolicySet) -> frozenset[str]:
    """Return the codes of why calls are rejected: policy's own, or those that there are anyway."""
    return frozenset(code for code, _ in policy.attention.reasons or REASONS)


def configured_agents(config: Config) -> dict[str, str | None]:
    """Return agents that *config* names, and who owns them: nobody (empty), or it is not said."""
    found: dict[str, str | None] = dict.fromkeys(config.mcp.agents)
    anonymous = config.agents.anonymous
    if anonymous is not None:
        found[anonymous.id] = anonymous.owner
    return found


async def listen(
    runner: web.AppRunner | web.ServerRunner, at: Address, stack: AsyncExitStack
) -> Address:
    """Open a listener until *stack* ends; return where it is. Raises OSError."""
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, at.host, at.port, backlog=1024)
    await site.start()
    return Address(at.host, int(runner.addresses[0][1]))


@asynccontextmanager
async def _turn(config: Config) -> AsyncIterator[bool]:
    """Say whether it is this process's turn to serve its address; it stays so within."""
    at = config.people.listen
    if not at.port:  # whatever port is free: there is no turn to wait for
        yield True
        return
    config.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = config.data / f"people-{at.port}.lock"
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(lock)


@contextmanager
def _link_files(
    data: Path, links: Mapping[str, str], tell: Callable[[str], None]
) -> Iterator[None]:
    """Keep each person's sign-in link in a private file, and tell where it is."""
    files = {data / f"sign-in-{who}.url": url for who, url in links.items()}
    try:
        for path, url in files.items():
            tell(_written(path, url))
        yield
    finally:
        for path, url in files.items():
            with suppress(OSError, WeakGround):  # it has gone
                if read_private(path) == url:  # else it is that of another process
                    path.unlink()


def _written(path: Path, url: str) -> str:
    """Write a sign-in link; return what people are told of it."""
    try:
        write_private(path, url + "\n")
    except WeakGround as error:
        return f"No sign-in link: {error.detail} {error.help}"
    return f"Sign in by the link in {path} (works once)"


def _sign_in_links(config: Config, links: OneTimeLinks, base: str) -> dict[str, str]:
    return {each.id: f"{base}/sign-in?t={links.issue(each)}" for each in _local(config)}


def _local(config: Config) -> tuple[Reviewer, ...]:
    """Return who may sign in by a link."""
    return tuple(
        Reviewer(id=each.id, groups=frozenset(each.groups)) for each in config.people.local
    )
