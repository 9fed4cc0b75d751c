"""Guesses as entries of a policy file, each with its reasons."""

from __future__ import annotations

from typing import Any

from ...core.decisions import Reversibility
from .operations import Drafted, Guess, Operation
from .words import first_sentence, plain
from .yaml_text import block, comment, flow, one_line

_DESCRIPTION = 160
_REASONS = 500


def entry(drafted: Drafted) -> list[str]:
    """Return the lines of one entry under `tools`, comments first."""
    operation, guess = drafted.operation, drafted.guess
    lines = comment(f"{operation.key}: {'; '.join(guess.why)}"[:_REASONS], 2)
    if guess.confirm:
        lines += comment(f"CONFIRM: {' '.join(guess.confirm)}"[:_REASONS], 2)
    lines.append(f"  - id: {flow(operation.id)}")
    for name, value in _members(operation, guess).items():
        lines += block(name, value, 4)
    return lines


def _members(operation: Operation, guess: Guess) -> dict[str, Any]:
    members: dict[str, Any] = {}
    if description := _description(operation):
        members["description"] = description
    if operation.method:
        members["http"] = _http(operation)
    else:
        members["mcp"] = {"server": operation.upstream, "tool": operation.name}
        members["annotations"] = {"pin": operation.definition}
    if operation.parameters.schema:
        members["args_schema"] = operation.parameters.schema
    members["reversibility"] = guess.reversibility.word
    if guess.undo and guess.reversibility is not Reversibility.READ_ONLY:
        undo = guess.undo
        members["undo"] = {"tool": undo.tool} if undo.tool else {"reason": undo.reason}
    members["facets"] = {
        name: int(value) if value.isdecimal() else value for name, value in guess.facets.items()
    }
    if guess.egress:
        members["egress"] = True
    if guess.taints:
        members["taints"] = list(guess.taints)
    if guess.target:
        members["target"] = list(guess.target)
    return members


def _http(operation: Operation) -> dict[str, Any]:
    parameters = operation.parameters
    http: dict[str, Any] = {"upstream": operation.upstream, "method": operation.method}
    http["path"] = operation.path
    if operation.query:
        http["query"] = dict(operation.query)
    params = [name for name in parameters.params if name not in parameters.properties]
    for name, value in (
        ("params", params),
        ("multi", parameters.multi),
        ("body", parameters.bodies),
    ):
        if value:
            http[name] = list(value)
    return http


def _description(operation: Operation) -> str:
    text = plain(operation.summary) or first_sentence(plain(operation.description))
    text = one_line(text)
    return text if len(text) <= _DESCRIPTION else f"{text[: _DESCRIPTION - 3].rstrip()}..."
