"""From a document, or the tools of a server, to policy files and their tests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...core.errors import InvalidDocument
from ..load import read_policies
from .cases import case
from .documents import read_document
from .entries import entry
from .facets import MONEY_TABLE
from .judge import judge_all
from .mcp_tools import read_tools
from .openapi import base_path, read_openapi
from .operations import Drafted, DraftError, Operation
from .overlaps import without_overlaps
from .yaml_text import comment, flow

# Half of what the reader of policy files takes, so that there is room to write more.
_MOST_BYTES = 450_000
_MOST_LINES = 6_000
_MOST_ENTRIES = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Files by name, policies first, and what they were made of. `notes` are for the reader."""

    files: Mapping[str, str]
    drafted: tuple[Drafted, ...]
    notes: tuple[str, ...] = ()

    @property
    def policies(self) -> list[str]:
        return [name for name in self.files if not name.endswith("_test.yaml")]


def draft_openapi(raw: bytes, file: str, upstream: str) -> Draft:
    """Draft policy files for the API that an OpenAPI document describes.

    `upstream` names the API in the configuration, and the files.

    Raises:
        DraftError: the document cannot be read within bounds.
    """
    document = read_document(raw, file)
    operations = without_overlaps(read_openapi(document, file, upstream))
    base = base_path(document)
    notes = [f"Paths begin with {base}: set the upstream's url without it."] if base else []
    return _draft(operations, file, raw, upstream, notes)


def draft_tools(tools: Sequence[Mapping[str, Any]], source: str, server: str) -> Draft:
    """Draft policy files for an MCP server from the entries of its `tools/list`.

    Raises:
        DraftError: it lists none, or too many.
    """
    operations, odd = read_tools(tools, server)
    notes = [f"Left out, so held as unknown: {name!r}, not the name of a tool." for name in odd]
    raw = json.dumps(list(tools), sort_keys=True).encode("utf-8", "surrogatepass")
    return _draft(operations, source, raw, server, notes)


def _draft(
    operations: Sequence[Operation], source: str, raw: bytes, name: str, notes: Sequence[str]
) -> Draft:
    drafted = judge_all(operations)
    parts = list(_parts(drafted))
    stems = [name if number == 1 else f"{name}-{number}" for number in range(1, len(parts) + 1)]
    policies = [f"{stem}.yaml" for stem in stems]
    origin = f"{source} (sha256 {hashlib.sha256(raw).hexdigest()[:16]})"
    files: dict[str, str] = {}
    for stem, part in zip(stems, parts, strict=True):
        files[f"{stem}.yaml"] = _policy(stem, part, origin, notes)
    _check(files)
    for stem, part in zip(stems, parts, strict=True):
        files[f"{stem}_test.yaml"] = _suite(policies, part)
    return Draft(files=files, drafted=tuple(drafted), notes=tuple(notes))


def _parts(drafted: Sequence[Drafted]) -> list[list[Drafted]]:
    """Cut *drafted* so that each file stays within what the reader takes."""
    parts: list[list[Drafted]] = [[]]
    size = lines = 0
    for each in drafted:
        written = entry(each)
        size += sum(len(line.encode()) + 1 for line in written)
        lines += len(written)
        if parts[-1] and (
            size > _MOST_BYTES or lines > _MOST_LINES or len(parts[-1]) >= _MOST_ENTRIES
        ):
            parts.append([])
            size, lines = 0, len(written)
        parts[-1].append(each)
    return parts


def _policy(stem: str, part: Sequence[Drafted], origin: str, notes: Sequence[str]) -> str:
    doubtful = sum(bool(each.guess.confirm) for each in part)
    head = [
        *comment(f"Drafted by `interlock policy draft` from {origin}.", 0),
        "# Guesses, from names, methods, parameters, descriptions; each with its reason.",
        f"# {doubtful} of {len(part)} are marked CONFIRM: look at those first. All writes are held",
        "# or told until you say otherwise. Reads pass: make sure that they are reads.",
        *(line for note in notes for line in comment(note, 0)),
        "apiVersion: interlock/v1",
        "kind: Policy",
        f"metadata: {{name: {flow(stem)}, version: 1}}",
        "",
        "matrix: standard",
    ]
    if any("money" in each.guess.facets for each in part):
        head += ["", f"stake: {{money: {flow(MONEY_TABLE)}}}"]
    body = [line for each in part for line in ("", *entry(each))]
    return "\n".join([*head, "", "tools:", *body[1:], ""])


def _suite(policies: Sequence[str], part: Sequence[Drafted]) -> str:
    head = [
        "# What the draft makes of one call to each tool. Change what you change in the policy.",
        "apiVersion: interlock/v1",
        "kind: PolicyTest",
        f"policy: {flow(policies[0] if len(policies) == 1 else policies)}",
        "cases:",
    ]
    return "\n".join([*head, *(line for each in part for line in case(each)), ""])


def _check(files: Mapping[str, str]) -> None:
    try:
        read_policies(files.items())
    except InvalidDocument as error:
        raise DraftError(
            f"the draft does not pass its own check, which is a defect; first: {error.problems[0]}"
        ) from None
