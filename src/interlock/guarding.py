"""The gate of a process that stands before one MCP server on pipes.

It shares the store with every other process of this installation, sends only the calls of its own
pipe, and serves the people's page while nobody else does.
"""

from __future__ import annotations

import contextlib
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from .core.actions import Action, Agent, State
from .core.errors import StoreUnavailable, Unauthenticated
from .core.events import Event
from .core.identity import Kind
from .doctor import other_secret, refuse, weak_ground
from .gate import Gate
from .ingress.mcp.amending import Listings
from .ingress.mcp.calls import Calls
from .ingress.mcp.stdio import Judging
from .ingress.mcp.stops import Stops
from .keyfiles import derived_keys
from .observe.log import TransitionLog
from .observe.logging import hide_secrets
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
from .people import PeopleListener
from .ports import KeyRing
from .sending import Timing
from .servers import holding_of
from .serving_mcp import served_tasks
from .settings import Anonymous
from .settings_tools import ServerSettings
from .store.keyring import RedisKeyRing
from .store.redis import RedisStore
from .system import RandomIds, SystemClock
from .tasks import Tasks, stopped
from .tryout import load_once_apart
from .wrapping import Guarded

log = logging.getLogger("interlock")

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
        store, _ = await open_store(config, stack)
        store.on_error = metrics.store_failed
        ring = RedisKeyRing(
            store.client, pepper=keys.pepper, clock=clock, prefix=config.store.prefix
        )
        anonymous = config.agents.anonymous
        agent = await agent_of(guarded.agent, guarded.key, anonymous, ring, guarded.tell)
        definitions, desk = definitions_of(config, store, keys), desk_of(config, store, keys)
        await definitions.refresh()
        loaded = await loading
        durability, records = await store.durability(), await ring.records()
        refuse(weak_ground(config, durability, loaded.policy, keys=records))
        refuse(other_secret(await same_secret_of(config, store, keys).keep()))
        metrics.policy(loaded.policy.ref)
        own = OwnCalls(guarded.session)
        delivery = delivery_of(config, store, keys, desk, metrics, lambda: gate)
        practice = practice_of(config, store)
        calibration = calibration_of(config, store, keys, metrics)
        practising = practising_of(config, store, practice, metrics, lambda: gate)
        gate = Gate(
            policy=loaded.policy,
            store=store,
            upstreams={server.name: server.upstream},
            definitions=definitions,
            notifiers=(*notifiers_of(config, desk, lambda: gate.policy), delivery, practising),
            observers=(metrics, TransitionLog(), own),
            clock=clock,
            ids=RandomIds(),
            seal_key=keys.seal,
            timing=_timing(settings),
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
        served = served_tasks(parts, keys)
        calls = Calls(gate, definitions, keys.rounds, clock, tasks=served)
        stack.push_async_callback(served.close, GRACE)
        stack.push_async_callback(calls.close, GRACE)
        stack.push_async_callback(_drain_soon, gate)
        stack.callback(own.wake(gate, store, tasks))
        for work, name in (
            (sweep(gate, config.data), "sweep"),
            (practising.run(), "practice"),
            (calibration.run(), "calibrated"),
            (definitions.run(), "definitions"),
            (watch_policy(parts, loaded).run(), "policy-watch"),
            (PeopleListener(parts).take_over(guarded.tell), "people"),
        ):
            stack.push_async_callback(stopped, [tasks.spawn(work, name)])
        yield Judging(
            agent=agent,
            holding=holding_of(config)(agent.id),
            calls=calls,
            tasks=served,
            listing=Listings(gate, definitions, calls.learner, tasks=True),
            stops=Stops(store),
        )


async def _drain_soon(gate: Gate) -> None:
    left = await gate.close(GRACE)
    if left:
        log.error("%d sends or records did not finish; see unknown outcomes", left)


def _timing(settings: ServerSettings) -> Timing:
    """A lease outlasts the longest silence of a call."""
    return Timing(lease_ms=round(settings.timeout * 1500) + 30_000, keep_bytes=settings.max_answer)


async def agent_of(
    agent: str, key: str, anonymous: Anonymous | None, ring: KeyRing, tell: Callable[[str], None]
) -> Agent:
    """Return who the client's agent is: as `--agent` names it, configuration does, or a key.

    Raises:
        Unauthenticated: nobody says, or not clearly who owns it.
    """
    if key and (agent or anonymous is not None):
        said = "`--agent`" if agent else "`agents.anonymous`"
        tell(f"INTERLOCK_KEY is not used: {said} says which agent this is.")
    named = agent or (anonymous.id if anonymous is not None else "")
    if named:
        said = anonymous.owner if anonymous is not None and anonymous.id == named else ""
        return Agent(id=named, owner=await _owner(named, said, ring))
    if not key:
        raise Unauthenticated(NO_ONE, help=SAY_WHO)
    who = await ring.verify(key)
    if who is None or who.kind is not Kind.AGENT:
        raise Unauthenticated("The key in INTERLOCK_KEY is not a valid agent's key.", help=SAY_WHO)
    return Agent(id=who.id, owner=who.owner)


async def _owner(agent: str, said: str, ring: KeyRing) -> str:
    """Return who owns *agent*, as its keys and configuration (*said*) agree; revoked keys last.

    Raises:
        Unauthenticated: they name several; a call has one owner, and each of them would be barred.
    """
    records = [
        each for each in await ring.records() if each.kind is Kind.AGENT and each.subject == agent
    ]
    live = {each.owner for each in records if not each.revoked} - {""}
    owners = live | {said} - {""} or {each.owner for each in records} - {""}
    if len(owners) > 1:
        raise Unauthenticated(
            f"The keys of {agent} and `agents.anonymous` name several owners:"
            f" {', '.join(sorted(owners))}.",
            help="Let them name one: `interlock keys list`, `interlock keys revoke ID`.",
        )
    return next(iter(owners), "")


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
