"""MCP servers and their clients, as configuration has them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from .ingress.mcp.presets import PRESETS
from .ingress.mcp.rounds import MOST
from .ingress.mcp.session import Holding, Server
from .ports import McpServer
from .settings import Config, McpClient


def server_of(config: Config, name: str, upstream: McpServer, reserved: frozenset[str]) -> Server:
    """Return a configured server as its clients see it. *reserved*: headers of its credential."""
    settings = config.servers[name]
    return Server(
        name=name,
        upstream=upstream,
        gates=frozenset(settings.gates),
        sampling=settings.sampling == "pass",
        hide_denied=settings.hide_denied,
        tell_edits=settings.tell_edits,
        forward=frozenset(each.lower() for each in settings.forward_headers),
        reserved=reserved,
        max_body=config.agents.max_body,
    )


def holding_of(config: Config) -> Callable[[str], Holding]:
    """Return what says, by an agent's id, how its client is answered while people decide."""
    usual = _holding(config.mcp.default)
    known = {name: _holding(client) for name, client in config.mcp.agents.items()}
    return lambda agent_id: known.get(agent_id, usual)


def _holding(client: McpClient) -> Holding:
    preset = PRESETS[client.preset]
    rounds = preset.rounds if client.rounds is None else MOST * client.rounds
    return replace(
        preset,
        seconds=preset.seconds if client.hold is None else client.hold,
        rounds=rounds,
        errors=preset.errors if client.errors is None else client.errors,
        tasks=client.tasks,
        task_after=client.task_after,
        own_tools=client.tools,
    )
