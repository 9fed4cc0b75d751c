"""Decided calls as files for training, labelling and testing, page by page.

Every page is a whole file, pages put behind each other are one, and `Link: <...>; rel="next"` names
the next: an export that breaks off goes on from the last page that came.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlencode

from aiohttp import web

from ..core.analytics import Selected
from ..core.errors import MalformedCall, NotFound
from ..core.records import DecidedCall
from ..core.redaction import visible_line
from ..exports import formats
from ..exports.making.exporter import Exporter, Wanted
from ..exports.making.format import Schemas
from ..learning_ports import Archive, RecordsPage
from .access import OVERSEERS, VISITOR, Route
from .bodies import answer
from .deps import DEPS, ApiDeps
from .models_feedback import SchemaList
from .queries import filters, page_size, whole_number

_ASKED = ("agreed", "masked", "meta")  #: `yes`, or left out
_FILTERS = tuple(sorted({"agent", *_ASKED, "cursor", "format", "limit", "since", "tool", "until"}))
_CURSOR = re.compile(r"[0-9A-Za-z_.:=-]{1,200}", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MOST, _USUAL, _MOST_SCHEMAS = 2_000, 1_000, 50
_WRITE = 65_536  #: bytes that are sent at once
audit = logging.getLogger("interlock.audit")


async def export(request: web.Request) -> web.StreamResponse:
    """Answer one page of lines, and where the next one is."""
    deps, asked = request.app[DEPS], filters(request, _FILTERS)
    name, wanted = asked.get("format", "records"), _wanted(asked)
    if name not in formats():
        raise MalformedCall(f"`format` must be one of {', '.join(formats())}.")
    if wanted.meta and not formats()[name].meta:
        having = ", ".join(each for each, format in formats().items() if format.meta)
        raise MalformedCall(f"`meta` goes with one of these as `format`: {having}.")
    archive = _archive(deps)
    page = await _page(archive, wanted, asked)
    schemas = await archive.schemas(sorted({each.schema for each in page.records if each.schema}))
    exporter = Exporter(formats()[name], wanted)
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    if page.next is not None:
        following = urlencode({**asked, "cursor": page.next})
        response.headers["Link"] = f'<{request.path}?{following}>; rel="next"'
        response.headers["Interlock-Next"] = page.next
    audit.info(
        "%s exports %d decided calls as %s (%s)",
        visible_line(request[VISITOR].principal.id),
        len(page.records),
        name,
        visible_line(urlencode(asked)),
    )
    await response.prepare(request)
    for part in _parts(exporter, page.records, schemas):
        await response.write(part)  # waits for a reader that is slower
    await response.write_eof()
    return response


def _parts(
    exporter: Exporter, records: tuple[DecidedCall, ...], schemas: Schemas
) -> Iterator[bytes]:
    waiting = bytearray()
    for record in records:
        for line in exporter.lines(record, schemas):
            waiting += line + b"\n"
        if len(waiting) >= _WRITE:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


async def _page(archive: Archive, wanted: Wanted, asked: Mapping[str, str]) -> RecordsPage:
    cursor = asked.get("cursor")
    if cursor is not None and not _CURSOR.fullmatch(cursor):
        raise MalformedCall("`cursor` must be the `Interlock-Next` of an earlier page.")
    limit = page_size(asked, _USUAL, _MOST)
    selected = Selected(
        since=wanted.since, until=wanted.until, agent=wanted.agent, tool=wanted.tool
    )
    return await archive.page(selected, cursor, limit)


async def list_schemas(request: web.Request) -> web.Response:
    """Answer the JSON Schemas of arguments that records name by their hashes."""
    hashes = request.query.getall("hash", [])
    known = all(map(_HASH.fullmatch, hashes))
    if not (0 < len(hashes) <= _MOST_SCHEMAS and known) or request.query.keys() - {"hash"}:
        raise MalformedCall(f"Give `hash` once to {_MOST_SCHEMAS} times: 64 digits of hex each.")
    found = await _archive(request.app[DEPS]).schemas(hashes)
    return answer(SchemaList(schemas={name: dict(each) for name, each in found.items()}))


def _archive(deps: ApiDeps) -> Archive:
    if deps.archive is None:
        raise NotFound("This installation keeps no records of decided calls.")
    return deps.archive


def _wanted(asked: Mapping[str, str]) -> Wanted:
    for name in _ASKED:
        if asked.get(name, "yes") != "yes":
            raise MalformedCall(f"`{name}` must be `yes`, or left out.")
    return Wanted(
        since=whole_number(asked, "since", 0),
        until=whole_number(asked, "until", 0),
        tool=asked.get("tool", ""),
        agent=asked.get("agent", ""),
        agreed="agreed" in asked,
        masked="masked" in asked,
        meta="meta" in asked,
    )


ROUTES = (
    Route(method="GET", path="/v1/feedback/export", handler=export, kinds=OVERSEERS),
    Route(method="GET", path="/v1/feedback/schemas", handler=list_schemas, kinds=OVERSEERS),
)
