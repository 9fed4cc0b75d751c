"""Cases for `interlock policy test`: what people refused or changed must go on being held.

A case expects at least the level at which the call was held: a policy that asks for more passes.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..core.records import DecidedCall
from .making.format import Format, Line, Schemas, Shape, Use
from .making.past import agent, facts, moment
from .making.suites import fits

_OF_ONE_REQUEST = frozenset(
    "baggage date idempotency-key traceparent tracestate x-amz-date x-correlation-id"
    " x-request-id".split()
)
_CHANGED = {"reject": "rejected", "edit": "edited", "respond": "answered in the tool's place"}


def _lines(record: DecidedCall, schemas: Schemas) -> Iterator[Line]:
    if not record.held or record.verdict not in _CHANGED or not record.request:
        return
    shown = record.tool or "an unknown tool"
    case: Line = {
        "name": f"{record.id}: {shown}, {_CHANGED[record.verdict]}",
        "call": dict(record.request),
        "agent": agent(record),
        "now": moment(record.created),
    }
    past = facts(record)
    if past:
        case["facts"] = past
    if record.task:
        case["task"] = record.task
    if not record.session:
        case["set"] = {"session.id": ""}
    yield case | {"expect": {"level_at_least": record.level}}


def _useless(record: DecidedCall) -> str:
    if not record.held:
        return "policy let it through: nobody was asked"
    return "its request is not on record" if not record.request else "people let it pass as it was"


def _key(line: Line) -> Line:
    """Two calls that differ in name, time, and what tells one request from another are one case."""
    key = {name: each for name, each in line.items() if name not in ("name", "now")}
    headers = line["call"].get("headers", {})
    kept = {name: each for name, each in headers.items() if name.lower() not in _OF_ONE_REQUEST}
    return key | {"call": {**line["call"], "headers": kept}}


FORMAT = Format(
    about="Regression cases: what people refused or changed must go on being held.",
    lines=_lines,
    loads="""```sh
interlock policy test FILE
```""",
    use=Use.JUDGING,
    shape=Shape.SUITES,
    unique=True,
    key=_key,
    fits=fits,
    useless=_useless,
)
