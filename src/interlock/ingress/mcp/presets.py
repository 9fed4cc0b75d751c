"""How long the clients of each framework can be held, by name. Pure data, measured where it says.

Chosen by an agent's configuration, never by what a client says that it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .session import Holding

PRESETS: Mapping[str, Holding] = MappingProxyType(
    {
        # any client: under the shortest default time-out found (5 s, openai-agents)
        "default": Holding(seconds=4.0),
        # 0.24.0: ends a request at 5.0 s, progress or not; RuntimeError on rounds; sends a call
        # again at each time-out where retries are configured
        "openai-agents": Holding(seconds=4.0, rounds=0),
        # 2.68.0: no time-out of its own, 300 s between bytes; rounds drove a hold of 19 s; a
        # second `isError` ends the run
        "pydantic-ai": Holding(seconds=60.0, rounds=8, errors=False),
        # adapters 0.3.2 (mcp 1.30): no time-out of its own, comments keep the 300 s between
        # bytes from passing; raises on JSON-RPC errors; speaks no 2026-07-28
        "langchain": Holding(seconds=120.0),
        # 4.1.2: no time-out by default; drives tasks to their end where fastmcp-tasks is there
        "fastmcp": Holding(seconds=60.0, rounds=8),
        # sdk 1.32 and client 2.4: 60 s, which progress extends only where asked for; rounds of
        # client 2.4 get a fresh time-out each
        "typescript": Holding(seconds=45.0, rounds=8),
        # reported: 300 s of silence, progress is heeded and shown; goes on in the background
        # after 120 s
        "claude-code": Holding(seconds=240.0),
        # reported: a wall of 60 s, sometimes more; not measured
        "claude-desktop": Holding(seconds=45.0),
        # not measured: built on the TypeScript SDK, so below its 60 s
        "cursor": Holding(seconds=45.0),
        # not measured: built on its own client; held as those that end a request at 60 s
        "vscode": Holding(seconds=45.0),
    }
)
