"""Hides values: arguments that policy hides from approvers, and secrets that logs must not show.

A hidden value is looked for in every way in which a request can write it: as it is, with the
escapes of JSON, and percent-encoded. Where it cannot be found where it must be, nothing of that
part of the request is shown. Everything takes linear time.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

HIDDEN = "…"
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

Finder = Callable[[bytes], Iterator[tuple[int, int]]]


def masked(value: object) -> str:
    """Return what stands for a hidden value: `…4711`, or `…` where that would say too much."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return HIDDEN
    text = str(value)
    return HIDDEN + text[-_TAIL:] if len(text) >= _LONG_ENOUGH else HIDDEN


@dataclass(frozen=True, slots=True, kw_only=True)
class _Needle:
    """One hidden text or number, and what is shown in its place."""

    find: Finder
    mask: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hidden:
    """One hidden argument. `part`: what it must be found in; `sure`: all of it can be."""

    part: str  #: body | target, or empty: nowhere
    needles: tuple[_Needle, ...]
    sure: bool


class Masks:
    """What is hidden of one call. Falsy where nothing is.

    *sources*: where each argument was read from: path, query, form or json.
    """

    __slots__ = ("_hidden", "names")

    def __init__(
        self, arguments: Mapping[str, Any], sources: Mapping[str, str], names: Iterable[str]
    ) -> None:
        self.names = tuple(name for name in names if name in arguments)
        self._hidden = tuple(
            _hidden(arguments[name], _PARTS.get(sources.get(name, ""), "")) for name in self.names
        )

    def __bool__(self) -> bool:
        return bool(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def text(self, text: str) -> str:
        """Return *text* with every hidden value that occurs in it masked."""
        if not self.names:
            return text
        raw = self._masked(text.encode("utf-8", "surrogatepass"))
        return raw.decode("utf-8", "surrogatepass")

    def target(self, target: str) -> str | None:
        """Return path and query masked; None where that cannot be done with certainty."""
        raw = target.encode("utf-8", "surrogatepass")
        if not all(_certain(each, raw) for each in self._hidden if each.part == "target"):
            return None
        return self._masked(raw).decode("utf-8", "surrogatepass")

    def body(self, body: bytes) -> bytes | None:
        """Return the body masked; None where that cannot be done with certainty."""
        if not all(_certain(each, body) for each in self._hidden if each.part == "body"):
            return None
        return self._masked(body)

    def value(self, value: Any) -> Any:
        """Return a JSON value with every text and number in it masked where it is hidden."""
        if isinstance(value, Mapping):
            return {self.text(name): self.value(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(each) for each in value]
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return value
        shown = self.text(str(value))
        return value if shown == str(value) else shown

    def _masked(self, raw: bytes) -> bytes:
        found = {
            span: needle.mask
            for hidden in self._hidden
            for needle in hidden.needles
            for span in _everywhere(needle.find, raw)
        }
        parts, end = [], 0
        for (start, stop), mask in sorted(found.items()):
            if start >= end:
                parts += [raw[end:start], mask]
            end = max(end, stop)
        return b"".join((*parts, raw[end:]))


NO_MASKS = Masks({}, {}, ())


def _hidden(value: object, part: str) -> _Hidden:
    leaves = list(_leaves(value))
    needles = tuple(needle for leaf in leaves if (needle := _needle(leaf)) is not None)
    sure = all(_needle(leaf) is not None or leaf == "" for leaf in leaves)
    return _Hidden(part=part, needles=needles, sure=sure)


def _leaves(value: object) -> Iterator[object]:
    """Every item of a list; a mapping is one leaf, which cannot be looked for."""
    if isinstance(value, list | tuple):
        for each in value:
            yield from _leaves(each)
    else:
        yield value


def _needle(value: object) -> _Needle | None:
    """Return how *value* is found, or None where it cannot be: too short, or of another kind."""
    mask = masked(value).encode("utf-8", "surrogatepass")
    if isinstance(value, str):
        wanted = value.encode("utf-8", "surrogatepass")
        return _Needle(find=_text(wanted), mask=mask) if len(wanted) >= _TELLING else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return _Needle(find=_number(abs(Decimal(repr(value)))), mask=mask)


def _text(wanted: bytes) -> Finder:
    def find(text: bytes) -> Iterator[tuple[int, int]]:
        at = text.find(wanted)
        while at >= 0:
            yield at, at + len(wanted)
            at = text.find(wanted, at + len(wanted))

    return find


def _number(wanted: Decimal) -> Finder:
    def find(text: bytes) -> Iterator[tuple[int, int]]:
        for each in _NUMBER.finditer(text):
            try:
                if Decimal(each.group().decode()) == wanted:
                    yield each.span()
            except InvalidOperation:  # more digits than decimals have: no number of ours
                continue

    return find


def _certain(hidden: _Hidden, raw: bytes) -> bool:
    """Say whether every text and number of a hidden argument is found where it was read from."""
    found = (any(True for _ in _everywhere(each.find, raw)) for each in hidden.needles)
    return hidden.sure and all(found)


# the ways in which a request writes a text --------------------------------------------------


def _everywhere(find: Finder, raw: bytes) -> Iterator[tuple[int, int]]:
    """Find in *raw* as it is, and in what its escapes mean; yield spans of *raw*."""
    yield from find(raw)
    if b"\\" in raw:
        yield from _decoded(find, raw, _JSON, _unescaped)
    if b"%" in raw:
        yield from _decoded(find, raw, _PERCENT, _byte)
    if b"+" in raw:
        yield from _decoded(find, raw, _FORM, _byte)


def _decoded(
    find: Finder,
    raw: bytes,
    escape: re.Pattern[bytes],
    means: Callable[[bytes], bytes],
) -> Iterator[tuple[int, int]]:
    text, end = bytearray(), 0
    starts, ends, raw_starts, raw_ends = [0], [0], [0], [0]
    for each in escape.finditer(raw):
        text += raw[end : each.start()]
        starts.append(len(text))
        text += means(each.group())
        end = each.end()
        ends.append(len(text))
        raw_starts.append(each.start())
        raw_ends.append(end)
    text += raw[end:]

    for first, after in find(bytes(text)):
        left, right = bisect_right(starts, first) - 1, bisect_right(starts, after - 1) - 1
        inside = first < ends[left]
        start = raw_starts[left] if inside else raw_ends[left] + first - ends[left]
        stop = raw_ends[right] + max(0, after - ends[right])
        yield start, stop


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
