"""Who reads metrics where a key is asked for: neither agents nor who decides their calls."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from interlock.approvals.api import add_api
from interlock.core.identity import Kind
from interlock.health import Health, add_health
from interlock.people import admit_scraper

from .world import World


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (None, 401),
        (Kind.AGENT, 403),
        (Kind.APPROVER, 403),
        (Kind.AUDITOR, 200),
        (Kind.ADMIN, 200),
        (Kind.METRICS, 200),
    ],
)
async def test_where_a_key_is_asked_for_agents_and_approvers_read_no_metrics(
    world: World, kind: Kind | None, status: int
) -> None:
    app = web.Application()
    add_api(app, world.deps)
    health = Health(gate=world.gate, store=world.store, metrics=world.metrics, admit=admit_scraper)
    add_health(app, health)
    key = "" if kind is None else await world.key(kind, "somebody")
    headers = {"Authorization": f"Bearer {key}"} if key else {}

    async with TestClient(TestServer(app)) as client:
        async with client.get("/metrics", headers=headers) as answer:
            assert answer.status == status
            assert ("interlock_store_up" in await answer.text()) == (status == 200)
        async with client.get("/livez") as answer:
            assert answer.status == 200


async def test_else_anybody_who_reaches_the_listener_reads_them(world: World) -> None:
    assert (await world.ask("GET", "/metrics")).status == 200
