"""The scenarios of the tasks extension of MCP's own suite, against the tasks that we serve.

Needs the installed suite: `python -m tests.conformance.run` installs it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from interlock.core.actions import Agent
from interlock.core.messages import Message
from interlock.ingress.http import AgentsListener, server
from interlock.ingress.mcp import tasks_documents as documents
from interlock.ingress.mcp.amending import Listings
from interlock.ingress.mcp.calls import Calls, declares_tasks
from interlock.ingress.mcp.endpoint import McpEndpoint
from interlock.ingress.mcp.learning import Learner
from interlock.ingress.mcp.replying import Reply
from interlock.ingress.mcp.session import Caller, Document, Holding, Server
from interlock.ingress.mcp.stops import Stops
from interlock.ingress.mcp.tasks import ServedTasks
from interlock.policies.load import read_policies
from interlock.store.redis import RedisStore
from interlock.store.task_notes import RedisTaskNotes
from interlock.system import RandomIds, SystemClock
from interlock.tasks import Tasks
from interlock.upstream.http import HttpSettings
from interlock.upstream.mcp_http import McpHttpUpstream
from tests.conformance import suite
from tests.conformance.processes import FIXTURE, serving
from tests.conformance.results import compare, load
from tests.conformance.run import EXPECTED, tasks
from tests.ingress.mcp.conversation import Listed
from tests.ingress.test_http import Keys
from tests.support.fakes import World

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not suite.is_installed(), reason="the conformance suite is not installed"),
]

NAME = "everything"
POLICY = """
apiVersion: interlock/v1
kind: Policy
metadata: {name: all, version: 1, owner: ann@example.com, description: Everything is allowed.}
matrix: standard
stake: {data: {public: low}}
tools:
  - id: all.tools
    description: Any of its tools.
    mcp: {server: everything, tool: "*"}
    reversibility: read_only
    facets: {data: public}
"""


@dataclass
class Discovering:
    """Amends listings as ever, and what a server says of tasks that nobody knows."""

    listings: Listings

    async def amend(self, message: Message, answer: Document, caller: Caller) -> Document:
        if message.method in documents.METHODS:
            return documents.foreign(message, answer)
        return await self.listings.amend(message, answer, caller)


class TasksEndpoint(McpEndpoint):
    """Also amends what a server says of tasks."""

    async def _routed(
        self, reply: Reply, message: Message, caller: Caller, *rest: Any
    ) -> web.StreamResponse:
        theirs = not documents.is_ours(message.params.get("taskId"))
        if message.method in documents.METHODS and theirs and declares_tasks(caller):
            return await self._exchanges.amended(reply, message, caller)
        return await super()._routed(reply, message, caller, *rest)


@asynccontextmanager
async def through(
    store: RedisStore, url: str, *, after: float, policy: str = POLICY
) -> AsyncIterator[tuple[str, World]]:
    """Serve Interlock before *url*; slow calls are tasks after so many seconds."""
    listed, ids = Listed(), RandomIds()
    upstream = McpHttpUpstream(HttpSettings(url=url, allow_private=True))
    world = World(
        store,
        policy=read_policies([("all.yaml", policy)]),
        upstreams={NAME: upstream},
        definitions=listed,
        ids=ids,
        clock=SystemClock(),
    )
    gate, learner = world.gate, Learner(listed, Tasks())
    notes = RedisTaskNotes(store.client, key=b"k" * 32, prefix=store._prefix[1:-1])
    served = ServedTasks(gate, notes, listed, ids, after=lambda caller: after)
    calls = Calls(gate, listed, b"k" * 32, SystemClock(), tasks=served)
    endpoint = TasksEndpoint(
        servers={NAME: Server(name=NAME, upstream=upstream)},
        calls=calls,
        definitions=listed,
        listing=Discovering(Listings(gate, listed, learner, tasks=True)),
        holding=lambda agent: Holding(),
        read_on=gate.read_on,
        refused=lambda kind: None,
        stops=Stops(store, fresh=0.0, watch=0.05),
        tasks=served,
    )
    listener = AgentsListener(
        gate,
        Keys(),
        {},
        anonymous=Agent(id="bot", owner="olga"),
        hosts=frozenset({"127.0.0.1", "localhost"}),
        refused=lambda kind: None,
        mcp=endpoint,
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(upstream.close)
        stack.push_async_callback(gate.close, 2)
        stack.push_async_callback(served.close, 2)
        runner = web.ServerRunner(server(listener), shutdown_timeout=1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/mcp/{NAME}", world


async def test_every_check_of_the_tasks_scenarios_passes(store: RedisStore, tmp_path: Path) -> None:
    """One threshold: where it lies makes no other tasks, and a whole Interlock has another one."""
    with serving(FIXTURE) as direct:
        async with through(store, direct, after=0.1) as (url, _):
            found = await asyncio.to_thread(tasks, url, tmp_path)
    assert compare(load(EXPECTED / "tasks.json"), found) == ()
