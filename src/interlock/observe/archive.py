"""Decided calls on disk, in one DuckDB file: `learning_ports.Archive`, and what fills it.

Reading and writing are done in threads of their own, each on a cursor of its own: a reader sees
whole batches only, and neither waits for the other. There is no index: a batch takes the place of
older records of the same calls by one scan of the ids.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from ..core.analytics import Analytics, Selected
from ..core.calibration import Point
from ..core.errors import MalformedCall, StoreUnavailable
from ..core.records import DecidedCall
from ..learning_ports import Kept, Labelled, RecordsPage
from ..noting_shares import MOST
from ..space import left_on
from ..tasks import Tasks
from .analytics import analytics, condition
from .archive_file import file_of, keep_private, open_file, said, size_of, transaction
from .archive_rows import unpacked
from .archive_taking import Allowance, put

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

log = logging.getLogger("interlock.archive")

FILE = "records.duckdb"  #: in the data directory
READERS = 2  #: questions that are answered at a time
LARGEST_PAGE = 5_000
MOST_COUNTED = 2**53  #: lost entries; a column holds twice that

_LABELLED = "FROM calls WHERE rightly IS NOT NULL AND confidence BETWEEN 0 AND 1"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A stretch of the feed, read: it is taken in as a whole or not at all."""

    records: tuple[DecidedCall, ...]
    upto: str  #: where the feed goes on
    lost: int = 0
    forged: int = 0
    schemas: Mapping[str, str]  #: JSON by hash, of those that were not kept yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """What the archive is called, and how far it has read the feed; empty: nothing yet."""

    name: str
    upto: str


class FileArchive:
    """learning_ports.Archive. Opens its file when it is used first, and again after an error.

    `behind` answers how many entries of the feed are not in it yet; `stuck` says that what fills
    it could not write the latest ones. `room`: bytes that its disk had left when it was last used;
    None: nobody knows. *most*: bytes of one agent's records of a day; more of them are kept short.
    """

    def __init__(self, path: Path, *, most: int = MOST) -> None:
        self._path = path
        self._connection: DuckDBPyConnection | None = None
        self._file: tuple[int, int] | None = None  #: which one is open: device and inode
        self._working = 0  #: cursors that are open
        self._closed = False
        self._opening = Lock()
        self._reading = ThreadPoolExecutor(READERS, "archive-read")
        self._writing = ThreadPoolExecutor(1, "archive-write")
        self._tasks = Tasks()
        self._asked: dict[Selected, asyncio.Task[Analytics]] = {}
        self._counting = asyncio.Lock()  # leaves a reader to everything else
        self._allowance = Allowance(most)
        self.behind: Callable[[], int] = lambda: 0
        self.stuck = False
        self.room: int | None = None

    async def open(self) -> None:
        """Open it now, to hear what is wrong with it."""
        await self._write(lambda cursor: None)

    async def close(self) -> None:
        """End what is running, and let go of the file."""
        if self._closed:
            return
        self._closed = True
        connection = self._connection
        if connection is not None:
            connection.interrupt()
        await asyncio.get_running_loop().run_in_executor(self._writing, self._release)
        self._reading.shutdown(wait=False, cancel_futures=True)
        self._writing.shutdown(wait=False)

    # learning_ports.Archive -----------------------------------------------------------------

    async def page(self, selected: Selected, after: str | None, limit: int) -> RecordsPage:
        most = max(1, min(limit, LARGEST_PAGE))
        where, values = condition(selected)
        if after is not None:
            ended, name = _cursor(after)
            where += " AND ended >= ? AND (ended, id) > (?, ?)"
            values += [ended, ended, name]
        order = f"FROM calls WHERE {where} ORDER BY ended, id LIMIT {most + 1}"

        def work(cursor: DuckDBPyConnection) -> RecordsPage:  # unpacking holds up no call here
            rows = cursor.execute(f"SELECT ended, id, packed {order}", values).fetchall()
            records = tuple(unpacked(text) for *_, text in rows[:most])
            return RecordsPage(records=records, next=_following(rows, most))

        return await self._read(work)

    async def get(self, action_id: str) -> DecidedCall | None:
        def work(cursor: DuckDBPyConnection) -> DecidedCall | None:
            sql = "SELECT packed FROM calls WHERE id = ?"
            row = cursor.execute(sql, [action_id]).fetchone()
            return unpacked(row[0]) if row else None

        return await self._read(work)

    async def schemas(self, hashes: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        def work(cursor: DuckDBPyConnection) -> Mapping[str, Mapping[str, Any]]:
            sql = "SELECT hash, document FROM schemas WHERE list_contains(?::VARCHAR[], hash)"
            rows = cursor.execute(sql, [list(hashes)]).fetchall()
            return {name: json.loads(text) for name, text in rows}

        return await self._read(work)

    async def analytics(self, selected: Selected) -> Analytics:
        """Count, one question at a time: who asks the same meanwhile shares the answer."""
        asked = self._asked.get(selected)
        if asked is None:
            asked = self._tasks.spawn(self._counted(selected), "analytics")
            self._asked[selected] = asked
            asked.add_done_callback(lambda done: self._answered(selected, done))
        return await asyncio.shield(asked)  # others may wait for it still

    def _answered(self, selected: Selected, done: asyncio.Task[Analytics]) -> None:
        del self._asked[selected]
        if not done.cancelled():
            done.exception()  # whoever asked has it; nobody may be left who does

    async def _counted(self, selected: Selected) -> Analytics:
        def work(cursor: DuckDBPyConnection) -> Analytics:
            def ask(sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
                return cursor.execute(sql, values).fetchall()

            with transaction(cursor):  # all figures are of one moment
                return analytics(ask, selected)

        async with self._counting:
            return await self._read(work)

    async def kept(self) -> Kept:
        sql = """SELECT (SELECT count(*) FROM calls), (SELECT min(ended) FROM calls),
                        (SELECT max(ended) FROM calls), lost, forged, shortened FROM about"""

        def work(cursor: DuckDBPyConnection) -> tuple[int, list[tuple[Any, ...]]]:
            return size_of(self._path), cursor.execute(sql).fetchall()

        size, ((records, oldest, newest, *counted),) = await self._read(work)
        lost, forged, shortened = counted
        return Kept(
            records=records,
            oldest=oldest or 0,
            newest=newest or 0,
            behind=self.behind(),
            lost=lost,
            forged=forged,
            stuck=self.stuck,
            shortened=shortened,
            size=size,
        )

    # learning_ports.Labels ------------------------------------------------------------------

    async def labels(self) -> int:
        """Return how many calls have a claim and a label."""
        ((count,),) = await self._rows(f"SELECT count(*) {_LABELLED}", [])
        return int(count)

    async def labelled(self, after: str | None, limit: int) -> Labelled:
        """Return what such calls say, and nothing else of them: few columns are read.

        Raises:
            MalformedCall: the cursor is none of ours.
        """
        most, values, where = max(1, limit), [], _LABELLED
        if after is not None:
            ended, name = _cursor(after)
            where += " AND ended >= ? AND (ended, id) > (?, ?)"
            values = [ended, ended, name]
        columns = "ended, id, agent, tool, confidence, rightly, weight"
        sql = f"SELECT {columns} {where} ORDER BY ended, id LIMIT {most + 1}"

        def work(cursor: DuckDBPyConnection) -> Labelled:
            rows = cursor.execute(sql, values).fetchall()
            return Labelled(
                points=tuple(_point(*row) for row in rows[:most]),
                newest=rows[:most][-1][0] if rows else 0,
                next=_following(rows, most),
            )

        return await self._read(work)

    # what fills it --------------------------------------------------------------------------

    async def position(self) -> Position:
        """Return how far the feed has been read."""
        ((name, upto),) = await self._rows("SELECT name, upto FROM about", [])
        return Position(name=name, upto=upto)

    async def missing(self, hashes: Sequence[str]) -> tuple[str, ...]:
        """Return which of the schemas *hashes* are not kept."""
        sql = "SELECT hash FROM schemas WHERE list_contains(?::VARCHAR[], hash)"
        known = {name for (name,) in await self._rows(sql, [list(hashes)])}
        return tuple(sorted(set(hashes) - known))

    async def take(self, taken: Taken) -> None:
        """Take a stretch of the feed in, with where it ends, in one transaction on the disk."""

        def work(cursor: DuckDBPyConnection) -> None:
            with transaction(cursor):
                done = put(cursor, taken.records, self._allowance)
                for name, document in taken.schemas.items():
                    cursor.execute("INSERT INTO schemas VALUES (?, ?)", [name, document])
                lost = min(taken.lost + done.without, MOST_COUNTED)
                forged = taken.forged + done.contrary
                cursor.execute(
                    "UPDATE about SET upto = ?, lost = least(lost + ?, ?),"
                    " forged = forged + ?, shortened = shortened + ?",
                    [taken.upto, lost, MOST_COUNTED, forged, done.shortened],
                )

        await self._write(work)

    async def forget(self, reviewed_before: int, unreviewed_before: int) -> int:
        """Drop what ended before (ms): held, drawn and audited calls, and the others.

        Returns how many.
        """

        def work(cursor: DuckDBPyConnection) -> int:
            with transaction(cursor):
                sql = "DELETE FROM calls WHERE ended < CASE WHEN held OR drawn OR audited"
                gone = cursor.execute(
                    f"{sql} THEN ?::BIGINT ELSE ?::BIGINT END",
                    [reviewed_before, unreviewed_before],
                ).fetchone()
            dropped = int(gone[0]) if gone else 0
            if dropped:
                cursor.execute("CHECKPOINT")  # gives their place to what comes
            return dropped

        return await self._write(work)

    # how ------------------------------------------------------------------------------------

    async def _rows(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        return await self._read(lambda cursor: cursor.execute(sql, values).fetchall())

    async def _read(self, work: Callable[[DuckDBPyConnection], T]) -> T:
        return await self._in(self._reading, work)

    async def _write(self, work: Callable[[DuckDBPyConnection], T]) -> T:
        def private(cursor: DuckDBPyConnection) -> T:
            try:
                return work(cursor)
            finally:
                keep_private(self._path)

        return await self._in(self._writing, private)

    async def _in(self, threads: ThreadPoolExecutor, work: Callable[[DuckDBPyConnection], T]) -> T:
        if self._closed:
            raise self._gone()
        return await asyncio.get_running_loop().run_in_executor(threads, self._worked, work)

    def _worked(self, work: Callable[[DuckDBPyConnection], T]) -> T:
        import duckdb

        self.room = left_on(self._path.parent)
        with said(self._path), self._cursor() as cursor:
            try:
                return work(cursor)
            except (duckdb.FatalException, duckdb.InternalException, duckdb.IOException):
                self._release()  # DuckDB asks for that: it is opened anew next time
                raise

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[DuckDBPyConnection]:
        with self._opening:
            if self._closed:
                raise self._gone()
            self._leave_what_is_gone()
            if self._connection is None:
                self._connection = open_file(self._path)
                self._file = file_of(self._path)
            cursor = self._connection.cursor()
            self._working += 1
        try:
            with cursor:
                yield cursor
        finally:
            with self._opening:
                self._working -= 1

    def _leave_what_is_gone(self) -> None:
        """Let go of a file that somebody took away: what is written into it is in no directory."""
        if self._connection is None or self._working or file_of(self._path) == self._file:
            return
        log.error(
            "the archive %s was taken away or replaced while it was open: going on with what is"
            " there now, or with a new one from what the feed still has",
            self._path,
        )
        self._let_go()

    def _release(self) -> None:
        with self._opening:
            self._let_go()

    def _let_go(self) -> None:
        import duckdb

        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(duckdb.Error):  # what could not be written is in its log
                connection.close()

    def _gone(self) -> StoreUnavailable:
        return StoreUnavailable(
            f"The archive {self._path} is closed: another process may serve people now.",
            help="Ask again in a moment.",
        )


def _cursor(text: str) -> tuple[int, str]:
    ended, dash, name = text.partition("-")
    if not dash or not ended.isascii() or not ended.isdigit() or len(ended) > 18:
        raise MalformedCall("This cursor is none that was given out here: begin anew without one.")
    return int(ended), name


def _following(rows: Sequence[tuple[Any, ...]], most: int) -> str | None:
    """Return the cursor behind the first *most* of *rows* (ended, id, ...); None: no more come."""
    return f"{rows[most - 1][0]}-{rows[most - 1][1]}" if len(rows) > most else None


def _point(
    ended: int, name: str, agent: str, tool: str, claimed: float, right: bool, weight: float
) -> Point:
    return Point(agent=agent, tool=tool, confidence=claimed, right=right, weight=weight)
