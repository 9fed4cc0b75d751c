"""What a format is."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ...core.records import DecidedCall
from .columns import Column

Line = dict[str, Any]
Schemas = Mapping[str, Mapping[str, Any]]
"""JSON Schemas of tools' arguments, by the hash that records name."""


class Shape(enum.Enum):
    """What a file of lines looks like."""

    JSONL = "jsonl"  #: one JSON object a line
    ARRAY = "json"  #: one JSON array
    SUITES = "yaml"  #: documents of `interlock policy test`, as many as their bounds ask for


class Use(enum.Enum):
    """What the lines are for, which says what may be in them."""

    TRAINING = "training"  #: a model repeats what is in it: no masks, no secrets, nothing twice
    JUDGING = "judging"  #: a policy judges it: no masks, no secrets
    READING = "reading"  #: people and programs read it: masks stay, secrets are blanked


def _whole(line: Line) -> Any:
    return line


def _anything(line: str) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format. `lines` is pure; it yields nothing for a record that it has no use for."""

    about: str  #: one sentence
    lines: Callable[[DecidedCall, Schemas], Iterable[Line]]
    loads: str  #: how it is loaded: code in Markdown; FILE stands for the file
    use: Use
    shape: Shape = Shape.JSONL
    decided: bool = True  #: only of calls that somebody judged, and that did not lapse
    unique: bool = False  #: a line that was there is left out
    key: Callable[[Line], Any] = _whole  #: what of a line has to be new where `unique`
    columns: tuple[Column, ...] = ()  #: as `datasets` is told them; none: it finds out
    meta: bool = False  #: whether its lines may have a member `meta`
    labelled: bool = False  #: whether each line has a `label` of its own, true or false
    fits: Callable[[str], bool] = _anything  #: whether the format's files can hold a line
    useless: Callable[[DecidedCall], str] | None = None  #: why it has no line; None: as in training
