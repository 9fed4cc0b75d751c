"""Headers that repeat what the body of an MCP message says, so that proxies can route by them.

`Mcp-Name` repeats a name, `Mcp-Param-*` arguments whose schema says `x-mcp-header`. A server
refuses a request whose headers and body differ, so after an edit they are made anew. Source: MCP
2026-07-28, basic/transports/streamable-http (SEP-2243).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any

PARAM_PREFIX = "Mcp-Param-"
_SENTINEL = re.compile(r"=\?base64\?(.*)\?=", re.DOTALL)
_PLAIN = re.compile(r"[\x20-\x7e]*")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def encode_mirrored(text: str) -> str:
    """Return *text* as a header value: as it is where it survives, else in base64."""
    if _PLAIN.fullmatch(text) and text == text.strip() and not _SENTINEL.fullmatch(text):
        return text
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="


def decode_mirrored(value: str) -> str | None:
    """Return the text that a header value stands for; None where it is not canonical base64."""
    found = _SENTINEL.fullmatch(value)
    if found is None:
        return value
    try:
        raw = base64.b64decode(found[1], validate=True)
        text = raw.decode("utf-8")
    except (binascii.Error, ValueError):  # UnicodeDecodeError is one
        return None
    return text if base64.b64encode(raw).decode() == found[1] else None


def mirrored_params(
    schema: Mapping[str, Any], arguments: Mapping[str, Any]
) -> tuple[tuple[str, str], ...]:
    """Return the `Mcp-Param-*` headers of *arguments*, as the tool's inputSchema asks for them."""
    headers = []
    for path, token in _marked(schema):
        text = _text(_at(arguments, path))
        if text is not None:
            headers.append((PARAM_PREFIX + token, encode_mirrored(text)))
    return tuple(headers)


def _marked(schema: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield path and token of every property that is mirrored, reached by `properties` alone."""
    stack: list[tuple[tuple[str, ...], Any]] = [((), schema)]
    while stack:
        path, node = stack.pop()
        if not isinstance(node, Mapping):
            continue
        token = node.get("x-mcp-header")
        if path and isinstance(token, str) and _TOKEN.fullmatch(token):
            yield path, token
        inside = node.get("properties")
        if isinstance(inside, Mapping):
            stack += [((*path, name), each) for name, each in inside.items()]


def _at(arguments: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if not isinstance(arguments, Mapping):
            return None
        arguments = arguments.get(name)
    return arguments


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else None
