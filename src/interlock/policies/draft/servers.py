"""What an MCP server lists as its tools, over stdio or HTTP. Nothing is ever called."""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

from .mcp_tools import MAX_TOOLS
from .operations import DraftError

_MOST_PAGES = 100
_PARTS = ("name", "title", "description", "inputSchema", "outputSchema", "annotations")


async def list_tools(
    where: str, headers: Mapping[str, str], seconds: float = 60
) -> list[dict[str, Any]]:
    """Return the entries of `tools/list` of the server at *where*: a URL, or a command line.

    A command gets the environment of this process; `headers` go to a URL.

    Raises:
        DraftError: the client is not installed, or the server does not answer in time.
    """
    try:
        async with asyncio.timeout(seconds):
            return await _listed(where, headers)
    except TimeoutError:
        raise DraftError(f"{_named(where)}: no list of tools within {seconds:g} s") from None
    except ImportError as error:
        raise DraftError(
            f"reading an MCP server needs the `mcp` package ({error.name or error} is missing): "
            "pip install 'interlock[mcp]'"
        ) from None
    except (OSError, ExceptionGroup, RuntimeError, ValueError) as error:
        if isinstance(error, DraftError):
            raise
        raise DraftError(f"{_named(where)}: {_reason(error)}") from None


async def _listed(where: str, headers: Mapping[str, str]) -> list[dict[str, Any]]:
    from mcp import Client, MCPError

    found: list[dict[str, Any]] = []
    cursor: str | None = None
    try:
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(
                Client(await _transport(where, headers, stack))
            )
            for _ in range(_MOST_PAGES):
                page = await client.list_tools(cursor=cursor)
                found += [_entry(tool) for tool in page.tools]
                cursor = page.next_cursor
                if not cursor or len(found) > MAX_TOOLS:
                    break
    except MCPError as error:
        raise DraftError(f"{_named(where)}: the server answers: {error}") from None
    return found


async def _transport(where: str, headers: Mapping[str, str], stack: AsyncExitStack) -> Any:
    from mcp import StdioServerParameters
    from mcp.client.streamable_http import streamable_http_client
    from mcp.shared._httpx_utils import create_mcp_http_client

    if where.startswith(("http://", "https://")):
        client = create_mcp_http_client(headers=dict(headers))
        await stack.enter_async_context(client)
        return streamable_http_client(where, http_client=client)
    try:
        words = shlex.split(where)
    except ValueError as error:
        raise DraftError(f"{where!r} is not a command line: {error}") from None
    if not words:
        raise DraftError("give the URL of an MCP server, or the command that starts one")
    return StdioServerParameters(command=words[0], args=words[1:], env=dict(os.environ))


def _entry(tool: Any) -> dict[str, Any]:
    """Return a tool as it came over the wire, as far as the definition goes."""
    whole = tool.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return {name: whole[name] for name in _PARTS if name in whole}


def _named(where: str) -> str:
    """Return *where* without the arguments of a command or a query, which may hold secrets."""
    return where.partition("?")[0] if "://" in where else (where.split() or [where])[0]


def _reason(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    lines = str(error).splitlines() or [type(error).__name__]
    if len(lines) > 1 and "ListToolsResult" in lines[0]:
        return f"its list of tools is not what MCP asks for: {'; '.join(lines[1:3])}"[:300]
    return lines[0][:300]
