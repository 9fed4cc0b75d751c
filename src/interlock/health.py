"""`/livez`, `/readyz` and `/metrics` on the people's listener. They decide nothing."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from aiohttp import web

from .core.errors import StoreUnavailable
from .gate import Gate
from .observe.metrics import CONTENT_TYPE, Metrics
from .people_ports import Outbox
from .ports import Durability
from .store.redis import RedisStore

log = logging.getLogger("interlock.health")


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    gate: Gate
    store: RedisStore
    metrics: Metrics
    outbox: Outbox | None = None


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
    """Ready where calls can be recorded, also by an earlier policy; says how durably."""
    health = request.app[HEALTH]
    state = health.gate.policy_state
    policy = {"name": state.ref.name, "version": state.ref.version, "sha256": state.ref.sha256}
    said: dict[str, object] = {"policy": policy | {"stale": bool(state.problems)}}
    try:
        durability = await health.store.durability()
    except StoreUnavailable as error:
        return web.json_response(said | {"ready": False, "why": error.detail}, status=503)
    kept = {
        "durability": durability.grade,
        "detail": durability.detail,
        "eviction": durability.eviction,
    }
    why = _why(durability, health.gate.closing)
    ready = not why
    return web.json_response(
        said | {"ready": ready, "store": kept} | why, status=200 if ready else 503
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


async def _metrics(request: web.Request) -> web.Response:
    """Counters of this process; gauges as the store says at this moment."""
    health = request.app[HEALTH]
    try:
        counts, oldest = await health.store.counts(), await health.store.oldest()
        age = (await health.store.now() - oldest) / 1000 if oldest else 0.0
        health.metrics.store_truth(counts, age, health.gate.in_flight)
        if health.outbox is not None:
            health.metrics.notices(*await health.outbox.counts())
    except StoreUnavailable as error:
        log.warning("%s", error.detail)
        health.metrics.store_truth(None, 0.0, health.gate.in_flight)
    return web.Response(body=health.metrics.render(), headers={"Content-Type": CONTENT_TYPE})
