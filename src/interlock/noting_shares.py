"""How much of records one agent may fill the archive with in a day; beyond that they are short."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .core.masking import HIDDEN
from .core.records import DecidedCall
from .noting_calls import LARGEST

MOST = 256 * 1024 * 1024  #: bytes of one agent's records in a day (UTC), in each process
_AGENTS = 10_000  #: that are known at a time
_BASE = 1500  #: bytes of a record beside what its agent chooses
_SHORT = 500  #: characters of a text in a short record
_DAY_MS = 86_400_000
log = logging.getLogger("interlock")


class Shares:
    """Counts what the records of each agent take. *most*: bytes in a day."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._day = 0
        self._taken: dict[str, int] = {}

    def fitting(self, record: DecidedCall, entry: int) -> DecidedCall:
        """Return *record*, of *entry* bytes as written; a short one once its agent had its share.

        What people decided stays whole: there is no more of it than they decide.
        """
        day = record.ended // _DAY_MS
        if day > self._day or len(self._taken) > _AGENTS:
            self._day, self._taken = day, {}
        before = self._taken.get(record.agent, 0)
        texts = len(record.reason) + len(record.task) + len(record.cause)
        size = max(entry, _BASE + 2 * min(record.size, LARGEST) + texts)
        if record.reviews or before + size <= self._most:
            self._taken[record.agent] = before + size
            return record
        if before <= self._most:
            self._taken[record.agent] = self._most + 1
            log.warning(
                "records of agent %s are kept short until midnight (UTC): they took %d MiB today",
                record.agent,
                self._most >> 20,
            )
        return short(record)


def short(record: DecidedCall) -> DecidedCall:
    """Return *record* without what its agent can make large: arguments, request and task."""
    return replace(
        record,
        request=_short_call(record.request),
        final=None if record.final is None else _short_call(record.final),
        arguments={},
        final_arguments={},
        target=None if record.target is None else {},
        task="",
        reason=record.reason[:_SHORT],
        cause=record.cause[:_SHORT],
        facts={name: each for name, each in record.facts.items() if name != "task"},
        masked=True,
    )


def _short_call(call: Mapping[str, Any]) -> Mapping[str, Any]:
    if "mcp" in call:
        return {"mcp": call["mcp"]}
    named = {name: call[name] for name in ("upstream", "method", "service") if name in call}
    return named | {"path": f"/{HIDDEN}"} if named else {}
