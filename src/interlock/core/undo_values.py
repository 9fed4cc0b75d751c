"""The values of which a call that undoes another one is made: as they were written."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .actions import Answer, Body, ToolCall
from .content import parse_content, read_json
from .decisions import Undo
from .errors import MalformedCall
from .preparing import Prepared

LONGEST = 1000  #: characters of a value out of an answer
MOST = 1 << 20  #: bytes of an answer once it is unpacked
ANSWER = "answer"
_GZIP = 31  #: for zlib: a gzip header, and the largest window
_PART = re.compile(r"[A-Za-z0-9_$@-]{1,100}\Z", re.ASCII)
_DEEPEST = 8


class NoUndo(Exception):
    """Why there is no such call, in words for people."""


def source_of(text: str) -> tuple[str, tuple[str, ...]]:
    """Return where a value comes from: `args` with a name, or `answer` with the way to a member.

    Raises:
        ValueError: it is neither; the message says what to write.
    """
    kind, _, path = text.partition(".")
    if kind == "args" and path:
        return kind, (path,)
    parts = tuple(path.split("."))
    if kind == ANSWER and all(map(_PART.match, parts)) and len(parts) <= _DEEPEST:
        return kind, parts
    raise ValueError(
        f"{text!r} is no place: write args.NAME (an argument of this call), or answer.PATH"
        " (a member of the JSON that the tool answers, as in answer.payment.id)"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A value, and how it is written: the very digits of a number."""

    value: Any
    written: str

    @property
    def text(self) -> str:
        """As it stands in a path, a query or a form."""
        return self.value if isinstance(self.value, str) else self.written


def values_of(
    undo: Undo, prepared: Prepared, path: Mapping[str, str], answer: Answer
) -> dict[str, Value]:
    document: str | None = None
    found: dict[str, Value] = {}
    for name, text in undo.arguments:
        kind, parts = source_of(text)
        if kind == "args":
            found[name] = _argument(parts[0], prepared, path)
            continue
        document = _document(answer) if document is None else document
        found[name] = _member(document, parts, text)
    return found


def _argument(name: str, prepared: Prepared, path: Mapping[str, str]) -> Value:
    values, sources = prepared.arguments.values, prepared.arguments.sources
    if name not in values or values[name] is None:
        raise NoUndo(f"The call has no argument {name!r}, which would say what is undone.")
    value, call = values[name], prepared.call
    if isinstance(value, str):
        return Value(value=value, written=dumped(value))
    if sources.get(name) != "json":  # a number or a boolean, read from a text
        texts = {**dict(call.query), **_form(call), **path}
        return Value(value=value, written=texts.get(name, dumped(value)))
    text = call.body.decode()
    if isinstance(call.content.value, dict):
        text = dict(_members(text))[name]
    return Value(value=value, written=text.strip())


def _form(call: ToolCall) -> Mapping[str, str]:
    return call.content.value if call.content.kind is Body.FORM else {}


def _document(answer: Answer) -> str:
    """Return the JSON that the tool answered, which was read strictly."""
    headers = [(name.lower(), value) for name, value in answer.headers]
    kinds = [value for name, value in headers if name == "content-type"]
    encodings = [value for name, value in headers if name == "content-encoding"]
    if len(kinds) != 1 or len(encodings) > 1:
        raise NoUndo("The tool's answer does not say what it is.")
    encoding, body = "".join(encodings).strip().lower(), answer.body
    if encoding == "gzip":
        encoding, body = "", _unzipped(body)
    try:
        content = parse_content(kinds[0], body, encoding=encoding)
    except MalformedCall as refused:
        raise NoUndo(f"The tool's answer cannot be read: {refused.detail}") from None
    if content.kind is not Body.JSON or not isinstance(content.value, dict):
        raise NoUndo("The tool's answer is no JSON object.")
    return body.decode().strip(" \t\r\n")


def _unzipped(body: bytes) -> bytes:
    unpacking = zlib.decompressobj(wbits=_GZIP)
    try:
        unpacked = unpacking.decompress(body, MOST)
    except zlib.error:
        raise NoUndo("The tool's answer says that it is gzip, and is not.") from None
    if not unpacking.eof or unpacking.unused_data:
        raise NoUndo(f"The tool's answer is larger than {MOST} bytes, or not one whole.")
    return unpacked


def _member(text: str, parts: tuple[str, ...], said: str) -> Value:
    for part in parts:
        inside = dict(_members(text)) if text.startswith("{") else {}
        if part not in inside:
            raise NoUndo(f"The tool's answer has no {said}.")
        text = inside[part]
    value = read_json(text)
    if value is None or isinstance(value, dict | list):
        raise NoUndo(f"{said} is neither a text nor a number nor true nor false.")
    if len(text) > LONGEST:
        raise NoUndo(f"{said} is longer than {LONGEST} characters.")
    return Value(value=value, written=text)


def _members(text: str) -> Iterator[tuple[str, str]]:
    """Yield the members of a JSON object that was read strictly: names, and values as written."""
    decoder = json.JSONDecoder()
    at = _next(text, text.index("{") + 1)
    while text[at] != "}":
        name, at = decoder.raw_decode(text, at)
        start = _next(text, at)
        _, at = decoder.raw_decode(text, start)
        yield name, text[start:at]
        at = _next(text, at)


def _next(text: str, at: int) -> int:
    while text[at] in " \t\r\n:,":
        at += 1
    return at


def dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
