"""How records are taken into the archive: the newest of each call, none that fills it.

What an agent's records may take in a day is counted by what the archive holds of that day: a
restart forgets nothing, and it is one count for all processes that write records.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..core.errors import StoreUnavailable
from ..core.records import DecidedCall
from ..core.redaction import visible_line
from ..noting_shares import MOST, day_of, fits, short
from .archive_file import insert
from .archive_merging import merged
from .archive_rows import BYTES, ID, SHORT, Row, by_column, row_of, shown, unpacked

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

log = logging.getLogger("interlock.archive")

UNFIT = (TypeError, ValueError, OverflowError, AttributeError, RecursionError, KeyError)
"""What making a row of a record that is none can raise."""
_DAY_MS = 86_400_000
_TOLD = 10_000  #: agents whose name the log has said

_NAMED = 5  #: calls that a line of the log names

Key = tuple[int, str]  #: a day and an agent


class UnfitRecord(StoreUnavailable):
    """What was to be taken in holds something that the file cannot hold; the file is well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """What became of entries."""

    without: int = 0  #: how many say something of calls that are not kept
    shortened: int = 0  #: how many records are short that were not there, or were whole, before
    contrary: int = 0  #: how many say what cannot be, by what is known of their calls


class Allowance:
    """Keeps records short whose agent had its share. *most*: bytes of one agent in a day."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._told: set[Key] = set()

    def rows(
        self, cursor: DuckDBPyConnection, records: Collection[DecidedCall], whole: Collection[str]
    ) -> list[Row]:
        """Return *records* as rows. *whole*: ids of calls that the archive had whole: they stay."""
        taken = _taken(cursor, records)
        made = []
        for each in sorted(records, key=lambda one: (one.id not in whole, one.ended)):
            key, row = (day_of(each), shown(each.agent)), row_of(each)
            before = taken.get(key, 0)
            if each.id not in whole and not fits(each, row[BYTES], before, self._most):
                row = row_of(short(each))
                self._tell(key)
            taken[key] = before + row[BYTES]
            made.append(row)
        return made

    def _tell(self, key: Key) -> None:
        if key in self._told:
            return
        if len(self._told) >= _TOLD:
            self._told.clear()
        self._told.add(key)
        log.warning(
            "records of agent %s are kept short until midnight (UTC): they took %d MiB in a day",
            key[1],
            self._most >> 20,
        )


def _taken(cursor: DuckDBPyConnection, records: Iterable[DecidedCall]) -> dict[Key, int]:
    """Return how many bytes the archive has of the agents and days of *records*."""
    keys = {(day_of(each), shown(each.agent)) for each in records}
    days = [day for day, _ in keys]
    rows = cursor.execute(
        f"SELECT ended // {_DAY_MS}, agent, sum(bytes)::BIGINT FROM calls"  # noqa: S608 (a number)
        " WHERE ended >= ? AND ended < ? AND agent IN (SELECT unnest(?::VARCHAR[])) GROUP BY ALL",
        [min(days) * _DAY_MS, (max(days) + 1) * _DAY_MS, sorted({agent for _, agent in keys})],
    ).fetchall()
    return {(day, agent): size for day, agent, size in rows}


def put(cursor: DuckDBPyConnection, entries: Sequence[DecidedCall], allowance: Allowance) -> Put:
    """Take *entries* in; whoever calls has begun a transaction.

    Raises:
        UnfitRecord: one of them cannot be kept.
    """
    import duckdb

    if not entries:
        return Put()
    try:
        found = cursor.execute(
            "SELECT id, packed FROM calls WHERE id IN (SELECT unnest(?::VARCHAR[]))",
            [sorted({each.id for each in entries})],
        ).fetchall()
        known = {name: unpacked(text) for name, text in found}
        what = merged(known, entries)
        changed, without, contrary = what.changed, what.without, len(what.contrary)
        older = [name for name in known if name in changed]
        if older:
            cursor.execute("DELETE FROM calls WHERE id IN (SELECT unnest(?::VARCHAR[]))", [older])
        _tell_contrary(what.contrary)
        if not changed:
            return Put(without=without, contrary=contrary)
        already = {name for name in older if known[name].short}
        whole = set(older) - already
        rows = allowance.rows(cursor, changed.values(), whole)
        insert(cursor, by_column(rows))
    except (duckdb.DataError, duckdb.InvalidInputException, *UNFIT) as error:
        raise UnfitRecord("A record of a decided call cannot be kept.") from error
    shortened = sum(row[SHORT] and row[ID] not in already for row in rows)
    return Put(without=without, shortened=shortened, contrary=contrary)


def _tell_contrary(calls: Sequence[str]) -> None:
    if calls:
        log.error(
            "somebody put calls back in the store that had ended, or took back what was said of"
            " them: %s. Their records stay as they were. Find out who can write to the store",
            ", ".join(map(visible_line, dict.fromkeys(calls[:_NAMED]))),
        )
