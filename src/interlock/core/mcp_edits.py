"""A person's edit of an MCP call, written back into its message and the headers that repeat it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .actions import ToolCall
from .decisions import Decision
from .digest import seal
from .edits import changed_arguments, plain
from .errors import InvalidEdit, MalformedCall
from .messages import content_of, read_message, with_arguments, write_message
from .mirrors import PARAM_PREFIX, mirrored_params


def apply_mcp_edit(
    call: ToolCall,
    decision: Decision,
    arguments: Mapping[str, Any],
    schema: Mapping[str, Any] | None,
) -> ToolCall:
    """Return *call* with *arguments* in place of those that it has, sealed anew.

    *schema* is the inputSchema that the server lists for the tool; None: it lists none. Whether
    the arguments fit it is not checked here.

    Raises:
        InvalidEdit: an argument may not be edited, would not be read back as written, nothing
            changed, or headers repeat arguments and the schema that says which is not known.
    """
    changed_arguments(decision, arguments)
    message = read_message(call.body)
    try:
        body = write_message(with_arguments(message, arguments))
        written = read_message(body)
        content = content_of(written)
    except (MalformedCall, ValueError, RecursionError) as refused:
        said = refused.detail if isinstance(refused, MalformedCall) else "it is not JSON"
        raise InvalidEdit(f"The edited call would be refused: {said}") from None
    if plain(content.value) != plain(dict(arguments)):
        raise InvalidEdit("The edited arguments would not be read back as written.")
    headers = _mirrored(call, content.value, schema)
    return seal(replace(call, body=body, content=content, headers=headers))


def _mirrored(
    call: ToolCall, arguments: Mapping[str, Any], schema: Mapping[str, Any] | None
) -> tuple[tuple[str, str], ...]:
    prefix = PARAM_PREFIX.lower()
    kept = [header for header in call.headers if not header[0].lower().startswith(prefix)]
    if len(kept) == len(call.headers):
        return call.headers
    if schema is None:
        raise InvalidEdit(
            "Headers of this call repeat its arguments, and the schema that says which is not"
            " known: reject it, and say what you would approve."
        )
    return (*kept, *mirrored_params(schema, arguments))
