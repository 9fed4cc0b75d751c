"""A client of `mcp` 2.3 that does what each client scenario of the conformance suite asks.

    python -m tests.conformance.reference_client [--through COMMAND] URL

The suite starts it with the URL of its own server, and names the scenario and the version in the
environment. COMMAND is a proxy: it gets URL as its last argument, prints the URL to use instead as
its first line, and runs until it is stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Literal

from mcp.client.client import Client
from mcp.client.context import ClientRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequestFormParams,
    ElicitRequestParams,
    ElicitResult,
    ListRootsResult,
    TextContent,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

_EXAMPLES: dict[str, Any] = {"string": "x", "integer": 0, "number": 0, "boolean": False}


async def _accept(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
    """Accepts a form with its defaults; a required yes or no without one is a yes."""
    content: dict[str, Any] = {}
    if isinstance(params, ElicitRequestFormParams):
        for name, schema in params.requested_schema.get("properties", {}).items():
            if "default" in schema or schema.get("type") == "boolean":
                content[name] = schema.get("default", True)
    return ElicitResult(action="accept", content=content)


async def _sample(
    context: ClientRequestContext, params: CreateMessageRequestParams
) -> CreateMessageResult:
    content = TextContent(type="text", text="sampled")
    return CreateMessageResult(role="assistant", content=content, model="none")


async def _roots(context: ClientRequestContext) -> ListRootsResult:
    return ListRootsResult(roots=[])


async def _only_list(client: Client) -> None:
    await client.list_tools()


def _call(name: str, **arguments: Any) -> Callable[[Client], Awaitable[None]]:
    async def play(client: Client) -> None:
        await client.list_tools()
        await client.call_tool(name, arguments)

    return play


async def _echo_schema(client: Client) -> None:
    """Gives the server the schema back as it arrived."""
    tools = (await client.list_tools()).tools
    schema = next(t.input_schema for t in tools if t.name == "json_schema_2020_12_tool")
    await client.call_tool("json_schema_echo", {"schema": schema})


async def _call_all(client: Client) -> None:
    """Calls every tool the SDK shows; it hides those whose header annotations are invalid."""
    for tool in (await client.list_tools()).tools:
        properties = tool.input_schema.get("properties", {})
        required = tool.input_schema.get("required", [])
        example = {name: _EXAMPLES.get(properties[name].get("type"), "x") for name in required}
        with contextlib.suppress(MCPError):
            await client.call_tool(tool.name, example)


async def _call_as_told(client: Client) -> None:
    """Makes the calls that the suite names in the environment."""
    shown = {tool.name for tool in (await client.list_tools()).tools}
    for call in json.loads(os.environ["MCP_CONFORMANCE_CONTEXT"])["toolCalls"]:
        if call["name"] in shown:
            with contextlib.suppress(MCPError):
                await client.call_tool(call["name"], call.get("arguments") or {})


async def _rounds(client: Client) -> None:
    """Two calls that need input, one between that does not, and an answer of no type."""
    await client.list_tools()
    for name in ("echo_state", "unrelated", "no_state"):
        await client.call_tool(f"test_mrtr_{name}", {})
    # mcp 2.3 refuses a result without resultType; the suite minds only that it is not retried
    with contextlib.suppress(ValidationError):
        await client.call_tool("test_mrtr_no_result_type", {})


_ADD = _call("add_numbers", a=5, b=3)
SCENARIOS: dict[str, Callable[[Client], Awaitable[None]]] = {
    "initialize": _only_list,
    "tools_call": _ADD,
    "elicitation-sep1034-client-defaults": _call("test_client_elicitation_defaults"),
    "sse-retry": _call("test_reconnection"),
    "json-schema-2020-12-preservation": _echo_schema,
    "request-metadata": _ADD,
    "http-standard-headers": _ADD,
    "http-custom-headers": _call_as_told,
    "http-invalid-tool-headers": _call_all,
    "json-schema-ref-no-deref": _only_list,
    "sep-2322-client-request-state": _rounds,
}


def _mode(scenario: str, version: str) -> Literal["auto", "legacy"]:
    # the suite says 2026-07-28 of this scenario, and serves the handshake of earlier versions only
    if scenario == "json-schema-ref-no-deref":
        return "legacy"
    return "auto" if version in MODERN_PROTOCOL_VERSIONS else "legacy"


@contextlib.asynccontextmanager
async def _proxied(command: str | None, url: str) -> AsyncIterator[str]:
    """The URL to use: *url* itself, or what the proxy prints."""
    if command is None:
        yield url
        return
    process = await asyncio.create_subprocess_exec(
        *shlex.split(command), url, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        if not line.strip():
            raise RuntimeError(f"`{command} {url}` printed no URL")
        yield line.decode().strip()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def play(scenario: str, version: str, url: str, through: str | None) -> None:
    """Plays *scenario* against the suite's server at *url*.

    Raises:
        KeyError: a scenario this client does not know.
    """
    script = SCENARIOS[scenario]
    async with (
        _proxied(through, url) as address,
        Client(
            address,
            mode=_mode(scenario, version),
            elicitation_callback=_accept,
            sampling_callback=_sample,
            list_roots_callback=_roots,
        ) as client,
    ):
        await script(client)


def main(argv: list[str] | None = None) -> None:
    """Plays the scenario that the environment names."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--through", metavar="COMMAND")
    parser.add_argument("url")
    options = parser.parse_args(argv)
    scenario = os.environ["MCP_CONFORMANCE_SCENARIO"]
    version = os.environ["MCP_CONFORMANCE_PROTOCOL_VERSION"]
    asyncio.run(play(scenario, version, options.url, options.through))


if __name__ == "__main__":
    main()
