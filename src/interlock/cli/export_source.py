"""Where `interlock export` reads decided calls: the running Interlock or a file, from a place on.

Both go page by page, and every page says where the next one begins, so that an export which breaks
off goes on there.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

import aiohttp

from ..core.errors import InvalidDocument, Problem
from ..core.records import DecidedCall
from .client import Access
from .record_pages import opened, page
from .recorded import MAX_LINE, record_of

SCHEMAS_FILE = "schemas.json"  #: beside exported records
_PAGE = 2_000  #: records that the server is asked for at once
_OF_FILE = 5_000  #: lines of a file that make a page
_SCHEMAS_AT_ONCE = 50
_EXPORT, _SCHEMAS = "/v1/feedback/export", "/v1/feedback/schemas"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some records in order; `next` goes on behind them, None at the end."""

    records: tuple[DecidedCall, ...]
    next: str | None
    schemas: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class Source(Protocol):
    def pages(self, after: str | None) -> Iterator[Page]:
        """Yield pages behind *after* (None: from the oldest).

        Raises:
            InterlockError: there is no answer, or none of ours.
            InvalidDocument: a line is no record.
        """


class FileSource:
    """Records in a file; `schemas.json` beside it is read where it is there."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def pages(self, after: str | None) -> Iterator[Page]:
        schemas = self._schemas()
        with self._file.open("rb") as lines:
            number = self._pass_over(lines, after)
            found: list[DecidedCall] = []
            while line := lines.readline(MAX_LINE + 1):
                number += 1
                if line.strip():
                    found.append(record_of(line, str(self._file), number))
                if len(found) >= _OF_FILE:
                    place = f"{lines.tell()}.{number}"
                    yield Page(records=tuple(found), next=place, schemas=schemas)
                    found = []
            yield Page(records=tuple(found), next=None, schemas=schemas)

    def _pass_over(self, lines: Any, after: str | None) -> int:
        if after is None:
            return 0
        offset, _, number = after.partition(".")
        lines.seek(int(offset))
        return int(number)

    def _schemas(self) -> dict[str, dict[str, Any]]:
        file = self._file.parent / SCHEMAS_FILE
        if not file.exists():
            return {}
        try:
            read = json.loads(file.read_bytes())
        except ValueError as error:
            read, why = None, str(error)
        else:
            why = "it is no object of objects"
        if isinstance(read, dict) and all(isinstance(each, dict) for each in read.values()):
            return read
        message = f"no schemas of arguments ({why}): take the file away, or export records anew"
        raise InvalidDocument((Problem(file=str(file), line=1, column=1, message=message),))


class ServerSource:
    """The running Interlock's records; *query*: which of them, as the API takes it."""

    def __init__(self, at: Access, query: Mapping[str, str]) -> None:
        self._at = at
        self._query = {"format": "records", "limit": str(_PAGE), **query}
        self._known: dict[str, dict[str, Any]] = {}

    def pages(self, after: str | None) -> Iterator[Page]:
        with asyncio.Runner() as runner:
            session = runner.run(opened(self._at))
            try:
                while True:
                    page = runner.run(self._page(session, after))
                    yield page
                    if page.next is None:
                        return
                    after = page.next
            finally:
                runner.run(session.close())

    async def _page(self, session: aiohttp.ClientSession, after: str | None) -> Page:
        query = self._query | ({"cursor": after} if after else {})
        body, headers = await page(session, self._at, _EXPORT, query)
        place = self._at.url + _EXPORT
        records = tuple(
            record_of(line, place, number)
            for number, line in enumerate(body.split(b"\n"), 1)
            if line.strip()
        )
        missing = sorted({r.schema for r in records if r.schema} - self._known.keys())
        for start in range(0, len(missing), _SCHEMAS_AT_ONCE):
            await self._learn(session, missing[start : start + _SCHEMAS_AT_ONCE])
        return Page(records=records, next=headers.get("Interlock-Next"), schemas=self._known)

    async def _learn(self, session: aiohttp.ClientSession, hashes: list[str]) -> None:
        asked = urlencode([("hash", each) for each in hashes])
        body, _ = await page(session, self._at, f"{_SCHEMAS}?{asked}")
        self._known |= dict.fromkeys(hashes, {}) | json.loads(body)["schemas"]
