"""From records to lines of one format: filters, secrets, duplicates, and the count of all that."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...core.records import DecidedCall, label_of, pack, unpack
from .format import Format, Line, Schemas, Use
from .labels import agreed, lapsed, useless
from .messages import schema_known
from .secrets import BLANKED, blanked, found_in, held_in, was_blanked
from .seen import Seen, fingerprint
from .tally import Tally

_LONGEST_INT = 2**63 - 1  #: what Arrow takes
_DIGITS = re.compile(r"[0-9]{19}")
_LONE = re.compile("[\ud800-\udfff]")
_ENDS = "\x85\u2028\u2029"  #: of a line, for `str.splitlines` and what reads as it does


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which records an export takes; empty fields match everything. Times in ms, by `ended`."""

    since: int = 0
    until: int = 0  #: exclusive; 0: no end
    tool: str = ""
    agent: str = ""
    agreed: bool = False  #: only where two people said the same
    meta: bool = False  #: with what a line was made of, where the format has columns for it
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
        shown = self._shown(record, held)
        lines = list(self._format.lines(shown, schemas))
        meta = _meta(record) if self._wanted.meta and self._format.meta else {}
        kept = [self._kept(line, held, meta) for line in lines]
        made = [line for line in kept if isinstance(line, bytes)]
        dropped = [why for why in kept if isinstance(why, str)]
        if made:
            self.tally.add(record, len(made))
            self.tally.dropped.update(dropped)
            self._count(record, schemas, zip(lines, kept, strict=True))
        else:  # of each record once, so that the counts add up to what was read
            self.tally.left_out[dropped[0] if dropped else self._why_useless(record)] += 1
        return made

    def _count(
        self, record: DecidedCall, schemas: Schemas, lines: Iterable[tuple[Line, bytes | str]]
    ) -> None:
        if self._format.use is Use.TRAINING:
            self.tally.without_schema += not schema_known(record, schemas)
        if self._format.labelled:
            self.tally.good += sum(
                isinstance(kept, bytes) and line["label"] is True for line, kept in lines
            )

    def _shown(self, record: DecidedCall, held: bool) -> DecidedCall:
        """Return *record* as its lines are made of it: without secrets, where people read them."""
        if self._format.use is not Use.READING:
            return record
        packed = pack(record)
        if not held and not found_in(json.dumps(packed, ensure_ascii=False)):
            return record
        shown = unpack(blanked(packed))
        return replace(shown, request=_judgeable(record.request, shown.request))

    def remember(self, line: bytes) -> None:
        """Take a line that an interrupted export wrote as seen."""
        if self._seen is not None:
            read = json.loads(line)
            if self._wanted.meta:
                read.pop("meta", None)  # two lines that differ in it alone are one
            self._seen.add(self._fingerprint(read))

    def _why_useless(self, record: DecidedCall) -> str:
        return (self._format.useless or useless)(record)

    def _refused(self, record: DecidedCall) -> str:
        if self._format.decided:
            if lapsed(record):
                return "expired or cancelled"
            if not record.reviews and record.audit is None:
                return "judged by nobody"
        if self._wanted.agreed and not agreed(record):
            return "not two people who said the same"
        if record.masked and self._format.use is not Use.READING and not self._wanted.masked:
            return "masked"
        return ""

    def _kept(self, line: Line, held: bool, meta: Line) -> bytes | str:
        """Return *line* as it goes out, or why it does not. *held*: an argument is a credential."""
        text = written(line | meta)
        if text is None or not self._format.fits(text):
            return "lines with what the format's readers do not take"
        reading = self._format.use is Use.READING
        if held or found_in(text) or (not reading and was_blanked(text)):
            if not reading:
                return "lines with what looks like a secret"
            text = written(blanked(line)) or ""
        if self._seen is not None:
            if not self._seen.add(self._fingerprint(line)):
                return "lines that were there already"
            self.tally.twice = self.tally.twice or self._seen.forgot
        return _on_one_line(text).encode()

    def _fingerprint(self, line: Line) -> int:
        key = self._format.key(line)
        return fingerprint(json.dumps(key, sort_keys=True).encode())


def _meta(record: DecidedCall) -> Line:
    label = label_of(record)
    judges = [*(each.who for each in record.reviews), *([record.audit.who] if record.audit else [])]
    return {
        "meta": {
            "id": record.id,
            "agent": record.agent,
            "tool": record.tool,
            "policy": record.policy,
            "ended": record.ended,
            "status": record.status or None,
            "task_known": bool(record.task),
            "confidence": record.confidence,
            "weight": 1.0 if label is None else label.weight,
            "reviewers": list(dict.fromkeys(judges)),
        }
    }


def _judgeable(before: Mapping[str, Any], after: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a blanked request that can be judged: of a JSON body only what is secret is blanked.

    As a whole it would be no JSON any more, and `interlock replay` could not read it.
    """
    if after.get("body") != BLANKED or before.get("body") == BLANKED:
        return after
    try:
        value = json.loads(before["body"])
    except ValueError:
        return after
    shown = blanked(value)
    rest = {name: each for name, each in after.items() if name not in ("body", "content_type")}
    return after if shown == value else rest | {"json": shown}


def written(line: Line) -> str | None:
    """Return *line* as JSON that every reader takes; None: a number in it is too long, or none."""
    try:
        text = json.dumps(line, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        return None
    if _DIGITS.search(text) and _too_long(line):
        return None
    return text if text.isascii() else _LONE.sub("\ufffd", text)


def _on_one_line(text: str) -> str:
    """Return JSON *text* without the line ends beyond ASCII: many readers split lines there."""
    if text.isascii():
        return text
    for end in _ENDS:
        if end in text:
            text = text.replace(end, f"\\u{ord(end):04x}")
    return text


def _too_long(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_too_long, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_too_long, value))
    return type(value) is int and not -_LONGEST_INT <= value <= _LONGEST_INT
