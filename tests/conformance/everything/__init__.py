"""A server with every tool, resource and prompt that the conformance suite calls.

Names, texts and schemas are the suite's; everything is written for `mcp` 2.3.
"""

from __future__ import annotations

import logging

from mcp.server import ServerRequestContext
from mcp.server.mcpserver import MCPServer, RequestStateSecurity
from mcp_types import (
    Completion,
    CompletionArgument,
    CompletionContext,
    EmptyResult,
    PromptReference,
    ResourceTemplateReference,
    SetLevelRequestParams,
    SubscribeRequestParams,
    UnsubscribeRequestParams,
)

from tests.conformance.everything import content, dialogue, inputs, reading, schemas, streaming
from tests.conformance.everything import slow as slow_tools

logger = logging.getLogger(__name__)

# 32 bytes at least; fixed, so that a requestState survives a restart between two rounds
_STATE_KEY = b"the fixture's request state key, not a secret"


def build_server() -> MCPServer:
    """A new server with all that the suite asks for."""
    modules = (content, streaming, dialogue, inputs, slow_tools, schemas)
    server = MCPServer(
        name="interlock-conformance-fixture",
        version="1",
        log_level="WARNING",
        tools=[tool for module in modules for tool in module.TOOLS],
        request_state_security=RequestStateSecurity(keys=[_STATE_KEY]),
    )
    reading.add_resources(server)
    for prompt in (*reading.PROMPTS, *inputs.PROMPTS):
        server.add_prompt(prompt)
    server.completion()(_nothing_to_complete)  # type: ignore[no-untyped-call]
    _serve_what_the_newest_version_removed(server)
    return server


async def _nothing_to_complete(
    ref: PromptReference | ResourceTemplateReference,
    argument: CompletionArgument,
    context: CompletionContext | None,
) -> Completion:
    return Completion(values=[], total=0, has_more=False)


def _serve_what_the_newest_version_removed(server: MCPServer) -> None:
    """Clients up to 2025-11-25 set a log level and subscribe to single resources."""
    low = server._lowlevel_server  # mcp 2.3 offers these three methods nowhere else
    low.add_request_handler("logging/setLevel", SetLevelRequestParams, _accept)
    low.add_request_handler("resources/subscribe", SubscribeRequestParams, _accept)
    low.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, _accept)


async def _accept(
    ctx: ServerRequestContext,
    params: SetLevelRequestParams | SubscribeRequestParams | UnsubscribeRequestParams,
) -> EmptyResult:
    logger.info("%s accepted", type(params).__name__)
    return EmptyResult()
