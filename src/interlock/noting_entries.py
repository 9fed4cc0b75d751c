"""Records as entries of the feed: sealed with a key that is not in the store."""

from __future__ import annotations

import hmac
import json
import zlib
from collections.abc import Mapping
from dataclasses import fields
from operator import attrgetter
from types import MappingProxyType
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from .core.records import DecidedCall, pack, unpack

_PLAIN, _DEFLATED = b"1", b"2"
_MAC = 32  #: bytes
_WORTH_IT = 2048  #: bytes; less is not worth the time that deflating takes
TOLD = "told"  #: the state of an entry that only says how a call turned out
LARGEST = 16 * 1024 * 1024  #: bytes of a record, inflated


def encode(record: DecidedCall, key: bytes) -> bytes:
    """Return *record* as an entry of the feed: kind, MAC (HMAC-SHA256), JSON or deflated JSON."""
    data = _json(packed(record))
    kind = _PLAIN
    if len(data) > _WORTH_IT:
        kind, data = _DEFLATED, zlib.compress(data, 1)
    return b"".join((kind, hmac.digest(key, kind + data, "sha256"), data))


def only_told(action_id: str, version: int, told: DecidedCall | None) -> DecidedCall:
    """Return what was *told* of a call, and nothing of the call: that is for its own record."""
    return DecidedCall(
        id=action_id,
        version=version,
        state=TOLD,
        created=0,
        ended=0,
        agent="",
        upstream="",
        tool="",
        level="",
        told=0 if told is None else told.told,
        audit=None if told is None else told.audit,
        reports=() if told is None else told.reports,
    )


def decode(entry: bytes, key: bytes) -> DecidedCall:
    """Return the record of an entry.

    Raises:
        ValueError: it is forged or damaged: nobody with *key* wrote it.
    """
    kind, mac, data = entry[:1], entry[1 : 1 + _MAC], entry[1 + _MAC :]
    if not hmac.compare_digest(hmac.digest(key, kind + data, "sha256"), mac):
        raise ValueError("not an entry that we wrote")
    try:
        if kind == _DEFLATED:
            data = zlib.decompressobj().decompress(data, LARGEST)
        return unpack(json.loads(data))
    except (zlib.error, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a record of this version: {error!r}") from error


def packed(record: DecidedCall) -> dict[str, Any]:
    """Return what `records.pack` does, for JSON, at a third of its cost: every call pays for it."""
    if record.reviews or record.reports or record.audit is not None:
        return pack(record)
    return {
        name: dict(value) if type(value) is MappingProxyType else value
        for name, value, usual in zip(_NAMES, _values(record), _USUAL, strict=True)
        if (value is not usual and value != usual) or name in _ALWAYS
    }


_NAMES = tuple(each.name for each in fields(DecidedCall))
_values = attrgetter(*_NAMES)
_ALWAYS = frozenset("id version state created ended agent upstream tool level".split())
_USUAL = tuple(
    each.default_factory() if callable(each.default_factory) else each.default
    for each in fields(DecidedCall)
)


def _json(said: Mapping[str, Any]) -> bytes:
    try:
        return to_json(said)
    except PydanticSerializationError:  # half of a surrogate pair: no reader would take it
        text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "replace")
