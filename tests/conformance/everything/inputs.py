"""Tools and a prompt of 2026-07-28 that need input: they answer `input_required` (SEP-2322)."""

from __future__ import annotations

import json
from typing import Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.prompts import Prompt
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp.server.mcpserver.tools import Tool
from mcp_types import (
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    ListRootsResult,
    SamplingMessage,
    TextContent,
)


def form(message: str, **fields: str) -> ElicitRequest:
    """Asks the user to fill in *fields* (name=JSON type), all of them required."""
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: {"type": kind} for name, kind in fields.items()},
        "required": list(fields),
    }
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def answered(ctx: Context, key: str, field: str) -> object:
    """The value of *field* in the user's answer to *key*; None where there is none."""
    answer = (ctx.input_responses or {}).get(key)
    if isinstance(answer, ElicitResult) and answer.action == "accept" and answer.content:
        return answer.content.get(field)
    return None


def _sample(text: str, max_tokens: int) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=TextContent(type="text", text=text))
    params = CreateMessageRequestParams(messages=[message], max_tokens=max_tokens)
    return CreateMessageRequest(params=params)


def _needs(state: str | None = None, **requests: InputRequest) -> InputRequiredResult:
    return InputRequiredResult(input_requests=requests, request_state=state)


def test_input_required_result_elicitation(ctx: Context) -> str | InputRequiredResult:
    """Needs the user's name."""
    name = answered(ctx, "user_name", "name")
    if isinstance(name, str):
        return f"Hello, {name}!"
    return _needs(user_name=form("What is your name?", name="string"))


def test_input_required_result_sampling(ctx: Context) -> str | InputRequiredResult:
    """Needs an answer of the client's model."""
    answer = (ctx.input_responses or {}).get("capital_question")
    if isinstance(answer, CreateMessageResult) and isinstance(answer.content, TextContent):
        return f"Model said: {answer.content.text}"
    return _needs(capital_question=_sample("What is the capital of France?", 100))


def test_input_required_result_list_roots(ctx: Context) -> str | InputRequiredResult:
    """Needs the client's roots."""
    answer = (ctx.input_responses or {}).get("client_roots")
    if isinstance(answer, ListRootsResult):
        return f"Client exposed {len(answer.roots)} root(s)."
    return _needs(client_roots=ListRootsRequest())


def test_input_required_result_request_state(ctx: Context) -> str | InputRequiredResult:
    """Needs a confirmation, and its own state back."""
    if ctx.request_state == "awaiting" and answered(ctx, "confirm", "ok") is not None:
        return "state-ok: confirmation received"
    return _needs("awaiting", confirm=form("Please confirm", ok="boolean"))


def test_input_required_result_multiple_inputs(ctx: Context) -> str | InputRequiredResult:
    """Needs three things at once."""
    if {"user_name", "greeting", "client_roots"} <= (ctx.input_responses or {}).keys():
        return "All inputs received."
    return _needs(
        "three at once",
        user_name=form("What is your name?", name="string"),
        greeting=_sample("Generate a greeting", 50),
        client_roots=ListRootsRequest(),
    )


def test_input_required_result_multi_round(ctx: Context) -> str | InputRequiredResult:
    """Needs a name, then a colour."""
    state = json.loads(ctx.request_state) if ctx.request_state else {}
    name, colour = answered(ctx, "step1", "name"), answered(ctx, "step2", "color")
    if state.get("round") == 2 and colour is not None:
        return f"{state['name']} likes {colour}."
    if state.get("round") == 1 and name is not None:
        second = form("Step 2: What is your favorite color?", color="string")
        return _needs(json.dumps({"round": 2, "name": name}), step2=second)
    first = form("Step 1: What is your name?", name="string")
    return _needs(json.dumps({"round": 1}), step1=first)


def test_input_required_result_tampered_state(ctx: Context) -> str | InputRequiredResult:
    """Needs a confirmation; a state that was tampered with never gets here."""
    if ctx.request_state is None:
        return _needs("round-1", confirm=form("Please confirm", ok="boolean"))
    return f"state-ok: {ctx.request_state}"


def test_input_required_result_capabilities(ctx: Context) -> InputRequiredResult:
    """Asks only in the ways that the client declares."""
    declared = ctx.client_capabilities
    requests: dict[str, InputRequest] = {}
    if declared is not None and declared.sampling is not None:
        requests["sample"] = _sample("Say hello", 50)
    if declared is not None and declared.elicitation is not None:
        requests["ask"] = form("What is your name?", name="string")
    return InputRequiredResult(input_requests=requests, request_state="as declared")


def test_input_required_result_prompt(ctx: Context) -> list[UserMessage] | InputRequiredResult:
    """A prompt that needs its context first."""
    context = answered(ctx, "user_context", "context")
    if context is None:
        return _needs(user_context=form("What context should the prompt use?", context="string"))
    text = TextContent(type="text", text=f"Use the following context: {context}")
    return [UserMessage(role="user", content=text)]


TOOLS = tuple(
    Tool.from_function(function)
    for function in (
        test_input_required_result_elicitation,
        test_input_required_result_sampling,
        test_input_required_result_list_roots,
        test_input_required_result_request_state,
        test_input_required_result_multiple_inputs,
        test_input_required_result_multi_round,
        test_input_required_result_tampered_state,
        test_input_required_result_capabilities,
    )
)
PROMPTS = (Prompt.from_function(test_input_required_result_prompt),)
