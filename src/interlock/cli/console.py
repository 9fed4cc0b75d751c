"""Talking to people in a terminal, and to programs in a pipe.

Colour only goes to a terminal, and never with `NO_COLOR` set (https://no-color.org). What agents
wrote passes through `safe`, so that it can move no cursor and hide nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import click

from ..config import PREFIX
from ..core.errors import InterlockError, InvalidDocument
from ..core.numbers import number_of
from ..core.redaction import original, visible_line

COLOURS = {
    "allow": "green",
    "notify": "cyan",
    "approve": "yellow",
    "approve_dual": "magenta",
    "deny": "red",
    "low": "green",
    "medium": "cyan",
    "high": "yellow",
    "critical": "red",
}


def safe(text: object) -> str:
    """Return *text* with every invisible character shown; what is shown already stays as it is."""
    lines = str(text).split("\n")
    return "\n".join(visible_line(original(line)) for line in lines)


def inside(text: object) -> str:
    """Return *text* as `safe` does; further lines are indented, and look like nothing of ours."""
    return safe(text).replace("\n", "\n    ")


def say(text: str = "") -> None:
    """Print one piece of text for people."""
    click.echo(text)


def say_long(text: str, *, colour: bool | None = None) -> None:
    """Print *text*; through $PAGER where it is longer than the terminal."""
    rows = text.count("\n") + 1
    dumb = os.environ.get("TERM", "dumb") in ("", "dumb")
    if not sys.stdout.isatty() or not sys.stdin.isatty() or dumb:
        click.echo(text)
    elif rows < shutil.get_terminal_size().lines:
        click.echo(text)
    else:
        click.echo_via_pager(text + "\n", color=colour)


def note(text: str) -> None:
    """Print progress: on standard error, so that a pipe only gets results."""
    click.secho(text, dim=True, err=True)


def painted(word: str) -> str:
    """Return a level or stake in its colour."""
    return click.style(word, fg=COLOURS.get(word))


def say_json(value: Any) -> None:
    """Print *value* as JSON, indented; ASCII only, so that nothing in it can hide."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=True))


def fail(error: InterlockError, *, colour: bool | None = None) -> None:
    """Print what went wrong, where, and the cure, on standard error. `colour` None: as it fits."""
    lines = _problems(error) if isinstance(error, InvalidDocument) else _sentences(error)
    for line in lines:
        click.echo(line, err=True, color=colour)


def _problems(error: InvalidDocument) -> Iterator[str]:
    for problem in error.problems:
        inside = problem.file.startswith(("--", PREFIX))  # an option or variable has no lines
        yield safe(f"{problem.file}: {problem.message}" if inside else problem)
    yield click.style(f"{number_of(len(error.problems), 'problem')} found.", fg="red")


def _sentences(error: InterlockError) -> Iterator[str]:
    yield click.style("Error: ", fg="red", bold=True) + safe(error.detail)
    if error.help:
        yield click.style("Cure: ", bold=True) + safe(error.help)


def table(
    heads: Sequence[str],
    rows: Iterable[Sequence[object]],
    paint: Mapping[str, Callable[[str], str]] | None = None,
) -> str:
    """Return aligned columns. On a terminal the widest column is cut so that lines fit."""
    cells = [[visible_line(original(str(cell))) for cell in row] for row in rows]
    widths = [max(len(line[at]) for line in [list(heads), *cells]) for at in range(len(heads))]
    if sys.stdout.isatty():
        _fit(widths, shutil.get_terminal_size().columns)
    lines = ["  ".join(_cell(head, width) for head, width in zip(heads, widths, strict=True))]
    for row in cells:
        shown = []
        for head, cell, width in zip(heads, row, widths, strict=True):
            text = _cell(cell, width)
            painter = (paint or {}).get(head)
            shown.append(text if painter is None else text.replace(cell, painter(cell), 1))
        lines.append("  ".join(shown))
    return "\n".join(line.rstrip() for line in lines)


def _fit(widths: list[int], room: int) -> None:
    over = sum(widths) + 2 * (len(widths) - 1) - room
    if over > 0:
        widest = widths.index(max(widths))
        widths[widest] = max(12, widths[widest] - over)


def _cell(text: str, width: int) -> str:
    return (text if len(text) <= width else text[: width - 1] + "…").ljust(width)


def since(milliseconds: int) -> str:
    """Return a span of time in one unit: `3 s`, `12 min`, `2 h`, `4 d`; `over` when negative."""
    seconds = milliseconds // 1000
    if seconds < 0:
        return "over"
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
