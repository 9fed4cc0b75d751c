"""The page Tools: what waits to be accepted, in full, and the rest by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from aiohttp import web

from ..core.errors import MalformedCall, NotFound
from ..core.listings import ToolRecord
from ..core.redaction import visible_line
from . import definitions
from .access import VISITOR
from .deps import DEPS
from .models_definitions import DefinitionView

SHARE = 10  #: waiting tools of one server that are shown in full, where all servers are shown
FULL = 30  #: waiting tools that are shown in full
ROWS = 300  #: tools that are shown by name alone
_FILTERS = frozenset({"server", "tool"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A tool by its name; `link` leads to all of it."""

    server: str
    tool: str
    by: str
    at: int
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Some tools by name, and how many more there are."""

    shown: list[Row]
    more: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolsPage:
    """What the template shows. `only`: the server and tool that were asked for, visible."""

    only: str
    count: int  #: how many wait, of what was asked for
    full: list[DefinitionView]
    waiting: Rows  #: what waits and is not among `full`
    accepted: Rows
    barred: str  #: why this visitor accepts nothing
    now: int


async def shown(request: web.Request) -> ToolsPage:
    """Return the page that *request* asks for. Raises MalformedCall and NotFound."""
    deps, asked = request.app[DEPS], dict(request.query)
    if len(asked) != len(request.query) or asked.keys() - _FILTERS:
        raise MalformedCall("This page takes `server` and `tool`, each once.")
    found = definitions.chosen(deps.definitions.records(), asked)
    if asked and not found:
        raise NotFound("No such tool was ever listed.")
    waiting = [each for each in found if each.waits]
    full = found[:1] if "tool" in asked else _shared(waiting, FULL if asked else SHARE)
    listed = await definitions.shown(request, full)
    named = {(each.server, each.tool) for each in full}
    rest = [each for each in found if (each.server, each.tool) not in named]
    return ToolsPage(
        only=" · ".join(visible_line(asked[name]) for name in ("server", "tool") if name in asked),
        count=len(waiting),
        full=listed.items,
        waiting=_rows(each for each in rest if each.waits),
        accepted=_rows(each for each in rest if not each.waits),
        barred=definitions.barred(deps, request[VISITOR]),
        now=listed.now,
    )


def _shared(waiting: Sequence[ToolRecord], share: int) -> list[ToolRecord]:
    """Return the first of each server's: one that lists many must not hide the others."""
    counts: dict[str, int] = {}
    some: list[ToolRecord] = []
    for each in waiting:
        counts[each.server] = counts.get(each.server, 0) + 1
        if counts[each.server] <= share and len(some) < FULL:
            some.append(each)
    return some


def _rows(records: Iterable[ToolRecord]) -> Rows:
    every = list(records)
    return Rows(shown=[_row(each) for each in every[:ROWS]], more=max(len(every) - ROWS, 0))


def _row(record: ToolRecord) -> Row:
    accepted = record.accepted
    return Row(
        server=visible_line(record.server),
        tool=visible_line(record.tool),
        by=visible_line(accepted.by) if accepted else "",
        at=accepted.at if accepted else 0,
        link="/tools?" + urlencode({"server": record.server, "tool": record.tool}),
    )
