"""Reads which single operation a GraphQL request runs, and nothing more.

Follows the lexical grammar of the GraphQL specification (October 2021, section 2.1). A document
that defines several operations, or whose root selects through a fragment, has no answer here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_DOCUMENT = 100_000

# Every alternative starts with a character of its own, so that scanning takes linear time.
_TOKEN = re.compile(
    r'"""(?:[^"]|"(?!""))*"""|"(?:[^"\\\n]|\\.)*"|\#[^\n]*'
    r"|[A-Za-z_][A-Za-z0-9_]*|\.\.\.|[{}()\[\]:@$!=|&]|-?[0-9][0-9.eE+-]*|[\s,\ufeff]+",
    re.DOTALL,
)
_TYPES = frozenset({"query", "mutation", "subscription"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """The operation that runs: its type, its name and the fields that its root selects."""

    type: str
    name: str
    fields: frozenset[str]


def read_operation(body: Mapping[str, Any]) -> Operation | None:
    """Return the operation of a GraphQL request body; None where it is not exactly one.

    The name in the document and `operationName` must agree (a missing `operationName` agrees).
    """
    document, wanted = body.get("query"), body.get("operationName")
    if not isinstance(document, str) or len(document) > MAX_DOCUMENT:
        return None
    if '\\"""' in document:  # an escaped block quote; without it the scanner is linear
        return None
    tokens = _tokens(document)
    operations = list(_operations(tokens)) if tokens is not None else []
    if len(operations) != 1 or operations[0] is None:
        return None
    operation = operations[0]
    if wanted is not None and wanted != operation.name:
        return None
    return operation


def _tokens(document: str) -> list[str] | None:
    tokens, at = [], 0
    while at < len(document):
        found = _TOKEN.match(document, at)
        if found is None:
            return None
        text, at = found.group(), found.end()
        if not (text[0] == "#" or text[0] == "," or text[0].isspace() or text[0] == "\ufeff"):
            tokens.append('"' if text[0] == '"' else text)
    return tokens


def _operations(tokens: list[str]) -> list[Operation | None]:
    """Return each operation of the document; None for what cannot be read."""
    found: list[Operation | None] = []
    at = 0
    while at < len(tokens):
        start = at
        while at < len(tokens) and tokens[at] != "{":
            at = _closing(tokens, at) + 1 if tokens[at] in "([" else at + 1
        end = _closing(tokens, at)
        if end >= len(tokens):
            return [None]
        head = tokens[start:at]
        if not head or head[0] in _TYPES:
            named = len(head) > 1 and (head[1][0].isalpha() or head[1][0] == "_")
            fields = _root_fields(tokens[at + 1 : end])
            kind = head[0] if head else "query"
            name = head[1] if named else ""
            found.append(fields and Operation(type=kind, name=name, fields=fields) or None)
        elif head[0] != "fragment":
            return [None]
        at = end + 1
    return found


def _closing(tokens: list[str], at: int) -> int:
    """Return the index of the bracket that closes the one at *at*, or the end."""
    depth = 0
    while at < len(tokens):
        if tokens[at] in "({[":
            depth += 1
        elif tokens[at] in ")}]":
            depth -= 1
            if depth <= 0:
                return at
        at += 1
    return at


def _root_fields(tokens: list[str]) -> frozenset[str] | None:
    """Return the names of the fields (not their aliases); None with a fragment at the root."""
    fields, at = set(), 0
    while at < len(tokens):
        word = tokens[at]
        if word == "...":
            return None
        if word in "({[":
            at = _closing(tokens, at) + 1
        elif word == "@":
            at += 2
        elif at + 1 < len(tokens) and tokens[at + 1] == ":":
            at += 2
        else:
            fields.add(word)
            at += 1
    return frozenset(fields)
