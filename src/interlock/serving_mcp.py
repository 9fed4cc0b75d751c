"""MCP on the agents' listener: servers over HTTP, what judges their calls, and who serves tasks."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

from .ingress.mcp.amending import Listings
from .ingress.mcp.calls import Calls
from .ingress.mcp.endpoint import McpEndpoint
from .ingress.mcp.legacy import LegacyStreams
from .ingress.mcp.stops import Stops
from .ingress.mcp.tasks import ServedTasks
from .keyfiles import DerivedKeys
from .parts import Parts
from .servers import holding_of, server_of
from .settings import Config
from .settings_tools import ServerSettings
from .store.task_notes import RedisTaskNotes
from .system import RandomIds, SystemClock
from .tools import credential_of, reached_at
from .upstream.http import HttpSettings
from .upstream.mcp_http import McpHttpUpstream
from .upstream.mcp_sse import McpSseUpstream

GRACE = 25.0  #: seconds that sends under way get at shutdown


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """The servers that agents reach over HTTP, by name and transport."""

    streamable: dict[str, McpHttpUpstream]
    legacy: dict[str, McpSseUpstream]

    @property
    def upstreams(self) -> dict[str, McpHttpUpstream | McpSseUpstream]:
        return {**self.streamable, **self.legacy}

    async def close(self) -> None:
        """Close every connection."""
        closing = [each.close() for each in self.streamable.values()]
        await asyncio.gather(*closing, *(each.close() for each in self.legacy.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mcp:
    """What the agents' listener hands requests under `/mcp/` to."""

    endpoint: McpEndpoint
    legacy: LegacyStreams


def servers_over_http(config: Config) -> Servers:
    """Return the servers that have a URL; others are started as commands."""
    places = {name: each for name, each in config.servers.items() if each.url is not None}
    return Servers(
        streamable={
            name: McpHttpUpstream(_settings(each))
            for name, each in places.items()
            if each.transport == "streamable-http"
        },
        legacy={
            name: McpSseUpstream(name, _settings(each))
            for name, each in places.items()
            if each.transport == "sse"
        },
    )


def _settings(server: ServerSettings) -> HttpSettings:
    return reached_at(
        server.url or "",
        server.credentials,
        allow_private=server.allow_private,
        connect_s=server.connect_timeout,
        read_s=server.timeout,
    )


def served_tasks(parts: Parts, keys: DerivedKeys) -> ServedTasks:
    """Return who makes and serves tasks for clients that declare them."""
    notes = RedisTaskNotes(parts.store.client, key=keys.tasks, prefix=parts.config.store.prefix)
    return ServedTasks(
        parts.gate,
        notes,
        parts.definitions,
        RandomIds(),
        after=lambda caller: caller.holding.task_after,
    )


async def opened_mcp(
    parts: Parts, keys: DerivedKeys, servers: Servers, stack: AsyncExitStack
) -> Mcp:
    """Return what answers MCP; what it has under way ends with *stack*."""
    config, gate = parts.config, parts.gate
    tasks = served_tasks(parts, keys)
    calls = Calls(gate, parts.definitions, keys.rounds, SystemClock(), tasks=tasks)
    stack.push_async_callback(calls.close, GRACE)
    stack.push_async_callback(tasks.close, GRACE)
    listing = Listings(gate, parts.definitions, calls.learner, tasks=True)
    holding, stops = holding_of(config), Stops(parts.store)
    legacy = LegacyStreams(
        openers=servers.legacy,
        calls=calls,
        listing=listing,
        holding=holding,
        named=RandomIds().nonce,
        stops=stops,
    )
    endpoint = McpEndpoint(
        servers={
            name: server_of(
                config,
                name,
                upstream,
                reserved=credential_of(config.servers[name].credentials).names,
            )
            for name, upstream in servers.upstreams.items()
        },
        calls=calls,
        definitions=parts.definitions,
        listing=listing,
        holding=holding,
        read_on=gate.read_on,
        refused=parts.metrics.refused,
        stops=stops,
        tasks=tasks,
        legacy=legacy,
    )
    return Mcp(endpoint=endpoint, legacy=legacy)
