"""What people, logs and metrics may see of what agents wrote.

Rendering is injective: two different texts never look the same. A code point that cannot be
seen, or that changes how its neighbours are drawn, becomes a token such as `<U+202E>`; bytes
that are not UTF-8 become `<0xFF>`. Where the agent typed such a token, its `<` becomes
`<U+003C>`. Sources: Unicode UAX 9, 15, 31, UTS 39; CVE-2021-42574 (trojan source).
"""

from __future__ import annotations

import enum
import functools
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


class Kind(enum.Enum):
    """How a span is drawn."""

    TEXT = "text"  #: as it is
    POINT = "point"  #: a code point, or a byte, shown by its number
    BREAK = "break"  #: line feeds: a token, then a new line
    TAB = "tab"  #: tabs: a token, then space
    SPACE = "space"  #: two or more spaces, or spaces that end a line


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of text: `raw` is what the agent wrote, `shown` is what people read."""

    kind: Kind
    raw: str
    shown: str


# Blank or ignorable although their category says letter, mark or symbol.
_BLANK = frozenset(
    (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, 0xFFFC, 0x1D159)
)
_RANGES = (
    (0x180B, 0x180F),  # Mongolian variation selectors
    (0xFE00, 0xFE0F),  # variation selectors
    (0xE0000, 0xE0FFF),  # tags, more variation selectors
    (0x1160, 0x11FF),  # conjoining jamo join into syllables that also exist whole
    (0xD7B0, 0xD7FF),
    (0x0300, 0x036F),  # combining diacritics: the usual letters exist whole
    (0x1AB0, 0x1AFF),
    (0x1DC0, 0x1DFF),
    (0x20D0, 0x20FF),
    (0xFE20, 0xFE2F),
)
_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp", "Zs"})
_MARKS = frozenset({"Mn", "Mc", "Me"})
_MARKS_IN_A_ROW = 2  #: Thai and Hebrew need two; more than that only hides what is below
_MARKS_AT_MOST = 16  #: normalising takes time that grows with the square of the marks in a row

_PIECE = re.compile(
    r"(?P<escape><(?=U\+|0x))"
    r"|(?P<lf>\n)"
    r"|(?P<tab>\t)"
    r"|(?P<trail>\x20+(?=\n|\Z))"
    r"|(?P<run>\x20{2,})"
    r"|(?P<ascii>(?:[\x21-\x3b\x3d-\x7e]|\x20(?![\x20\n]|\Z)|<(?!U\+|0x))+)"
    r"|(?P<rest>[^\x20-\x7e\n\t]+)",
    re.ASCII,
)
_TOKEN = re.compile(r"<U\+([0-9A-F]{4,6})>\n?|<0x([0-9A-F]{2})>")


def token(character: str) -> str:
    """Return the visible name of a code point: `<U+202E>`."""
    return f"<U+{ord(character):04X}>"


@functools.lru_cache(maxsize=65536)
def _unseen(character: str) -> bool:
    """Say whether *character* on its own is invisible, or drawn like another code point."""
    point = ord(character)
    if unicodedata.category(character) in _UNSEEN or point in _BLANK:
        return True
    if any(low <= point <= high for low, high in _RANGES):
        return True
    return unicodedata.normalize("NFC", character) != character


def visible(text: str) -> tuple[Span, ...]:
    """Return *text* as spans; their `shown` joined is `visible_text(text)`."""
    return tuple(_spans(text))


def _spans(text: str) -> Iterator[Span]:
    for found in _PIECE.finditer(text):
        raw = found.group()
        match found.lastgroup:
            case "ascii":
                yield Span(Kind.TEXT, raw, raw)
            case "rest":
                yield from _beyond_ascii(raw)
            case "run":
                yield Span(Kind.SPACE, raw, raw)
            case "trail":
                yield Span(Kind.SPACE, raw, token(" ") * len(raw))
            case "lf":
                yield Span(Kind.BREAK, raw, token(raw) + "\n")
            case "tab":
                yield Span(Kind.TAB, raw, token(raw))
            case _:
                yield Span(Kind.POINT, raw, token(raw))


def _beyond_ascii(text: str) -> Iterator[Span]:
    plain = ""
    for cluster in _clusters(text):
        for character, hidden in cluster:
            if not hidden:
                plain += character
                continue
            if plain:
                yield Span(Kind.TEXT, plain, plain)
                plain = ""
            yield Span(Kind.POINT, character, token(character))
    if plain:
        yield Span(Kind.TEXT, plain, plain)


def _clusters(text: str) -> Iterator[list[tuple[str, bool]]]:
    """Yield each base character with its marks, and which of them must be tokens."""
    base, marks = "", ""
    for character in text:
        if unicodedata.category(character) in _MARKS:
            marks += character
            continue
        yield _cluster(base, marks)
        base, marks = character, ""
    yield _cluster(base, marks)


def _cluster(base: str, marks: str) -> list[tuple[str, bool]]:
    shown = [(base, _unseen(base))] if base else []
    # marks need a letter to sit on, and must not combine into what also exists whole
    sound = bool(base) and not _unseen(base) and unicodedata.category(base)[0] == "L"
    whole = base + marks[:_MARKS_AT_MOST]
    sound = sound and unicodedata.normalize("NFC", whole) == whole
    for place, mark in enumerate(marks):
        shown.append((mark, not sound or place >= _MARKS_IN_A_ROW or _unseen(mark)))
    return shown


def visible_text(text: str) -> str:
    """Return *text* with everything unseen as tokens; a line feed is `<U+000A>` and a new line.

    Injective: `original(visible_text(text)) == text` for every text. Safe for a terminal.
    """
    return "".join(span.shown for span in _spans(text))


def visible_line(text: str) -> str:
    """Return *text* as `visible_text` does, on one line."""
    return "".join(span.shown.rstrip("\n") for span in _spans(text))


def visible_bytes(body: bytes) -> tuple[Span, ...]:
    """Return the spans of *body* read as UTF-8; each byte that is not UTF-8 becomes `<0xFF>`."""
    spans = _spans(body.decode("utf-8", "surrogateescape"))
    return tuple(
        Span(span.kind, span.raw, f"<0x{ord(span.raw) - 0xDC00:02X}>") if _is_byte(span) else span
        for span in spans
    )


def _is_byte(span: Span) -> bool:
    return span.kind is Kind.POINT and "\udc80" <= span.raw <= "\udcff"


def shown(spans: Iterable[Span]) -> str:
    """Return the text of *spans* as people read it."""
    return "".join(span.shown for span in spans)


def original(text: str) -> str:
    """Return what was written, from what `visible_text` or `visible_line` shows of it."""
    return _TOKEN.sub(lambda m: chr(int(m[1], 16) if m[1] else 0xDC00 + int(m[2], 16)), text)


SECRET_HEADERS = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "x-api-key",
        "api-key",
        "apikey",
        "x-auth-token",
        "x-access-token",
        "x-csrf-token",
        "x-amz-security-token",
        "x-goog-api-key",
        "x-vault-token",
        "private-token",
        "x-gitlab-token",
        "x-functions-key",
        "ocp-apim-subscription-key",
        "interlock-key",
    }
)
MASK = "***"
_SCHEME = re.compile(r"(?i:(bearer|basic|token|digest|negotiate|apikey))\x20+\S")


def mask_secret(value: str) -> str:
    """Return `***`, with the scheme before it where there is one: `Bearer ***`."""
    scheme = _SCHEME.match(value)
    return f"{scheme[1]} {MASK}" if scheme else MASK


def redact_headers(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return *headers* with the values of those that carry credentials masked."""
    return tuple(
        (name, mask_secret(value) if name.strip().lower() in SECRET_HEADERS else value)
        for name, value in headers
    )
