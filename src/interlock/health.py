"""`/livez`, `/readyz` and `/metrics` on the people's listener. They decide nothing."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from aiohttp import web

from .core.desk import Suspension
from .core.errors import StoreUnavailable
from .gate import Gate
from .learning_ports import Archive, Audits
from .observe.metrics import CONTENT_TYPE, Metrics
from .people_ports import Desk, Outbox
from .ports import Durability
from .store.redis import RedisStore

log = logging.getLogger("interlock.health")


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What is asked when somebody asks. `behind`: how many decided calls the archive lacks.

    `shortage` says that the data directory's disk is full; empty: it is not. `admit` raises where
    who asks may not read metrics; None: anybody may.
    """

    gate: Gate
    store: RedisStore
    metrics: Metrics
    outbox: Outbox | None = None
    desk: Desk | None = None
    audits: Audits | None = None
    archive: Archive | None = None
    behind: Callable[[], Awaitable[int]] | None = None
    shortage: Callable[[], str] = lambda: ""
    admit: Callable[[web.Request], Awaitable[object]] | None = None


HEALTH: web.AppKey[Health] = web.AppKey("health", Health)


def add_health(app: web.Application, health: Health) -> None:
    app[HEALTH] = health
    app.router.add_get("/livez", _livez)
    app.router.add_get("/readyz", _readyz)
    app.router.add_get("/metrics", _metrics)


async def _livez(request: web.Request) -> web.Response:
    """Alive as long as the process answers at all."""
    return web.json_response({"alive": True})


async def _readyz(request: web.Request) -> web.Response:
    """Ready where calls can be recorded, also by an earlier policy; says how durably.

    Not ready where somebody else writes to the store, as far as that was seen.
    """
    health = request.app[HEALTH]
    state = health.gate.policy_state
    policy = {"name": state.ref.name, "version": state.ref.version, "sha256": state.ref.sha256}
    said: dict[str, object] = {"policy": policy | {"stale": bool(state.problems)}}
    try:
        durability = await health.store.durability()
    except StoreUnavailable as error:
        why = f"{health.shortage()} {error.detail}".strip()
        return web.json_response(said | {"ready": False, "why": why}, status=503)
    kept = {
        "durability": durability.grade,
        "detail": durability.detail,
        "eviction": durability.eviction,
    }
    refused = _why(durability, health.gate.closing) or _lifted(health.store.stops_lifted)
    ready = not refused
    return web.json_response(
        said | {"ready": ready, "store": kept} | refused, status=200 if ready else 503
    )


def _why(durability: Durability, closing: bool) -> dict[str, str]:
    """Say what keeps calls from being taken; nothing where they are."""
    if closing:
        return {"why": "shutting down"}
    if not durability.writable:
        return {"why": "read-only store"}
    if durability.full:
        return {"why": "The store is full; raise its maxmemory or let finished calls expire."}
    return {}


def _lifted(stops: Sequence[Suspension]) -> dict[str, str]:
    """Say that somebody took stops out of the store: what else they did there, nobody knows."""
    if not stops:
        return {}
    return {
        "why": "Somebody took the stop of an agent out of the store past Interlock; the log says"
        " whose. It holds all the same. Find out who can write to the store, then resume the agent"
        " on purpose."
    }


async def _metrics(request: web.Request) -> web.Response:
    """Counters of this process; gauges as the store and the archive say at this moment."""
    health = request.app[HEALTH]
    if health.admit is not None:
        await health.admit(request)
    metrics = health.metrics
    metrics.stops_lifted(len(health.store.stops_lifted))
    try:
        await _ask_store(health)
    except StoreUnavailable as error:
        log.warning("%s", error.detail)
        metrics.store_truth(None, 0.0, health.gate.in_flight)
        metrics.learning.audits_truth(None)
    if health.archive is not None:
        await _ask_archive(health, health.archive)
    return web.Response(body=metrics.render(), headers={"Content-Type": CONTENT_TYPE})


async def _ask_store(health: Health) -> None:
    store, metrics = health.store, health.metrics
    counts, oldest = await store.counts(), await store.oldest()
    age = (await store.now() - oldest) / 1000 if oldest else 0.0
    metrics.store_truth(counts, age, health.gate.in_flight)
    if health.outbox is not None:
        metrics.notices(*await health.outbox.counts())
    if health.desk is not None:
        everybody = bool(await health.desk.stops(()))
        metrics.stops(max(await health.desk.stopped_count() - everybody, 0), everybody)
    if health.audits is not None:
        metrics.learning.audits_truth(await health.audits.count(), await health.audits.dropped())


async def _ask_archive(health: Health, archive: Archive) -> None:
    learning = health.metrics.learning
    try:
        kept = await archive.kept()
    except StoreUnavailable as error:
        log.warning("%s", error.detail)
        learning.archive_truth(None)
        return
    behind = None
    if health.behind is not None:
        with contextlib.suppress(StoreUnavailable):  # `interlock_store_up` says so
            behind = await health.behind()
    learning.archive_truth(kept, behind)
