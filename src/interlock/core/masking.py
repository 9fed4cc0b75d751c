"""Hides values: arguments that policy hides from approvers, and secrets that logs must not show.

A hidden value is looked for in every way in which a request can write it: as it is, with the
escapes of JSON, and percent-encoded. Where it cannot be found where it must be, nothing of that
part of the request is shown; nor where looking would be too much work, since the agent chooses
both what is hidden and what it is hidden in.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any

HIDDEN = "…"
MOST_NEEDLES = 256  #: hidden texts and numbers of a call that are looked for
MOST_BYTES = 8_388_608  #: bytes in one part, times what is looked for in it
MOST_TEXTS = 4_000  #: texts, numbers and lists in one value
MOST_LOOKS = 50_000  #: the same, times what is looked for in them
MOST_FOUND = 20_000  #: places, escapes and numbers in one part
_LONGEST_NUMBER = 64  #: digits; a longer one is hidden wherever numbers are
_TAIL, _LONG_ENOUGH = 4, 8  #: characters shown at the end, and of a value that shows any
_TELLING = 3  #: bytes; a shorter text occurs by chance, and masking it would say nothing
_NUMBER = re.compile(rb"(?<![0-9.])[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?(?![0-9])")
_JSON = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb'|u[0-9a-fA-F]{4}|["\\/bfnrt])'
)
_PERCENT = re.compile(rb"%[0-9A-Fa-f]{2}")
_FORM = re.compile(rb"%[0-9A-Fa-f]{2}|\+")
_SHORT = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_PARTS = {"json": "body", "form": "body", "path": "target", "query": "target"}

Span = tuple[int, int]
Place = Callable[[int, int], Span]


def masked(value: object) -> str:
    """Return what stands for a hidden value: `…4711`, or `…` where that would say too much."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return HIDDEN
    text = str(value)
    return HIDDEN + text[-_TAIL:] if len(text) >= _LONG_ENOUGH else HIDDEN


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hidden:
    """One hidden argument. `part`: what it must be found in; `sure`: all of it can be."""

    part: str  #: body | target, or empty: nowhere
    needles: frozenset[bytes | Decimal]
    sure: bool


class Masks:
    """What is hidden of one call. Falsy where nothing is.

    *sources*: where each argument was read from: path, query, form or json.
    """

    __slots__ = ("_crowded", "_hidden", "_masks", "names")

    def __init__(
        self, arguments: Mapping[str, Any], sources: Mapping[str, str], names: Iterable[str]
    ) -> None:
        self.names = tuple(name for name in names if name in arguments)
        self._masks: dict[bytes | Decimal, bytes] = {}
        self._crowded = False  #: too much is hidden to look for all of it
        self._hidden = tuple(
            self._hide(arguments[name], _PARTS.get(sources.get(name, ""), ""))
            for name in self.names
        )

    def _hide(self, value: object, part: str) -> _Hidden:
        leaves = list(islice(_leaves(value), MOST_NEEDLES + 1))
        found = set()
        for leaf in leaves:
            needle = _needle(leaf)
            if needle is not None:
                found.add(needle)
                self._masks[needle] = masked(leaf).encode("utf-8", "surrogatepass")
        self._crowded |= len(leaves) > MOST_NEEDLES or len(self._masks) > MOST_NEEDLES
        sure = all(leaf == "" or _needle(leaf) is not None for leaf in leaves)
        return _Hidden(part=part, needles=frozenset(found), sure=sure)

    def __bool__(self) -> bool:
        return bool(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def text(self, text: str) -> str:
        """Return *text* with every hidden value that occurs in it masked; `…` where unsure."""
        if not self.names or not text:
            return text
        raw = text.encode("utf-8", "surrogatepass")
        shown = self._masked(raw, "")
        return HIDDEN if shown is None else shown.decode("utf-8", "surrogatepass")

    def target(self, target: str) -> str | None:
        """Return path and query masked; None where that cannot be done with certainty."""
        shown = self._masked(target.encode("utf-8", "surrogatepass"), "target")
        return None if shown is None else shown.decode("utf-8", "surrogatepass")

    def body(self, body: bytes) -> bytes | None:
        """Return the body masked; None where that cannot be done with certainty."""
        return self._masked(body, "body")

    def covers(self, value: Any) -> bool:
        """Say whether `value` can look through all of *value*."""
        if not self.names:
            return True
        texts, size = _extent(value, MOST_TEXTS)
        needles = len(self._masks) + 1
        work = texts * needles <= MOST_LOOKS and size * needles <= MOST_BYTES
        return work and texts <= MOST_TEXTS and not self._crowded

    def value(self, value: Any) -> Any:
        """Return a JSON value with every text and number in it masked where it is hidden.

        A value that `covers` says no to becomes `…`.
        """
        if not self.names:
            return value
        return self._value(value) if self.covers(value) else HIDDEN

    def _value(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {self.text(name): self._value(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [self._value(each) for each in value]
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return value
        shown = self.text(str(value))
        return value if shown == str(value) else shown

    def _masked(self, raw: bytes, part: str) -> bytes | None:
        """Return *raw* masked; None where that is too much work, or *part* must hold more."""
        if not self.names:
            return raw
        if self._crowded or len(raw) * len(self._masks) > MOST_BYTES:
            return None
        found = _Found()
        read = all(found.look(text, place, self._masks) for text, place in _readings(raw))
        must = [hidden for hidden in self._hidden if part and hidden.part == part]
        if not read or not all(each.sure and each.needles <= found.needles for each in must):
            return None
        parts, end = [], 0
        for (start, stop), mask in sorted(found.spans.items()):
            if start >= end:
                parts += [raw[end:start], mask]
            end = max(end, stop)
        return b"".join((*parts, raw[end:]))


NO_MASKS = Masks({}, {}, ())


class _Found:
    """Where hidden values are in one part, and which of them are."""

    __slots__ = ("needles", "spans")

    def __init__(self) -> None:
        self.spans: dict[Span, bytes] = {}
        self.needles: set[bytes | Decimal] = set()

    def look(
        self, text: bytes | None, place: Place, masks: Mapping[bytes | Decimal, bytes]
    ) -> bool:
        """Add what occurs in one reading; False where that is too much to go through."""
        if text is None:
            return False
        numbers = {each: mask for each, mask in masks.items() if isinstance(each, Decimal)}
        for needle, mask in masks.items():
            if isinstance(needle, bytes) and not self._texts(text, needle, mask, place):
                return False
        return not numbers or self._numbers(text, numbers, place)

    def _texts(self, text: bytes, needle: bytes, mask: bytes, place: Place) -> bool:
        at = text.find(needle)
        while at >= 0:
            self.spans[place(at, at + len(needle))] = mask
            self.needles.add(needle)
            if len(self.spans) > MOST_FOUND:
                return False
            at = text.find(needle, at + len(needle))
        return True

    def _numbers(self, text: bytes, wanted: Mapping[Decimal, bytes], place: Place) -> bool:
        for count, each in enumerate(_NUMBER.finditer(text)):
            if count >= MOST_FOUND:
                return False
            if len(each.group()) > _LONGEST_NUMBER:
                self.spans[place(*each.span())] = HIDDEN.encode()
                continue
            number = Decimal(each.group().decode())
            if number in wanted:
                self.spans[place(*each.span())] = wanted[number]
                self.needles.add(number)
        return True


def _leaves(value: object) -> Iterator[object]:
    """Every item of a list; a mapping is one leaf, which cannot be looked for."""
    if isinstance(value, list | tuple):
        for each in value:
            yield from _leaves(each)
    else:
        yield value


def _needle(value: object) -> bytes | Decimal | None:
    """Return what *value* is found by, or None where it cannot be: short, or of another kind."""
    if isinstance(value, str):
        wanted = value.encode("utf-8", "surrogatepass")
        return wanted if len(wanted) >= _TELLING else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return abs(Decimal(repr(value)))


def _extent(value: Any, most: int) -> tuple[int, int]:
    """Return how many texts and numbers there are in *value*, and how long they are."""
    texts, size, rest = 0, 0, [value]
    while rest and texts <= most:
        each = rest.pop()
        texts += 1
        if isinstance(each, Mapping):
            texts += len(each)
            size += sum(map(len, each))
            rest.extend(each.values())
        elif isinstance(each, list | tuple):
            rest.extend(each)
        elif isinstance(each, str):
            size += len(each)
    return texts, size


# the ways in which a request writes a text --------------------------------------------------


def _readings(raw: bytes) -> Iterator[tuple[bytes | None, Place]]:
    """Yield *raw* as it is and as its escapes mean it, and where a span of each is in *raw*."""
    yield raw, lambda first, after: (first, after)
    if b"\\" in raw:
        yield _decoded(raw, _JSON, _unescaped)
    if b"%" in raw:
        yield _decoded(raw, _PERCENT, _byte)
    if b"+" in raw:
        yield _decoded(raw, _FORM, _byte)


def _decoded(
    raw: bytes, escape: re.Pattern[bytes], means: Callable[[bytes], bytes]
) -> tuple[bytes | None, Place]:
    text, end = bytearray(), 0
    starts, ends, raw_starts, raw_ends = [0], [0], [0], [0]
    for each in islice(escape.finditer(raw), MOST_FOUND + 1):
        text += raw[end : each.start()]
        starts.append(len(text))
        text += means(each.group())
        end = each.end()
        ends.append(len(text))
        raw_starts.append(each.start())
        raw_ends.append(end)
    text += raw[end:]

    def place(first: int, after: int) -> Span:
        left, right = bisect_right(starts, first) - 1, bisect_right(starts, after - 1) - 1
        inside = first < ends[left]
        start = raw_starts[left] if inside else raw_ends[left] + first - ends[left]
        return start, raw_ends[right] + max(0, after - ends[right])

    return (bytes(text) if len(starts) <= MOST_FOUND + 1 else None), place


def _byte(escape: bytes) -> bytes:
    return b" " if escape == b"+" else bytes((int(escape[1:], 16),))


def _unescaped(escape: bytes) -> bytes:
    if escape[1:2] != b"u":
        return _SHORT.get(escape[1:], escape[1:])
    units = b"".join(int(unit, 16).to_bytes(2, "big") for unit in escape.split(b"\\u")[1:])
    return units.decode("utf-16-be", "surrogatepass").encode("utf-8", "surrogatepass")


# secrets in logs ----------------------------------------------------------------------------

# ISO 13616: the length of each country's account numbers (SWIFT IBAN registry)
_IBAN_LENGTHS = {
    each[:2]: int(each[2:])
    for each in (
        "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22"
        " DJ27 DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21"
        " HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27"
        " MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24"
        " RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22"
        " VG24 XK20 YE30"
    ).split()
}
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?=[ -]?[A-Za-z0-9])")
_IBAN_REST = re.compile(r"(?:[ -]?[A-Za-z0-9]){15,34}")
_CARD = re.compile(r"(?<![0-9])[2-6](?=[ -]?[0-9])")
_CARD_REST = re.compile(r"(?:[ -]?[0-9]){13,19}")
_BEARER = re.compile(
    r"(?P<scheme>\bbearer[ \t]+)[A-Za-z0-9._~+/=-]{8,}"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"
    r"|\bilk_[a-z]+_[A-Za-z0-9_-]{16,}",
    re.IGNORECASE,
)


def without_secrets(text: str, detectors: Iterable[str]) -> str:
    """Return *text* with what *detectors* (iban, card_number, bearer_token) find masked.

    An IBAN counts where length and checksum are right (ISO 13616, ISO 7064 MOD 97-10), a card
    number where its check digit is (ISO/IEC 7812-1, Luhn).
    """
    for name in detectors:
        text = _DETECTORS[name](text)
    return text


def _without_ibans(text: str) -> str:
    return _without(text, _IBAN, _IBAN_REST, _is_iban)


def _without_cards(text: str) -> str:
    return _without(text, _CARD, _CARD_REST, _is_card)


def _without(
    text: str,
    begins: re.Pattern[str],
    may_be: re.Pattern[str],
    fits: Callable[[str], bool],
) -> str:
    """Mask what *fits*, wherever it ends: words and numbers that follow look like more of it."""
    parts, end, at = [], 0, 0
    while found := begins.search(text, at):
        at = found.start() + 1
        candidate = may_be.match(text, found.start())
        for length in _ends(candidate.group()) if candidate else ():
            after = text[found.start() + length : found.start() + length + 1]
            number = "".join(filter(str.isalnum, text[found.start() : found.start() + length]))
            if not after.isalnum() and fits(number):
                parts += [text[end : found.start()], masked(number)]
                end = at = found.start() + length
                break
    return "".join((*parts, text[end:]))


def _ends(written: str) -> list[int]:
    return [at + 1 for at, each in enumerate(written) if each.isalnum()][::-1]


def _is_iban(number: str) -> bool:
    account = number.upper()
    if _IBAN_LENGTHS.get(account[:2]) != len(account):
        return False
    return int("".join(str(int(each, 36)) for each in account[4:] + account[:4])) % 97 == 1


def _is_card(number: str) -> bool:
    doubled = (sum(divmod(int(each) * 2, 10)) for each in number[-2::-2])
    return len(number) >= 13 and (sum(map(int, number[-1::-2])) + sum(doubled)) % 10 == 0


def _without_tokens(text: str) -> str:
    return _BEARER.sub(lambda found: f"{found['scheme'] or ''}***", text)


_DETECTORS: Mapping[str, Callable[[str], str]] = {
    "iban": _without_ibans,
    "card_number": _without_cards,
    "bearer_token": _without_tokens,
}
