"""Which absences are genuine and not over: sealed, and of their person's latest generation.

An absence that ended cannot be put back without its person's earlier mark, which carries a MAC
too; and what was seen of later marks in this process is not forgotten while it runs.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
from collections.abc import Iterable, Sequence
from typing import Any

from ..core.desk import Absence
from .codec import DAMAGED


class Absences:
    """*key*: 32 bytes that are not in the store."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._latest: dict[str, tuple[int, bytes]] = {}  #: generation and mark; genuine ones only

    def sealed(self, absence: Absence, generation: int) -> Absence:
        """Return *absence* as one of *generation*."""
        of = dataclasses.replace(absence, generation=generation)
        return dataclasses.replace(of, mac=self._mac(of))

    def mark(self, person: str, generation: int) -> str:
        """Return what says that *generation* is the latest of *person*."""
        said = json.dumps(["interlock-away-mark-1", person, generation])
        return f"{generation} {self._signed(said)}"

    def following(self, person: str, was: bytes, now: int) -> int:
        """Return a generation behind all that are known; *was*: the mark in the store."""
        self.see(person, was)
        latest, _ = self._latest.get(person, (0, b""))
        return max(now, latest + 1)  # the clock, so that also a store that lost it goes on

    def holding(self, stored: Iterable[bytes], marks: Sequence[bytes], now: int) -> list[Absence]:
        """Return those that are genuine and hold now; one of each person, whatever was written.

        *marks*: person and mark by turns.
        """
        for who, mark in zip(marks[::2], marks[1::2], strict=True):
            self.see(who.decode("utf-8", "replace"), mark)
        written = set(marks[1::2])
        found: dict[str, Absence] = {}
        for each in filter(None, map(_absence, stored)):
            generation, mark = self._latest.get(each.person, (0, b""))
            latest = mark in written and each.generation == generation
            if latest and each.since <= now < each.until and self._genuine(each):
                found.setdefault(each.person, each)
        return list(found.values())

    def see(self, person: str, mark: bytes) -> None:
        """Note a mark, where it is genuine and later than what is known of this person."""
        latest, known = self._latest.get(person, (0, b""))
        if mark == known:
            return
        number = mark.partition(b" ")[0]
        if not (number.isdigit() and len(number) <= 16 and int(number) > latest):
            return
        if hmac.compare_digest(mark, self.mark(person, int(number)).encode()):
            self._latest[person] = (int(number), mark)

    def _genuine(self, absence: Absence) -> bool:
        return hmac.compare_digest(absence.mac.encode(), self._mac(absence).encode())

    def _mac(self, absence: Absence) -> str:
        fields = dataclasses.asdict(absence) | {"mac": ""}
        said = json.dumps(["interlock-absence-2", fields], sort_keys=True, separators=(",", ":"))
        return self._signed(said)

    def _signed(self, said: str) -> str:
        return hmac.new(self._key, said.encode(), hashlib.sha256).hexdigest()


def _absence(value: bytes) -> Absence | None:
    """Read an absence; one that is not ours to read makes nobody stand in."""
    try:
        fields: dict[str, Any] = json.loads(value.partition(b" ")[2])
        absence = Absence(**fields | {"groups": tuple(fields["groups"])})
    except DAMAGED:
        return None
    texts = (absence.person, absence.to, absence.mac, *absence.groups)
    sound = all(type(text) is str for text in texts)
    times = all(type(at) is int for at in (absence.until, absence.since, absence.generation))
    return absence if sound and times and absence.mac.isascii() else None
