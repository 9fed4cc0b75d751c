"""How much of records one agent may fill the archive with in a day; beyond that they are short.

The archive holds the bound for all processes, by what it has on disk (`fits`); each process that
writes records holds it too, by what it wrote since it started, so that no flood fills the feed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .core.masking import HIDDEN
from .core.records import DecidedCall
from .noting_calls import LARGEST

MOST = 256 * 1024 * 1024  #: bytes of one agent's records in a day (UTC)
_AGENTS = 10_000  #: that are known at a time
_BASE = 1500  #: bytes of a record beside what its agent chooses
_SHORT = 500  #: characters of a text in a short record
_DAY_MS = 86_400_000
log = logging.getLogger("interlock")


def day_of(record: DecidedCall) -> int:
    """Return the day (UTC) on which the call ended, as a number."""
    return record.ended // _DAY_MS


def fits(record: DecidedCall, size: int, before: int, most: int = MOST) -> bool:
    """Say whether *record*, of *size* bytes, is kept whole; its agent's take *before* that day.

    What people decided stays whole: there is no more of it than they decide.
    """
    return bool(record.reviews) or before + size <= most


class Shares:
    """Counts what the records of each agent take in this process. *most*: bytes in a day."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._day = 0
        self._taken: dict[str, int] = {}

    def fitting(self, record: DecidedCall, entry: int) -> DecidedCall:
        """Return *record*, of *entry* bytes as written; a short one where it does not fit."""
        day = day_of(record)
        if day > self._day or len(self._taken) > _AGENTS:
            self._day, self._taken = day, {}
        before = self._taken.get(record.agent, 0)
        texts = len(record.reason) + len(record.task) + len(record.cause)
        size = max(entry, _BASE + 2 * min(record.size, LARGEST) + texts)
        if fits(record, size, before, self._most):
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

    def words(self, agent: str, at: int, text: str) -> str:
        """Return what *agent* told at *at* (ms) of a call; its start where it had its share."""
        day, size = at // _DAY_MS, len(json.dumps(text))
        if day > self._day or len(self._taken) > _AGENTS:
            self._day, self._taken = day, {}
        before = self._taken.get(agent, 0)
        if before + size > self._most:
            return text[:_SHORT]
        self._taken[agent] = before + size
        return text


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
        short=True,
    )


def _short_call(call: Mapping[str, Any]) -> Mapping[str, Any]:
    if "mcp" in call:
        return {"mcp": call["mcp"]}
    named = {name: call[name] for name in ("upstream", "method", "service") if name in call}
    return named | {"path": f"/{HIDDEN}"} if named else {}
