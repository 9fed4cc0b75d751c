"""Calls and what was known when they were judged, for `interlock policy diff --corpus`."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.records import DecidedCall
from .making.format import Format, Line, Schemas, Use
from .making.past import agent, facts, moment


def _lines(record: DecidedCall, schemas: Schemas) -> Iterator[Line]:
    if not record.request:
        return
    line: Line = {"call": dict(record.request), "agent": agent(record)}
    past = facts(record)
    if past:
        line["facts"] = past
    if record.task:
        line["task"] = record.task
    yield line | {"at": moment(record.created)}


FORMAT = Format(
    about="Calls with what was known when they were judged, to judge them by another policy.",
    lines=_lines,
    loads="""```sh
interlock policy diff old.yaml new.yaml --corpus FILE
```""",
    use=Use.JUDGING,
    decided=False,
)
