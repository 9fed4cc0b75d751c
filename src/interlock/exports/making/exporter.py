"""From records to lines of one format: filters, secrets, duplicates, and the count of all that."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ...core.records import DecidedCall
from .format import Format, Line, Schemas, Use
from .labels import LAPSED, agreed
from .secrets import blanked, found_in, held_in
from .seen import Seen, fingerprint
from .tally import Tally

_LONGEST_INT = 2**63 - 1  #: what Arrow takes
_DIGITS = re.compile(r"[0-9]{19}")
_LONE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which records an export takes; empty fields match everything. Times in ms, by `ended`."""

    since: int = 0
    until: int = 0  #: exclusive; 0: no end
    tool: str = ""
    agent: str = ""
    agreed: bool = False  #: only where two people said the same
    masked: bool = False  #: also where policy masked something, and masks are not for the format

    def matches(self, record: DecidedCall) -> bool:
        """Say whether time, tool and agent of *record* are those that are asked for."""
        return (
            self.since <= record.ended
            and (not self.until or record.ended < self.until)
            and self.tool in ("", record.tool)
            and self.agent in ("", record.agent)
        )


class Exporter:
    """Makes lines of one format; remembers, in bounded memory, which were there already."""

    def __init__(self, format: Format, wanted: Wanted, tally: Tally | None = None) -> None:
        self._format = format
        self._wanted = wanted
        self._seen = Seen() if format.unique else None
        self.tally = tally or Tally()

    def lines(self, record: DecidedCall, schemas: Schemas) -> list[bytes]:
        """Return the lines of *record*, as JSON without line ends."""
        if not self._wanted.matches(record):
            return []
        self.tally.read += 1
        why = self._refused(record)
        if why:
            self.tally.left_out[why] += 1
            return []
        held = held_in(record.arguments) or held_in(record.final_arguments)
        lines = self._format.lines(record, schemas)
        made = [text for line in lines for text in self._kept(line, held)]
        if made:
            self.tally.add(record, len(made))
        return made

    def remember(self, line: bytes) -> None:
        """Take a line that an interrupted export wrote as seen."""
        if self._seen is not None:
            self._seen.add(self._fingerprint(json.loads(line)))

    def _refused(self, record: DecidedCall) -> str:
        if self._format.decided:
            if record.state in LAPSED:
                return "expired or cancelled"
            if not record.reviews and record.audit is None:
                return "judged by nobody"
        if self._wanted.agreed and not agreed(record):
            return "not two people who said the same"
        if record.masked and self._format.use is not Use.READING and not self._wanted.masked:
            return "masked"
        return ""

    def _kept(self, line: Line, held: bool) -> Iterator[bytes]:
        """Yield *line* as it goes out. *held*: there is an argument that holds a credential."""
        text = written(line)
        if text is None or not self._format.fits(text):
            self.tally.left_out["lines with what the format's readers do not take"] += 1
            return
        if held or found_in(text):
            if self._format.use is not Use.READING:
                self.tally.left_out["lines with what looks like a secret"] += 1
                return
            text = written(blanked(line)) or ""
        if self._seen is not None:
            if not self._seen.add(self._fingerprint(line)):
                self.tally.left_out["lines that were there already"] += 1
                return
            self.tally.twice = self.tally.twice or self._seen.forgot
        yield text.encode()

    def _fingerprint(self, line: Line) -> int:
        key = self._format.key(line)
        return fingerprint(json.dumps(key, sort_keys=True).encode())


def written(line: Line) -> str | None:
    """Return *line* as JSON that every reader takes; None: a number in it is too long, or none."""
    try:
        text = json.dumps(line, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        return None
    if _DIGITS.search(text) and _too_long(line):
        return None
    return _LONE.sub("\ufffd", text)


def _too_long(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_too_long, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_too_long, value))
    return type(value) is int and not -_LONGEST_INT <= value <= _LONGEST_INT
