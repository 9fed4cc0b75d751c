"""Collects in which settings two policies differ, and which way each goes."""

from __future__ import annotations

from collections.abc import Set
from typing import Any, Protocol

from ..core.durations import written
from .diff_sheet import CHANGED, LOOSER, STRICTER, Setting, Sheet

OPPOSITE = {LOOSER: STRICTER, STRICTER: LOOSER}


class Worded(Protocol):
    """A level, a stake or a reversibility."""

    @property
    def word(self) -> str: ...


class Pair:
    """Two policies, and the differences found so far."""

    def __init__(self, old: Sheet, new: Sheet) -> None:
        self.old = old
        self.new = new
        self.found: list[Setting] = []

    def add(self, kind: str, what: str, *path: str | int) -> None:
        """Note a difference; *path* is where it stands."""
        depth_new, depth_old = self.new.place(*path), self.old.place(*path)
        self.found.append(Setting(kind=kind, what=what, place=depth_new or depth_old))

    def number(self, what: str, old: float, new: float, more: str, *path: str | int) -> None:
        """Compare numbers; *more* says what it is where the new one is larger."""
        if old != new:
            kind = more if new > old else OPPOSITE[more]
            self.add(kind, f"{what} {old:.15g} -> {new:.15g}", *path)

    def most(self, what: str, old: float | None, new: float | None, *path: str | int) -> None:
        """Compare upper bounds; None is none at all."""
        if old != new:
            higher = new is None or (old is not None and new > old)
            shown = [("none" if each is None else f"{each:.15g}") for each in (old, new)]
            self.add(LOOSER if higher else STRICTER, f"{what} {shown[0]} -> {shown[1]}", *path)

    def time(self, what: str, old: int, new: int, longer: str, *path: str | int) -> None:
        """Compare durations in milliseconds; *longer* may be `changed`."""
        if old != new:
            kind = longer if new > old else OPPOSITE.get(longer, longer)
            self.add(kind, f"{what} {written(old)} -> {written(new)}", *path)

    def word(self, what: str, old: Worded, new: Worded, *path: str | int) -> None:
        """Compare levels, stakes or reversibilities: lower is looser."""
        if old != new:
            kind = LOOSER if new < old else STRICTER  # type: ignore[operator]
            self.add(kind, f"{what} {old.word} -> {new.word}", *path)

    def flag(self, what: str, old: bool, new: bool, on: str, *path: str | int) -> None:
        """Compare what is on or off; *on* says what it is where it is on now."""
        if old != new:
            said = "now" if new else "no longer"
            self.add(on if new else OPPOSITE[on], f"{what} {said}", *path)

    def shadow(self, what: str, old: bool, new: bool, on: str, *path: str | int) -> None:
        """Compare what is in shadow mode, unless all of one policy is: that is said once."""
        if self.old.policy.shadow == self.new.policy.shadow:
            self.flag(f"{what}: in shadow mode", old, new, on, *path)

    def members(self, what: str, old: Set[str], new: Set[str], more: str, *path: str | int) -> None:
        """Compare sets: each name that came or went; *more* says what one more is."""
        for name in sorted(new - old):
            self.add(more, f"{what} {name} added", *path, name)
        for name in sorted(old - new):
            self.add(OPPOSITE.get(more, more), f"{what} {name} dropped", *path, name)

    def equal(self, what: str, old: Any, new: Any, *path: str | int) -> None:
        """Compare what can only be the same or not."""
        if old != new:
            self.add(CHANGED, f"{what} changed{_shown(old, new)}", *path)


def _shown(old: Any, new: Any) -> str:
    texts = [", ".join(map(str, each)) if isinstance(each, tuple) else each for each in (old, new)]
    if not all(isinstance(each, str) and each for each in texts):
        return ""
    return f": {texts[0]} -> {texts[1]}"
