"""The gate of a process that stands before one MCP server on pipes.

It shares the store with every other process of this installation, sends only the calls of its own
pipe, and serves the people's page while nobody else does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from .app import TESTED, _links, _notifiers, _open_store, _people, _sweep, _watch
from .approvals.identity import OneTimeLinks, Sessions
from .core.actions import Action, Agent, State
from .core.errors import StoreUnavailable, Unauthenticated
from .core.events import Event
from .core.identity import Kind
from .doctor import refuse, weak_ground
from .gate import Gate
from .ingress.mcp.amending import Listings
from .ingress.mcp.calls import Calls
from .ingress.mcp.stdio import Judging
from .keyfiles import derived_keys, ensure_operator_keys
from .observe.log import TransitionLog
from .observe.logging import hide_secrets
from .observe.metrics import Metrics
from .ports import KeyRing
from .sending import Timing
from .servers import definitions_of, holding_of
from .settings import Config, ServerSettings
from .settings_types import Address
from .store.definitions import StoredDefinitions
from .store.keyring import RedisKeyRing
from .store.redis import RedisStore
from .system import RandomIds, SystemClock
from .tasks import Tasks, stopped
from .tryout import load_once_apart
from .wrapping import Guarded

log = logging.getLogger("interlock")

LOOK = 2.0  #: seconds between two tries to serve the people's page
MOST_OWN = 10_000  #: held calls of this pipe that are remembered
GRACE = 5.0  #: seconds that sends and records under way get at the end
NO_ONE = "Nobody says which agent this is."
SAY_WHO = (
    "Give `--agent ID`, or set `agents.anonymous` in the configuration, or put an agent's key into"
    " INTERLOCK_KEY (`interlock keys create`)."
)


@asynccontextmanager
async def guarding(guarded: Guarded) -> AsyncIterator[Judging]:
    """Bring the gate up, and stop it in the reverse order.

    Raises:
        InvalidDocument, WeakGround, StoreUnavailable, Unauthenticated: it cannot come up.
    """
    config, server = guarded.config, guarded.server
    settings = config.servers[server.name]
    keys, clock, metrics, tasks = derived_keys(config), SystemClock(), Metrics(), Tasks()
    async with AsyncExitStack() as stack:
        loading = tasks.spawn(load_once_apart(config.policies, config.data / TESTED), "policy")
        stack.push_async_callback(stopped, [loading])
        store, _ = await _open_store(config, stack)
        store.on_error = metrics.store_failed
        ring = RedisKeyRing(
            store.client, pepper=keys.pepper, clock=clock, prefix=config.store.prefix
        )
        agent = await _agent(guarded, ring)
        definitions = definitions_of(config, store, keys)
        await definitions.refresh()
        loaded = await loading
        durability, records = await store.durability(), await ring.records()
        refuse(weak_ground(config, durability, loaded.policy, keys=records))
        metrics.policy(loaded.policy.ref)
        own = OwnCalls(guarded.session)
        gate = Gate(
            policy=loaded.policy,
            store=store,
            upstreams={server.name: server.upstream},
            definitions=definitions,
            notifiers=_notifiers(config),
            observers=(metrics, TransitionLog(), own),
            clock=clock,
            ids=RandomIds(),
            seal_key=keys.seal,
            timing=_timing(settings),
        )
        store.on_lapsed = gate.lapsed
        hide_secrets(lambda: gate.policy.redact.detectors)
        calls = Calls(gate, definitions, keys.rounds, clock)
        stack.push_async_callback(calls.close, GRACE)
        stack.push_async_callback(_drain_soon, gate)
        stack.callback(own.wake(gate, store, tasks))
        people = _People(config, gate, store, ring, metrics, definitions, guarded.tell)
        watch = _watch(config, gate, loaded, store, ring, metrics)
        for work, name in (
            (_sweep(gate), "sweep"),
            (definitions.run(), "definitions"),
            (watch.run(), "policy-watch"),
            (people.run(), "people"),
        ):
            stack.push_async_callback(stopped, [tasks.spawn(work, name)])
        yield Judging(
            agent=agent,
            holding=holding_of(config)(agent.id),
            calls=calls,
            listing=Listings(gate, definitions, calls.learner),
        )


async def _drain_soon(gate: Gate) -> None:
    left = await gate.close(GRACE)
    if left:
        log.error("%d sends or records did not finish; see unknown outcomes", left)


def _timing(settings: ServerSettings) -> Timing:
    """A lease outlasts the longest silence of a call."""
    return Timing(lease_ms=round(settings.timeout * 1500) + 30_000, keep_bytes=settings.max_answer)


async def _agent(guarded: Guarded, ring: KeyRing) -> Agent:
    """Return who the client's agent is. Raises Unauthenticated."""
    anonymous = guarded.config.agents.anonymous
    if guarded.agent:
        same = anonymous is not None and anonymous.id == guarded.agent
        return Agent(id=guarded.agent, owner=anonymous.owner if anonymous and same else "")
    if anonymous is not None:
        return Agent(id=anonymous.id, owner=anonymous.owner)
    if not guarded.key:
        raise Unauthenticated(NO_ONE, help=SAY_WHO)
    who = await ring.verify(guarded.key)
    if who is None or who.kind is not Kind.AGENT:
        raise Unauthenticated("The key in INTERLOCK_KEY is not a valid agent's key.", help=SAY_WHO)
    return Agent(id=who.id, owner=who.owner)


class OwnCalls:
    """ports.Observer that knows the held calls of one pipe, and sends them once they are approved.

    Whoever approved them, and in which process: only this one can send them.
    """

    def __init__(self, session: str) -> None:
        self._session = session
        self._held: OrderedDict[str, None] = OrderedDict()

    def transition(self, before: Action, event: Event, after: Action) -> None:
        """Remember a call that is held here."""
        mcp = after.call.mcp
        if after.state is State.HELD and mcp is not None and mcp.session == self._session:
            self._held[after.id] = None
            if len(self._held) > MOST_OWN:  # the sweep finds what is forgotten
                self._held.popitem(last=False)

    def timed(self, what: str, seconds: float) -> None:
        """Nothing is measured here."""

    def wake(self, gate: Gate, store: RedisStore, tasks: Tasks) -> Callable[[], None]:
        """Dispatch each of them as soon as the store says that it was approved; return the end."""

        async def look(action_id: str) -> None:
            with contextlib.suppress(StoreUnavailable):  # the sweep finds it
                action = await gate.get(action_id)
                if action is not None and action.state is State.APPROVED:
                    gate.sender.dispatch_soon(action)
                elif action is None or action.state is not State.HELD:
                    self._held.pop(action_id, None)

        def moved(action_id: str) -> None:
            if action_id in self._held:
                tasks.spawn(look(action_id), f"look-{action_id}")

        return store.listen(moved)


class _People:
    """The people's page, served from here while no other process of this installation does."""

    def __init__(
        self,
        config: Config,
        gate: Gate,
        store: RedisStore,
        ring: KeyRing,
        metrics: Metrics,
        definitions: StoredDefinitions,
        tell: Callable[[str], None],
    ) -> None:
        self._config, self._gate, self._store = config, gate, store
        self._definitions = definitions
        self._ring, self._metrics, self._tell = ring, metrics, tell

    async def run(self) -> None:
        """Serve it when that is possible, and look again and again while it is not."""
        told = False
        while True:
            if _is_free(self._config.people.listen):
                try:
                    await self._serve()
                except OSError:
                    pass  # another process was faster
            elif not told:
                told = True
                self._tell(f"People decide at {self._config.people_url}/review.")
            await asyncio.sleep(LOOK)

    async def _serve(self) -> None:
        clock = SystemClock()
        links, sessions = OneTimeLinks(clock), Sessions(clock)
        async with AsyncExitStack() as stack:
            people = await _people(
                self._config,
                self._gate,
                self._store,
                self._ring,
                links,
                sessions,
                self._metrics,
                stack,
                self._definitions,
            )
            with contextlib.suppress(StoreUnavailable):  # `interlock serve` makes them as well
                config = self._config
                await ensure_operator_keys(self._ring, config.people.local, config.data)
            base = self._config.people.url or f"http://{people}"
            self._tell(f"People decide at {base}/review, served by this process.")
            for who, url in _links(self._config, links, people).items():
                self._tell(f"Sign in {who}: {url} (works once)")
            await asyncio.Event().wait()


def _is_free(at: Address) -> bool:
    family = socket.AF_INET6 if ":" in at.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((at.host, at.port))
        except OSError:
            return False
    return True
