"""Resources and prompts."""

from __future__ import annotations

import base64
import json

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.prompts import Prompt
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp_types import EmbeddedResource, ImageContent, TextContent, TextResourceContents

from tests.conformance.everything.content import PIXEL_PNG


def add_resources(server: MCPServer) -> None:
    """Registers the three fixed resources and the template."""
    server.resource("test://static-text")(static_text)
    server.resource("test://static-binary", mime_type="image/png")(static_binary)
    server.resource("test://watched-resource")(watched)
    server.resource("test://template/{id}/data", mime_type="application/json")(from_template)


def static_text() -> str:
    """A text that never changes."""
    return "This is the content of the static text resource."


def static_binary() -> bytes:
    """An image that never changes."""
    return base64.b64decode(PIXEL_PNG)


def watched() -> str:
    """A text that clients may subscribe to."""
    return "Watched resource content"


def from_template(id: str) -> str:
    """A JSON document about the *id* in its address."""
    return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


def _says(text: str) -> UserMessage:
    return UserMessage(role="user", content=TextContent(type="text", text=text))


def test_simple_prompt() -> list[UserMessage]:
    """A prompt without arguments."""
    return [_says("This is a simple prompt for testing.")]


def test_prompt_with_arguments(arg1: str, arg2: str) -> list[UserMessage]:
    """A prompt with two required arguments."""
    return [_says(f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'")]


def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:
    """A prompt that carries a resource."""
    contents = TextResourceContents(
        uri=resourceUri, mime_type="text/plain", text="Embedded resource content for testing."
    )
    embedded = EmbeddedResource(type="resource", resource=contents)
    return [
        UserMessage(role="user", content=embedded),
        _says("Please process the embedded resource above."),
    ]


def test_prompt_with_image() -> list[UserMessage]:
    """A prompt that carries an image."""
    image = ImageContent(type="image", data=PIXEL_PNG, mime_type="image/png")
    return [UserMessage(role="user", content=image), _says("Please analyze the image above.")]


PROMPTS = tuple(
    Prompt.from_function(function)
    for function in (
        test_simple_prompt,
        test_prompt_with_arguments,
        test_prompt_with_embedded_resource,
        test_prompt_with_image,
    )
)
