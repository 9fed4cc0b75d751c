"""Decided calls as they are kept: for `interlock tune` and `interlock replay`, and for you."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.records import DecidedCall, pack
from .making.format import Format, Line, Schemas, Use


def _lines(record: DecidedCall, schemas: Schemas) -> Iterator[Line]:
    yield pack(record)


FORMAT = Format(
    about="Decided calls as they are kept, with everything that is known of them.",
    lines=_lines,
    loads="""```sh
interlock tune --records FILE
```""",
    use=Use.READING,
    decided=False,
)
