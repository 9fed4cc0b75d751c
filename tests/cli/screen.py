"""A terminal for tests: it shows what is on the screen, and takes no other sequence than ours."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from time import monotonic

PATIENCE = 20.0  #: seconds until something has to be on the screen
_SEQUENCE = re.compile(
    r"\x1b\[(?P<at>[0-9]+);1H|\x1b\[(?P<style>[0-9;]*)m|\x1b\[(?P<erase>K|2J)"
    r"|\x1b\[\?(?P<mode>1049|25|2026)(?P<on>[hl])|\x1b\[8[hl]|(?P<text>[^\x00-\x1f\x7f-\x9f]+)"
    r"|(?P<line>\r|\n)"
)
_BEGUN = re.compile(r"\x1b[\[?0-9;]*\Z")


class Screen:
    """Understands what the live view writes, and fails on anything else."""

    def __init__(self, columns: int, lines: int) -> None:
        self.columns, self.lines = columns, lines
        self.rows: list[str] = [""] * lines
        self.usual = ""  #: what was printed on the usual screen
        self.alternate = False
        self.styles: set[str] = set()
        self._row, self._rest = 0, ""

    def feed(self, text: str) -> None:
        text, self._rest = self._rest + text, ""
        begun = _BEGUN.search(text)
        if begun:
            text, self._rest = text[: begun.start()], begun[0]
        at = 0
        while at < len(text):
            found = _SEQUENCE.match(text, at)
            assert found, f"reached the terminal: {text[at : at + 20]!r}"
            self._take(found)
            at = found.end()

    def _take(self, found: re.Match[str]) -> None:
        if found["mode"] == "1049":
            self.alternate = found["on"] == "h"
        elif found["at"]:
            assert self.alternate
            self._row = int(found["at"]) - 1
            assert self._row < self.lines, "drawn below the screen"
        elif found["style"]:
            self.styles.add(found["style"])
        elif found["erase"]:
            if found["erase"] == "K":
                self.rows[self._row] = ""
            else:
                self.rows = [""] * self.lines
        elif not self.alternate:
            self.usual += (found["text"] or found["line"] or "").replace("\r", "")
        elif found["text"]:
            self.rows[self._row] += found["text"]

    @property
    def shown(self) -> str:
        return "\n".join(self.rows) if self.alternate else self.usual


class Live:
    """`interlock` in a terminal of its own, with keys pressed from here."""

    def __init__(self, *arguments: str, columns: int = 100, lines: int = 24, **env: str) -> None:
        self.screen = Screen(columns, lines)
        self._ours, theirs = pty.openpty()
        self._sized(columns, lines)
        usual = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        self.child = subprocess.Popen(
            [sys.executable, "-m", "interlock", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=usual | env,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        self.before = termios.tcgetattr(theirs)
        self._theirs, self._bytes = theirs, b""

    def _sized(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def resize(self, columns: int, lines: int) -> None:
        self.screen.columns, self.screen.lines = columns, lines
        self.screen.rows = ["" for _ in range(lines)]
        self._sized(columns, lines)

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def until(self, there: str | Callable[[Screen], bool]) -> str:
        """Read until *there* is on the screen; return the screen."""
        fits = there if callable(there) else lambda screen: there in screen.shown
        end = monotonic() + PATIENCE
        while not fits(self.screen):
            left = end - monotonic()
            assert left > 0, f"{there!r} is not there:\n{self.screen.shown}"
            if not self._read(min(left, 1)) and self.child.poll() is not None:
                raise AssertionError(f"it has ended before {there!r}:\n{self.screen.shown}")
        return self.screen.shown

    def ended(self) -> int:
        """Wait until it has ended; return its exit code."""
        end = monotonic() + PATIENCE
        while self._read(0.05) or self.child.poll() is None:
            assert monotonic() < end, f"it does not end:\n{self.screen.shown}"
        return self.child.wait()

    def _read(self, seconds: float) -> bool:
        """Read what there is; say whether there was something."""
        ready, _, _ = select.select([self._ours], [], [], seconds)
        if ready:
            self._bytes += os.read(self._ours, 65_536)
            text = self._bytes.decode("utf-8", "ignore")  # a character may be read in two parts
            self.screen.feed(text)
            self._bytes = self._bytes[len(text.encode()) :]
        return bool(ready)

    @property
    def as_before(self) -> bool:
        """Whether the terminal is as it was before."""
        return not self.screen.alternate and termios.tcgetattr(self._theirs) == self.before

    def close(self) -> None:
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGKILL)
            self.child.wait(PATIENCE)
        os.close(self._ours)
        os.close(self._theirs)
