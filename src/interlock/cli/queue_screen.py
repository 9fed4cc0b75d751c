"""How the live queue looks: lines for a terminal of a certain size. Pure."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .console import COLOURS, safe, since
from .following import News
from .terminal import cut, padded, styled, wrapped

Card = Mapping[str, Any]
_ROOM = 18  #: cells that the call itself has at least, before columns are left out
_LEFT_OUT = ("VOTES", "AGE", "LEVEL", "AGENT", "LEFT", "STAKE")  #: first what goes first
_WIDTHS = {"STAKE": 8, "LEVEL": 12, "AGENT": 14, "TOOL": 20, "AGE": 6, "LEFT": 6, "VOTES": 5}
KEYS = (
    "j k move · Enter shows · a approve · e edit · r reject · x select · / filter · ? help · q quit"
)
HELP = """\
Keys
  j, Down        next call                 k, Up        previous call
  g              first                     G            last
  Enter          show the call; q, Esc or Enter goes back to the queue
  a              approve the call          e            edit it in $EDITOR
  r              reject the call           s            answer it in the tool's place
  x              select the call, or no longer
  A              approve what is selected  R            reject what is selected
  /              filter by a text          m            only what I may decide, or everything
  ?              this help                 q            quit

Before a call: [@NAME] is asked to decide it, [open] somebody has it open,
[stopped] somebody has stopped its agent.

Every decision shows the exact call once more, and asks.
What you select is decided as it was when you selected it; where it has
changed since, nothing happens to it.

Any key goes back."""


@dataclass(slots=True, kw_only=True)
class View:
    """What the person at the terminal has done so far."""

    cursor: str = ""  #: the id of the call that is pointed at
    place: int = 0  #: its place among the calls, where it has gone
    chosen: dict[str, Card] = field(default_factory=dict)  #: as they were when they were selected
    text: str = ""  #: what the queue is narrowed to
    mine: bool = False
    typing: str | None = None  #: what is being typed as a filter
    said: str = ""
    plain: bool = False  #: no colours

    def follow(self, cards: Sequence[Card]) -> Card | None:
        """Point at a call that is there: the same one, else what took its place."""
        ids = [card["id"] for card in cards]
        if self.cursor in ids:
            self.place = ids.index(self.cursor)
        self.place = max(0, min(self.place, len(cards) - 1))
        self.cursor = ids[self.place] if cards else ""
        return cards[self.place] if cards else None

    def move(self, cards: Sequence[Card], by: int) -> None:
        self.follow(cards)
        self.place = max(0, min(self.place + by, len(cards) - 1))
        self.cursor = cards[self.place]["id"] if cards else ""

    def choose(self, card: Card) -> None:
        """Select *card* as it is now, or select it no longer."""
        if self.chosen.pop(card["id"], None) is None:
            self.chosen[card["id"]] = card


def queue_lines(view: View, news: News, size: tuple[int, int]) -> list[str]:
    """Return the whole screen."""
    width, height = size
    cards = news.listed["items"]
    current = view.follow(cards)
    foot = _foot(view, news, width)
    about = _about(current, view, width) if current and height >= 14 else []
    room = max(1, height - 2 - len(foot) - len(about))
    top = max(0, min(view.place - room // 2, len(cards) - room))
    widths = _columns(width)
    rows = [_row(card, news.now, view, widths) for card in cards[top : top + room]]
    if not cards:
        rows = ["", cut("  Nothing waits." if not view.text else "  Nothing found.", width)][:room]
    rows += [""] * (room - len(rows))
    heads = "    " + "  ".join(padded(name, cells) for name, cells in widths.items())
    return [_top(view, news, width), cut(heads.rstrip(), width), *rows, *about, *foot]


def _top(view: View, news: News, width: int) -> str:
    shown, total = len(news.listed["items"]), int(news.listed["total"])
    parts = [f"{total} waiting" if shown >= total else f"{shown} of {total} waiting"]
    parts += [f"filter: {safe(view.text)}"] if view.text else []
    parts += ["only mine"] if view.mine else []
    parts += [f"{len(view.chosen)} selected"] if view.chosen else []
    how = "live" if news.live else "looking every 2 s"
    how = "no answer" if news.failed else how
    line = padded("Interlock  " + " · ".join(parts), max(0, width - len(how) - 1))
    colour = "red" if news.failed else "green" if news.live else "yellow"
    return (
        styled(line, bold=True, plain=view.plain)
        + " "
        + styled(cut(how, width), colour=colour, plain=view.plain)
    )


def _columns(width: int) -> dict[str, int]:
    """Return the columns that fit, with their widths; the call gets what is left."""
    widths = dict(_WIDTHS)
    out = list(_LEFT_OUT)
    if width < 44:
        widths["TOOL"] = max(6, (width - 8) // 2)
    while out and _room(widths, width) < _ROOM:
        widths.pop(out.pop(0))
    order = ("STAKE", "LEVEL", "AGENT", "TOOL", "CALL", "AGE", "LEFT", "VOTES")
    widths["CALL"] = max(1, _room(widths, width))
    return {name: widths[name] for name in order if name in widths}


def _room(widths: Mapping[str, int], width: int) -> int:
    return width - 4 - sum(cells + 2 for cells in widths.values())


def _row(card: Card, now: int, view: View, widths: Mapping[str, int]) -> str:
    held = card["state"] == "held"
    texts = {
        "STAKE": card["stake"],
        "LEVEL": card["level"],
        "AGENT": card["agent"],
        "TOOL": card["tool"] or "(unknown)",
        "CALL": f"{_marks(card)}{card['method']} {card['destination']}",
        "AGE": since(now - card["created"]),
        "LEFT": since(card["deadline"] - now) if held else card["state"],
        "VOTES": f"{card['votes']}/{card['quorum']}",
    }
    here, chosen = card["id"] == view.cursor, card["id"] in view.chosen
    shown = [
        styled(
            padded(_line(texts[name]), cells),
            colour=COLOURS.get(str(texts[name])) if name in ("STAKE", "LEVEL") else None,
            bold=here,
            plain=view.plain,
        )
        for name, cells in widths.items()
    ]
    mark = f"{'>' if here else ' '} {'x' if chosen else ' '} "
    return styled(mark, bold=True, plain=view.plain) + "  ".join(shown)


def _marks(card: Card) -> str:
    """Return what has to be seen before the call is opened, in short; below it stands who."""
    marks = ["stopped"] if card["stopped"] else []
    marks += [f"@{card['assigned']}"] if card["assigned"] else []
    marks += ["open"] if card["looking"] else []
    return f"[{' '.join(marks)}] " if marks else ""


def _line(text: object) -> str:
    return safe(text).replace("\n", "")


def _about(card: Card, view: View, width: int) -> list[str]:
    """Return what the queue says of the call that is pointed at, below the list."""
    waits = {True: "the caller still waits", False: "the caller has gone away"}
    who = [f"asked: {card['assigned']}"] if card["assigned"] else []
    who += [f"open now: {', '.join(card['looking'])}"] if card["looking"] else []
    who += [f"agent stopped by {card['stopped']}"] if card["stopped"] else []
    who += [waits[card["caller_waiting"]]] if card["caller_waiting"] in waits else []
    said = (
        (f"{card['id']}  {card['description']}", True),
        (f"{card['method']} {card['destination']}", False),
        (str(card["gist"]), False),
        (f"{card['consequence']}  {'; '.join(who)}", False),
    )
    rule = styled("─" * width, plain=view.plain)
    return [rule] + [
        styled(cut(_line(text), width), bold=bold, plain=view.plain) for text, bold in said
    ]


def _foot(view: View, news: News, width: int) -> list[str]:
    if view.typing is not None:
        return ["", cut(f"/{safe(view.typing)}▏  Enter filters, Esc leaves it", width)]
    said = f"{news.failed}" if news.failed else view.said
    colour = "red" if news.failed else "yellow"
    return [
        styled(cut(_line(said), width), colour=colour, plain=view.plain),
        cut("A approve selected · R reject selected · " * bool(view.chosen) + KEYS, width),
    ]


@functools.lru_cache(maxsize=2)  # a long call is wrapped once, not with every key
def _rows(text: str, width: int) -> tuple[str, ...]:
    return tuple(row for line in text.split("\n") for row in wrapped(line, width))


def text_lines(text: str, offset: int, size: tuple[int, int], foot: str) -> tuple[list[str], int]:
    """Return a screen of *text* from row *offset* on, and the offset that was possible."""
    width, height = size
    rows = _rows(text, width)
    room = max(1, height - 1)
    offset = max(0, min(offset, len(rows) - room))
    shown = list(rows[offset : offset + room])
    shown += [""] * (room - len(shown))
    end = min(len(rows), offset + room)
    return [*shown, cut(f"{end} of {len(rows)} lines · {foot}", width)], offset
