"""Documents of others, JSON or YAML, read within bounds, and `$ref`s that stay inside them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import yaml

from .operations import DraftError

MAX_BYTES = 32 << 20
MAX_DEPTH = 200
MAX_HOPS = 32

_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# YAML 1.2's reading of plain values: `on`, `no`, 012 and dates are text, as OpenAPI means them.
_PLAIN = (
    ("bool", r"(?:true|false)\Z", "tf"),
    ("null", r"(?:null|~|)\Z", "n~\0"),
    ("int", r"-?(?:0|[1-9][0-9]*)\Z", "-0123456789"),
    ("float", r"-?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+]?[0-9]+)?\Z", "-0123456789"),
)


class _Loader(_BASE):  # type: ignore[misc]  # the C loader has no types
    yaml_implicit_resolvers: dict[str, Any] = {}


for _tag, _pattern, _first in _PLAIN:
    for _character in _first:
        _Loader.yaml_implicit_resolvers.setdefault(
            "" if _character == "\0" else _character, []
        ).append((f"tag:yaml.org,2002:{_tag}", re.compile(_pattern)))


def read_document(raw: bytes, name: str) -> Mapping[str, Any]:
    """Read *raw* as JSON or else as YAML.

    Raises:
        DraftError: it is too large, too deep, neither of the two, or not a mapping.
    """
    if len(raw) > MAX_BYTES:
        raise DraftError(
            f"{name}: {len(raw) >> 20} MiB; at most {MAX_BYTES >> 20} MiB are read. Draft from a "
            "part of it: the paths that agents need, with their components"
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DraftError(f"{name}: not UTF-8 at byte {error.start}: save it as UTF-8") from None
    try:
        found = json.loads(text) if text.lstrip()[:1] == "{" else _yaml(text, name)
    except json.JSONDecodeError as error:
        raise DraftError(f"{name}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from None
    except RecursionError:
        raise DraftError(f"{name}: nested too deeply to be read") from None
    if not isinstance(found, dict):
        raise DraftError(f"{name}: not a mapping at the top: is it an OpenAPI document?")
    return found


def _yaml(text: str, name: str) -> Any:
    try:
        _check_events(text, name)
        return yaml.load(text, Loader=_Loader)  # noqa: S506 -- a safe loader, narrowed further
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise DraftError(f"{name}{place}: not YAML: {str(error).splitlines()[0]}") from None
    except ValueError as error:  # for one, an integer of thousands of digits
        raise DraftError(f"{name}: not YAML that can be read: {error}") from None


def _check_events(text: str, name: str) -> None:
    """Refuse aliases (a few lines of them can stand for gigabytes) and endless nesting."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            mark: Any = event.start_mark
            place = f"{name}:{mark.line + 1}:{mark.column + 1}"
            raise DraftError(
                f"{place}: YAML aliases (*{event.anchor}) are not followed: write the document as "
                "JSON, or with $ref"
            )
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise DraftError(f"{name}: nested more than {MAX_DEPTH} deep")


class References:
    """Follows the `$ref`s of one document."""

    __slots__ = ("_document", "_name")

    def __init__(self, document: Mapping[str, Any], name: str) -> None:
        self._document = document
        self._name = name

    def follow(self, node: Any) -> Mapping[str, Any]:
        """Return *node*, or what its `$ref` leads to; {} where that is not a mapping.

        Raises:
            DraftError: it leads outside the document, to nothing, or back to itself.
        """
        for _ in range(MAX_HOPS):
            if not isinstance(node, Mapping):
                return {}
            pointer = node.get("$ref")
            if not isinstance(pointer, str):
                return node
            node = self._at(pointer)
        raise DraftError(f"{self._name}: $ref {pointer!r} leads back to itself")

    def _at(self, pointer: str) -> Any:
        if not pointer.startswith("#"):
            raise DraftError(
                f"{self._name}: $ref {pointer[:200]!r} leads outside the document, and nothing is "
                "fetched: bundle it into one file first (npx @redocly/cli bundle)"
            )
        found: Any = self._document
        for part in pointer[1:].split("/")[1:]:
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and key.isdecimal() and int(key[:9]) < len(found):
                found = found[int(key[:9])]
            elif isinstance(found, Mapping) and key in found:
                found = found[key]
            else:
                raise DraftError(f"{self._name}: $ref {pointer[:200]!r} leads to nothing")
        return found
