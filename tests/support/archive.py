"""An archive of decided calls in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from interlock.approvals.api import add_api
from interlock.approvals.deps import ApiDeps
from interlock.core.analytics import Analytics, Selected
from interlock.core.calibration import Point
from interlock.core.errors import MalformedCall, StoreUnavailable
from interlock.core.records import DecidedCall, label_of
from interlock.learning_ports import Kept, Labelled, RecordsPage


def point_of(record: DecidedCall) -> Point | None:
    """Return what *record* says of its agent's confidence; None: no claim, or no label."""
    label, claimed = label_of(record), record.confidence
    if label is None or claimed is None or not 0 <= claimed <= 1:
        return None
    return Point(
        agent=record.agent,
        tool=record.tool,
        confidence=claimed,
        right=label.right,
        weight=label.weight,
    )


@dataclass
class MemoryArchive:
    """Keeps what it is given; `broken` pages are refused once each, as by a store that is down."""

    records: list[DecidedCall] = field(default_factory=list)
    known: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    pages: int = 0
    broken: set[int] = field(default_factory=set)

    async def page(self, selected: Selected, after: str | None, limit: int) -> RecordsPage:
        self.pages += 1
        if self.pages in self.broken:
            raise StoreUnavailable
        found = sorted(
            (each for each in self.records if _fits(each, selected)), key=lambda e: (e.ended, e.id)
        )
        if after is not None:
            ended, _, record_id = after.partition("-")
            if not ended.isdigit():
                raise MalformedCall("`cursor` is none of ours.")
            found = [each for each in found if (each.ended, each.id) > (int(ended), record_id)]
        shown = tuple(found[:limit])
        more = len(found) > limit
        return RecordsPage(
            records=shown, next=f"{shown[-1].ended}-{shown[-1].id}" if more else None
        )

    async def labels(self) -> int:
        return len(self._labelled())

    async def labelled(self, after: str | None, limit: int) -> Labelled:
        self.pages += 1
        if self.pages in self.broken:
            raise StoreUnavailable
        found, at = self._labelled(), int(after or 0)
        shown, following = found[at : at + limit], at + limit
        return Labelled(
            points=tuple(point for each in shown if (point := point_of(each)) is not None),
            newest=shown[-1].ended if shown else 0,
            next=str(following) if following < len(found) else None,
        )

    def _labelled(self) -> list[DecidedCall]:
        found = [each for each in self.records if point_of(each) is not None]
        return sorted(found, key=lambda each: (each.ended, each.id))

    async def get(self, action_id: str) -> DecidedCall | None:
        return next((each for each in self.records if each.id == action_id), None)

    async def schemas(self, hashes: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        return {each: self.known[each] for each in hashes if each in self.known}

    async def analytics(self, selected: Selected) -> Analytics:
        raise NotImplementedError

    async def kept(self) -> Kept:
        return Kept(records=len(self.records), oldest=0, newest=0, behind=0, lost=0, forged=0)


def _fits(record: DecidedCall, selected: Selected) -> bool:
    return (
        selected.since <= record.ended
        and (not selected.until or record.ended < selected.until)
        and selected.agent in ("", record.agent)
        and selected.tool in ("", record.tool)
    )


@asynccontextmanager
async def people_with(deps: ApiDeps, archive: MemoryArchive) -> AsyncIterator[str]:
    """Serve the people's API over *archive*; give its address."""
    app = web.Application()
    add_api(app, replace(deps, archive=archive))
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        await server.close()
