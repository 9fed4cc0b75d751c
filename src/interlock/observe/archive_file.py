"""The archive's file: opened by one process, private, never moved or emptied by itself.

DuckDB is imported here only, and late: its library is large, and only who serves people needs it.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import StoreUnavailable
from .archive_rows import COLUMNS, FORMAT, columns_of, unpacked

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY = "512MB"  #: that DuckDB may use; more goes to a temporary directory beside the file
THREADS = 2
SPILLED = "4GB"  #: most that the temporary directory may hold
REBUILT_AT_ONCE = 5_000

_TABLES = (
    f"CREATE TABLE calls({', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())})",
    "CREATE TABLE schemas(hash VARCHAR, document VARCHAR)",
    "CREATE TABLE about(format INTEGER, name VARCHAR, upto VARCHAR, lost BIGINT, forged BIGINT,"
    " shortened BIGINT)",
)
_LISTS = ", ".join(f"unnest(${n}::{kind}[])" for n, kind in enumerate(COLUMNS.values(), 1))
_INSERT = f"INSERT INTO calls SELECT {_LISTS}"


def open_file(path: Path) -> DuckDBPyConnection:
    """Return a connection to the archive at *path*, made if it is missing.

    Raises:
        StoreUnavailable: it cannot be opened or written, is damaged, or a newer version wrote it.
    """
    import duckdb

    with said(path):
        if not path.exists():
            _begun(path)
        path.chmod(0o600)
        connection = duckdb.connect(
            str(path),
            config={
                "memory_limit": MEMORY,
                "threads": THREADS,
                "max_temp_directory_size": SPILLED,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "preserve_insertion_order": False,
                "enable_external_access": False,
            },
        )
        try:
            _ready(connection, path)
        except BaseException:
            connection.close()
            raise
        return connection


def _begun(path: Path) -> None:
    """Make a file that was private from its first byte on. Raises OSError and duckdb.Error."""
    import duckdb

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".records-") as beside:
        made = Path(beside) / path.name
        duckdb.connect(str(made)).close()
        made.chmod(0o600)
        with contextlib.suppress(FileExistsError):  # another process was faster
            os.link(made, path)


def file_of(path: Path) -> tuple[int, int] | None:
    """Return which file is at *path* (device, inode); None: there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def size_of(path: Path) -> int:
    """Return how many bytes the archive at *path* takes on the disk, its log included."""
    found = 0
    for each in (path, path.with_name(path.name + ".wal")):
        with contextlib.suppress(FileNotFoundError):
            found += each.stat().st_size
    return found


def keep_private(path: Path) -> None:
    """Make its log private, which comes and goes; its directory usually is."""
    with contextlib.suppress(FileNotFoundError):
        path.with_name(path.name + ".wal").chmod(0o600)


def insert(connection: DuckDBPyConnection, columns: list[list[Any]]) -> None:
    """Add the rows that `columns_of` gave; whoever calls has begun a transaction."""
    connection.execute(_INSERT, columns)


def _ready(connection: DuckDBPyConnection, path: Path) -> None:
    """Make the tables, or see that they are ours and of this format."""
    named = "SELECT table_name FROM duckdb_tables() WHERE NOT internal"
    tables = {name for (name,) in connection.execute(named).fetchall()}
    if not tables:
        _made(connection)
        return
    if not {"calls", "schemas", "about"} <= tables:
        raise StoreUnavailable(
            f"{path} is a DuckDB file, but no archive of Interlock.",
            help="Move it away, and restart; an archive is made in its place.",
        )
    found = connection.execute("SELECT format FROM about").fetchone()
    if found is None or found[0] > FORMAT:
        raise StoreUnavailable(
            f"{path} was written by a newer version of Interlock.",
            help="Run that version; or move the file away: what is in it is then not shown.",
        )
    if found[0] < FORMAT:
        _rebuilt(connection)


def _made(connection: DuckDBPyConnection) -> None:
    with transaction(connection):
        for each in _TABLES:
            connection.execute(each)
        name = secrets.token_hex(8)
        connection.execute("INSERT INTO about VALUES (?, ?, '', 0, 0, 0)", [FORMAT, name])


def _rebuilt(connection: DuckDBPyConnection) -> None:
    """Work the columns out anew from what is packed, all or nothing."""
    with transaction(connection):
        more = "ADD COLUMN IF NOT EXISTS shortened BIGINT DEFAULT 0"
        connection.execute(f"ALTER TABLE about {more}")
        connection.execute("ALTER TABLE calls RENAME TO calls_before")
        connection.execute(_TABLES[0])
        before = connection.cursor()  # of its own transaction: it still sees `calls`
        reading = before.execute("SELECT packed FROM calls")
        while rows := reading.fetchmany(REBUILT_AT_ONCE):
            insert(connection, columns_of(unpacked(text) for (text,) in rows))
        before.close()
        connection.execute("DROP TABLE calls_before")
        connection.execute("UPDATE about SET format = ?", [FORMAT])


@contextlib.contextmanager
def transaction(connection: DuckDBPyConnection) -> Iterator[None]:
    """Commit what is done within, or nothing of it."""
    import duckdb

    connection.execute("BEGIN TRANSACTION")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(duckdb.Error):  # it may have ended the transaction by itself
            connection.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def said(path: Path) -> Iterator[None]:
    """Say what DuckDB and the disk report in words that tell what to do. Raises StoreUnavailable"""
    import duckdb

    try:
        yield
    except OSError as error:
        raise StoreUnavailable(
            f"The archive {path} cannot be opened: {error.strerror}.",
            help="Give this user the file and its directory, and space on the disk.",
        ) from None
    except duckdb.Error as error:
        detail, help = _in_words(path, str(error))
        raise StoreUnavailable(detail, help=help) from error


_CAUSES = (
    (
        r"set lock on file|different configuration|already (open|attached)",
        "The archive {path} is open in another process.",
        "End that process; until then decided calls wait in the store.",
    ),
    (
        r"No space left|File too large|quota|EFBIG|max_temp_directory_size",
        "There is no space left for the archive {path}.",
        "Make space on its disk; until then decided calls wait in the store.",
    ),
    (
        r"newer version|newer DuckDB|version number \d+, but we can only read|serialized with",
        "The archive {path} was written by a newer version of DuckDB.",
        "Run the version of Interlock that wrote it, or move the file away.",
    ),
    (
        r"not a valid DuckDB|orrupt|checksum|truncated|read from file|Failure while replaying",
        "The archive {path} is damaged.",
        "Put a back-up in its place, or move it (and its .wal) away: a new one is made then.",
    ),
    (
        r"Out of Memory|could not allocate|failed to (pin|allocate)",
        "The archive {path} needed more memory than it may have.",
        "Ask for less: a shorter time, one agent, or one tool.",
    ),
    (
        r"INTERRUPT",
        "The archive {path} is being closed.",
        "Ask again in a moment.",
    ),
)


def _in_words(path: Path, error: str) -> tuple[str, str]:
    for pattern, detail, help in _CAUSES:
        if re.search(pattern, error, re.IGNORECASE):
            return detail.format(path=path), help
    first = error.splitlines()[0] if error else "no reason is given"
    return f"The archive {path} cannot be used: {first}", "See the log; restart Interlock."
