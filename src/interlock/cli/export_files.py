"""The files of an export: written aside, moved into place when all is there, taken up again.

Aside lie, in a hidden folder: the lines so far, where each record's end (`marks`), and a note of
how far it came, written after each page. What was written behind the note is cut off on resuming.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

from ..core.errors import InterlockError
from ..exports.making.card import Part
from ..exports.making.exporter import Exporter
from ..exports.making.format import Format, Shape
from ..exports.making.suites import suites
from ..exports.making.tally import Tally

_MARK = struct.Struct("<QQIBI")  #: of one record: see `Mark`
_LABELS: tuple[bool | None, ...] = (None, True, False)
_LINES, _MARKS, _NOTE = "lines", "marks", "note.json"
_COPIED = 1 << 20


class Mark(NamedTuple):
    """What is remembered of the lines of one record."""

    end: int  #: where they end, in bytes
    ended: int  #: when the record did, ms
    lines: int
    label: bool | None  #: whether the call was right as proposed; None: nobody knows
    good: int  #: lines that say of themselves that they are right


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where an export goes: a folder, or one file with its card beside it."""

    out: Path
    format: Format
    split: float = 0.0  #: share of the lines that are for training; 0: no split
    policy: tuple[str, ...] = ()  #: of suites, relative to them

    @property
    def single(self) -> bool:
        return self.out.suffix in (".jsonl", ".json", ".yaml", ".yml")

    @property
    def folder(self) -> Path:
        return self.out.parent if self.single else self.out

    @property
    def aside(self) -> Path:
        return self.folder / (f".{self.out.name}.export" if self.single else ".export")

    @property
    def card(self) -> Path:
        if self.single:
            return self.out.with_name(self.out.name + ".md")
        # suites lie beside policies, which may have a README of their own
        return self.out / ("recorded.md" if self.format.shape is Shape.SUITES else "README.md")

    def file(self, split: str, number: int = 1) -> Path:
        """Return the file of a split; of suites, the one with this *number*."""
        if self.single:
            return self.out if number == 1 else self.out.with_stem(f"{self.out.stem}-{number}")
        if self.format.shape is Shape.SUITES:
            return self.out / f"recorded-{number:03}_test.yaml"
        return self.out / f"data-{split}.{self.format.shape.value}"

    def made(self) -> list[Path]:
        """Return what an export there would write and is there already."""
        mine = {self.card, self.file("train"), self.file("test")}
        if self.format.shape is Shape.SUITES and not self.single:
            mine |= set(self.out.glob("recorded-[0-9][0-9][0-9]_test.yaml"))
        return sorted(each for each in mine if each.exists())


class Writing:
    """The files of one export while it is made. Use as a context manager."""

    def __init__(self, target: Target, note: Mapping[str, Any]) -> None:
        self._target = target
        self.note = dict(note)
        self._lines: IO[bytes] = _opened(target.aside / _LINES)
        self._marks: IO[bytes] = _opened(target.aside / _MARKS)

    def __enter__(self) -> Writing:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._marks.close()
        if "tally" not in self.note:  # nothing was read: there is nothing to go on with
            shutil.rmtree(self._target.aside, ignore_errors=True)
            with suppress(OSError):  # others' files are in it
                self._target.folder.rmdir()

    @property
    def cursor(self) -> str | None:
        """Where to go on; None: from the oldest."""
        return self.note.get("cursor")

    def take_up(self, exporter: Exporter) -> None:
        """Cut off what came behind the note, and have *exporter* know what is there."""
        self._lines.truncate(self.note.get("lines", 0))
        self._marks.truncate(self.note.get("marks", 0))
        self._lines.seek(0)
        for line in self._lines:
            exporter.remember(line)
        self._lines.seek(0, os.SEEK_END)
        self._marks.seek(0, os.SEEK_END)

    def add(self, lines: Sequence[bytes], ended: int, label: bool | None, good: int) -> None:
        """Write the lines of one record that *ended* then, in ms; see `Mark`."""
        for line in lines:
            self._lines.write(line + b"\n")
        mark = self._lines.tell(), ended, len(lines), _LABELS.index(label), good
        self._marks.write(_MARK.pack(*mark))

    def save(self, cursor: str | None, tally: Tally) -> None:
        """Note that everything up to *cursor* is written."""
        for file in (self._lines, self._marks):
            file.flush()
            os.fsync(file.fileno())
        self.note |= {
            "cursor": cursor,
            "lines": self._lines.tell(),
            "marks": self._marks.tell(),
            "tally": tally.to_json(),
        }
        write(self._target.aside / _NOTE, [json.dumps(self.note)])

    def parts(self) -> list[Part]:
        """Write the finished files aside, and return what is in each."""
        self._lines.flush()
        self._marks.flush()
        cut = self._cut() if self._target.split else None
        ranges = [("train", 0, cut)] if cut is None else [("train", 0, cut), ("test", cut, None)]
        return [part for name, first, end in ranges for part in self._part(name, first, end)]

    def _cut(self) -> int:
        """Return the number of the record before which the test split begins: never within a
        record, nor between two that ended in the same ms."""
        marks = list_of_marks(self._target.aside / _MARKS)
        wanted = self._target.split * sum(mark.lines for mark in marks)
        lines, cut, last = 0, 0, -1
        for mark in list_of_marks(self._target.aside / _MARKS):
            if lines >= wanted and mark.ended != last:
                return cut
            lines, cut, last = lines + mark.lines, cut + 1, mark.ended
        return cut

    def _part(self, split: str, first: int, end: int | None) -> Iterator[Part]:
        if self._target.format.shape is Shape.SUITES:
            yield from self._suites()
            return
        file, marks = self._target.file(split), list_of_marks(self._target.aside / _MARKS)
        begin = max((mark.end for mark in itertools.islice(marks, first)), default=0)
        sums = _Sums()
        for mark in itertools.islice(marks, None if end is None else end - first):
            sums.add(mark)
        content = self._range(begin, max(begin, sums.stop))
        if self._target.format.shape is Shape.ARRAY:
            write(self._target.aside / file.name, _array(content))
        else:
            write(self._target.aside / file.name, (line.decode() for line in content))
        yield sums.part(file.name, split)

    def _suites(self) -> Iterator[Part]:
        """Write suites, each as large as it may be: of a record there is one case."""
        content = self._range(0, self._lines.tell())
        marks = list_of_marks(self._target.aside / _MARKS)
        for number, text in enumerate(suites(content, self._target.policy), 1):
            file, sums = self._target.file("train", number), _Sums()
            write(self._target.aside / file.name, [text])
            for mark in itertools.islice(marks, text.count("\n- ")):
                sums.add(mark)
            yield sums.part(file.name, "train")

    def _range(self, begin: int, stop: int) -> Iterator[bytes]:
        with (self._target.aside / _LINES).open("rb") as lines:
            lines.seek(begin)
            while lines.tell() < stop:
                yield lines.readline()


@dataclass(slots=True)
class _Sums:
    """What is in one file, added up mark by mark; names as in `Part`."""

    stop: int = 0
    lines: int = 0
    calls: int = 0
    right: int = 0
    not_right: int = 0
    good: int = 0
    first: int = 0
    last: int = 0

    def add(self, mark: Mark) -> None:
        self.stop = mark.end
        self.lines += mark.lines
        self.calls += 1
        self.right += mark.label is True
        self.not_right += mark.label is False
        self.good += mark.good
        self.first = min(self.first or mark.ended, mark.ended)
        self.last = max(self.last, mark.ended)

    def part(self, file: str, split: str) -> Part:
        sums = asdict(self)
        del sums["stop"]
        return Part(file=file, split=split, **sums)


def list_of_marks(file: Path) -> Iterator[Mark]:
    """Yield the marks in *file*."""
    with file.open("rb") as marks:
        while block := marks.read(_MARK.size * 4096):
            for end, ended, lines, label, good in _MARK.iter_unpack(block):
                yield Mark(end, ended, lines, _LABELS[label], good)


def begin(target: Target, note: Mapping[str, Any], *, replace: bool) -> Writing:
    """Make the folder aside.

    Raises:
        InterlockError: something is there already, or it cannot be made.
    """
    try:
        if replace:
            shutil.rmtree(target.aside, ignore_errors=True)
        elif target.made():
            raise InterlockError(
                f"{target.made()[0]} is there already.",
                help="Name another place with --out, or give --replace.",
            )
        target.folder.mkdir(parents=True, exist_ok=True)
        target.aside.mkdir(mode=0o700)
    except FileExistsError:
        raise InterlockError(
            f"An export to {target.out} broke off, or is being made.",
            help="Go on with --resume, or begin anew with --replace.",
        ) from None
    except OSError as error:
        raise InterlockError(f"Cannot write to {target.folder}: {error.strerror}.") from None
    note = {**note, "marked": _MARK.format}
    write(target.aside / _NOTE, [json.dumps(note)])
    return Writing(target, note)


def resume(target: Target, asked: Mapping[str, Any]) -> Writing:
    """Open what an export that broke off has left.

    Raises:
        InterlockError: nothing is there, or it was asked for otherwise.
    """
    try:
        note = json.loads((target.aside / _NOTE).read_bytes())
    except FileNotFoundError:
        raise InterlockError(
            f"There is no export to {target.out} that broke off.",
            help="Leave --resume out, and give --replace if a broken one is to be replaced.",
        ) from None
    differs = sorted(name for name in asked if asked[name] != note["asked"].get(name))
    if differs:
        options = ", ".join("--" + name.replace("_", "-") for name in differs)
        raise InterlockError(
            f"The export to {target.out} was begun with another {options}.",
            help="Give the same options, or begin anew with --replace.",
        )
    if note.get("marked") != _MARK.format:
        raise InterlockError(
            f"The export to {target.out} was begun by another version of Interlock.",
            help="Begin anew with --replace.",
        )
    return Writing(target, note)


def finish(target: Target, parts: Sequence[Part], card: str, more: Mapping[str, str]) -> None:
    """Move the finished files into place, the card last; *more*: further files by name.

    What an earlier export has left, and this one does not write, goes first.
    """
    for old in target.made():
        old.unlink()
    for name, text in more.items():
        write(target.aside / name, [text])
    for name in (*more, *(part.file for part in parts)):
        os.replace(target.aside / name, target.folder / name)
    write(target.aside / "card", [card])
    os.replace(target.aside / "card", target.card)
    shutil.rmtree(target.aside)


def _opened(file: Path) -> IO[bytes]:
    """Open a private file for reading and writing, without cutting it."""
    return os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=_COPIED)


def write(file: Path, texts: Iterable[str]) -> None:
    """Write a private file, and put it into place when it is whole."""
    new = file.with_name(file.name + ".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        for text in texts:
            out.write(text.encode())
        out.flush()
        os.fsync(out.fileno())
    os.replace(new, file)


def _array(lines: Iterator[bytes]) -> Iterator[str]:
    before = "[\n"
    for line in lines:
        yield before + line.decode().rstrip("\n")
        before = ",\n"
    yield "\n]\n" if before != "[\n" else "[]\n"
