"""`interlock queue --watch`: the queue on a whole terminal, with keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from ..core.errors import InterlockError
from .asking import asked, looking
from .client import Access
from .console import fail, say
from .deciding import Deciding, decide
from .following import Follower
from .queue_screen import HELP, View, queue_lines, text_lines
from .render import item_text
from .terminal import Terminal
from .together import decide_together

TICK = 1.0  #: seconds after which ages are drawn anew
_VERDICTS = {"a": "approve", "e": "edit", "r": "reject", "s": "respond"}
_BACK = "a approve · e edit · r reject · s answer · q back"


def watch(at: Access, query: Mapping[str, str], *, plain: bool) -> None:
    """Show the queue until the person leaves. Raises what the first look at the API raises."""
    first = asked(at, lambda people: people.get("/v1/approvals", query))
    with Terminal() as terminal, Follower(at, query, first) as follower:
        follower.tell = terminal.wake
        view = View(plain=plain, mine="mine" in query, text=query.get("text", ""))
        Watching(at, follower, terminal, view).run()


class Watching:
    """One person at one terminal."""

    def __init__(self, at: Access, follower: Follower, terminal: Terminal, view: View) -> None:
        self._at = at
        self._follower = follower
        self._terminal = terminal
        self._view = view
        self._keys: dict[str, Callable[[], None]] = {
            "j": lambda: self._move(1),
            "k": lambda: self._move(-1),
            "g": lambda: self._move(-(10**6)),
            "G": lambda: self._move(10**6),
            " ": lambda: self._move(self._terminal.size[1] // 2),
            "b": lambda: self._move(-(self._terminal.size[1] // 2)),
            "x": self._choose,
            "enter": self._show,
            "A": lambda: self._decide_chosen("approve"),
            "R": lambda: self._decide_chosen("reject"),
            "/": self._filter,
            "m": self._only_mine,
            "?": self._help,
        }

    def run(self) -> None:
        """Draw and read keys, until `q` or the terminal is gone."""
        while True:
            news = self._follower.news
            self._terminal.draw(queue_lines(self._view, news, self._terminal.size))
            key = self._terminal.key(TICK)
            if key in (None, "q"):
                return
            if key:
                self._view.said = ""
                self._pressed(key)

    def _pressed(self, key: str) -> None:
        if key in self._keys:
            self._keys[key]()
        elif key in _VERDICTS:
            card = self._current()
            if card is not None:
                self._decide(str(card["id"]), _VERDICTS[key])

    def _current(self) -> Mapping[str, Any] | None:
        return self._view.follow(self._follower.news.listed["items"])

    def _move(self, by: int) -> None:
        self._view.move(self._follower.news.listed["items"], by)

    def _choose(self) -> None:
        card = self._current()
        if card is not None:
            self._view.choose(card)

    def _show(self) -> None:
        card = self._current()
        if card is None:
            return
        call = str(card["id"])
        try:
            item = asked(self._at, looking(call))
        except InterlockError as error:
            self._view.said = error.detail
            return
        text = item_text(item, folded=True)
        key = self._read(click.unstyle(text) if self._view.plain else text, _BACK)
        if key in _VERDICTS:
            self._decide(call, _VERDICTS[key])

    def _help(self) -> None:
        self._read(HELP, "any key goes back", any_key=True)

    def _read(self, text: str, foot: str, *, any_key: bool = False) -> str:
        """Show a long text; return the key that ended it."""
        offset = 0
        while True:
            size = self._terminal.size
            lines, offset = text_lines(text, offset, size, foot)
            self._terminal.draw(lines)
            key = self._terminal.key(TICK)
            steps = {"j": 1, "k": -1, " ": size[1] - 2, "b": 2 - size[1], "g": -(10**6)}
            steps |= {"G": 10**6}
            if key is None:
                return "q"
            if any_key and key:
                return key
            if key in ("q", "escape", "enter", *_VERDICTS):
                return key
            offset += steps.get(key, 0)

    def _filter(self) -> None:
        """Have a text typed; Enter narrows the queue to it, nothing widens it again."""
        view = self._view
        view.typing = view.text
        while view.typing is not None:
            self._terminal.draw(queue_lines(view, self._follower.news, self._terminal.size))
            key = self._terminal.key(TICK)
            if key in (None, "escape"):
                view.typing = None
            elif key == "enter":
                view.text, view.typing = view.typing.strip(), None
                self._follower.narrow(text=view.text)
            elif key == "erase":
                view.typing = view.typing[:-1]
            elif key and len(key) == 1 and key.isprintable():
                view.typing += key

    def _only_mine(self) -> None:
        self._view.mine = not self._view.mine
        self._follower.narrow(mine="yes" if self._view.mine else "")

    def _decide(self, call: str, verdict: str) -> None:
        self._aside(lambda: decide(self._at, call, Deciding(verdict=verdict)))

    def _decide_chosen(self, verdict: str) -> None:
        cards = list(self._view.chosen.values())
        if not cards:
            self._view.said = "Nothing is selected: x selects the call that is pointed at."
            return
        how = Deciding(verdict=verdict)
        if self._aside(lambda: decide_together(self._at, cards, how)):
            self._view.chosen.clear()

    def _aside(self, act: Callable[[], object]) -> bool:
        """Do something on the usual screen, where it can be read again later; then come back.

        Says whether it was done, rather than left or refused.
        """
        self._terminal.give_back()
        done = False
        try:
            act()
            done = True
        except click.Abort:
            say("\nNothing done.")
        except click.ClickException as error:
            error.show()
        except InterlockError as error:
            fail(error, colour=False if self._view.plain else None)
        except KeyboardInterrupt:
            say("\nNothing done.")
        self._follower.look()
        try:
            click.prompt("Enter goes back to the queue", default="", show_default=False)
        except click.Abort:
            say()
        self._terminal.take()
        return done
