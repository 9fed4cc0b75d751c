"""MCP servers and their clients, as configuration has them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import PurePath

from .ingress.mcp.presets import PRESETS
from .ingress.mcp.rounds import MOST
from .ingress.mcp.session import Holding, Server
from .mcp_ports import McpServer
from .settings import Config
from .settings_tools import McpClient


def server_of(
    config: Config,
    name: str,
    upstream: McpServer,
    *,
    reserved: frozenset[str] = frozenset(),
    command: str = "",
) -> Server:
    """Return a configured server as its clients see it.

    *reserved*: headers of its credential. *command*: what it was started as; see `started_as`.
    """
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
        command=command,
    )


def started_as(command: Sequence[str], folder: str) -> str:
    """Return what tells one started server from another: its program, its folder, and a hash.

    Arguments may hold secrets, so people are shown only these.
    """
    said = json.dumps([list(command), folder]).encode()
    return f"{PurePath(command[0]).name} in {folder} ({hashlib.sha256(said).hexdigest()[:12]})"


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
