"""Keeping a server from the client's own model, where configuration says so. Pure.

The capability is taken out of what clients declare; a server that asks nevertheless is refused in
the client's place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.messages import Message
from ...core.spelling import lax_method
from .reading import with_params
from .results import REFUSED
from .session import CAPABILITIES_KEY, Document

_METHOD = "samplingcreatemessage"  #: as `lax_method` has it
_TEXT = "Interlock does not let this server use the client's model (`sampling: refuse`)."


def undeclared(message: Message) -> Message:
    """Return a message whose sender declares no sampling."""
    if message.method == "initialize":
        changed = _without(message.params, "capabilities")
    else:
        inside = _without(message.meta, CAPABILITIES_KEY)
        changed = None if inside is None else {**message.params, "_meta": inside}
    return message if changed is None else with_params(message, changed)


def _without(holder: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    declared = holder.get(name)
    if not isinstance(declared, Mapping) or "sampling" not in declared:
        return None
    return {**holder, name: {key: value for key, value in declared.items() if key != "sampling"}}


def is_asked(document: Document) -> bool:
    """Whether a message of a server is a request to the client's model."""
    return _is_sampling(document.get("method"))


def _is_sampling(method: object) -> bool:
    """Compare as the laxest client does, which ignores case and what cannot be seen."""
    return isinstance(method, str) and lax_method(method) == _METHOD


def refusal(document: Document) -> Document:
    """Return what the server is answered in the client's place."""
    error = {"code": REFUSED, "message": _TEXT}
    return {"jsonrpc": "2.0", "id": document.get("id"), "error": error}


def without_rounds(document: Document) -> Document:
    """Return a response; one that makes the client ask its model (2026-07-28) as an error."""
    result = document.get("result")
    asked = result.get("inputRequests") if isinstance(result, Mapping) else None
    each = asked.values() if isinstance(asked, Mapping) else ()
    if not any(isinstance(one, Mapping) and _is_sampling(one.get("method")) for one in each):
        return document
    return refusal(document)
