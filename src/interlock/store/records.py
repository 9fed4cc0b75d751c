"""Records of MCP tools to bytes and back; what was tampered with reads as if it were not there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..core.definitions import definition_hash
from ..core.listings import Accepted, Listed, ToolRecord
from .codec import DAMAGED


def encode_record(record: ToolRecord) -> bytes:
    """Return *record* as JSON; a document that is both listed and accepted is in it once."""
    listed, accepted = record.listed, record.accepted
    once = accepted is not None and accepted.hash == listed.hash
    said: dict[str, Any] = {
        "listed": [listed.hash, listed.size, listed.since, listed.flaw],
        "document": None if once else listed.document,
    }
    if accepted is not None:
        said["accepted"] = [accepted.hash, accepted.by, accepted.at, accepted.mac]
        said["before"] = accepted.document
    return json.dumps(said, separators=(",", ":")).encode()


def decode_record(server: str, tool: str, text: bytes) -> ToolRecord | None:
    """Return the record of *tool*, or None. That an acceptance is genuine says its MAC alone."""
    try:
        return _decoded(server, tool, json.loads(text))
    except DAMAGED:
        return None


def _decoded(server: str, tool: str, said: Mapping[str, Any]) -> ToolRecord | None:
    name, size, since, flaw = said["listed"]
    listed = Listed(
        hash=str(name), document=said["document"], size=int(size), since=int(since), flaw=str(flaw)
    )
    accepted = None
    if "accepted" in said:
        known, by, at, mac = said["accepted"]
        accepted = Accepted(
            hash=str(known), document=said["before"], by=str(by), at=int(at), mac=str(mac)
        )
        if not _own(accepted.document, accepted.hash, tool):
            accepted = None
    if listed.document is None and accepted is not None and accepted.hash == listed.hash:
        listed = Listed(
            hash=listed.hash, document=accepted.document, size=listed.size, since=listed.since
        )
    if listed.document is not None and not _own(listed.document, listed.hash, tool):
        return None
    return ToolRecord(server=server, tool=tool, listed=listed, accepted=accepted)


def _own(document: Any, hash: str, tool: str) -> bool:
    """Say whether *document* is what *hash* stands for: nobody accepts what they did not see."""
    named = isinstance(document, Mapping) and document.get("name") == tool
    return named and definition_hash(document) == hash
