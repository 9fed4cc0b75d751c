"""Tools that answer at once: text, image, audio, resources, an error, a mirrored header."""

from __future__ import annotations

from typing import Annotated

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp.shared.exceptions import MCPError
from mcp_types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    EmbeddedResource,
    ImageContent,
    TextContent,
    TextResourceContents,
)
from pydantic import Field

# one pixel; a WAV file of no samples
PIXEL_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGA"
    "WjR9awAAAABJRU5ErkJggg=="
)
SILENCE_WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA="


def test_simple_text() -> str:
    """Answers one text."""
    return "This is a simple text response for testing."


def test_image_content() -> list[ImageContent]:
    """Answers one image."""
    return [ImageContent(type="image", data=PIXEL_PNG, mime_type="image/png")]


def test_audio_content() -> list[AudioContent]:
    """Answers one sound."""
    return [AudioContent(type="audio", data=SILENCE_WAV, mime_type="audio/wav")]


def test_embedded_resource() -> list[EmbeddedResource]:
    """Answers one resource, embedded."""
    return [
        _embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")
    ]


def test_multiple_content_types() -> list[TextContent | ImageContent | EmbeddedResource]:
    """Answers a text, an image and a resource."""
    return [
        TextContent(type="text", text="Multiple content types test:"),
        ImageContent(type="image", data=PIXEL_PNG, mime_type="image/png"),
        _embedded(
            "test://mixed-content-resource", "application/json", '{"test": "data", "value": 123}'
        ),
    ]


def _embedded(uri: str, mime_type: str, text: str) -> EmbeddedResource:
    contents = TextResourceContents(uri=uri, mime_type=mime_type, text=text)
    return EmbeddedResource(type="resource", resource=contents)


def test_error_handling() -> str:
    """Fails, by intention."""
    raise ToolError("This tool intentionally returns an error for testing")


def test_x_mcp_header(
    region: Annotated[
        str,
        Field(
            description="Mirrored into the header Mcp-Param-Region",
            json_schema_extra={"x-mcp-header": "Region"},
        ),
    ] = "<none>",
) -> str:
    """Answers its argument, which clients repeat in a header."""
    return f"region={region}"


def test_missing_capability(ctx: Context) -> str:
    """Serves only clients that declare sampling; others get a JSON-RPC error."""
    declared = ctx.client_capabilities
    if declared is None or declared.sampling is None:
        raise MCPError(
            code=MISSING_REQUIRED_CLIENT_CAPABILITY,
            message="This tool needs a client that declares `sampling`",
            data={"requiredCapabilities": {"sampling": {}}},
        )
    return "The client declares sampling."


TOOLS = tuple(
    Tool.from_function(function)
    for function in (
        test_simple_text,
        test_image_content,
        test_audio_content,
        test_embedded_resource,
        test_multiple_content_types,
        test_error_handling,
        test_x_mcp_header,
        test_missing_capability,
    )
)
