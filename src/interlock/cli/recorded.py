"""Where `replay` and `tune` read decided calls: a file, or the running Interlock, page by page."""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
import click

from ..core.decisions import Level
from ..core.errors import InvalidDocument, Problem
from ..core.records import DecidedCall, pack, unpack
from .asking import Api, api_options, moment, span
from .client import Access, People
from .console import note
from .record_pages import opened, page

T = TypeVar("T")
PATH = "/v1/feedback/export"
MAX_LINE = 1 << 20  #: bytes of one record; the ones that Interlock writes are far smaller
_NEXT = re.compile(r'<([^<>\s]{1,4000})>\s*;\s*rel="?next"?')
_LEVELS = frozenset(level.word for level in Level)
_TEXTS = ("id", "state", "agent", "owner", "tool", "level", "session", "reason", "task", "stake")


def records_options(command: Callable[..., T]) -> Callable[..., T]:
    """Add where records come from: `--records`, `--since`, and `asking.api_options`."""
    command = click.option(
        "--records",
        "source",
        type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True),
        metavar="FILE",
        help="Records of `interlock export --format records`; else the running Interlock is asked.",
    )(api_options(command))
    return click.option(
        "--since", metavar="TIME", help="Calls that ended since: 12h or 30d ago, or a date."
    )(command)


def from_file(file: Path, since: int = 0) -> Iterator[DecidedCall]:
    """Yield the records in *file* that ended at *since* (ms) or later; `-` is standard input.

    Raises:
        InvalidDocument: at the first line that is no record.
    """
    with click.open_file(str(file), "rb") as lines:
        yield from _read(lines, str(file), since)


def _read(lines: IO[bytes], name: str, since: int = 0) -> Iterator[DecidedCall]:
    number = 0
    while line := lines.readline(MAX_LINE + 1):
        number += 1
        if line.strip():
            found = record_of(line, name, number)
            if found.ended >= since:
                yield found


def record_of(line: bytes, file: str, number: int) -> DecidedCall:
    """Read one line.

    Raises:
        InvalidDocument: it is no record.
    """
    try:
        if len(line) > MAX_LINE:
            raise ValueError(f"longer than {MAX_LINE >> 20} MiB")
        packed = json.loads(line)
        if not isinstance(packed, dict):
            raise ValueError("a record is one JSON object per line")
        found = unpack(packed)
        _check(found)
    except RecursionError:
        why = "nested too deeply"
    except json.JSONDecodeError as error:
        why = f"not JSON ({error.msg[:1].lower()}{error.msg[1:]}); was the file cut short?"
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        why = f"not a record of a decided call ({_said(error)})"
    else:
        return found
    hint = "write them with `interlock export --format records`"
    problem = Problem(file=file, line=number, column=1, message=f"{why}: {hint}")
    raise InvalidDocument((problem,))


def _said(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error} is missing"
    # what Python says of a wrong argument names its own functions
    return re.sub(r"^\w+(?:\.\w+)*\(\) ", "", str(error))[:200]


def _check(record: DecidedCall) -> None:
    """Refuse fields of another kind than is read. Raises ValueError."""
    for names, fits, what in _KINDS:
        for name in names:
            if not fits(getattr(record, name)):
                raise ValueError(f"`{name}` is no {what}")


def _is_share(value: object) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1  # type: ignore[operator]


def _is_number(value: object) -> bool:
    return value is None or type(value) in (int, float)


_KINDS: tuple[tuple[tuple[str, ...], Callable[[Any], bool], str], ...] = (
    (_TEXTS, lambda value: isinstance(value, str), "text"),
    (("created", "ended", "quorum"), lambda value: type(value) is int and 0 <= value < 2**53,
     "whole number"),
    (("level",), _LEVELS.__contains__, "level"),
    (("request", "facts", "arguments"), lambda value: isinstance(value, Mapping), "object"),
    (("target",), lambda value: value is None or isinstance(value, Mapping), "object"),
    (("share",), _is_share, "number from 0 to 1"),
    (("confidence", "calibrated"), _is_number, "number"),
    (("rules", "limits", "signals", "exceptions"),
     lambda value: all(isinstance(each, str) for each in value), "list of texts"),
)  # fmt: skip


# ---- from the running Interlock --------------------------------------------------------------


def from_server(at: Access, query: Mapping[str, str]) -> Iterator[DecidedCall]:
    """Yield what the people's API exports: one page after the other, one connection for all.

    Raises:
        InterlockError, Refused: it does not answer, or not so.
        InvalidDocument: a line is no record.
    """
    with asyncio.Runner() as runner:
        session = runner.run(opened(at))
        try:
            path: str | None = PATH
            asking: Mapping[str, str] | None = {"format": "records", **query}
            while path is not None:
                body, path = runner.run(_page(session, at, path, asking))
                asking = None  # the next address says everything
                for number, line in enumerate(body.splitlines(), 1):
                    if line.strip():
                        yield record_of(line, at.url + PATH, number)
        finally:
            runner.run(session.close())


async def _page(
    session: aiohttp.ClientSession, at: Access, path: str, query: Mapping[str, str] | None
) -> tuple[bytes, str | None]:
    body, headers = await page(session, at, path, query)
    return body, _next(headers.get("Link", ""))


def _next(link: str) -> str | None:
    """Return path and query of the next page: always of the server that was asked."""
    found = _NEXT.search(link)
    if found is None:
        return None
    parts = urlsplit(found[1])
    path = parts.path if parts.path.startswith("/") else PATH
    return f"{path}?{parts.query}" if parts.query else path


# ---- either ----------------------------------------------------------------------------------


def records(
    api: Api, file: Path | None, since: str | None, query: Mapping[str, str]
) -> Iterator[DecidedCall]:
    """Return the records in *file*, or those of the running Interlock.

    *since* such as `30d` is before now; of a file, before its newest record would need two
    passes, so it is before now too.
    """
    ago = span(since) if since else None
    if since and ago is None:
        start = moment(since, "--since")
    elif ago is None:
        start = 0
    else:
        start = (_now() if file is not None else api.ask(_their_now)) - ago
    if file is not None:
        return _only(from_file(file, start), query)
    asking = {**query, **({"since": str(start)} if start else {})}
    return from_server(api.access, asking)


def _only(found: Iterator[DecidedCall], query: Mapping[str, str]) -> Iterator[DecidedCall]:
    for record in found:
        if all(getattr(record, name) == value for name, value in query.items()):
            yield record


def _now() -> int:
    return int(time.time() * 1000)  # noqa: TID251 -- the shell reads the clock


async def _their_now(people: People) -> int:
    return int((await people.get("/v1/me"))["now"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Records that can be read more than once; `stopped`: those that policy held or denied."""

    all: Callable[[], Iterator[DecidedCall]]
    stopped: Callable[[], Iterator[DecidedCall]]


@contextmanager
def kept(found: Iterator[DecidedCall]) -> Iterator[Kept]:
    """Keep records in private temporary files: most are let through, and seldom read again."""
    with tempfile.TemporaryFile() as file, tempfile.TemporaryFile() as stopped:
        for count, record in enumerate(found, 1):
            line = json.dumps(pack(record)).encode() + b"\n"
            file.write(line)
            if record.level not in ("allow", "notify"):
                stopped.write(line)
            if count % 100_000 == 0:
                note(f"{count} calls read")
        yield Kept(all=lambda: _again(file), stopped=lambda: _again(stopped))


def _again(file: IO[bytes]) -> Iterator[DecidedCall]:
    file.seek(0)
    yield from _read(file, "records")
