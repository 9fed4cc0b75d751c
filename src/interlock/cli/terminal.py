"""A whole terminal: keys one by one, and a screen of lines that is drawn without flicker.

Only what `cells` lets through is written, so that no text can move the cursor, whatever the API
says of it. Sources: ECMA-48; xterm's control sequences; DEC mode 2026 (synchronized output).
"""

from __future__ import annotations

import functools
import os
import re
import select
import signal
import sys
import termios
import tty
import unicodedata
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Any, Self

from ..core.redaction import original, visible_line

_STYLE = re.compile(r"(\x1b\[[0-9;]*m)")
_ENTER = "\x1b[?1049h\x1b[?25l\x1b[8l\x1b[2J"  #: 8l: letters stay in the order they are sent in
_LEAVE = "\x1b[8h\x1b[?25h\x1b[?1049l"
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
_KEYS = {
    "\r": "enter",
    "\n": "enter",
    "\x7f": "erase",
    "\b": "erase",
    "\x1b": "escape",
    "\x1b[A": "k",
    "\x1bOA": "k",
    "\x1b[B": "j",
    "\x1bOB": "j",
    "\x1b[5~": "b",
    "\x1b[6~": " ",
    "\x1b[H": "g",
    "\x1b[F": "G",
}
_KEY = re.compile(r"\x1b(?:\[[0-9;]*[A-Za-z~]|O[A-Z])|[\s\S]")
_COLOURS = {"red": 31, "green": 32, "yellow": 33, "magenta": 35, "cyan": 36}


def usable() -> bool:
    """Say whether there is a person at a terminal that can be drawn on."""
    able = os.environ.get("TERM", "dumb") not in ("", "dumb")
    return able and sys.stdin.isatty() and sys.stdout.isatty()


@functools.lru_cache(maxsize=4096)
def width_of(character: str) -> int:
    """Return how many cells of a terminal *character* takes."""
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def length(text: str) -> int:
    """Return how many cells *text* takes; styles take none."""
    return sum(map(width_of, _STYLE.sub("", text)))


def cut(text: str, room: int) -> str:
    """Return the beginning of *text* (no styles in it) that fits into *room* cells."""
    taken, end = 0, 0  # cells, and characters that fit beside the sign that there is more
    for at, character in enumerate(text):
        taken += width_of(character)
        if taken > room:
            return text[:end] + "…" if room > 0 else ""
        end = at + 1 if taken < room else end
    return text


def padded(text: str, room: int) -> str:
    """Return *text* in exactly *room* cells."""
    text = cut(text, room)
    return text + " " * (room - length(text))


def styled(text: str, *, colour: str | None = None, bold: bool = False, plain: bool = False) -> str:
    """Return *text* in a style; as it is where it is to be *plain*."""
    codes = [str(_COLOURS[colour])] if colour in _COLOURS else []
    codes += ["1"] if bold else []
    return text if plain or not codes or not text else f"\x1b[{';'.join(codes)}m{text}\x1b[0m"


def wrapped(line: str, room: int) -> list[str]:
    """Return *line*, which may have styles, in pieces of at most *room* cells."""
    rows, row, taken, style = [], "", 0, ""
    for piece in _STYLE.split(line):
        if _STYLE.fullmatch(piece):
            style = "" if piece == "\x1b[0m" else style + piece
            row += piece
            continue
        for character in piece:
            if taken + width_of(character) > room:
                rows.append(row + ("\x1b[0m" if style else ""))
                row, taken = style, 0
            row, taken = row + character, taken + width_of(character)
    return [*rows, row]


def cells(line: str) -> str:
    """Return *line* with our styles, and with everything else that is not text made visible."""
    pieces = _STYLE.split(line)
    return "".join(piece if at % 2 else _clean(piece) for at, piece in enumerate(pieces))


def _clean(text: str) -> str:
    spaces = len(text) - len(text.rstrip(" "))  # trailing ones are padding here
    body = text[: len(text) - spaces]
    return visible_line(original(body)) + " " * spaces


class Terminal:
    """The terminal, in our hands until it is left. Standard input gives keys."""

    def __init__(self) -> None:
        self._in, self._out = sys.stdin.fileno(), sys.stdout.fileno()
        self._before: list[Any] = []
        self._drawn: list[str] = []
        self._typed = ""
        self._woken, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        os.set_blocking(self._woken, False)
        self._signals: dict[int, Any] = {}
        self._stale = self._pausing = False  #: set by signals, seen to where nothing is half done

    def __enter__(self) -> Self:
        handlers = {signal.SIGWINCH: self._resized, signal.SIGTSTP: self._paused}
        handlers |= {signal.SIGTERM: self._ended, signal.SIGHUP: self._ended}
        for number, handler in handlers.items():
            self._signals[number] = signal.signal(number, handler)
        self.take()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.give_back()
        for number, handler in self._signals.items():
            signal.signal(number, handler)
        os.close(self._waker)
        os.close(self._woken)

    def take(self) -> None:
        """Have keys one by one, and a screen of our own."""
        self._before = termios.tcgetattr(self._in)
        tty.setcbreak(self._in)
        self._drawn = []
        self._write(_ENTER)

    def give_back(self) -> None:
        """Leave the terminal as it was."""
        if self._before:
            termios.tcsetattr(self._in, termios.TCSAFLUSH, self._before)
            self._typed = ""  # what was typed ahead answers no question that nobody has read
            self._write(_LEAVE)
            self._before = []

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines; 80 and 24 where the terminal does not say."""
        try:
            columns, lines = os.get_terminal_size(self._out)
        except OSError:
            columns, lines = 80, 24
        return (columns or 80, lines or 24)

    def draw(self, lines: Sequence[str]) -> None:
        """Show *lines*, one a row; only rows that differ from what is there are written."""
        _, height = self.size
        shown = [cells(line) for line in lines[:height]]
        shown += [""] * (height - len(shown))
        stale, self._stale = self._stale, False
        before = self._drawn if len(self._drawn) == height and not stale else []
        said = "".join(
            f"\x1b[{row};1H\x1b[0m\x1b[K{line}\x1b[0m"
            for row, line in enumerate(shown, 1)
            if not before or before[row - 1] != line
        )
        if said:
            self._write(f"{_BEGIN}{said}{_END}")
        self._drawn = shown

    def key(self, seconds: float) -> str | None:
        """Return the next key; empty when something woke us, or *seconds* are over; None: none.

        None means that nobody can type any more: the terminal is closed.
        """
        if self._pausing:
            self._pause()
            return ""
        if not self._typed:
            ready, _, _ = select.select([self._in, self._woken], [], [], seconds)
            if self._woken in ready:
                os.read(self._woken, 4096)
            if self._pausing:
                self._pause()
                return ""
            if self._in not in ready:
                return ""
            try:
                read = os.read(self._in, 4096)
            except OSError:  # the other end is gone
                return None
            if not read:
                return None
            self._typed = read.decode("utf-8", "replace")
        found = _KEY.match(self._typed)
        assert found is not None  # noqa: S101, it matches every character
        self._typed = self._typed[found.end() :]
        return _KEYS.get(found[0], found[0])

    def wake(self) -> None:
        """End a wait for a key, from any thread."""
        try:
            os.write(self._waker, b".")
        except OSError:  # it is full, so it wakes; or we are leaving
            return

    def _write(self, text: str) -> None:
        data = text.encode("utf-8", "replace")
        while data:
            data = data[os.write(self._out, data) :]

    def _resized(self, number: int, frame: FrameType | None) -> None:
        self._stale = True
        self.wake()

    def _paused(self, number: int, frame: FrameType | None) -> None:
        """Ctrl-Z. While the screen is ours, it is given back before the next key is waited for."""
        self._pausing = bool(self._before)
        if self._pausing:
            self.wake()
        else:
            os.kill(os.getpid(), signal.SIGSTOP)

    def _pause(self) -> None:
        self._pausing = False
        self.give_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        self.take()

    def _ended(self, number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)
