"""Warnings about text that is made to be misread: hidden, reversed, mixed or look-alike letters.

The scripts are read from the character names, which the standard library carries; the
look-alike letters are the single ones of UTS 39 that are drawn like an ASCII letter.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator

from .redaction import Kind, token, visible, visible_line

_WORD = re.compile(r"[^\W\d_]+(?:[-'.][^\W\d_]+)*")
# ASCII, and the letters and marks of Latin scripts that are nothing else in disguise
_USUAL = "".join(
    character
    for character in map(chr, range(0xA1, 0x250))
    if unicodedata.normalize("NFKC", character) == character == visible_line(character)
)
_UNUSUAL = re.compile(rf"[^\x20-\x7e\n\t{re.escape(_USUAL)}]")
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_ALONE = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU", "NKO"})
# letters of other scripts that most fonts draw exactly like an ASCII letter
_LIKE_ASCII = frozenset(
    "аеорсухіјѕһԁԛԝѵӏԍАВЕЅІЈКМНОРСТУХҮԚԜӀ"  # Cyrillic
    "οανυρκιΑΒΕΖΗΙΚΜΝΟΡΤΥΧϲϳ"  # Greek
    "օսոհցքյզՕՍՏԼ"  # Armenian
)
_MIXED = re.compile(r"[^\W\d_]+")
_SHOWN = 40  #: characters of a word that a warning quotes
_MOST = 8  #: warnings per text


def twins(text: str) -> Iterator[int]:
    """Yield where letters are that are drawn like an ASCII one, in words that have both."""
    if text.isascii():
        return
    for word in _MIXED.finditer(text):
        found = [at for at, letter in enumerate(word.group()) if letter in _LIKE_ASCII]
        if found and any(letter.isascii() for letter in word.group()):
            yield from (word.start() + at for at in found)


def unusual(text: str) -> bool:
    """Say whether there may be something to warn of: plain Latin text has nothing."""
    return _UNUSUAL.search(text) is not None


def warnings(text: str) -> tuple[str, ...]:
    """Return what a reader should know before trusting their eyes; empty for plain text."""
    if not unusual(text):
        return ()
    found: dict[str, None] = {}
    for warning in _warn(text):
        found[warning] = None
        if len(found) == _MOST:
            break
    return tuple(found)


def _warn(text: str) -> Iterator[str]:
    hidden = [span.raw for span in visible(text) if span.kind is Kind.POINT and span.raw != "<"]
    bidi = sum(character in _BIDI for character in hidden)
    if bidi:
        yield f"{_count(bidi, 'character')} that would change the direction of the text."
    if len(hidden) > bidi:
        yield f"{_count(len(hidden) - bidi, 'character')} that would not be seen."
    if any(unicodedata.bidirectional(character) in {"R", "AL"} for character in text):
        yield "Right-to-left letters, shown here in the order in which they are sent."
    for found in _WORD.finditer(text):
        if not found.group().isascii():
            yield from _warn_word(found.group())


def _warn_word(word: str) -> Iterator[str]:
    quoted = visible_line(word[:_SHOWN])
    scripts = {script for script in map(_script, word) if script in _ALONE}
    if len(scripts) > 1:
        names = " and ".join(sorted(script.capitalize() for script in scripts))
        yield f"“{_pointed(word[:_SHOWN])}” mixes {names} letters."
    elif scripts - {"LATIN"} and all(letter in _LIKE_ASCII for letter in word if letter.isalpha()):
        name = next(iter(scripts)).capitalize()
        yield f"“{quoted}” is written in {name} letters that look like Latin ones."
    plain = unicodedata.normalize("NFKC", word)
    if plain != word and plain.isascii():
        yield f"“{quoted}” is written in look-alike letters; it is not “{plain[:_SHOWN]}”."


def _pointed(word: str) -> str:
    """Return *word* with the letters that are not what they look like by their number."""
    return "".join(token(each) if each in _LIKE_ASCII else visible_line(each) for each in word)


@functools.lru_cache(maxsize=4096)
def _script(character: str) -> str:
    """Return the script that *character*'s name starts with, or "" where it has none."""
    name = unicodedata.name(character, "")
    return name.split(" ", 1)[0] if character.isalpha() else ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
