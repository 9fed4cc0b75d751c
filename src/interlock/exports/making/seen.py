"""Which lines were there already, in bounded memory.

Fingerprints of 8 bytes stand in flat tables, open addressing, at most half full: a million lines
take 16 MiB, two million 32 MiB. When a table has two million, a second one is begun, and later the
older of two is forgotten: a line is compared with at least the two million before it, and
`forgot` says that it may be there twice. Two of a million different lines have the same
fingerprint with a probability of 3 in 100 million; one of them is left out then.
"""

from __future__ import annotations

import hashlib
from array import array

MOST = 1 << 21
_SMALLEST = 1 << 12


def fingerprint(line: bytes) -> int:
    """Return 8 bytes of BLAKE2b as a number that is not 0."""
    return int.from_bytes(hashlib.blake2b(line, digest_size=8).digest()) or 1


class Seen:
    """A set of fingerprints that never grows beyond two tables of *most*."""

    __slots__ = ("_most", "_now", "_older", "forgot")

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._now = _Table(_SMALLEST)
        self._older: _Table | None = None
        self.forgot = False  #: whether lines may be there twice, far apart

    def add(self, number: int) -> bool:
        """Remember *number*; say whether it is new."""
        if number in self._now or (self._older is not None and number in self._older):
            return False
        if self._now.count >= self._most:
            self.forgot = self.forgot or self._older is not None
            self._older, self._now = self._now, _Table(_SMALLEST)
        self._now.add(number)
        return True


class _Table:
    __slots__ = ("_mask", "_slots", "count")

    def __init__(self, size: int) -> None:
        self._slots = array("Q", bytes(8 * size))
        self._mask = size - 1
        self.count = 0

    def __contains__(self, number: int) -> bool:
        return self._slots[self._place(number)] == number

    def add(self, number: int) -> None:
        if 2 * (self.count + 1) > len(self._slots):
            self._grow()
        self._slots[self._place(number)] = number
        self.count += 1

    def _place(self, number: int) -> int:
        """Return the slot that holds *number*, or the free one where it belongs."""
        slots, mask = self._slots, self._mask
        at = number & mask
        while slots[at] not in (0, number):
            at = (at + 1) & mask
        return at

    def _grow(self) -> None:
        old = self._slots
        self._slots = array("Q", bytes(16 * len(old)))
        self._mask = len(self._slots) - 1
        for number in old:
            if number:
                self._slots[self._place(number)] = number
