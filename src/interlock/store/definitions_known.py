"""From a record of a tool to the definition that calls of it are judged and edited by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..core.listings import ToolRecord
from ..core.redaction import visible_line
from ..core.rules import Validator
from ..mcp_ports import Definition

Compile = Callable[[Mapping[str, Any]], Validator]
"""Compiles an inputSchema. Raises ValueError where it cannot."""


def definition_of(record: ToolRecord, compile_schema: Compile) -> Definition:
    """Return what *record* says; its inputSchema is compiled when it is first needed."""
    document = record.listed.document or {}
    return Definition(
        server=record.server,
        tool=record.tool,
        hash=record.listed.hash,
        document=document,
        accepted=not record.waits,
        invalid=_lazily(compile_schema, document.get("inputSchema")),
    )


def unlisted(server: str, tool: str) -> Definition:
    """Return what a server that was listed to its end says of a tool that it does not list.

    It says nothing, so there is nothing to accept: policy judges the tool by its name.
    """
    return Definition(
        server=server, tool=tool, hash="", document={}, accepted=True, invalid=lambda _: ""
    )


def _lazily(compile_schema: Compile, schema: Any) -> Validator:
    """Return a check of arguments that compiles *schema* when it is first needed."""
    compiled: list[Validator] = []

    def invalid(arguments: Mapping[str, Any]) -> str:
        if not compiled:
            compiled.append(_compiled(compile_schema, schema))
        return compiled[0](arguments)

    return invalid


def _compiled(compile_schema: Compile, schema: Any) -> Validator:
    if not isinstance(schema, Mapping):
        return lambda _: "the server gives no inputSchema to check arguments by"
    try:
        return compile_schema(schema)
    except ValueError as error:
        why = f"the server's inputSchema cannot be used: {visible_line(str(error))[:300]}"
        return lambda _: why
