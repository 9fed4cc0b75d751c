"""Tools of versions up to 2025-11-25 that ask the client back while their call is open."""

from __future__ import annotations

from typing import Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp_types import SamplingMessage, TextContent
from pydantic import BaseModel, Field


async def test_sampling(prompt: str, ctx: Context) -> str:
    """Has the client's model answer *prompt*."""
    answer = await ctx.session.create_message(
        messages=[SamplingMessage(role="user", content=TextContent(type="text", text=prompt))],
        max_tokens=100,
        # without it the request goes to the GET stream, and is lost where none is open yet
        related_request_id=ctx.request_id,
    )
    content = answer.content
    said = content.text if isinstance(content, TextContent) else "No response"
    return f"LLM response: {said}"


class Account(BaseModel):
    """What the suite's client fills in."""

    username: str = Field(description="User's name")
    email: str = Field(description="User's email address")


class Person(BaseModel):
    """A default for each primitive type (SEP-1034)."""

    name: str = Field(default="John Doe", description="User name")
    age: int = Field(default=30, description="User age")
    score: float = Field(default=95.5, description="User score")
    status: str = Field(
        default="active",
        description="User status",
        json_schema_extra={"enum": ["active", "inactive", "pending"]},
    )
    verified: bool = Field(default=True, description="Verification status")


def _titled(**titles: str) -> list[Any]:
    return [{"const": const, "title": title} for const, title in titles.items()]


class Choices(BaseModel):
    """Each way to write an enumeration (SEP-1330)."""

    untitledSingle: str = Field(
        description="One of, untitled",
        json_schema_extra={"enum": ["option1", "option2", "option3"]},
    )
    titledSingle: str = Field(
        description="One of, titled",
        json_schema_extra={
            "oneOf": _titled(value1="First Option", value2="Second Option", value3="Third Option")
        },
    )
    legacyEnum: str = Field(
        description="One of, titled as before SEP-1330",
        json_schema_extra={
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
    )
    untitledMulti: list[str] = Field(
        description="Some of, untitled",
        json_schema_extra={"items": {"type": "string", "enum": ["option1", "option2", "option3"]}},
    )
    titledMulti: list[str] = Field(
        description="Some of, titled",
        json_schema_extra={
            "items": {
                "anyOf": _titled(value1="First Choice", value2="Second Choice", value3="Third")
            }
        },
    )


async def _ask(ctx: Context, message: str, schema: type[BaseModel]) -> str:
    answer = await ctx.elicit(message=message, schema=schema)
    content: Any = answer.data.model_dump_json() if answer.action == "accept" else "{}"
    return f"action={answer.action}, content={content}"


async def test_elicitation(message: str, ctx: Context) -> str:
    """Asks the user for a name and an address."""
    return f"User response: {await _ask(ctx, message, Account)}"


async def test_elicitation_sep1034_defaults(ctx: Context) -> str:
    """Asks the user with a default for each primitive type."""
    answered = await _ask(ctx, "Please review and update the form fields with defaults", Person)
    return f"Elicitation completed: {answered}"


async def test_elicitation_sep1330_enums(ctx: Context) -> str:
    """Asks the user with each kind of enumeration."""
    answered = await _ask(ctx, "Please select options from the enum fields", Choices)
    return f"Elicitation completed: {answered}"


TOOLS = tuple(
    Tool.from_function(function)
    for function in (
        test_sampling,
        test_elicitation,
        test_elicitation_sep1034_defaults,
        test_elicitation_sep1330_enums,
    )
)
