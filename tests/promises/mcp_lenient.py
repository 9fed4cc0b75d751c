"""How the most careless MCP server could read some bytes: every reading in which a tool runs.

It takes batches, keys in any case, each of several equal keys, UTF-16 and gzip, several values in
one body, calls without an id, names with spaces around them, and headers in place of the body.
"""

from __future__ import annotations

import base64
import json
import re
import unicodedata
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

ENCODINGS = ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "latin-1")
OPAQUE = frozenset({"params", "result", "error"})
CALL = "toolscall"
_OPENS = re.compile(r"[\[{]")


class Pairs(list[tuple[str, Any]]):
    """A JSON object with all that it says, twice where it says it twice."""


_DECODER = json.JSONDecoder(object_pairs_hook=Pairs, strict=False)


def tools_run(body: bytes, headers: Iterable[tuple[str, str]] = ()) -> set[str]:
    """Return the plain names of all tools that these bytes could be taken to call."""
    fields = {name.lower(): text for name, text in headers}
    found = {name for text in _texts(body) for name in _called(text, fields)}
    if letters(fields.get("mcp-method", "")) == CALL and "mcp-name" in fields:
        found.add(plain(_mirrored(fields["mcp-name"])))
    return found


def plain(name: str) -> str:
    """Return a name as whoever trims, folds and stops at NUL compares it."""
    folded = unicodedata.normalize("NFKC", name.split("\0")[0]).casefold()
    seen = [each for each in folded if unicodedata.category(each)[0] not in "CZ"]
    return unicodedata.normalize("NFKC", "".join(seen))


def letters(method: str) -> str:
    """Return a method as whoever takes any separator and any case compares it."""
    return "".join(each for each in plain(unquote(method)) if each.isalnum())


def _called(text: str, fields: Mapping[str, str]) -> Iterator[str]:
    for envelope in (each for value in _values(text) for each in _envelopes(value)):
        methods = [value for key, value in envelope if plain(key) == "method"]
        if not any(isinstance(each, str) and letters(each) == CALL for each in methods):
            continue
        if "mcp-name" in fields:
            yield plain(_mirrored(fields["mcp-name"]))
        for key, value in envelope:
            if plain(key) == "params":
                yield from _named(value)


def _named(params: Any) -> Iterator[str]:
    """Yield what parameters could name: by a key, by position, or as text of JSON."""
    if isinstance(params, str):
        for value in _values(params):
            yield from _named(value)
    elif isinstance(params, Pairs):
        for key, value in params:
            if plain(key) == "name":
                yield from _texts_in(value)
    elif isinstance(params, list):
        yield from _texts_in(params)


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield plain(value)
    elif isinstance(value, list) and not isinstance(value, Pairs):
        for each in value:
            yield from _texts_in(each)


def _envelopes(value: Any) -> Iterator[Pairs]:
    """Yield what could be messages: in batches, in batches of batches, inside of a wrapping."""
    if isinstance(value, Pairs):
        yield value
        for key, inner in value:
            if plain(key) not in OPAQUE:
                yield from _envelopes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _envelopes(inner)


def _values(text: str) -> Iterator[Any]:
    """Yield every JSON value that stands in *text*, whatever is around it."""
    at = 0
    while (opens := _OPENS.search(text, at)) is not None:
        try:
            value, at = _DECODER.raw_decode(text, opens.start())
        except (ValueError, RecursionError):
            at = opens.start() + 1
        else:
            yield value


def _texts(body: bytes) -> Iterator[str]:
    for each in (body, *_unpacked(body)):
        for encoding in ENCODINGS:
            text = each.decode(encoding, "replace") if encoding != "utf-7" else _utf7(each)
            if "{" in text:
                yield text
                if encoding == "utf-8-sig" and "\ufffd" not in text and "\0" not in text:
                    break  # plain text: other readings of it hold nothing else


def _utf7(body: bytes) -> str:
    return body.decode("utf-7", "ignore")


def _unpacked(body: bytes) -> Iterator[bytes]:
    for window in (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS):
        try:
            yield zlib.decompressobj(window).decompress(body)
        except zlib.error:
            continue


def _mirrored(text: str) -> str:
    found = re.fullmatch(r"=\?base64\?(.*)\?=", text)
    return base64.b64decode(found[1]).decode("utf-8", "replace") if found else text
